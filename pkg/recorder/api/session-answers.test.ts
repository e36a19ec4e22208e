import { describe, expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { SessionSummary } from '../store/index.ts';
import { Streamed } from './question.ts';
import { respondStreamed, respondWhole } from './respond.ts';
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

/** @param takes Whether what is written is taken at once. */
function newResponse(takes: boolean) {
  const sent: string[] = [];
  const response = Object.assign(new EventEmitter(), {
    headersSent: false,
    destroyed: false,
    writeHead: () => void (response.headersSent = true),
    flushHeaders: () => undefined,
    write: (piece: string | Uint8Array): boolean => sent.push(String(piece)) > 0 && takes,
    end: () => void response.emit('finish'),
    destroy: () => {
      response.destroyed = true;
      response.emit('close');
    },
  });
  return { response, sent, answer: response as unknown as ServerResponse };
}
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
};
const allowed = () => Promise.resolve();

test('what is not taken is not read', async () => {
  read = 0;
  const { response, sent, answer } = newResponse(false);
  const answering = respondStreamed(answer, new Streamed('application/jsonl', exported(store, { limit: 1 })), {
    clock: fakeClock(),
    check: allowed,
  });
  await turns();
  const before = read;
  await turns();
  expect([sent.length, read]).toEqual([1, before]);
  response.emit('drain');
  await turns();
  expect(sent.length).toBe(2);
  response.destroy();
  await answering;
});

describe('an export that finds nothing for long', () => {
  /** Looks through sessions for ever, half a second for each page, and finds none. */
  const looking = () => {
    const clock = fakeClock();
    const state = { searches: 0 };
    const search = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(500);
      return { sessions: [], cursors: [], cursor: String(++state.searches) };
    };
    return { clock, state, parts: new Streamed('application/jsonl', exported({ ...store, search }, { limit: 1 })) };
  };

  test('has begun after a second, so that whoever waits sees that it goes on', async () => {
    const { clock, state, parts } = looking();
    const { response, answer } = newResponse(true);
    const answering = respondStreamed(answer, parts, { clock, check: allowed });
    await turns();
    expect([response.headersSent, state.searches]).toEqual([true, expect.any(Number)]);
    response.destroy();
    await answering;
  });

  test('ends when nobody is there any more', async () => {
    const { clock, state, parts } = looking();
    const { response, answer } = newResponse(true);
    const answering = respondStreamed(answer, parts, { clock, check: allowed });
    await turns();
    response.destroy();
    await answering;
    const before = state.searches;
    await turns();
    expect(state.searches).toBe(before);
  });

  test('ends when the right to it was taken away', async () => {
    const { clock, parts } = looking();
    let asked = 0;
    const check = () => (++asked > 5 ? Promise.reject(new Error('no right')) : Promise.resolve());
    const { response, answer } = newResponse(true);
    await respondStreamed(answer, parts, { clock, check });
    expect(response.destroyed).toBe(true);
  });
});

test('whoever takes an answer in one piece slowly has as long for it as for a streamed one', async () => {
  const clock = fakeClock();
  const { response, answer } = newResponse(false);
  const answering = respondWhole(answer, 'x'.repeat(4 * 1024 * 1024), clock);
  let pieces = 0;
  for (; !response.destroyed && pieces < 64; pieces++) {
    await clock.advanceAsync(50_000);
    response.emit('drain');
    await turns();
  }
  await answering;
  // Five minutes, and four seconds for each piece of 64 KiB.
  expect(pieces).toBeLessThan(8);
});

test('whoever takes small pieces slowly has no longer for them than for as much in large ones', async () => {
  const clock = fakeClock();
  /** A short line each second. */
  const parts = async function* (): AsyncIterable<string> {
    for (let at = 0; at < 600; at++) {
      clock.advance(1_000);
      yield 'x\n';
    }
  };
  const { response, sent, answer } = newResponse(false);
  const answering = respondStreamed(answer, new Streamed('application/jsonl', parts()), { clock, check: allowed });
  for (let taken = 0; !response.destroyed && taken < 600; taken++) {
    await turns();
    clock.advance(5_000);
    response.emit('drain');
  }
  await answering;
  // Five minutes of five seconds each.
  expect(sent.length).toBeLessThan(65);
});
