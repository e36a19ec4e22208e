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
import { sidegateCommand } from '../support/sidegate-command.ts';
import type { Ran } from '../support/sidegate-command.ts';
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

async function proofOf(session: string, search = new URLSearchParams()): Promise<SessionProof> {
  const route = sessionRoutes(store).find((one) => one.path.endsWith('/proof'));
  const nothing = (): Promise<void> => Promise.resolve();
  const question = {
    who: 'a',
    search,
    body: undefined,
    allowChanges: nothing,
    turn: <Value>(act: () => Promise<Value>) => act(),
  };
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
    [
      'whose blocks stand a second time',
      (proof) => ({ ...proof, blocks: [...proof.blocks, ...proof.blocks] }),
      /entry \d+ is not behind the one before it/,
    ],
    [
      'with a head of its own that the key has not signed',
      (proof) => ({ ...proof, blocks: [{ ...first(proof), head: proof.head.replace('"at":', '"at":1') }] }),
      /the head over entry \d+ is not signed with this key/,
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

describe('a caller who has the receipt, the public key and a proof, and no cluster', () => {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const check = (receipt: string, proof: string, key = pem, ...flags: readonly string[]): Promise<Ran> =>
    sidegateCommand(
      ['audit', 'verify', '--proof', 'proof.json', '--key', 'public.pem', '--receipt', receipt, ...flags],
      {
        openCluster: () => Promise.reject(new Error('no cluster is asked')),
        readFile: (path) => (path === 'public.pem' ? key : path === 'proof.json' ? proof : ''),
      },
    );
  const proofFor = async (receipt: string): Promise<string> =>
    JSON.stringify(await proofOf(readReceipt(receipt)?.id ?? ''));

  test.each(['whole', 'refused', 'stream', 'comment'] as const)('finds its answer (%s) on record', async (kind) => {
    const receipt = receipts[kind];
    for (const text of [receipt, `sidegate-receipt: ${receipt}`]) {
      if (kind === 'comment' && text !== receipt) continue;
      const { code, out, err } = await check(text, await proofFor(receipt));
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(
        /^proven: session [0-9a-f]{32}: .*; the receipt says what is on record\nit is in chain \S+ of spiffe:\S+\n$/,
      );
    }
  });

  test('finds what it was told otherwise, of another session, or what nobody has signed', async () => {
    const proof = await proofFor(receipts.whole);
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const refusals: [receipt: string, proof: string, key: string, why: string][] = [
      [receipts.whole.replace('confidential=masked', 'confidential=allowed'), proof, pem, 'the receipt names rules'],
      [receipts.refused, proof, pem, 'it has no line'],
      [receipts.whole, proof.replace('Chat', 'Chaf'), pem, 'changed: line'],
      [receipts.whole, proof, other, 'the head is not signed with this key'],
    ];
    for (const [receipt, text, key, why] of refusals) {
      expect([receipt, text, key]).not.toEqual([receipts.whole, proof, pem]);
      const { code, out } = await check(receipt, text, key);
      expect([code, out]).toEqual([1, expect.stringContaining('NOT PROVEN')]);
      expect(out).toContain(why);
    }
  });

  test('is told of a file that is no proof, and of flags that do not go together', async () => {
    for (const text of ['', '{', '[]', '{"head":"","blocks":[{}],"unsigned":0}', '{"head":1,"blocks":[],"unsigned":0}'])
      expect(await check(receipts.whole, text)).toMatchObject({
        code: 1,
        err: expect.stringContaining('cannot be read'),
      });
    const alone = await sidegateCommand(['audit', 'verify', '--proof', 'proof.json', '--file', 'log.jsonl']);
    expect(alone.code).toBe(2);
    for (const fault of [
      '--proof goes with --session or --receipt',
      '--file does not go with --proof',
      '--file needs --key: the public key of the log',
    ])
      expect(alone.err).toContain(fault);
  });

  // Last: it stays on record.
  test('is not satisfied by what another sidecar recorded under the same id', async () => {
    const { id = '' } = readReceipt(receipts.whole) ?? {};
    const { blocks } = await proofOf(id);
    const lines = blocks.flatMap((block) => block.lines.trimEnd().split('\n')).filter((line) => line.includes(id));
    const events = lines.map((line) => {
      const {
        v: _v,
        seq: _seq,
        time: _time,
        prev: _prev,
        hash: _hash,
        ...event
      } = JSON.parse(line) as Record<string, unknown>;
      return event as unknown as AuditEvent;
    });
    const liar = testChain('liar');
    await store.append([
      blockOfEvents(liar, events, undefined, 'spiffe://cluster.local/ns/other/sa/default/pod/uid-9'),
    ]);
    const heads = keepHeads({ store, key: privateKey, clock: systemClock, logger: silentLogger });
    await heads.sign();
    heads.close();
    const both = await check(receipts.whole, await proofFor(receipts.whole));
    expect(both).toMatchObject({ code: 1, out: expect.stringContaining('name one by its chain') });
    const { name } = testChain();
    const said = `it is in chain ${name} of spiffe://cluster.local/ns/ml/`;
    const named = await proofOf(id, new URLSearchParams({ chain: name }));
    const { code, out } = await check(receipts.whole, JSON.stringify(named));
    expect([code, out]).toEqual([0, expect.stringContaining(said)]);
    // Whoever was given both names one themselves.
    const chosen = await check(receipts.whole, await proofFor(receipts.whole), pem, '--chain', name);
    expect([chosen.code, chosen.out]).toEqual([0, expect.stringContaining(said)]);
  });
});
