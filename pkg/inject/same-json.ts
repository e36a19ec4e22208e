import { isRecord } from './pod.ts';

/**
 * Whether two JSON values are equal, members in any order. Not `isDeepStrictEqual`, which also compares prototypes: objects
 * of the strict parser have none, so that a key `__proto__` is a key.
 */
export function sameJson(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => sameJson(item, b[at]));
  if (!isRecord(a) || !isRecord(b)) return Object.is(a, b);
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
  );
}
