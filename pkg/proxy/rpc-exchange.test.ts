import type { OutgoingHttpHeaders } from 'node:http';
import { expect, test } from '@jest/globals';
import { framed, trailerFrame } from '../dialect/index.ts';
import type { Exchange } from '../http/index.ts';
import { RpcExchange } from './rpc-exchange.ts';

/** What leaves of these writes, and the trailers behind it. */
function sent(...writes: readonly Buffer[]): { readonly bytes: Buffer; readonly trailers: OutgoingHttpHeaders } {
  const left: Uint8Array[] = [];
  let fields = (): OutgoingHttpHeaders => ({});
  const exchange = {
    trailers: (made: () => OutgoingHttpHeaders) => (fields = made),
    start: () => undefined,
    write: (chunk: Uint8Array) => left.push(chunk) > 0,
    end: (chunk?: Uint8Array) => void left.push(chunk ?? Buffer.alloc(0)),
    backlogBytes: 0,
  };
  const rpc = new RpcExchange(exchange as unknown as Exchange);
  rpc.start(200, {});
  for (const chunk of writes) rpc.write(chunk);
  rpc.end();
  return { bytes: Buffer.concat(left), trailers: fields() };
}

const message = framed(Buffer.from('hello'));
const end = trailerFrame({ 'grpc-status': '5', 'grpc-message': 'x' });

test('the last frame becomes the trailers, wherever messages are cut', () => {
  for (let at = 0; at <= message.length; at++)
    expect(sent(message.subarray(0, at), message.subarray(at), end)).toEqual({
      bytes: message,
      trailers: { 'grpc-status': '5', 'grpc-message': 'x' },
    });
  expect(sent(message)).toEqual({ bytes: message, trailers: { 'grpc-status': '13' } });
});

test('an end of a model that only says so cannot name fields, or end what goes on', () => {
  const bad = trailerFrame({ connection: 'x', ':x': 'y' });
  expect(sent(bad).trailers).toEqual({ 'grpc-status': '13' });
  const half = bad.subarray(0, bad.length - 3);
  expect(sent(half)).toEqual({ bytes: half, trailers: { 'grpc-status': '13' } });
  expect(sent(Buffer.concat([bad, message]), end)).toEqual({
    bytes: Buffer.concat([bad, message]),
    trailers: { 'grpc-status': '5', 'grpc-message': 'x' },
  });
});
