import { resolve } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { grpcRegistry } from '../../../cmd/gen/grpc-descriptors.ts';
import { ByteChain, jsonValue } from '../../base/index.ts';
import type { JsonNode, JsonValue } from '../../base/index.ts';
import { reasons } from '../../core/index.ts';
import type { ReasonCode } from '../../core/index.ts';
import { recogniseRpc } from '../index.ts';
import type { StreamFrame } from '../index.ts';
import { framed } from './framing.ts';
import { refusalTrailers, statusOf } from './status.ts';
import { decodeMessage, encodeMessage, prefixBytes, readTrailers, trailerFrame } from './trailers.ts';

const registry = grpcRegistry(resolve(import.meta.dirname, '../../..'));
function bytesOf(typeName: string, value: object): Uint8Array {
  const type = registry.getMessage(typeName);
  if (type === undefined) throw new Error(typeName);
  return toBinary(type, create(type, value as MessageInitShape<DescMessage>));
}
const answer = (name: string): Buffer => framed(bytesOf('inference.ModelInferResponse', { modelName: name }));
const streamed = (name: string): Buffer =>
  framed(bytesOf('inference.ModelStreamInferResponse', { inferResponse: { modelName: name } }));
const good = trailerFrame({ 'grpc-status': '0' });

const valueOf = ({ message }: StreamFrame): JsonValue | undefined => message && jsonValue(message.root);

function frames(method: string, chunks: readonly Buffer[]): StreamFrame[] {
  const [framing] = recogniseRpc('POST', `/inference.GRPCInferenceService/${method}`).streams;
  const splitter = framing?.splitter();
  if (splitter === undefined) throw new Error(method);
  const all = chunks.flatMap((chunk) => [...splitter.push(chunk)]);
  expect(splitter.end()).toBeUndefined();
  return all;
}

test('frames are the same wherever the stream is cut, and joined they are the stream', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 20 }),
      (names, sizes) => {
        const bytes = Buffer.concat([...names.map(streamed), good]);
        let from = 0;
        const chunks = sizes.map((size) => bytes.subarray(from, (from += size)));
        const found = frames('ModelStreamInfer', [...chunks, bytes.subarray(from)]);
        const chains = found.map(({ message }) => message?.bytes ?? ByteChain.of());
        expect(ByteChain.concat(chains).bytes().equals(bytes)).toBe(true);
        expect(found.map(valueOf)).toEqual(frames('ModelStreamInfer', [bytes]).map(valueOf));
        expect(found).toHaveLength(names.length + 1);
      },
    ),
    { numRuns: 60 },
  );
});

test('a frame takes other texts, and nothing but texts', () => {
  const [message, end] = frames('ModelInfer', [
    answer('llama'),
    trailerFrame({ 'grpc-status': '5', 'grpc-message': 'a%20b' }),
  ]).map((frame) => frame.message);
  const name = message?.root.get('model_name');
  const edit = (node: JsonNode | undefined, text: string): Buffer | undefined =>
    message?.edited([{ start: node?.start ?? -1, end: node?.end ?? -1, text }]).bytes();
  expect(edit(name, '"käse"')).toEqual(answer('käse'));
  expect(message?.edited([])).toBe(message?.bytes);
  for (const text of ['3', 'null', '{}', '"\\ud800"'])
    expect(() => edit(name, text)).toThrow(expect.objectContaining({ code: 'response_uninspectable' }));
  for (const node of [message?.root, message?.root.keys[0]])
    expect(() => edit(node, '"a"')).toThrow(expect.objectContaining({ code: 'response_uninspectable' }));
  expect(end && jsonValue(end.root)).toEqual({ status: 5, message: 'a b' });
  const said = end?.root.get('message');
  const other = end?.edited([{ start: said?.start ?? 0, end: said?.end ?? 0, text: '"ü"' }]).bytes();
  expect(readTrailers(other?.toString('latin1', prefixBytes) ?? '')).toEqual({
    'grpc-status': '5',
    'grpc-message': '%C3%BC',
  });
});

