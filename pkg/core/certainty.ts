/** How sure a detector is of what it found, rising. */
export const certainties = ['Possible', 'Likely', 'Certain'] as const;
export type Certainty = (typeof certainties)[number];

/** From where on a detector counts where no policy says. */
export const defaultCertainty: Certainty = 'Likely';

/**
 * What a certainty rests on, of several the one that decided. A closed list: it stands in records and metrics, and says nothing of the value.
 *
 * `CheckDigits`: check digits or a checksum hold. `Spelling`: it is written as such values are. `TellingWord`: a word or key beside it tells of it.
 * `Prefix`: it begins as nothing else does. `Entropy`: it looks drawn by chance. `Format`: its structure alone. `OtherWord`: a word beside it
 * tells of something else. `CutShort`: its end is missing, so that it counts from whichever certainty on. `Policy`: the policy itself names it, as a
 * word, a pattern or a field.
 */
export const findingReasons = [
  'CheckDigits',
  'Spelling',
  'TellingWord',
  'Prefix',
  'Entropy',
  'Format',
  'OtherWord',
  'CutShort',
  'Policy',
] as const;
export type FindingReason = (typeof findingReasons)[number];

/** What is said of a finding, beside where it is. */
export interface Said {
  readonly certainty: Certainty;
  readonly reason: FindingReason;
}

/** Of what a policy itself names. */
export const saidOfNamed: Said = { certainty: 'Certain', reason: 'Policy' };

/** Well-known values that name no person and open nothing (pkg/detect/allow has them). */
export const allowSets = ['TestCards', 'DocumentationAddresses', 'ExampleDomains'] as const;
export type AllowSet = (typeof allowSets)[number];

/** What detectors may find without its being a finding. */
export interface AllowSpec {
  readonly sets: readonly AllowSet[];
  /** Compared as a reader sees them, in any case; of digits and what groups them the digits alone. */
  readonly values: readonly string[];
}
