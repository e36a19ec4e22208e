import { labelText, replacementText } from './replacement.ts';
import type { Finding } from './finding.ts';
import { inOrder } from './in-order.ts';
import type { Plan, UnitPlan } from './plan.ts';
import type { Hit } from '../scanner.ts';

/**
 * Merges findings, given in order of their start, into components and says as early as possible what stands in place of each.
 *
 * A finding inside of an earlier one of the same unit is part of it: `\d{6,10}` on ten digits is one finding, not five. So is
 * what overlaps an open-ended finding of the same unit. It extends the component and changes nothing else.
 */

/** A component's place in the output. `end` is Infinity while it grows. */
export interface Replaced {
  readonly start: number;
  end: number;
  readonly text: string;
  /** As in {@link Edit}. */
  readonly rest?: string;
}

/** Turns a replacement into what the surrounding syntax wants. */
export type Spell = (text: string, finding: Finding) => string;

export interface ComponentSink {
  replace(component: Replaced): void;
  /** Nothing from `at` on may go out. */
  stop(hit: Hit, at: number): void;
  hit(hit: Hit): void;
}

export class Components {
  readonly #plan: Plan;
  readonly #sink: ComponentSink;
  #spell: Spell;
  #first: Finding | undefined = undefined;
  #end = 0;
  #open: Finding[] = [];
  /** Findings of the same start as the first, whose ends are compared when they are known. */
  #peers: Finding[] = [];
  #differs = false;
  #replaced: Replaced | undefined = undefined;
  /** Farthest findings of each unit in this component. */
  #reach: Finding[] = [];
  /** For each rule and kind that was counted: the findings that still cover text. */
  readonly #covers = new Map<string, Finding[]>();
  #decided = 0;
  #stopped = false;

  constructor(plan: Plan, sink: ComponentSink, spell: Spell) {
    this.#plan = plan;
    this.#sink = sink;
    this.#spell = spell;
  }

  /** Source offset before which the output is final. */
  get decided(): number {
    return this.#decided;
  }

  /** A finding ended the lane; nothing more is taken. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** For the next text of the same lane. */
  reset(source: number, spell: Spell): void {
    this.#spell = spell;
    this.#first = undefined;
    this.#covers.clear();
    this.#decided = source;
  }

  /** Takes the next findings, all that there will ever be up to the last one's start, in any order; those that no rule of the view asks for are not its own. */
  give(findings: readonly Finding[]): void {
    if (this.#stopped) return;
    const { units } = this.#plan;
    const [only] = findings;
    if (findings.length === 1 && only !== undefined) {
      const plan = units[only.unit.index];
      if (plan !== undefined) this.#add(only, plan);
      return;
    }
    const own = findings.filter((one) => units[one.unit.index] !== undefined);
    for (const one of inOrder(own, this.#order)) {
      this.#add(one, this.#planOf(one));
      if (this.#isStopped()) return;
    }
  }

  #isStopped(): boolean {
    return this.#stopped;
  }

  #planOf(finding: Finding): UnitPlan {
    return this.#plan.units[finding.unit.index] as UnitPlan;
  }

  /** Smallest start, then longest, then policy order. */
  readonly #order = (a: Finding, b: Finding): number => {
    if (a.start !== b.start) return a.start - b.start;
    if (a.openEnded !== b.openEnded) return a.openEnded ? -1 : 1;
    if (!a.openEnded && a.end !== b.end) return b.end - a.end;
    const first = this.#planOf(a).order;
    const second = this.#planOf(b).order;
    for (let at = 0; at < 3; at++) {
      const difference = (first[at] as number) - (second[at] as number);
      if (difference !== 0) return difference;
    }
    // Of one unit that found the same from two starts what is surer is said.
    return b.verdict.level - a.verdict.level;
  };

