import type { JsonNode } from '../base/index.ts';

/** Whole numbers of a message that are too few to be a text by themselves. */
export interface WholeNumbers {
  /** Of the tensor, or of the field. */
  readonly name: string;
  readonly count: number;
  /** What they are, as they came: to tell whether they are the same as before. */
  readonly bytes: string;
}

/** The same of an event that is JSON. */
export interface StreamNumbers extends WholeNumbers {
  /** Numbers, and lists of nothing else: what is taken out where they may be a text. */
  readonly nodes: readonly JsonNode[];
}

/** Whole numbers in a body from which on they may be a text. */
export const tokenRun = 8;

/** Tensors of one answer of which it is remembered what they held last. */
const mostTensors = 16;
/** Letters of such a tensor's name. */
const longestName = 256;
/** The same of what it held. */
const longestSaid = 4_096;

/**
 * Whole numbers of one answer, over all of its messages: a server may stream the ids of its tokens one by one. What stays the same from
 * message to message tells nothing (`batch_index`), and is counted once.
 */
export class NumberTally {
  #count = 0;
  readonly #last = new Map<string, string>();

  add(numbers: readonly WholeNumbers[]): void {
    for (const { name, count, bytes } of numbers) {
      if (this.#last.get(name) === bytes) continue;
      this.#count += count;
      if (name.length > longestName || (!this.#last.has(name) && this.#last.size >= mostTensors)) continue;
      if (bytes.length <= longestSaid) this.#last.set(name, bytes);
      else this.#last.delete(name);
    }
  }

  /** They may be a text. */
  get tells(): boolean {
    return this.#count >= tokenRun;
  }
}
