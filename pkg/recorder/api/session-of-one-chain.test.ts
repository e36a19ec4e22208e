import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
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
import type { TestChain } from '../testing/chains.ts';
import { refuseOthers, Streamed } from './question.ts';
import type { Question } from './question.ts';
import { proofParts } from './session-answers.ts';
import { sessionRoutes } from './session-routes.ts';

const { checkProof } = (await import(join(import.meta.dirname, '../console/assets/proof.js'))) as {
  checkProof(proof: SessionProof, shown: readonly string[]): Promise<object>;
};

// Any sidecar may write lines under any id: what one of them has proves nothing of another's session, and a part of it not the whole.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const session = sessionId(1);
const receipt = { id: session, generation: 'g1', rules: 'support/allow=allowed', failedOpen: 'none' };
const sidecar = (uid: string, namespace = 'ml'): string =>
  `spiffe://cluster.local/ns/${namespace}/sa/default/pod/${uid}`;
const [mine, liar] = [sidecar('uid-1'), sidecar('uid-2', 'tenant-b')];
let folder: string;
let store: RecordStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-chains-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: fakeClock() });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const shown: string[] = [];
beforeEach(() => void shown.splice(0));

/** One block. */
async function put(chain: TestChain, events: readonly (AuditEvent | undefined)[], source = mine): Promise<void> {
  const from = chain.point();
  const bytes = chain.lines(events.filter((event) => event !== undefined));
  shown.push(...bytes.toString().trimEnd().split('\n'));
  const { block, first, last, prev, hash } = readLines(bytes, from);
  const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash } as const;
  await store.append([{ entry, block: { ...block, pod: { namespace: 'ml', name: 'llama-0' } } }]);
}

/** Proof of these blocks. */
async function proofOf(...indices: readonly number[]): Promise<SessionProof> {
  const head = await store.addHead(({ size, root, at }) => {
    const unsigned = { size, root: Buffer.from(root).toString('hex'), at };
    return { ...unsigned, text: signHead(unsigned, privateKey) };
  });
  const signed = head ?? (await store.lastHead());
  if (signed === undefined) throw new Error('no head');
  let text = '';
  for await (const part of proofParts(store, signed, session, indices)) text += part;
  return JSON.parse(text) as SessionProof;
}
const verdictOf = async (indices: readonly number[], chain?: string) =>
  verifySession(await proofOf(...indices), { session, publicKey, receipt, chain });

test('a start of one sidecar and an end of another are no session', async () => {
  const [chain, other] = [testChain('a'), testChain('b')];
  const [start, answer, end] = sessionEvents({ id: session });
  await put(chain, [start, answer]);
  await put(other, [end], liar);
  const why = expect.stringMatching(/^several sidecars have lines under this id, .*uid-1; .*uid-2/);
  expect(await verdictOf([0, 1])).toEqual({ ok: false, why });
});

test('whose session it is, is said', async () => {
  const chain = testChain();
  await put(chain, sessionEvents({ id: session }), liar);
  expect(await verdictOf([0])).toMatchObject({ ok: true, source: liar, chain: chain.name, lines: 3, others: [] });
});

test('lines of others under its id are told, and prove nothing', async () => {
  const [chain, other] = [testChain('a'), testChain('b')];
  const [, answer] = sessionEvents({ id: session, answer: 'what was never said' });
  await put(other, [answer], liar);
  await put(chain, sessionEvents({ id: session }));
  const others = [{ source: liar, chain: other.name }];
  expect(await verdictOf([0, 1])).toMatchObject({ ok: true, source: mine, lines: 3, others });
});

test('of two whole sessions under one id none is taken before its chain is named', async () => {
  const [chain, other] = [testChain('a'), testChain('b')];
  await put(other, sessionEvents({ id: session, rule: 'support/other' }), liar);
  await put(chain, sessionEvents({ id: session }));
  const why = expect.stringMatching(/^2 sidecars have recorded a session under this id: name one by its chain: /);
  expect(await verdictOf([0, 1])).toEqual({ ok: false, why });
  expect(await verdictOf([0, 1], chain.name)).toMatchObject({ ok: true, source: mine });
  expect(await verdictOf([0, 1], other.name)).toMatchObject({ ok: false, why: expect.stringContaining('names rules') });
});

test('a session without an end, of a sidecar that crashed, does not lose to a whole one that another wrote under its id', async () => {
  const [chain, other] = [testChain('a'), testChain('b')];
  const [start, answer] = sessionEvents({ id: session });
  await put(chain, [start, answer]);
  await put(other, sessionEvents({ id: session }), liar);
  const why = expect.stringMatching(
    /^2 sidecars have recorded a session under this id: name one by its chain: .*uid-1; .*uid-2/,
  );
  expect(await verdictOf([0, 1])).toEqual({ ok: false, why });
  expect(verifySession(await proofOf(0, 1), { session, publicKey, chain: chain.name })).toMatchObject({
    ok: true,
    source: mine,
    ended: false,
  });
});

