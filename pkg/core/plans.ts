import { certainties } from './certainty.ts';
import type { AllowSpec } from './certainty.ts';
import type { CallerBits, CallerTable } from './caller-table.ts';
import { combination, exposure, isStricter, mergeSet } from './combination.ts';
import { expandDetector } from './detector-names.ts';
import { defaultTerms } from './detector-terms.ts';
import type { PolicyEntry } from './order.ts';
import type { Action } from './policy.ts';
import type { ProviderScope } from './providers.ts';
import type { ScanEntry } from './scan-rules.ts';
import type {
  GuardOutcome,
  RequestPlan,
  ResponsePlan,
  ResponsePlanLimits,
  RuleSelection,
  ScanRule,
} from './snapshot.ts';
import { subjectsTest } from './subjects.ts';

/** A response limit with the index of its callers in the caller table. */
export interface LimitEntry {
  readonly subjects: number;
  readonly limits: ResponsePlanLimits;
}

export const noResponseLimits: ResponsePlanLimits = {
  maxBytes: undefined,
  maxDurationMs: undefined,
  minDurationMs: undefined,
  padToMultipleOf: undefined,
  cadenceMs: undefined,
};

const rows = {
  maxBytes: combination['responseLimits.maxBytes'],
  maxDurationMs: combination['responseLimits.maxDurationMs'],
  minDurationMs: combination['responseLimits.minDurationMs'],
  padToMultipleOf: combination['responseLimits.padToMultipleOf'],
  cadenceMs: combination['responseLimits.cadenceMs'],
} as const;
const names = ['maxBytes', 'maxDurationMs', 'minDurationMs', 'padToMultipleOf', 'cadenceMs'] as const;

function strictestLimits(a: ResponsePlanLimits, b: ResponsePlanLimits): ResponsePlanLimits {
  return {
    maxBytes: mergeSet(rows.maxBytes, a.maxBytes, b.maxBytes),
    maxDurationMs: mergeSet(rows.maxDurationMs, a.maxDurationMs, b.maxDurationMs),
    minDurationMs: mergeSet(rows.minDurationMs, a.minDurationMs, b.minDurationMs),
    padToMultipleOf: mergeSet(rows.padToMultipleOf, a.padToMultipleOf, b.padToMultipleOf),
    cadenceMs: mergeSet(rows.cadenceMs, a.cadenceMs, b.cadenceMs),
  };
}

/** Only of enforcing policies: one that observes alters nothing. */
export function compileResponseLimits(
  entries: readonly PolicyEntry[],
  scopes: ReadonlyMap<PolicyEntry, ProviderScope>,
  table: CallerTable,
): readonly LimitEntry[] {
  return entries
    .filter((entry) => entry.enforces)
    .flatMap((entry) => {
      const scope = scopes.get(entry);
      if (scope === undefined) return [];
      return entry.policy.spec.responseLimits.map(({ subjects, ...limits }) => ({
        subjects: table.add(subjectsTest(subjects, scope, 'restrict')),
        limits,
      }));
    });
}

/** How a finding is kept from a caller; more is stricter. */
const level: Readonly<Record<Exclude<Action, 'Flag'>, number>> = { Mask: 1, RequireApproval: 2, Block: 3 };

/** What a plan hides of one thing that can be found: by what strength, and how much its replacement shows. */
interface Hidden {
  readonly level: number;
  readonly exposure: number;
}

const detectorAtom = 'detector ';
/** What stands behind the name of a detector's atom of which not all counts: what is allowed. Words and patterns may hold the same letters. */
const butFor = ' but for ';

/** A detector's findings, by how certain they are: those from where the rule takes them on. */
function detectorAtoms(rule: ScanRule): readonly string[] {
  return rule.match.detectors
    .flatMap((name) => expandDetector(name) ?? [])
    .flatMap((name) => {
      const { from, allow } = rule.terms?.[name] ?? defaultTerms;
      const allowed = allow.length === 0 ? '' : `${butFor}${JSON.stringify(allow.map(sortedAllow))}`;
      return certainties
        .slice(certainties.indexOf(from))
        .map((certainty) => `${detectorAtom}${name} ${certainty}${allowed}`);
    });
}

const sortedAllow = ({ sets, values }: AllowSpec): readonly (readonly string[])[] => [
  [...sets].sort(),
  [...values].sort(),
];

/** The things that a rule finds, one by one, spelled the same in every snapshot. */
function atomsOf(rule: ScanRule): readonly string[] {
  return [
    ...detectorAtoms(rule),
    ...rule.match.patterns.map(({ pattern, maxLength }) => `pattern ${maxLength} ${pattern}`),
    ...rule.match.words.map((word) => `word ${word}`),
    ...rule.fields.map((field) => `field ${field}`),
  ];
}

class CompiledResponsePlan implements ResponsePlan {
  readonly mask: RuleSelection;
  readonly block: RuleSelection;
  readonly approve: RuleSelection;
  readonly flag: RuleSelection;
  readonly scan: RuleSelection;
  readonly record: RuleSelection;
  readonly limits: ResponsePlanLimits;
  readonly #hidden: ReadonlyMap<string, Hidden>;

