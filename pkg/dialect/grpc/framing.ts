import { ByteChain, JsonError, JsonNode, PieceList, applyEdits, parseJson } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { longestFrame } from '../framing/stream-framing.ts';
import type { FrameMessage, FrameSplitter, StreamFrame, StreamFraming } from '../framing/stream-framing.ts';
import { NumberTally } from '../number-tally.ts';
import type { Projected, Rpc } from '../rpc.ts';
import { decodeMessage, encodeMessage, prefixBytes, readTrailers, trailerFlag, trailerFrame } from './trailers.ts';

/**
 * Answers of gRPC: length-prefixed messages, and behind them how the call ended. A message is read as the JSON that says the same, the end as
 * its status and message; both stay the bytes that came, in the pieces in which they came. Compressed messages are refused: the model was
 * told that its caller reads none.
 */

/** In a call that takes more than one request, a message's data says which of the call's answers it belongs to. */
export const turnField = 'turn';
export const messageField = 'message';

/** The name of the frame that says how a call ended. */
export const endEvent = 'end';

class MessageFrame implements StreamFrame {
  readonly event = undefined;
  readonly complete = true;
  readonly plain = true;
  readonly raw = '';
  readonly data = '';
  readonly message: FrameMessage;

  constructor(bytes: ByteChain, projected: Projected, turn: number | undefined) {
    this.message = {
      bytes,
      root: turn === undefined ? projected.root : withTurn(projected, turn),
      edited: (edits) => (edits.length === 0 ? bytes : framedChain(projected.edited(edits))),
    };
  }

  withData(): string {
    return noText();
  }
}

/** Places behind those of the message: an edit of it names nothing here. */
function withTurn({ root, units }: Projected, turn: number): JsonNode {
  const end = units + turnField.length + messageField.length;
  const made = JsonNode.made('object', -1, end + 1, '');
  made.keys = [JsonNode.made('string', end, end, turnField), JsonNode.made('string', end, end, messageField)];
  made.items = [JsonNode.made('number', end, end, String(turn)), root];
  return made;
}

class EndFrame implements StreamFrame {
  readonly event = endEvent;
  readonly complete = true;
  readonly plain = true;
  readonly raw = '';
  readonly data = '';
  readonly message: FrameMessage;

  constructor(text: string) {
    const trailers = readTrailers(text);
    const status = trailers['grpc-status'] ?? '';
    if (!/^\d{1,2}$/.test(status)) throw new RefusedError('upstream_protocol', { detail: 'grpc-status' });
    const message = decodeMessage(trailers['grpc-message'] ?? '');
    const data = JSON.stringify({ status: Number(status), message });
    const bytes = endBytes(status, message);
    this.message = {
      bytes,
      root: parseJson(data),
      edited: (edits) =>
        edits.length === 0 ? bytes : endBytes(status, parseRead(applyEdits(data, edits)).get('message')?.string ?? ''),
    };
  }

  withData(): string {
    return noText();
  }
}

function noText(): never {
  throw new RefusedError('internal_error', { detail: 'a frame of bytes' });
}

const endBytes = (status: string, message: string): ByteChain =>
  ByteChain.of(
    trailerFrame({ 'grpc-status': status, ...(message !== '' && { 'grpc-message': encodeMessage(message) }) }),
  );

/** A message behind its prefix, not compressed. */
export const framed = (message: Uint8Array): Buffer => Buffer.concat([prefixOf(message.length), message]);

/** The same of one in pieces, none of which is copied. */
export const framedChain = (message: ByteChain): ByteChain =>
  ByteChain.ofAll([prefixOf(message.length), ...message.pieces]);

function prefixOf(length: number): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

function parseRead(text: string): JsonNode {
  try {
    return parseJson(text);
  } catch (cause) {
    // Half of a pair of surrogates has no UTF-8.
    if (cause instanceof JsonError) throw new RefusedError('response_uninspectable', { detail: 'protobuf', cause });
    throw cause;
  }
}

/** Answers of one call that are under way at once: each has texts of its own that are kept. */
const mostIds = 1_024;

/** Ids are kept for as long as what they name is under way: no client's is longer. */
export const longestId = 256;

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
  readonly #pieces = new PieceList();
  /** Of the frame under way, with its prefix; 0: not known yet. */
  #due = 0;
  #ended = false;
  #messages = 0;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  get pendingBytes(): number {
    return this.#pieces.length;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    if (chunk.length === 0) return none;
    this.#pieces.push(chunk);
    if (this.#pieces.length < Math.max(this.#due, prefixBytes)) return none;
    let rest = this.#pieces.chain();
    const frames: StreamFrame[] = [];
    for (;;) {
      this.#due = 0;
      if (rest.length < prefixBytes) break;
      const length = rest.bytes(0, prefixBytes).readUInt32BE(1);
      if (length > longestFrame) throw new RefusedError('response_uninspectable', { detail: 'frame_size' });
      this.#due = prefixBytes + length;
      if (rest.length < this.#due) break;
      frames.push(this.#frame(rest.slice(0, this.#due)));
      rest = rest.slice(this.#due);
    }
    this.#pieces.reset(rest);
    return frames;
  }

  #frame(bytes: ByteChain): StreamFrame {
    if (this.#ended) throw new RefusedError('upstream_protocol', { detail: 'message after the end' });
    switch (bytes.at(0)) {
      case 0:
        this.#messages++;
        if (this.#messages > 1 && !this.#rpc.serverStreams)
          throw new RefusedError('upstream_protocol', { detail: 'messages' });
        return this.#message(bytes);
      case trailerFlag:
        this.#ended = true;
        return new EndFrame(bytes.bytes(prefixBytes).toString('latin1'));
      default:
        throw new RefusedError('response_uninspectable', { detail: 'compressed' });
    }
  }

  #message(bytes: ByteChain): StreamFrame {
    const message = bytes.slice(prefixBytes);
    const projected = this.#rpc.answer(message);
    if (!this.#rpc.serverStreams) return new MessageFrame(bytes, projected, undefined);
    const { id, last } = this.#rpc.turns ? turnOf(projected.root) : oneAnswer;
    if (id.length > longestId) throw new RefusedError('response_uninspectable', { detail: 'id' });
    const turn = this.#rpc.turns ? this.#turn(id, last) : undefined;
    const tally = this.#tallies.get(id) ?? new NumberTally();
    tally.add(projected.numbers);
    if (last) this.#tallies.delete(id);
    else if (projected.numbers.length > 0) this.#tallies.set(id, tally);
    return new MessageFrame(bytes, tally.tells ? this.#rpc.answer(message, true) : projected, turn);
  }

  /** Ids may come again, for another request: what answers that is another text, so each answer has a number that no other of the call has. */
  #turn(id: string, last: boolean): number {
    const turn = this.#turns.get(id) ?? this.#answers++;
    if (last) this.#turns.delete(id);
    else if (this.#turns.has(id) || this.#turns.size < mostIds) this.#turns.set(id, turn);
    else throw new RefusedError('response_uninspectable', { detail: 'ids' });
    return turn;
  }
  /** Of answers under way, by the id of what they answer. */
  readonly #turns = new Map<string, number>();
  #answers = 0;
  /** Of answers under way. */
  readonly #tallies = new Map<string, NumberTally>();

  end(): StreamFrame | undefined {
    // Without a status nobody can say that the answer is whole.
    if (!this.#ended || this.#pieces.length > 0) throw new RefusedError('upstream_protocol', { detail: 'grpc-status' });
    return undefined;
  }

  clear(): void {
    this.#pieces.reset();
    this.#due = 0;
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
