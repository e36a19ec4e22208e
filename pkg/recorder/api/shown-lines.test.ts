import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createLogVerifier, signHead, verifySession } from '../../record/index.ts';
import type { SessionProof } from '../../record/index.ts';
import { readLines } from '../ingest/read-lines.ts';
import { openSqliteStore } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import { proofParts } from './session-answers.ts';

const { checkProof } = (await import(join(import.meta.dirname, '../console/assets/proof.js'))) as {
  checkProof(
    proof: SessionProof,
    shown: readonly string[],
  ): Promise<{ readonly ok: boolean; readonly ended?: boolean }>;
};

const { countLines } = (await import(join(import.meta.dirname, '../console/assets/record.js'))) as {
  countLines(lines: readonly string[]): object;
};

// A caller may have the proof of their own session, and nothing of those who came at the same moment.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const [mine, theirs] = [sessionId('mine'), sessionId('theirs')];
const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
let folder: string;
let store: RecordStore;
let lines: string[];
let own: string[];
let other: string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-shown-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: fakeClock() });
  const chain = testChain();
  const [a, b] = [
    sessionEvents({ id: mine, ask: 'my question', answer: 'my answer' }),
    sessionEvents({ id: theirs, user: 'eve', ask: 'their question', answer: 'their answer' }),
  ];
  const events = [b[0], a[0], b[1], a[1], a[2], b[2]].filter((event) => event !== undefined);
  const from = chain.point();
  const bytes = chain.lines(events);
  lines = bytes.toString().trimEnd().split('\n');
  [own, other] = [mine, theirs].map((id) => lines.filter((line) => line.includes(id))) as [string[], string[]];
  const { block, first, last, prev, hash, list } = readLines(bytes, from);
  const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash } as const;
  const more = chain.lines(events);
  const older = readLines(more, { sequence: last, hash });
  const pod = { namespace: 'ml', name: 'llama-0' };
  await store.append([{ entry: { ...entry, list }, block: { ...block, pod } }]);
  await store.append([
    {
      entry: { ...entry, first: older.first, last: older.last, prev: older.prev, hash: older.hash },
      block: { ...older.block, pod },
    },
  ]);
  await store.addHead(({ size, root, at }) => {
    const head = { size, root: Buffer.from(root).toString('hex'), at };
    return { ...head, text: signHead(head, privateKey) };
  });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

async function proofOf(...indices: readonly number[]): Promise<SessionProof> {
  const head = await store.lastHead();
  if (head === undefined) throw new Error('no head');
  let text = '';
  for await (const part of proofParts(store, head, mine, indices)) text += part;
  return JSON.parse(text) as SessionProof;
}
const first = (proof: SessionProof) => {
  const [block] = proof.blocks;
  if (block === undefined) throw new Error('no block');
  return block;
};
const verdicts = async (proof: SessionProof) => [
  verifySession(proof, { session: mine, publicKey }).ok,
  (await checkProof(proof, own)).ok,
];

test('its lines are proven, by the public key alone and in the browser', async () => {
  const proof = await proofOf(0);
  expect(first(proof).lines).toBe(own.map((line) => `${line}\n`).join(''));
  expect(verifySession(proof, { session: mine, publicKey })).toMatchObject({ ok: true, lines: 3, ended: true });
  expect(await checkProof(proof, own)).toMatchObject({ ok: true, lines: 3, counted: true });
});

test('nothing of the others is in it but the hashes of their lines', async () => {
  const proof = await proofOf(0);
  const text = JSON.stringify(proof);
  for (const theirOwn of ['eve', 'their question', 'their answer', theirs]) expect(text).not.toContain(theirOwn);
  expect(first(proof).hidden).toEqual(other.map((line) => line.slice(-66, -2)));
});

