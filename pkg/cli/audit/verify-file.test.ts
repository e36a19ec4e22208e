import { expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Ran } from '../../../test/support/sidegate-command.ts';
import { createFrontier, entryLeaf, entryText, signHead } from '../../record/index.ts';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const dayMs = 86_400_000;
const began = Date.UTC(2026, 10, 20);
const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';

interface Exported {
  heads: string[];
  entries: object[];
}

/** What `audit export` writes of six days with one block each, and with a head over the first of each of these days. */
function exported(headsAt: readonly number[], ask: (day: number) => string = (day) => `ask ${day}`): Exported {
  const chain = testChain();
  const frontier = createFrontier();
  const log: Exported = { heads: [], entries: [] };
  for (let day = 0; day < 6; day++) {
    const at = began + day * dayMs;
    const before = chain.point();
    const lines = chain.lines(sessionEvents({ id: sessionId(day), ask: ask(day) }), at).toString();
    const { sequence: last, hash } = chain.point();
    const [first, prev] = [before.sequence + 1, before.hash];
    const text = entryText({ type: 'block', at, source, chain: chain.name, first, last, prev, hash });
    frontier.append(entryLeaf(text));
    log.entries.push({ kind: 'entry', index: day, text, lines });
    if (headsAt.includes(day + 1))
      log.heads.push(signHead({ size: day + 1, root: frontier.root().toString('hex'), at }, privateKey));
  }
  return log;
}

