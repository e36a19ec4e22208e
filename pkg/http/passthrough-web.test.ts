import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { Exchange } from './exchange.ts';
import { WebRequest } from './passthrough-web.ts';
import { rawBody } from './raw-exchange.ts';
import type { RawExchange } from './raw-exchange.ts';

test('the time for a body counts from the head of its request, not from when the model takes it', () => {
  const clock = fakeClock();
  const source = new PassThrough();
  const exchange = {
    method: 'PUT',
    headers: {},
    startedAt: clock.monotonic(),
    bytesIn: 0,
    onClose: () => undefined,
    [rawBody]: () => source,
  };
  const told: string[] = [];
  const limits = { path: '/', headers: {}, body: { maxBytes: 10, timeoutMs: 1_000 } };
  const watch = { failed: ({ code }: { readonly code: string }) => told.push(code) };
  const request = new WebRequest(exchange as unknown as Exchange & RawExchange, limits, watch, clock);
  clock.advance(900); // the library was loaded
  request.pipe(new PassThrough() as never);
  clock.advance(99);
  expect(told).toEqual([]);
  clock.advance(1);
  expect(told).toEqual(['request_timeout']);
});

test('a body that had broken before it is taken leaves no timer behind', () => {
  const clock = fakeClock();
  const exchange = {
    method: 'PUT',
    headers: {},
    startedAt: clock.monotonic(),
    bytesIn: 0,
    onClose: () => undefined,
    [rawBody]: (onFault: (code: string) => void) => {
      onFault('malformed_http');
      return new PassThrough();
    },
  };
  const told: string[] = [];
  const limits = { path: '/', headers: {}, body: { maxBytes: 10, timeoutMs: 1_000 } };
  const watch = { failed: ({ code }: { readonly code: string }) => told.push(code) };
  new WebRequest(exchange as unknown as Exchange & RawExchange, limits, watch, clock).pipe(new PassThrough() as never);
  expect(told).toEqual(['malformed_http']);
  expect(clock.pending).toBe(0);
});

test('what the model breaks off has left before it breaks off for its caller', () => {
  const calls: string[] = [];
  const exchange = {
    method: 'GET',
    headers: {},
    onClose: () => undefined,
    onDrain: () => undefined,
    start: () => calls.push('start'),
    breakOff: () => calls.push('breakOff'),
    destroy: () => calls.push('destroy'),
  };
  const watch = { failed: ({ code }: { readonly code: string }) => calls.push(code) };
  const limits = { path: '/', headers: {} };
  const request = new WebRequest(exchange as unknown as Exchange & RawExchange, limits, watch, fakeClock());
  const response = Object.assign(new PassThrough(), { statusCode: 200, headers: {}, complete: false });
  request.answer(response as unknown as IncomingMessage);
  response.emit('aborted');
  expect(calls).toEqual(['start', 'upstream_protocol', 'breakOff']);
});
