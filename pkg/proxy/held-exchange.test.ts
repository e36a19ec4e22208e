import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { ndjson, sse } from '../dialect/index.ts';
import type { Exchange } from '../http/index.ts';
import { holdExchange } from './held-exchange.ts';

test.each([
  ['an error has the name that its clients look for', 'error', 429, 'event: error\ndata: {"a":\ndata: 1}\n\n'],
  ['an error of a dialect without names has none', undefined, 429, 'data: {"a":\ndata: 1}\n\n'],
  ['an answer has none', 'error', 200, 'data: {"a":\ndata: 1}\n\n'],
])('a whole answer behind comments is one event: %s', (_, errorEvent, status, event) => {
  const clock = fakeClock();
  const sent: string[] = [];
  const exchange = {
    start: () => undefined,
    write: (chunk: string) => void sent.push(chunk),
    end: (chunk: string) => void sent.push(chunk),
    onClose: () => undefined,
  } as unknown as Exchange;
  const held = holdExchange({ exchange, clock, framing: sse, headers: () => ({}), errorEvent, failed: () => '' });
  clock.advance(5_000);
  held.respond(status, {}, '{"a":\n1}');
  expect(sent).toEqual([': waiting for approval\n\n', event]);
});

test('a stream that has no comments stays silent, and its caller gets the status', () => {
  const clock = fakeClock();
  const sent: unknown[] = [];
  const exchange = {
    start: () => void sent.push('head'),
    write: (chunk: string) => void sent.push(chunk),
    respond: (...answer: unknown[]) => void sent.push(answer),
    onClose: () => undefined,
  } as unknown as Exchange;
  const held = holdExchange({
    ...{ exchange, clock, framing: ndjson, headers: () => ({}), errorEvent: undefined, failed: () => '' },
  });
  clock.advance(600_000);
  held.hold();
  clock.advance(600_000);
  expect(held.begun).toBe(false);
  held.respond(403, {}, '{}');
  expect(sent).toEqual([[403, {}, '{}']]);
});
