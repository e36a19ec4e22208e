import { isUtf8 } from 'node:buffer';
import { JsonError, parseJson } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { EventSplitter, decodeEvent, encodeEvent } from '../framing/event-stream.ts';
import { missing } from '../framing/stream-framing.ts';
import type { FrameSplitter, StreamFrame, StreamFraming } from '../framing/stream-framing.ts';

/**
 * Streams of Bedrock: each message says its kind in headers, and its JSON in the payload. `Converse` names its events; what a model's own API streams
 * comes in `chunk`s, its JSON in base64 within the payload's. An exception ends either.
 *
 * A frame is the message's bytes as latin1, `event` the name of the event or exception, `data` the JSON. What leaves is written anew: headers other than
 * these do not leave.
 */
type Kind = 'events' | 'chunks';

const chunkName = 'chunk';
const exception = /^[A-Za-z]{1,64}Exception$/;
/** By which an error without a name of its own is told. */
const unnamedException = 'internalServerException';

export const isException = (event: string | undefined): boolean => event !== undefined && exception.test(event);

function refuse(): never {
  throw new RefusedError('response_uninspectable', { detail: 'frame' });
}

const textOf = (bytes: Buffer): string => (isUtf8(bytes) ? bytes.toString('utf8') : refuse());

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The JSON within a chunk. Beside it stands padding alone. */
function insideOf(payload: string): string {
  let bytes: string | undefined;
  try {
    bytes = parseJson(payload).get('bytes')?.string;
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
  }
  if (bytes === undefined || !base64.test(bytes)) refuse();
  return textOf(Buffer.from(bytes, 'base64'));
}

function write(kind: Kind, data: string, event: string | undefined): string {
  const isFault = isException(event);
  const payload = kind === 'chunks' && !isFault ? `{"bytes":"${Buffer.from(data).toString('base64')}"}` : data;
  const named: (readonly [string, string])[] =
    event === undefined ? [] : [[isFault ? ':exception-type' : ':event-type', event]];
  return encodeEvent(
    [...named, [':content-type', 'application/json'], [':message-type', isFault ? 'exception' : 'event']],
    Buffer.from(payload),
  ).toString('latin1');
}

class EventFrame implements StreamFrame {
  readonly raw: string;
  readonly event: string | undefined;
  readonly data: string;
  readonly #kind: Kind;

  constructor(raw: string, event: string | undefined, data: string, kind: Kind) {
    this.raw = raw;
    this.event = event;
    this.data = data;
    this.#kind = kind;
  }

  get complete(): true {
    return true;
  }

  get plain(): false {
    return false;
  }

  withData(data: string): string {
    return write(this.#kind, data, this.event);
  }
}

/** @throws RefusedError response_uninspectable */
function frameOf(bytes: Buffer, kind: Kind): EventFrame {
  const { headers, payload } = decodeEvent(bytes);
  const raw = bytes.toString('latin1');
  const text = payload.length === 0 ? '{}' : textOf(payload);
  switch (headers.get(':message-type')) {
    case 'event': {
      const name = headers.get(':event-type');
      if (name === undefined || isException(name) || (name === chunkName) !== (kind === 'chunks')) refuse();
      return new EventFrame(raw, name, kind === 'chunks' ? insideOf(text) : text, kind);
    }
    case 'exception': {
      const name = headers.get(':exception-type');
      if (!isException(name)) refuse();
      return new EventFrame(raw, name, text, kind);
    }
    case 'error': {
      const message = headers.get(':error-message') ?? headers.get(':error-code') ?? '';
      return new EventFrame(raw, unnamedException, JSON.stringify({ message }), kind);
    }
    default:
      return refuse();
  }
}

class Splitter implements FrameSplitter {
  readonly #messages = new EventSplitter();
  readonly #kind: Kind;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  get pendingBytes(): number {
    return this.#messages.pendingBytes;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    return this.#messages.push(chunk).map((bytes) => frameOf(bytes, this.#kind));
  }

  /** A message that broke off cannot be told from one that was cut. */
  end(): undefined {
    if (this.pendingBytes > 0) refuse();
  }

  clear(): void {
    this.#messages.clear();
  }
}

/** White space behind the JSON of the last message, which every parser passes over. */
function padded(text: string, multiple: number): string {
  const pad = missing(text.length, multiple);
  if (pad === 0 || text === '') return text;
  const bytes = Buffer.from(text, 'latin1');
  let last = 0;
  for (let next = 0; next < bytes.length; next += bytes.readUInt32BE(next)) last = next;
  const { headers, payload } = decodeEvent(bytes.subarray(last));
  const longer = Buffer.concat([payload, Buffer.alloc(pad, 0x20)]);
  return text.slice(0, last) + encodeEvent([...headers], longer).toString('latin1');
}

const framing = (kind: Kind): StreamFraming => ({
  mediaTypes: new Set(['application/vnd.amazon.eventstream']),
  contentType: 'application/vnd.amazon.eventstream',
  encoding: 'latin1',
  splitter: () => new Splitter(kind),
  frame: (data, event) => write(kind, data, event ?? (kind === 'chunks' ? chunkName : undefined)),
  bare: ({ data = '{}' }, event) => new EventFrame(write(kind, data, event), event, data, kind),
  silence: { raw: '', event: undefined, data: undefined, complete: true, plain: true, withData: () => '' },
  padded,
});

/** Of `converse-stream`. */
export const converseEvents = framing('events');
/** Of `invoke-with-response-stream`. */
export const invokeChunks = framing('chunks');
