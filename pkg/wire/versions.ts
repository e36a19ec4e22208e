import type { SeenVersions } from './messages.ts';

/** Both are decimal digits without leading zeros. */
const before = (a: string, b: string): boolean => (a.length === b.length ? a < b : a.length < b.length);

/**
 * Whether `next` lags behind `known` in any kind. A kind that is missing lags: whoever has not seen it at all may lack
 * what was already in force.
 */
export function isBehind(next: SeenVersions, known: SeenVersions): boolean {
  return Object.entries(known).some(([kind, version]) => {
    const other = Object.hasOwn(next, kind) ? next[kind] : undefined;
    return other === undefined || before(other, version);
  });
}

/** For each kind the newer one. */
export function newest(a: SeenVersions, b: SeenVersions): SeenVersions {
  const result = Object.create(null) as Record<string, string>;
  for (const seen of [a, b])
    for (const [kind, version] of Object.entries(seen)) {
      const known = result[kind];
      if (known === undefined || before(known, version)) result[kind] = version;
    }
  return result;
}
