import type { CharClasses } from './char-classes.ts';
import type { ForwardAutomaton, OnAccept, Standing } from './forward.ts';

/** Where each of the parts stands. */
export type Standings = readonly Standing[];

/**
 * Several {@link ForwardAutomaton} over the same program, of different units, as one: they read the same text. What lives of
 * unlike units at one place is a set for nearly every place (how long the run of letters is, and how much of which name has come): the
 * states of one automaton over all are the product of what they are of each, those of several the sum. A text of 800,000 characters
 * (documentation) takes 42,000 states in one, 17,000 in three, and a table holds some ten thousand: beyond that what was built is built
 * again and again, at some microseconds a character.
 */
export class ForwardParts {
  readonly #parts: readonly ForwardAutomaton[];
  readonly #classes: CharClasses;

  /** @param classes of the program that all of them are over */
  constructor(parts: readonly ForwardAutomaton[], classes: CharClasses) {
    this.#parts = parts;
    this.#classes = classes;
  }

  /** Before any text. */
  begin(): Standings {
    return this.#parts.map((part) => part.begin());
  }

  /** Whether some match has begun and may go on. */
  alive(at: Standings): boolean {
    for (const one of at) if (one.set.length > 0) return true;
    return false;
  }

  /** As {@link ForwardAutomaton.run}; of each part in order. */
  run(at: Standings, text: string, from: number, to: number, accepted: OnAccept): void {
    const parts = this.#parts;
    let done = 0;
    // Three in one loop: each character is read and classed once, and their tables are waited for together.
    if (parts.length >= 3) {
      this.#runThree(at, text, from, to, accepted);
      done = 3;
    }
    for (; done < parts.length; done++)
      (parts[done] as ForwardAutomaton).run(at[done] as Standing, text, from, to, accepted);
  }

  #runThree(at: Standings, text: string, from: number, to: number, accepted: OnAccept): void {
    const classes = this.#classes;
    const ascii = classes.ascii;
    const [a, b, c] = this.#parts as [ForwardAutomaton, ForwardAutomaton, ForwardAutomaton];
    const [atA, atB, atC] = at as [Standing, Standing, Standing];
    let stateA = a.enter(atA);
    let stateB = b.enter(atB);
    let stateC = c.enter(atC);
    let tableA = a.table;
    let tableB = b.table;
    let tableC = c.table;
    for (let i = from; i < to; i++) {
      let code = text.charCodeAt(i);
      let one: number;
      if (code < 128) one = ascii[code] as number;
      else {
        if (code >= 0xd800 && code < 0xdc00 && i + 1 < to) {
          code = text.codePointAt(i) as number;
          if (code > 0xffff) i++;
        }
        one = classes.of(code);
      }
      const nextA = tableA[stateA + one] as number;
      const nextB = tableB[stateB + one] as number;
      const nextC = tableC[stateC + one] as number;
      if ((nextA | nextB | nextC) >= 0) {
        stateA = nextA;
        stateB = nextB;
        stateC = nextC;
        continue;
      }
      stateA = nextA < 0 ? a.look(stateA, one, nextA, i + 1, accepted) : nextA;
      stateB = nextB < 0 ? b.look(stateB, one, nextB, i + 1, accepted) : nextB;
      stateC = nextC < 0 ? c.look(stateC, one, nextC, i + 1, accepted) : nextC;
      tableA = a.table;
      tableB = b.table;
      tableC = c.table;
    }
    a.leave(atA, stateA);
    b.leave(atB, stateB);
    c.leave(atC, stateC);
  }
}
