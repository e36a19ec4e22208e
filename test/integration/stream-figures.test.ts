import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createFigureBook } from '../../pkg/control/top/index.ts';
import type { FigureBook } from '../../pkg/control/top/index.ts';
import { policy } from '../../pkg/core/testing/policies.ts';
import type { Figures, UpMessage } from '../../pkg/wire/index.ts';
import { rawPeer, snapshotOf, streamWorld, until } from '../support/stream.ts';
import type { StreamWorld } from '../support/stream.ts';

// What sidecars say of their traffic, over the stream, until the controller knows it.

let world: StreamWorld;
let book: FigureBook;
const answer = { kind: 'snapshot', snapshot: snapshotOf([policy('p')]) } as const;
beforeAll(async () => {
  // The clock of the world is not there before the world is.
  world = await streamWorld({
    figures: { take: (pod, figures) => book.take(pod, figures), forget: (pod) => book.forget(pod) },
  });
  book = createFigureBook(world.clock);
});
afterAll(() => world.close());

const zero: Figures = {
  uptimeMs: 0,
  requests: 0,
  refused: 0,
  masked: 0,
  held: 0,
  live: 0,
  streams: 0,
  waiting: 0,
  generation: null,
  policyAgeMs: null,
};

test('are there when the stream is, follow each 5 s while they change, and go with the stream', async () => {
  const pod = world.pod();
  world.directory.answers.set(pod.uid, answer);
  const now = { ...zero, uptimeMs: 1_000, requests: 40, refused: 4 };
  const remote = world.sidecar(pod, { figures: () => ({ ...now }) });
  await until(() => book.of(pod.uid) !== undefined);
  expect(book.of(pod.uid)).toEqual({ ...now, recent: { ms: 0, requests: 0, refused: 0 }, ageMs: 0 });
  Object.assign(now, { uptimeMs: 6_000, requests: 50, refused: 6, waiting: 3, generation: 'x'.repeat(500) });
  world.clock.advance(5_000);
  await until(() => book.of(pod.uid)?.requests === 50);
  expect(book.of(pod.uid)).toMatchObject({
    waiting: 3,
    generation: 'x'.repeat(400),
    recent: { ms: 5_000, requests: 10, refused: 2 },
  });
  // Nothing new: it is said again with the third turn, one of which still has the rate of before.
  now.uptimeMs = 11_000;
  world.clock.advance(5_000);
  await until(() => book.of(pod.uid)?.uptimeMs === 11_000);
  for (const uptimeMs of [16_000, 21_000, 26_000]) {
    now.uptimeMs = uptimeMs;
    world.clock.advance(5_000);
  }
  await until(() => book.of(pod.uid)?.uptimeMs === 26_000);
  await remote.close();
  await until(() => book.of(pod.uid) === undefined);
});

test('a controller that does not know them leaves them aside, and a sidecar without them is served', async () => {
  const pod = world.pod();
  world.directory.answers.set(pod.uid, answer);
  const older = await world.replica(undefined, undefined, undefined);
  const peer = rawPeer(world, { from: pod.addresses[0]!, port: older.port, authorization: `Bearer ${pod.token}` });
  await peer.status;
  const { namespace, name, uid } = pod;
  peer.send({
    type: 'hello',
    version: 1,
    pod: { namespace, name, uid },
    portMap: {},
    capture: 'Redirect',
    software: 'older',
    holds: null,
    seen: {},
    audit: null,
    serving: null,
  });
  // A kind of message that this version does not know, marked as `figures` is.
  peer.send({ ...zero, type: 'figures-of-tomorrow', optional: true } as unknown as UpMessage);
  await until(() => peer.received.some(({ type }) => type === 'snapshot'));
  expect([peer.closed(), book.of(uid)]).toEqual([false, undefined]);
  peer.socket.destroy();
});

test.each([
  ['a negative count', { ...zero, requests: -1 }],
  ['a text where a number stands', { ...zero, live: 'many' }],
  ['a name without an end', { ...zero, generation: 'x'.repeat(401) }],
])('%s ends the stream', async (_what, figures) => {
  const pod = world.pod();
  const peer = rawPeer(world, { from: pod.addresses[0]!, authorization: `Bearer ${pod.token}` });
  await peer.status;
  const { namespace, name, uid } = pod;
  peer.send({
    type: 'hello',
    version: 1,
    pod: { namespace, name, uid },
    portMap: {},
    capture: 'Redirect',
    software: 'newer',
    holds: null,
    seen: {},
    audit: null,
    serving: null,
  });
  const recent = { ms: 0, requests: 0, refused: 0 };
  peer.send({ ...figures, recent, type: 'figures', optional: true } as UpMessage);
  await until(() => peer.closed());
  expect(peer.received).toContainEqual(expect.objectContaining({ type: 'goodbye', reason: 'protocol' }));
  expect(book.of(uid)).toBeUndefined();
});
