import { expect, test } from '@jest/globals';
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { duplexPair } from 'node:stream';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { until } from '../../../test/support/wait.ts';
import { silentLogger, systemClock } from '../../base/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../pki/index.ts';
import { createSignatureReader, signPoint } from '../../record/index.ts';
import { encodeRecordFrame, recordProtocolVersion } from '../../wire/index.ts';
import type { Addition } from '../store/index.ts';
import { sessionEvents, sessionId, testChain } from '../testing/chains.ts';
import type { Committer } from './committer.ts';
import { createFrameBudget } from './frame-budget.ts';
import { silentObserver } from './observer.ts';
import { createSidecarStream } from './sidecar-stream.ts';

// Each batch is an entry of the log for ever: small ones have turns, and what has to wait is not lost.

function stream(
  maySmall: () => boolean,
  judged: () => void = () => undefined,
  mayVerify: () => boolean = () => true,
  mayLookUp: () => boolean = () => true,
) {
  const clock = fakeClock();
  const [socket, peer] = duplexPair();
  const added: Addition[] = [];
  const waits: string[] = [];
  let cut = 0;
  let lookedUp = 0;
  const committer: Committer = {
    add: (addition) => Promise.resolve(void added.push(addition)),
    waiting: 0,
    full: false,
    whenRoom: () => Promise.resolve(),
    settled: () => Promise.resolve(),
  };
  const one = createSidecarStream({
    socket,
    source: 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1',
    namespace: 'ml',
    uid: 'uid-1',
    store: { position: () => Promise.resolve(undefined), lineHash: () => Promise.resolve(void lookedUp++) },
    committer,
    clock,
    logger: silentLogger,
    observer: {
      ...silentObserver,
      waited: (why) => void waits.push(why),
      cut(facts) {
        cut += facts;
      },
    },
    isOwn: () => true,
    limits: { heartbeatMs: 5_000, missedBeats: 3, maxAgeMs: 3_600_000, handshakeMs: 5_000, frameMs: 30_000 },
    frames: createFrameBudget({ clock }),
    isController: false,
    mayTake: () => true,
    mayBegin: () => true,
    mayHole: () => true,
    maySmall,
    mayVerify,
    mayLookUp,
    signers: {
      read: createSignatureReader(),
      judge: () => {
        judged();
        return Promise.resolve('good');
      },
    },
    keepEvidence: () => Promise.resolve(),
    onHello: () => Promise.resolve(),
    onClosed: () => undefined,
  });
  peer.resume();
  const pod = { namespace: 'ml', name: 'llama-0', uid: 'uid-1' };
  peer.write(encodeRecordFrame({ type: 'hello', version: recordProtocolVersion, pod, software: 'test' }));
  const chain = testChain();
  peer.write(encodeRecordFrame({ type: 'begin', chain: chain.name }));
  return {
    clock,
    one,
    socket,
    peer,
    waits,
    lookedUp: () => lookedUp,
    cut: () => cut,
    /** Ends of sessions in which a thousand rules acted that no policy has, in one batch. */
    lie(count: number) {
      const first = chain.point().sequence + 1;
      const lines = Array.from({ length: count }, (_, n) => {
        const rules = Array.from({ length: 1_000 }, (_, rule) => ({ rule: `a/${n}-${rule}`, act: 'flagged' as const }));
        const end = sessionEvents({ id: sessionId(`lie ${n}`) }).at(-1);
        return chain.lines(end?.type === 'end' ? [{ ...end, rules }] : [], clock.now());
      });
      peer.write(encodeRecordFrame({ type: 'events', first, count }, Buffer.concat(lines)));
    },
    /** First and last line of each entry. */
    entries: () => added.map(({ entry }) => (entry.type === 'block' ? `${entry.first}-${entry.last}` : entry.type)),
    /** That many signatures, each over the line before it, in one batch. */
    sign(count: number, key: KeyObject, certificate: string) {
      const first = chain.point().sequence + 1;
      const lines = Array.from({ length: count }, () =>
        chain.lines([signPoint(chain.name, chain.point(), key, certificate)], clock.now()),
      );
      peer.write(encodeRecordFrame({ type: 'events', first, count }, Buffer.concat(lines)));
    },
    /** That many signatures over the first line. */
    signFirst(count: number, key: KeyObject, certificate: string) {
      const first = chain.point().sequence + 1;
      const over = { sequence: 1, hash: 'a'.repeat(64) };
      const events = Array.from({ length: count }, () => signPoint(chain.name, over, key, certificate));
      peer.write(encodeRecordFrame({ type: 'events', first, count }, chain.lines(events, clock.now())));
    },
    send(id: number, ask?: string) {
      const first = chain.point().sequence + 1;
      const lines = chain.lines(sessionEvents({ id: sessionId(id), ...(ask !== undefined && { ask }) }), clock.now());
      peer.write(encodeRecordFrame({ type: 'events', first, count: 3 }, lines));
    },
  };
}
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const uri = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
async function signing(): Promise<{ readonly key: KeyObject; readonly cert: string }> {
  const clock = systemClock;
  const authority = createAuthority({
    state: { current: await createAuthorityPair(clock), since: clock.now() },
    clock,
  });
  const { key, csr } = createKeyRequest();
  return { key: createPrivateKey(key), cert: await authority.sign({ purpose: 'client', csr, uri }) };
}

