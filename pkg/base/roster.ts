/** What a {@link Roster} may hold: one at a time. */
export interface Listed {
  /** Its place in the roster, which alone writes it; -1 while it is in none. */
  place: number;
}

/**
 * Those under way, in no order: they come and go with each request, so that adding and taking out are a few steps each. Not a Set: one that
 * is used so moves into a new table again and again, and each old table, dead in V8's old generation, keeps alive whoever was in it until
 * that is collected: all that was under way then is copied and promoted for nothing.
 */
export class Roster<T extends Listed> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** Nothing happens where it is in already. */
  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** Nothing happens where it is not in. */
  delete(member: T): void {
    const { place } = member;
    if (place < 0) return;
    member.place = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return;
    last.place = place;
    this.#members[place] = last;
  }

  /** Those of now: who comes or goes meanwhile changes nothing. */
  members(): readonly T[] {
    return [...this.#members];
  }
}
