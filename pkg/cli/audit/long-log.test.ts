import { beforeEach, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Ran } from '../../../test/support/sidegate-command.ts';
import type { JsonValue } from '../../base/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { auditTokenHeader } from '../../contract/index.ts';
import { KubeError } from '../../kube/index.ts';
import { refusedError } from '../../kube/kube-error.ts';
import type { KubeCall, KubeClient } from '../../kube/index.ts';
import { createFrontier, entryLeaf, entryText, namedStart, sealBy, signHead } from '../../record/index.ts';
import type { Frontier, LogEntry } from '../../record/index.ts';
import { logRoutes } from '../../recorder/api/log-routes.ts';
import { matchRoute, Streamed } from '../../recorder/api/question.ts';
import type { SessionQuery, SessionSummary } from '../../recorder/store/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../recorder/testing/chains.ts';
import type { TestChain } from '../../recorder/testing/chains.ts';

// A log of many small blocks, which grows while it is read, by the recorder's own routes: counted are questions, what one of them answers, and
// the tokens that they take.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const seal = sealBy(privateKey);
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const minuteMs = 60_000;
const blocks = 10_000;

let chain: TestChain;
let frontier: Frontier;
let entries: string[];
let lines: Map<number, string>;
/** What the index says of sessions with lines in a block. */
const found = new Map<number, readonly SessionSummary[]>();
let heads: { readonly size: number; readonly text: string }[];
let now: number;
/** Done before each answer. */
let meanwhile: () => void;
let asked: string[];
/** What is answered to a question by words. */
let searched: (question: SessionQuery) => JsonValue;
let noted: number;
let longest: number;
let slept: number[];
let tokens: Map<string, number>;
let written: Map<string, string>;
/** What is written and not yet whole. */
let pieces: number[];

const put = (entry: LogEntry): number => {
  const text = seal(entry, entries.length);
  frontier.append(entryLeaf(text));
  return entries.push(text) - 1;
};
function addBlock(
  at = now,
  events: readonly AuditEvent[] = [{ type: 'process', what: 'clock_step', amount: 1 }],
): void {
  const { sequence: first, hash: prev } = chain.point();
  const text = chain.lines(events, at).toString();
  const { sequence: last, hash } = chain.point();
  lines.set(put({ type: 'block', at, source, chain: chain.name, first: first + 1, last, prev, hash }), text);
}
const sign = (): void => {
  const head = { size: frontier.size, root: frontier.root().toString('hex'), at: now };
  heads.push({ size: head.size, text: signHead(head, privateKey) });
};

beforeEach(() => {
  chain = testChain();
  frontier = createFrontier();
  [entries, lines, heads, now, asked, noted, longest] = [[], new Map(), [], testTime, [], 0, 0];
  [tokens, written, pieces, slept] = [new Map(), new Map(), [], []];
  meanwhile = () => undefined;
  searched = () => ({ sessions: [], cursor: null, unsearched: 0, partly: [] });
  found.clear();
  put({ type: 'retention', at: now, days: { all: 1, namespaces: {}, policies: {} } });
});

const routes = logRoutes({
  log: async () => ({ size: frontier.size, root: frontier.root(), at: now }),
  entries: async (from, atMost) => entries.slice(from, from + atMost).map((text, at) => ({ index: from + at, text })),
  heads: async (from, atMost) => heads.filter(({ size }) => size >= from).slice(0, atMost) as never,
  blockLines: async (entry) => {
    const text = lines.get(entry);
    return text === undefined ? undefined : Buffer.from(text);
  },
  async search({ block = -1, cursor = '0' }) {
    const [all, from] = [found.get(block) ?? [], Number(cursor)];
    const next = from + 400 < all.length ? String(from + 400) : undefined;
    return { sessions: all.slice(from, from + 400), cursors: [], cursor: next };
  },
  node: () => Promise.reject(new Error('nobody asks for nodes')),
  archivable: () => Promise.reject(new Error('nobody asks for evidence')),
});
const nothing = (): Promise<void> => Promise.resolve();

