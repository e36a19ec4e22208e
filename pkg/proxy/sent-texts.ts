import type { JsonNode } from '../base/index.ts';
import type { RequestView } from '../dialect/index.ts';
import { isText } from './seams.ts';

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
 * what two places keep. Places beyond {@link mostPlaces}, or beyond what has room, are read in the order of all texts only.
 */
export class SentTexts {
  readonly #tails = new Map<string, Tail>();

  /** UTF-16 units that are kept. */
  get units(): number {
    return [...this.#tails.values()].reduce((sum, tail) => sum + tail.units, 0);
  }

  /** What the texts of this message may go on with. */
  continued(view: RequestView): readonly Continuation[] {
    const found: Continuation[] = [];
    const known = new Set<string>();
    for (const [name, nodes] of sequencesOf(view)) {
      const tail = this.#tails.get(name);
      if (tail === undefined) continue;
      // Of one text, which is the usual thing, all three are the same.
      const which = `${nodes.length} ${nodes[0]?.start ?? 0} ${tail.joined('')}`;
      if (known.has(which)) continue;
      known.add(which);
      found.push({ said: (glue) => tail.joined(glue), nodes });
    }
    return found;
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

/** A part of a message would keep all of it. */
const ownCopy = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le');
