import type { ForwardAutomaton, Standing } from '../automaton/forward.ts';
import type { Finding } from './finding.ts';
import type { Compiled } from './plan.ts';
import { JsonValueEnd } from './json-value.ts';
import { longestStyledValue } from './replacement.ts';

/**
 * Follows an open-ended finding to its end over text that is not kept.
 */
export interface Tracker {
  readonly finding: Finding;
  /**
   * The character after the finding ends it: then it covers what is ignorable between, which was swallowed before that
   * character was seen.
   */
  readonly endsBefore: boolean;
  /** Reads on; the index after the finding's last character, or -1 while it goes on. */
  read(text: string, from: number): number;
  close(sourceEnd: number): void;
  /** Whether the other, which began later, will end where this one does. */
  joins(other: Tracker): boolean;
  /** Closes the other's finding with this one's. */
  follow(other: Tracker): void;
}

/** How much is read at a time when looking for a closer: it may come soon. */
const piece = 256;

/** Reads until the end of the finding; -1: it goes on. */
interface EndFinder {
  readonly endsBefore: boolean;
  read(text: string, from: number): number;
  same(other: EndFinder): boolean;
}

class CloserEnd implements EndFinder {
  readonly endsBefore = false;
  readonly #automaton: ForwardAutomaton;
  readonly #at: Standing;

  constructor(automaton: ForwardAutomaton) {
    this.#automaton = automaton;
    this.#at = automaton.begin();
  }

  read(text: string, from: number): number {
    let first = -1;
    for (let at = from; at < text.length && first < 0;) {
      let to = Math.min(text.length, at + piece);
      if (to < text.length && (text.charCodeAt(to) & 0xfc00) === 0xdc00) to++;
      this.#automaton.run(this.#at, text, at, to, (end) => {
        if (first < 0) first = end;
      });
      at = to;
    }
    return first;
  }

  same(other: EndFinder): boolean {
    return other instanceof CloserEnd && other.#at.set.join() === this.#at.set.join();
  }
}

class ClassEnd implements EndFinder {
  readonly endsBefore = true;
  readonly #goesOn: (code: number) => boolean;

  constructor(goesOn: (code: number) => boolean) {
    this.#goesOn = goesOn;
  }

  read(text: string, from: number): number {
    for (let at = from; at < text.length;) {
      const code = text.codePointAt(at) as number;
      if (!this.#goesOn(code)) return at;
      at += code > 0xffff ? 2 : 1;
    }
    return -1;
  }

  same(): boolean {
    return true;
  }
}

/** Padding: the next visible character ends it. */
class PaddingEnd implements EndFinder {
  readonly endsBefore = true;

  read(text: string, from: number): number {
    return from < text.length ? from : -1;
  }

  same(): boolean {
    return false;
  }
}

class Following implements Tracker {
  readonly finding: Finding;
  readonly #end: EndFinder;
  readonly #followers: Finding[] = [];

  constructor(finding: Finding, end: EndFinder) {
    this.finding = finding;
    this.#end = end;
  }

  read(text: string, from: number): number {
    const end = this.#end.read(text, from);
    if (this.finding.value !== undefined) {
      const value = this.finding.value + text.slice(from, end < 0 ? text.length : end);
      this.finding.value = value.length > longestStyledValue ? undefined : value;
    }
    return end;
  }

  get endsBefore(): boolean {
    return this.#end.endsBefore;
  }

  close(sourceEnd: number): void {
    this.finding.end = sourceEnd;
    for (const follower of this.#followers) follower.end = sourceEnd;
  }

  joins(other: Tracker): boolean {
    return other instanceof Following && other.finding.unit === this.finding.unit && this.#end.same(other.#end);
  }

  follow(other: Tracker): void {
    this.#followers.push(other.finding);
  }
}

/** A finding of an open-ended unit, from after its opener. `last` is the opener's last character. */
export function trackOpen(finding: Finding, compiled: Compiled, last: number): Tracker {
  const { unit } = finding;
  switch (unit.open?.kind) {
    case 'until':
      return new Following(finding, new CloserEnd(compiled.closer(unit)));
    case 'class':
      return new Following(finding, new ClassEnd(unit.open.goesOn));
    default:
      return new Following(finding, new JsonValueEnd(last));
  }
}

/** A padded candidate. */
export function trackPadding(finding: Finding): Tracker {
  return new Following(finding, new PaddingEnd());
}
