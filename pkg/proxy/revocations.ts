import type { Clock } from '../base/index.ts';
import { compileRevocations } from '../core/index.ts';
import type { Identity, RevocationSet, RevocationSource } from '../core/index.ts';

/** Whose tokens were taken back, as of now. */
export class LiveRevocations {
  readonly #source: RevocationSource;
  readonly #clock: Clock;
  readonly #stop: () => void;
  #set: RevocationSet;

  /** @param onChange what is under way must be looked at again. */
  constructor(source: RevocationSource, clock: Clock, onChange: () => void) {
    this.#source = source;
    this.#clock = clock;
    this.#set = compileRevocations(source.current());
    this.#stop = source.subscribe(() => {
      this.#set = compileRevocations(this.#source.current());
      onChange();
    });
  }

  revokes(caller: Identity): boolean {
    return this.#set.revokes(caller, this.#clock.now());
  }

  close(): void {
    this.#stop();
  }
}
