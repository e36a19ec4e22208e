import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { createLogMarks } from './log-marks.ts';
import type { DeletionRule, RecordStore, StoreStats } from './port.ts';
import { createRetentionClock } from './retention-clock.ts';
import type { RetentionTime } from './retention-clock.ts';
import { retentionRules } from './retention-rules.ts';
import type { RetentionDays } from './retention-rules.ts';

/** What a store needs done beside the traffic, in small steps: the index of words, deletion by age, and that nothing is left of what was deleted. */
export interface Upkeep {
  /** As last read; undefined: not yet. */
  stats(): StoreStats | undefined;
  close(): Promise<void>;
}

const indexMs = 200;
const retainMs = 60_000;
const statsMs = 10_000;
const wholeMs = 3_600_000;
/** Between two sweeps, and that many times as long as the last one took: it goes over the whole store. */
const sweepMs = 3_600_000;
const sweepShare = 100;
/** By how much retention is behind the wall clock before that is said. */
const toldMs = 3_600_000;
/** Blocks that are deleted in one transaction. */
const blocksAStep = 50;
const dayMs = 86_400_000;

export function keepUp(options: {
  readonly store: Pick<
    RecordStore,
    'index' | 'deleteOld' | 'sweep' | 'stats' | 'retentionReached' | 'keepRetentionReached' | 'allOf' | 'append' | 'log'
  >;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retention: RetentionDays;
  /** Time of the log's last entry or head before this process wrote any, epoch milliseconds; 0: there is none. */
  readonly logEndsAt: number;
  /** Time of the log's last entry, epoch milliseconds. */
  readonly latest: () => number;
  /** Lines that are not archived yet are kept whatever their age. */
  readonly archivedOnly?: boolean;
  readonly onDeleted?: (blocks: number) => void;
}): Upkeep {
  const { store, clock, logger, archivedOnly = false } = options;
  const rules = retentionRules(options.retention).map((rule) => ({ ...rule, from: 0, fromEntry: 0 }));
  const marks = createLogMarks(store);
  let stats: StoreStats | undefined;
  let work: Promise<void> = Promise.resolve();
  let busy = false;
  let closed = false;
  let told = '';
  /** One thing at a time; what does not get its turn has it at the next tick. */
  const turn = (run: () => Promise<void>): void => {
    if (busy || closed) return;
    busy = true;
    work = run()
      .then(() => {
        told = '';
      })
      .catch((error: unknown) => {
        const words = describeError(error);
        if (words !== told) logger.error('the upkeep of the store failed', { error: words });
        told = words;
      })
      .finally(() => {
        busy = false;
      });
  };
  const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  let retentionNow: (() => RetentionTime) | undefined;
  let waits = false;
  let logAhead = false;
  let due = false;
  let nextWhole = 0;
  const deleteAll = async (rule: DeletionRule, now: number): Promise<void> => {
    for (let deleted = 1; deleted > 0 && !closed; await pause()) {
      deleted = await store.deleteOld(rule, now, blocksAStep);
      if (deleted > 0) options.onDeleted?.(deleted);
    }
  };
  const retain = async (): Promise<void> => {
    due = false;
    retentionNow ??= createRetentionClock(clock, {
      reached: await store.retentionReached(),
      logEndsAt: options.logEndsAt,
    });
    const { now, agrees } = retentionNow();
    const behind = clock.now() - now;
    if (behind > toldMs && !waits)
      logger.warn('deletion by age waits for the clock, which is far ahead of the log or has gone forward', {
        seconds: Math.round(behind / 1_000),
      });
    waits = behind > toldMs;
    const ahead = options.latest() - clock.now();
    if (ahead > toldMs && !logAhead)
      logger.warn(
        'the log is ahead of the clock, which was wrong: what comes is deleted by the clock once that has been right for as long as it was wrong',
        { seconds: Math.round(ahead / 1_000) },
      );
    logAhead = ahead > toldMs;
    // What is kept past its age, by a hold or a policy or until it is archived, is looked at again each hour.
    const all = now >= nextWhole;
    if (all) nextWhole = now + wholeMs;
    const failures: unknown[] = [];
    // A store that is full takes it later, and must lose what is old before.
    await store.keepRetentionReached(now).catch((error: unknown) => void failures.push(error));
    if (rules.length > 0)
      await marks.keep(now, ahead > toldMs && agrees).catch((error: unknown) => void failures.push(error));
    for (const rule of rules) {
      const { days, from, fromEntry, ...what } = rule;
      const before = now - days * dayMs;
      const marked = marks.olderThan(before);
      try {
        await deleteAll({ ...what, before, from: all ? 0 : from, archivedOnly }, now);
        rule.from = before;
        if (marked === undefined || (!all && marked === fromEntry)) continue;
        await deleteAll({ ...what, by: 'entry', before: marked, from: all ? 0 : fromEntry, archivedOnly }, now);
        rule.fromEntry = marked;
      } catch (error) {
        // The others are of other lines.
        failures.push(error);
        if (all) Object.assign(rule, { from: 0, fromEntry: 0 });
      }
    }
    if (failures.length > 0) throw failures[0];
  };
  let nextSweep = clock.monotonic() + sweepMs;
  const sweep = async (): Promise<void> => {
    const began = clock.monotonic();
    nextSweep = began + sweepMs;
    for (let indexed = began; !closed && (await store.sweep()); await pause()) {
      // What comes meanwhile is found as soon as ever.
      if (clock.monotonic() - indexed < indexMs) continue;
      indexed = clock.monotonic();
      await store.index();
    }
    const ended = clock.monotonic();
    nextSweep = ended + Math.max(sweepMs, sweepShare * (ended - began));
  };
  const timers = [
    clock.every(indexMs, () =>
      turn(async () => {
        if (due) await retain();
        while (!closed && (await store.index())) await pause();
        if (clock.monotonic() >= nextSweep) await sweep();
      }),
    ),
    clock.every(statsMs, () => {
      store.stats().then(
        (read) => {
          stats = read;
        },
        () => undefined,
      );
    }),
    clock.every(retainMs, () => {
      due = true;
    }),
  ];
  return {
    stats: () => stats,
    async close() {
      closed = true;
      for (const timer of timers) timer.cancel();
      await work;
    },
  };
}
