import type { Logger } from '../../base/index.ts';
import { readHead } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import { clockSkewMs } from '../store/index.ts';
import type { RecordStore, StoredHead } from '../store/index.ts';
import { findHeader, findSegment } from './find-segment.ts';
import { dayOf, logId, readKey, segmentKey, segmentsPrefix } from './names.ts';
import type { ObjectStore } from './object-store.ts';
import type { Segment, SegmentHeader } from './segment.ts';

/** What stands in the archive from an entry on, up to another. */
export interface Place {
  /** The first entry of the segment: the one that was asked for, or one before it, whose segment holds it. */
  readonly first: number;
  readonly end: number;
  /** `unreadable`: no key of the log has signed what stands there, or the archive does not give it out. */
  readonly header: SegmentHeader | 'absent' | 'unreadable';
}

/** Segments as holds look for them: by their headers, of which a request asks for nothing more, and not by what others may have put among their names. */
export interface HeldPlaces {
  /**
   * Where a segment ends its own header says, which the log's key has signed. Where there is none that is signed, the next name that may be a segment's
   * is looked at next: what others put between, or leave out, in the bucket's names hides nothing.
   *
   * @param archived Entries that are archived. @returns undefined: nothing is there yet
   */
  at(entry: number, archived: number): Promise<Place | undefined>;
  /** The whole segment that begins with an entry; undefined: none is there that is signed, or it is not given out. */
  whole(entry: number): Promise<Segment | undefined>;
  /**
   * The first entry of a signed segment before which nothing goes with a hold from this time on; 0: none was found. It goes by the signed heads of the
   * log, and not by what anybody says of a segment's time: what stands before a head came no later than that.
   *
   * @param since Epoch milliseconds.
   */
  before(since: number, archived: number): Promise<number>;
}

/** Names before an entry that are looked at for the segment that holds it: who may write there can put as many as they like. */
const mostNames = 16;

export const timeOfEntry = (entry: { readonly text: string } | undefined): number =>
  Number(/"at":([0-9]+)/.exec(entry?.text ?? '')?.[1] ?? 0);

export function createHeldPlaces(options: {
  readonly store: Pick<RecordStore, 'entries' | 'heads'>;
  readonly objects: Pick<ObjectStore, 'get' | 'versions' | 'list' | 'folders'>;
  readonly keys: LogKeys;
  readonly logger: Logger;
  /** Told of each segment that is there and cannot be read. */
  readonly onUnreadable?: (() => void) | undefined;
}): HeldPlaces {
  const { store, objects, keys, logger } = options;
  let id: string | undefined;
  const log = async (): Promise<string> => (id ??= logId((await store.entries(0, 1))[0]?.text ?? ''));
  const timeAt = async (entry: number): Promise<number> => timeOfEntry((await store.entries(entry, 1))[0]);
  const nameOf = async (entry: number): Promise<string> => segmentKey(await log(), entry, await timeAt(entry));
  /** Whether a name is that of a segment that could begin with an entry of the log. */
  const isNamed = async (name: string, entry: number): Promise<boolean> => {
    const [there] = await store.entries(entry, 1);
    return there !== undefined && name === segmentKey(await log(), entry, timeOfEntry(there));
  };
  const headerAt = async (entry: number): Promise<SegmentHeader | undefined> =>
    (await findHeader(objects, await nameOf(entry), await log(), keys))?.signed?.segment.header;

  /** The first entry of the next segment that has a name, of what is archived; undefined: there is none. */
  const nextNamed = async (entry: number, archived: number): Promise<number | undefined> => {
    const all = segmentsPrefix(await log());
    const [day, lastDay] = [dayOf(await timeAt(entry)), dayOf(await timeAt(archived - 1))];
    for (const later of (await objects.folders(all)).filter((one) => one >= day && one <= lastDay))
      for await (const name of objects.list(`${all}${later}/`)) {
        const first = readKey(name)?.number;
        if (first === undefined || first <= entry || first >= archived) continue;
        if (await isNamed(name, first)) return first;
      }
    return undefined;
  };
  /** Names of segments that begin before an entry, the last first. */
  const namedBefore = async function* (entry: number): AsyncIterable<number> {
    const all = segmentsPrefix(await log());
    const day = dayOf(await timeAt(entry));
    const days = (await objects.folders(all)).filter((one) => one <= day);
    for (const one of days.reverse()) {
      let last: { readonly name: string; readonly first: number }[] = [];
      for await (const name of objects.list(`${all}${one}/`)) {
        const first = readKey(name)?.number;
        if (first !== undefined && first < entry) last = [...last.slice(1 - mostNames), { name, first }];
      }
      for (const { name, first } of last.reverse()) if (await isNamed(name, first)) yield first;
    }
  };
  /** The signed segment that holds an entry, and begins before it. */
  const around = async (entry: number): Promise<SegmentHeader | undefined> => {
    let names = 0;
    for await (const first of namedBefore(entry)) {
      const header = await headerAt(first);
      if (header !== undefined && header.last >= entry) return header;
      if (++names >= mostNames) return undefined;
    }
    return undefined;
  };
  /** The last head of which it is known that all before it came before a time. */
  const lastHeadBefore = async (time: number, archived: number): Promise<StoredHead | undefined> => {
    let last: StoredHead | undefined;
    for (let [low, high] = [0, archived]; low < high;) {
      const middle = Math.floor((low + high) / 2);
      const [head] = await store.heads(middle + 1, 1);
      if (head === undefined || head.size > archived || head.at >= time) high = middle;
      else [last, low] = [head, head.size];
    }
    const signed = last === undefined ? undefined : readHead(last.text, keys);
    return signed !== undefined && signed.size === last?.size && signed.at < time ? last : undefined;
  };

  return {
    async at(entry, archived) {
      const name = await nameOf(entry);
      const found = await findHeader(objects, name, await log(), keys);
      const header = found?.signed?.segment.header;
      if (header !== undefined) return { first: entry, end: header.last + 1, header };
      if (found === undefined) {
        // What was archived anew, since some of it was lost, need not begin where what is left of the first time ends.
        const held = await around(entry);
        if (held !== undefined) return { first: held.first, end: held.last + 1, header: held };
      }
      const end = await nextNamed(entry, archived);
      if (found === undefined) return end === undefined ? undefined : { first: entry, end, header: 'absent' };
      const { message = 'it is another segment' } = found.fault ?? {};
      logger.warn('a segment cannot be read, and is held for every hold', { segment: name, error: message });
      options.onUnreadable?.();
      return { first: entry, end: end ?? archived, header: 'unreadable' };
    },
    async whole(entry) {
      const name = await nameOf(entry);
      const found = await findSegment(objects, name, await log(), keys);
      if (found?.signed !== undefined) return found.signed.segment;
      const { message = 'it is not there' } = found?.fault ?? {};
      logger.warn('the lines of a segment cannot be read: it is held for every hold', {
        segment: name,
        error: message,
      });
      options.onUnreadable?.();
      return undefined;
    },
    async before(since, archived) {
      // A session that began on a clock that is a little ahead.
      const head = await lastHeadBefore(since - clockSkewMs, archived);
      if (head === undefined) return 0;
      const from = Math.min(head.size, archived - 1);
      return ((await headerAt(from)) ?? (await around(from)))?.first ?? 0;
    },
  };
}
