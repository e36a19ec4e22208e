import { isUtf8 } from 'node:buffer';
import { JsonError, applyEdits, parseJson } from '../../base/index.ts';
import type { JsonEdit, JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { ReasonCode } from '../../core/index.ts';
import { maxAnswerValues, maxRequestValues } from '../reader.ts';
import type { SplitBody, SplitText } from '../split-body.ts';
import { namesIds } from '../token-ids.ts';
import { floatTypes, wholeBytes } from './datatypes.ts';
import { tokenRun } from '../number-tally.ts';

/**
 * Bodies of KServe v2 whose tensors stand behind the JSON (Triton `docs/protocol/extension_binary_data.md`), as the JSON that says the same:
 * each such tensor gets its contents as `data`, and its `binary_data_size` becomes `null`.
 *
 * Promise: every element of a BYTES tensor is a string there, or shows as {@link unread}, which counts as text that cannot be inspected; so do
 * eight whole numbers in a tensor, and fewer of one that is named as token ids are; fewer of another are as many zeros, which count with the
 * rest of the body's. An edit of a string changes its bytes and the
 * lengths around it: the element's, `binary_data_size`, and how long the JSON is; no other byte. Refused is what two readers could take differently:
 * sizes that do not come to the body's, contents twice, elements longer than their tensor.
 *
 * Limit: numbers of FP16, BF16, FP32 and FP64 are not looked at.
 */

/** Stands for what nobody can read as text: eight whole numbers are taken for token ids everywhere. */
const unread = '[0,0,0,0,0,0,0,0]';
/** Elements of a body: more values are not read of any. */
const mostElements = 80_000;

/** A body that cannot be read, or an edit that cannot be carried out. */
class SplitError extends Error {}

/** Some of the JSON that shows as something else. */
interface Splice {
  /** In the JSON as it came. */
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

interface Element {
  /** Where its text begins in the JSON that is shown. */
  readonly start: number;
  /** In the body: its bytes, behind the four that say how many they are. */
  readonly from: number;
  readonly to: number;
  readonly tensor: Tensor;
}

interface Tensor {
  readonly size: JsonNode;
  readonly from: number;
  readonly to: number;
}

class Splitter {
  readonly #body: Buffer;
  readonly #head: string;
  readonly #jsonBytes: number;
  readonly #splices: Splice[] = [];
  readonly #tensors: Tensor[] = [];
  readonly #elements: Element[] = [];
  readonly text: string;
  #at: number;
  /** How much longer what is shown is than the JSON up to here. */
  #shift = 0;

  constructor(body: Buffer, jsonBytes: number, list: 'inputs' | 'outputs') {
    const head = body.subarray(0, jsonBytes);
    if (jsonBytes > body.length || !isUtf8(head)) throw new SplitError('no JSON');
    this.#body = body;
    this.#jsonBytes = jsonBytes;
    this.#head = head.toString('utf8');
    this.#at = jsonBytes;
    const root = parseJson(this.#head, { maxNodes: list === 'inputs' ? maxRequestValues : maxAnswerValues });
    for (const tensor of root.get(list)?.items ?? []) this.#read(tensor);
    if (this.#at !== body.length) throw new SplitError('bytes of no tensor');
    this.text = applyEdits(
      this.#head,
      this.#splices.map(({ from, to, text }) => ({ start: from, end: to, text })),
    );
  }

  #read(tensor: JsonNode): void {
    const size = tensor.get('parameters')?.get('binary_data_size');
    if (size === undefined || size.kind === 'null') return;
    const bytes = size.number;
    if (bytes === undefined || !/^[0-9]{1,15}$/.test(size.text)) throw new SplitError('a size that is none');
    if (tensor.get('data') !== undefined) throw new SplitError('contents twice');
    const to = this.#at + bytes;
    if (to > this.#body.length) throw new SplitError('a tensor longer than the body');
    const found: Tensor = { size, from: this.#at, to };
    this.#tensors.push(found);
    this.#at = to;
    // In the order in which they stand in the JSON.
    this.#splice(size.start, size.end, 'null');
    const before = tensor.end - 1;
    const label = ',"data":';
    const begins = before + this.#shift + label.length;
    this.#splice(before, before, label + this.#contents(tensor, found, begins));
  }

  #splice(from: number, to: number, text: string): void {
    this.#splices.push({ from, to, text });
    this.#shift += text.length - (to - from);
  }

  #contents(node: JsonNode, tensor: Tensor, begins: number): string {
    const datatype = node.get('datatype')?.string ?? '';
    if (datatype === 'BYTES') return this.#texts(tensor, begins);
    const bytes = tensor.to - tensor.from;
    const width = floatTypes.get(datatype) ?? wholeBytes.get(datatype);
    if (width === undefined) return unread;
    if (bytes % width !== 0) throw new SplitError('half of a number');
    if (floatTypes.has(datatype) || bytes === 0) return '[]';
    const count = bytes / width;
    if (count >= tokenRun || namesIds(node.get('name')?.string ?? '')) return unread;
    // Counted with those of the other tensors, wherever they stand.
    return `[${Array.from({ length: count }, () => 0).join(',')}]`;
  }

  /** Each behind its length, least byte first. */
  #texts(tensor: Tensor, begins: number): string {
    const shown: string[] = [];
    let start = begins + 1;
    for (let at = tensor.from; at < tensor.to;) {
      const from = at + 4;
      const to = from + (from <= tensor.to ? this.#body.readUInt32LE(at) : Number.POSITIVE_INFINITY);
      if (to > tensor.to) throw new SplitError('an element longer than its tensor');
      const bytes = this.#body.subarray(from, to);
      const text = isUtf8(bytes) ? JSON.stringify(bytes.toString('utf8')) : unread;
      if (text !== unread) this.#elements.push({ start, from, to, tensor });
      shown.push(text);
      if (this.#elements.length > mostElements || shown.length > mostElements)
        throw new SplitError('too many elements');
      start += text.length + 1;
      at = to;
    }
    return `[${shown.join(',')}]`;
  }

  edited(edits: readonly JsonEdit[]): { readonly body: Buffer; readonly jsonBytes: number } {
    if (edits.length === 0) return { body: this.#body, jsonBytes: this.#jsonBytes };
    const elements = new Map(this.#elements.map((one) => [one.start, one]));
    const changes = new Map<Element, Buffer>();
    const head: JsonEdit[] = [];
    const asItCame = this.#places();
    for (const edit of edits) {
      const element = elements.get(edit.start);
      if (element === undefined) head.push(asItCame(edit));
      else changes.set(element, textOf(edit.text));
    }
    const parts: Buffer[] = [];
    const byTensor = Map.groupBy(
      [...changes].toSorted(([a], [b]) => a.from - b.from),
      ([element]) => element.tensor,
    );
    for (const tensor of this.#tensors) {
      const written = this.#written(tensor, byTensor.get(tensor) ?? []);
      const size = written.reduce((sum, part) => sum + part.length, 0);
      if (size !== tensor.to - tensor.from)
        head.push({ start: tensor.size.start, end: tensor.size.end, text: String(size) });
      parts.push(...written);
    }
    const json = Buffer.from(
      applyEdits(
        this.#head,
        head.toSorted((a, b) => a.start - b.start),
      ),
      'utf8',
    );
    return { body: Buffer.concat([json, ...parts]), jsonBytes: json.length };
  }

  #written(tensor: Tensor, changes: readonly (readonly [Element, Buffer])[]): readonly Buffer[] {
    const parts: Buffer[] = [];
    let at = tensor.from;
    for (const [element, text] of changes) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(text.length);
      parts.push(this.#body.subarray(at, element.from - 4), length, text);
      at = element.to;
    }
    parts.push(this.#body.subarray(at, tensor.to));
    return parts;
  }

  /** Where an edit of what stands in the JSON itself is, in the JSON as it came. It takes as long as the logarithm of how much shows as something else. */
  #places(): (edit: JsonEdit) => JsonEdit {
    /** Where each splice is shown, and how much longer what is shown is behind it. */
    const begins: number[] = [];
    const ends: number[] = [];
    const shifts: number[] = [0];
    let shift = 0;
    for (const { from, to, text } of this.#splices) {
      begins.push(from + shift);
      ends.push(from + shift + text.length);
      shift += text.length - (to - from);
      shifts.push(shift);
    }
    return ({ start, end, text }) => {
      const before = countBelow(begins, end);
      if (before > 0 && start < (ends[before - 1] ?? 0)) throw new SplitError('an edit of what is only shown');
      const by = shifts[before] ?? 0;
      return { start: start - by, end: end - by, text };
    };
  }
}

/** How many of a rising list are less. */
function countBelow(rising: readonly number[], than: number): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? 0) < than) low = middle + 1;
    else high = middle;
  }
  return low;
}

function textOf(json: string): Buffer {
  // eslint-disable-next-line no-restricted-syntax -- text of our own making
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'string') throw new SplitError('not a string');
  return Buffer.from(value, 'utf8');
}

const plainLength = /^[0-9]{1,12}$/;

/** @param unreadable why a body is refused that cannot be read. @param unchanged why one that cannot be changed as a rule wants. */
function split(
  body: Buffer,
  length: string,
  list: 'inputs' | 'outputs',
  unreadable: ReasonCode,
  unchanged: ReasonCode,
): SplitText {
  const refusing = <T>(run: () => T, code: ReasonCode): T => {
    try {
      return run();
    } catch (cause) {
      if (cause instanceof SplitError || cause instanceof JsonError)
        throw new RefusedError(code, { detail: 'binary_data', cause });
      throw cause;
    }
  };
  const splitter = refusing(() => {
    if (!plainLength.test(length)) throw new SplitError('no length');
    return new Splitter(body, Number(length), list);
  }, unreadable);
  return { text: splitter.text, edited: (edits) => refusing(() => splitter.edited(edits), unchanged) };
}

export const binaryTensors: SplitBody = {
  request: (body, length) => split(body, length, 'inputs', 'invalid_request', 'guard_blocked'),
  answer: (body, length) => split(body, length, 'outputs', 'response_uninspectable', 'response_uninspectable'),
};
