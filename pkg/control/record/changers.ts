import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { isConflict, isNotFound, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { fieldsOf, textOf } from '../facts/shape.ts';

/** Who took grants back, as webhooks saw them, in one ConfigMap of Sidegate's namespace: a watch tells only that they are gone. */
export interface Changers {
  /** Undefined: nobody noted it, as while no webhook ran. @throws KubeError */
  who(uid: string): Promise<string | undefined>;
  /** Of the leader: makes the list, and forgets what is on record long since. @throws KubeError */
  sweep(): Promise<void>;
}

type Book = KubeObject & { readonly data?: Readonly<Record<string, string>> };

/** Longer than another leader takes to begin. */
const keptMs = 600_000;

interface Entry {
  readonly user: string;
  readonly at: number;
}

/** Undefined: it says nothing that could be understood. */
function readEntry(text: string): Entry | undefined {
  try {
    const { user, at } = fieldsOf(jsonValue(parseJson(text, { maxDepth: 2 })));
    return textOf(user) === '' ? undefined : { user: textOf(user), at: Date.parse(textOf(at)) };
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

export function createChangers(options: {
  readonly client: Pick<KubeClient, 'find' | 'create' | 'patch'>;
  /** Of Sidegate itself. */
  readonly namespace: string;
  readonly clock: Pick<Clock, 'now'>;
}): Changers {
  const { client, namespace, clock } = options;
  const ref = { namespace, name: controlPlane.changers };
  return {
    async who(uid) {
      const book = await client.find<Book>(resources.configMaps, ref);
      return readEntry(book?.data?.[uid] ?? '')?.user;
    },
    async sweep() {
      const book = await client.find<Book>(resources.configMaps, ref);
      if (book === undefined) {
        const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: ref, data: {} };
        await client.create(resources.configMaps, object, { namespace }).catch((error: unknown) => {
          if (!isConflict(error)) throw error;
        });
        return;
      }
      // What cannot be understood is of no use to anybody.
      const old = Object.entries(book.data ?? {}).filter(
        ([, text]) => !(clock.now() - (readEntry(text)?.at ?? NaN) < keptMs),
      );
      if (old.length === 0) return;
      const data = Object.fromEntries(old.map(([uid]) => [uid, null]));
      await client.patch(resources.configMaps, ref, { type: 'merge', body: { data } }).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    },
  };
}