async function verify({ heads, entries }: Exported, ...flags: string[]): Promise<Ran> {
  const lines = [...heads.map((text) => ({ kind: 'head', text })), ...entries];
  const files: Record<string, string> = {
    'log.jsonl': lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    'public.pem': publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  return sidegateCommand(['audit', 'verify', '--file', 'log.jsonl', '--key', 'public.pem', ...flags], {
    readFile: (path) => (path === 'pods.json' ? pods : (files[path] ?? '')),
  });
}
const everyDay = [1, 2, 3, 4, 5, 6];

test('a log is proven from its file', async () => {
  const { code, out } = await verify(exported(everyDay));
  expect(out).toMatch(/^proven: 6 entries under 6 signed heads, 18 lines of 6 blocks/);
  expect(out).toContain('the newest head is of 2026-11-25T00:00:00.000Z');
  expect(code).toBe(0);
});

test('a log is not proven from a file that somebody made anew without heads', async () => {
  const { code, out } = await verify({ ...exported([], () => 'nothing to see') });
  expect(out).toContain('unsigned: entry 0 to 5');
  expect(code).toBe(1);
});

test('a log is not proven from a file whose heads of the last days are gone', async () => {
  const { entries } = exported([], (day) => (day >= 1 ? 'nothing to see' : `ask ${day}`));
  const { code, out } = await verify({ heads: exported(everyDay).heads.slice(0, 1), entries });
  expect(out).toContain('unsigned: entry 1 to 5');
  expect(code).toBe(1);
});

test('a log is not proven where lines were deleted sooner than they are kept', async () => {
  const { heads, entries } = exported(everyDay);
  const [first, ...more] = entries;
  const text = entryText({ type: 'deleted', at: began + 7 * dayMs, entry: 0, why: 'retention' });
  const frontier = createFrontier();
  for (const entry of entries) frontier.append(entryLeaf((entry as { text: string }).text));
  frontier.append(entryLeaf(text));
  const head = { size: 7, root: frontier.root().toString('hex'), at: began + 7 * dayMs };
  const log = {
    heads: [...heads, signHead(head, privateKey)],
    entries: [{ ...first, lines: null }, ...more, { kind: 'entry', index: 6, text }],
  };
  const proven = await verify(log, '--retention-days', '7');
  expect(proven.out).toContain('1 blocks deleted by retention (the youngest after 7.0 days)');
  expect(proven.code).toBe(0);
  const early = await verify(log, '--retention-days', '8');
  expect(early.out).toContain('deleted_early: entry 6: lines of entry 0, deleted after 7.0 days');
  expect(early.code).toBe(1);
  expect(await verify(log, '--retention-days', '0')).toMatchObject({ code: 2 });
});

test.each([
  ['one block', (at: number) => at === 2],
  ['all blocks', () => true],
])('a log is not proven from a file without the lines of %s, but its entries are', async (_, which) => {
  const whole = exported(everyDay);
  const entries = whole.entries.map((entry, at) => (which(at) ? { ...entry, lines: undefined } : entry));
  const { code, out } = await verify({ ...whole, entries });
  expect(out).toContain('lines_missing: entry 2');
  expect(code).toBe(1);
  expect(await verify({ ...whole, entries }, '--no-lines')).toMatchObject({ code: 0 });
});

test('a log says which lines sidecars lost, and which chains they never signed, and is proven', async () => {
  const { heads, entries } = exported(everyDay);
  const hash = '0'.repeat(64);
  const of = { at: began + 7 * dayMs, source: `${source}9`, chain: 'c'.repeat(32), hash };
  const text = entryText({ type: 'hole', ...of, from: 1, to: 4, why: 'missing' });
  const frontier = createFrontier();
  for (const entry of entries) frontier.append(entryLeaf((entry as { text: string }).text));
  frontier.append(entryLeaf(text));
  const head = { size: 7, root: frontier.root().toString('hex'), at: began + 7 * dayMs };
  const { code, out } = await verify({
    heads: [...heads, signHead(head, privateKey)],
    entries: [...entries, { kind: 'entry', index: 6, text }],
  });
  expect(code).toBe(0);
  expect(out).toContain(
    `lost by its sidecar: ${source}9, lines 1 to 4 of chain ${'c'.repeat(32)} (missing), as entry 6 says`,
  );
  expect(out).toContain(
    `never signed by its sidecar: ${source}, chain ${testChain().name}: 18 lines, the last taken in at 2026-11-25`,
  );
  expect(out).toContain(', 4 lines lost by sidecars,');
});

/** What kubectl said of pods. */
let pods = '';
const podsOf = (...uids: string[]): string => JSON.stringify({ items: uids.map((uid) => ({ metadata: { uid } })) });

test('a chain of a pod that is not there is named where it ended without a word', async () => {
  const log = exported(everyDay);
  // The last block came as the log ends: its sidecar may be about to say more.
  pods = podsOf('uid-2');
  expect((await verify(log, '--pods', 'pods.json')).out).not.toContain('ended without a word');
  const frontier = createFrontier();
  const read = { type: 'read', at: began + 5 * dayMs + 300_000, who: 'ana', what: 'search', question: '{}' } as const;
  const entry = { kind: 'entry', index: 6, text: entryText(read), lines: null };
  for (const { text } of [...log.entries, entry] as { readonly text: string }[]) frontier.append(entryLeaf(text));
  const head = signHead({ size: 7, root: frontier.root().toString('hex'), at: read.at }, privateKey);
  const later = { heads: [...log.heads, head], entries: [...log.entries, entry] };
  const named = await verify(later, '--pods', 'pods.json');
  expect([named.code, named.out]).toEqual([
    0,
    expect.stringMatching(/^ended without a word: spiffe:.*\/pod\/uid-1, chain .*: its last line is 18, /m),
  ]);
  pods = podsOf('uid-2', 'uid-1');
  expect((await verify(later, '--pods', 'pods.json')).out).not.toContain('ended without a word');
  expect((await verify(later)).out).not.toContain('ended without a word');
});

test.each(['{"items":[{"metadata":{}}]}', '{}', 'no list'])('%s is no list of pods', async (list) => {
  pods = list;
  const { code, err } = await verify(exported(everyDay), '--pods', 'pods.json');
  expect([code, err]).toEqual([2, expect.stringMatching(/^--pods takes a list of pods/)]);
});

test.each([[['--no-lines']], [['--session', 'a'.repeat(32)]]])('--pods does not go with %j', async (flags) => {
  const { code, err } = await verify(exported(everyDay), '--pods', 'pods.json', ...flags);
  expect([code, err]).toEqual([2, expect.stringContaining('--pods is for a whole log with its lines')]);
});
