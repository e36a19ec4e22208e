/** Texts of a caller's, without the middle of what is long. */
interface Item {
  readonly id: string | undefined;
  /** With names and numbers among the texts: the second; where there are none, the same. */
  readonly ways: readonly [Ends, Ends];
}

/** Of a sequence of texts that is longer than twice the reach its first and its last units; else both are all of it. */
interface Ends {
  readonly head: readonly string[];
  readonly tail: readonly string[];
}

/** Items that are kept no longer stood here. */
const gap = Symbol('gap');

/** Two sequences of texts that the model reads as one, and that came in another order. */
export interface Joint {
  readonly left: readonly string[];
  readonly right: readonly string[];
}

const mostItems = 4_096;
/** UTF-16 units of all items together. */
const mostUnits = 512 * 1_024;

/**
 * The texts that a caller put into a conversation, item by item in its order, as far as a value may go on over what stands between two of them: this is
 * taken out, or put elsewhere.
 *
 * Guarantee: of each item the first and last `reach` units are kept. What is beyond {@link mostItems} or {@link mostUnits} is forgotten behind the first
 * item, and a joint that would need it is not told.
 */
export class SentItems {
  #items: (Item | typeof gap)[] = [];
  /** What stands before the first. */
  #lead: readonly string[] = [];
  #units = 0;
  readonly #ids = new Set<string>();

  /** UTF-16 units that are kept. */
  get units(): number {
    return this.#units;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** @param id its sender's own; without, it is never taken out @param ways its texts, and the same with names and numbers among them */
  add(id: string | undefined, ways: readonly [readonly string[], readonly string[]], reach: number): void {
    const [texts, all] = ways.map((pieces) => endsOf(pieces, reach)) as [Ends, Ends];
    const item: Item = { id, ways: [texts, ways[0] === ways[1] ? texts : all] };
    if (id !== undefined) this.#ids.add(id);
    this.#items.push(item);
    this.#units += unitsOf(item);
    while (this.#items.length > 2 && (this.#units > mostUnits || this.#items.length > mostItems)) this.#forget();
  }

  /** Stands before all items from here on, in place of what did. */
  lead(text: string, reach: number): void {
    this.#lead = text === '' ? [] : [ownCopy(text.slice(-reach))];
  }

  remove(id: string): void {
    const at = this.#find(id);
    if (at < 0) return;
    this.#items.splice(at, 1).forEach((one) => this.#dropped(one));
  }

  /** What comes together where this item is taken out. Undefined: that is not known. */
  without(id: string, reach: number): readonly Joint[] | undefined {
    const at = this.#find(id);
    if (at < 0) return undefined;
    return this.#joints((way) => {
      const left = this.#before(at, way, reach);
      const right = this.#from(at + 1, way, reach);
      return left && right && { left, right };
    });
  }

  /** The end of all items, without and with names and numbers. Undefined: it is not known. */
  end(way: 0 | 1, reach: number): readonly string[] | undefined {
    return this.#before(this.#items.length, way, reach);
  }

  /** What comes together where a text is put before all items. Undefined: that is not known. */
  behind(text: string, reach: number): readonly Joint[] | undefined {
    const left = [text.slice(-reach)];
    return this.#joints((way) => {
      const right = this.#from(0, way, reach);
      return right && { left, right };
    });
  }

  #find(id: string): number {
    return this.#ids.has(id) ? this.#items.findIndex((one) => one !== gap && one.id === id) : -1;
  }

  #joints(of: (way: 0 | 1) => Joint | undefined): readonly Joint[] | undefined {
    const texts = of(0);
    const all = of(1);
    if (texts === undefined || all === undefined) return undefined;
    return same(texts, all) ? [texts] : [texts, all];
  }

  #before(at: number, way: 0 | 1, reach: number): readonly string[] | undefined {
    const found: string[] = [];
    let units = 0;
    for (let index = at - 1; index >= 0 && units < reach; index--) {
      const item = this.#items[index];
      if (item === undefined || item === gap) return undefined;
      const { tail } = item.ways[way];
      units += lengthOf(tail);
      found.unshift(...tail);
    }
    return units < reach ? [...this.#lead, ...found] : found;
  }

  #from(at: number, way: 0 | 1, reach: number): readonly string[] | undefined {
    const found: string[] = [];
    let units = 0;
    for (let index = at; index < this.#items.length && units < reach; index++) {
      const item = this.#items[index];
      if (item === undefined || item === gap) return undefined;
      const { head } = item.ways[way];
      units += lengthOf(head);
      found.push(...head);
    }
    return found;
  }

  /** The oldest behind the first. */
  #forget(): void {
    if (this.#items[1] === gap) this.#items.splice(2, 1).forEach((one) => this.#dropped(one));
    else this.#items.splice(1, 1, gap).forEach((one) => this.#dropped(one));
  }

  #dropped(item: Item | typeof gap): void {
    if (item === gap) return;
    this.#units -= unitsOf(item);
    if (item.id !== undefined) this.#ids.delete(item.id);
  }
}

function endsOf(texts: readonly string[], reach: number): Ends {
  const pieces = texts.filter((text) => text !== '');
  const copied = (ends: readonly string[]): readonly string[] => ends.map(ownCopy);
  if (lengthOf(pieces) <= 2 * reach) {
    const whole = copied(pieces);
    return { head: whole, tail: whole };
  }
  const head: string[] = [];
  for (let units = 0, at = 0; units < reach; at++) {
    const piece = (pieces[at] ?? '').slice(0, reach);
    head.push(piece);
    units += piece.length;
  }
  const tail: string[] = [];
  for (let units = 0, at = pieces.length - 1; units < reach; at--) {
    const piece = (pieces[at] ?? '').slice(-reach);
    tail.unshift(piece);
    units += piece.length;
  }
  return { head: copied(head), tail: copied(tail) };
}

const lengthOf = (texts: readonly string[]): number => texts.reduce((sum, { length }) => sum + length, 0);

/** What the fixed cost of a string amounts to. */
const textUnits = 16;
const costOf = ({ head, tail }: Ends): number =>
  (head === tail ? [head] : [head, tail]).reduce((sum, one) => sum + lengthOf(one) + textUnits * (one.length + 1), 0);
const unitsOf = ({ id = '', ways: [texts, all] }: Item): number =>
  id.length + costOf(texts) + (texts === all ? 0 : costOf(all));

const same = (one: Joint, other: Joint): boolean =>
  sameTexts(one.left, other.left) && sameTexts(one.right, other.right);
const sameTexts = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((text, at) => text === other[at]);

/** A part of a message would keep all of it. */
export const ownCopy = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le');
