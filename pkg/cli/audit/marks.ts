import type { JsonNode } from '../../base/index.ts';
import { foundRows, foundText } from '../found-text.ts';
import type { FoundRow } from '../found-text.ts';

/** A rule that acted in a session, as its end says. */
export interface ActedRule {
  readonly rule: string;
  readonly act: string;
  /** Names of detectors, `pattern`, `word` or `field`. */
  readonly by: readonly string[];
  /** How often; undefined: not said. */
  readonly count?: number;
  /** How certain it was. Absent: not said. */
  readonly found?: readonly FoundRow[];
}

/** Part of a recorded text in which something stands in place of what was there. */
export interface Mark {
  /** UTF-16 units of the text. */
  readonly from: number;
  readonly to: number;
  /** Rules that acted and may have put it there. None: it looks like a replacement, and perhaps hides something in the record alone. */
  readonly rules: readonly ActedRule[];
}

/** As pkg/detect/scan/replacement.ts writes them: a rule's name, perhaps with a hash; or four stars and what a rule keeps. */
const replacement = /\[([\p{L}\d][\p{L}\d_ .-]{0,62})(?::[0-9a-f]{8})?\](?!\()|(?<!\*)\*{4}(?!\*)[\p{L}\p{N}]{0,64}/gu;
/** Of a footnote, and of a box of a list. */
const footnote = /^(?:\d+|.)$/u;
const without: ReadonlySet<string> = new Set(['allowed', 'denied', 'limited']);

/**
 * @param end The end of a session; undefined: it has not come, and nothing says which rules acted
 * @param of `observed`: those that policies in Observe mode would have let act
 */
export function actedRules(end: JsonNode | undefined, of: 'rules' | 'observed' = 'rules'): readonly ActedRule[] {
  return (end?.get(of)?.items ?? []).map((act) => {
    const count = act.get('count')?.number;
    const by = (act.get('by')?.items ?? []).map((one) => one.string ?? '');
    const found = foundRows(act);
    return {
      rule: act.get('rule')?.string ?? '',
      act: act.get('act')?.string ?? '',
      by,
      ...(count === undefined ? {} : { count }),
      ...(found.length === 0 ? {} : { found }),
    };
  });
}

/**
 * What was replaced in a text, in order. The record says which rules acted, not where: a rule is named where its name stands in the text, and
 * each that masked something where four stars do. A constant that a policy chose looks like any text.
 */
export function marksIn(text: string, rules: readonly ActedRule[]): readonly Mark[] {
  const found = rules.filter(({ act }) => !without.has(act));
  return [...text.matchAll(replacement)].flatMap(({ 0: whole, 1: label, index }): readonly Mark[] => {
    const own = found.filter(({ rule, act }) =>
      label === undefined ? act === 'masked' : rule.slice(rule.lastIndexOf('/') + 1) === label,
    );
    if (own.length === 0 && label !== undefined && footnote.test(label)) return [];
    return [{ from: index, to: index + whole.length, rules: own }];
  });
}

/** `support/personal: masked by Email (Certain: Format), 2 places` */
export function ruleText({ rule, act, by, count, found = [] }: ActedRule): string {
  const times = count === undefined ? '' : `, ${count} ${count === 1 ? 'place' : 'places'}`;
  return `${rule}: ${act}${by.length === 0 ? '' : ` by ${foundText(by, found)}`}${times}`;
}
