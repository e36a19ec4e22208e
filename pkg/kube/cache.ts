import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { backoffMs, systemRandom } from './backoff.ts';
import type { RandomSource } from './backoff.ts';
import { selectionQuery } from './client.ts';
import type { KubeClient } from './client.ts';
import { asKubeError, isExpired, isKubeError, KubeError } from './kube-error.ts';
import { compareResourceVersions, objectKey, resourcePath } from './objects.ts';
import type { KubeObject, KubeResource } from './objects.ts';
import { listPages } from './pages.ts';
import type { Selection } from './pages.ts';
import { createStore } from './store.ts';
import type { Change, IndexFunction } from './store.ts';
import { readWatch } from './watch-stream.ts';
import type { WatchEvent } from './watch-stream.ts';

/** Why a watch or a list came to an end before its time; the set is closed, for a metric. */
export const cacheFaults = ['reset', 'refused', 'expired', 'silent', 'bad_answer', 'too_large', 'handler'] as const;
export type CacheFault = (typeof cacheFaults)[number];

export interface CacheTimings {
  /** The server is asked to end each watch after so long, with a bookmark first; default 25 s. */
  readonly watchMs: number;
  /** Without a byte for so long a connection counts as dead. More than `watchMs`; default 30 s. */
  readonly silenceMs: number;
  /** Everything is listed again so often, whatever the watch said; default 10 min. */
  readonly relistMs: number;
  /** Waits after a failure; default 250 ms to 15 s. */
  readonly firstBackoffMs: number;
  readonly mostBackoffMs: number;
  /** Objects to a page; default 250. */
  readonly pageLimit: number;
}

const defaultTimings: CacheTimings = {
  watchMs: 25_000,
  silenceMs: 30_000,
  relistMs: 600_000,
  firstBackoffMs: 250,
  mostBackoffMs: 15_000,
  pageLimit: 250,
};

export interface CacheOptions<T> extends Selection {
  readonly client: KubeClient;
  readonly resource: KubeResource;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Keeps what is needed of an object; called once for each version. What it does not return is not in memory. It must not throw: an
   * object that it cannot take stops the whole copy, since one that is left out could be a rule that denies.
   */
  readonly transform: (raw: KubeObject) => T;
  /**
   * What is kept of an object that is larger than what is read of any (8 MiB, 300,000 values): all that is known is its metadata.
   * Undefined: nothing, as if it were not there, for kinds of which each object allows something. Must not throw. Without this function
   * such an object stops the whole copy.
   */
  readonly oversized?: (raw: KubeObject) => T | undefined;
  readonly indices?: Readonly<Record<string, IndexFunction<T>>>;
  readonly timings?: Partial<CacheTimings>;
  readonly random?: RandomSource;
  readonly onFault?: (fault: CacheFault) => void;
  /** A list showed a change that the watch should have told of and did not. */
  readonly onMissed?: (count: number) => void;
}

/**
 * A copy of a collection that stays true: list, then watch, supervised.
 *
 * Promise: whatever ends a watch (a reset, any status, a line that cannot be read, silence, an error of a subscriber's own) it is
 * opened again after a jittered wait, from where it stood, or from a new list where the server no longer knows that. Changes reach
 * subscribers in order, and an object never goes back to an older version. Large objects make it ask more often, and hold up no other.
 *
 * Limit: between two lists (10 min) it believes the watch. {@link Cache.ageMs} says since when it has heard nothing.
 */
export interface Cache<T> {
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  by(index: string, value: string): readonly T[];
  readonly size: number;
  /** The collection's version that the copy is true to; undefined before the first list. Never goes back. */
  resourceVersion(): string | undefined;
  synced(): boolean;
  /** Resolves with the first list; never rejects. */
  whenSynced(): Promise<void>;
  /** Milliseconds since the server last said anything that is not older than the copy: a whole list, or a byte of a watch. */
  ageMs(): number;
  /** Called for each change after it is in the copy; what is there already is not repeated. Errors are logged and counted. */
  subscribe(listener: (change: Change<T>) => void): () => void;
  stop(): Promise<void>;
}

function faultOf(error: unknown): CacheFault {
  if (!isKubeError(error)) return 'handler';
  if (isExpired(error)) return 'expired';
  if (error.code === 'timeout') return 'silent';
  if (error.code === 'bad_answer' || error.code === 'too_large') return error.code;
  return error.code === 'refused' ? 'refused' : 'reset';
}

function statusError(event: WatchEvent): KubeError {
  const { code, reason, message } = event.object;
  return new KubeError('refused', typeof message === 'string' ? message : 'the watch ended with an error', {
    status: typeof code === 'number' ? code : 500,
    reason: typeof reason === 'string' ? reason : '',
  });
}

