/**
 * How an archive's objects are named, below its prefix:
 *
 *     <log>/segments/2026-11-26/0000000000001234.segment
 *     <log>/heads/2026-11-26/0000000000005678.json
 *
 * `<log>` is {@link logId}. A segment is named by its first entry and that entry's day (UTC), a head by its size and the day in which it was
 * signed: names ascend as the log does, and those of a day have one prefix.
 */
import { entryLeaf } from '../../record/index.ts';

/** Which log it is: 32 digits of the leaf hash of its first entry. One that was restored is the same log. */
export const logId = (firstEntry: string): string => entryLeaf(firstEntry).toString('hex').slice(0, 32);

export const isLogId = (text: string): boolean => /^[0-9a-f]{32}$/.test(text);

const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
const padded = (number: number): string => String(number).padStart(16, '0');

/** @param at Time of the first entry, epoch milliseconds. */
export const segmentKey = (log: string, first: number, at: number): string =>
  `${log}/segments/${day(at)}/${padded(first)}.segment`;
export const headKey = (log: string, size: number, at: number): string =>
  `${log}/heads/${day(at)}/${padded(size)}.json`;

export const segmentsPrefix = (log: string): string => `${log}/segments/`;
export const headsPrefix = (log: string): string => `${log}/heads/`;

/** Number and day that a name says; undefined: it is none of an archive's. */
export function readKey(key: string): { readonly number: number; readonly day: string } | undefined {
  const [, name, digits] = /\/([0-9]{4}-[0-9]{2}-[0-9]{2})\/([0-9]{16})\.(?:segment|json)$/.exec(key) ?? [];
  const number = Number(digits);
  return name === undefined || !Number.isSafeInteger(number) ? undefined : { number, day: name };
}

export const dayOf = day;
