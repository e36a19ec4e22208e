const unit: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** RFC 3339, also without seconds; a day alone is its beginning in UTC. */
const form =
  /^((?!00)[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))?$/;

/** NaN: it is no time of the calendar, such as the 31st of February, or one of nobody knows which zone. */
function calendarTime(text: string): number {
  const [found, day = '', offset] = form.exec(text) ?? [];
  const midnight = found === undefined ? Number.NaN : Date.parse(day);
  // The 31st of February would be a day of March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return Number.NaN;
  return offset === undefined ? midnight : Date.parse(text.replace(' ', 'T').toUpperCase());
}

/** Whether it is a day of the calendar, as 2026-11-26. */
export const isDay = (text: string): boolean => text.length === 10 && !Number.isNaN(calendarTime(text));

/** A time as people give it: so long ago, a day, or RFC 3339 with its offset. @returns Epoch milliseconds. @throws Error in words */
export function timeOf(text: string, now: number): number {
  const [, count, letter = ''] = /^([0-9]{1,6})([smhdw])$/.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * (unit[letter] ?? 0);
  const at = calendarTime(text);
  if (Number.isNaN(at))
    throw new Error(`${text.slice(0, 40)} is no time: 10m, 6h, 7d, 2026-11-26 (UTC) or 2026-11-26T12:00:00Z`);
  return at;
}

/** @throws Error in words, where nothing can be between two times */
export function refuseEmptyRange(since: unknown, until: unknown): void {
  if (typeof since === 'number' && typeof until === 'number' && since >= until)
    throw new Error('--until is not after --since: nothing is between them');
}