export function createCache<T>(options: CacheOptions<T>): Cache<T> {
  const { client, resource, clock, random = systemRandom, namespace, labelSelector, fieldSelector } = options;
  const timings = { ...defaultTimings, ...options.timings };
  const logger = options.logger.with({ cache: resource.plural });
  const store = createStore(options.transform, options.indices ?? {});
  const listeners = new Set<(change: Change<T>) => void>();
  const selection: Selection = { namespace, labelSelector, fieldSelector };
  const stopping = new AbortController();
  let version: string | undefined;
  let listedAt = 0;
  let heardAt = clock.monotonic();
  let failures = 0;
  const first = Promise.withResolvers<void>();

  const heard = (): void => {
    heardAt = clock.monotonic();
  };
  const advanceTo = (next: string | undefined): void => {
    if (next !== undefined && compareResourceVersions(next, version) > 0) version = next;
  };
  const tell = (change: Change<T> | undefined): void => {
    if (change === undefined) return;
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        options.onFault?.('handler');
        logger.error('a subscriber failed', { error: describeError(error) });
      }
    }
  };

  const list = async (): Promise<void> => {
    const prepared: { readonly key: string; readonly version: string; readonly object: T }[] = [];
    let listVersion: string | undefined;
    const pages = listPages<KubeObject>(client, resource, selection, {
      limit: timings.pageLimit,
      signal: stopping.signal,
      oversized: options.oversized !== undefined,
    });
    for await (const page of pages) {
      // Another replica of the server may lag behind what the watch has told already; one that was set back says nothing any more.
      if (compareResourceVersions(page.resourceVersion, version) < 0)
        throw new KubeError('bad_answer', 'the API server listed an older state than it has shown');
      // Page by page: never more than one page of whole objects is in memory.
      for (const raw of page.items) {
        if (page.oversized) logger.warn('an object is too large to be read', { object: objectKey(raw.metadata) });
        const { oversized = options.transform } = options;
        const { key, version: of, object } = store.prepare(raw, page.oversized ? oversized : options.transform);
        if (object !== undefined) prepared.push({ key, version: of, object });
      }
      listVersion = page.resourceVersion;
    }
    // Not before its last page: a list that never gets there says nothing.
    heard();
    const known = version;
    const changes = store.replace(prepared);
    const versions = new Map(prepared.map((one) => [one.key, one.version]));
    const missed =
      known === undefined
        ? 0
        : changes.filter(
            ({ key, after }) => after !== undefined && compareResourceVersions(versions.get(key), known) <= 0,
          ).length;
    if (missed > 0) options.onMissed?.(missed);
    advanceTo(listVersion);
    listedAt = clock.monotonic();
    changes.forEach(tell);
    first.resolve();
  };

  const take = (event: WatchEvent): void => {
    if (event.type === 'ERROR') throw statusError(event);
    const raw = event.object as unknown as KubeObject;
    if (event.type !== 'BOOKMARK') tell(event.type === 'DELETED' ? store.remove(raw) : store.put(raw));
    advanceTo(raw.metadata?.resourceVersion);
    failures = 0;
  };

  const watch = async (from: string): Promise<void> => {
    const query = selectionQuery(selection);
    query.set('watch', 'true');
    query.set('allowWatchBookmarks', 'true');
    query.set('resourceVersion', from);
    query.set('timeoutSeconds', String(Math.max(1, Math.round(timings.watchMs / 1_000))));
    const path = `${resourcePath(resource, { namespace })}?${query.toString()}`;
    const exchange = await client.watch(path, { signal: stopping.signal, timeoutMs: timings.silenceMs });
    heard();
    await readWatch(exchange.body, { clock, silenceMs: timings.silenceMs, onBytes: heard, onEvent: take });
  };

  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.after(ms, done);
      stopping.signal.addEventListener('abort', done, { once: true });
      function done(): void {
        timer.cancel();
        stopping.signal.removeEventListener('abort', done);
        resolve();
      }
    });

  let mustList = true;
  const turn = async (): Promise<void> => {
    if (mustList || version === undefined || clock.monotonic() - listedAt >= timings.relistMs) {
      await list();
      mustList = false;
    }
    const begun = clock.monotonic();
    await watch(version ?? '');
    // A server that ends every watch at once is not asked again at once.
    if (clock.monotonic() - begun < 1_000) await wait(backoffMs(++failures, backoff));
    else failures = 0;
  };
  const backoff = { firstMs: timings.firstBackoffMs, mostMs: timings.mostBackoffMs, random };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await turn();
      } catch (error) {
        if (stopping.signal.aborted) return;
        const fault = faultOf(error);
        if (fault === 'expired') mustList = true;
        // What could not be read or applied would be lost otherwise.
        if (fault === 'handler' || fault === 'bad_answer' || fault === 'too_large') mustList = true;
        failures++;
        options.onFault?.(fault);
        const ms = Math.max(backoffMs(failures, backoff), asKubeError(error).retryAfterMs ?? 0);
        // A refusal of the first try is an operator's business; a watch that was cut and goes on is not.
        const level = failures >= 3 || fault === 'handler' ? 'warn' : 'info';
        logger[level]('a watch ended and begins again', { fault, failures, waitMs: ms, error: describeError(error) });
        await wait(fault === 'expired' && failures === 1 ? 0 : ms);
      }
    }
  };
  const running = run();

  return {
    get: (key) => store.get(key),
    values: () => store.values(),
    by: (index, value) => store.by(index, value),
    get size() {
      return store.size;
    },
    resourceVersion: () => version,
    synced: () => listedAt !== 0 || version !== undefined,
    whenSynced: () => first.promise,
    ageMs: () => clock.monotonic() - heardAt,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
