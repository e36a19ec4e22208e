import { randomInt } from 'node:crypto';
import { CodedError, describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { HoldsDue, RecordStore } from '../store/index.ts';
import { heldInSegment } from './held-segment.ts';
import { dayOf, logId, readKey, segmentKey, segmentsPrefix } from './names.ts';
import type { ObjectStore } from './object-store.ts';
import { openSegment, SegmentError } from './segment.ts';
import type { Segment } from './segment.ts';

/**
 * Brings holds into the archive: S3's legal hold on each segment that has lines which a hold names, also on those that are written while it stands,
 * and takes it off when none wants it any more. What is to be done stands in the store before it is done, so that whoever comes next goes on with it.
 */
export interface HoldKeeper {
  /** Segments that do not carry what holds want of them, as last looked; undefined: not yet. */
  readonly waiting: number | undefined;
  /** A hold was placed or released. */
  kick(): void;
  /** Ends, with what is under way left undone. */
  close(): Promise<void>;
}

export interface HoldKeeperOptions {
  readonly store: Pick<RecordStore, 'archiveHolds' | 'archived' | 'entries'>;
  readonly objects: Pick<ObjectStore, 'get' | 'list' | 'folders' | 'hold'>;
  /** Of the log: what none of them has signed is held for every hold. */
  readonly keys: LogKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * How old the last entry of a segment is before it is looked at, by its time or by how long this process has known it to be archived: most sessions
   * have ended by then, and only what is known of one need not be kept. Until then its lock keeps it. Default 10 minutes.
   */
  readonly ageMs?: number;
  readonly onDone?: (what: 'placed' | 'taken_off') => void;
  readonly onFailure?: () => void;
  /** 0 to 1, for waits. */
  readonly random?: () => number;
}

const lookMs = 5_000;
const retryMs = { first: 1_000, longest: 60_000 };
const atOnce = 100;
/** After which it is asked again whether segments carry what they are to carry: others with rights in the bucket may have taken it off. */
const againMs = 86_400_000;

const timeOf = (entry: { readonly text: string } | undefined): number =>
  Number(/"at":([0-9]+)/.exec(entry?.text ?? '')?.[1] ?? 0);

/** What begins with an entry, up to another. `unreadable`: no key of the log has signed what stands there. */
interface Place {
  readonly segment: Segment | 'absent' | 'unreadable';
  readonly end: number;
}

export function startHoldKeeper(options: HoldKeeperOptions): HoldKeeper {
  const { store, objects, keys, clock, logger, ageMs = 600_000, random = () => randomInt(1_000) / 1_000 } = options;
  const table = store.archiveHolds;
  let log: string | undefined;
  let closed = false;
  let kicked = false;
  let wake: (() => void) | undefined;
  let lookedAgain = clock.monotonic();
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        wake = undefined;
        resolve();
      };
      const timer = clock.after(ms, done);
      wake = done;
    });
  /** How much was archived at times of a clock that only goes on: what was for as long as a segment is young, whatever the log's time says, is not. */
  let archivedAt: readonly { readonly entries: number; readonly at: number }[] = [];
  const noteArchived = (entries: number): void => {
    const now = clock.monotonic();
    const last = archivedAt.at(-1);
    if (last?.entries !== entries) archivedAt = [...archivedAt, { entries, at: now }];
    // Of those that are long enough ago the last says all.
    const longAgo = archivedAt.findLastIndex(({ at }) => now - at >= ageMs);
    archivedAt = archivedAt.slice(Math.max(0, longAgo));
  };
  const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  /** The first entry of the next segment that has a name; undefined: there is none. */
  const nextNamed = async (entry: number, day: string): Promise<number | undefined> => {
    const all = segmentsPrefix(log ?? '');
    for (const later of (await objects.folders(all)).filter((one) => one >= day))
      for await (const name of objects.list(`${all}${later}/`)) {
        const first = readKey(name)?.number;
        if (first !== undefined && first > entry) return first;
      }
    return undefined;
  };
  /**
   * The segment that begins with an entry. Where it ends its own header says, which the log's key has signed: what others put between, or leave out, in
   * the bucket's names changes nothing.
   */
  const segmentAt = async (entry: number): Promise<Place | undefined> => {
    const [there] = await store.entries(entry, 1);
    const object = await objects.get(segmentKey(log ?? '', entry, timeOf(there)));
    if (object !== undefined)
      try {
        const segment = openSegment(object, keys);
        const { header } = segment;
        if (header.log === log && header.first === entry) return { segment, end: header.last + 1 };
      } catch (error) {
        if (!(error instanceof SegmentError)) throw error;
      }
    const end = await nextNamed(entry, dayOf(timeOf(there)));
    if (object === undefined) return end === undefined ? undefined : { segment: 'absent', end };
    return { segment: 'unreadable', end: end ?? (await store.archived()).entries };
  };

  const wantedBy = async ({ segment, end }: Place, { from, holds }: HoldsDue): Promise<readonly number[]> => {
    if (segment === 'absent') return [];
    if (segment === 'unreadable') return holds.map(({ id }) => id);
    const { held, gone } = await table.between(from, end, holds);
    if (!gone || held.length === holds.length) return held;
    const others = holds.filter(({ id }) => !held.includes(id));
    try {
      return [...held, ...(await heldInSegment(segment, others, breathe))];
    } catch (error) {
      if (error instanceof SegmentError) return holds.map(({ id }) => id);
      throw error;
    }
  };
  /** Looks at the next segment for those holds that have seen the least. @returns false: there is none yet */
  const look = async (): Promise<boolean> => {
    const { entries: archived } = await store.archived();
    noteArchived(archived);
    const due = await table.due(archived);
    if (due === undefined) return false;
    // The log's time stands still where the clock once was, which may be far ahead.
    const isYoung = async (entry: number): Promise<boolean> =>
      !archivedAt.some(({ entries, at }) => entry < entries && clock.monotonic() - at >= ageMs) &&
      timeOf((await store.entries(entry, 1))[0]) > clock.now() - ageMs;
    // Most often that of its first entry is enough, and it is not read.
    if (await isYoung(due.from)) return false;
    const place = await segmentAt(due.from);
    if (place === undefined || (await isYoung(place.end - 1))) return false;
    await table.looked(due, place.end, { segment: due.from, holds: await wantedBy(place, due) });
    return true;
  };
  /** Does what is to be done. @returns false: nothing was */
  const carryOut = async (): Promise<boolean> => {
    const all = await table.todo(atOnce);
    for (const { segment, wanted } of all) {
      if (closed) return false;
      const [entry] = await store.entries(segment, 1);
      const is = await objects.hold(segmentKey(log ?? '', segment, timeOf(entry)), wanted);
      if (is === 'absent') await table.absent(segment);
      // Where it is wanted by now, or no more, it is to be done again.
      else if (await table.settle(segment, wanted)) options.onDone?.(wanted ? 'placed' : 'taken_off');
    }
    return all.length > 0;
  };
  const step = async (): Promise<boolean> => {
    const [first] = await store.entries(0, 1);
    if (first === undefined) return false;
    log ??= logId(first.text);
    if (clock.monotonic() - lookedAgain >= againMs) {
      await table.again();
      lookedAgain = clock.monotonic();
    }
    return (await carryOut()) || (await look());
  };

  let waiting: number | undefined;
  const count = async (): Promise<void> => {
    const { holds, toFree } = await table.counts();
    waiting = holds.reduce((sum, one) => sum + one.waiting, toFree);
  };
  const run = async (): Promise<void> => {
    let failures = 0;
    let told = '';
    while (!closed) {
      try {
        const more = await step();
        if (!more) await count();
        failures = 0;
        told = '';
        if (more || closed) continue;
        if (!kicked) await pause(lookMs * (0.5 + random()));
        kicked = false;
      } catch (error) {
        if (closed) return;
        options.onFailure?.();
        const why = error instanceof CodedError ? error.message : describeError(error);
        if (why !== told) logger.error('holds were not brought into the archive: tried again', { error: why });
        told = why;
        const longest = Math.min(retryMs.longest, retryMs.first * 2 ** Math.min(failures, 16));
        failures += 1;
        await count().catch(() => undefined);
        await pause(longest * (0.5 + random() / 2));
      }
    }
  };
  const running = run();
  return {
    get waiting() {
      return waiting;
    },
    kick() {
      kicked = true;
      wake?.();
    },
    async close() {
      closed = true;
      wake?.();
      await running;
    },
  };
}
