import { JsonError, parseJson } from '../../base/index.ts';
import type { JsonEdit, JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { longestFrame } from '../framing/stream-framing.ts';
import type { FrameSplitter, StreamFrame, StreamFraming } from '../framing/stream-framing.ts';
import type { Projected, Rpc, WholeNumbers } from '../rpc.ts';
import { tokenRun } from './projection.ts';
import { decodeMessage, encodeMessage, prefixBytes, readTrailers, trailerFlag, trailerFrame } from './trailers.ts';

/**
 * Answers of gRPC: length-prefixed messages, and behind them how the call ended. A message's data is its JSON, that of the end the status and
 * its message. Compressed messages are refused: the model was told that its caller reads none.
 */

/** In a call that takes more than one request, a message's data says how many with its id were answered before. */
export const turnField = 'turn';
export const messageField = 'message';

/** The name of the frame that says how a call ended. */
export const endEvent = 'end';

class MessageFrame implements StreamFrame {
  readonly event = undefined;
  readonly complete = true;
  readonly plain = true;
  readonly raw: string;
  readonly data: string;
  readonly #projected: Projected;

  /** Where the message's JSON stands in its data. */
  readonly #offset: number;

  constructor(raw: string, projected: Projected, turn: number | undefined) {
    const before = turn === undefined ? '' : `{"${turnField}":${turn},"${messageField}":`;
    this.raw = raw;
    this.data = turn === undefined ? projected.text : `${before}${projected.text}}`;
    this.#projected = projected;
    this.#offset = before.length;
  }

  withData(data: string): string {
    const edits = differences(this.data, data);
    if (edits.length === 0) return this.raw;
    const own = edits.map(({ start, end, text }) => ({ start: start - this.#offset, end: end - this.#offset, text }));
    return framed(this.#projected.edited(own)).toString('latin1');
  }
}

class EndFrame implements StreamFrame {
  readonly event = endEvent;
  readonly complete = true;
  readonly plain = true;
  readonly raw: string;
  readonly data: string;
  readonly #status: string;

  constructor(text: string) {
    const trailers = readTrailers(text);
    const status = trailers['grpc-status'] ?? '';
    if (!/^\d{1,2}$/.test(status)) throw new RefusedError('upstream_protocol', { detail: 'grpc-status' });
    const message = decodeMessage(trailers['grpc-message'] ?? '');
    this.#status = status;
    this.data = JSON.stringify({ status: Number(status), message });
    this.raw = endText(status, message);
  }

  withData(data: string): string {
    return endText(this.#status, parseJson(data).get('message')?.string ?? '');
  }
}

const endText = (status: string, message: string): string =>
  trailerFrame({ 'grpc-status': status, ...(message !== '' && { 'grpc-message': encodeMessage(message) }) }).toString(
    'latin1',
  );

/** A message behind its prefix, not compressed. */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(prefixBytes + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, prefixBytes);
  return bytes;
}

/** What was changed of a JSON text, value by value. @throws RefusedError where it has other values than before. */
function differences(before: string, after: string): readonly JsonEdit[] {
  if (before === after) return [];
  const edits: JsonEdit[] = [];
  const compare = (a: JsonNode, b: JsonNode): void => {
    const isLeaf = a.kind !== 'object' && a.kind !== 'array';
    if (isLeaf && a.kind === b.kind) {
      if (a.text !== b.text) edits.push({ start: a.start, end: a.end, text: after.slice(b.start, b.end) });
      return;
    }
    if (a.kind !== b.kind || a.items.length !== b.items.length)
      throw new RefusedError('response_uninspectable', { detail: 'protobuf' });
    a.items.forEach((item, at) => compare(item, b.items[at] ?? a));
  };
  compare(parseJson(before), parseRead(after));
  return edits;
}

function parseRead(text: string): JsonNode {
  try {
    return parseJson(text);
  } catch (cause) {
    // Half of a pair of surrogates has no UTF-8; a key of a map may come twice.
    if (cause instanceof JsonError) throw new RefusedError('response_uninspectable', { detail: 'protobuf', cause });
    throw cause;
  }
}

/** Requests of one call whose ids are remembered. */
const mostIds = 1_024;

/** Whose answer a message of Triton's stream is, and whether it is the last of it. */
export function turnOf(message: JsonNode): { readonly id: string; readonly last: boolean } {
  const response = message.get('infer_response');
  const last = response?.get('parameters')?.get('triton_final_response')?.get('bool_param')?.boolean === true;
  return { id: response?.get('id')?.string ?? '', last };
}

/** All messages of other streams are one answer. */
const oneAnswer: ReturnType<typeof turnOf> = { id: '', last: false };

const none: readonly StreamFrame[] = Object.freeze([]);

class MessageSplitter implements FrameSplitter {
  readonly #rpc: Rpc;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the frame under way, with its prefix; 0: not known yet. */
  #due = 0;
  #ended = false;
  #messages = 0;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  get pendingBytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    if (chunk.length === 0) return none;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < Math.max(this.#due, prefixBytes)) return none;
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    const frames: StreamFrame[] = [];
    for (;;) {
      this.#due = 0;
      if (rest.length < prefixBytes) break;
      const length = rest.readUInt32BE(1);
      if (length > longestFrame) throw new RefusedError('response_uninspectable', { detail: 'frame_size' });
      this.#due = prefixBytes + length;
      if (rest.length < this.#due) break;
      frames.push(this.#frame(rest.subarray(0, this.#due)));
      rest = rest.subarray(this.#due);
    }
    this.#bytes = rest.length;
    this.#chunks = rest.length === 0 ? [] : [rest];
    return frames;
  }

  #frame(bytes: Buffer): StreamFrame {
    if (this.#ended) throw new RefusedError('upstream_protocol', { detail: 'message after the end' });
    switch (bytes[0]) {
      case 0:
        this.#messages++;
        if (this.#messages > 1 && !this.#rpc.serverStreams)
          throw new RefusedError('upstream_protocol', { detail: 'messages' });
        return this.#message(bytes);
      case trailerFlag:
        this.#ended = true;
        return new EndFrame(bytes.toString('latin1', prefixBytes));
      default:
        throw new RefusedError('response_uninspectable', { detail: 'compressed' });
    }
  }

  #message(bytes: Buffer): StreamFrame {
    const message = bytes.subarray(prefixBytes);
    const raw = bytes.toString('latin1');
    const projected = this.#rpc.answer(message);
    if (!this.#rpc.serverStreams) return new MessageFrame(raw, projected, undefined);
    const { id, last } = this.#rpc.turns ? turnOf(parseRead(projected.text)) : oneAnswer;
    const turn = this.#rpc.turns ? this.#turn(id, last) : undefined;
    const tally = this.#tallies.get(id) ?? new NumberTally();
    tally.add(projected.numbers);
    if (last) this.#tallies.delete(id);
    else if (projected.numbers.length > 0) this.#tallies.set(id, tally);
    return new MessageFrame(raw, tally.tells ? this.#rpc.answer(message, true) : projected, turn);
  }

  /** Ids may come again, for another request: what answers that is another text. */
  #turn(id: string, last: boolean): number {
    const turn = this.#turns.get(id) ?? 0;
    if (!this.#turns.has(id) && this.#turns.size >= mostIds)
      throw new RefusedError('response_uninspectable', { detail: 'ids' });
    this.#turns.set(id, last ? turn + 1 : turn);
    return turn;
  }
  readonly #turns = new Map<string, number>();
  /** Of answers under way. */
  readonly #tallies = new Map<string, NumberTally>();

  end(): StreamFrame | undefined {
    // Without a status nobody can say that the answer is whole.
    if (!this.#ended || this.#bytes > 0) throw new RefusedError('upstream_protocol', { detail: 'grpc-status' });
    return undefined;
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.#due = 0;
  }
}

/** Tensors of one answer of which it is remembered what they held last. */
const mostTensors = 16;
/** Letters of such a tensor's name. */
const longestName = 256;

/**
 * Whole numbers of one answer, over all of its messages: a server may stream the ids of its tokens one by one. What stays the same from
 * message to message tells nothing (`batch_index`), and is counted once.
 */
class NumberTally {
  #count = 0;
  readonly #last = new Map<string, string>();

  add(numbers: readonly WholeNumbers[]): void {
    for (const { name, count, bytes } of numbers) {
      if (this.#last.get(name) === bytes) continue;
      this.#count += count;
      if (name.length <= longestName && (this.#last.has(name) || this.#last.size < mostTensors))
        this.#last.set(name, bytes);
    }
  }

  /** They may be a text. */
  get tells(): boolean {
    return this.#count >= tokenRun;
  }
}

const silence: StreamFrame = {
  raw: '',
  event: undefined,
  data: undefined,
  complete: true,
  plain: true,
  withData: () => '',
};

/** Media types of gRPC with protobuf. */
export const rpcTypes: ReadonlySet<string> = new Set(['application/grpc', 'application/grpc+proto']);

export function rpcFraming(rpc: Rpc): StreamFraming {
  return {
    mediaTypes: rpcTypes,
    contentType: 'application/grpc',
    encoding: 'latin1',
    splitter: () => new MessageSplitter(rpc),
    // What is of our own is a refusal, and is framed already (status.ts).
    frame: (data) => data,
    bare: (frame) => frame,
    silence,
    padded: (text) => text,
  };
}
