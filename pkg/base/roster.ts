/** What a {@link Roster} may hold: one at a time. */
export interface Listed {
  /** Its place in the roster, which alone writes it; -1 while it is in none. */
  place: number;
}

/**
 * Those under way, in no order: they come and go with each request.
 *
 * Not a Set, nor an array that shrinks: one that is used so moves into new storage again and again, and each old storage, dead in V8's
 * old generation, keeps alive whoever was in it until that is collected: all that was under way then is copied and promoted for
 * nothing. Here places are used again, and the storage stays: as many places as there were members at once.
 */
export class Roster<T extends Listed> {
  readonly #places: (T | undefined)[] = [];
  readonly #free: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Nothing happens where it is in already. */
  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#free.pop() ?? this.#places.length;
    this.#places[member.place] = member;
    this.#size++;
  }

  /** Nothing happens where it is not in. */
  delete(member: T): void {
    const { place } = member;
    if (place < 0) return;
    member.place = -1;
    this.#places[place] = undefined;
    this.#free.push(place);
    this.#size--;
  }

  /** Those of now: who comes or goes meanwhile changes nothing. */
  members(): readonly T[] {
    return this.#places.filter((one) => one !== undefined);
  }
}
