import type { JsonEdit, JsonNode } from '../base/index.ts';
import { RefusedError, saidOfNamed } from '../core/index.ts';
import type { AnswerView } from '../dialect/index.ts';
import type { Hit } from '../detect/index.ts';
import { labelsOf, namedFieldsOf } from './named-fields.ts';
import type { NamedField } from './named-fields.ts';
import { readings } from './readings.ts';
import type { ResponseViews } from './runtime.ts';

/**
 * Everything of an answer that is not running text: identifiers, envelope words, unknown keys, values under field rules and
 * arrays that may be token ids. Each value is read whole and alone.
 */
export interface ValueOutcome {
  /** What is recorded in place of texts and keys in values that a field rule hides. Undefined: nothing else than what is read in them. */
  readonly hidden: ReadonlyMap<JsonNode, string> | undefined;
  readonly edits: readonly JsonEdit[];
  readonly hits: readonly Hit[];
  readonly stopped: Hit | undefined;
}

const clean: ValueOutcome = { hidden: undefined, edits: [], hits: [], stopped: undefined };
const onlyHidden = (hidden: ValueOutcome['hidden']): ValueOutcome =>
  hidden === undefined ? clean : { ...clean, hidden };

/** Most frames have nothing: no object for these. */
const outcomeOf = (
  hidden: ValueOutcome['hidden'],
  edits: readonly JsonEdit[],
  hits: readonly Hit[],
  stopped: ValueOutcome['stopped'],
): ValueOutcome =>
  edits.length === 0 && hits.length === 0 && stopped === undefined
    ? onlyHidden(hidden)
    : { hidden, edits, hits, stopped };

const noFields: readonly NamedField[] = [];
const nothingFound = { hits: [], passes: true } as const;

/** What leaves in its place is of its kind, where typed clients (TGI's own) would take no other. */
function removal({ kind, start, end }: JsonNode): JsonEdit {
  return { start, end, text: kind === 'array' ? '[]' : kind === 'number' ? '0' : 'null' };
}

export class ValueReader {
  readonly #views: ResponseViews;

  constructor(views: ResponseViews) {
    this.#views = views;
  }

  get #view(): ResponseViews['act'] {
    return this.#views.act;
  }

  /** @throws RefusedError response_uninspectable when a key holds what a rule hides: keys cannot be masked. */
  read(answer: AnswerView, root: JsonNode): ValueOutcome {
    const { clean: known, guarded } = this.#views;
    const fields = this.#view.fields ? namedFieldsOf(this.#view, root, answer.toolInputs) : noFields;
    const hidden = this.#hidden(answer, root, fields);
    if (this.#view.idle) return onlyHidden(hidden);
    const edits: JsonEdit[] = [];
    const hits: Hit[] = [];
    let stopped: Hit | undefined;
    for (const value of answer.loneValues) {
      const text = value.node.text;
      if (known.has(text)) continue;
      const result = this.#view.mask(text, 'text', 'complete');
      if (result.failed) throw new RefusedError('response_uninspectable', { detail: 'json' });
      if (result.hits.length === 0 && result.edits.length === 0 && result.stopped === undefined) {
        known.add(text);
        continue;
      }
      hits.push(...result.hits);
      stopped ??= result.stopped;
      if (result.edits.length === 0) continue;
      if (value.key) throw new RefusedError('response_uninspectable', { detail: 'key' });
      edits.push({ start: value.node.start, end: value.node.end, text: JSON.stringify(result.text) });
    }
    if (fields.length > 0) {
      this.#fields(fields, edits, hits);
      stopped ??= hits.find((hit) => this.#view.spec.stop[hit.rule] === 1);
    }
    if (guarded) for (const node of answer.integerArrays) edits.push(removal(node));
    return outcomeOf(hidden, edits, hits, stopped);
  }

  /** A text that leaves as it is or not at all: what was found in it, and whether it may. */
  look(text: string): { readonly hits: readonly Hit[]; readonly passes: boolean } {
    const { act, clean: known, hiding } = this.#views;
    if (act.idle || known.has(text)) return nothingFound;
    const { hits, failed, stopped } = act.mask(text, 'text', 'complete');
    const whole = !failed && stopped === undefined;
    if (whole && hits.length === 0) known.add(text);
    return { hits, passes: whole && !hits.some(({ rule }) => hiding[rule] === 1) };
  }

  /** The same of a header, in every way in which clients read one: what a rule found in an earlier reading is not told twice. */
  lookAtHeader(text: string): ReturnType<ValueReader['look']> {
    const { act, cleanReadings: known } = this.#views;
    if (act.idle || known.has(text)) return nothingFound;
    const hits: Hit[] = [];
    let passes = true;
    for (const one of readings(text)) {
      const look = this.look(one);
      const found = new Set(hits.map(({ rule }) => rule));
      hits.push(...look.hits.filter(({ rule }) => !found.has(rule)));
      passes &&= look.passes;
    }
    if (passes && hits.length === 0) known.add(text);
    return { hits, passes };
  }

  /** @param fields that the caller's view names */
  #hidden(answer: AnswerView, root: JsonNode, fields: readonly NamedField[]): ValueOutcome['hidden'] {
    const { record, same } = this.#views;
    if (!record.fields) return undefined;
    return labelsOf(record, same ? fields : namedFieldsOf(record, root, answer.toolInputs));
  }

  #fields(fields: readonly NamedField[], edits: JsonEdit[], hits: Hit[]): void {
    for (const { node, rule } of fields) {
      hits.push({ rule, by: 'field', start: node.start, end: node.end, ...saidOfNamed });
      if (this.#view.spec.replace[rule] !== 1) continue;
      const text = this.#view.fieldReplacement(rule, node.text);
      edits.push({ start: node.start, end: node.end, text: JSON.stringify(text) });
    }
  }
}
