import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { createCache, resources } from '../../kube/index.ts';
import type { CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';
import { fieldsOf, listOf, textOf } from '../facts/shape.ts';
import { ackDataKey, ackLabel, ackLabelValue } from './ack-publisher.ts';
import { mostProblems } from './ack-book.ts';
import type { AckProblem, AckSummary } from './ack-book.ts';
import { createReplicaLives } from './replica-lives.ts';

/** The counts of all replicas that live. */
export interface AckTotals {
  /** Pods that enforce this generation of the policy, as their sidecars said. */
  enforcing(uid: string, generation: number): number;
  /** Pods that did not take the newest: their namespace and name. */
  problems(): readonly AckProblem[];
  /** Called with the uids of the policies whose counts changed. */
  onChange(listener: (policies: ReadonlySet<string> | 'all') => void): void;
  synced(): boolean;
  stop(): Promise<void>;
}

export interface AckTotalsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  readonly timings?: Partial<CacheTimings>;
  /** A replica counts no longer when another has been heard so long after it; default 9 s, three beats. */
  readonly lateMs?: number;
  /** The object of a replica that has not written for so long is removed; default 35 s. */
  readonly goneMs?: number;
}

interface ReplicaFact {
  readonly name: string;
  readonly summary: AckSummary | undefined;
}

/** Undefined: it is not what a replica writes, and counts for nothing. */
export function parseAckSummary(text: string): AckSummary | undefined {
  let fields;
  try {
    fields = fieldsOf(jsonValue(parseJson(text, { maxDepth: 6 })));
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
  if (fields['v'] !== 1) return undefined;
  const policies = Object.entries(fieldsOf(fields['policies'])).map(
    ([uid, counts]): [string, Record<string, number>] => [
      uid,
      Object.fromEntries(
        Object.entries(fieldsOf(counts)).filter(
          (entry): entry is [string, number] =>
            typeof entry[1] === 'number' && Number.isSafeInteger(entry[1]) && entry[1] >= 0,
        ),
      ),
    ],
  );
  const problems = listOf(fields['problems'])
    .slice(0, mostProblems)
    .map((one): AckProblem => ({
      namespace: textOf(one['namespace']),
      name: textOf(one['name']),
      reason: one['reason'] === 'stale' || one['reason'] === 'unusable' ? one['reason'] : 'invalid',
      message: textOf(one['message']),
    }));
  return { policies: Object.fromEntries(policies), problems };
}

/** Uids of the policies whose counts differ; refusals name pods, whose policies are not known here. */
export function changedPolicies(
  before: AckSummary | undefined,
  after: AckSummary | undefined,
): ReadonlySet<string> | 'all' {
  if (JSON.stringify(before?.problems ?? []) !== JSON.stringify(after?.problems ?? [])) return 'all';
  const [from, to] = [before?.policies ?? {}, after?.policies ?? {}];
  const uids = [...Object.keys(from), ...Object.keys(to)];
  return new Set(uids.filter((uid) => JSON.stringify(from[uid]) !== JSON.stringify(to[uid])));
}

export function startAckTotals(options: AckTotalsOptions): AckTotals {
  const { client, clock, logger, namespace, timings, lateMs = 9_000, goneMs = 35_000 } = options;
  const listeners: ((policies: ReadonlySet<string> | 'all') => void)[] = [];
  const lives = createReplicaLives({ clock, lateMs, goneMs });
  const cache = createCache<ReplicaFact>({
    client,
    resource: resources.configMaps,
    namespace,
    labelSelector: `${ackLabel}=${ackLabelValue}`,
    clock,
    logger,
    ...(timings !== undefined && { timings }),
    transform: (raw: KubeObject) => ({
      name: raw.metadata.name,
      summary: parseAckSummary(textOf(fieldsOf((raw as { data?: unknown }).data)[ackDataKey])),
    }),
  });
  const changed = (policies: ReadonlySet<string> | 'all'): void => {
    for (const listener of listeners) listener(policies);
  };
  cache.subscribe(({ key, before, after }) => {
    if (after === undefined) {
      lives.forget(key);
      return changed('all');
    }
    if (lives.heard(key)) return changed('all');
    const policies = changedPolicies(before?.summary, after.summary);
    // Else it was a beat.
    if (policies === 'all' || policies.size > 0) changed(policies);
  });
  const live = function* (): Generator<AckSummary> {
    for (const { name, summary } of cache.values())
      if (summary !== undefined && lives.counts(`${namespace}/${name}`)) yield summary;
  };
  const sweeper = clock.every(1_000, () => {
    const { late, gone } = lives.look();
    for (const key of late)
      logger.info('a replica is late: its counts are dropped', { replica: key.slice(namespace.length + 1) });
    for (const key of gone)
      client.delete(resources.configMaps, { namespace, name: key.slice(namespace.length + 1) }).catch(() => undefined);
    if (late.length > 0) changed('all');
  });

  return {
    enforcing(uid, generation) {
      let count = 0;
      for (const { policies } of live()) count += policies[uid]?.[String(generation)] ?? 0;
      return count;
    },
    problems: () => [...live()].flatMap((summary) => summary.problems),
    onChange: (listener) => void listeners.push(listener),
    synced: () => cache.synced(),
    async stop() {
      sweeper.cancel();
      await cache.stop();
    },
  };
}
