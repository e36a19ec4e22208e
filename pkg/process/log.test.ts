import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { processLog } from './log.ts';

/** A reader that takes a line when it is told to. */
function stalled() {
  const lines: string[] = [];
  let next: (() => void) | undefined;
  let flows = false;
  const stream = new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      lines.push(...line.split('\n').slice(0, -1));
      if (flows) done();
      else next = done;
    },
  });
  const flow = async (): Promise<void> => {
    flows = true;
    const drained = new Promise((resolve) => stream.once('drain', resolve));
    next?.();
    await drained;
    flows = false;
  };
  return { stream, lines, flow };
}

const messages = (lines: readonly string[]): unknown[] =>
  lines.map((line) => (JSON.parse(line) as { message: string }).message);

test('a log whose reader stalls keeps no more than 1 Mi characters, and says what it dropped', async () => {
  const { stream, lines, flow } = stalled();
  let counted = 0;
  const logger = processLog({ clock: fakeClock(), level: 'error', stream, onDropped: () => counted++ });
  const text = 'x'.repeat(1_000);
  for (let at = 0; at < 2_000; at++) logger.error(String(at), { text });
  expect(stream.writableLength).toBeGreaterThan(1_000_000);
  expect(stream.writableLength).toBeLessThanOrEqual(1_024 * 1_024 + 1);
  const kept = 2_000 - counted;
  await flow();
  expect(messages(lines)).toEqual([
    ...Array.from({ length: kept }, (_, at) => String(at)),
    'log lines were dropped: nobody read them',
  ]);
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 'error', lines: counted });
});

test('a log that is read loses nothing, however long a line is', async () => {
  const { stream, lines, flow } = stalled();
  let counted = 0;
  const logger = processLog({ clock: fakeClock(), level: 'info', stream, onDropped: () => counted++ });
  logger.info('long', { text: 'x'.repeat(2_000_000) });
  await flow();
  logger.info('more');
  expect(messages(lines)).toEqual(['long', 'more']);
  expect(counted).toBe(0);
});
