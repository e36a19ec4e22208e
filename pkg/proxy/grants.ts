import type { Clock, Timer } from '../base/index.ts';
import type { AccessRequest, CompiledGrant, GrantSource, RuleId } from '../core/index.ts';
import { compileGrant, grantCovers, grantRule, maxGrantAgeMs } from '../core/index.ts';

/** How often grants are compared with the wall clock while there are any; a stream ends so long after its grant at most. */
const checkMs = 200;

/** With its words: one that says something else is another one, also under the same uid. */
type Known = CompiledGrant & { readonly text: string };

/**
 * Grants that hold now. By the wall clock alone: one ends at its second, whoever is away and however that clock was moved; and none
 * holds while its source has not been confirmed for an hour, because a revocation may not have arrived.
 */
export class LiveGrants {
  readonly #source: GrantSource;
  readonly #clock: Clock;
  readonly #onEnded: () => void;
  readonly #stop: () => void;
  #compiled: readonly Known[] = [];
  /** Those that held when last looked, each with all that it says. */
  #held: ReadonlySet<string> = new Set();
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
    this.#compiled = this.#source.current().map((grant) => ({ ...compileGrant(grant), text: JSON.stringify(grant) }));
    this.#check();
    if (this.#compiled.length === 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
    } else this.#timer ??= this.#clock.every(checkMs, () => this.#check());
  }

  #check(): void {
    const held = new Set<string>();
    for (const one of this.#compiled) if (this.#holds(one)) held.add(one.text);
    const before = this.#held;
    this.#held = held;
    for (const text of before) if (!held.has(text)) return this.#onEnded();
  }
}
