import { describe, expect, test } from '@jest/globals';
import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { readWatch } from './watch-stream.ts';
import type { WatchEvent } from './watch-stream.ts';

const line = (name: string, type = 'ADDED'): string =>
  `${JSON.stringify({ type, object: { metadata: { name, resourceVersion: '1' } } })}\n`;

function start(onEvent: (event: WatchEvent) => void = () => undefined) {
  const body = new PassThrough();
  const clock = fakeClock();
  const events: WatchEvent[] = [];
  const ended = readWatch(body as unknown as IncomingMessage, {
    clock,
    silenceMs: 1_000,
    onBytes: () => undefined,
    onEvent: (event) => {
      onEvent(event);
      events.push(event);
    },
  });
  ended.catch(() => undefined);
  return { body, clock, events, ended };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a watch', () => {
  test('is the same however it is cut into pieces', async () => {
    const bytes = Buffer.from(line('ä€😀') + line('b', 'MODIFIED') + line('c', 'BOOKMARK'));
    for (let at = 1; at < bytes.length; at++) {
      const { body, events, ended } = start();
      body.write(bytes.subarray(0, at));
      body.end(bytes.subarray(at));
      await ended;
      expect(events.map((one) => [one.type, (one.object['metadata'] as { name: string }).name])).toEqual([
        ['ADDED', 'ä€😀'],
        ['MODIFIED', 'b'],
        ['BOOKMARK', 'c'],
      ]);
    }
  });

  test.each([
    ['no JSON', '{"type":"ADDED"\n'],
    ['an unknown type', `${JSON.stringify({ type: 'HELLO', object: {} })}\n`],
    ['no object', '{"type":"ADDED","object":null}\n'],
    ['a key twice', '{"type":"ADDED","type":"DELETED","object":{}}\n'],
    ['half a line at the end', line('a').slice(0, -5)],
  ])('with %s ends with an error: nothing is dropped silently', async (_what, text) => {
    const { body, ended } = start();
    body.end(text);
    await expect(ended).rejects.toMatchObject({ code: 'bad_answer' });
  });

  test('without a byte counts as dead, and a byte begins the time anew', async () => {
    const { body, clock, events, ended } = start();
    await clock.advanceAsync(900);
    body.write(line('a'));
    await turn();
    await clock.advanceAsync(900);
    expect(events).toHaveLength(1);
    await clock.advanceAsync(200);
    await expect(ended).rejects.toMatchObject({ code: 'timeout' });
    expect([body.destroyed, clock.pending]).toEqual([true, 0]);
  });

  test('a line without end does not fill the memory', async () => {
    const { body, ended } = start();
    const piece = 'x'.repeat(1024 * 1024);
    for (let at = 0; at < 9; at++) body.write(piece);
    await expect(ended).rejects.toMatchObject({ code: 'too_large', message: expect.stringContaining('too long') });
  });

  test('nor does one of very many values', async () => {
    const { body, events, ended } = start();
    const many = JSON.stringify({ type: 'ADDED', object: { list: Array.from({ length: 300_000 }, () => '') } });
    body.write(`${line('before')}${many}\n`);
    await expect(ended).rejects.toMatchObject({ code: 'too_large', message: expect.stringContaining('values') });
    expect(events).toHaveLength(1);
  });

  test('an error of who takes the events ends it', async () => {
    const { body, ended } = start(() => {
      throw new Error('cannot take that');
    });
    body.write(line('a'));
    await expect(ended).rejects.toThrow('cannot take that');
  });

  test('a reset is an error', async () => {
    const { body, ended } = start();
    body.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    await expect(ended).rejects.toMatchObject({ code: 'unreachable' });
  });
});
