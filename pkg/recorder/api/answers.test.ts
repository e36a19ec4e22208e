import { beforeEach, describe, expect, test } from '@jest/globals';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { RecordStore, SessionSummary } from '../store/index.ts';
import { createAnswers } from './answers.ts';
import type { Answers, AskedBy } from './answers.ts';
import type { Auditor } from './authorize.ts';

// What questions at work take of others, and how long a right lasts while an answer is sent.

const session = { session: '1'.repeat(32), source: 'spiffe://a', chain: 'c', namespace: 'ml' } as SessionSummary;
/** One session without end. */
const store = {
  search: () => Promise.resolve({ sessions: [session], cursors: ['1.1'], cursor: undefined }),
  async *sessionLines() {
    for (;;) yield 'x'.repeat(1_000);
  },
  blockLines: () => Promise.resolve(undefined),
  holds: () => Promise.resolve([]),
  archived: () => Promise.resolve({ entries: 0, heads: 0 }),
  entries: () => Promise.resolve([{ index: 2, text: '{}' }]),
  log: () => Promise.resolve({ size: 1, root: Buffer.alloc(32), at: 1 }),
} as unknown as RecordStore;

let clock: FakeClock;
let answers: Answers;
let allowed: (auditor: Auditor) => boolean;
let mayRead: (auditor: Auditor) => Promise<boolean>;
let noted: unknown[];
beforeEach(() => {
  noted = [];
  clock = fakeClock();
  allowed = () => true;
  mayRead = (auditor) => Promise.resolve(allowed(auditor));
  answers = createAnswers({
    store,
    committer: {
      add({ entry }: { readonly entry: object }) {
        noted.push(entry);
        return Promise.resolve();
      },
    } as never,
    authorizer: { mayRead: (auditor) => mayRead(auditor), mayChange: () => Promise.resolve(true) },
    clock,
    logger: silentLogger,
    isController: () => false,
  });
});

