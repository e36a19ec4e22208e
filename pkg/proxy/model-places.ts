import { RefusedError } from '../core/index.ts';

/**
 * Requests that are at the models of a pod at once, each from the moment that it is forwarded until its caller has all of the answer.
 * Nobody waits for a place: where none is free, that is said at once. Of one caller they take half of them at most, so that none alone
 * keeps all others out.
 */
export class ModelPlaces {
  readonly #most: number;
  readonly #share: number;
  readonly #owned = new Map<string, number>();
  #taken = 0;

  /** @param most Default 4,096. */
  constructor(most = 4_096) {
    this.#most = most;
    this.#share = Math.ceil(most / 2);
  }

  get taken(): number {
    return this.#taken;
  }

  /** @throws RefusedError overloaded, caller_share_used */
  take(owner: string): void {
    if (this.#taken >= this.#most) throw new RefusedError('overloaded');
    const owned = this.#owned.get(owner) ?? 0;
    if (owned >= this.#share) throw new RefusedError('caller_share_used');
    this.#owned.set(owner, owned + 1);
    this.#taken++;
  }

  /** To be called once for each that was taken. */
  give(owner: string): void {
    this.#taken--;
    const left = (this.#owned.get(owner) ?? 1) - 1;
    if (left > 0) this.#owned.set(owner, left);
    else this.#owned.delete(owner);
  }
}