const client = {
  async request({ path, headers = {}, body }: KubeCall): Promise<JsonValue | undefined> {
    if (path.endsWith('/selfsubjectreviews')) return { status: { userInfo: { username: 'ana' } } };
    meanwhile();
    // A token lives for ten minutes.
    if (!((tokens.get(String(headers[auditTokenHeader])) ?? -Infinity) > now - 10 * minuteMs))
      throw new KubeError('refused', 'the token is not one for the recorder', { status: 401 });
    const url = new URL(path.slice(path.indexOf('/proxy/') + '/proxy'.length), 'https://recorder');
    asked.push(url.pathname);
    if (url.pathname === '/v1/search') return searched(JSON.parse(JSON.stringify(body)) as SessionQuery);
    const route = routes.find((one) => matchRoute(one, url.pathname) !== undefined);
    const part = route === undefined ? '' : (matchRoute(route, url.pathname) ?? '');
    const question = { who: 'ana', search: url.searchParams, body: undefined, part };
    const note = async (): Promise<void> => void noted++;
    const answer = await route?.answer({
      ...question,
      allow: nothing,
      allowChanges: nothing,
      turn: (act) => act(),
      note,
    });
    let text = '';
    if (answer instanceof Streamed) for await (const part of answer.parts) text += part;
    else text = JSON.stringify(answer);
    longest = Math.max(longest, text.length);
    return JSON.parse(text) as JsonValue;
  },
  create: async () => {
    const token = `token-${tokens.size}`;
    tokens.set(token, now);
    return { status: { token } };
  },
  find: async () => ({ data: { 'public.pem': pem } }),
  close: () => undefined,
} as unknown as KubeClient;

const audit = (command: string, ...args: readonly string[]): Promise<Ran> =>
  sidegateCommand(['audit', command, ...args], {
    openCluster: async () => ({ client, namespace: 'ml' }),
    now: () => now,
    sleep: async (ms) => void slept.push(ms),
    readFile: (path) => (path === 'public.pem' ? pem : (written.get(path) ?? '')),
    output(path) {
      const parts: string[] = [];
      return {
        write(text) {
          parts.push(text);
          pieces.push(text.length);
        },
        finish: () => void written.set(path, parts.join('')),
        discard: () => undefined,
      };
    },
  });

test('an index that goes with other lines is told, and with --no-lines not looked at', async () => {
  for (let n = 0; n < 3; n++) addBlock();
  sign();
  expect((await audit('verify')).code).toBe(0);
  found.set(2, [{ session: 'a'.repeat(32) } as SessionSummary]);
  const { code, out } = await audit('verify');
  expect(out).toMatch(
    /^index_differs: entry 2: the index has lines of session a{32} in it, which it has not\nNOT PROVEN/,
  );
  expect(code).toBe(1);
  expect((await audit('verify', '--no-lines')).code).toBe(0);
});

describe('a block that retention deletes while its page is read', () => {
  /** The index has nothing of it any more, where the page has its lines. */
  const deleteIt = (said: 'sealed' | 'unsealed' | 'nothing'): void => {
    const text = chain.lines(sessionEvents({ id: sessionId(1) }));
    const { sequence: last, hash } = chain.point();
    const entry = { type: 'block', at: now, source, chain: chain.name, first: 1, last, hash } as const;
    lines.set(put({ ...entry, prev: namedStart(chain.name).hash }), text.toString());
    sign();
    let steps = 0;
    meanwhile = () => {
      if (++steps !== 3) return;
      now += 2 * 24 * 60 * minuteMs;
      const deleted = { type: 'deleted', at: now, entry: 1, why: 'retention' } as const;
      if (said === 'sealed') put(deleted);
      if (said !== 'unsealed') return;
      const text = entryText(deleted);
      frontier.append(entryLeaf(text));
      entries.push(text);
    };
  };

  test('is no difference of the index: the recorder says under its seal that it was deleted', async () => {
    deleteIt('sealed');
    const { code, out } = await audit('verify');
    expect([code, out]).toEqual([0, expect.stringMatching(/^proven: 2 entries/)]);
  });

  test.each(['unsealed', 'nothing'] as const)('is one where it says %s', async (said) => {
    deleteIt(said);
    const { code, out } = await audit('verify');
    expect([code, out]).toEqual([1, expect.stringMatching(/^index_differs: entry 1: /)]);
  });
});

