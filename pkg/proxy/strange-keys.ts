import type { JsonNode } from '../base/index.ts';
import type { LoneValue } from '../dialect/index.ts';
import { strangerStep } from '../dialect/index.ts';
import type { View } from '../detect/index.ts';
import type { CleanTexts } from './clean-texts.ts';
import { beginning, nameForRecord } from './readings.ts';

/**
 * Keys of a body that are not its dialect's own, for the record: ids of lanes spell them as digests, and one text says what each of them
 * was, masked as any other.
 */
export const keysLane = '{keys}';

/** Told of one answer, whose model could send new ones for ever: beyond that its record has digests alone. */
export const mostKeys = 4_096;

export interface KeyViews {
  readonly record: View;
  readonly cleanRecord: CleanTexts;
  readonly sealed: View | undefined;
}

/** Those of one request or answer: each is told once. */
export class StrangeKeys {
  readonly #views: KeyViews;
  readonly #most: number;
  readonly #told = new Set<string>();

  /** @param most keys that are told; of others the record has their digest alone. Requests have no more than their values. */
  constructor(views: KeyViews, most = Infinity) {
    this.#views = views;
    this.#most = most;
  }

  /**
   * Lines of {@link keysLane}: of those among these values that were not told yet. Empty: there are none.
   *
   * @param hidden keys that stand in values which a field rule hides are among these: they are not told
   */
  take(
    values: readonly LoneValue[],
    hidden?: ReadonlyMap<JsonNode, string>,
  ): { readonly text: string; readonly raw: string } {
    let text = '';
    let raw = '';
    for (const { node, key } of values) {
      if (!key || hidden?.has(node) === true || this.#told.has(node.text) || this.#told.size >= this.#most) continue;
      this.#told.add(node.text);
      const line = this.#line(node.text);
      text += line.text;
      raw += line.raw;
    }
    return { text, raw };
  }

  /** One key: its digest, and itself as a JSON string, so that none can be two lines. */
  #line(key: string): { readonly text: string; readonly raw: string } {
    const { record, cleanRecord, sealed } = this.#views;
    const lineOf = (name: string): string => `${strangerStep(key)} ${JSON.stringify(name)}\n`;
    const text = lineOf(nameForRecord(record, cleanRecord, key));
    if (sealed === undefined) return { text, raw: text };
    return { text, raw: lineOf(sealed.mask(beginning(key), 'prose', 'complete').text) };
  }
}

/** Keys of one session that have a number of their own: a request has hardly ever so many, and an answer could go on for ever. */
export const mostNumbers = 4 * mostKeys;
/** Stands for all others. */
const otherStep = '{…}';

const step = /\{[0-9a-f]{16}\}/g;
const stepOfLine = /^\{[0-9a-f]{16}\}/gm;

/**
 * Numbers instead of digests, in the order in which a session's record first has them: digests of two sessions could be compared, and
 * who may read the record and ask the model could find out a masked key by trying words.
 */
export class StepNumbers {
  readonly #numbers = new Map<string, string>();
  readonly #numberOf = (digest: string): string => {
    const known = this.#numbers.get(digest);
    if (known !== undefined) return known;
    if (this.#numbers.size >= mostNumbers) return otherStep;
    const number = `{${String(this.#numbers.size + 1)}}`;
    this.#numbers.set(digest, number);
    return number;
  };

  /** The name of a lane. */
  name(id: string): string {
    return id.includes('{') ? id.replace(step, this.#numberOf) : id;
  }

  /** A text of this lane: only {@link keysLane} has any digests. */
  text(id: string, text: string): string {
    return id === keysLane ? text.replace(stepOfLine, this.#numberOf) : text;
  }
}
