import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import type { Identity, LimitStore, MatchedRule, RateLimits, SharedBucket } from '../core/index.ts';
import type { Admission, Demand, Refused } from './limits.ts';
import { Limiter } from './limits.ts';

const ana: Identity = {
  provider: 'ml/p/corp',
  issuer: 'https://idp',
  subject: 'ana',
  groups: [],
  scopes: [],
  expiresAt: undefined,
  kubernetesUser: undefined,
};
const rule = (limits: Partial<RateLimits>, id = 'r'): MatchedRule => ({
  id,
  tokenInput: false,
  limits: {
    requestsPerMinute: undefined,
    tokensPerMinute: undefined,
    maxOutputTokens: undefined,
    concurrentRequests: undefined,
    scope: 'Policy',
    failureMode: undefined,
    ...limits,
  },
});
const demand: Demand = { promptBytes: 400, maxOutputTokens: 100, outputBound: 100, count: 1, generates: true };

/** The slow and obvious bucket, with a count of questions and a switch. */
function fakeStore(
  clock: FakeClock,
): LimitStore & { questions: number; down: boolean; readonly levels: Map<string, number> } {
  const levels = new Map<string, number>();
  const at = new Map<string, number>();
  const level = ({ key, capacity }: SharedBucket): number => {
    const now = clock.monotonic();
    const known = levels.get(key) ?? capacity;
    const filled = Math.min(capacity, known + ((now - (at.get(key) ?? now)) * capacity) / 60_000);
    at.set(key, now);
    levels.set(key, filled);
    return filled;
  };
  const store = {
    questions: 0,
    down: false,
    levels,
    async take(bucket: SharedBucket, least: number, most: number) {
      store.questions++;
      await Promise.resolve();
      if (store.down) throw new Error('down');
      const has = level(bucket);
      if (has < least)
        return {
          granted: 0,
          remaining: Math.floor(has),
          waitMs: Math.ceil(((least - has) * 60_000) / bucket.capacity),
        };
      const granted = Math.min(most, Math.floor(has));
      levels.set(bucket.key, has - granted);
      return { granted, remaining: Math.floor(has - granted), waitMs: 0 };
    },
    async settle(bucket: SharedBucket, amount: number) {
      await Promise.resolve();
      if (store.down) throw new Error('down');
      levels.set(bucket.key, Math.min(bucket.capacity, level(bucket) + amount));
    },
    close: () => Promise.resolve(),
  };
  return store;
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};
const admit = async (
  limiter: Limiter,
  one: MatchedRule,
  caller = ana,
  wanted = demand,
): Promise<Admission | Refused> => {
  const outcome = await limiter.admit({ rules: [one] }, caller, wanted);
  await settled();
  return outcome;
};

describe('requests over several pods', () => {
  test('all pods together admit what one bucket holds, not one more', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const pods = [1, 2, 3].map(() => new Limiter(clock, { store }));
    let passed = 0;
    for (let turn = 0; turn < 100; turn++)
      for (const pod of pods) if ((await admit(pod, rule({ requestsPerMinute: 60 }))).kind === 'admitted') passed++;
    expect(passed).toBe(60);
  });

  test('requests that come at the same moment are counted apart', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const pods = [1, 2].map(() => new Limiter(clock, { store }));
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        pods[at % 2]!.admit({ rules: [rule({ requestsPerMinute: 10 })] }, ana, demand),
      ),
    );
    expect(outcomes.filter((one) => one.kind === 'admitted').length).toBeLessThanOrEqual(10);
    // A crowd may be told to try again, and no place of the bucket is lost by that.
    await settled();
    let late = 0;
    for (let turn = 0; turn < 20; turn++)
      for (const pod of pods) if ((await admit(pod, rule({ requestsPerMinute: 10 }))).kind === 'admitted') late++;
    expect(outcomes.filter((one) => one.kind === 'admitted').length + late).toBe(10);
  });

  test('far from the limit no request waits for the store but the first', async () => {
    const clock = fakeClock();
    const limiter = new Limiter(clock, { store: fakeStore(clock) });
    const one = rule({ requestsPerMinute: 1_000 });
    expect(limiter.admit({ rules: [one] }, ana, demand)).toBeInstanceOf(Promise);
    await settled();
    let waited = 0;
    for (let turn = 0; turn < 400; turn++) {
      if (limiter.admit({ rules: [one] }, ana, demand) instanceof Promise) waited++;
      await settled();
    }
    expect(waited).toBe(0);
  });

  test('a refusal says when to come back, and a flood of refused requests does not reach the store', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const limiter = new Limiter(clock, { store });
    const one = rule({ requestsPerMinute: 2 });
    await admit(limiter, one);
    await admit(limiter, one);
    expect(await admit(limiter, one)).toMatchObject({ reason: 'rate_limited', retryAfter: 30 });
    const asked = store.questions;
    for (let turn = 0; turn < 1_000; turn++) await admit(limiter, one);
    expect(store.questions).toBe(asked);
    clock.advance(30_000);
    expect((await admit(limiter, one)).kind).toBe('admitted');
  });

  test('what a pod does not use goes back to the others', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const [first, second] = [new Limiter(clock, { store }), new Limiter(clock, { store })];
    const one = rule({ requestsPerMinute: 100 });
    await admit(first, one); // holds a slice beside the one request
    clock.advance(3_000);
    await settled();
    clock.advance(2_000);
    let passed = 0;
    while ((await admit(second, one)).kind === 'admitted') passed++;
    expect(passed).toBe(100);
  });

  test('a pod that ends gives its slice back at once', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const limiter = new Limiter(clock, { store });
    await admit(limiter, rule({ requestsPerMinute: 100 }));
    limiter.close();
    await settled();
    expect([...store.levels.values()]).toEqual([99]);
  });
});

