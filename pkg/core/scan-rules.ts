import { defaultTerms, termsOf } from './detector-terms.ts';
import type { CombineTerms, DetectorTerms, TermsByDetector } from './detector-terms.ts';
import type { CallerBits, CallerTable } from './caller-table.ts';
import { combination, exposure, mergeSet } from './combination.ts';
import { expandDetector } from './detector-names.ts';
import type { DetectorName } from './detector-names.ts';
import { ruleId } from './order.ts';
import type { PolicyEntry } from './order.ts';
import type { ClassificationRule, GuardRule, MatchSpec, Replacement, SubjectSpec } from './policy.ts';
import { PolicyError } from './policy-error.ts';
import type { ProviderScope } from './providers.ts';
import type { PolicyNotice, RuleId, ScanRule } from './snapshot.ts';
import { everyCaller, subjectsTest } from './subjects.ts';

/** A scan rule with what happens to whom when it finds something. */
export interface ScanEntry {
  readonly rule: ScanRule;
  readonly kind: 'guard' | 'label';
  /** Policies whose words are in it: one for a guard, all that name the label. */
  readonly policies: readonly string[];
  /** Guards: the caller is among its subjects. Labels: the caller may not see it. */
  applies(bits: CallerBits): boolean;
}

type Draft = Omit<ScanEntry, 'rule'> & { readonly rule: Omit<ScanRule, 'index'> };

export interface ScanRules {
  readonly entries: readonly ScanEntry[];
  readonly notices: readonly PolicyNotice[];
}

const label: Replacement = { style: 'Label' };

const combineTerms: CombineTerms = {
  from: combination['classification.certainty'].merge,
  allow: combination['classification.allow'].merge,
};

/** Absent where nothing is said: then rules of older policies are what they were. */
function termsField(parts: readonly MatchSpec[]): { readonly terms?: TermsByDetector } {
  const terms = termsOf(parts, combineTerms);
  return Object.keys(terms).length === 0 ? {} : { terms };
}

function knownMatch(match: MatchSpec, rule: RuleId): MatchSpec {
  for (const name of match.detectors) {
    if (expandDetector(name) === undefined) {
      throw new PolicyError('unknown_detector', `${rule}: there is no detector named ${name}`);
    }
  }
  return match;
}

function guardDraft(entry: PolicyEntry, guard: GuardRule, scope: ProviderScope, table: CallerTable): Draft {
  const id = ruleId(entry, guard.name);
  const bit = table.add(guard.subjects.length === 0 ? everyCaller : subjectsTest(guard.subjects, scope, 'restrict'));
  return {
    rule: {
      id,
      label: guard.name,
      on: guard.on,
      match: knownMatch(guard.match, id),
      ...termsField([guard.match]),
      fields: [],
      replacement: guard.replacement ?? label,
      action: guard.action,
      enforce: entry.enforces,
    },
    kind: 'guard',
    policies: [entry.label],
    applies: (bits) => bits[bit] === 1,
  };
}

/** One policy's words on a label. */
interface LabelPart {
  readonly entry: PolicyEntry;
  readonly spec: ClassificationRule;
  readonly visible: number;
}

