import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { AuditEvent } from '../../pkg/core/index.ts';
import { readReceipt, verifySession } from '../../pkg/record/index.ts';
import type { SessionProof } from '../../pkg/record/index.ts';
import { keepHeads, openSqliteStore } from '../../pkg/recorder/index.ts';
import type { RecordStore } from '../../pkg/recorder/index.ts';
import type { Streamed } from '../../pkg/recorder/api/question.ts';
import { sessionRoutes } from '../../pkg/recorder/api/session-routes.ts';
import { blockOfEvents } from '../../pkg/recorder/store/testing/store-suite.ts';
import { testChain } from '../../pkg/recorder/testing/chains.ts';
import { answerChat, streamChat } from '../support/scripted-model.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

// What a real sidecar told its callers, against what it recorded: the receipt of each answer is proven from the recorder's log with the
// public key alone, and any other receipt is not.

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const { privateKey, publicKey } = generateKeyPairSync('ed25519');

let world: World;
let store: RecordStore;
let folder: string;
let receipts: { readonly whole: string; readonly refused: string; readonly stream: string; readonly comment: string };
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(issuer, '  classification:\n  - { label: confidential, detectors: [CreditCard], otherwise: Mask }\n'),
  });
  const of = ({ headers }: { headers: Readonly<Record<string, unknown>> }): string =>
    String(headers['sidegate-receipt']);
  world.model.script = answerChat('Pay with 4111 1111 1111 1111');
  const whole = of(await world.post(path, ask));
  const refused = of(await world.post(path, ask, { token: await world.token({ groups: ['sales'] }) }));
  world.model.script = streamChat(['Pay with ', '4111 1111 1111 1111', ' now.']);
  const streamed = await world.post(path, { ...ask, stream: true }, { headers: { 'sidegate-receipt': 'full' } });
  const comment = streamed.text.split('\n').find((line) => line.startsWith(': sidegate-receipt')) ?? '';
  receipts = { whole, refused, stream: of(streamed), comment };

  folder = mkdtempSync(join(tmpdir(), 'sidegate-receipt-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock });
  const chain = testChain();
  for (const { v: _v, seq: _seq, time: _time, prev: _prev, hash: _hash, ...event } of await world.record()) {
    if (event['type'] !== 'process') await store.append([blockOfEvents(chain, [event as unknown as AuditEvent])]);
  }
  const heads = keepHeads({ store, key: privateKey, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
});
afterAll(async () => {
  await store.close();
  await world.close();
  rmSync(folder, { recursive: true });
});

async function proofOf(session: string): Promise<SessionProof> {
  const route = sessionRoutes(store).find((one) => one.path.endsWith('/proof'));
  const nothing = (): Promise<void> => Promise.resolve();
  const question = { who: 'a', search: new URLSearchParams(), body: undefined, allowHolds: nothing };
  const answer = await route?.answer({ ...question, part: session, allow: nothing, note: nothing });
  let text = '';
  for await (const part of (answer as Streamed).parts) text += part;
  return JSON.parse(text) as SessionProof;
}
async function verdictOf(text: string, edit = (proof: SessionProof): SessionProof => proof, key = publicKey) {
  const receipt = readReceipt(text);
  if (receipt === undefined) throw new Error(`no receipt: ${text}`);
  return verifySession(edit(await proofOf(receipt.id)), { session: receipt.id, publicKey: key, receipt });
}

describe('the receipt', () => {
  test.each(['whole', 'refused', 'stream', 'comment'] as const)('of an answer (%s) is on record', async (kind) => {
    expect(await verdictOf(receipts[kind])).toMatchObject({ ok: true, ended: true, counted: true });
  });

  test.each<[string, (text: string) => string, RegExp]>([
    ['another generation', (text) => text.replace('generation="', 'generation="x'), /policy generation x/],
    ['a rule less', (text) => text.replace(/,[^"]*confidential=masked/, ''), /names rules/],
    ['another failure', (text) => text.replace('failed-open=none', 'failed-open=audit'), /failed-open audit/],
  ])('with %s is not', async (_, edit, why) => {
    const text = edit(receipts.whole);
    expect(text).not.toBe(receipts.whole);
    expect(await verdictOf(text)).toMatchObject({ ok: false, why: expect.stringMatching(why) });
  });

  test.each(['', 'id=1; generation="a"', `id=${'a'.repeat(32)}`, `id=${'a'.repeat(32)}; generation="a"; x=1`])(
    'is none: %s',
    (text) => {
      expect(readReceipt(text)).toBeUndefined();
    },
  );
});

describe('a proof', () => {
  const first = (proof: SessionProof) => {
    const [block] = proof.blocks;
    if (block === undefined) throw new Error('no block');
    return block;
  };
  test.each<[string, (proof: SessionProof) => SessionProof, RegExp]>([
    [
      'whose line was changed',
      (proof) => ({
        ...proof,
        blocks: proof.blocks.map((one) => ({ ...one, lines: one.lines.replace('Chat', 'Chaf') })),
      }),
      /^changed: line/,
    ],
    [
      'whose entry was changed',
      (proof) => ({ ...proof, blocks: [{ ...first(proof), entry: first(proof).entry.replace('"at":', '"at":1') }] }),
      /not in the tree/,
    ],
    [
      'whose path was changed',
      (proof) => ({ ...proof, blocks: [{ ...first(proof), path: first(proof).path.map(() => 'a'.repeat(64)) }] }),
      /not in the tree/,
    ],
    ['whose blocks are newer than the head', (proof) => ({ ...proof, blocks: [], unsigned: 1 }), /newer than/],
    ['without blocks', (proof) => ({ ...proof, blocks: [] }), /no line/],
  ])('%s is none', async (_, edit, why) => {
    expect(await verdictOf(receipts.whole, edit)).toMatchObject({ ok: false, why: expect.stringMatching(why) });
  });

  test('under another key is none', async () => {
    const other = generateKeyPairSync('ed25519').publicKey;
    expect(await verdictOf(receipts.whole, undefined, other)).toMatchObject({ ok: false });
  });
});
