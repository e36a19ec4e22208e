import { expect, test } from '@jest/globals';
import { RefusedError } from '../core/index.ts';
import { unauthorized } from '../http/index.ts';
import type { Http2Upstream, UpstreamHandler } from '../http/index.ts';
import { tellingRefusals, tellingRpcRefusals } from './told-refusals.ts';

const request = { method: 'POST', path: '/', headers: {}, body: undefined, idleMs: 1 };

/** @returns how often the credential was refused, and what the caller of the model heard */
function hear(play: (handler: UpstreamHandler) => void, open = false): { told: number; heard: readonly string[] } {
  let told = 0;
  const heard: string[] = [];
  const call = { pause() {}, resume() {}, abort() {}, write: () => true, finish() {} };
  const answer = (_request: unknown, handler: UpstreamHandler): typeof call => {
    play(handler);
    return call;
  };
  const model: Http2Upstream = { send: answer, open: answer, close: () => undefined };
  const handler: UpstreamHandler = {
    head: (status) => heard.push(`head ${status}`),
    bodyReleased: () => heard.push('released'),
    data: (chunk) => heard.push(`data ${chunk.toString()}`),
    trailers: (headers) => heard.push(`trailers ${String(headers['grpc-status'])}`),
    room: () => heard.push('room'),
    end: () => heard.push('end'),
    error: (error) => heard.push(error.message),
  };
  if (open) tellingRpcRefusals(model, () => told++).open(request, handler);
  else tellingRefusals(model, () => told++).send(request, handler);
  return { told, heard };
}

test.each<[string, (handler: UpstreamHandler) => void, number]>([
  ['401', (handler) => handler.head(401, {}), 1],
  ['403', (handler) => handler.head(403, {}), 0],
  ['an answer', (handler) => handler.head(200, {}), 0],
  ['a status of gRPC in the head', (handler) => handler.head(200, { 'grpc-status': '16' }), 1],
  ['a status of gRPC in trailers', (handler) => handler.trailers?.({ 'grpc-status': '16' }), 1],
  ['another status of gRPC', (handler) => handler.trailers?.({ 'grpc-status': '7' }), 0],
  ['a handshake', (handler) => handler.error(new RefusedError('upstream_error', { detail: unauthorized })), 1],
  ['another fault', (handler) => handler.error(new RefusedError('upstream_error')), 0],
])('%s says whether the model refuses a credential', (_what, play, times) => {
  expect(hear(play)).toMatchObject({ told: times, heard: [expect.anything()] });
  expect(hear(play, true).told).toBe(times);
});

test('all else goes on as it came', () => {
  const { heard } = hear((handler) => {
    handler.head(200, {});
    handler.bodyReleased?.();
    handler.data(Buffer.from('a'));
    handler.room?.();
    handler.trailers?.({ 'grpc-status': '0' });
    handler.end();
  });
  expect(heard).toEqual(['head 200', 'released', 'data a', 'room', 'trailers 0', 'end']);
});
