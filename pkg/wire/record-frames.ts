import { jsonValue } from '../base/index.ts';
import { createBodyReader, frameOf, parseFrame } from './frames.ts';
import type { FrameReader } from './frames.ts';
import { maxRecordBytes, maxRecordDownBytes } from './record-messages.ts';
import type { RecordDownMessage, RecordUpMessage } from './record-messages.ts';
import { fields, integer, matching, oneOf, text } from './shape.ts';
import type { Reader } from './shape.ts';
import { readTagged } from './tagged.ts';
import { WireError } from './wire-error.ts';

/**
 * Frames of the record's stream: length, then one line of JSON; an `events` frame has the record's own lines behind it, which
 * are bytes and never decoded on the way.
 */
const lineFeed = 10;
const noBytes = Buffer.alloc(0);
const limits = { maxDepth: 4, maxNodes: 64 };
/** Longest header. */
const maxHeader = 4_096;

export function encodeRecordFrame(message: RecordUpMessage | RecordDownMessage, lines: Uint8Array = noBytes): Buffer {
  return frameOf(Buffer.from(`${JSON.stringify(message)}\n`), lines);
}

const sequence = integer(0, Number.MAX_SAFE_INTEGER);
const positive = integer(1, Number.MAX_SAFE_INTEGER);
const hash = matching(/^[0-9a-f]{64}$/);
export const chainName = matching(/^[0-9a-f]{32}$/);
const name = matching(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/);

const common = {
  beat: fields({ type: oneOf('beat') }),
  goodbye: fields({
    type: oneOf('goodbye'),
    reason: oneOf(
      'age',
      'shutdown',
      'replaced',
      'protocol',
      'identity',
      'silent',
      'conflict',
      'unavailable',
      'internal',
    ),
  }),
} as const;

const upReaders: {
  readonly [Type in RecordUpMessage['type']]: Reader<Extract<RecordUpMessage, { type: Type }>>;
} = {
  ...common,
  hello: fields({
    type: oneOf('hello'),
    version: integer(1, 1_000_000),
    pod: fields({ namespace: name, name, uid: matching(/^[A-Za-z0-9-]{1,64}$/) }),
    software: text(64),
  }),
  begin: fields({ type: oneOf('begin'), chain: chainName }),
  events: fields({ type: oneOf('events'), first: positive, count: integer(1, 1_000_000) }),
  skip: fields({
    type: oneOf('skip'),
    from: positive,
    to: positive,
    hash,
    why: oneOf('missing', 'too_long', 'unreadable'),
  }),
};

const downReaders: {
  readonly [Type in RecordDownMessage['type']]: Reader<Extract<RecordDownMessage, { type: Type }>>;
} = {
  ...common,
  welcome: fields({ type: oneOf('welcome'), version: integer(1, 1_000_000), heartbeatMs: integer(100, 600_000) }),
  position: fields({ type: oneOf('position'), chain: chainName, sequence, hash }),
  ack: fields({ type: oneOf('ack'), chain: chainName, sequence, hash }),
};

/** Whoever counts what frames hold. */
export interface RecordFrameObserver {
  /** A frame of so many bytes begins. */
  begins(bytes: number): void;
  /** It was left out: no message of it comes. */
  leftOut(): void;
}

function createReader<Message extends { readonly type: string }>(
  readers: Readonly<Record<string, Reader<Message>>>,
  maxBytes: number,
  onMessage: (message: Message, lines: Buffer) => void,
  observer?: RecordFrameObserver,
): FrameReader {
  return createBodyReader({
    maxBytes,
    ...(observer !== undefined && { onLength: (bytes) => observer.begins(bytes) }),
    onBody(body) {
      const end = body.subarray(0, maxHeader).indexOf(lineFeed);
      if (end === -1) throw new WireError('frame_content', 'a frame without a header');
      const message = readTagged<Message>(readers, jsonValue(parseFrame(body.subarray(0, end), limits)));
      const lines = body.subarray(end + 1);
      if (message === undefined) return observer?.leftOut();
      if (lines.length > 0 !== (message.type === 'events'))
        throw new WireError('message_shape', 'lines belong to events, and events have lines');
      onMessage(message, lines);
    },
  });
}

/** @param onMessage `lines` is empty but for `events`. A message of a type that is not known and says that it need not be is left out. */
export function createRecordUpReader(
  onMessage: (message: RecordUpMessage, lines: Buffer) => void,
  observer?: RecordFrameObserver,
): FrameReader {
  return createReader<RecordUpMessage>(
    upReaders as Readonly<Record<string, Reader<RecordUpMessage>>>,
    maxRecordBytes,
    onMessage,
    observer,
  );
}

export function createRecordDownReader(onMessage: (message: RecordDownMessage) => void): FrameReader {
  return createReader<RecordDownMessage>(
    downReaders as Readonly<Record<string, Reader<RecordDownMessage>>>,
    maxRecordDownBytes,
    onMessage,
  );
}
