import { CodedError, parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import type { PostAnswer } from './post.ts';
import { tooSlow } from './receiver.ts';

/** What an answer's `partialSuccess` counts, by its name in JSON. In both answers it is the first field of the message. */
export type RejectedCount = 'rejectedLogRecords' | 'rejectedSpans';

/** The encoding that is not JSON (OTLP 1, section "Binary Protobuf Encoding"): some servers answer in it whatever they were asked in. */
const protobuf = /^application\/(?:x-)?protobuf\s*(?:;|$)/i;

const unreadable = (why: string, code = 'not_taken'): CodedError =>
  new CodedError(code, `the receiver's answer is no answer of OTLP (${why})`);

/**
 * `partialSuccess` of an answer of status 2xx: how many the receiver does not take. An answer that cannot be read says of none that it was
 * taken: a proxy that answers a page of its own has kept nothing.
 *
 * @throws CodedError
 */
export function rejected({ type, body, isCut }: PostAnswer, count: RejectedCount): number {
  // Of fewer events there is less to say.
  if (isCut) throw unreadable('too long', tooSlow);
  const rejects = protobuf.test(type) ? rejectedOfProtobuf(body) : rejectedOfJson(body.toString('utf8'), count);
  if (!Number.isSafeInteger(rejects) || rejects < 0) throw unreadable(`${count} is no number`);
  return rejects;
}

function rejectedOfJson(text: string, count: RejectedCount): number {
  if (text.trim() === '') return 0;
  let answer: JsonNode;
  try {
    answer = parseJson(text);
  } catch {
    throw unreadable('no JSON');
  }
  if (answer.kind !== 'object') throw unreadable('no object');
  const rejects = answer.get('partialSuccess')?.get(count);
  // `null` is the default, as in all JSON of Protocol Buffers; 64-bit numbers are texts there.
  if (rejects === undefined || rejects.kind === 'null') return 0;
  return Number(rejects.string ?? rejects.number ?? NaN);
}

function rejectedOfProtobuf(body: Buffer): number {
  let rejects = 0n;
  for (const [answered, partial] of fieldsOf(body)) {
    if (answered !== 1) continue;
    if (typeof partial === 'bigint') throw unreadable('no partialSuccess');
    for (const [counted, value] of fieldsOf(partial)) {
      if (counted !== 1) continue;
      if (typeof value !== 'bigint') throw unreadable('no count');
      rejects = BigInt.asIntN(64, value);
    }
  }
  return Number(rejects);
}

/** Fields of a message in the wire format of Protocol Buffers: numbers of type varint, and the bytes of all others. @throws CodedError */
function* fieldsOf(message: Buffer): Iterable<readonly [field: number, value: bigint | Buffer]> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw unreadable('no Protocol Buffers');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw unreadable('no Protocol Buffers');
  };
  const bytes = (length: number): Buffer => {
    if (length > message.length - at) throw unreadable('no Protocol Buffers');
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = Number(varint());
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield [field, varint()];
        break;
      case 1:
        yield [field, bytes(8)];
        break;
      case 2:
        yield [field, bytes(Number(varint()))];
        break;
      case 5:
        yield [field, bytes(4)];
        break;
      default:
        throw unreadable('no Protocol Buffers');
    }
    if (field === 0) throw unreadable('no Protocol Buffers');
  }
}
