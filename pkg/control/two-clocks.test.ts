import { beforeEach, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import { governedSet } from '../../test/support/governed-set.ts';
import { silentLogger } from '../base/index.ts';
import { grantName } from '../crd/index.ts';
import type { KubeClient, KubeObject } from '../kube/index.ts';
import { approvalFact, approvalIndices } from './approvals/approval-fact.ts';
import { createApprovalWriter } from './approvals/approval-writer.ts';
import { createApprovalDesk } from './approvals/desk.ts';
import { grantFact, grantIndices } from './grants/grant-fact.ts';
import { startGrantKeeper } from './grants/index.ts';
import { fakeCache } from './testing/fake-state.ts';
import { createRevocations } from './tokens/index.ts';
import { createUsedAssertions } from './tokens/used-assertions.ts';
import { createClockWatch, createTwoClocks } from './two-clocks.ts';
import type { TwoClocks } from './two-clocks.ts';

// A clock that is wrong ends nothing for good.

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** The API server's clock goes on as time does; this machine's is stepped. */
let clock: FakeClock;
let clocks: TwoClocks;
beforeEach(() => {
  clock = fakeClock({ now: Date.UTC(2026, 0) });
  const offset = clock.now() - clock.monotonic();
  clocks = createTwoClocks(clock, () => clock.monotonic() + offset);
});
const from = (ms: number): string => new Date(Date.UTC(2026, 0) + ms).toISOString();

/** What is patched and deleted. */
function recording() {
  const phases: unknown[] = [];
  const removed: unknown[] = [];
  const client = {
    patch: (_resource: unknown, _ref: unknown, { body }: { readonly body: { readonly status?: KubeObject } }) => {
      if (body.status !== undefined) phases.push(body.status);
      return Promise.reject(new Error('nobody answers'));
    },
    delete: (_resource: unknown, { name }: { readonly name: string }) => Promise.resolve(void removed.push(name)),
  };
  return { phases, removed, client: client as unknown as KubeClient };
}

const spec = {
  issuer: 'https://idp.example',
  subject: 'ana',
  operations: ['Chat'],
  models: ['m'],
  requestedBy: 'eve',
};
const approvers = [{ kubernetesGroup: 'leads' }];

function keeping(more: object, status: object) {
  const cache = fakeCache(grantFact, grantIndices);
  const { client, phases, removed } = recording();
  const asked = { ...spec, ...more } as Parameters<typeof grantName>[0];
  const creationTimestamp = from(0);
  const metadata = { namespace: 'ml', name: grantName(asked), uid: 'u', resourceVersion: '7', creationTimestamp };
  cache.put({ metadata, spec: asked, status } as unknown as KubeObject);
  const keeper = startGrantKeeper({
    client,
    cache,
    clock,
    clocks,
    logger: silentLogger,
    events: { record: () => undefined },
    leading: () => true,
    setsOf: () => ('required' in status ? undefined : [governedSet('ml', { maxGrantMs: 2 * hour })]),
  });
  keeper.lead();
  return { phases, removed, keeper };
}
const last = (phases: readonly unknown[]) =>
  phases.at(-1) as { phase?: string; conditions?: { reason: string; lastTransitionTime: string }[] };

test.each(['Pending', 'Approved'])('a clock that is ahead ends no grant that is %s; both end it', async (phase) => {
  const { phases, keeper } = keeping({ expiresAt: from(hour) }, { phase, approvers, required: 1 });
  clock.step(3 * hour);
  await clock.advanceAsync(50 * minute);
  expect(phases).toEqual([]);
  await clock.advanceAsync(10 * minute + 200);
  expect(last(phases)).toEqual({ phase: 'Expired' });
  await keeper.close();
});

test('nor does one that is behind end it late', async () => {
  const { phases, keeper } = keeping({ expiresAt: from(hour) }, { phase: 'Approved', approvers, required: 1 });
  clock.step(-hour);
  await clock.advanceAsync(hour + minute);
  expect(phases).toEqual([]);
  clock.step(hour);
  await clock.advanceAsync(5_000);
  expect(last(phases)).toEqual({ phase: 'Expired' });
  await keeper.close();
});

test('a grant is too long by both clocks or by none', async () => {
  clock.step(-hour);
  const behind = keeping({ expiresAt: from(2 * hour) }, { phase: 'Pending' });
  await clock.advanceAsync(10);
  expect(last(behind.phases)).toMatchObject({ phase: 'Pending', conditions: [{ reason: 'ClocksDiffer' }] });
  await behind.keeper.close();
  clock.step(2 * hour);
  const ahead = keeping({ expiresAt: from(2 * hour + minute) }, { phase: 'Pending' });
  await clock.advanceAsync(10);
  expect(last(ahead.phases)).toMatchObject({ phase: 'Pending', conditions: [{ reason: 'ClocksDiffer' }] });
  await ahead.keeper.close();
  const long = keeping({ expiresAt: from(4 * hour) }, { phase: 'Pending' });
  await clock.advanceAsync(10);
  expect(last(long.phases)).toMatchObject({ phase: 'Cancelled', conditions: [{ reason: 'TooLong' }] });
  await long.keeper.close();
  // A second or two are none.
  clock.step(-hour - 2_000);
  const close = keeping({ expiresAt: from(2 * hour) }, { phase: 'Pending' });
  await clock.advanceAsync(10);
  // What it lasts is counted from the later of both, so that one of just maxGrant holds when it was approved.
  expect(last(close.phases)).toMatchObject({ phase: 'Pending', conditions: [{ reason: 'Asked' }] });
  const [said] = last(close.phases)?.conditions ?? [];
  expect(Date.parse(said?.lastTransitionTime ?? '')).toBeGreaterThan(clock.now());
  await close.keeper.close();
});

test('what is over is removed when it is so by both', async () => {
  const { removed, keeper } = keeping({ expiresAt: from(hour) }, { phase: 'Expired', approvers, required: 1 });
  clock.step(3 * day);
  await clock.advanceAsync(day);
  expect(removed).toEqual([]);
  await clock.advanceAsync(day);
  expect(removed).toHaveLength(1);
  await keeper.close();
});

const approvalSpec = {
  policies: [{ kind: 'InferencePolicy', name: 'p', uid: 'p', generation: 1 }],
  rules: ['ml/p/held'],
  direction: 'Request',
  requester: { provider: 'ml/p/corp', issuer: 'https://idp.example', subject: 'ana', kubernetesUser: 'ana' },
  operation: 'Chat',
  digest: 'd',
  approvers,
  required: 1,
  pod: { name: 'pod', uid: 'pod' },
};
const approvalOf = (status: object): KubeObject =>
  ({
    metadata: { namespace: 'ml', name: 'a-1', uid: 'a', resourceVersion: '7', creationTimestamp: from(0) },
    spec: { ...approvalSpec, expiresAt: from(hour) },
    status,
  }) as KubeObject;

test.each(['Pending', 'Approved'])('a clock that is ahead ends no approval that is %s; both end it', async (phase) => {
  const cache = fakeCache(approvalFact, approvalIndices);
  const { client, phases } = recording();
  cache.put(approvalOf({ phase }));
  const desk = createApprovalDesk({
    client,
    cache,
    clock,
    clocks,
    logger: silentLogger,
    events: { record: () => undefined },
    replica: 'r',
    seal: (digest) => digest,
    leading: () => true,
  });
  desk.lead();
  clock.step(3 * hour);
  await clock.advanceAsync(50 * minute);
  expect(phases).toEqual([]);
  await clock.advanceAsync(10 * minute + 200);
  expect(last(phases)).toEqual({ phase: 'Expired' });
  await desk.close();
});

test.each([
  ['ahead', 2 * hour, 0],
  ['behind', -2 * hour, hour + minute],
])('an approval that is over by one clock lets nobody through: this one is %s', async (_, step, passed) => {
  const object = approvalOf({ phase: 'Approved' });
  const written: unknown[] = [];
  const writer = createApprovalWriter({
    client: {
      find: () => Promise.resolve(object),
      patch: (...[, , { body }]: [unknown, unknown, { body: object }]) => Promise.resolve(void written.push(body)),
    } as unknown as KubeClient,
    clock,
    clocks,
    logger: silentLogger,
    events: { record: () => undefined },
    replica: 'r',
    onStep: () => undefined,
    onFact: () => undefined,
    onGone: () => undefined,
  });
  clock.step(step);
  await clock.advanceAsync(passed);
  expect(await writer.use('ml/a-1', { pod: 'pod', session: 's' })).toMatchObject({ phase: 'Approved' });
  expect(written).toEqual([]);
});

test('a revocation and a used assertion are not forgotten by one clock', async () => {
  const bodies: object[] = [];
  const removed: unknown[] = [];
  const entry = JSON.stringify({ issuer: 'https://idp', subject: 'eve', until: from(hour) });
  const list = { metadata: { name: 'sidegate-revocations', resourceVersion: '7' }, data: { one: entry } };
  const used = { metadata: { name: 'sidegate-used-1' }, data: { until: from(hour) } };
  const client = {
    page: ({ plural }: { plural: string }, { labelSelector }: { labelSelector?: string }) =>
      Promise.resolve({ plural, items: [labelSelector === undefined ? list : used], resourceVersion: '7' }),
    watch: (_: string, { signal }: { signal: AbortSignal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
    patch: (...[, , { body }]: [unknown, unknown, { body: object }]) => Promise.resolve(bodies.push(body)),
    delete: (_resource: unknown, { name }: { name: string }) => Promise.resolve(void removed.push(name)),
  } as unknown as KubeClient;
  const common = { client, logger: silentLogger, namespace: 'sidegate-system' };
  const revocations = createRevocations({ ...common, clock, clocks });
  const assertions = createUsedAssertions({ ...common, clock: { now: () => clocks.earliest() } });
  await revocations.sweep();
  const eve = { issuer: 'https://idp', subject: 'eve' };
  clock.step(3 * hour);
  await revocations.sweep();
  await assertions.sweep();
  expect([revocations.revokes(eve), bodies, removed]).toEqual([true, [], []]);
  await clock.advanceAsync(hour + 11 * minute);
  await revocations.sweep();
  await assertions.sweep();
  expect(revocations.revokes(eve)).toBe(false);
  expect([bodies, removed]).toEqual([[{ data: { one: null } }], ['sidegate-used-1']]);
  await revocations.stop();
});

test('where the API server does not tell its time, this machine’s counts', () => {
  const alone = createTwoClocks(clock);
  expect([alone.earliest(), alone.latest(), alone.aheadMs()]).toEqual([clock.now(), clock.now(), undefined]);
});

test('the log tells once that they disagree, and once that they agree again', () => {
  const lines: unknown[] = [];
  const log = (message: string, fields?: object): void => void lines.push([message.split(':')[0], fields]);
  const look = createClockWatch(clocks, { warn: log, info: log });
  look();
  clock.step(5_000);
  look();
  expect(lines).toEqual([]);
  clock.step(-12_000);
  look();
  look();
  clock.step(7_000);
  look();
  expect(lines).toEqual([
    ['this machine’s clock is not the API server’s', { aheadSeconds: -7 }],
    ['this machine’s clock and the API server’s agree again', { aheadSeconds: 0 }],
  ]);
});
