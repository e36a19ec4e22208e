import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { grantName } from '../../crd/index.ts';
import { approvalFact } from '../approvals/approval-fact.ts';
import { encodeFrame, isTaken } from '../../wire/index.ts';
import type { Change } from '../record/index.ts';
import { fakeCache } from '../testing/fake-state.ts';
import { governedSet } from '../../../test/support/governed-set.ts';
import { grantFact, grantIndices } from './grant-fact.ts';
import { createGrantFeed } from './grant-feed.ts';
import { startGrantKeeper } from './grant-keeper.ts';
import { recordGrants } from './grant-record.ts';

const spec = {
  issuer: 'https://idp.example',
  subject: 'ana',
  operations: ['Chat'],
  models: ['m'],
  requestedBy: 'eve',
  expiresAt: '2026-01-01T08:00:00Z',
};
const metadata = { namespace: 'ml', name: 'g', uid: 'u', resourceVersion: '7', finalizers: ['eve.example/keep'] };
const deleted = { ...metadata, resourceVersion: '8', deletionTimestamp: '2026-01-01T00:00:00Z' };
const vote = { user: 'lea', decision: 'Approve', at: '2026-01-01T00:00:00Z' };
const byToken = {
  caller: { issuer: 'https://idp.example', subject: 'bob', proof: 'x', from: '192.0.2.7' },
  decision: 'Approve',
  at: '2026-01-01T00:00:01Z',
};
const asked = { type: 'Decidable', status: 'True', lastTransitionTime: '2026-01-01T07:30:00Z' };
const approvers = [{ kubernetesGroup: 'ml-leads' }];
const approved = { phase: 'Approved', approvers, required: 1, decisions: [vote, byToken], conditions: [asked] };

test('a grant that was deleted is withdrawn at once, also where its finalizers keep the object', async () => {
  const clock = fakeClock();
  const cache = fakeCache(grantFact, grantIndices);
  const writes: unknown[] = [];
  const steps: string[] = [];
  const changes: Change[] = [];
  const keeper = startGrantKeeper({
    client: {
      patch: (...args: unknown[]) => Promise.resolve(void writes.push(args.slice(2))),
      delete: () => Promise.reject(new Error('nothing is removed here')),
    } as unknown as Pick<KubeClient, 'patch' | 'delete'>,
    cache,
    clock,
    logger: silentLogger,
    events: { record: () => undefined },
    leading: () => true,
    setsOf: () => [],
    onStep: (step) => steps.push(step),
  });
  const stopRecord = recordGrants({
    cache,
    now: () => clock.now(),
    logger: silentLogger,
    changers: {
      gone:
        ({ uid, resourceVersion }) =>
        () =>
          Promise.resolve(`who took ${uid}@${resourceVersion}`),
    },
    changes: {
      seen: (change, more) =>
        void (more?.() ?? Promise.resolve({})).then((found) => changes.push({ ...change, ...found })),
    },
  });
  await clock.advanceAsync(10);
  const feed = createGrantFeed({ cache, clock, podOf: () => ({ labels: {}, set: governedSet('ml', {}) }) });
  const told: string[] = [];
  feed.subscribe((namespace) => told.push(namespace));
  const given = () => feed.grants({ namespace: 'ml', name: 'p', uid: 'p' })?.map(({ name }) => name);
  cache.put({ metadata, spec, status: approved });
  await clock.advanceAsync(10);
  expect([given(), told, writes]).toEqual([['g'], ['ml'], []]);

  cache.put({ metadata: deleted, spec, status: approved });
  await clock.advanceAsync(10);
  expect([given(), told]).toEqual([[], ['ml', 'ml']]);
  expect(writes).toEqual([
    [
      { type: 'merge', body: { metadata: { resourceVersion: '8', uid: 'u' }, status: { phase: 'Cancelled' } } },
      'status',
    ],
  ]);
  cache.put({ metadata: { ...deleted, resourceVersion: '9' }, spec, status: { ...approved, phase: 'Cancelled' } });
  cache.remove('ml/g');
  await clock.advanceAsync(10);
  expect([steps, writes.length]).toEqual([['cancelled'], 1]);
  expect(changes.map(({ step, decisions = [] }) => [step, decisions.length])).toEqual([
    ['opened', 0],
    ['approved', 2],
    ['cancelled', 2],
  ]);
  expect(changes.slice(2)).toEqual([
    {
      what: 'grant',
      step: 'cancelled',
      name: 'ml/g',
      uid: 'u',
      caller: { provider: null, issuer: 'https://idp.example', subject: 'ana' },
      requestedBy: 'eve',
      // The version that was there before.
      by: 'who took u@7',
      decisions: [
        { by: 'user:lea', decision: 'Approve', at: '2026-01-01T00:00:00Z', breakGlass: false },
        {
          by: 'https://idp.example bob',
          decision: 'Approve',
          at: '2026-01-01T00:00:01Z',
          breakGlass: false,
          from: '192.0.2.7',
        },
      ],
      until: '2026-01-01T08:00:00.000Z',
    },
  ]);
  stopRecord();
  await keeper.close();
});

