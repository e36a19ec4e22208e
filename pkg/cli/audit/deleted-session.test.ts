import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Ran } from '../../../test/support/sidegate-command.ts';
import { silentLogger } from '../../base/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { sealBy, verifySession } from '../../record/index.ts';
import type { DeletedBlock, SessionProof } from '../../record/index.ts';
import { keepHeads, openSqliteStore, writeRetention } from '../../recorder/index.ts';
import type { RecordStore } from '../../recorder/index.ts';
import { logRoutes } from '../../recorder/api/log-routes.ts';
import { matchRoute, Streamed } from '../../recorder/api/question.ts';
import { sessionRoutes } from '../../recorder/api/session-routes.ts';
import { blockOfEvents } from '../../recorder/store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../recorder/testing/chains.ts';
import type { Cluster } from '../command.ts';
import { deleteOld } from '../../recorder/store/testing/delete-old.ts';

// A session of which retention has deleted the first blocks: proven as far as it goes, and not to be taken for one of which lines are kept back.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const session = sessionId('long');
/** Of the last day, in the same chain: its end alone is signed, its other lines are kept back by who answers. */
const recent = sessionId('recent');
const dayMs = 86_400_000;
const receipt = `id=${session}; generation="g1"; rules="support/allow=allowed"; failed-open=none`;
let folder: string;
let store: RecordStore;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-deleted-'));
  const clock = fakeClock();
  store = openSqliteStore({ path: join(folder, 'record.db'), clock, seal: sealBy(privateKey) });
  await writeRetention({ store, retention: { all: 90, namespaces: {}, policies: {} }, clock });
  const [chain, other] = [testChain('a'), testChain('b')];
  const [start, answer, end] = sessionEvents({ id: session });
  if (start === undefined || answer === undefined || end?.type !== 'end') throw new Error('events');
  const events: AuditEvent[] = [
    start,
    answer,
    answer,
    answer,
    { ...end, lines: 5, timing: { ...end.timing, total: 100 * dayMs } },
  ];
  for (const [at, event] of events.entries()) {
    const when = testTime + (at < 2 ? 0 : 100 * dayMs);
    await store.append([blockOfEvents(other, sessionEvents({ id: sessionId(at) }), when)]);
    await store.append([blockOfEvents(chain, [event], when)]);
  }
  const own = sessionEvents({ id: recent });
  await store.append([blockOfEvents(chain, own.slice(0, -1), testTime + 100 * dayMs)]);
  await store.append([blockOfEvents(chain, own.slice(-1), testTime + 100 * dayMs)]);
  expect(await deleteOld(store, { before: testTime + dayMs, of: { allBut: [] } }, testTime + 101 * dayMs, 100)).toBe(4);
  const heads = keepHeads({ store, key: privateKey, clock, logger: silentLogger });
  await heads.sign();
  heads.close();
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const client = {
  create: () => Promise.resolve({ status: { token: 't' } }),
  async request({ path }: { readonly path: string }) {
    const url = new URL(path.slice(path.indexOf('/proxy/') + '/proxy'.length), 'https://recorder');
    const nothing = (): Promise<void> => Promise.resolve();
    for (const route of [...sessionRoutes(store), ...logRoutes(store)]) {
      const part = matchRoute(route, url.pathname);
      if (part === undefined || route.method !== 'GET') continue;
      const question = { who: 'ana', search: url.searchParams, body: undefined, part };
      const answer = await route.answer({
        ...question,
        allow: nothing,
        allowChanges: nothing,
        turn: (act) => act(),
        note: nothing,
      });
      if (!(answer instanceof Streamed)) return answer;
      let text = '';
      for await (const piece of answer.parts) text += piece;
      return JSON.parse(text) as object;
    }
    return {};
  },
  close: () => undefined,
} as unknown as Cluster['client'];

/** @param files What it reads by these names. */
async function verify(flags: readonly string[], files: Record<string, string> = {}): Promise<Ran & { saved: string }> {
  let saved = '';
  const ran = await sidegateCommand(['audit', 'verify', '--key', 'public.pem', ...flags], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    readFile: (path) => (path === 'public.pem' ? pem : (files[path] ?? '')),
    writeFile: (_path, text) => {
      saved = text;
    },
  });
  return { ...ran, saved };
}
const asFarAsItGoes =
  /^PROVEN IN PART: .*: 3 lines .*AS FAR AS IT GOES: its start and what came with it, 2 lines, may have been in blocks that retention has deleted/;

