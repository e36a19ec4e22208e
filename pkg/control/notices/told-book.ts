import { describeError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';

/**
 * Whom the leaders have told of what: in a ConfigMap, so that a new leader does not tell everybody again. Where it cannot be written, people
 * are told once more after a change of the leader.
 */
export interface ToldBook {
  /** Reads what former leaders have written; until then `ready` is false. @throws KubeError */
  load(): Promise<void>;
  readonly ready: boolean;
  has(uid: string, channel: string): boolean;
  add(uid: string, channel: string): void;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

export interface ToldBookOptions {
  readonly client: Pick<KubeClient, 'find' | 'patch'>;
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uids of what waits still: all others are forgotten at the next write. */
  readonly waiting: () => ReadonlySet<string>;
}

const name = controlPlane.notices;
const dataKey = 'told.json';
/** An edit of a policy may hold many requests at once: they are written together. */
const writeMs = 1_000;
/** A ConfigMap holds 1 MiB; some 60 bytes each. The oldest are forgotten. */
const most = 10_000;

const readBook = (text: string): [string, Set<string>][] => {
  const value = jsonValue(parseJson(text, { maxDepth: 3, maxNodes: 8 * most }));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([uid, channels]): [string, Set<string>][] =>
    Array.isArray(channels) ? [[uid, new Set(channels.filter((one) => typeof one === 'string'))]] : [],
  );
};

export function createToldBook(options: ToldBookOptions): ToldBook {
  const { client, namespace, clock, logger } = options;
  const told = new Map<string, Set<string>>();
  let ready = false;
  let timer: Timer | undefined;
  let writing = Promise.resolve();

  const write = async (): Promise<void> => {
    const waiting = options.waiting();
    for (const uid of told.keys()) if (!waiting.has(uid) || told.size > most) told.delete(uid);
    const data = { [dataKey]: JSON.stringify(Object.fromEntries([...told].map(([uid, one]) => [uid, [...one]]))) };
    const metadata = { name, namespace, labels: { 'app.kubernetes.io/part-of': 'sidegate' } };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
    try {
      await client.patch(
        resources.configMaps,
        { namespace, name },
        { type: 'apply', fieldManager: 'sidegate-notices', force: true, body },
      );
    } catch (error) {
      logger.warn('what was told could not be written', { error: describeError(error) });
      schedule();
    }
  };
  let closed = false;
  const schedule = (): void => {
    if (closed) return;
    timer ??= clock.after(writeMs, () => {
      timer = undefined;
      writing = writing.then(write);
    });
  };
  return {
    get ready() {
      return ready;
    },
    async load() {
      type Book = KubeObject & { readonly data?: Readonly<Record<string, string>> };
      const found = await client.find<Book>(resources.configMaps, { namespace, name });
      try {
        for (const [uid, channels] of readBook(found?.data?.[dataKey] ?? '{}')) told.set(uid, channels);
      } catch (error) {
        logger.warn('what was told cannot be read: people are told again', { error: describeError(error) });
      }
      ready = true;
    },
    has: (uid, channel) => told.get(uid)?.has(channel) === true,
    add(uid, channel) {
      const channels = told.get(uid) ?? new Set();
      told.set(uid, channels.add(channel));
      schedule();
    },
    async close() {
      closed = true;
      const due = timer !== undefined;
      timer?.cancel();
      await (due ? writing.then(write) : writing);
    },
  };
}
