import { expect, test } from '@jest/globals';
import { RefusedError } from '../core/index.ts';
import type { Http2Upstream, UpstreamHandler } from '../http/index.ts';
import { RpcCall } from './rpc-call.ts';
import { rpcUpstream } from './rpc-upstream.ts';

const request = { method: 'POST', path: '/', headers: {}, body: undefined, idleMs: 1 };
const type = { 'content-type': 'application/grpc' };

/** @returns what a caller hears of a model that answers so, and whether the call was ended. */
function hear(play: (handler: UpstreamHandler) => void, own: boolean, goesOn: boolean): readonly string[] {
  const heard: string[] = [];
  let handler: UpstreamHandler | undefined;
  const call = { pause() {}, resume() {}, abort: () => void heard.push('abort'), write: () => true, finish() {} };
  const answer = (_request: unknown, one: UpstreamHandler): typeof call => ((handler = one), call);
  const model: Http2Upstream = { send: answer, open: answer, close: () => undefined };
  (goesOn ? new RpcCall(model, own).upstream : rpcUpstream(model, own)).send(request, {
    head: (status) => heard.push(`head ${status}`),
    data: (chunk) => heard.push(chunk.toString('latin1').includes('no key') ? 'its words' : 'data'),
    end: () => heard.push('end'),
    error: (error) => heard.push(error instanceof RefusedError ? error.code : 'other'),
  });
  if (handler !== undefined) play(handler);
  return heard;
}

const refusal = { 'grpc-status': '16', 'grpc-message': 'no key' };
const inHead = (handler: UpstreamHandler): void => {
  handler.head(200, { ...type, ...refusal });
};
const inTrailers = (handler: UpstreamHandler): void => {
  handler.head(200, type);
  handler.trailers?.(refusal);
  handler.end();
};

test.each([false, true])('that our credential is refused is no fault of the caller’s (goes on: %s)', (goesOn) => {
  expect(hear(inHead, true, goesOn)).toEqual(['abort', 'upstream_error']);
  expect(hear(inTrailers, true, goesOn)).toEqual(['head 200', 'abort', 'upstream_error']);
  expect(hear((handler) => handler.head(401, {}), true, goesOn)).toEqual(['abort', 'upstream_error']);
});

test.each([false, true])('that the caller’s own is refused is said as it came (goes on: %s)', (goesOn) => {
  expect(hear(inHead, false, goesOn)).toEqual(['head 200', 'its words']);
  expect(hear(inTrailers, false, goesOn)).toEqual(['head 200', 'its words', 'end']);
  expect(hear((handler) => handler.head(401, {}), false, goesOn)).toEqual(['abort', 'upstream_protocol']);
});
