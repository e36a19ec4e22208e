import { randomInt } from 'node:crypto';
import { CodedError, describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { HoldsDue, RecordStore } from '../store/index.ts';
import { heldInSegment } from './held-segment.ts';
import { findSegment } from './find-segment.ts';
import { createHeldPlaces, timeOfEntry } from './held-places.ts';
import type { Place } from './held-places.ts';
import { logId, segmentKey } from './names.ts';
import type { ObjectStore } from './object-store.ts';
import { SegmentError } from './segment.ts';
import type { SegmentHeader } from './segment.ts';

/**
 * Brings holds into the archive: S3's legal hold on each segment that has lines which a hold names, also on those that are written while it stands,
 * and takes it off when none wants it any more. What is to be done stands in the store before it is done, so that whoever comes next goes on with it.
 */
export interface HoldKeeper {
  /** Segments that do not carry what holds want of them, as last looked; undefined: not yet. */
  readonly waiting: number | undefined;
  /** Entries of the archive, old enough to be looked at, that were not for every hold, as last looked; undefined: not yet. */
  readonly unread: number | undefined;
  /** A hold was placed or released. */
  kick(): void;
  /** Ends, with what is under way left undone. */
  close(): Promise<void>;
}

export interface HoldKeeperOptions {
  readonly store: Pick<RecordStore, 'archiveHolds' | 'archived' | 'entries' | 'heads'>;
  readonly objects: Pick<ObjectStore, 'get' | 'versions' | 'list' | 'folders' | 'hold'>;
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
  /** A round had failures. */
  readonly onFailure?: () => void;
  /** A segment was there and could not be read, or was signed by no key of the log: it is held for every hold. */
  readonly onUnreadable?: () => void;
  /** 0 to 1, for waits. */
  readonly random?: () => number;
}

const lookMs = 5_000;
const retryMs = { first: 1_000, longest: 60_000 };
const atOnce = 100;
/** After which it is asked again whether a segment carries what it is to carry: others with rights in the bucket may have taken it off. */
const againMs = 86_400_000;
/** Between two looks for segments that were last asked so long ago: when they were, the store keeps. */
const againLookMs = 600_000;
/** Segments that are remembered for holds that have seen less: some hundred GiB of the archive. */
const mostAhead = 16_384;
/** Failures one after another after which a round goes no further: the next begins behind them. */
const mostInARow = 20;

interface Looked {
  /** The first entry behind it. */
  readonly end: number;
  /** Numbers of the holds that want it, and of those of which that is known by now. */
  readonly wanted: readonly number[];
  readonly of: readonly number[];
}

export function startHoldKeeper(options: HoldKeeperOptions): HoldKeeper {
  const { store, objects, keys, clock, logger, ageMs = 600_000, random = () => randomInt(1_000) / 1_000 } = options;
  const table = store.archiveHolds;
  let log: string | undefined;
  let closed = false;
  let kicked = false;
  let wake: (() => void) | undefined;
  let lookedAgain = -Infinity;
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

  const places = createHeldPlaces({ store, objects, keys, logger, onUnreadable: options.onUnreadable });
  /**
   * Of segments that were looked at for some holds, and are to be for others that have seen less: by their first entries the hash of what stands there,
   * and the holds for which it is noted whether they want it, so that each is read once.
   */
  const ahead = new Map<number, { readonly sha256: string; readonly seen: Set<number> }>();
  const seenAhead = (first: number, { sha256 }: SegmentHeader): ReadonlySet<number> => {
    const known = ahead.get(first);
    return known?.sha256 === sha256 ? known.seen : new Set();
  };
  const noteAhead = (first: number, { sha256 }: SegmentHeader, holds: readonly number[]): void => {
    const known = ahead.get(first);
    const seen = known?.sha256 === sha256 ? known.seen : new Set<number>();
    for (const id of holds) seen.add(id);
    ahead.delete(first);
    ahead.set(first, { sha256, seen });
    const [oldest] = ahead.keys();
    if (ahead.size > mostAhead && oldest !== undefined) ahead.delete(oldest);
  };

  const wantedBy = async ({ header, first, end }: Place, { holds, behind }: HoldsDue): Promise<Looked> => {
    if (header === 'absent') return { end, wanted: [], of: [] };
    if (header === 'unreadable') return { end, wanted: holds.map(({ id }) => id), of: [] };
    const seen = seenAhead(first, header);
    const of = [...holds, ...behind].filter(({ id }) => !seen.has(id));
    const ids = of.map(({ id }) => id);
    const looked = { end, of: ids };
    if (of.length === 0) return { ...looked, wanted: [] };
    const { held, gone } = await table.between(first, end, of);
    if (!gone || held.length === of.length) return { ...looked, wanted: held };
    const segment = await places.whole(first);
    if (segment === undefined) return { ...looked, wanted: ids };
    const others = of.filter(({ id }) => !held.includes(id));
    try {
      const wanted = [...held, ...(await heldInSegment(segment, others, breathe))];
      // One of another length, that the key has signed too.
      const same = segment.header.sha256 === header.sha256;
      return { end: segment.header.last + 1, wanted, of: same ? ids : [] };
    } catch (error) {
      if (error instanceof SegmentError) return { ...looked, wanted: ids };
      throw error;
    }
  };
  // The log's time stands still where the clock once was, which may be far ahead.
  const isYoung = async (entry: number): Promise<boolean> =>
    !archivedAt.some(({ entries, at }) => entry < entries && clock.monotonic() - at >= ageMs) &&
    timeOfEntry((await store.entries(entry, 1))[0]) > clock.now() - ageMs;
  /** Holds of which it is known where they begin. */
  const begun = new Set<number>();
  /** Has a hold from a time on begin there, where it is still before that. @returns whether one does */
  const skip = async ({ from, holds }: HoldsDue, archived: number): Promise<boolean> => {
    for (const hold of holds) {
      const { since } = hold.terms;
      if (since === undefined || begun.has(hold.id)) continue;
      const first = await places.before(since, archived);
      begun.add(hold.id);
      if (first <= from) continue;
      await table.looked({ from, holds: [hold] }, first, { segment: from, holds: [] });
      return true;
    }
    return false;
  };
  /** Looks at the next segment for those holds that have seen the least, or the most, and there for all that have seen less. @returns false: there is none yet */
  const look = async (which: 'least' | 'most'): Promise<boolean> => {
    const { entries: archived } = await store.archived();
    noteArchived(archived);
    const due = await table.due(archived, which);
    if (due === undefined) return false;
    if (which === 'least') for (const first of ahead.keys()) if (first < due.from) ahead.delete(first);
    if (await skip(due, archived)) return true;
    // Most often that of its first entry is enough, and it is not read.
    if (await isYoung(due.from)) return false;
    const place = await places.at(due.from, archived);
    if (place === undefined || (await isYoung(place.end - 1))) return false;
    const { end, wanted, of } = await wantedBy(place, due);
    await table.looked(due, end, { segment: place.first, holds: wanted });
    const { header, first } = place;
    if (due.behind.length > 0 && of.length > 0 && typeof header === 'object') noteAhead(first, header, of);
    return true;
  };
  /**
   * Puts the hold on the version that the log's key has signed, whatever others have laid over or below it; where none is signed on all that there
   * are. Takes it off them all.
   *
   * @returns false: there is no such segment
   */
  const holdAt = async (entry: number, wanted: boolean): Promise<boolean> => {
    const [there] = await store.entries(entry, 1);
    const name = segmentKey(log ?? '', entry, timeOfEntry(there));
    const versions = await objects.versions(name);
    if (versions === undefined) return false;
    let { ids } = versions;
    // What is alone there need not be read for that.
    if (wanted && ids.length > 1) {
      const signed = (await findSegment(objects, name, log ?? '', keys))?.signed;
      if (signed !== undefined) ids = [signed.version];
    }
    for (const version of ids) await objects.hold(name, version, wanted);
    return true;
  };
  const carryOutOne = async (segment: number, wanted: boolean): Promise<void> => {
    if (!(await holdAt(segment, wanted))) await table.absent(segment);
    // Where it is wanted by now, or no more, it is to be done again.
    else if (await table.settle(segment, wanted, clock.now())) options.onDone?.(wanted ? 'placed' : 'taken_off');
  };
  /** The last segment that was tried: a round that was broken off is gone on with behind it. */
  let tried = -1;
  /**
   * Does what is to be done, for some seconds; what fails keeps nothing behind it from being done.
   *
   * @returns whether anything was
   */
  const carryOut = async (fail: (error: unknown) => void): Promise<boolean> => {
    const end = clock.monotonic() + lookMs;
    let [did, inARow, from] = [false, 0, tried];
    for (;;) {
      const all = await table.todo(atOnce, tried);
      for (const { segment, wanted } of all) {
        if (closed) return false;
        tried = segment;
        try {
          await carryOutOne(segment, wanted);
          [did, inARow] = [true, 0];
        } catch (error) {
          fail(error);
          if (++inARow >= mostInARow) return did;
        }
        if (clock.monotonic() >= end) return did;
      }
      if (all.length === atOnce) continue;
      tried = -1;
      if (from === -1) return did;
      from = -1;
    }
  };
  /** Looks for some seconds at what is to be looked at: by turns for those holds that have seen the most, to which new segments come, and the least. */
  const lookOn = async (): Promise<boolean> => {
    const end = clock.monotonic() + lookMs;
    let did = false;
    while (!closed && !kicked && clock.monotonic() < end) {
      const found = [await look('most'), await look('least')];
      if (!found.includes(true)) return did;
      did = true;
    }
    return did;
  };
  /** @returns whether anything was done */
  const round = async (fail: (error: unknown) => void): Promise<boolean> => {
    const [first] = await store.entries(0, 1);
    if (first === undefined) return false;
    log ??= logId(first.text);
    if (clock.monotonic() - lookedAgain >= againLookMs) {
      await table.again(clock.now(), againMs);
      lookedAgain = clock.monotonic();
    }
    const did = await carryOut(fail);
    return (await lookOn()) || did;
  };

  let [waiting, unread]: [number | undefined, number | undefined] = [undefined, undefined];
  const count = async (): Promise<void> => {
    const { holds, toFree } = await table.counts();
    const { entries: archived } = await store.archived();
    const least = Math.min(archived, ...holds.map(({ lookedTo }) => lookedTo));
    const behind = least < archived && !(await isYoung(least)) ? archived - least : 0;
    [waiting, unread] = [holds.reduce((sum, one) => sum + one.waiting, toFree), behind];
  };
  const run = async (): Promise<void> => {
    let failures = 0;
    let told = '';
    while (!closed) {
      const failed: unknown[] = [];
      const fail = (error: unknown): void => void failed.push(error);
      kicked = false;
      const more = await round(fail).catch((error: unknown) => {
        fail(error);
        return false;
      });
      await count().catch(fail);
      if (closed) return;
      const [error] = failed;
      if (error === undefined) {
        [failures, told] = [0, ''];
        if (!more && !kicked) await pause(lookMs * (0.5 + random()));
        continue;
      }
      options.onFailure?.();
      const why = error instanceof CodedError ? error.message : describeError(error);
      if (why !== told) logger.error('holds were not brought into the archive: tried again', { error: why });
      told = why;
      const longest = Math.min(retryMs.longest, retryMs.first * 2 ** Math.min(failures, 16));
      failures += 1;
      if (!more) await pause(longest * (0.5 + random() / 2));
    }
  };
  const running = run();
  return {
    get waiting() {
      return waiting;
    },
    get unread() {
      return unread;
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
