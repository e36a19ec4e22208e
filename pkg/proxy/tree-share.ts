import { RefusedError } from '../core/index.ts';
import { maxRequestValues } from '../dialect/index.ts';
import type { ByteBudget } from './answer.ts';

/**
 * What a request's tree and all that is read from it take of memory, for each value and key: 280 bytes in conversations, up to 400 in
 * bodies that are made for it (Node 26). A body of 500 KB may so become 30 MB.
 */
const nodeBytes = 400;

/** The memory of one request's tree, counted among the bodies of all from the parsing on until nobody holds it. */
export class TreeShare {
  readonly #budget: ByteBudget;
  readonly #owner: string;
  readonly #bodyBytes: number;
  readonly #most: number;
  #taken = 0;

  /** @param bodyBytes of its body, which is counted already: where it is alone, its tree has room beside it however large it is. */
  constructor(budget: ByteBudget, owner: string, bodyBytes: number) {
    this.#bodyBytes = bodyBytes;
    this.#most = bodyBytes + maxRequestValues * nodeBytes;
    this.#budget = budget;
    this.#owner = owner;
  }

  /** What was inflated of the body beside it. @throws RefusedError overloaded, caller_share_used */
  add(bytes: number): void {
    const noRoom = this.#budget.take(bytes, this.#owner, this.#most, this.#most, this.#bodyBytes + this.#taken);
    if (noRoom !== undefined) throw new RefusedError(noRoom);
    this.#taken += bytes;
    this.#added += bytes;
  }
  #added = 0;

  /** It has so many nodes by now. @throws RefusedError overloaded, caller_share_used */
  grow(nodes: number): void {
    const more = nodes * nodeBytes + this.#added - this.#taken;
    if (more <= 0) return;
    const noRoom = this.#budget.take(more, this.#owner, this.#most, this.#most, this.#bodyBytes + this.#taken);
    if (noRoom !== undefined) throw new RefusedError(noRoom);
    this.#taken += more;
  }

  release(): void {
    if (this.#taken === 0) return;
    this.#budget.give(this.#taken, this.#owner);
    this.#taken = 0;
    this.#added = 0;
  }
}
