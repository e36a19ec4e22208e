import { defaultCertainty } from './certainty.ts';
import type { AllowSpec, Certainty } from './certainty.ts';
import { expandDetector } from './detector-names.ts';
import type { DetectorName } from './detector-names.ts';
import type { MatchSpec } from './policy.ts';

/** On which terms a rule takes what one detector finds. */
export interface DetectorTerms {
  /** Findings that are less certain do not count. */
  readonly from: Certainty;
  /** What each of these allows is no finding. Empty: nothing is allowed. */
  readonly allow: readonly AllowSpec[];
}

/** Where no policy says anything. */
export const defaultTerms: DetectorTerms = { from: defaultCertainty, allow: [] };

/** By detector; one that is not here is taken by {@link defaultTerms}. */
export type TermsByDetector = Readonly<Partial<Record<DetectorName, DetectorTerms>>>;

const isEmpty = ({ sets, values }: AllowSpec): boolean => sets.length + values.length === 0;

function fromOf({ certainty, certaintyOf = [] }: MatchSpec, name: DetectorName): Certainty {
  // What is said of a detector itself goes before what is said of its class.
  const own = certaintyOf.find(({ detector }) => detector === name);
  const exception = own ?? certaintyOf.find(({ detector }) => expandDetector(detector)?.includes(name) === true);
  return exception?.certainty ?? certainty ?? defaultCertainty;
}

/** The terms of all detectors that some parts of one rule look for: of each, the lowest certainty, and what all who look for it allow. */
export function termsOf(parts: readonly MatchSpec[], combine: CombineTerms): TermsByDetector {
  const terms: Partial<Record<DetectorName, DetectorTerms>> = {};
  for (const match of parts) {
    for (const name of new Set(match.detectors.flatMap((one) => expandDetector(one) ?? []))) {
      const allow = match.allow === undefined || isEmpty(match.allow) ? [] : [match.allow];
      const own = { from: fromOf(match, name), allow };
      const known = terms[name];
      terms[name] =
        known === undefined
          ? own
          : { from: combine.from(known.from, own.from), allow: combine.allow(known.allow, own.allow) };
    }
  }
  return Object.fromEntries(
    Object.entries(terms).filter(([, { from, allow }]) => from !== defaultCertainty || allow.length > 0),
  );
}

/** The rows of the table of combinations (combination.ts). */
export interface CombineTerms {
  from(first: Certainty, second: Certainty): Certainty;
  allow(first: readonly AllowSpec[], second: readonly AllowSpec[]): readonly AllowSpec[];
}
