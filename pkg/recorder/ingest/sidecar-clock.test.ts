import { expect, test } from '@jest/globals';
import { duplexPair } from 'node:stream';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { createSignatureReader } from '../../record/index.ts';
import { encodeRecordFrame, recordProtocolVersion } from '../../wire/index.ts';
import { sessionEvents, sessionId, testChain } from '../testing/chains.ts';
import type { Committer } from './committer.ts';
import { createFrameBudget } from './frame-budget.ts';
import { silentObserver } from './observer.ts';
import { createSidecarStream } from './sidecar-stream.ts';

const minute = 60_000;

/** @param pieces Of lines: how long after the one before, and how far off their time is. @returns how many were told of a wrong clock */
async function told(pieces: readonly { readonly afterMs: number; readonly offMs: number }[]): Promise<number> {
  const clock = fakeClock();
  const [socket, peer] = duplexPair();
  const waited = Promise.withResolvers<void>();
  let [wrong, received] = [0, 0];
  let arrived = waited;
  const committer: Committer = {
    add: () => Promise.resolve(),
    waiting: 0,
    full: false,
    whenRoom: () => Promise.resolve(),
    settled: () => Promise.resolve(),
  };
  createSidecarStream({
    socket,
    source: 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1',
    namespace: 'ml',
    uid: 'uid-1',
    store: { position: () => Promise.resolve(undefined), lineHash: () => Promise.resolve(undefined) },
    committer,
    clock,
    logger: silentLogger,
    observer: {
      ...silentObserver,
      received: () => void received++,
      clockWrong: () => void wrong++,
    },
    isOwn: () => true,
    limits: { heartbeatMs: 5_000, missedBeats: 3, maxAgeMs: 3_600_000, handshakeMs: 5_000, frameMs: 30_000 },
    frames: createFrameBudget({ clock }),
    isController: false,
    mayTake: () => true,
    mayBegin: () => true,
    mayHole: () => true,
    maySmall: () => true,
    mayVerify: () => true,
    mayLookUp: () => true,
    signers: { read: createSignatureReader(), judge: () => Promise.resolve('good') },
    keepEvidence: () => Promise.resolve(),
    onHello: () => Promise.resolve(),
    onClosed: () => undefined,
  });
  let acks = 0;
  let text = '';
  peer.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const now = text.split('"ack"').length - 1;
    if (now > acks) {
      acks = now;
      arrived.resolve();
    }
  });
  const chain = testChain();
  peer.write(
    encodeRecordFrame({
      type: 'hello',
      version: recordProtocolVersion,
      pod: { namespace: 'ml', name: 'llama-0', uid: 'uid-1' },
      software: 'test',
    }),
  );
  peer.write(encodeRecordFrame({ type: 'begin', chain: chain.name }));
  for (const [at, { afterMs, offMs }] of pieces.entries()) {
    clock.advance(afterMs);
    const first = chain.point().sequence + 1;
    const events = sessionEvents({ id: sessionId(at) });
    const lines = chain.lines(events, clock.now() + offMs);
    arrived = Promise.withResolvers<void>();
    peer.write(encodeRecordFrame({ type: 'events', first, count: events.length }, lines));
    await arrived.promise;
  }
  expect(received).toBe(pieces.length);
  peer.destroy();
  socket.destroy();
  return wrong;
}

test.each<[string, readonly { readonly afterMs: number; readonly offMs: number }[], number]>([
  [
    'that is right',
    [
      { afterMs: 0, offMs: 0 },
      { afterMs: 10_000, offMs: -minute },
    ],
    0,
  ],
  ['that is ahead', [{ afterMs: 0, offMs: 6 * minute }], 1],
  [
    'that is always behind',
    [
      { afterMs: 0, offMs: -60 * minute },
      { afterMs: 10_000, offMs: -60 * minute },
      { afterMs: 10_000, offMs: -60 * minute },
    ],
    2,
  ],
  [
    'that is right, of lines that waited',
    [
      { afterMs: 0, offMs: -60 * minute },
      { afterMs: 100, offMs: -50 * minute },
      { afterMs: 100, offMs: 0 },
    ],
    0,
  ],
])('of a clock %s is told', async (_, pieces, wrong) => {
  expect(await told(pieces)).toBe(wrong);
});
