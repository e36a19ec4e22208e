import type { RecordedAct } from './recorded-session.ts';

/** A rule that acted, with what found something. */
export interface Finding {
  readonly rule: string;
  readonly by: readonly string[];
  /** How often; undefined: nobody counted. */
  readonly count: number | undefined;
}

/** The acts of these kinds, one for each rule. */
export function findingsOf(
  acts: readonly (Pick<RecordedAct, 'rule'> & {
    readonly act: string;
    readonly by?: readonly string[];
    readonly count?: number | undefined;
  })[],
  ...kinds: readonly string[]
): readonly Finding[] {
  const found = new Map<string, Finding>();
  for (const { rule, act, by = [], count } of acts) {
    if (!kinds.includes(act)) continue;
    const known = found.get(rule);
    const sum =
      known === undefined ? count : known.count === undefined || count === undefined ? undefined : known.count + count;
    found.set(rule, { rule, by: [...new Set([...(known?.by ?? []), ...by])], count: sum });
  }
  return [...found.values()];
}

/** What stands in `by` for what has no name of its own: of two rules it may be two things. */
const nameless: ReadonlySet<string> = new Set(['pattern', 'word', 'field', 'size']);

/**
 * The rules whose findings others do not have. A rule is known by its name; one of a policy that is not there under its name, by the rule's own.
 * What one detector found, another rule with that detector finds, where `standsIn` says that it reaches that.
 *
 * @param counted both looked at the same text: then a rule that finds something less often has lost something
 * @param standsIn whether others can find what the rule found by a detector; default: they can
 */
export function missingFrom(
  others: readonly Finding[],
  ones: readonly Finding[],
  {
    policies,
    counted,
    standsIn = () => true,
  }: {
    readonly policies: ReadonlySet<string>;
    readonly counted: boolean;
    readonly standsIn?: (rule: string, by: string) => boolean;
  },
): readonly Finding[] {
  const alike = (a: string, b: string): boolean => a === b || (renamed(a, b, policies) && nameOf(a) === nameOf(b));
  return ones.filter((one) => {
    const same = others.find((other) => alike(one.rule, other.rule));
    if (counted && same?.count !== undefined && one.count !== undefined && same.count < one.count) return true;
    if (one.by.length === 0) return same === undefined;
    return !one.by.every(
      (by) =>
        same?.by.includes(by) === true ||
        (!nameless.has(by) && others.some((other) => other.by.includes(by)) && standsIn(one.rule, by)),
    );
  });
}

const nameOf = (rule: string): string => rule.slice(rule.lastIndexOf('/') + 1);
const policyOf = (rule: string): string => rule.slice(0, Math.max(0, rule.lastIndexOf('/')));

/** Policies by two names, of which one alone is among those that are tested. */
const renamed = (a: string, b: string, policies: ReadonlySet<string>): boolean =>
  policies.has(policyOf(a)) !== policies.has(policyOf(b));
