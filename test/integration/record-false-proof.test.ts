import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { createAuthority, createAuthorityPair, createKeyRequest, writeWorkloadId } from '../../pkg/pki/index.ts';
import type { TlsMaterial } from '../../pkg/pki/index.ts';
import type { AuditEvent } from '../../pkg/core/index.ts';
import { createLogVerifier, signHead, signPoint } from '../../pkg/record/index.ts';
import { sessionEvents, sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import type { TestChain } from '../../pkg/recorder/testing/chains.ts';
import { recordPeer } from '../support/record-peer.ts';
import type { RecordPeer } from '../support/record-peer.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';

// What `audit verify` would say of lines against their own sidecar, the recorder sees as they come: they are evidence, and no lie of one sidecar
// makes a fault of the whole log. What an honest sidecar may send, however late, is taken.

const uid = 'uid-1';
const id = { namespace: 'ml', serviceAccount: 'default', uid };
const source = writeWorkloadId('cluster.local', id);
const hour = 3_600_000;

let recorder: TestRecorder;
let material: TlsMaterial;
let chain: TestChain;
beforeEach(async () => {
  recorder = await startRecorder();
  material = await recorder.identity(uid);
  chain = testChain();
});
afterEach(() => recorder.close());

/** Another authority, and this sidecar's certificate of it, as they were made some time ago. */
async function authorityOf(ago = 0): Promise<{ bundle: string; material: TlsMaterial }> {
  const now = Date.now() - ago;
  const clock = { now: () => now, monotonic: () => now } as never;
  const authority = createAuthority({ state: { current: await createAuthorityPair(clock), since: now }, clock });
  const { key, csr } = createKeyRequest();
  const cert = await authority.sign({ purpose: 'client', csr, uri: source });
  return { bundle: authority.bundle(), material: { cert, key } };
}
async function begun(as = material): Promise<RecordPeer> {
  const one = await recordPeer(recorder, as);
  one.say({ type: 'hello', version: 1, pod: { namespace: 'ml', name: 'llama-0', uid }, software: 'test' });
  await one.hear('welcome');
  one.say({ type: 'begin', chain: chain.name });
  await one.hear('position');
  return one;
}
const send = (to: RecordPeer, events: readonly AuditEvent[], at = Date.now()): void => {
  const first = chain.point().sequence + 1;
  to.say({ type: 'events', first, count: events.length }, chain.lines(events, at));
};
const signed = ({ key, cert }: TlsMaterial): AuditEvent =>
  signPoint(chain.name, chain.point(), createPrivateKey(key), cert);
/** Resolves when all that was sent is taken. */
const taken = async (by: RecordPeer): Promise<void> => {
  const { sequence } = chain.point();
  await until(
    () => by.heard.some((one) => one.type === 'ack' && one.sequence === sequence),
    `an acknowledgement of ${sequence}; told: ${recorder.told.join()}`,
  );
};
/** Everything, by a key of its own. */
async function verdict() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { size, root, at } = await recorder.store.log();
  const head = signHead({ size, root: Buffer.from(root).toString('hex'), at }, privateKey);
  const verifier = createLogVerifier({ publicKey, heads: [head] });
  for (const { index, text } of await recorder.store.entries(0, 1_000)) {
    verifier.entry(index, text);
    const lines = await recorder.store.blockLines(index);
    if (lines !== undefined) verifier.lines(index, Buffer.from(lines).toString());
  }
  return verifier.end();
}
const conflicts = async (): Promise<{ what: unknown; line: string }[]> => {
  const found = (await recorder.store.archivable(0, { entries: 1_000, bytes: 1 << 24 })).filter(({ text }) =>
    text.includes('"type":"conflict"'),
  );
  return found.map(({ text, data }) => ({
    what: (JSON.parse(text) as { what: unknown }).what,
    line: Buffer.from(data ?? []).toString(),
  }));
};