/** As many code points as the API server allows, and more UTF-16 units than sidecars read. */
const long = [{ issuer: '😀'.repeat(300) }, { subject: '😀'.repeat(300) }, { models: ['😀'.repeat(200)] }];

test.each(long)('a grant that sidecars do not take ends none of the others: %#', async (more) => {
  const clock = fakeClock({ now: Date.parse('2026-01-01T07:45:00Z') });
  const cache = fakeCache(grantFact, grantIndices);
  const feed = createGrantFeed({ cache, clock, podOf: () => ({ labels: {}, set: governedSet('ml', {}) }) });
  const writes: unknown[] = [];
  const keeper = startGrantKeeper({
    client: {
      patch: (...args: unknown[]) => Promise.resolve(void writes.push(args[2])),
      delete: () => Promise.reject(new Error('nothing is removed here')),
    } as unknown as Pick<KubeClient, 'patch' | 'delete'>,
    cache,
    clock,
    logger: silentLogger,
    events: { record: () => undefined },
    leading: () => true,
    setsOf: () => [governedSet('ml', {})],
  });
  const odd = { ...spec, ...more };
  cache.put({ metadata: { ...metadata, name: 'odd', uid: 'odd' }, spec: odd, status: approved });
  cache.put({ metadata, spec, status: approved });
  const name = grantName(odd);
  cache.put({ metadata: { ...metadata, name, uid: 'asked' }, spec: odd, status: { phase: 'Pending' } });
  await clock.advanceAsync(10);
  expect(feed.grants({ namespace: 'ml', name: 'p', uid: 'p' })?.map((one) => one.name)).toEqual(['g']);
  const said = writes.map((one) => (one as { body: { status: Record<string, unknown> } }).body.status);
  expect(new Set(said.map(({ phase }) => phase))).toEqual(new Set(['Approved', 'Cancelled']));
  expect(said.find(({ phase }) => phase === 'Approved')).toMatchObject({
    conditions: [
      asked,
      { type: 'Holds', status: 'False', reason: 'OnNoPod', message: expect.stringContaining('UTF-16') },
    ],
  });
  expect(said.find(({ phase }) => phase === 'Cancelled')).toMatchObject({
    conditions: [{ type: 'Decidable', status: 'False', reason: 'NotTaken' }],
  });
  await keeper.close();
});

test('grants that are more than a message are told as far as they fit, those that end first', () => {
  const clock = fakeClock({ now: Date.parse('2026-01-01T07:45:00Z') });
  const cache = fakeCache(grantFact, grantIndices);
  const feed = createGrantFeed({ cache, clock, podOf: () => ({ labels: {}, set: governedSet('ml', {}) }) });
  const models = Array.from({ length: 64 }, () => 'x'.repeat(256));
  for (let n = 0; n < 300; n++)
    cache.put({
      metadata: { ...metadata, name: `g-${n}`, uid: `u-${n}` },
      spec: { ...spec, models, expiresAt: new Date(clock.now() + (300 - n) * 1_000).toISOString() },
      status: approved,
    });
  const given = feed.grants({ namespace: 'ml', name: 'p', uid: 'p' }) ?? [];
  expect(given.length).toBeGreaterThan(200);
  expect(given.length).toBeLessThan(300);
  expect(given[0]?.name).toBe('g-299');
  expect(isTaken(encodeFrame({ type: 'grants', grants: given, seen: {} }))).toBe(true);
});

test('of more grants than there may be, those that were asked for last are cancelled, and the oldest that are over are removed', async () => {
  const clock = fakeClock({ now: Date.parse('2026-01-01T07:45:00Z') });
  const cache = fakeCache(grantFact, grantIndices);
  const cancelled = new Map<string, string>();
  const [steps, removed]: [string[], string[]] = [[], []];
  const asks = (user: string, n: number, status: object = { phase: 'Pending' }, at = n): string => {
    const asking = { ...spec, requestedBy: user, reason: `${user} ${n}` };
    const name = grantName(asking);
    const creationTimestamp = new Date(clock.now() - 60_000 + at * 1_000).toISOString();
    cache.put({
      metadata: { namespace: 'ml', name, uid: `${user}-${n}`, resourceVersion: '7', creationTimestamp },
      spec: asking,
      status,
    });
    return name;
  };
  const keeper = startGrantKeeper({
    client: {
      patch(
        _resource: unknown,
        { uid, key }: { uid: string; key: string },
        { body }: { body: { status: Record<string, unknown> } },
      ) {
        const { phase, conditions } = body.status as {
          phase: string;
          conditions: { reason: string; message: string }[];
        };
        if (phase === 'Cancelled') cancelled.set(uid, `${conditions[0]?.reason} ${conditions[0]?.message}`);
        const [user = '', n = ''] = uid.split('-');
        expect(key).toBe(`ml/${asks(user, Number(n), body.status)}`);
        return Promise.resolve();
      },
      delete: (_resource: unknown, { uid, key }: { uid: string; key: string }) => {
        removed.push(uid);
        cache.remove(key);
        return Promise.resolve();
      },
    } as unknown as Pick<KubeClient, 'patch' | 'delete'>,
    cache,
    clock,
    logger: silentLogger,
    events: { record: () => undefined },
    leading: () => true,
    // Also those of which nobody can say yet who decides count.
    setsOf: () => [],
    onStep: (step) => steps.push(step),
    limits: { perRequester: 2, perNamespace: 3, finishedPerNamespace: 2 },
  });
  for (const n of [1, 2]) asks('eve', n);
  await clock.advanceAsync(10);
  asks('eve', 3);
  await clock.advanceAsync(10);
  expect([...cancelled.keys()]).toEqual(['eve-3']);
  expect(cancelled.get('eve-3')).toContain('TooMany eve has 2 grants here that are undecided or hold');
  asks('kim', 4);
  await clock.advanceAsync(10);
  asks('max', 5);
  await clock.advanceAsync(10);
  expect([...cancelled.keys()]).toEqual(['eve-3', 'max-5']);
  expect(cancelled.get('max-5')).toContain('TooMany there are 3 grants in the namespace');
  // One that is decided on is not ended by what came before it.
  asks('lea', 6, approved);
  await clock.advanceAsync(10);
  expect([[...cancelled.keys()], removed]).toEqual([['eve-3', 'max-5'], []]);
  await clock.advanceAsync(1_000);
  asks('eve', 7);
  await clock.advanceAsync(10);
  expect(removed).toEqual(['eve-3']);
  expect(steps.filter((step) => step !== 'opened')).toEqual(['cancelled', 'cancelled', 'cancelled', 'removed']);
  await keeper.close();
});