test('is proven as far as it goes, by who asks the recorder and by who has its receipt and the proof', async () => {
  const { code, out, saved } = await verify(['--receipt', receipt, '--save-proof', 'proof.json']);
  expect([code, out]).toEqual([3, expect.stringMatching(asFarAsItGoes)]);
  expect(out).toContain('the receipt says what is on record, but for the policy generation');
  const alone = await verify(['--receipt', receipt, '--proof', 'proof.json'], { 'proof.json': saved });
  expect([alone.code, alone.out]).toEqual([3, out]);
  const other = await verify(['--receipt', receipt.replace('allowed', 'masked'), '--proof', 'proof.json'], {
    'proof.json': saved,
  });
  expect([other.code, other.out]).toEqual([1, expect.stringContaining('the receipt names rules')]);
});

test('is proven as far from an exported log', async () => {
  const lines = [];
  for (const { text } of await store.heads(0, 10)) lines.push({ kind: 'head', text });
  for (const { index, text } of await store.entries(0, 100)) {
    const own = await store.blockLines(index);
    lines.push({ kind: 'entry', index, text, lines: own === undefined ? null : Buffer.from(own).toString() });
  }
  const file = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const { code, out } = await verify(['--session', session, '--file', 'log.jsonl'], { 'log.jsonl': file });
  expect([code, out]).toEqual([3, expect.stringMatching(asFarAsItGoes)]);
});

test('takes no block of before a session began for where its start was', async () => {
  const proofOf = async (id: string): Promise<SessionProof> =>
    JSON.parse((await verify(['--session', id, '--save-proof', 'p'])).saved) as never;
  const [long, whole] = [await proofOf(session), await proofOf(recent)];
  expect(verifySession(whole, { session: recent, publicKey })).toMatchObject({ ok: true, deleted: 0 });
  const { deleted = [] } = long;
  const keptBack = { ...whole, blocks: whole.blocks.slice(-1), deleted };
  expect(verifySession(keptBack, { session: recent, publicKey })).toMatchObject({
    ok: false,
    why: expect.stringMatching(/is of before the session began/),
  });
  const asked = await verify(['--session', recent, '--proof', 'p'], { p: JSON.stringify(keptBack) });
  expect([asked.code, asked.out]).toEqual([1, expect.stringMatching(/^NOT PROVEN: /)]);
});

describe('is not proven', () => {
  const proofOf = async (): Promise<SessionProof & { readonly deleted: readonly DeletedBlock[] }> =>
    JSON.parse((await verify(['--session', session, '--save-proof', 'p'])).saved) as never;
  type Proof = Awaited<ReturnType<typeof proofOf>>;
  const each = (proof: Proof, edit: (one: DeletedBlock) => DeletedBlock): Proof => ({
    ...proof,
    deleted: proof.deleted.map(edit),
  });
  const stranger = sealBy(generateKeyPairSync('ed25519').privateKey);
  test.each<[string, (proof: Proof) => Proof, RegExp]>([
    ['where nothing says so', (proof) => ({ ...proof, deleted: [] }), /^3 of 5 lines are there/],
    ['where fewer were deleted', (proof) => ({ ...proof, deleted: proof.deleted.slice(1) }), /^3 of 5 lines are there/],
    ['where another is kept back', (proof) => ({ ...proof, blocks: proof.blocks.slice(1) }), /^2 of 5 lines are there/],
    [
      'by a deletion that stands twice',
      (proof) => ({ ...proof, deleted: [proof.deleted[0], proof.deleted[0]].filter((one) => one !== undefined) }),
      /or stands twice/,
    ],
    [
      'by a deletion of another block',
      (proof) => {
        const [first, second] = proof.deleted;
        return each(proof, (one) => ({ ...one, by: (one === first ? second : first)?.by ?? one.by }));
      },
      /does not say, under the recorder's seal/,
    ],
    [
      'by what somebody else sealed',
      (proof) =>
        each(proof, (one) => ({
          ...one,
          by: {
            ...one.by,
            entry: stranger({ type: 'deleted', at: 1, entry: one.block.index, why: 'retention' }, one.by.index),
          },
        })),
      /is not in the tree/,
    ],
    [
      'by a block of its own that is there',
      (proof) =>
        each(proof, (one) => {
          const [{ index, entry, path } = one.block] = proof.blocks;
          return { ...one, block: { index, entry, path } };
        }),
      /no block of that chain before its lines/,
    ],
    [
      'by paths that lead elsewhere',
      (proof) => each(proof, (one) => ({ ...one, block: { ...one.block, path: [] } })),
      /is not in the tree/,
    ],
  ])('%s', async (_, edit, why) => {
    const proof = await proofOf();
    expect(verifySession(proof, { session, publicKey })).toMatchObject({ ok: true, lines: 3, deleted: 2, ended: true });
    expect(verifySession(edit(proof), { session, publicKey })).toMatchObject({
      ok: false,
      why: expect.stringMatching(why),
    });
  });
});
