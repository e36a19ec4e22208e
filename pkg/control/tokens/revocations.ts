import type { Clock, Logger } from '../../base/index.ts';
import { annotations, controlPlane } from '../../contract/index.ts';
import { compileRevocations, readRevocation } from '../../core/index.ts';
import type { Identity, Revocation, RevocationSet } from '../../core/index.ts';
import { createCache, isConflict, resources } from '../../kube/index.ts';
import type { Cache, CacheFault, CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';
import { fieldsOf, labelsOf } from '../facts/shape.ts';
import { createTwoClocks } from '../two-clocks.ts';
import type { TwoClocks } from '../two-clocks.ts';
import type { RevocationFeed } from '../stream/index.ts';

/**
 * The list of revocations: one ConfigMap of Sidegate's namespace, an entry a key, so that people add to it by a merge patch and never
 * overwrite each other. Each replica watches it; the leader makes it, and removes entries that hold no longer.
 */
export interface Revocations extends RevocationFeed {
  revokes(caller: Pick<Identity, 'issuer' | 'subject' | 'sub' | 'tokenId'>): boolean;
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
  /** Entries whose issuer no provider has: they revoke nothing either, whoever misspelt it. Undefined: that is not known yet. */
  readonly unmatched: number | undefined;
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
  /** What the leader wrote last of entries whose issuer no provider has. */
  readonly told: string | undefined;
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
    told: metadata.annotations?.[annotations.unmatched],
  };
}

/**
 * Keys of entries that hold and whose issuer no provider has.
 *
 * @param now wall clock, milliseconds
 * @returns undefined: that cannot be said yet
 */
export function unmatchedKeys(
  { byKey }: Pick<RevocationsFact, 'byKey'>,
  knowsIssuer: (issuer: string) => boolean | undefined,
  now: number,
): readonly string[] | undefined {
  const keys: string[] = [];
  /** Thousands of entries may be of one issuer. */
  const known = new Map<string, boolean>();
  for (const [key, { issuer, until }] of byKey) {
    const isKnown = known.get(issuer) ?? knowsIssuer(issuer);
    if (isKnown === undefined) return undefined;
    known.set(issuer, isKnown);
    if (!isKnown && now < until) keys.push(key);
  }
  return keys;
}

export interface RevocationsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** By which an entry is over; default this machine's alone. */
  readonly clocks?: Pick<TwoClocks, 'earliest'>;
  readonly logger: Logger;
  readonly namespace: string;
  /** Whether a provider may prove somebody of it; undefined: that cannot be said yet. Default: of all. */
  readonly knowsIssuer?: (issuer: string) => boolean | undefined;
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
/** So many keys are told; their number is in the metric. */
const mostTold = 200;
/** Clocks of sidecars differ: kept so long beyond its end. */
const graceMs = 600_000;

export function createRevocations(options: RevocationsOptions): Revocations {
  const { client, clock, logger, namespace, clocks = createTwoClocks(clock) } = options;
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
      if (!same(one, now.get(key))) options.onChange?.(clocks.earliest() >= one.until ? 'ended' : 'undone', key, one);
    for (const [key, one] of now) if (!same(one, old.get(key))) options.onChange?.('revoked', key, one);
  };
  const stopLogging = cache.subscribe(({ before, after }) => {
    if (listed) tell(before, after);
    if (after !== undefined && after.broken.length > 0)
      logger.error('revocations that cannot be understood revoke nothing', { keys: after.broken.join(' ') });
  });

  const { knowsIssuer = () => true } = options;
  const unmatched = (known: RevocationsFact) => unmatchedKeys(known, knowsIssuer, clocks.earliest());
  /** What of the list's own words is to be written anew, as a merge patch has it. */
  const toTell = (known: RevocationsFact): { readonly metadata?: object } => {
    const keys = unmatched(known);
    if (keys === undefined) return {};
    const text = keys.length === 0 ? null : JSON.stringify([...keys].sort().slice(0, mostTold));
    return text === (known.told ?? null) ? {} : { metadata: { annotations: { [annotations.unmatched]: text } } };
  };

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
      const entries = revocations.length + broken.length;
      return { entries, unusable: broken.length, unmatched: unmatched(known)?.length, bytes };
    },
    revokes: (caller) => fact()?.set.revokes(caller, clocks.earliest()) ?? false,
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
        .filter(([, { until }]) => clocks.earliest() >= until + graceMs)
        .map(([key]) => [key, null]);
      const told = toTell(known);
      if (over.length === 0 && told.metadata === undefined) return;
      const body = { ...told, ...(over.length > 0 && { data: Object.fromEntries(over) }) };
      await client.patch(resources.configMaps, ref, { type: 'merge', body });
    },
    async stop() {
      stopLogging();
      await cache.stop();
    },
  };
}
