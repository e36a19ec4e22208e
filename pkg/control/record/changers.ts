import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { changerKey, controlPlane } from '../../contract/index.ts';
import { isConflict, isNotFound, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { fieldsOf, textOf } from '../facts/shape.ts';

/** Who took grants back, as webhooks saw them, in one ConfigMap of Sidegate's namespace: a watch tells only that they are gone. */
export interface Changers {
  /**
   * Of a grant of which the watch has just said that it is gone, as it was before: gives who took it back, asked when that is to be told.
   * Undefined: nobody noted the deletion of this version in the seconds before. All who ask within a tenth of a second are answered by one
   * reading of the list, which begins after they asked. @throws KubeError
   */
  gone(grant: GoneGrant): () => Promise<string | undefined>;
  /** Of the leader: makes the list, and forgets what is on record long since. @throws KubeError */
  sweep(): Promise<void>;
}

type Book = KubeObject & { readonly data?: Readonly<Record<string, string>> };

export interface GoneGrant {
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** Longer than another leader takes to begin. */
const keptMs = 60_000;
/**
 * From the note to the watch's word. The API server asks its webhooks, and deletes the version that it has asked about. Whoever was noted may not
 * have deleted it after all (another webhook, a precondition, a client that went): who does so later is not to be taken for them.
 */
const closeMs = 10_000;
/** The API server tells its time in whole seconds, and answers take theirs. */
const roundedMs = 2_000;
const betweenReadsMs = 100;

interface Entry {
  readonly uid: string;
  readonly version: string;
  readonly user: string;
  readonly at: number;
}

/** Undefined: it says nothing that could be understood. */
function readEntry(text: string): Entry | undefined {
  try {
    const { uid, version, user, at } = fieldsOf(jsonValue(parseJson(text, { maxDepth: 2 })));
    const entry = { uid: textOf(uid), version: textOf(version), user: textOf(user), at: Date.parse(textOf(at)) };
    return entry.user === '' ? undefined : entry;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

export function createChangers(options: {
  readonly client: Pick<KubeClient, 'find' | 'create' | 'patch'>;
  /** Of Sidegate itself. */
  readonly namespace: string;
  readonly clock: Pick<Clock, 'now' | 'monotonic' | 'after'>;
  /** The API server's clock, by which webhooks note; default, and where it is not known, this machine's. */
  readonly serverTime?: () => number | undefined;
}): Changers {
  const { client, namespace, clock, serverTime } = options;
  const now = (): number => serverTime?.() ?? clock.now();
  const ref = { namespace, name: controlPlane.changers };
  // Written so that what is no time is not, nor what a clock that is ahead has noted.
  const isRecent = (entry: Entry | undefined): boolean => Math.abs(now() - (entry?.at ?? NaN)) < keptMs;
  let next: Promise<Book | undefined> | undefined;
  let begun = -Infinity;
  const read = (): Promise<Book | undefined> => {
    next ??= new Promise<void>((resolve) => {
      clock.after(Math.max(0, begun + betweenReadsMs - clock.monotonic()), resolve);
    }).then(() => {
      next = undefined;
      begun = clock.monotonic();
      return client.find<Book>(resources.configMaps, ref);
    });
    return next;
  };
  return {
    gone(grant) {
      const seen = now();
      return async () => {
        const book = await read();
        const entry = readEntry(book?.data?.[changerKey(grant)] ?? '');
        if (entry?.uid !== grant.uid || entry.version !== grant.resourceVersion) return undefined;
        const since = seen - entry.at;
        return since >= -roundedMs && since <= closeMs + roundedMs ? entry.user : undefined;
      };
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
      const old = Object.entries(book.data ?? {}).filter(([, text]) => !isRecent(readEntry(text)));
      if (old.length === 0) return;
      const data = Object.fromEntries(old.map(([uid]) => [uid, null]));
      await client.patch(resources.configMaps, ref, { type: 'merge', body: { data } }).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    },
  };
}
