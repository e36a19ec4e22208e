import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { AuditEvent } from '../../core/index.ts';
import { signHead, verifySession } from '../../record/index.ts';
import type { SessionProof } from '../../record/index.ts';
import { readLines } from '../ingest/read-lines.ts';
import { openSqliteStore } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import type { Question } from './question.ts';
import { Streamed } from './question.ts';
import { proofParts } from './session-answers.ts';
import { sessionRoutes } from './session-routes.ts';

const { checkProof } = (await import(join(import.meta.dirname, '../console/assets/proof.js'))) as {
  checkProof(proof: SessionProof, shown: readonly string[]): Promise<object>;
};

// A stream comes in some blocks each second.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const session = sessionId(1);
const receipt = { id: session, generation: 'g1', rules: 'support/allow=allowed', failedOpen: 'none' };
let folder: string;
let store: RecordStore;
const lines: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-proof-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: fakeClock() });
  const chain = testChain();
  const [start, ...rest] = sessionEvents({ id: session });
  const end = rest.at(-1);
  if (start === undefined || end?.type !== 'end') throw new Error('events');
  const words = Array.from({ length: 68 }, (_, n): AuditEvent => ({
    type: 'segment',
    session,
    direction: 'response',
    lane: 'l',
    text: `word ${n}`,
    at: n,
  }));
  const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
  const blocks = [start, ...words, { ...end, lines: 70 }].map((event) => {
    const from = chain.point();
    const bytes = chain.lines([event]);
    lines.push(bytes.toString().trimEnd());
    const { block, first, last, prev, hash } = readLines(bytes, from);
    const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash } as const;
    return { entry, block: { ...block, pod: { namespace: 'ml', name: 'llama-0' } } };
  });
  await store.append(blocks);
  await store.addHead(({ size, root, at }) => {
    const head = { size, root: Buffer.from(root).toString('hex'), at };
    return { ...head, text: signHead(head, privateKey) };
  });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

async function proofOf(answer: Streamed | AsyncIterable<string>): Promise<SessionProof> {
  let text = '';
  for await (const part of answer instanceof Streamed ? answer.parts : answer) text += part;
  return JSON.parse(text) as SessionProof;
}

test('a session in many blocks is proven whole, as its caller was told', async () => {
  const route = sessionRoutes(store).find(({ path }) => path.endsWith('/proof'));
  const question: Partial<Question> = {
    part: session,
    search: new URLSearchParams(),
    allow: () => Promise.resolve(),
    note: () => Promise.resolve(),
    turn: (asked) => asked(),
  };
  const proof = await proofOf((await route?.answer(question as Question)) as Streamed);
  expect(proof.more).toBe(0);
  expect(verifySession(proof, { session, publicKey, receipt })).toMatchObject({ ok: true, lines: 70, ended: true });
  expect(await checkProof(proof, lines)).toMatchObject({ ok: true, lines: 70, unsigned: 0 });
});

test('a block that stands twice, between two numbers, does not stand in for one that is kept back', async () => {
  const head = await store.lastHead();
  if (head === undefined) throw new Error('no head');
  const indices = Array.from({ length: 70 }, (_, at) => at);
  const proof = await proofOf(proofParts(store, head, session, indices));
  const [four, five] = proof.blocks.slice(4);
  if (four === undefined || five === undefined) throw new Error('blocks');
  const blocks = proof.blocks.with(5, { ...four, index: 4.5 });
  const shown = lines.filter((line) => !five.lines.startsWith(line));
  expect(verifySession({ ...proof, blocks }, { session, publicKey })).toMatchObject({ ok: false });
  expect(await checkProof({ ...proof, blocks }, shown)).toMatchObject({ ok: false });
});

test('a proof that is too long for one answer says how many blocks it lacks', async () => {
  const head = await store.lastHead();
  if (head === undefined) throw new Error('no head');
  const indices = Array.from({ length: 70 }, (_, at) => at);
  const proof = await proofOf(proofParts(store, head, session, indices, { blocks: 50, bytes: 1_000_000 }));
  expect([proof.blocks.length, proof.more]).toEqual([50, 20]);
  const short = await proofOf(proofParts(store, head, session, indices, { blocks: 1_000, bytes: 1 }));
  expect([short.blocks.length, short.more]).toEqual([1, 69]);
  // Bytes are those of the answer, with what JSON escapes.
  const sizes = proof.blocks.map((block) => Buffer.byteLength(JSON.stringify(block)));
  const bytes = sizes.slice(0, 20).reduce((sum, size) => sum + size, 0);
  const twenty = await proofOf(proofParts(store, head, session, indices, { blocks: 1_000, bytes }));
  expect([twenty.blocks.length, twenty.more]).toEqual([20, 50]);
  expect(verifySession(proof, { session, publicKey })).toMatchObject({ ok: true, lines: 50, ended: false, more: 20 });
  expect(verifySession(proof, { session, publicKey, receipt })).toEqual({
    ok: false,
    why: 'the session is longer than one proof: its last 20 blocks are not in it, verify the whole log',
  });
  expect(await checkProof(proof, lines)).toMatchObject({ ok: true, lines: 50, unsigned: 20, more: 20 });
});
