import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { createCache, resources } from '../../kube/index.ts';
import type { CacheTimings, KubeClient, KubeObject } from '../../kube/index.ts';
import { fieldsOf, listOf, textOf } from '../facts/shape.ts';
import { ackDataKey, ackLabel, ackLabelValue } from './ack-publisher.ts';
import { mostProblems } from './ack-book.ts';
import type { AckProblem, AckSummary } from './ack-book.ts';

/** The counts of all replicas that live. */
export interface AckTotals {
  /** Pods that enforce this generation of the policy, as their sidecars said. */
  enforcing(uid: string, generation: number): number;
  /** Pods that did not take the newest: their namespace and name. */
  problems(): readonly AckProblem[];
  onChange(listener: () => void): void;
  synced(): boolean;
  stop(): Promise<void>;
}

export interface AckTotalsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  readonly timings?: Partial<CacheTimings>;
  /** Counts of a replica that has not written for so long are dropped, and its object removed; default 35 s. */
  readonly staleMs?: number;
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
      reason: one['reason'] === 'stale' ? 'stale' : 'invalid',
      message: textOf(one['message']),
    }));
  return { policies: Object.fromEntries(policies), problems };
}

export function startAckTotals(options: AckTotalsOptions): AckTotals {
  const { client, clock, logger, namespace, timings, staleMs = 35_000 } = options;
  const listeners: (() => void)[] = [];
  /** When this process saw each replica's object change last: wall clocks of others are not asked. */
  const changedAt = new Map<string, number>();
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
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  cache.subscribe(({ key, after }) => {
    if (after === undefined) changedAt.delete(key);
    else changedAt.set(key, clock.monotonic());
    changed();
  });
  const live = function* (): Generator<AckSummary> {
    for (const { name, summary } of cache.values()) {
      const at = changedAt.get(`${namespace}/${name}`);
      if (summary !== undefined && at !== undefined && clock.monotonic() - at < staleMs) yield summary;
    }
  };
  const sweeper = clock.every(Math.max(1_000, staleMs / 3), () => {
    for (const [key, at] of changedAt) {
      if (clock.monotonic() - at < staleMs) continue;
      changedAt.delete(key);
      changed();
      const name = key.slice(namespace.length + 1);
      logger.info('the counts of a replica that is gone are dropped', { replica: name });
      client.delete(resources.configMaps, { namespace, name }).catch(() => undefined);
    }
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