  constructor(
    selections: Pick<ResponsePlan, 'mask' | 'block' | 'approve' | 'flag' | 'scan' | 'record'>,
    limits: ResponsePlanLimits,
    hiding: readonly ScanEntry[],
  ) {
    this.mask = selections.mask;
    this.block = selections.block;
    this.approve = selections.approve;
    this.flag = selections.flag;
    this.scan = selections.scan;
    this.record = selections.record;
    this.limits = limits;
    const hidden = new Map<string, Hidden>();
    for (const { rule } of hiding) {
      const { action } = rule;
      if (action === 'Flag') continue;
      for (const atom of atomsOf(rule)) {
        const before = hidden.get(atom);
        // Of findings with one extent the first rule in policy order replaces; the strongest action decides.
        hidden.set(atom, {
          level: Math.max(before?.level ?? 0, level[action]),
          exposure: before?.exposure ?? exposure(rule.replacement),
        });
      }
    }
    this.#hidden = hidden;
  }

  coveredBy(next: ResponsePlan): boolean {
    if (next === this) return true;
    // A plan that this compiler did not make says nothing about what it hides.
    if (!(next instanceof CompiledResponsePlan)) return false;
    for (const [atom, wanted] of next.#hidden) if (!this.#hides(atom, wanted)) return false;
    return names.every((name) => !isStricter<number>(rows[name], this.limits[name], next.limits[name]));
  }

  /** Where all of a detector's findings are hidden, so are those that are left when some are allowed. */
  #hides(atom: string, wanted: Hidden): boolean {
    const all = atom.startsWith(detectorAtom) ? atom.split(butFor, 1) : [];
    return [atom, ...all].some((one) => {
      const held = this.#hidden.get(one);
      return held !== undefined && held.level >= wanted.level && held.exposure <= wanted.exposure;
    });
  }
}

/**
 * Plans by caller. Equal outcomes are one object, so that plans and selections can key caches: there are as many as
 * there are different outcomes in the policy, not as there are callers.
 */
export class Planner {
  readonly #entries: readonly ScanEntry[];
  readonly #limits: readonly LimitEntry[];
  readonly #selections = new Map<string, RuleSelection>();
  readonly #requestPlans = new Map<RuleSelection, RequestPlan>();
  readonly #responsePlans = new Map<string, ResponsePlan>();
  /** What each rule does in a request; undefined: it does not read them. */
  readonly #outcomes: readonly (GuardOutcome | undefined)[];
  readonly #record: RuleSelection;

  constructor(entries: readonly ScanEntry[], limits: readonly LimitEntry[]) {
    this.#entries = entries;
    this.#limits = limits;
    this.#outcomes = entries.map(({ rule: { id, on, action, inRequests, enforce } }) => {
      const acts = on === 'Request' ? action : inRequests;
      return acts === undefined ? undefined : { rule: id, action: acts, enforce };
    });
    // What detectors find is data, whatever is done about it; words and patterns of a guard that asks or flags are what people must read.
    this.#record = this.#select(
      ({ kind, rule }) =>
        kind === 'label' || rule.action === 'Mask' || rule.action === 'Block' || rule.match.detectors.length > 0,
    );
  }

  #select(wanted: (entry: ScanEntry) => boolean): RuleSelection {
    const selection = Uint8Array.from(this.#entries, (entry) => (wanted(entry) ? 1 : 0));
    const key = selection.join('');
    const known = this.#selections.get(key);
    if (known !== undefined) return known;
    this.#selections.set(key, selection);
    return selection;
  }

  requestPlan(bits: CallerBits): RequestPlan {
    const selection = this.#select((entry) => this.#outcomes[entry.rule.index] !== undefined && entry.applies(bits));
    const known = this.#requestPlans.get(selection);
    if (known !== undefined) return known;
    const outcomes = this.#outcomes.map((outcome, index) => (selection[index] === 1 ? outcome : undefined));
    const plan = { selection, outcomes, inspects: outcomes.some((outcome) => outcome?.enforce === true) };
    this.#requestPlans.set(selection, plan);
    return plan;
  }

  responsePlan(bits: CallerBits): ResponsePlan {
    const applying = this.#entries.filter((entry) => entry.rule.on === 'Response' && entry.applies(bits));
    const limits = this.#limits
      .filter((entry) => bits[entry.subjects] === 1)
      .map((entry) => entry.limits)
      .reduce(strictestLimits, noResponseLimits);
    const key = `${applying.map((entry) => entry.rule.index).join(',')} ${names.map((name) => limits[name] ?? '').join(',')}`;
    const known = this.#responsePlans.get(key);
    if (known !== undefined) return known;
    const hiding = applying.filter((entry) => entry.rule.enforce && entry.rule.action !== 'Flag');
    const acting = (action: Action): RuleSelection =>
      this.#select((entry) => hiding.includes(entry) && entry.rule.action === action);
    const plan = new CompiledResponsePlan(
      {
        mask: acting('Mask'),
        block: acting('Block'),
        approve: acting('RequireApproval'),
        flag: this.#select((entry) => applying.includes(entry) && !hiding.includes(entry)),
        scan: this.#select((entry) => applying.includes(entry)),
        record: this.#record,
      },
      limits,
      hiding,
    );
    this.#responsePlans.set(key, plan);
    return plan;
  }
}