  #add(finding: Finding, plan: UnitPlan): void {
    this.#count(finding, plan);
    if (plan.replace < 0 && plan.stop < 0) return;
    if (this.#first !== undefined && finding.start >= this.#reachEnd()) this.#close();
    if (plan.stop >= 0) {
      this.#stopped = true;
      this.#sink.stop(hitOf(plan.stop, finding), this.#first?.start ?? finding.start);
      return;
    }
    if (this.#first === undefined) this.#begin(finding);
    else this.#join(finding, this.#first);
    this.#decide();
  }

  /**
   * All findings that start before `frontier` were given: what is final now?
   *
   * @param received source units received: what an open component has swallowed
   */
  advance(frontier: number, received: number): void {
    if (this.#stopped) return;
    this.#decided = Math.max(this.#decided, this.#finalUntil(frontier, received));
  }

  #finalUntil(frontier: number, received: number): number {
    const first = this.#first;
    if (first === undefined) return frontier;
    const end = this.#reachEnd();
    if (end <= frontier) {
      this.#close();
      return frontier;
    }
    this.#decide();
    if (this.#replaced === undefined) return first.start;
    return end === Number.POSITIVE_INFINITY ? received : Math.max(frontier, end);
  }

  /** The text is over, all findings have ends. */
  finish(received: number): void {
    if (this.#stopped) return;
    if (this.#first !== undefined) this.#close();
    this.#decided = received;
  }

  #begin(finding: Finding): void {
    this.#first = finding;
    this.#end = 0;
    this.#open = [];
    this.#peers = [];
    this.#reach = [finding];
    this.#differs = false;
    this.#replaced = undefined;
    this.#track(finding);
  }

  #join(finding: Finding, first: Finding): void {
    this.#track(finding);
    const at = this.#reach.findIndex((one) => one.unit === finding.unit);
    const earlier = at < 0 ? undefined : this.#reach[at];
    if (earlier !== undefined && finding.start < earlier.end && (finding.openEnded || finding.end <= earlier.end)) {
      if (finding.end > earlier.end) this.#reach[at] = finding;
      return;
    }
    if (at < 0) this.#reach.push(finding);
    else if (earlier !== undefined && finding.end > earlier.end) this.#reach[at] = finding;
    if (finding.start !== first.start) this.#differs = true;
    else this.#peers.push(finding);
  }

  #track(finding: Finding): void {
    if (finding.end === Number.POSITIVE_INFINITY) this.#open.push(finding);
    else this.#end = Math.max(this.#end, finding.end);
  }

  #reachEnd(): number {
    if (this.#open.length > 0) {
      this.#open = this.#open.filter((one) => {
        if (one.end === Number.POSITIVE_INFINITY) return true;
        this.#end = Math.max(this.#end, one.end);
        return false;
      });
      if (this.#open.length > 0) return Number.POSITIVE_INFINITY;
    }
    return this.#end;
  }

  /** Fixes the replacement as soon as nothing that may come can change it. */
  #decide(): void {
    const first = this.#first;
    if (first === undefined || this.#replaced !== undefined || this.#plan.stops) return;
    const plan = this.#planOf(first);
    const rule = this.#plan.compiled.rules[plan.replace];
    if (rule === undefined) return;
    const tooLong = plan.keepsValue && first.value === undefined;
    const differs = this.#differs || (this.#reachEnd() !== Number.POSITIVE_INFINITY && !this.#alike(first));
    if (differs || tooLong || rule.replacement.style === 'Label') this.#put(first, labelText(rule));
  }

  #close(): void {
    const first = this.#first;
    if (first === undefined) return;
    const end = this.#reachEnd();
    if (this.#replaced === undefined) {
      const { rules, hashKey } = this.#plan.compiled;
      const rule = rules[this.#planOf(first).replace];
      if (rule !== undefined) {
        const label = labelText(rule);
        const text = this.#alike(first) ? replacementText(rule, first.value, hashKey) : label;
        this.#put(first, text, rule.replacement.style === 'Partial' && text !== label ? label : undefined);
      }
    }
    const replaced = this.#replaced as Replaced | undefined;
    if (replaced !== undefined) replaced.end = end;
    this.#first = undefined;
    this.#replaced = undefined;
  }

  /** Whether all extents are those of the first finding. All ends are known. */
  #alike(first: Finding): boolean {
    return !this.#differs && this.#reachEnd() === first.end && this.#peers.every((peer) => peer.end === first.end);
  }

  #put(first: Finding, text: string, rest?: string): void {
    const replaced = { start: first.start, end: Number.POSITIVE_INFINITY, text: this.#spell(text, first) };
    this.#replaced = rest === undefined ? replaced : { ...replaced, rest: this.#spell(rest, first) };
    this.#sink.replace(this.#replaced);
  }

  /** Counts a finding for each of its rules, unless one of the same rule and kind still covers its start. */
  #count(finding: Finding, { rules, counted }: UnitPlan): void {
    for (let at = 0; at < rules.length; at++) {
      const key = counted[at] ?? '';
      const covers = this.#covers.get(key);
      const left = covers === undefined ? 0 : keepCovering(covers, finding.start);
      if (left === 0) this.#sink.hit(hitOf(rules[at] ?? 0, finding));
      if (covers === undefined) this.#covers.set(key, [finding]);
      else if (covers.push(finding) > 8) this.#covers.set(key, farthest(covers));
    }
  }
}

const hitOf = (rule: number, { unit, verdict, start, recognised }: Finding): Hit => ({
  rule,
  by: unit.by,
  start,
  end: recognised,
  certainty: verdict.certainty,
  reason: verdict.reason,
});

/** Takes those out that end before `start`; returns how many are left. */
function keepCovering(covers: Finding[], start: number): number {
  let left = 0;
  for (const one of covers) if (one.end > start) covers[left++] = one;
  covers.length = left;
  return left;
}

function farthest(covers: readonly Finding[]): Finding[] {
  const open = covers.filter((one) => one.end === Number.POSITIVE_INFINITY);
  const closed = covers.filter((one) => one.end !== Number.POSITIVE_INFINITY);
  const [last] = closed.sort((a, b) => b.end - a.end);
  return last === undefined ? open : [...open, last];
}
