import { labelText, replacementText } from './replacement.ts';
import type { Finding } from './finding.ts';
import type { Compiled } from './plan.ts';
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
}

export interface ComponentSink {
  replace(component: Replaced): void;
  /** Nothing from `at` on may go out. */
  stop(hit: Hit, at: number): void;
  hit(hit: Hit): void;
}

export class Components {
  readonly #compiled: Compiled;
  readonly #sink: ComponentSink;
  readonly #stops: boolean;
  /** Turns a replacement into what the surrounding syntax wants. */
  #spell: (text: string, finding: Finding) => string;
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

  constructor(
    compiled: Compiled,
    sink: ComponentSink,
    stops: boolean,
    spell: (text: string, finding: Finding) => string,
  ) {
    this.#compiled = compiled;
    this.#sink = sink;
    this.#stops = stops;
    this.#spell = spell;
  }

  /** For the next text of the same lane. */
  reset(spell: (text: string, finding: Finding) => string): void {
    this.#spell = spell;
    this.#first = undefined;
    this.#covers.clear();
  }

  /** Takes the next finding. False: it ends the lane. */
  add(finding: Finding): boolean {
    const { plan } = finding;
    this.#count(finding);
    if (plan.replace < 0 && plan.stop < 0) return true;
    if (this.#first !== undefined && finding.start >= this.#reachEnd()) this.#close();
    if (plan.stop >= 0) {
      this.#sink.stop(
        { rule: plan.stop, by: plan.unit.by, start: finding.start, end: finding.recognised },
        this.#first?.start ?? finding.start,
      );
      return false;
    }
    if (this.#first === undefined) this.#begin(finding);
    else this.#join(finding, this.#first);
    this.#decide();
    return true;
  }

  /**
   * All findings that start before `frontier` were added. Returns up to where the output is final.
   *
   * @param received source units received: what an open component has swallowed
   */
  advance(frontier: number, received: number): number {
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
  finish(): void {
    if (this.#first !== undefined) this.#close();
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
    const at = this.#reach.findIndex((one) => one.plan === finding.plan);
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
    if (first === undefined || this.#replaced !== undefined || this.#stops) return;
    const rule = this.#compiled.rules[first.plan.replace];
    if (rule === undefined) return;
    const tooLong = first.plan.keepsValue && first.value === undefined;
    const differs = this.#differs || (this.#reachEnd() !== Number.POSITIVE_INFINITY && !this.#alike(first));
    if (differs || tooLong || rule.replacement.style === 'Label') this.#put(first, labelText(rule));
  }

  #close(): void {
    const first = this.#first;
    if (first === undefined) return;
    const end = this.#reachEnd();
    if (this.#replaced === undefined) {
      const rule = this.#compiled.rules[first.plan.replace];
      if (rule !== undefined) {
        const { hashKey } = this.#compiled;
        this.#put(first, this.#alike(first) ? replacementText(rule, first.value, hashKey) : labelText(rule));
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

  #put(first: Finding, text: string): void {
    this.#replaced = { start: first.start, end: Number.POSITIVE_INFINITY, text: this.#spell(text, first) };
    this.#sink.replace(this.#replaced);
  }

  /** Counts a finding for each of its rules, unless one of the same rule and kind still covers its start. */
  #count(finding: Finding): void {
    const { rules, unit } = finding.plan;
    for (const rule of rules) {
      const key = `${rule} ${unit.rank} ${unit.by}`;
      const covers = (this.#covers.get(key) ?? []).filter((one) => one.end > finding.start);
      if (covers.length === 0) {
        this.#sink.hit({ rule, by: unit.by, start: finding.start, end: finding.recognised });
      }
      covers.push(finding);
      this.#covers.set(key, covers.length > 8 ? farthest(covers) : covers);
    }
  }
}

/** Of many overlapping findings only the farthest matters; open ones may each become it. */
function farthest(covers: readonly Finding[]): Finding[] {
  const open = covers.filter((one) => one.end === Number.POSITIVE_INFINITY);
  const closed = covers.filter((one) => one.end !== Number.POSITIVE_INFINITY);
  const [last] = closed.sort((a, b) => b.end - a.end);
  return last === undefined ? open : [...open, last];
}
