import { expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import { createFrontier, entryLeaf, entryText, signHead } from '../../record/index.ts';
import { readLines } from '../../recorder/ingest/read-lines.ts';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';

// A sidecar whose own lines are findings, as many as it likes: what was done to the record of others is named all the same.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const at = Date.UTC(2026, 10, 27, 5);
const hour = 3_600_000;
const sourceIn = (namespace: string): string => `spiffe://cluster.local/ns/${namespace}/sa/default/pod/u`;

interface Item {
  readonly kind: 'entry';
  readonly index: number;
  readonly text: string;
  readonly lines: string | null;
}

/** 220 blocks of a sidecar that dates each second one back, then one of another. */
function log() {
  const frontier = createFrontier();
  const items: Item[] = [];
  const add = (namespace: string, chain: ReturnType<typeof testChain>, id: number, time: number): void => {
    const before = chain.point();
    const lines = chain.lines(sessionEvents({ id: sessionId(id), ask: 'pay mallory 1000' }), time);
    const { first, last, prev, hash, list } = readLines(lines, before);
    const source = sourceIn(namespace);
    const text = entryText({ type: 'block', at, source, chain: chain.name, first, last, prev, hash, list });
    frontier.append(entryLeaf(text));
    items.push({ kind: 'entry', index: items.length, text, lines: lines.toString() });
  };
  const liar = testChain('liar');
  for (let block = 0; block < 220; block++) add('tenant', liar, block, block % 2 === 0 ? at : at - hour);
  add('finance', testChain('other'), 9_999, at);
  const head = signHead({ size: items.length, root: frontier.root().toString('hex'), at }, privateKey);
  return { items, head };
}

test('audit verify names ten chains of a pod that never sent them, and counts the others', async () => {
  const frontier = createFrontier();
  const lines: string[] = [];
  const add = (namespace: string, n: number, ended = false): void => {
    const [source, chain, hash] = [sourceIn(namespace), n.toString(16).padStart(32, '0'), 'f'.repeat(64)];
    const end = { stored: 0, known: 7, hash, ended, gone: at } as const;
    const text = entryText({ type: 'vanished', at, source, chain, ...end });
    frontier.append(entryLeaf(text));
    lines.push(JSON.stringify({ kind: 'entry', index: lines.length, text, lines: null }));
  };
  for (let n = 0; n < 25; n++) add('tenant', n);
  add('finance', 1, true);
  const head = signHead({ size: lines.length, root: frontier.root().toString('hex'), at }, privateKey);
  const files: Record<string, string> = {
    'log.jsonl': [JSON.stringify({ kind: 'head', text: head }), ...lines, ''].join('\n'),
    'public.pem': publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  const args = ['audit', 'verify', '--file', 'log.jsonl', '--key', 'public.pem'];
  const { out } = await sidegateCommand(args, { readFile: (path) => files[path] ?? '' });
  const told = out.split('\n').filter((line) => line.startsWith('lost with its pod: '));
  expect(told.filter((line) => line.includes('/ns/tenant/'))).toHaveLength(11);
  expect(told).toContain(`lost with its pod: ${sourceIn('tenant')}: and 15 more chains`);
  const gone = `gone at ${new Date(at).toISOString()}: lines 1 to 7 never came`;
  expect(told).toContain(
    `lost with its pod: ${sourceIn('tenant')}, ${gone}; it did not say that it stops, and may have written more`,
  );
  expect(told.filter((line) => line.includes('/ns/finance/'))).toEqual([
    `lost with its pod: ${sourceIn('finance')}, ${gone}; its sidecar stopped in good order, and wrote no more`,
  ]);
});

test('audit verify names what was done to the record of one beside a sidecar whose own lines are findings', async () => {
  const { items, head } = log();
  const verify = async (last: readonly Item[]) => {
    const all = [{ kind: 'head', text: head }, ...items.slice(0, -1), ...last];
    const files: Record<string, string> = {
      'log.jsonl': all.map((one) => `${JSON.stringify(one)}\n`).join(''),
      'public.pem': publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    };
    const args = ['audit', 'verify', '--file', 'log.jsonl', '--key', 'public.pem'];
    const { code, out } = await sidegateCommand(args, { readFile: (path) => files[path] ?? '' });
    const lines = out.trimEnd().split('\n');
    const own = lines.filter((line) => line.startsWith('by its own sidecar: back_dated: entry '));
    expect([code, own.length]).toEqual([1, 10]);
    expect(lines).toContain(`back_dated: and 100 more of this kind from ${sourceIn('tenant')}`);
    return lines[0];
  };
  const last = items.at(-1);
  if (typeof last?.lines !== 'string') throw new Error('no lines');
  await verify([last]);
  expect(await verify([{ ...last, lines: last.lines.replace('pay mallory', 'pay nobody_') }])).toMatch(
    /^changed: entry 220: lines? .*\/ns\/finance\//,
  );
  expect(await verify([{ ...last, lines: null }])).toBe(
    'lines_missing: entry 220: lines that nobody says were deleted',
  );
  expect(await verify([])).toBe('truncated: entry 220: entries that a head has signed are not there');
});