describe('tokens over several pods', () => {
  test('a reservation is taken from the common bucket, and what was not used goes back', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const limiter = new Limiter(clock, { store });
    const one = rule({ tokensPerMinute: 300 });
    const first = await admit(limiter, one);
    expect(await admit(limiter, one)).toMatchObject({ reason: 'token_limited' });
    if (first.kind === 'admitted') first.settle(10);
    limiter.close();
    await settled();
    expect([...store.levels.values()]).toEqual([290]);
  });

  test('the input of embeddings is taken from it, too', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const [first, second] = [new Limiter(clock, { store }), new Limiter(clock, { store })];
    const one = rule({ tokensPerMinute: 300 });
    const embeddings = { ...demand, generates: false, countsInput: true }; // 100
    const admitted = await first.admit({ rules: [one] }, ana, embeddings);
    if (admitted.kind === 'admitted') admitted.settle(300);
    await settled();
    expect(await second.admit({ rules: [one] }, ana, embeddings)).toMatchObject({ reason: 'token_limited' });
  });

  test('what was used beyond the reservation is charged to all pods', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const [first, second] = [new Limiter(clock, { store }), new Limiter(clock, { store })];
    const one = rule({ tokensPerMinute: 1_000 });
    const admitted = await admit(first, one);
    if (admitted.kind === 'admitted') admitted.settle(2_000);
    await settled();
    expect(await admit(second, one)).toMatchObject({ kind: 'refused', reason: 'token_limited' });
  });
});

describe('the store is down', () => {
  test('Deny is the default, and says what is missing', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    let faults = 0;
    const limiter = new Limiter(clock, { store, onStoreFault: () => faults++ });
    store.down = true;
    expect(await admit(limiter, rule({ requestsPerMinute: 60 }))).toMatchObject({ reason: 'limits_unavailable' });
    expect(faults).toBe(1);
    // One question a second finds out whether it is back; the others are refused at once.
    for (let turn = 0; turn < 100; turn++) await admit(limiter, rule({ requestsPerMinute: 60 }));
    expect(store.questions).toBe(1);
    store.down = false;
    clock.advance(1_000);
    expect((await admit(limiter, rule({ requestsPerMinute: 60 }))).kind).toBe('admitted');
  });

  test('without a store it is as if it were down', async () => {
    const clock = fakeClock();
    expect(await admit(new Limiter(clock), rule({ requestsPerMinute: 60 }))).toMatchObject({
      reason: 'limits_unavailable',
    });
  });

  test('PerPod counts in the pod, and the admission says so', async () => {
    const clock = fakeClock();
    const limiter = new Limiter(clock);
    const one = rule({ requestsPerMinute: 2, failureMode: 'PerPod' });
    expect(await admit(limiter, one)).toMatchObject({ kind: 'admitted', alone: true });
    expect(await admit(limiter, one)).toMatchObject({ kind: 'admitted', alone: true });
    expect(await admit(limiter, one)).toMatchObject({ kind: 'refused', reason: 'rate_limited' });
  });

  test('a debt that could not be charged stays in the pod', async () => {
    const clock = fakeClock();
    const store = fakeStore(clock);
    const limiter = new Limiter(clock, { store });
    const one = rule({ tokensPerMinute: 1_000 });
    const first = await admit(limiter, one);
    store.down = true;
    if (first.kind === 'admitted') first.settle(1_200);
    await settled();
    store.down = false;
    clock.advance(1_000);
    // 1,000 - 200 reserved; 1,000 more are owed: there is not enough for another 200.
    expect(await admit(limiter, one)).toMatchObject({ kind: 'refused' });
  });
});

test('callers, namespaces and rules have buckets of their own, whose names tell nothing', async () => {
  const clock = fakeClock();
  const store = fakeStore(clock);
  const one = rule({ requestsPerMinute: 1 });
  const pods = [new Limiter(clock, { store, namespace: 'a' }), new Limiter(clock, { store, namespace: 'b' })];
  for (const pod of pods)
    for (const subject of ['ana', 'bob'])
      for (const id of ['p/r', 'p/s'])
        expect((await admit(pod, { ...one, id }, { ...ana, subject })).kind).toBe('admitted');
  expect(store.levels.size).toBe(8);
  expect([...store.levels.keys()].join()).not.toMatch(/ana|bob|p\/|idp/);
});

test('whatever pods, callers and times: never more than the bucket and what refilled', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.record({ pod: fc.nat(2), wait: fc.nat(4_000), down: fc.boolean(), settle: fc.boolean() }), {
        minLength: 1,
        maxLength: 120,
      }),
      async (capacity, steps) => {
        const clock = fakeClock();
        const store = fakeStore(clock);
        const pods = [0, 1, 2].map(() => new Limiter(clock, { store }));
        const start = clock.monotonic();
        let passed = 0;
        for (const step of steps) {
          store.down = step.down && step.wait % 5 === 0;
          const outcome = await admit(pods[step.pod]!, rule({ requestsPerMinute: capacity }));
          if (outcome.kind === 'admitted') passed++;
          if (outcome.kind === 'admitted' && step.settle) outcome.settle(0);
          clock.advance(step.wait);
          await settled();
          const most = capacity + ((clock.monotonic() - start) * capacity) / 60_000;
          expect(passed).toBeLessThanOrEqual(Math.floor(most));
        }
      },
    ),
    { numRuns: 100 },
  );
});