describe('lines that a kept head proves', () => {
  const few = async (): Promise<void> => {
    for (let n = 0; n < 3; n++) addBlock();
    sign();
    for (let n = 0; n < 3; n++) addBlock();
    sign();
    written.set('head', heads.at(-1)?.text ?? '');
    await audit('export', '--out', 'log.jsonl');
  };
  const fromFile = (): Promise<Ran> => audit('verify', '--file', 'log.jsonl', '--key', 'public.pem', '--head', 'head');
  const editFile = (edit: (lines: string[]) => readonly string[]): void =>
    void written.set('log.jsonl', edit((written.get('log.jsonl') ?? '').split('\n')).join('\n'));
  const withoutNewest = (all: string[]): readonly string[] =>
    all.filter((line) => !line.startsWith('{"kind":"head","text":"{\\"v\\":1,\\"type\\":\\"head\\",\\"size\\":7'));
  const changed = (all: readonly string[]): readonly string[] =>
    all.map((line) => (line.includes('"index":6') ? line.replace('\\"amount\\":1', '\\"amount\\":2') : line));

  test('are looked at where the file has no head over them any more', async () => {
    await few();
    const whole = written.get('log.jsonl') ?? '';
    editFile(withoutNewest);
    expect(written.get('log.jsonl')).not.toBe(whole);
    expect((await fromFile()).out).toMatch(/^proven: 7 entries under 2 signed heads, 6 lines of 6 blocks/);
    editFile((all) => [...changed(all)]);
    expect(await fromFile()).toMatchObject({ code: 1, out: expect.stringMatching(/^changed: entry 6: line 6/) });
    editFile((all) => all.map((line) => line.replace(/("index":6.*),"lines":.*/, '$1}')));
    expect(await fromFile()).toMatchObject({ code: 1, out: expect.stringMatching(/^lines_missing: entry 6/) });
  });

  test('are asked for where the recorder has no head over them any more', async () => {
    await few();
    heads = heads.slice(0, 1);
    expect((await audit('verify', '--head', 'head')).out).toMatch(/^proven: 7 entries .* 6 lines of 6 blocks/);
    lines.set(6, (lines.get(6) ?? '').replace('"amount":1', '"amount":2'));
    expect((await audit('verify', '--head', 'head')).out).toMatch(/^changed: entry 6: line 6/);
  });

  test('are looked at where their entry in the file does not say which it is, and so is what is cut off behind it', async () => {
    await few();
    const numberless = (all: string[]): readonly string[] => all.map((line) => line.replace('"index":4,', ''));
    const whole = written.get('log.jsonl') ?? '';
    editFile((all) => numberless(all).slice(0, -3));
    const cut = await fromFile();
    expect([cut.code, cut.out]).toEqual([1, expect.stringMatching(/^changed: entry 4: .*\ntruncated: entry 4 to 6/)]);
    written.set('log.jsonl', whole);
    editFile((all) => numberless(all).map((line) => line.replace(/^(\{"kind":"entry","text".*),"lines":.*/, '$1}')));
    expect(await fromFile()).toMatchObject({ code: 1, out: expect.stringContaining('changed: entry 4') });
  });

  test('are not there in a file that has nothing', async () => {
    await few();
    written.set('log.jsonl', '');
    const { code, out } = await audit('verify', '--file', 'log.jsonl', '--key', 'public.pem');
    expect([code, out]).toEqual([1, expect.stringMatching(/^unsigned: entry 0: /)]);
  });
});

test('where the recorder takes no more questions of an account, it waits as long as it is told, and asks again', async () => {
  addBlock();
  sign();
  const refuse = (): never => {
    throw new KubeError('refused', 'too many questions', { status: 429, retryAfterMs: 2_000 });
  };
  const isBusy = (): never => {
    throw refusedError(503, { code: 'busy', message: 'too many questions at once' }, 1_000);
  };
  let before = 0;
  meanwhile = () => {
    if (before++ % 3 === 0) refuse();
    if (before % 3 === 2) isBusy();
  };
  expect((await audit('verify')).code).toBe(0);
  expect(new Set(slept)).toEqual(new Set([1_000, 2_000]));
  expect(slept).toHaveLength(2 * asked.length);
  // That it cannot answer is no reason to ask again.
  slept = [];
  meanwhile = () => {
    throw refusedError(503, { code: 'unavailable', message: 'this cannot be answered now' });
  };
  expect(await audit('verify')).toMatchObject({ code: 1, err: expect.stringContaining('cannot be answered now') });
  expect(slept).toEqual([]);
  // Not for ever.
  meanwhile = refuse;
  slept = [];
  const { code, err } = await audit('verify');
  expect([code, err]).toEqual([1, expect.stringContaining('too many questions')]);
  expect(slept).toHaveLength(60);
});

describe('sessions of a block', () => {
  const many = 2_100;
  const rowOf = (n: number): SessionSummary =>
    ({
      session: sessionId(n),
      source,
      chain: chain.name,
      namespace: 'ml',
      groups: Array.from({ length: 20 }, (_, group) => `${group}`.padEnd(100)),
    }) as unknown as SessionSummary;
  const segments = (): readonly AuditEvent[] =>
    Array.from({ length: many }, (_, n) => sessionEvents({ id: sessionId(n) })[1]).filter(
      (event) => event !== undefined,
    );

  test('that have long lists are asked for page by page, and each is compared', async () => {
    addBlock(now, segments());
    sign();
    const rows = Array.from({ length: many }, (_, n) => rowOf(n));
    found.set(1, rows);
    const proven = await audit('verify');
    expect([proven.err, proven.code]).toEqual(['', 0]);
    expect(asked.filter((path) => path === '/v1/log/blocks/1/found')).toHaveLength(5);
    // Its lines, and what 400 sessions are found by.
    expect(longest).toBeLessThan((lines.get(1)?.length ?? 0) * 1.2 + 400 * 3_000);
    found.set(1, rows.with(-1, { ...rowOf(many - 1), namespace: 'other' }));
    expect((await audit('verify')).out).toContain(`otherwise of session ${sessionId(many - 1)}: its namespace`);
    found.set(1, rows.slice(0, -1));
    expect((await audit('verify')).out).toContain(`lines of session ${sessionId(many - 1)}`);
  });

  test('that are not found by their words are told, and those of which nothing is left are not', async () => {
    const start = (n: number): AuditEvent | undefined => sessionEvents({ id: sessionId(n), ask: 'über in ä' })[0];
    // Words of answers that came in pieces are drawn, too.
    const said = (n: number, text: string): AuditEvent => ({
      ...{ type: 'segment', session: sessionId(n), direction: 'response', lane: 'a', at: 1 },
      text,
    });
    for (let n = 0; n < 300; n++)
      addBlock(
        now,
        [start(n), said(n, 'a kes'), said(n, `trel${n} unfin`)].filter((event) => event !== undefined),
      );
    sign();
    for (let n = 0; n < 300; n++) {
      const [event] = [start(n)];
      if (event?.type !== 'start') throw new Error('no start');
      const { caller, peer, method, path, dialect, operation, model } = event;
      found.set(n + 1, [
        {
          ...rowOf(n),
          ...caller,
          at: now,
          sequence: 3 * n + 1,
          peer,
          method,
          path,
          dialect,
          operation,
          model,
        } as SessionSummary,
      ]);
    }
    const questions: SessionQuery[] = [];
    const answer = (holds: (question: SessionQuery) => boolean) => (question: SessionQuery) => {
      questions.push(question);
      return { sessions: holds(question) ? [{}] : [], cursor: null, unsearched: 0, partly: [] };
    };
    searched = answer(() => true);
    const proven = await audit('verify');
    expect([proven.out.slice(0, 6), proven.code]).toEqual(['proven', 0]);
    expect(questions).toHaveLength(100);
    expect(new Set(questions.map(({ session }) => session)).size).toBe(100);
    for (const { session, text } of questions) expect(sessionId((text ?? '').slice('kestrel'.length))).toBe(session);
    // Not each run asks for the same.
    const before = questions.splice(0).map(({ session }) => session);
    searched = answer(({ text }) => text === undefined);
    const hidden = await audit('verify');
    expect(hidden.code).toBe(1);
    expect(hidden.out.match(/^index_differs: .*by a word that stands in it$/gm)).toHaveLength(100);
    expect(questions.filter(({ text }) => text !== undefined).map(({ session }) => session)).not.toEqual(before);
    searched = answer(() => false);
    expect((await audit('verify')).code).toBe(0);
    searched = ({ text, session }) => ({
      ...{ sessions: text === undefined ? [{}] : [], cursor: null, unsearched: 0 },
      partly: text === undefined ? [] : [session ?? ''],
    });
    expect((await audit('verify')).code).toBe(0);
    searched = () => ({ sessions: [], cursor: null, unsearched: 7, partly: [] });
    expect((await audit('verify')).code).toBe(0);
  });
});

/** One to some in a thousand questions of what there would be for each block by itself. */
const fewQuestions = 40;

describe('a log of 10,000 small blocks', () => {
  beforeEach(() => {
    for (let n = 0; n < blocks; n++) addBlock();
    sign();
  });

  test('is proven in pages, with as many tokens as its time takes, and notes that it was read once a page', async () => {
    // Each answer takes a minute.
    meanwhile = () => void (now += minuteMs);
    const { code, out, err } = await audit('verify');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^proven: 10001 entries under 1 signed heads, 10000 lines of 10000 blocks/);
    expect(asked.length).toBeLessThan(fewQuestions);
    expect(noted).toBeLessThan(fewQuestions);
    expect(longest).toBeLessThan(8 * 1024 * 1024);
    // A new one each five minutes.
    expect(tokens.size).toBeGreaterThan(1);
    expect(tokens.size).toBeLessThanOrEqual(Math.ceil(asked.length / 5) + 1);
  });

  test('is exported in pieces, line by line, and proven from the file', async () => {
    meanwhile = () => void (now += minuteMs);
    const { code, out } = await audit('export', '--out', 'log.jsonl');
    expect([code, out]).toEqual([0, 'log.jsonl: 10001 entries, 1 signed heads\n']);
    expect(pieces.length).toBe(blocks + 2);
    expect(Math.max(...pieces)).toBeLessThan(2_000);
    const proven = await audit('verify', '--file', 'log.jsonl', '--key', 'public.pem');
    expect([proven.code, proven.err]).toEqual([0, '']);
    expect(proven.out).toMatch(/^proven: 10001 entries under 1 signed heads, 10000 lines of 10000 blocks/);
  });
});

