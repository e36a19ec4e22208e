import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { ByteChain } from '../base/index.ts';
import { onlyMessage, rpcHeaders, timeoutOf } from './rpc-request.ts';

const body = (message: Uint8Array, flag = 0, length = message.length): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
};
const hello = Buffer.from('hello');
const counted = (): { readonly take: (bytes: number) => void; bytes: number } => {
  const count = { bytes: 0, take: (bytes: number) => void (count.bytes += bytes) };
  return count;
};
const read = async (bytes: Buffer, encoding?: string, maxBytes = 1_000): Promise<Buffer> => {
  const headers = encoding === undefined ? {} : { 'grpc-encoding': encoding };
  const message = await onlyMessage(ByteChain.of(bytes), headers, maxBytes, () => undefined);
  return message.bytes();
};

test('one message, as it is or inflated; what it has beyond the body is counted', async () => {
  expect((await read(body(hello))).toString()).toBe('hello');
  expect((await read(body(Buffer.alloc(0)))).length).toBe(0);
  expect((await read(body(hello), 'gzip')).toString()).toBe('hello');
  expect((await read(body(deflateSync(hello), 1), 'deflate')).toString()).toBe('hello');
  const count = counted();
  const text = Buffer.alloc(900, 'a');
  const coded = ByteChain.of(body(gzipSync(text), 1));
  const inflated = await onlyMessage(coded, { 'grpc-encoding': 'gzip' }, 1_000, count.take);
  expect(inflated.bytes()).toEqual(text);
  expect(count.bytes).toBe(900);
});

test('the message is the memory that came, wherever its body was cut', async () => {
  const whole = body(Buffer.alloc(100_000, 0x3e));
  for (const at of [1, 4, 5, 6, 50_000]) {
    const pieces = [Buffer.from(whole.subarray(0, at)), Buffer.from(whole.subarray(at))];
    const message = await onlyMessage(ByteChain.of(...pieces), {}, 200_000, () => undefined);
    expect(message.bytes().equals(whole.subarray(5))).toBe(true);
    const memory = new Set<unknown>(pieces.map((piece) => piece.buffer));
    expect(message.pieces.filter((piece) => !memory.has(piece.buffer))).toEqual([]);
  }
});

describe('is refused', () => {
  test.each<[string, Buffer, string | undefined, string]>([
    ['no message', Buffer.alloc(0), undefined, 'invalid_request'],
    ['half a prefix', Buffer.alloc(4), undefined, 'invalid_request'],
    ['half a message', body(hello, 0, 9), undefined, 'invalid_request'],
    ['something behind it', Buffer.concat([body(hello), Buffer.from('x')]), undefined, 'invalid_request'],
    ['a second message', Buffer.concat([body(hello), body(hello)]), undefined, 'invalid_request'],
    ['an unknown flag', body(hello, 2), undefined, 'invalid_request'],
    ['more than the cap', body(Buffer.alloc(1_001)), undefined, 'body_too_large'],
    ['more than the cap when it is inflated', body(gzipSync(Buffer.alloc(1_000_000)), 1), 'gzip', 'body_too_large'],
    ['a coding that is not undone', body(hello, 1), 'snappy', 'unsupported_encoding'],
    ['a coding that nobody named', body(gzipSync(hello), 1), undefined, 'unsupported_encoding'],
    ['what is not so coded', body(hello, 1), 'gzip', 'invalid_encoding'],
    ['something behind what is coded', body(Buffer.concat([gzipSync(hello), hello]), 1), 'gzip', 'invalid_encoding'],
  ])('%s', async (_what, bytes, encoding, code) => {
    await expect(read(bytes, encoding)).rejects.toMatchObject({ code });
  });
});

test('a timeout is what the protocol writes, and goes on as what is left of it', () => {
  const of = (text: string): number | undefined => timeoutOf({ 'grpc-timeout': text });
  expect(timeoutOf({})).toBeUndefined();
  expect([of('1H'), of('2M'), of('3S'), of('4m'), of('5000u'), of('99999999n')]).toEqual([
    3_600_000, 120_000, 3_000, 4, 5, 99.999999,
  ]);
  expect(of('99999999H')).toBeUndefined();
  for (const bad of ['', '1', 'm', '1s', '123456789m', '-1m', '1.5S'])
    expect(() => of(bad)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  expect(rpcHeaders({ a: 'b', 'grpc-timeout': '9H' }, 1_500.7)).toMatchObject({
    a: 'b',
    te: 'trailers',
    'grpc-timeout': '1500m',
  });
  expect(rpcHeaders({}, 0)).toMatchObject({ 'grpc-timeout': '1m' });
  expect(rpcHeaders({}, 3.6e11)).toMatchObject({ 'grpc-timeout': '99999999S' });
  expect(rpcHeaders({ 'grpc-timeout': '9H' }, undefined)['grpc-timeout']).toBeUndefined();
});
