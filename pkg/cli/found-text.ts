import type { JsonNode } from '../base/index.ts';

/** What is said of findings of one name. */
export interface FoundRow {
  readonly by: string;
  readonly certainty: string;
  readonly reason: string;
}

/** What the record says of what an act found. */
export const foundRows = (act: JsonNode): readonly FoundRow[] =>
  (act.get('found')?.items ?? []).map((one) => ({
    by: one.get('by')?.string ?? '',
    certainty: one.get('certainty')?.string ?? '',
    reason: one.get('reason')?.string ?? '',
  }));

/** `Email (Certain: Format), Phone (Likely: Spelling; Certain: TellingWord), word`: what the policy itself names, or nothing is said of, stands by its name alone. */
export function foundText(by: readonly string[], found: readonly FoundRow[]): string {
  return by
    .map((name) => {
      const said = found
        .filter((one) => one.by === name && one.reason !== 'Policy')
        .map(({ certainty, reason }) => `${certainty}: ${reason}`);
      return said.length === 0 ? name : `${name} (${[...new Set(said)].join('; ')})`;
    })
    .join(', ');
}
