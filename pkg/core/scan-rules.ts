import type { CallerBits, CallerTable } from './caller-table.ts';
import { combination } from './combination.ts';
import { expandDetector } from './detector-names.ts';
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

function labelNotices(
  parts: readonly LabelPart[],
  merged: Pick<ClassificationRule, 'otherwise' | 'replacement'>,
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
      ...(spec.replacement === undefined || JSON.stringify(spec.replacement) === JSON.stringify(merged.replacement)
        ? []
        : [
            notice(
              'replacement',
              `${spec.replacement.style} gives way to what shows less: ${merged.replacement?.style ?? 'Label'}`,
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

/** One label of several policies as one rule, by the table's rows. `parts` is in policy order and not empty. */
function mergeLabel(
  parts: readonly LabelPart[],
  enforces: boolean,
): { draft: Draft; notices: PolicyNotice[] } | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const specs = parts.map((part) => part.spec);
  const id = ruleId(first.entry, first.spec.label);
  const match: MatchSpec = {
    detectors: [
      ...new Set(specs.map((spec) => spec.match.detectors).reduce(combination['classification.detectors'].merge)),
    ],
    patterns: specs.map((spec) => spec.match.patterns).reduce(combination['classification.patterns'].merge),
    words: [...new Set(specs.map((spec) => spec.match.words).reduce(combination['classification.words'].merge))],
  };
  const fields = [...new Set(specs.map((spec) => spec.fields).reduce(combination['classification.fields'].merge))];
  const otherwise = specs.map((spec) => spec.otherwise).reduce(combination['classification.otherwise'].merge);
  const replacement = specs
    .map((spec) => spec.replacement ?? label)
    .reduce(combination['classification.replacement'].merge);
  const visible = parts.map((part) => part.visible);
  return {
    draft: {
      rule: {
        id,
        label: first.spec.label,
        on: 'Response',
        match: knownMatch(match, id),
        fields,
        replacement,
        action: otherwise,
        enforce: enforces,
      },
      kind: 'label',
      policies: parts.map((part) => part.entry.label),
      applies: (bits) => !visible.every((bit) => bits[bit] === 1),
    },
    notices: labelNotices(parts, { otherwise, replacement }),
  };
}

/**
 * Guards and classification of all policies in policy order, guards before labels within one policy. A label stands where
 * its first policy stands. Enforcing policies' words on a label make one rule; where observing policies name the label too,
 * a second, observed rule is what the label would be if they enforced: all words together.
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
  const notices: PolicyNotice[] = [];
  const merged = new Set<string>();
  for (const entry of entries) {
    const scope = scopes.get(entry);
    if (scope === undefined) continue;
    for (const guard of entry.policy.spec.guards) drafts.push(guardDraft(entry, guard, scope, table));
    for (const { label: name } of entry.policy.spec.classification) {
      const key = `${entry.enforces ? 'enforced' : 'observed'} ${name}`;
      if (merged.has(key)) continue;
      merged.add(key);
      const all = parts.get(name) ?? [];
      // An observed rule is named for the policy that observes.
      const words = entry.enforces
        ? all.filter((part) => part.entry.enforces)
        : [...all.filter((part) => !part.entry.enforces), ...all.filter((part) => part.entry.enforces)];
      const one = mergeLabel(words, entry.enforces);
      if (one === undefined) continue;
      drafts.push(one.draft);
      if (entry.enforces) notices.push(...one.notices);
    }
  }
  return {
    entries: drafts.map((draft, index) => ({ ...draft, rule: { index, ...draft.rule } })),
    notices,
  };
}
