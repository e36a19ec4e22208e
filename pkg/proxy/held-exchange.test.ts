import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
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
  const held = holdExchange({ exchange, clock, headers: () => ({}), errorEvent, failed: () => '' });
  clock.advance(5_000);
  held.respond(status, {}, '{"a":\n1}');
  expect(sent).toEqual([': waiting for approval\n\n', event]);
});
