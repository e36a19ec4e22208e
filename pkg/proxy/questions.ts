import { createBucket } from '../base/index.ts';
import type { Bucket, Clock } from '../base/index.ts';

/** Questions a second, and at once, of one caller. Who is told to come back in 5 s needs far fewer. */
const [perSecond, burst] = [1, 10];
/** Callers that are remembered; the one that asked longest ago is forgotten. */
const mostCallers = 4_096;

/** How often callers may ask what became of approvals: each question is one to the controller. */
export class Questions {
  readonly #clock: Clock;
  readonly #callers = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether this caller may ask now. */
  admit(caller: string): boolean {
    const bucket = this.#callers.get(caller) ?? createBucket(this.#clock, perSecond, burst);
    this.#callers.delete(caller);
    this.#callers.set(caller, bucket);
    const [oldest] = this.#callers.keys();
    if (this.#callers.size > mostCallers && oldest !== undefined) this.#callers.delete(oldest);
    return bucket.take();
  }
}