describe('a log that grows faster than it is read', () => {
  /** With each answer: more than a page, a minute, and a head over it. */
  const grow = (): void => {
    now += minuteMs;
    for (let n = 0; n < 2_500; n++) addBlock();
    sign();
  };

  test('is proven as it was when the reading began', async () => {
    for (let n = 0; n < 5_000; n++) addBlock();
    sign();
    meanwhile = grow;
    const { code, out } = await audit('verify');
    // The heads were asked for after one step, the size after another.
    expect(out).toMatch(/^proven: 7501 entries under 2 signed heads, 7500 lines of 7500 blocks/);
    expect(out).toMatch(/; 2500 entries newer than the last head/);
    expect(code).toBe(0);
    expect(asked.length).toBeLessThan(fewQuestions);
  });

  test('may lose lines to retention meanwhile: the recorder says so under its seal, also in an export', async () => {
    for (let n = 0; n < 3; n++) addBlock();
    sign();
    let steps = 0;
    meanwhile = () => {
      if (++steps !== 3) return;
      now += 2 * 24 * 60 * minuteMs;
      lines.delete(2);
      put({ type: 'deleted', at: now, entry: 2, why: 'retention' });
    };
    const { code, out } = await audit('export', '--out', 'log.jsonl');
    expect([code, out]).toEqual([0, 'log.jsonl: 4 entries, 1 signed heads\n']);
    expect((await audit('verify', '--file', 'log.jsonl', '--key', 'public.pem')).out).toMatch(
      /^proven: .* 1 blocks deleted by retention/,
    );
    // Without what the recorder said of it, and with what somebody else says of another.
    const whole = written.get('log.jsonl') ?? '';
    written.set('log.jsonl', whole.replace(/\{"kind":"later".*\n/, ''));
    const silent = await audit('verify', '--file', 'log.jsonl', '--key', 'public.pem');
    expect([silent.code, silent.out]).toEqual([1, expect.stringContaining('lines_missing: entry 2')]);
    const forged = entryText({ type: 'deleted', at: now, entry: 2, why: 'retention' });
    const line = `${JSON.stringify({ kind: 'later', index: 4, text: forged })}\n`;
    written.set('log.jsonl', whole.replace(/\{"kind":"later".*\n/, line));
    const lied = await audit('verify', '--file', 'log.jsonl', '--key', 'public.pem');
    expect([lied.code, lied.out]).toEqual([1, expect.stringContaining('lines_missing: entry 2')]);
  });

  test('is not proven where its heads stopped long ago', async () => {
    addBlock();
    sign();
    addBlock();
    now += 10 * minuteMs;
    addBlock();
    expect((await audit('verify')).out).toMatch(/^unsigned: entry 2 to 3/);
  });

  test('is not proven by a file whose heads stand behind the lines that they should prove', async () => {
    for (let n = 0; n < 3; n++) addBlock();
    sign();
    await audit('export', '--out', 'log.jsonl');
    const [head = '', ...rest] = (written.get('log.jsonl') ?? '').trimEnd().split('\n');
    const changed = rest.map((line, at) => (at === 1 ? line.replace('\\"amount\\":1', '\\"amount\\":2') : line));
    expect(changed).not.toEqual(rest);
    written.set('log.jsonl', [...changed.slice(0, 3), head, ...changed.slice(3), ''].join('\n'));
    const { code, out } = await audit('verify', '--file', 'log.jsonl', '--key', 'public.pem');
    expect([code, out]).toEqual([1, expect.stringMatching(/^changed: entry 1/)]);
  });
});
