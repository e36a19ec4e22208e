import type { Clock, Timer } from '../base/index.ts';
import type { AccessRequest, CompiledGrant, GrantSource, RuleId } from '../core/index.ts';
import { compileGrant, grantCovers, grantRule, maxGrantAgeMs } from '../core/index.ts';

/** How often grants are compared with the wall clock while there are any; a stream ends so long after its grant at most. */
const checkMs = 200;

/**
 * Grants that hold now. By the wall clock alone: one ends at its second, whoever is away and however that clock was moved; and none
 * holds while its source has not been confirmed for an hour, because a revocation may not have arrived.
 */
export class LiveGrants {
  readonly #source: GrantSource;
  readonly #clock: Clock;
  readonly #onEnded: () => void;
  readonly #stop: () => void;
  #compiled: readonly CompiledGrant[] = [];
  /** Uids of those that held when last looked. */
  #held = '';
  #timer: Timer | undefined;

  /** @param onEnded some grant holds no longer: whatever rests on it must end. */
  constructor(source: GrantSource, clock: Clock, onEnded: () => void) {
    this.#source = source;
    this.#clock = clock;
    this.#onEnded = onEnded;
    this.#stop = source.subscribe(() => this.#take());
    this.#take();
  }

  /** The rule to record where a grant covers this; undefined: none does. `whatever`: some model or other. */
  covering({ caller, operation, model }: AccessRequest, whatever = false): RuleId | undefined {
    for (const one of this.#compiled) {
      if (this.#holds(one) && grantCovers(one, caller, operation, model, whatever)) return grantRule(one.grant);
    }
    return undefined;
  }

  close(): void {
    this.#stop();
    this.#timer?.cancel();
  }

  #holds({ grant }: CompiledGrant): boolean {
    const now = this.#clock.now();
    return grant.from <= now && now < grant.until && this.#source.ageMs() <= maxGrantAgeMs;
  }

  #take(): void {
    this.#compiled = this.#source.current().map(compileGrant);
    this.#check();
    if (this.#compiled.length === 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
    } else this.#timer ??= this.#clock.every(checkMs, () => this.#check());
  }

  #check(): void {
    const held = this.#compiled.filter((one) => this.#holds(one)).map((one) => one.grant.uid);
    const before = this.#held;
    this.#held = held.join();
    if (before !== '' && before.split(',').some((uid) => !held.includes(uid))) this.#onEnded();
  }
}
