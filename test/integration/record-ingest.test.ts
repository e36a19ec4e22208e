import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createPrivateKey } from 'node:crypto';
import type { TlsMaterial } from '../../pkg/pki/index.ts';
import { systemClock } from '../../pkg/base/index.ts';
import { namedStart, signPoint } from '../../pkg/record/index.ts';
import { sessionEvents, sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import type { TestChain } from '../../pkg/recorder/testing/chains.ts';
import { StoreError } from '../../pkg/recorder/store/store-error.ts';
import type { RecordUpMessage } from '../../pkg/wire/index.ts';
import { recordPeer } from '../support/record-peer.ts';
import type { RecordPeer } from '../support/record-peer.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';

// A sidecar that is written out by hand, so that it can lie: what the recorder takes, refuses and keeps.

const uid = 'uid-1';
const source = `spiffe://cluster.local/ns/ml/sa/default/pod/${uid}`;
const hello: RecordUpMessage = {
  type: 'hello',
  version: 1,
  pod: { namespace: 'ml', name: 'llama-0', uid },
  software: 'test',
};

let recorder: TestRecorder;
let material: TlsMaterial;
beforeEach(async () => {
  recorder = await startRecorder();
  material = await recorder.identity(uid);
});
afterEach(() => recorder.close());

const peer = (as = material): Promise<RecordPeer> => recordPeer(recorder, as);

async function begun(chain: TestChain): Promise<RecordPeer> {
  const one = await peer();
  one.say(hello);
  await one.hear('welcome');
  one.say({ type: 'begin', chain: chain.name });
  await one.hear('position');
  return one;
}
const batch = (chain: TestChain, n: number) => {
  const { sequence } = chain.point();
  const lines = chain.lines(sessionEvents({ id: sessionId(n) }));
  return { message: { type: 'events', first: sequence + 1, count: 3 } as const, lines };
};
const send = (to: RecordPeer, { message, lines }: ReturnType<typeof batch>): void => to.say(message, lines);
const sessions = async (): Promise<number> => (await recorder.store.search({ limit: 1_000 })).sessions.length;
const entryTypes = async (): Promise<(string | undefined)[]> =>
  (await recorder.store.entries(0, 100)).map(({ text }) => /"type":"([a-z]+)"/.exec(text)?.[1]);

describe('a sidecar’s record', () => {
  test('begins at nothing, is acknowledged when it is stored, and goes on where it was', async () => {
    const chain = testChain();
    const one = await peer();
    one.say(hello);
    expect(await one.hear('welcome')).toMatchObject({ version: 1 });
    one.say({ type: 'begin', chain: chain.name });
    expect(await one.hear('position')).toMatchObject({ sequence: 0, hash: namedStart(chain.name).hash });
    send(one, batch(chain, 1));
    expect(await one.hear('ack')).toEqual({ type: 'ack', chain: chain.name, ...chain.point() });
    expect(await recorder.store.position(source, chain.name)).toMatchObject(chain.point());
    one.socket.destroy();
    await recorder.restart();
    const two = await peer();
    two.say(hello);
    two.say({ type: 'begin', chain: chain.name });
    expect(await two.hear('position')).toMatchObject(chain.point());
    send(two, batch(chain, 2));
    expect(await two.hear('ack')).toMatchObject(chain.point());
    expect(await sessions()).toBe(2);
  });

  test('is taken with signatures of the same pod from before the trust domain changed', async () => {
    const chain = testChain();
    const before = await recorder.identity(uid, { trustDomain: 'old.example' });
    const one = await begun(chain);
    send(one, batch(chain, 1));
    const lines = chain.lines([signPoint(chain.name, chain.point(), createPrivateKey(before.key), before.cert)]);
    one.say({ type: 'events', first: chain.point().sequence, count: 1 }, lines);
    await until(() =>
      one.heard.some((message) => message.type === 'ack' && message.sequence === chain.point().sequence),
    );
    expect(one.closed()).toBe(false);
  });

  test('of a pod that was wrongly said to be gone: it is not, once its sidecar is there again', async () => {
    const chain = testChain();
    const one = await begun(chain);
    send(one, batch(chain, 1));
    await one.hear('ack');
    one.socket.destroy();
    await recorder.store.learn({ heads: [], gone: [{ source, at: Date.now() }] }, Date.now());
    expect(await recorder.store.presentSources()).toEqual([]);
    await begun(chain);
    expect(await recorder.store.presentSources()).toEqual([source]);
  });

  test('that comes again is acknowledged again and stored once, whole or in part', async () => {
    const chain = testChain();
    const one = await begun(chain);
    const [first, second] = [batch(chain, 1), batch(chain, 2)];
    send(one, first);
    await one.hear('ack');
    send(one, first);
    await one.hear('ack');
    one.say({ type: 'events', first: 1, count: 6 }, Buffer.concat([first.lines, second.lines]));
    expect(await one.hear('ack')).toMatchObject(chain.point());
    expect(await sessions()).toBe(2);
    expect(recorder.counts.duplicates).toBe(6);
    expect(await entryTypes()).toEqual(['block', 'block']);
  });

  test('keeps its holes, and says them for ever', async () => {
    const chain = testChain();
    const one = await begun(chain);
    batch(chain, 1);
    const { sequence, hash } = chain.point();
    one.say({ type: 'skip', from: 1, to: sequence, hash, why: 'missing' });
    await one.hear('ack');
    send(one, batch(chain, 2));
    expect(await one.hear('ack')).toMatchObject(chain.point());
    expect(await entryTypes()).toEqual(['hole', 'block']);
    expect(recorder.counts.holes).toBe(3);
  });

  test('that has hole upon hole is some entries, whatever stands between them', async () => {
    await recorder.close();
    recorder = await startRecorder({ limits: { holes: 2 } });
    material = await recorder.identity(uid);
    const chain = testChain();
    const one = await begun(chain);
    const skip = (n: number): void => {
      const from = chain.point().sequence + 1;
      batch(chain, n);
      const { sequence, hash } = chain.point();
      one.say({ type: 'skip', from, to: sequence, hash, why: 'missing' });
    };
    for (let n = 1; n <= 50; n++) skip(n);
    const { sequence } = chain.point();
    send(one, batch(chain, 51));
    await until(() => one.heard.some((message) => message.type === 'ack' && message.sequence === 6));
    // A turn and a half of the server's clock: what waits goes on waiting, and nothing behind it goes ahead.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await entryTypes()).toEqual(['hole', 'hole']);
    expect(await recorder.store.position(source, chain.name)).toMatchObject({ sequence: 6 });
    expect(one.closed()).toBe(false);
    // It comes again, to a recorder that has turns for it.
    one.socket.destroy();
    await recorder.restart();
    const two = await begun(chain);
    two.say({ type: 'skip', from: 7, to: sequence, hash: 'ab'.repeat(32), why: 'missing' });
    expect(await two.hear('ack')).toMatchObject({ sequence });
    expect(await entryTypes()).toEqual(['hole', 'hole', 'hole']);
    expect(recorder.counts.holes).toBe(sequence);
  });

  test('moves to a new stream of the same pod, and nothing comes double', async () => {
    const chain = testChain();
    const one = await begun(chain);
    send(one, batch(chain, 1));
    await one.hear('ack');
    const two = await begun(chain);
    expect(await one.hear('goodbye')).toMatchObject({ reason: 'replaced' });
    send(two, batch(chain, 2));
    expect(await two.hear('ack')).toMatchObject(chain.point());
    expect(await sessions()).toBe(2);
  });
});

describe('a sidecar that lies', () => {
  test.each<[string, (chain: TestChain, to: RecordPeer) => void, string]>([
    [
      'changes a line that is stored',
      (chain, to) => {
        const { lines } = batch(testChain(), 7);
        void chain;
        to.say({ type: 'events', first: 1, count: 3 }, lines);
      },
      'other_content',
    ],
    [
      'changes a line on its way',
      (chain, to) => {
        const { message, lines } = batch(chain, 2);
        to.say(message, Buffer.from(lines.toString().replace('"hi"', '"ho"')));
      },
      'changed',
    ],
    [
      'leaves lines out and does not say so',
      (chain, to) => {
        batch(chain, 2);
        send(to, batch(chain, 3));
      },
      'out_of_order',
    ],
    [
      'goes on with another chain under the same name',
      (_chain, to) => {
        const other = testChain();
        other.lines(sessionEvents({ id: sessionId(8) }));
        send(to, batch(other, 9));
      },
      'not_linked',
    ],
    [
      'signs with a key that is not its own',
      (chain, to) => {
        const { sequence, hash } = chain.point();
        const lines = chain.lines([
          { type: 'signature', chain: chain.name, sequence, over: hash, certificate: 'AAAA', value: 'AAAA' },
        ]);
        to.say({ type: 'events', first: sequence + 1, count: 1 }, lines);
      },
      'signature',
    ],
    [
      'signs another line than it names',
      (chain, to) => {
        const { sequence } = chain.point();
        const point = { sequence, hash: 'a'.repeat(64) };
        const lines = chain.lines([signPoint(chain.name, point, createPrivateKey(material.key), material.cert)]);
        to.say({ type: 'events', first: sequence + 1, count: 1 }, lines);
      },
      'signature',
    ],
    [
      'says what controllers decided',
      (chain, to) => {
        const { sequence } = chain.point();
        const session = sessionId('decided');
        const lines = chain.lines([
          { type: 'change', session, what: 'approval', step: 'approved', name: 'ml/x', caller: null },
        ]);
        to.say({ type: 'events', first: sequence + 1, count: 1 }, lines);
      },
      'foreign_change',
    ],
  ])('%s: kept as evidence, nothing is overwritten', async (_, lie, kind) => {
    const chain = testChain();
    const one = await begun(chain);
    send(one, batch(chain, 1));
    await one.hear('ack');
    const stands = chain.point();
    lie(chain, one);
    expect(await one.hear('goodbye')).toMatchObject({ reason: 'conflict' });
    expect(recorder.told).toContain(`conflict ${kind}`);
    expect(await entryTypes()).toEqual(['block', 'conflict']);
    expect(await recorder.store.position(source, chain.name)).toMatchObject(stands);
    expect(await sessions()).toBe(1);
    await until(one.closed, 'the end of the stream');
    // Again and again the same: one entry is enough.
    const chain2 = testChain();
    batch(chain2, 1);
    const two = await begun(chain2);
    two.say({ type: 'events', first: 1, count: 3 }, batch(testChain(), 7).lines);
    await two.hear('goodbye');
    const three = await begun(chain2);
    three.say({ type: 'events', first: 1, count: 3 }, batch(testChain(), 7).lines);
    await three.hear('goodbye');
    expect((await entryTypes()).length).toBeLessThanOrEqual(3);
  });

  test('what the disk did not take is no evidence yet: it is kept when it comes again', async () => {
    let failing = false;
    const faulty = await startRecorder({
      append: (store) => (additions) =>
        failing ? Promise.reject(new StoreError('unavailable', 'full')) : store.append(additions),
    });
    await recorder.close();
    recorder = faulty;
    material = await recorder.identity(uid);
    const chain = testChain();
    const one = await begun(chain);
    send(one, batch(chain, 1));
    await one.hear('ack');
    for (failing of [true, false]) {
      const liar = await begun(chain);
      liar.say({ type: 'events', first: 1, count: 3 }, batch(testChain(), 7).lines);
      await liar.hear('goodbye');
      await until(liar.closed, 'the end of the stream');
    }
    expect(await entryTypes()).toEqual(['block', 'conflict']);
  });

  test('more often than its lines are kept: each is counted, and no line of it is stored', async () => {
    const chain = testChain();
    for (let n = 1; n <= 40; n++) {
      const liar = await begun(chain);
      liar.say({ type: 'events', first: 1, count: 3 }, batch(testChain(`lie ${n}`), n).lines);
      expect(await liar.hear('goodbye')).toMatchObject({ reason: 'conflict' });
      await until(liar.closed, 'the end of the stream');
    }
    await recorder.restart();
    const entries = await recorder.store.entries(0, 100);
    const more = entries.map(({ text }) => Number(/"more":([0-9]+)/.exec(text)?.[1] ?? 0));
    expect([new Set(await entryTypes()), entries.length]).toEqual([new Set(['conflict']), 34]);
    expect(more.reduce((sum, one) => sum + 1 + one, 0)).toBe(40);
  });

  test.each([
    ['begins chains without end', false],
    ['begins chains without end, each of which it told the controller of before', true],
  ])('%s: it has to wait, and goes on with those that it has', async (_, told) => {
    await recorder.close();
    recorder = await startRecorder({ limits: { newChains: 3 } });
    material = await recorder.identity(uid);
    const chains = Array.from({ length: 4 }, (_, n) => testChain(`chain ${n}`));
    const head = { source: `spiffe://cluster.local/ns/ml/sa/default/pod/${uid}`, namespace: 'ml', pod: 'llama-0' };
    if (told)
      await recorder.store.learn(
        { heads: chains.map(({ name }) => ({ ...head, chain: name, sequence: 3, hash: 'a'.repeat(64) })), gone: [] },
        systemClock.now(),
      );
    for (const chain of chains.slice(0, 3)) {
      const one = await begun(chain);
      send(one, batch(chain, 1));
      await one.hear('ack');
    }
    const one = await peer();
    one.say(hello);
    one.say({ type: 'begin', chain: chains[3]?.name ?? '' });
    expect(await one.hear('goodbye')).toMatchObject({ reason: 'unavailable' });
    expect(recorder.told).toContain('refused chains');
    const known = chains[0] ?? testChain();
    const two = await begun(known);
    send(two, batch(known, 2));
    expect(await two.hear('ack')).toMatchObject(known.point());
  });

  test('sends line by line: each is an entry at first, then as many as in a time, and none is lost', async () => {
    await recorder.close();
    recorder = await startRecorder({ limits: { smallBatches: 2 } });
    material = await recorder.identity(uid);
    const chain = testChain();
    const one = await begun(chain);
    const began = performance.now();
    for (let n = 1; n <= 24; n++) send(one, batch(chain, n));
    await until(async () => (await entryTypes()).length >= 20);
    const entries = (await entryTypes()).length;
    // Twenty at once, and two a second.
    expect(entries).toBeLessThanOrEqual(20 + Math.floor(((performance.now() - began) / 1_000) * 2));
    await until(() => one.heard.some((message) => message.type === 'ack' && message.sequence === 72));
    expect(performance.now() - began).toBeGreaterThan(1_900);
    expect([one.closed(), await sessions()]).toEqual([false, 24]);
  });

  test('says that it is another pod: refused', async () => {
    const one = await peer();
    one.say({ ...hello, pod: { namespace: 'ml', name: 'llama-0', uid: 'uid-2' } } as RecordUpMessage);
    expect(await one.hear('goodbye')).toMatchObject({ reason: 'identity' });
    const two = await peer();
    two.say({ ...hello, pod: { namespace: 'other', name: 'llama-0', uid } } as RecordUpMessage);
    expect(await two.hear('goodbye')).toMatchObject({ reason: 'identity' });
  });

  test.each<[string, (to: RecordPeer) => void]>([
    ['speaks before hello', (to) => to.say({ type: 'begin', chain: 'a'.repeat(32) })],
    [
      'sends events before it has begun',
      (to) => {
        to.say(hello);
        send(to, batch(testChain(), 1));
      },
    ],
    [
      'says other counts than it sends',
      (to) => {
        const chain = testChain();
        to.say(hello);
        to.say({ type: 'begin', chain: chain.name });
        to.say({ type: 'events', first: 1, count: 2 }, batch(chain, 1).lines);
      },
    ],
    [
      'sends a frame that is too long',
      (to) => {
        const head = Buffer.alloc(4);
        head.writeUInt32BE(0x7fffffff);
        to.socket.write(head);
      },
    ],
    ['sends no JSON', (to) => to.socket.write(Buffer.from([0, 0, 0, 3, 0x7b, 0x0a, 0x0a]))],
    [
      'skips backwards',
      (to) => {
        const chain = testChain();
        to.say(hello);
        to.say({ type: 'begin', chain: chain.name });
        to.say({ type: 'skip', from: 5, to: 2, hash: 'a'.repeat(64), why: 'missing' });
      },
    ],
  ])('%s: goodbye, and nothing is stored', async (_, act) => {
    const one = await peer();
    act(one);
    expect(await one.hear('goodbye')).toMatchObject({ reason: 'protocol' });
    await until(one.closed, 'the end of the stream');
    expect(await entryTypes()).toEqual([]);
  });

  test('is known by an identity certificate of our authority alone', async () => {
    await expect(peer(await recorder.identity(uid, { purpose: 'server' }))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    const other = await startRecorder();
    try {
      await expect(peer(await other.identity(uid))).rejects.toMatchObject({ code: 'unauthenticated' });
    } finally {
      await other.close();
    }
    expect(recorder.told).toEqual(['refused certificate', 'refused certificate']);
  });
});
