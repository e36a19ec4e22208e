/**
 * First in, first out, with a cap that the caller chose: nothing in this program queues without one. Both ends take
 * constant time; slots are reused, and a taken item is no longer referenced.
 */
export class BoundedQueue<Item> {
  readonly capacity: number;
  #slots: (Item | undefined)[];
  #first = 0;
  #size = 0;

  /** @param capacity Most items at once, at least 1. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError('capacity must be a positive integer');
    this.capacity = capacity;
    this.#slots = new Array<Item | undefined>(Math.min(capacity, 16));
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size === this.capacity;
  }

  /** False when the queue is full: the item was not taken, and the caller decides what that means. */
  push(item: Item): boolean {
    if (this.#size === this.capacity) return false;
    if (this.#size === this.#slots.length) this.#grow();
    this.#slots[(this.#first + this.#size) % this.#slots.length] = item;
    this.#size++;
    return true;
  }

  /** The oldest item, or undefined when the queue is empty. */
  shift(): Item | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#first];
    this.#slots[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#slots.length;
    this.#size--;
    return item;
  }

  /** The oldest item, which stays. */
  peek(): Item | undefined {
    return this.#size === 0 ? undefined : this.#slots[this.#first];
  }

  clear(): void {
    while (this.#size > 0) this.shift();
  }

  /** Memory follows what was really queued, up to the cap. */
  #grow(): void {
    const wider = new Array<Item | undefined>(Math.min(this.capacity, this.#slots.length * 2));
    for (let at = 0; at < this.#size; at++) wider[at] = this.#slots[(this.#first + at) % this.#slots.length];
    this.#slots = wider;
    this.#first = 0;
  }
}