test('a grant that was denied or cancelled is removed a day after that, however late its end', async () => {
  const clock = fakeClock({ now: Date.parse('2026-01-01T00:00:00Z') });
  const cache = fakeCache(grantFact, grantIndices);
  const removed: string[] = [];
  const keeper = startGrantKeeper({
    client: {
      patch: () => Promise.reject(new Error('nothing is written here')),
      delete: (_resource: unknown, { name }: { readonly name: string }) => Promise.resolve(void removed.push(name)),
    } as unknown as Pick<KubeClient, 'patch' | 'delete'>,
    cache,
    clock,
    logger: silentLogger,
    events: { record: () => undefined },
    leading: () => true,
    setsOf: () => [],
  });
  const put = (name: string, expiresAt: string, status: object): void =>
    cache.put({
      metadata: { namespace: 'ml', name, uid: name, resourceVersion: '7' },
      spec: { ...spec, expiresAt },
      status,
    });
  const far = '9999-01-01T00:00:00Z';
  put('denied', far, { phase: 'Denied', decisions: [{ ...vote, decision: 'Deny' }], conditions: [] });
  put('cancelled', far, { phase: 'Cancelled', conditions: [{ ...asked, lastTransitionTime: '2026-01-01T01:00:00Z' }] });
  put('expired', '2026-01-01T02:00:00Z', { phase: 'Expired', conditions: [asked] });
  // By a clock that is ahead: its end counts.
  put('late', '2026-01-01T03:00:00Z', { phase: 'Denied', decisions: [{ ...vote, at: far }], conditions: [] });
  const hour = 3_600_000;
  await clock.advanceAsync(24 * hour - 1);
  expect(removed).toEqual([]);
  await clock.advanceAsync(600_000);
  expect(removed).toEqual(['denied']);
  await clock.advanceAsync(hour);
  expect(removed).toEqual(['denied', 'cancelled']);
  await clock.advanceAsync(2 * hour);
  expect(removed).toEqual(['denied', 'cancelled', 'expired', 'late']);
  await keeper.close();
});

test.each([
  ['the first day of the calendar', '0001-01-01T00:00:00Z', 0],
  ['a day before 1970', '1969-12-31T23:00:00Z', 0],
  ['a second that JavaScript has not', '2016-12-31T23:59:60Z', Number.MAX_SAFE_INTEGER],
])('a grant from %s on is told to sidecars beside the others', (_what, notBefore, from) => {
  const { grant } = grantFact({ metadata, spec: { ...spec, models: ['m'], notBefore } } as never);
  expect(grant.from).toBe(from);
  expect(isTaken(encodeFrame({ type: 'grants', grants: [grant], seen: {} }))).toBe(true);
});

test.each([
  ['Pending', 'Cancelled'],
  ['Approved', 'Cancelled'],
  ['Used', 'Used'],
  ['Denied', 'Denied'],
])('an approval that was deleted while it was %s is %s', (phase, now) => {
  const requester = { provider: 'p', issuer: 'i', subject: 's' };
  const approval = {
    spec: {
      ...{ policies: [], rules: ['r'], direction: 'Request', requester, operation: 'Chat', digest: 'd' },
      ...{ pod: { uid: 'p' }, required: 1, expiresAt: '2026-01-01T00:01:00Z' },
    },
    status: { phase },
  };
  expect(approvalFact({ metadata, ...approval }).phase).toBe(phase);
  expect(approvalFact({ metadata: deleted, ...approval }).phase).toBe(now);
});
