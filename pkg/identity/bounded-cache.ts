interface Slot<Value> {
  value: Value;
  used: boolean;
}

/**
 * A map that forgets. When full it drops the entry that was added first and not used since (second chance): a hit costs
 * one lookup and one flag, not a move in a list.
 */
export class BoundedCache<Value> {
  readonly #limit: number;
  readonly #slots = new Map<string, Slot<Value>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#slots.size;
  }

  get(key: string): Value | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    slot.used = true;
    return slot.value;
  }

  set(key: string, value: Value): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      slot.value = value;
      return;
    }
    if (this.#slots.size >= this.#limit) this.#evict();
    if (this.#limit > 0) this.#slots.set(key, { value, used: false });
  }

  delete(key: string): void {
    this.#slots.delete(key);
  }

  /** Used entries lose their flag and go to the end, so this ends after one round at most. */
  #evict(): void {
    for (const [key, slot] of this.#slots) {
      this.#slots.delete(key);
      if (!slot.used) return;
      slot.used = false;
      this.#slots.set(key, slot);
    }
  }
}