function sameSubjects(a: readonly SubjectSpec[], b: readonly SubjectSpec[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Detectors that one policy would take from a higher certainty on, or allow more of, than the label does. */
function lostTerms(match: MatchSpec, { terms = {} }: Agreement['terms']): { raised: string[]; lost: string[] } {
  const own = Object.entries(termsOf([match], combineTerms));
  const held = (name: string): DetectorTerms => terms[name as DetectorName] ?? defaultTerms;
  return {
    raised: own.filter(([name, { from }]) => from !== held(name).from).map(([name]) => name),
    lost: own.filter(([name, { allow }]) => allow.length > 0 && held(name).allow.length !== 1).map(([name]) => name),
  };
}

function labelNotices(
  parts: readonly LabelPart[],
  merged: Pick<ClassificationRule, 'otherwise' | 'inRequests' | 'replacement'> & Pick<Agreement, 'terms'>,
): PolicyNotice[] {
  const [first] = parts;
  if (first === undefined || parts.length < 2) return [];
  const field = `classification[${first.spec.label}]`;
  return parts.flatMap(({ entry, spec }) => {
    const notice = (name: string, message: string): PolicyNotice => ({
      policy: entry.label,
      field: `${field}.${name}`,
      message,
    });
    const { raised, lost } = lostTerms(spec.match, merged.terms);
    const others = parts.filter((part) => part.entry !== entry && !sameSubjects(part.spec.visibleTo, spec.visibleTo));
    return [
      ...(spec.otherwise === merged.otherwise
        ? []
        : [
            notice(
              'otherwise',
              `${spec.otherwise} gives way to ${merged.otherwise}: ${combination['classification.otherwise'].rule}`,
            ),
          ]),
      ...(spec.inRequests === undefined || spec.inRequests === merged.inRequests
        ? []
        : [
            notice(
              'inRequests',
              `${spec.inRequests} gives way to ${String(merged.inRequests)}: ${combination['classification.inRequests'].rule}`,
            ),
          ]),
      ...(spec.replacement === undefined || JSON.stringify(spec.replacement) === JSON.stringify(merged.replacement)
        ? []
        : [
            notice(
              'replacement',
              `${spec.replacement.style} gives way to what shows less: ${merged.replacement?.style ?? 'Label'}`,
            ),
          ]),
      ...(raised.length === 0
        ? []
        : [notice('certainty', `gives way for ${raised.join(', ')}: ${combination['classification.certainty'].rule}`)]),
      ...(lost.length === 0
        ? []
        : [
            notice(
              'allow',
              `does not hold as it stands for ${lost.join(', ')}: ${combination['classification.allow'].rule}`,
            ),
          ]),
      ...(others.length === 0
        ? []
        : [
            notice(
              'visibleTo',
              `narrowed by ${others.map((part) => part.entry.label).join(', ')}: a caller must stand in every list`,
            ),
          ]),
    ];
  });
}

/** What a label finds. */
interface Finds {
  readonly match: MatchSpec;
  readonly fields: readonly string[];
}

/** What `parts` find together, without what `known` finds already: a finding is counted once. */
function finds(parts: readonly LabelPart[], known: Finds | undefined): Finds {
  const specs = parts.map((part) => part.spec);
  const fresh = (list: readonly string[], before: readonly string[] = []): readonly string[] =>
    [...new Set(list)].filter((one) => !before.includes(one));
  const patterns = specs
    .map((spec) => spec.match.patterns)
    .reduce(combination['classification.patterns'].merge)
    .filter(
      (one) =>
        known?.match.patterns.some((two) => two.pattern === one.pattern && two.maxLength === one.maxLength) !== true,
    );
  return {
    match: {
      detectors: fresh(
        specs.map((spec) => spec.match.detectors).reduce(combination['classification.detectors'].merge),
        known?.match.detectors,
      ),
      patterns,
      words: fresh(
        specs.map((spec) => spec.match.words).reduce(combination['classification.words'].merge),
        known?.match.words,
      ),
    },
    fields: fresh(specs.map((spec) => spec.fields).reduce(combination['classification.fields'].merge), known?.fields),
  };
}

/** What the policies that name a label agree on. `parts` is not empty. */
interface Agreement {
  readonly otherwise: ClassificationRule['otherwise'];
  readonly inRequests: ClassificationRule['inRequests'];
  readonly replacement: Replacement;
  readonly terms: { readonly terms?: TermsByDetector };
  readonly policies: readonly string[];
  applies(bits: CallerBits): boolean;
}

function agree(parts: readonly LabelPart[]): Agreement {
  const visible = parts.map((part) => part.visible);
  return {
    otherwise: parts.map((part) => part.spec.otherwise).reduce(combination['classification.otherwise'].merge),
    inRequests: parts
      .map((part) => part.spec.inRequests)
      .reduce((first, second) => mergeSet(combination['classification.inRequests'], first, second)),
    replacement: parts
      .map((part) => part.spec.replacement ?? label)
      .reduce(combination['classification.replacement'].merge),
    terms: termsField(parts.map((part) => part.spec.match)),
    policies: parts.map((part) => part.entry.label),
    applies: (bits) => !visible.every((bit) => bits[bit] === 1),
  };
}

function labelDraft(entry: PolicyEntry, name: string, found: Finds, agreement: Agreement): Draft {
  const id = ruleId(entry, name);
  const { otherwise, inRequests, replacement, terms, policies, applies } = agreement;
  return {
    rule: {
      id,
      label: name,
      on: 'Response',
      action: otherwise,
      ...(inRequests !== undefined && { inRequests }),
      enforce: entry.enforces,
      match: knownMatch(found.match, id),
      ...terms,
      fields: found.fields,
      replacement,
    },
    kind: 'label',
    policies,
    applies,
  };
}

function findsNothing({ match, fields }: Finds): boolean {
  return match.detectors.length + match.patterns.length + match.words.length + fields.length === 0;
}

/**
 * One policy's words on a label that others may name too. They stay in the policy's own place and under its own name: records
 * say whose words found something, and a namespace cannot put its own before another rule of the platform.
 */
function enforcedLabel(entry: PolicyEntry, parts: readonly LabelPart[]): readonly Draft[] {
  const at = parts.findIndex((part) => part.entry === entry);
  const part = parts[at];
  if (part === undefined) return [];
  const before = parts.slice(0, at);
  const found = finds([part], before.length === 0 ? undefined : finds(before, undefined));
  if (before.length > 0 && findsNothing(found)) return [];
  return [labelDraft(entry, part.spec.label, found, agree(parts))];
}

/** What a label would be if the observing policies enforced: all words together, under the first observing policy's name. */
function observedLabel(entry: PolicyEntry, all: readonly LabelPart[]): readonly Draft[] {
  const watching = all.filter((part) => !part.entry.enforces);
  const [first] = watching;
  if (first === undefined || first.entry !== entry) return [];
  const words = [...watching, ...all.filter((part) => part.entry.enforces)];
  return [labelDraft(entry, first.spec.label, finds(words, undefined), agree(words))];
}

/**
 * Guards and classification of all policies. Where two rules find the same text the first one's replacement stands, so the
 * order is: what shows less of a value before what shows more, then policy order, guards before labels within one policy.
 * By policy order alone a rule that begins to apply could show more of a value than the later rule that hid it before.
 *
 * Policies that name one label share who may see it, what happens otherwise and in requests, and the replacement. Where observing policies
 * name it, one observed rule stands beside.
 */
export function compileScanRules(
  entries: readonly PolicyEntry[],
  scopes: ReadonlyMap<PolicyEntry, ProviderScope>,
  table: CallerTable,
): ScanRules {
  const parts = new Map<string, LabelPart[]>();
  for (const entry of entries) {
    const scope = scopes.get(entry);
    if (scope === undefined) continue;
    for (const spec of entry.policy.spec.classification) {
      const visible = table.add(subjectsTest(spec.visibleTo, scope, 'permit'));
      parts.set(spec.label, [...(parts.get(spec.label) ?? []), { entry, spec, visible }]);
    }
  }
  const drafts: Draft[] = [];
  for (const entry of entries) {
    const scope = scopes.get(entry);
    if (scope === undefined) continue;
    for (const guard of entry.policy.spec.guards) drafts.push(guardDraft(entry, guard, scope, table));
    for (const { label: name } of entry.policy.spec.classification) {
      const all = parts.get(name) ?? [];
      const enforced = all.filter((part) => part.entry.enforces);
      drafts.push(...(entry.enforces ? enforcedLabel(entry, enforced) : observedLabel(entry, all)));
    }
  }
  return {
    entries: drafts
      .sort((a, b) => exposure(a.rule.replacement) - exposure(b.rule.replacement))
      .map((draft, index) => ({ ...draft, rule: { index, ...draft.rule } })),
    notices: [...parts.values()].flatMap((all) => {
      const enforced = all.filter((part) => part.entry.enforces);
      return enforced.length < 2 ? [] : labelNotices(enforced, agree(enforced));
    }),
  };
}