test('of what a model sends nothing is copied that nobody reads: a frame is the memory that came, in the pieces in which it came', () => {
  const tensor = Buffer.alloc(200_000, 0x3e);
  const whole = Buffer.concat([
    framed(
      bytesOf('inference.ModelInferResponse', {
        modelName: 'm',
        outputs: [{ name: 'x', datatype: 'FP32' }],
        rawOutputContents: [tensor],
      }),
    ),
    good,
  ]);
  const chunks = Array.from({ length: 13 }, (_, at) => Buffer.from(whole.subarray(at * 16_384, (at + 1) * 16_384)));
  const [message] = frames('ModelInfer', chunks).map((frame) => frame.message);
  const pieces = message?.edited([]).pieces ?? [];
  expect(pieces).toHaveLength(13);
  expect(pieces.map((piece) => piece.buffer)).toEqual(chunks.map((chunk) => chunk.buffer));
  for (const [at, piece] of pieces.entries()) expect(piece.buffer).toBe(chunks[at]?.buffer);
  // Where a name is edited, the numbers are still the memory that came.
  const name = message?.root.get('model_name');
  const edited = message?.edited([{ start: name?.start ?? 0, end: name?.end ?? 0, text: '"another"' }]);
  const memory = new Set<unknown>(chunks.map((chunk) => chunk.buffer));
  const own = (edited?.pieces ?? []).filter((piece) => !memory.has(piece.buffer));
  expect(own.reduce((sum, piece) => sum + piece.length, 0)).toBeLessThan(30);
});

test('pieces of a few bytes are put together, so that a message never costs an object for each of its bytes', () => {
  const bytes = answer('a'.repeat(500));
  const [message] = frames('ModelInfer', [...Array.from(bytes, (byte) => Buffer.of(byte)), good]).map(
    (frame) => frame.message,
  );
  expect(message?.bytes.pieces).toHaveLength(1);
  expect(message?.bytes.bytes()).toEqual(bytes);
});

describe('is refused', () => {
  const packed = Buffer.from(answer('a'));
  packed[0] = 1;
  const huge = Buffer.from([0, 0xff, 0, 0, 0]);
  test.each<[string, readonly Buffer[], string]>([
    ['a compressed message', [packed, good], 'response_uninspectable'],
    ['a message longer than is read, before it is there', [huge], 'response_uninspectable'],
    ['a message that is no such', [framed(Buffer.from('garbage')), good], 'response_uninspectable'],
    ['two answers to one request', [answer('a'), answer('b'), good], 'upstream_protocol'],
    ['a message behind the end', [good, answer('a')], 'upstream_protocol'],
    ['an end without a status', [answer('a'), trailerFrame({})], 'upstream_protocol'],
    ['no end', [answer('a')], 'upstream_protocol'],
    ['half a message', [answer('abc').subarray(0, 7)], 'upstream_protocol'],
  ])('%s', (_what, chunks, code) => {
    expect(() => frames('ModelInfer', chunks)).toThrow(expect.objectContaining({ code }));
  });
});

test('the message of a status is any text, in printable ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const coded = encodeMessage(text);
      expect(coded).toMatch(/^[ -~]*$/);
      expect(decodeMessage(coded)).toBe(text);
    }),
  );
  expect(decodeMessage('100% %zz %4')).toBe('100% %zz %4');
});

test('of an end nothing is taken but how the call ended', () => {
  const text = 'grpc-status: 0\r\nconnection: x\r\n:x: y\r\ngrpc-message: a\nb\r\nset-cookie: a\r\n';
  expect(readTrailers(text)).toEqual({ 'grpc-status': '0' });
  expect(readTrailers('grpc-status: ok\r\ngrpc-message: fine')).toEqual({ 'grpc-message': 'fine' });
});

test('every reason has a status that is none of OK, and details that say which it is', () => {
  for (const code of Object.keys(reasons) as ReasonCode[]) {
    expect(statusOf(code)).toBeGreaterThan(1);
    const text = { status: 403, code, message: 'Grüße', rule: 'p/r', requestId: 'id-1', detail: undefined };
    const trailers = readTrailers(refusalTrailers(text).subarray(prefixBytes).toString('latin1'));
    expect(trailers['grpc-status']).toBe(String(statusOf(code)));
    expect(decodeMessage(trailers['grpc-message'] ?? '')).toBe('Grüße');
    const details = Buffer.from(trailers['grpc-status-details-bin'] ?? '', 'base64');
    for (const part of [code, 'sidegate.dev', 'p/r', 'id-1', 'google.rpc.ErrorInfo', 'Grüße'])
      expect(details.includes(part)).toBe(true);
  }
  expect(statusOf('access_denied')).toBe(7);
  expect(statusOf('token_missing')).toBe(16);
  expect(statusOf('approval_expired')).toBe(7);
  expect(statusOf('deadline_exceeded')).toBe(4);
});
