import type { Identity } from './identity.ts';
import type { CallerTest } from './subjects.ts';

/** Which of a snapshot's caller tests hold, by the index that `add` gave; callers with equal bits are decided alike. */
export type CallerBits = Uint8Array;

/**
 * All questions that a snapshot asks of a caller, answered together once for each caller. Filled while the snapshot is
 * compiled, read only afterwards.
 */
export class CallerTable {
  readonly #tests: CallerTest[] = [];

  add(test: CallerTest): number {
    return this.#tests.push(test) - 1;
  }

  bits(caller: Identity | undefined): CallerBits {
    return Uint8Array.from(this.#tests, (test) => (test(caller) ? 1 : 0));
  }
}
