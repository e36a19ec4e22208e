import type { JsonNode } from '../base/index.ts';
import type { RequestView } from '../dialect/index.ts';
import { isText } from './seams.ts';
import { ownCopy, SentItems } from './sent-items.ts';
import type { Joint } from './sent-items.ts';

/** How a text goes on: what was said of it before, and what follows in this message. */
export interface Continuation {
  /** As the model has it, without its beginning where it is long. */
  said(glue: string): string;
  readonly nodes: readonly JsonNode[];
}

/** Places of which the end is kept, each by itself. */
const mostPlaces = 128;
/** UTF-16 units that are kept, of all of them together. */
const mostUnits = 128 * 1_024;
/** Of one place, in units of the reach: less than two in pieces, and these joined. */
const keptOfPlace = 4;

/** All texts in the order in which they come. */
const texts = 'texts';
/** The same, with names, numbers and keys among them. */
const all = 'all';

/**
 * What a caller of a WebSocket has sent, as far as a value may go on from it into the next message: the end of its texts in the order in which they
 * came, of these with names and numbers among them, and of each place's by itself, since others may stand between two pieces of one text (`type`, an
 * id). All elements of a list are one place.
 *
 * Guarantee: of each at least the last `reach` units are kept, those that are masked as the model has them; together no more than {@link mostUnits} and
 * what two places keep. Places beyond {@link mostPlaces}, or beyond what has room, are read in the order of all texts only. Where they are items of a
 * conversation, these are kept beside it ({@link SentItems}).
 */
export class SentTexts {
  readonly #tails = new Map<string, Tail>();
  readonly #items = new SentItems();

  /** UTF-16 units that are kept. */
  get units(): number {
    return [...this.#tails.values()].reduce((sum, tail) => sum + tail.units, this.#items.units);
  }

  /** What the texts of this message may go on with, each of at least `reach` units where so many were said. */
  continued(view: RequestView, reach: number): readonly Continuation[] {
    const found: Continuation[] = [];
    const known = new Set<string>();
    const add = (nodes: readonly JsonNode[], said: (glue: string) => string): void => {
      // Of one text, which is the usual thing, all of them are the same.
      const which = `${nodes.length} ${nodes[0]?.start ?? 0} ${said('').slice(-reach)}`;
      if (known.has(which)) return;
      known.add(which);
      found.push({ said, nodes });
    };
    const sequences = sequencesOf(view);
    for (const [name, nodes] of sequences) {
      const tail = this.#tails.get(name);
      if (tail !== undefined) add(nodes, (glue) => tail.joined(glue));
    }
    if (view.conversation?.adds === undefined) return found;
    // Between it and the item before it others may have come that are gone.
    for (const [way, name] of [texts, all].entries()) {
      const nodes = sequences.get(name);
      const before = this.#items.end(way as 0 | 1, reach);
      if (nodes !== undefined && before !== undefined && before.length > 0) add(nodes, (glue) => before.join(glue));
    }
    return found;
  }

  /**
   * Texts said before that this message brings together, or puts behind one of its own.
   *
   * @returns the field by which it does so, where it is not known what comes together
   */
  joints({ conversation }: RequestView, reach: number): readonly Joint[] | string {
    if (conversation === undefined) return [];
    const { adds, removes, leads } = conversation;
    // Two of one name: which of them is taken out is not known.
    if (adds?.id !== undefined && this.#items.has(adds.id)) return 'item';
    if (removes !== undefined) return this.#items.without(removes, reach) ?? 'item_id';
    if (leads !== undefined) return this.#items.behind(leads.node.text, reach) ?? 'instructions';
    return [];
  }

  /** A message goes to the model. @param masked what stands in place of texts that are changed */
  add(view: RequestView, masked: ReadonlyMap<JsonNode, string>, reach: number): void {
    const room = Math.min(mostPlaces, Math.floor(mostUnits / (keptOfPlace * reach)));
    for (const [name, nodes] of sequencesOf(view)) {
      let tail = this.#tails.get(name);
      if (tail === undefined) {
        if (this.#tails.size >= room && name !== texts && name !== all) continue;
        this.#tails.set(name, (tail = new Tail()));
      }
      tail.add(
        nodes.map((node) => masked.get(node) ?? node.text),
        reach,
      );
    }
    this.#change(view, masked, reach);
  }

  #change(view: RequestView, masked: ReadonlyMap<JsonNode, string>, reach: number): void {
    if (view.conversation === undefined) return;
    const { adds, removes, leads } = view.conversation;
    const textOf = (node: JsonNode): string => masked.get(node) ?? node.text;
    if (adds !== undefined) {
      const sequences = sequencesOf(view);
      const said = (sequences.get(texts) ?? []).map(textOf);
      const whole = sequences.get(all) ?? [];
      this.#items.add(adds.id, [said, whole.length === said.length ? said : whole.map(textOf)], reach);
    }
    if (removes !== undefined) this.#items.remove(removes);
    if (leads?.stays === true) this.#items.lead(textOf(leads.node), reach);
  }
}

/** The texts of a message by what they go on with. */
function sequencesOf(view: RequestView): ReadonlyMap<string, readonly JsonNode[]> {
  const found = new Map<string, JsonNode[]>();
  const lanes = view.lanes.map(({ node }) => node);
  const values = view.loneValues.filter(isText).map(({ node }) => node);
  if (lanes.length > 0) found.set(texts, lanes);
  if (lanes.length + values.length > 0)
    found.set(all, values.length === 0 ? lanes : [...lanes, ...values].sort((a, b) => a.start - b.start));
  for (const { id, node } of view.lanes) {
    const place = `in ${id.replaceAll(/\[\d+\]/g, '[]')}`;
    const nodes = found.get(place);
    if (nodes === undefined) found.set(place, [node]);
    else nodes.push(node);
  }
  return found;
}

/** The end of texts that follow one another. */
class Tail {
  /** None is empty. */
  #pieces: string[] = [];
  #joined = '';

  get units(): number {
    return 2 * this.#joined.length;
  }

  /** The texts, with this between them; at most twice `reach` of them. */
  joined(glue: string): string {
    return glue === '' ? this.#joined : this.#pieces.join(glue);
  }

  add(more: readonly string[], reach: number): void {
    const pieces: string[] = [];
    let units = 0;
    for (const list of [more, this.#pieces])
      for (let at = list.length - 1; at >= 0 && units < reach; at--) {
        const text = list[at] ?? '';
        if (text === '') continue;
        const end = text.slice(-reach);
        units += end.length;
        pieces.push(list === more ? ownCopy(end) : end);
      }
    this.#pieces = pieces.reverse();
    this.#joined = this.#pieces.join('');
  }
}
