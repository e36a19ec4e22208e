const unit: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A time as people give it: so long ago, or RFC 3339. @returns Epoch milliseconds. @throws Error in words */
export function timeOf(text: string, now: number): number {
  const [, count, letter = ''] = /^([0-9]{1,6})([smhdw])$/.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * (unit[letter] ?? 0);
  const at = /^[0-9]{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new Error(`${text.slice(0, 40)} is no time: 10m, 6h, 7d or 2026-11-26T12:00:00Z`);
  return at;
}