test.each<[string, string, () => Promise<{ events: readonly AuditEvent[]; at?: number }>]>([
  [
    'a signature by a certificate that it made itself',
    'signer',
    async () => ({ events: [signed((await authorityOf()).material)] }),
  ],
  [
    'a signature of now by a certificate that ended',
    'signer',
    async () => {
      const old = await authorityOf(48 * hour);
      await recorder.store.append([{ entry: { type: 'authorities', at: 0, bundle: old.bundle } }]);
      return { events: [signed(old.material)] };
    },
  ],
  [
    'a line that is dated before the one before it',
    'back_dated',
    () => Promise.resolve({ events: sessionEvents({ id: sessionId(2) }), at: Date.now() - hour }),
  ],
])('%s: kept as evidence, and no fault of the log', async (_, what, lie) => {
  const one = await begun();
  send(one, sessionEvents({ id: sessionId(1) }));
  await taken(one);
  const { sequence } = chain.point();
  const { events, at } = await lie();
  send(one, events, at);
  expect(await one.hear('goodbye')).toMatchObject({ reason: 'conflict' });
  expect(recorder.told).toContain(`conflict ${what}`);
  const [kept, ...more] = await conflicts();
  expect([kept?.what, more]).toEqual([what, []]);
  expect(kept?.line).toContain(`"seq":${sequence + 1},`);
  expect(await recorder.store.position(source, chain.name)).toMatchObject({ sequence });
  expect(await verdict()).toMatchObject({ ok: true, conflicts: 1, lies: [], lines: 3 });
});

test('how late a chain stands is known over streams and recorders: it is not dated back between them', async () => {
  const one = await begun();
  const now = Date.now();
  send(one, sessionEvents({ id: sessionId(1) }), now);
  // Less than clocks of one node may differ by; and again, from there.
  for (let step = 1; step <= 3; step++) {
    send(one, sessionEvents({ id: sessionId(1 + step) }), now - step * 60_000);
    await taken(one);
  }
  one.socket.destroy();
  await recorder.restart();
  const two = await begun();
  send(two, sessionEvents({ id: sessionId(9) }), now - 6 * 60_000);
  expect(await two.hear('goodbye')).toMatchObject({ reason: 'conflict' });
  expect(recorder.told).toContain('conflict back_dated');
  expect(await verdict()).toMatchObject({ ok: true, lies: [], lines: 12 });
});

test('a clock that steps back, a process that begins anew and lines that are lost may be followed by earlier times', async () => {
  const one = await begun();
  const now = Date.now();
  send(one, sessionEvents({ id: sessionId(1) }), now);
  send(one, [{ type: 'process', what: 'clock_step', amount: -hour }], now - hour);
  send(one, sessionEvents({ id: sessionId(2) }), now - hour);
  send(one, [{ type: 'process', what: 'start' }], now - 3 * hour);
  send(one, sessionEvents({ id: sessionId(3) }), now - 3 * hour);
  await taken(one);
  const from = chain.point().sequence + 1;
  chain.lines(sessionEvents({ id: sessionId(4) }), now - 3 * hour);
  const { sequence: to, hash } = chain.point();
  one.say({ type: 'skip', from, to, hash, why: 'missing' });
  send(one, sessionEvents({ id: sessionId(5) }), now - 5 * hour);
  await taken(one);
  one.socket.destroy();
  await recorder.restart();
  const two = await begun();
  send(two, sessionEvents({ id: sessionId(6) }), now - 5 * hour);
  await taken(two);
  expect(await verdict()).toMatchObject({ ok: true, lies: [], conflicts: 0 });
});

test('a spool of days ago is taken, with the signatures of then, by an authority that is gone', async () => {
  const ago = 72 * hour;
  const old = await authorityOf(ago);
  await recorder.store.append([{ entry: { type: 'authorities', at: Date.now() - ago, bundle: old.bundle } }]);
  const one = await begun();
  const then = Date.now() - ago + hour;
  send(one, sessionEvents({ id: sessionId(1) }), then);
  send(one, [signed(old.material)], then);
  send(one, sessionEvents({ id: sessionId(2) }));
  send(one, [signed(material)]);
  await taken(one);
  expect(await verdict()).toMatchObject({ ok: true, lies: [], conflicts: 0, signedLines: 7 });
});

test('an authority is in the log before the first that it has signed', async () => {
  const one = await begun();
  send(one, sessionEvents({ id: sessionId(1) }));
  send(one, [signed(material)]);
  send(one, sessionEvents({ id: sessionId(2) }));
  send(one, [signed(material)]);
  await taken(one);
  const types = (await recorder.store.entries(0, 100)).map(({ text }) => /"type":"([a-z]+)"/.exec(text)?.[1]);
  expect(types.filter((type) => type === 'authorities')).toHaveLength(1);
  expect(await verdict()).toMatchObject({ ok: true, lies: [], signedLines: 7 });
});

test('a certificate from a time that this recorder’s clock has not reached is no lie: what it signed comes again', async () => {
  const other = await authorityOf(-hour);
  await recorder.store.append([{ entry: { type: 'authorities', at: 0, bundle: other.bundle } }]);
  const one = await begun();
  send(one, [signed(other.material)]);
  expect(await one.hear('goodbye')).toMatchObject({ reason: 'unavailable' });
  expect(recorder.told).toContain('refused signer');
  expect(await conflicts()).toEqual([]);
});
