import { describe, expect, it } from '@jest/globals';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { RefusedError } from '../../core/index.ts';
import { EventSplitter, decodeEvent, encodeEvent } from './event-stream.ts';

const unreadable = (detail: string): object => expect.objectContaining({ code: 'response_uninspectable', detail });

/** Both checksums made good again: what is wrong is only what a test changed. */
function sealed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32BE(crc32(copy.subarray(0, 8)), 8);
  copy.writeUInt32BE(crc32(copy.subarray(0, copy.length - 4)), copy.length - 4);
  return copy;
}

/** A message of these header bytes. */
function withHeaders(headers: Buffer, payload = Buffer.from('{}')): Buffer {
  const bytes = Buffer.alloc(16 + headers.length + payload.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(headers.length, 4);
  headers.copy(bytes, 12);
  payload.copy(bytes, 12 + headers.length);
  return sealed(bytes);
}

describe('a message', () => {
  it('is as the specification spells it', () => {
    // The example of AWS's own test vectors: no headers, no payload.
    expect(encodeEvent([], Buffer.alloc(0)).toString('hex')).toBe('000000100000000005c248eb7d98c8ff');
    const bytes = encodeEvent([['content-type', 'application/json']], Buffer.from("{'foo':'bar'}"));
    expect(bytes.toString('hex')).toBe(
      '0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e' +
        '7b27666f6f273a27626172277d8d9c08b1',
    );
  });

  it('reads as it was written', () => {
    const headers = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 40 })), {
      ...{ maxLength: 5, selector: ([name]) => name },
    });
    fc.assert(
      fc.property(headers, fc.uint8Array({ maxLength: 200 }), (pairs, payload) => {
        const read = decodeEvent(encodeEvent(pairs, payload));
        expect([...read.headers]).toEqual(pairs.map(([name, value]) => [wellFormed(name), wellFormed(value)]));
        expect([...read.payload]).toEqual([...payload]);
      }),
    );
  });

  it('of which any bit was changed is refused', () => {
    const bytes = encodeEvent([[':event-type', 'chunk']], Buffer.from('{"a":1}'));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeEvent(changed)).toThrow(unreadable('frame'));
    }
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeEvent(bytes.subarray(0, length))).toThrow(RefusedError);
    expect(() => decodeEvent(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(unreadable('frame'));
  });

  const header = (name: string, kind: number, value: Buffer): Buffer =>
    Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([kind]), value]);
  const short = (text: string): Buffer => {
    const size = Buffer.alloc(2);
    size.writeUInt16BE(Buffer.byteLength(text));
    return Buffer.concat([size, Buffer.from(text)]);
  };
  it.each([
    ['a header of another kind', header('a', 0, Buffer.alloc(0))],
    ['bytes for a text', header('a', 6, short('x'))],
    ['a header without a name', header('', 7, short('x'))],
    ['a header twice', Buffer.concat([header('a', 7, short('x')), header('a', 7, short('y'))])],
    ['a header that is longer than there is', header('a', 7, Buffer.from([0, 9, 0x61]))],
    ['a name that is longer than there is', Buffer.from([9, 0x61])],
    ['a header without a kind', Buffer.from([1, 0x61])],
    ['a text that is no UTF-8', header('a', 7, Buffer.from([0, 1, 0xff]))],
    ['too many headers', Buffer.concat(Array.from({ length: 17 }, (_, at) => header(`h${at}`, 7, short('x'))))],
  ])('with %s is refused', (_, headers) => {
    expect(() => decodeEvent(withHeaders(headers))).toThrow(unreadable('frame'));
  });

  it.each([
    ['headers longer than the message', 4, 100],
    ['a length of nothing', 0, 15],
    ['a length of less than it is', 0, 20],
  ])('that says %s is refused', (_, at, value) => {
    const bytes = Buffer.from(encodeEvent([['a', 'b']], Buffer.from('{}')));
    bytes.writeUInt32BE(value, at);
    expect(() => decodeEvent(sealed(bytes))).toThrow(unreadable('frame'));
  });
});

/** As UTF-8 has it. */
const wellFormed = (text: string): string => text.toWellFormed();

describe('a stream of messages', () => {
  it('is cut into them wherever its chunks are cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 12 }), (payloads, sizes) => {
        const whole = payloads.map((payload) => encodeEvent([['a', 'b']], payload));
        const bytes = Buffer.concat(whole);
        const splitter = new EventSplitter();
        let from = 0;
        const chunks = [...sizes.map((size) => bytes.subarray(from, (from += size))), bytes.subarray(from)];
        const found: string[] = [];
        let taken = 0;
        let fed = 0;
        for (const chunk of chunks) {
          fed += chunk.length;
          for (const message of splitter.push(chunk)) {
            found.push(message.toString('hex'));
            taken += message.length;
          }
          expect(splitter.pendingBytes).toBe(fed - taken);
        }
        expect(found).toEqual(whole.map((one) => one.toString('hex')));
      }),
    );
  });

  it('that is longer than allowed, or says it wrong, is refused before it is whole', () => {
    const long = encodeEvent([], Buffer.alloc(100)).subarray(0, 12);
    expect(() => new EventSplitter(99).push(long)).toThrow(unreadable('frame_size'));
    const wrong = Buffer.from(long);
    wrong[0] = 1;
    expect(() => new EventSplitter().push(wrong)).toThrow(unreadable('frame'));
    const splitter = new EventSplitter();
    expect(splitter.push(long.subarray(0, 11))).toEqual([]);
    splitter.clear();
    expect(splitter.pendingBytes).toBe(0);
  });
});
