const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const multiples: Readonly<Record<string, number>> = {
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
};

/** Seven days: what a timer can still hold (2^31 ms), rounded to something that people say. */
export const longestDuration = 168 * 3_600_000;

/** `300ms`, `30s`, `2m`, `24h` in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = /^([0-9]{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : units[unit];
  return factor === undefined ? undefined : Number(digits) * factor;
}

/** `512` or 512, `1Mi`, `1MB` in bytes; undefined for anything else. */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  const [, digits, unit] = /^([0-9]{1,12})(Ki|Mi|Gi|kB|KB|MB|GB)?$/.exec(value) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Number(digits) * (unit === undefined ? 1 : (multiples[unit] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
