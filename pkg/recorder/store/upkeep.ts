import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { createLogMarks } from './log-marks.ts';
import type { BlockPlace, DeletionRule, RecordStore, StoreStats } from './port.ts';
import { createRetentionClock } from './retention-clock.ts';
import type { RetentionTime } from './retention-clock.ts';
import { retentionRules } from './retention-rules.ts';
import type { AgeRule, RetentionDays } from './retention-rules.ts';

/** What a store needs done beside the traffic, in small steps: the index of words, deletion by age, and that nothing is left of what was deleted. */
export interface Upkeep {
  /** As last read; undefined: not yet. */
  stats(): StoreStats | undefined;
  close(): Promise<void>;
}

const indexMs = 200;
const retainMs = 60_000;
const statsMs = 10_000;
/** After which what was kept past its age is looked at again, though no hold was placed or released: sessions have ended of which nothing was known. */
const wholeMs = 86_400_000;
/** Between two sweeps, and that many times as long as the last one took: it goes over the whole store. */
const sweepMs = 3_600_000;
const sweepShare = 100;
/** By how much retention is behind the wall clock before that is said. */
const toldMs = 3_600_000;
/** How far a rule has come. */
interface AgeProgress {
  readonly what: AgeRule;
  /** The last block that was looked at by its age, and by its place in the log. */
  received: BlockPlace | undefined;
  entry: BlockPlace | undefined;
  /** The entry before which it has looked by place. */
  marked: number | undefined;
}

/** Blocks that are deleted in one transaction. */
const blocksAStep = 50;
const dayMs = 86_400_000;

export function keepUp(options: {
  readonly store: Pick<
    RecordStore,
    | 'index'
    | 'deleteOld'
    | 'holdsVersion'
    | 'sweep'
    | 'stats'
    | 'retentionReached'
    | 'keepRetentionReached'
    | 'allOf'
    | 'append'
    | 'log'
  >;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retention: RetentionDays;
  /** Sidegate's own, where what people decide of requests of others is on record. */
  readonly controlNamespace: string;
  /** Time of the log's last entry or head before this process wrote any, epoch milliseconds; 0: there is none. */
  readonly logEndsAt: number;
  /** Time of the log's last entry, epoch milliseconds. */
  readonly latest: () => number;
  /** Lines that are not archived yet are kept whatever their age. */
  readonly archivedOnly?: boolean;
  readonly onDeleted?: (blocks: number) => void;
}): Upkeep {
  const { store, clock, logger, archivedOnly = false } = options;
  const rules: AgeProgress[] = retentionRules(options.retention, options.controlNamespace).map((what) => ({
    what,
    received: undefined,
    entry: undefined,
    marked: undefined,
  }));
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
  let holds: string | undefined;
  let indexed = clock.monotonic();
  /** What comes meanwhile is found as soon as ever. */
  const indexMeanwhile = async (): Promise<void> => {
    if (clock.monotonic() - indexed < indexMs) return;
    indexed = clock.monotonic();
    await store.index();
  };
  /** @returns up to which block it looked, for the next time */
  const deleteAll = async (
    rule: DeletionRule,
    from: BlockPlace | undefined,
    now: number,
  ): Promise<BlockPlace | undefined> => {
    let after = from;
    for (let more = true; more && !closed; await pause()) {
      const step = await store.deleteOld({ ...rule, ...(after === undefined ? {} : { after }) }, now, blocksAStep);
      if (step.deleted > 0) options.onDeleted?.(step.deleted);
      after = step.reached;
      ({ more } = step);
      await indexMeanwhile();
    }
    return after;
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
    const failures: unknown[] = [];
    // A store that is full takes it later, and must lose what is old before.
    await store.keepRetentionReached(now).catch((error: unknown) => void failures.push(error));
    if (rules.length > 0)
      await marks.keep(now, ahead > toldMs && agrees).catch((error: unknown) => void failures.push(error));
    // What a hold keeps past its age is looked at again where that may have changed. What a policy keeps its own rule is about, and what is not
    // archived was not passed by.
    const standing = await store.holdsVersion();
    const all = now >= nextWhole || standing !== holds;
    if (all) nextWhole = now + wholeMs;
    holds = standing;
    for (const rule of rules) {
      const { days, ...what } = rule.what;
      if (all) Object.assign(rule, { received: undefined, entry: undefined, marked: undefined });
      const before = now - days * dayMs;
      const marked = marks.olderThan(before);
      try {
        rule.received = await deleteAll({ ...what, before, archivedOnly }, rule.received, now);
        if (marked === undefined || marked === rule.marked) continue;
        rule.entry = await deleteAll({ ...what, by: 'entry', before: marked, archivedOnly }, rule.entry, now);
        rule.marked = marked;
      } catch (error) {
        // The others are of other lines.
        failures.push(error);
        if (all) Object.assign(rule, { received: undefined, entry: undefined, marked: undefined });
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
