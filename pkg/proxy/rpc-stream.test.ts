import { resolve } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { grpcRegistry } from '../../cmd/gen/grpc-descriptors.ts';
import { maskingViews } from '../../test/support/masked-stream.ts';
import { parseJson } from '../base/index.ts';
import type { ByteChain } from '../base/index.ts';
import { framed, recogniseRpc, trailerFrame } from '../dialect/index.ts';
import { StreamAnswer } from './answer-stream.ts';

// A call of ModelStreamInfer that goes on and on: what is kept of it is that of the answers under way, however many there were.

const found = grpcRegistry(resolve(import.meta.dirname, '../..')).getMessage('inference.ModelStreamInferResponse');
if (found === undefined) throw new Error('no such message');
const type: DescMessage = found;

const element = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
};

/** A message of an answer, with the text of one output. */
function saying(id: string, text: string, last: boolean): Buffer {
  const final = { triton_final_response: { parameterChoice: { case: 'boolParam', value: last } } };
  const message = {
    inferResponse: {
      ...{ modelName: 'm', id, parameters: final },
      outputs: [{ name: 'text_output', datatype: 'BYTES', shape: [1n] }],
      rawOutputContents: [element(text)],
    },
  };
  return framed(toBinary(type, create(type, message as MessageInitShape<DescMessage>)));
}

function open() {
  const route = recogniseRpc('POST', '/inference.GRPCInferenceService/ModelStreamInfer');
  const [framing] = route.streams;
  if (framing === undefined) throw new Error('no stream');
  const heard: string[] = [];
  const record = new Map<string, string>();
  const output = {
    text: () => undefined,
    bytes: (chain: ByteChain) => {
      if (chain.at(0) !== 0) return; // how the call ended
      const { inferResponse } = fromBinary(type, chain.bytes().subarray(5)) as unknown as {
        readonly inferResponse?: { readonly rawOutputContents: readonly Uint8Array[] };
      };
      const [first] = inferResponse?.rawOutputContents ?? [];
      if (first !== undefined) heard.push(Buffer.from(first.subarray(4)).toString());
    },
    record: (lane: string, text: string) => void record.set(lane, (record.get(lane) ?? '') + text),
  };
  const options = { route, framing, views: maskingViews(), stops: false, dropUsage: false, observes: false };
  return { stream: new StreamAnswer({ ...options, onHits: () => undefined }, output), heard, record };
}

const many = 1_200;

test('answers that ended are given back: ids of their own, or the same again and again', () => {
  for (const idOf of [(at: number) => `request ${at}`, () => 'the same']) {
    const { stream, heard, record } = open();
    for (let at = 0; at < many; at++) {
      stream.data(saying(idOf(at), `card 4111 1111 `, false));
      stream.data(saying(idOf(at), `1111 1111 for ${at}`, true));
      expect(stream.kept).toBe(0);
    }
    stream.data(trailerFrame({ 'grpc-status': '0' }));
    stream.end();
    expect(heard).toHaveLength(2 * many);
    expect(heard.join('')).toBe(Array.from({ length: many }, (_, at) => `card [hidden] for ${at}`).join(''));
    const texts = [...record.values()].filter((one) => one.startsWith('card'));
    expect(texts).toEqual(Array.from({ length: many }, (_, at) => `card [hidden] for ${at}`));
  }
});

test('what comes with an id whose answer has ended is another text', () => {
  const { stream, heard } = open();
  stream.data(saying('a', 'pay 4111 11', true));
  stream.data(saying('a', '11 1111 1111 it is', true));
  stream.data(saying('b', 'x', false));
  expect(heard.slice(0, 2)).toEqual(['pay 4111 11', '11 1111 1111 it is']);
});

test('more than 1,024 under way, or whose end nobody says, end the call', () => {
  const { stream } = open();
  const begin = (): void => {
    for (let at = 0; at < many; at++) stream.data(saying(`request ${at}`, 'well. ', false));
  };
  expect(begin).toThrow(expect.objectContaining({ code: 'response_uninspectable', detail: 'ids' }));
});

test('an id of any length is not kept, and not asked for', () => {
  const { stream } = open();
  stream.data(saying('x'.repeat(256), 'well. ', false));
  for (const last of [false, true])
    expect(() => stream.data(saying('x'.repeat(257), 'well. ', last))).toThrow(
      expect.objectContaining({ code: 'response_uninspectable', detail: 'id' }),
    );
  const route = recogniseRpc('POST', '/inference.GRPCInferenceService/ModelStreamInfer');
  const ask = (id: string): unknown =>
    route.dialect.request(route, parseJson(JSON.stringify({ model_name: 'm', id }))).model;
  expect(ask('x'.repeat(256))).toBe('m');
  expect(() => ask('x'.repeat(257))).toThrow(expect.objectContaining({ code: 'invalid_request', detail: 'id' }));
});