test('more chains than a proof holds are no proof before one is named, and none of a part of them', async () => {
  const chain = testChain();
  await put(chain, sessionEvents({ id: session }));
  for (let n = 0; n < 10; n++) await put(testChain(`liar ${n}`), sessionEvents({ id: session }).slice(0, 1), liar);
  await proofOf();
  const route = sessionRoutes(store).find(({ path }) => path.endsWith('/proof'));
  const ask = async (search: Record<string, string>) => {
    const nothing = (): Promise<void> => Promise.resolve();
    const turn: Question['turn'] = (asked) => asked();
    const question = { part: session, search: new URLSearchParams(search), allow: nothing, note: nothing, turn };
    if (route !== undefined) refuseOthers(route, question.search);
    return route?.answer(question as Partial<Question> as Question);
  };
  await expect(ask({})).rejects.toMatchObject({ status: 409, code: 'many_chains' });
  await expect(ask({ from: '0.x' })).rejects.toMatchObject({ status: 400 });
  expect(await ask({ chain: chain.name })).toBeInstanceOf(Streamed);
});

test.each(['start', 'end'])('a second %s is found, and search shows the first', async (type) => {
  const chain = testChain();
  const events = sessionEvents({ id: session });
  const other = sessionEvents({ id: session, user: 'eve', outcome: 'refused', rule: 'x/y' });
  const second = other.find((event) => event.type === type);
  // Together with the first, and in a block of its own.
  await put(chain, [...events, second]);
  await put(chain, [second]);
  expect(await verdictOf([0, 1])).toEqual({ ok: false, why: expect.stringContaining(`second ${type}, in line 4`) });
  const [found] = (await store.search({ session, limit: 2 })).sessions;
  expect(found).toMatchObject({ subject: 'ana', end: { outcome: 'completed', sequence: 3 } });
  expect((await store.search({ tags: ['rule:x/y'], limit: 2 })).sessions).toEqual([]);
});

describe('a session that is not there whole', () => {
  beforeEach(async () => {
    const chain = testChain();
    for (const event of sessionEvents({ id: session })) await put(chain, [event]);
  });

  test('is not proven', async () => {
    const why = expect.stringMatching(/^2 of 3 lines are there: others were deleted, or are kept back/);
    expect(await verdictOf([0, 2])).toEqual({ ok: false, why });
    expect(await verdictOf([1, 2])).toMatchObject({ ok: false, why, lacks: { chain: testChain().name, lines: 1 } });
    expect(await verdictOf([0, 1, 2])).toMatchObject({ ok: true, lines: 3, counted: true });
  });

  test('is not proven with another block in place of the one that is kept back', async () => {
    const twice = { ok: false, why: 'entry 0 is not behind the one before it' };
    expect(await verdictOf([0, 0, 2])).toEqual(twice);
    expect(await checkProof(await proofOf(0, 0, 2), [shown[0] ?? '', shown[2] ?? ''])).toEqual(twice);
  });

  test('is not proven in the console, nor what it shows', async () => {
    const why = expect.stringMatching(/^chain [0-9a-f]{32} of spiffe:.*uid-1: 2 of 3 lines/);
    expect(await checkProof(await proofOf(0, 2), [shown[0] ?? '', shown[2] ?? ''])).toEqual({ ok: false, why });
    expect(await checkProof(await proofOf(0, 1, 2), shown)).toMatchObject({ ok: true, lines: 3, counted: true });
  });
});

test('a fault in what another sidecar wrote under its id is not its own in the console', async () => {
  const [chain, other] = [testChain('a'), testChain('b')];
  await put(chain, sessionEvents({ id: session }));
  const own = [...shown];
  await put(other, sessionEvents({ id: session }).slice(1), liar);
  const proof = await proofOf(0, 1);
  expect(await checkProof(proof, own)).toMatchObject({ ok: true, lines: 3 });
  expect(await checkProof(proof, shown)).toEqual({
    ok: false,
    why: `chain ${other.name} of ${liar}: 2 of 3 lines are there: others were deleted, or are kept back; look at another alone: chain ${chain.name} of ${mine}`,
  });
});

test('a session of a sidecar that did not count is proven, and said to be one', async () => {
  const chain = testChain();
  const [start, answer, end] = sessionEvents({ id: session });
  const { lines: _lines, ...older } = end as AuditEvent & { readonly type: 'end' };
  await put(chain, [start, answer, older as AuditEvent]);
  expect(await verdictOf([0])).toMatchObject({ ok: true, counted: false });
  expect(await checkProof(await proofOf(0), shown)).toMatchObject({ ok: true, counted: false });
});

test('lines that could not be written may be there or not', async () => {
  const chain = testChain();
  const [start, answer, end] = sessionEvents({ id: session });
  await put(chain, [start, answer, { ...(end as AuditEvent & { readonly type: 'end' }), lines: 2, unwritten: 1 }]);
  expect(await verdictOf([0])).toMatchObject({ ok: true, lines: 3 });
});
