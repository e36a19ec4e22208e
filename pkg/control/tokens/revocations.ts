import type { Clock, Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { compileRevocations, readRevocation } from '../../core/index.ts';
import type { Identity, Revocation, RevocationSet } from '../../core/index.ts';
import { createCache, isConflict, resources } from '../../kube/index.ts';
import type { Cache, CacheFault, CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';
import { fieldsOf, labelsOf } from '../facts/shape.ts';
import type { RevocationFeed } from '../stream/index.ts';

/**
 * The list of revocations: one ConfigMap of Sidegate's namespace, an entry a key, so that people add to it by a merge patch and never
 * overwrite each other. Each replica watches it; the leader makes it, and removes entries that hold no longer.
 */
export interface Revocations extends RevocationFeed {
  revokes(caller: Pick<Identity, 'issuer' | 'subject' | 'tokenId'>): boolean;
  /** Of the list as this replica has it; undefined: it has none yet. */
  fill(): RevocationsFill | undefined;
  whenSynced(): Promise<void>;
  /** Since the API server was heard, see {@link Cache.ageMs}. */
  ageMs(): number;
  /** Of the leader. @throws KubeError */
  sweep(): Promise<void>;
  stop(): Promise<void>;
}

/** How full the list is. */
export interface RevocationsFill {
  readonly entries: number;
  /** Entries among them that say nothing that could be understood: they revoke nothing. */
  readonly unusable: number;
  /** Bytes of all keys and entries. The API server takes 1 MiB, and refuses an entry beyond. */
  readonly bytes: number;
}

interface RevocationsFact {
  readonly version: string;
  readonly revocations: readonly Revocation[];
  readonly set: RevocationSet;
  readonly byKey: ReadonlyMap<string, Revocation>;
  /** Keys of entries that say nothing that could be understood. */
  readonly broken: readonly string[];
  readonly bytes: number;
}

export function revocationsFact({ metadata, ...rest }: KubeObject): RevocationsFact {
  const byKey = new Map<string, Revocation>();
  const broken: string[] = [];
  let bytes = 0;
  for (const [key, text] of Object.entries(labelsOf(fieldsOf(rest)['data']))) {
    bytes += key.length + Buffer.byteLength(text);
    const read = readRevocation(text);
    if (read === undefined) broken.push(key);
    else byKey.set(key, read);
  }
  const revocations = [...byKey.values()];
  return {
    version: metadata.resourceVersion ?? '0',
    revocations,
    set: compileRevocations(revocations),
    byKey,
    broken,
    bytes,
  };
}

export interface RevocationsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  readonly timings?: Partial<CacheTimings>;
  readonly onFault?: (resource: string, fault: CacheFault) => void;
  /** An entry came or went, after the list was read first; `ended`: its time was over. */
  readonly onChange?: (step: RevocationStep, key: string, revocation: Revocation) => void;
  readonly onMissed?: (resource: string, count: number) => void;
}

export type RevocationStep = 'revoked' | 'undone' | 'ended';

const none: readonly Revocation[] = [];
const noEntries: ReadonlyMap<string, Revocation> = new Map();
const same = (a: Revocation, b: Revocation | undefined): boolean =>
  b !== undefined && JSON.stringify(a) === JSON.stringify(b);
/** Clocks of sidecars differ: kept so long beyond its end. */
const graceMs = 600_000;

export function createRevocations(options: RevocationsOptions): Revocations {
  const { client, clock, logger, namespace } = options;
  const ref = { namespace, name: controlPlane.revocations };
  const cache: Cache<RevocationsFact> = createCache<RevocationsFact>({
    client,
    resource: resources.configMaps,
    namespace,
    fieldSelector: `metadata.name=${ref.name}`,
    clock,
    logger,
    transform: revocationsFact,
    ...(options.timings !== undefined && { timings: options.timings }),
    onFault: (fault) => options.onFault?.('revocations', fault),
    onMissed: (count) => options.onMissed?.('revocations', count),
  });
  const fact = (): RevocationsFact | undefined => cache.values().next().value;
  /** What the first list shows was told when it came. */
  let listed = false;
  cache.whenSynced().then(
    () => (listed = true),
    () => undefined,
  );
  const tell = (before: RevocationsFact | undefined, after: RevocationsFact | undefined): void => {
    const [old, now] = [before?.byKey ?? noEntries, after?.byKey ?? noEntries];
    for (const [key, one] of old)
      if (!same(one, now.get(key))) options.onChange?.(clock.now() >= one.until ? 'ended' : 'undone', key, one);
    for (const [key, one] of now) if (!same(one, old.get(key))) options.onChange?.('revoked', key, one);
  };
  const stopLogging = cache.subscribe(({ before, after }) => {
    if (listed) tell(before, after);
    if (after !== undefined && after.broken.length > 0)
      logger.error('revocations that cannot be understood revoke nothing', { keys: after.broken.join(' ') });
  });

  return {
    revocations: () => (cache.synced() ? (fact()?.revocations ?? none) : undefined),
    // The object's own version: it grows with each change, and a replica that lags has an older one.
    seen: () => ({ revocations: fact()?.version ?? cache.resourceVersion() ?? '0' }),
    subscribe: (listener) =>
      cache.subscribe(() => {
        queueMicrotask(listener);
      }),
    fill() {
      const known = fact();
      if (known === undefined) return undefined;
      const { revocations, broken, bytes } = known;
      return { entries: revocations.length + broken.length, unusable: broken.length, bytes };
    },
    revokes: (caller) => fact()?.set.revokes(caller, clock.now()) ?? false,
    whenSynced: () => cache.whenSynced(),
    ageMs: () => cache.ageMs(),
    async sweep() {
      await cache.whenSynced();
      const known = fact();
      if (known === undefined) {
        const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: ref, data: {} };
        await client.create(resources.configMaps, object, { namespace }).catch((error: unknown) => {
          if (!isConflict(error)) throw error;
        });
        return;
      }
      const over = [...known.byKey]
        .filter(([, { until }]) => clock.now() >= until + graceMs)
        .map(([key]) => [key, null]);
      if (over.length === 0) return;
      await client.patch(resources.configMaps, ref, { type: 'merge', body: { data: Object.fromEntries(over) } });
    },
    async stop() {
      stopLogging();
      await cache.stop();
    },
  };
}
