import type { RuleSelection } from '../core/index.ts';

/** Set algebra on rule selections; results are new objects, so callers keep them with the plan that they belong to. */
export const none = (size: number): RuleSelection => new Uint8Array(size);

export function union(...sets: readonly RuleSelection[]): RuleSelection {
  const result = new Uint8Array(Math.max(0, ...sets.map((set) => set.length)));
  for (const set of sets) set.forEach((bit, index) => (result[index] = (result[index] ?? 0) | bit));
  return result;
}

export function minus(from: RuleSelection, ...sets: readonly RuleSelection[]): RuleSelection {
  const result = Uint8Array.from(from);
  for (const set of sets) set.forEach((bit, index) => bit === 1 && (result[index] = 0));
  return result;
}

export const equal = (a: RuleSelection, b: RuleSelection): boolean => Buffer.compare(a, b) === 0;

export const isEmpty = (set: RuleSelection): boolean => set.every((bit) => bit === 0);

export function grow(set: RuleSelection, size: number): RuleSelection {
  if (set.length === size) return set;
  const result = new Uint8Array(size);
  result.set(set.subarray(0, size));
  return result;
}
