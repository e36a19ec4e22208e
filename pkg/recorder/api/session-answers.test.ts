import { expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { SessionSummary } from '../store/index.ts';
import { Streamed } from './question.ts';
import { respondStreamed } from './respond.ts';
import { exported, sessionsPage } from './session-answers.ts';

// A session may be longer than fits into memory: here it has no end.

const session = { session: '1'.repeat(32), source: 'spiffe://a', chain: 'c', namespace: 'ml' } as SessionSummary;
const page = { sessions: [session, session], cursors: ['2.2', '1.1'], cursor: undefined };
let read = 0;
const store = {
  search: () => Promise.resolve(page),
  async *sessionLines() {
    for (;;) yield `line ${read++} ${'x'.repeat(1_000)}`;
  },
};

async function begun(parts: AsyncIterable<string>, characters: number): Promise<string> {
  let text = '';
  for await (const part of parts) {
    text += part;
    if (text.length >= characters) break;
  }
  return text;
}

test.each([
  ['an export', () => exported(store, { limit: 1 }), '{"session":'],
  ['a page of sessions', () => sessionsPage(store, page), '{"sessions":[{"session":'],
])('%s sends a session while it is read', async (_what, parts, begins) => {
  read = 0;
  const text = await begun(parts(), 100_000);
  expect(text.startsWith(begins)).toBe(true);
  expect(text).toContain(',"lines":["line 0 xx');
  expect(read).toBeLessThan(110);
});

test('an export by text says of how many blocks the index of words knows nothing', async () => {
  const behind = [0, 5_000, 4_000].map((unsearched, at) => ({
    ...{ sessions: [], cursors: [], cursor: at < 2 ? String(at) : undefined },
    ...(unsearched > 0 && { unsearched }),
    ...(at === 0 && { partly: ['a1'], partlyMore: true as const, sealed: { sessions: 7, more: false } }),
  }));
  const asked = { ...store, search: () => Promise.resolve(behind.shift() ?? page) };
  let text = '';
  for await (const part of exported(asked, { text: 'falcon', limit: 1 })) text += part;
  expect(text).toBe('{"unsearched":5000,"partly":["a1"],"partlyMore":true,"sealed":{"sessions":7,"more":false}}\n');
  for await (const part of exported(
    { ...store, search: () => Promise.resolve({ ...page, sessions: [] }) },
    { limit: 1 },
  ))
    text += part;
  expect(text).toBe('{"unsearched":5000,"partly":["a1"],"partlyMore":true,"sealed":{"sessions":7,"more":false}}\n');
});

test('what is not taken is not read', async () => {
  read = 0;
  const sent: string[] = [];
  const response = Object.assign(new EventEmitter(), {
    headersSent: false,
    destroyed: false,
    writeHead: () => void (response.headersSent = true),
    write: (piece: string): boolean => sent.push(piece) < 0,
    end: () => undefined,
  });
  const answering = respondStreamed(
    response as unknown as ServerResponse,
    new Streamed('application/jsonl', exported(store, { limit: 1 })),
    { clock: fakeClock(), check: () => Promise.resolve() },
  );
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  await turns();
  const before = read;
  await turns();
  expect([sent.length, read]).toEqual([1, before]);
  response.emit('drain');
  await turns();
  expect(sent.length).toBe(2);
  response.destroyed = true;
  response.emit('close');
  await answering;
});
