import { certainties } from '../core/index.ts';
import type { Certainty, FindingReason, Said } from '../core/index.ts';

/** What is said of a finding, beside where it is: never anything of its value. There are few of them, each one object. */
export interface Verdict extends Said {
  /** The certainty as a number, rising from 0. */
  readonly level: number;
}

export const levelOf = (certainty: Certainty): number => certainties.indexOf(certainty);

/** Of detectors' own constants: nothing is made for a candidate. */
export const verdict = (certainty: Certainty, reason: FindingReason): Verdict =>
  Object.freeze({ certainty, reason, level: levelOf(certainty) });

/** Where a detector says no more than that it is one. */
export const likelyByFormat = verdict('Likely', 'Format');
export const certainByFormat = verdict('Certain', 'Format');
export const certainByPrefix = verdict('Certain', 'Prefix');
export const likelyAsTold = verdict('Likely', 'TellingWord');
export const certainAsTold = verdict('Certain', 'TellingWord');
export const likelyBySpelling = verdict('Likely', 'Spelling');
export const possibleByCheckDigits = verdict('Possible', 'CheckDigits');
export const likelyByCheckDigits = verdict('Likely', 'CheckDigits');
export const certainByCheckDigits = verdict('Certain', 'CheckDigits');
export const possiblyAnother = verdict('Possible', 'OtherWord');

/** Words, patterns and fields of a policy. */
export const namedByPolicy = verdict('Certain', 'Policy');
/** What is hidden since its end is missing: it counts whatever a policy asks for, for nobody can say what it would have been. */
export const cutShort = verdict('Possible', 'CutShort');