test('a small batch waits for its turn, and so does what is behind it; nothing is lost', async () => {
  let turns = 2;
  const { clock, entries, send, peer } = stream(() => turns-- > 0);
  for (let id = 1; id <= 4; id++) send(id);
  send(5, 'x'.repeat(20_000));
  await until(() => entries().length === 2);
  await clock.advanceAsync(10_000);
  await settled();
  expect(entries()).toEqual(['1-3', '4-6']);
  turns = 1;
  await clock.advanceAsync(50);
  await until(() => entries().length === 3);
  turns = 1;
  await clock.advanceAsync(50);
  // Large ones take no turn.
  await until(() => entries().length === 5);
  expect(entries()).toEqual(['1-3', '4-6', '7-9', '10-12', '13-15']);
  peer.destroy();
});

test('a batch that says more of its sessions than its bytes give room for waits for the turn of a small one, and what is cut is counted', async () => {
  let turns = 1;
  const { clock, cut, entries, lie, peer, send, waits } = stream(() => turns-- > 0);
  lie(20);
  lie(20);
  send(1, 'x'.repeat(20_000));
  await until(() => waits.length === 1);
  await clock.advanceAsync(10_000);
  await settled();
  expect([entries(), waits]).toEqual([['1-20'], ['heavy']]);
  turns = 1;
  await clock.advanceAsync(50);
  await until(() => entries().length === 3);
  expect(entries()).toEqual(['1-20', '21-40', '41-43']);
  expect(cut()).toBeGreaterThan(20);
  peer.destroy();
});

test('a stream that ends while a batch waits stores nothing more, and is done', async () => {
  let turns = 1;
  const { clock, one, entries, send, socket } = stream(() => turns-- > 0);
  for (let id = 1; id <= 3; id++) send(id);
  await until(() => entries().length === 1);
  one.end('shutdown');
  turns = 10;
  await clock.advanceAsync(50);
  await settled();
  socket.destroy();
  await one.done;
  expect(entries()).toEqual(['1-3']);
});

test('of many signatures in one batch each has a turn of the event loop, and none is judged once the stream has ended', async () => {
  const { key, cert } = await signing();
  let turn = 0;
  let counting = true;
  const count = (): void => {
    turn++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const judgedAt: number[] = [];
  const whole = stream(
    () => true,
    () => void judgedAt.push(turn),
  );
  whole.sign(20, key, cert);
  await until(() => whole.entries().length === 1);
  counting = false;
  expect(judgedAt).toHaveLength(20);
  expect(new Set(judgedAt).size).toBe(20);
  whole.peer.destroy();

  let judged = 0;
  const ended = stream(
    () => true,
    () => {
      if (++judged === 3) ended.one.end('shutdown');
    },
  );
  ended.sign(20, key, cert);
  await until(() => judged === 3);
  await settled();
  ended.socket.destroy();
  await ended.one.done;
  expect([judged, ended.entries()]).toEqual([3, []]);
});

test('signatures beyond a sidecar’s turns wait, counted, and so does what is behind them; nothing is lost', async () => {
  const { key, cert } = await signing();
  let judged = 0;
  let turns = 10;
  const { clock, entries, peer, send, sign, waits } = stream(
    () => true,
    () => void judged++,
    () => turns-- > 0,
  );
  sign(25, key, cert);
  send(1);
  await until(() => waits.length === 1);
  await clock.advanceAsync(10_000);
  await settled();
  expect([judged, entries(), waits]).toEqual([10, [], ['signatures']]);
  turns = 10;
  await clock.advanceAsync(50);
  await until(() => waits.length === 2);
  expect([judged, entries()]).toEqual([20, []]);
  turns = 10;
  await clock.advanceAsync(50);
  await until(() => entries().length === 2);
  expect([judged, entries()]).toEqual([25, ['1-25', '26-28']]);
  peer.destroy();
});

test('a line that a signature names and that did not come with it is looked for in turns', async () => {
  const { key, cert } = await signing();
  let turns = 2;
  const { clock, entries, lookedUp, peer, send, sign, signFirst, waits } = stream(
    () => true,
    () => undefined,
    () => true,
    () => turns-- > 0,
  );
  send(1);
  // Each over the line before it: none is looked for.
  sign(5, key, cert);
  signFirst(5, key, cert);
  await until(() => waits.length === 1);
  expect([entries(), lookedUp(), waits]).toEqual([['1-3', '4-8'], 2, ['signatures']]);
  turns = 3;
  await clock.advanceAsync(50);
  await until(() => entries().length === 3);
  expect([entries().at(-1), lookedUp()]).toEqual(['9-13', 5]);
  peer.destroy();
});