describe('a proof', () => {
  const hiddenOf = (proof: SessionProof): readonly string[] => first(proof).hidden ?? [];
  type Block = SessionProof['blocks'][number];
  test.each<[string, (proof: SessionProof) => Partial<Block>]>([
    ['whose line was changed', (proof) => ({ lines: first(proof).lines.replace('my answer', 'my 4nswer') })],
    [
      'of which a line is kept back, its hash in its place',
      (proof) => {
        const [one = '', two = '', three = ''] = own;
        const [a = '', b = '', c = ''] = hiddenOf(proof);
        return { lines: `${one}\n${three}\n`, hidden: [a, b, two.slice(-66, -2), c] };
      },
    ],
    ['of which a line is kept back', () => ({ lines: `${own[0] ?? ''}\n${own[2] ?? ''}\n` })],
    ['whose lines stand the other way round', () => ({ lines: [...own].reverse().join('\n') })],
    ['whose line stands twice', () => ({ lines: [...own, own[2]].join('\n') })],
    ['with another hash', (proof) => ({ hidden: hiddenOf(proof).map((one, at) => (at === 2 ? 'a'.repeat(64) : one)) })],
    ['with the hashes in another order', (proof) => ({ hidden: [...hiddenOf(proof)].reverse() })],
    ['with a hash less', (proof) => ({ hidden: hiddenOf(proof).slice(1) })],
    ['with a hash more', (proof) => ({ hidden: [...hiddenOf(proof), 'a'.repeat(64)] })],
    ['with what is no hash', (proof) => ({ hidden: hiddenOf(proof).map((one) => one.toUpperCase()) })],
    ['that says that all is shown', () => ({ hidden: [] })],
    [
      'of another session’s lines with the hashes of its own',
      () => ({
        lines: other.map((line) => `${line}\n`).join(''),
        hidden: own.map((line) => line.slice(-66, -2)),
      }),
    ],
  ])('%s is none', async (_, edit) => {
    const proof = await proofOf(0);
    const edited = { ...proof, blocks: [{ ...first(proof), ...edit(proof) }] };
    expect(edited).not.toEqual(proof);
    expect(await verdicts(edited)).toEqual([false, false]);
  });

  test.each([
    ['its end', 2, 3],
    ['its end and its answer', 1, 4],
  ])('that hides %s has no end, and lines beside it that may be its own', async (_, shown, beside) => {
    const proof = await proofOf(0);
    const kept = own.slice(0, shown);
    const hidden = lines.filter((line) => !kept.includes(line)).map((line) => line.slice(-66, -2));
    const edited = {
      ...proof,
      blocks: [{ ...first(proof), lines: kept.map((line) => `${line}\n`).join(''), hidden }],
    };
    const verdict = { ok: true, lines: shown, ended: false };
    // What came before its start is not counted.
    expect(verifySession(edited, { session: mine, publicKey })).toMatchObject({ ...verdict, beside });
    expect(await checkProof(edited, kept)).toMatchObject({ ...verdict, beside });
  });

  test('that shows its end has no lines beside it that count', async () => {
    const proof = await proofOf(0);
    expect(verifySession(proof, { session: mine, publicKey })).toMatchObject({ ended: true, beside: 0 });
    expect(await checkProof(proof, own)).toMatchObject({ ended: true, beside: 0 });
  });

  test('of an older recorder’s block has all of its lines, and is proven by them alone', async () => {
    const proof = await proofOf(1);
    expect(first(proof)).not.toHaveProperty('hidden');
    expect(first(proof).lines).toContain('their question');
    expect(verifySession(proof, { session: mine, publicKey })).toMatchObject({ ok: true, lines: 3 });
    const hidden = other.map((line) => line.slice(-66, -2));
    expect(await verdicts({ ...proof, blocks: [{ ...first(proof), hidden }] })).toEqual([false, false]);
  });
});

test('a change is its own end in the browser', () => {
  expect(countLines(['{"type":"change"}'])).toEqual({ counted: true, ended: true });
  expect(countLines(['{"type":"start"}'])).toEqual({ counted: true, ended: false });
});

test('a list that is not of the lines of its entry is found in the log', async () => {
  const verify = async (edit: (text: string) => string) => {
    const verifier = createLogVerifier({ publicKey, heads: [] });
    for (const { index, text } of await store.entries(0, 10)) {
      verifier.entry(index, edit(text));
      verifier.lines(index, Buffer.from((await store.blockLines(index)) ?? []).toString());
    }
    return verifier.end().findings.map(({ fault }) => fault);
  };
  expect(await verify((text) => text)).toEqual(['unsigned']);
  expect(await verify((text) => text.replace(/"list":"[0-9a-f]{64}"/, `"list":"${'a'.repeat(64)}"`))).toEqual(
    expect.arrayContaining(['changed']),
  );
});