const turns = async (most = 50): Promise<void> => {
  for (let turn = 0; turn < most; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A peer that takes what is sent when it is told to. */
function peer() {
  const response = Object.assign(new EventEmitter(), {
    headersSent: false,
    destroyed: false,
    statusCode: 200,
    pieces: 0,
    headers: {} as Readonly<Record<string, unknown>>,
    writeHead(status: number, headers: Readonly<Record<string, unknown>> = {}) {
      response.headersSent = true;
      response.headers = headers;
      response.statusCode = status;
    },
    write(): boolean {
      response.pieces++;
      return false;
    },
    end: () => undefined,
    destroy() {
      response.destroyed = true;
      response.emit('close');
    },
  });
  return response;
}
type Peer = ReturnType<typeof peer>;

/** Begins an export, or asks what the log is. */
function ask(username: string, to: Peer, { path = '/v1/export', ...by }: AskedBy & { readonly path?: string } = {}) {
  const body = path === '/v1/export' ? ['{"namespace":"ml"}'] : [];
  const request = Object.assign(Readable.from(body.map((text) => Buffer.from(text))), {
    method: body.length > 0 ? 'POST' : 'GET',
    headers: {},
  }) as unknown as IncomingMessage;
  const response = to as unknown as ServerResponse;
  const url = new URL(path, 'https://recorder');
  return answers.guarded(response, () => answers.answer(request, response, url, { username, groups: [] }, by));
}

describe('questions at work', () => {
  test('search by turns: another account waits for one search of who asks much', async () => {
    const ends: (() => void)[] = [];
    const { search } = store;
    store.search = async (query) => {
      await new Promise<void>((end) => ends.push(end));
      return search(query);
    };
    const peers = Array.from({ length: 9 }, peer);
    const asked = peers.map((one, n) => ask(n < 8 ? 'greedy' : 'other', one));
    try {
      await turns();
      // One of each.
      expect(ends).toHaveLength(2);
      ends[1]?.();
      await turns();
      expect(peers.map(({ pieces }) => pieces)).toEqual([...Array.from({ length: 8 }, () => 0), 1]);
    } finally {
      store.search = search;
      for (const end of ends) end();
      await turns();
      for (const one of peers) one.destroy();
      await Promise.all(asked);
    }
  });

  test('are eight of one account, and do not shut out another', async () => {
    const greedy = Array.from({ length: 9 }, peer);
    const asked = greedy.map((one) => ask('greedy', one));
    await turns();
    expect(greedy.map(({ statusCode }) => statusCode)).toEqual([...Array.from({ length: 8 }, () => 200), 503]);
    const other = peer();
    const others = ask('other', other);
    await turns();
    expect(other.pieces).toBe(1);
    for (const one of [...greedy, other]) one.destroy();
    await Promise.all([...asked, others]);
    // What was taken is given back.
    const next = peer();
    const again = ask('greedy', next);
    await turns();
    expect(next.pieces).toBe(1);
    next.destroy();
    await again;
  });

  test('of accounts that have some leave places to those that have none', async () => {
    const of = async (username: string, most: number): Promise<Peer[]> => {
      const all = Array.from({ length: most }, peer);
      const asked = all.map((one) => ask(username, one));
      void asked;
      await turns();
      return all;
    };
    const codes = (all: readonly Peer[]): number[] => all.map(({ statusCode }) => statusCode);
    const [one, two] = [await of('one', 8), await of('two', 8)];
    expect([codes(one), codes(two)]).toEqual([
      Array.from({ length: 8 }, () => 200),
      [...Array.from({ length: 4 }, () => 200), ...Array.from({ length: 4 }, () => 503)],
    ]);
    // Two more want some: each has one, and not two.
    const rest = [await of('three', 2), await of('four', 2)];
    expect(rest.map(codes)).toEqual([
      [200, 503],
      [200, 503],
    ]);
    for (const each of [one, two, ...rest]) for (const to of each) to.destroy();
    await turns();
  });

  test('take no place before they are whole, which has 5 s, and before a right to them was found', async () => {
    const halves = Array.from({ length: 40 }, (_, n) => {
      const request = Object.assign(new Readable({ read: () => undefined }), { method: 'POST', headers: {} });
      request.push('{');
      const one = peer();
      const asked = answers.guarded(one as unknown as ServerResponse, () =>
        answers.answer(
          request as unknown as IncomingMessage,
          one as unknown as ServerResponse,
          new URL('/v1/search', 'https://recorder'),
          { username: `sa${n % 6}`, groups: [] },
        ),
      );
      return { request, one, asked };
    });
    const asks = Promise.withResolvers<boolean>();
    mayRead = (auditor) => (auditor.username === 'nobody' ? asks.promise : Promise.resolve(true));
    const strangers = Array.from({ length: 40 }, peer);
    const refused = strangers.map((one) => ask('nobody', one));
    await turns();
    const ana = peer();
    const hers = ask('ana', ana);
    await turns();
    expect([ana.statusCode, ana.pieces]).toEqual([200, 1]);
    asks.resolve(false);
    await Promise.all(refused);
    expect(new Set(strangers.map(({ statusCode }) => statusCode))).toEqual(new Set([403]));
    halves[0]?.request.destroy(new Error('aborted'));
    await halves[0]?.asked;
    expect(halves[0]?.one.statusCode).toBe(400);
    await clock.advanceAsync(5_000);
    await Promise.all(halves.map(({ asked }) => asked));
    expect(new Set(halves.slice(1).map(({ one }) => one.statusCode))).toEqual(new Set([408]));
    ana.destroy();
    await hers;
  });

  test('end where their answer is taken too slowly, though some of it is each minute', async () => {
    const slow = peer();
    const asked = ask('slow', slow);
    await turns();
    let minutes = 0;
    for (; !slow.destroyed && minutes < 100; minutes++) {
      await clock.advanceAsync(55_000);
      slow.emit('drain');
      await turns();
    }
    await asked;
    expect(minutes).toBe(6);
    const steady = peer();
    const other = ask('steady', steady);
    for (let piece = 0; piece < 1_000; piece++) {
      await turns(5);
      await clock.advanceAsync(3_900);
      steady.emit('drain');
    }
    expect(steady.destroyed).toBe(false);
    steady.destroy();
    await other;
  });

  test('end after a minute in which nothing was taken', async () => {
    const slow = peer();
    const asked = ask('slow', slow);
    await turns();
    await clock.advanceAsync(59_000);
    slow.emit('drain');
    await turns();
    expect([slow.pieces, slow.destroyed]).toEqual([2, false]);
    await clock.advanceAsync(59_000);
    expect(slow.destroyed).toBe(false);
    await clock.advanceAsync(1_000);
    expect(slow.destroyed).toBe(true);
    await asked;
    expect(clock.pending).toBe(0);
  });

  test('end so too where all was sent and the last of it is not taken', async () => {
    const slow = peer();
    const asked = ask('slow', slow, { path: '/v1/log' });
    await turns();
    expect(slow.headersSent).toBe(true);
    await clock.advanceAsync(60_000);
    expect(slow.destroyed).toBe(true);
    await asked;
    const quick = peer();
    const finished = ask('quick', quick, { path: '/v1/log' });
    await turns();
    quick.emit('finish');
    await finished;
    expect(quick.destroyed).toBe(false);
  });
});

describe('what one account puts on record', () => {
  const block = async (username: string, by: AskedBy = {}) => {
    const one = peer();
    const asked = ask(username, one, { ...by, path: '/v1/log/blocks/7' });
    await turns();
    one.emit('finish');
    await asked;
    return one;
  };
  const statuses = async (username: string, questions: number) => {
    const found: number[] = [];
    for (let n = 0; n < questions; n++) found.push((await block(username)).statusCode);
    return found;
  };
  const ok = (count: number): number[] => Array.from({ length: count }, () => 200);
  const entriesOf = (what: string): number =>
    noted.filter((entry) => (entry as { what?: string }).what === what).length;

  test('is 300 questions at once and 5 a second, and takes none of another', async () => {
    expect(await statuses('greedy', 303)).toEqual([...ok(300), 429, 429, 429]);
    // Those that were refused are one entry now and one at the end of the minute.
    expect([entriesOf('block'), entriesOf('refused')]).toEqual([300, 1]);
    const told = await block('greedy');
    expect([told.statusCode, told.headers['retry-after']]).toEqual([429, '2']);
    expect(await statuses('other', 1)).toEqual([200]);
    await clock.advanceAsync(2_000);
    expect(await statuses('greedy', 11)).toEqual([...ok(10), 429]);
  });

  test('is 3,000 of all accounts at once and 20 a second, and of who asks less some all the same', async () => {
    const greedy = Array.from({ length: 11 }, (_, n) => `greedy ${n}`);
    let taken = 0;
    for (const username of greedy) taken += (await statuses(username, 300)).filter((status) => status === 200).length;
    // The last of them has its share, and no more.
    expect(taken).toBe(3_000 + 20);
    expect(await statuses('other', 21)).toEqual([...ok(20), 429]);
    const told = await block('other');
    expect([told.statusCode, told.headers['retry-after']]).toEqual([429, '5']);
    await clock.advanceAsync(5_000);
    // 20 a second again for whoever is first, and its share each.
    expect((await statuses('greedy 10', 300)).filter((status) => status === 200).length).toBe(100 + 1);
    expect(await statuses('other', 2)).toEqual([200, 429]);
  });

  test('counts a long question as several, and one that is on record already as none', async () => {
    const put = (_what: string, _question: string, write: () => Promise<void>): Promise<void> => write();
    const body = JSON.stringify({ namespace: 'ml', text: 'x'.repeat(700) });
    const search = async (by: AskedBy) => {
      const one = peer();
      const request = Object.assign(Readable.from([Buffer.from(body)]), { method: 'POST', headers: {} });
      const url = new URL('/v1/search', 'https://recorder');
      const asked = answers.guarded(one as unknown as ServerResponse, () =>
        answers.answer(
          request as unknown as IncomingMessage,
          one as unknown as ServerResponse,
          url,
          { username: 'ann', groups: [] },
          by,
        ),
      );
      await turns();
      one.emit('finish');
      await asked;
      return one.statusCode;
    };
    for (let n = 0; n < 75 * 2; n++) expect(await search({ put: () => Promise.resolve() })).toBe(200);
    for (let n = 0; n < 100; n++) expect(await search({ put })).toBe(200);
    expect(await search({ put })).toBe(429);
    expect(await search({ put: () => Promise.resolve() })).toBe(200);
  });

  test('counts holds, too', async () => {
    await statuses('greedy', 300);
    const one = peer();
    const request = Object.assign(Readable.from([Buffer.from('{"reason":"x"}')]), { method: 'POST', headers: {} });
    const asked = answers.guarded(one as unknown as ServerResponse, () =>
      answers.answer(
        request as unknown as IncomingMessage,
        one as unknown as ServerResponse,
        new URL('/v1/holds', 'https://recorder'),
        { username: 'greedy', groups: [] },
      ),
    );
    await asked;
    expect(one.statusCode).toBe(429);
  });
});

test.each([
  ['/v1/holds', 'holds', 'all'],
  ['/v1/log/entries?from=2', 'entries', 'from 2'],
  ['/v1/log/entries?from=2&lines=false', 'entries', 'from 2'],
])('who reads what others asked and held, at %s, is on record first', async (path, what, question) => {
  const one = peer();
  const asked = ask('ana', one, { path });
  await turns();
  one.destroy();
  await asked;
  expect([one.statusCode, noted]).toEqual([200, [{ type: 'read', at: clock.now(), who: 'ana', what, question }]]);
});

describe('a question that is refused', () => {
  test('is on record: who asked, what, and why not; what cannot be answered now is not', async () => {
    allowed = () => false;
    await ask('eve', peer());
    await ask('eve', peer(), { path: '/v1/log' });
    allowed = () => true;
    await ask('bob', peer(), { path: '/v1/log/entries?lines=maybe' });
    await ask('bob', peer(), { path: `/v1/sessions/${'x'.repeat(5_000)}` });
    await ask('ann', peer(), { path: '/v1/log/heads' });
    const entry = (who: string, question: string) =>
      expect.objectContaining({ type: 'read', who, what: 'refused', question });
    expect(noted).toEqual([
      entry('eve', '403 not_allowed: POST /v1/export {"namespace":"ml"}'),
      entry('bob', '400 bad_question: GET /v1/log/entries?lines=maybe'),
    ]);
    await clock.advanceAsync(60_000);
    expect(noted.slice(2)).toEqual([
      entry('eve', 'and 1 more within a minute: not_allowed 1'),
      entry('bob', 'and 1 more within a minute: bad_question 1'),
    ]);
    expect(clock.pending).toBe(0);
  });
});

describe('a right that is taken away while an answer is sent', () => {
  const go = async (to: Peer, ms: number): Promise<void> => {
    await clock.advanceAsync(ms);
    to.emit('drain');
    await turns();
  };

  test('ends it within 30 s', async () => {
    const one = peer();
    const asked = ask('eve', one);
    await turns();
    allowed = () => false;
    await go(one, 29_000);
    expect([one.pieces, one.destroyed]).toEqual([2, false]);
    await go(one, 1_000);
    expect([one.pieces, one.destroyed]).toEqual([2, true]);
    await asked;
  });

  test('is that of who asks by then', async () => {
    const [one, gone] = [peer(), peer()];
    const asked = [
      ask('eve', one, { again: () => Promise.resolve({ username: 'eve without a role', groups: [] }) }),
      ask('ann', gone, { again: () => Promise.reject(new Error('logged out')) }),
    ];
    await turns();
    allowed = ({ username }) => username === 'eve';
    await go(one, 31_000);
    await go(gone, 0);
    expect([one.destroyed, gone.destroyed]).toEqual([true, true]);
    await Promise.all(asked);
  });

  test('and that stands goes on', async () => {
    const one = peer();
    const asked = ask('eve', one);
    await turns();
    for (let n = 0; n < 5; n++) await go(one, 31_000);
    expect([one.pieces, one.destroyed]).toEqual([6, false]);
    one.destroy();
    await asked;
  });
});
