import { describe, expect, test } from '@jest/globals';
import { threadCpuMs } from '../../test/support/cost.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { Identity, LimitStore, MatchedRule, RateLimits, SharedGrant } from '../core/index.ts';
import type { Admission, Demand, Refused } from './limits.ts';
import { Limiter } from './limits.ts';

// Limits under attack: by callers, by models that lie about what they used, and by the store that counts for all pods.

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
    scope: undefined,
    failureMode: undefined,
    ...limits,
  },
});
const demand: Demand = { promptBytes: 400, maxOutputTokens: 100, outputBound: 100, count: 1, generates: true };
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
};
const admit = async (limiter: Limiter, one: MatchedRule, wanted = demand): Promise<Admission | Refused> => {
  const outcome = await limiter.admit({ rules: [one] }, ana, wanted);
  await settled();
  return outcome;
};
const kinds = async (limiter: Limiter, one: MatchedRule, times: number): Promise<number> => {
  let passed = 0;
  for (let turn = 0; turn < times; turn++) if ((await admit(limiter, one)).kind === 'admitted') passed++;
  return passed;
};

/** A store whose every answer the test writes. */
function scripted(
  take: (least: number, most: number, count: number) => Partial<SharedGrant> | Promise<Partial<SharedGrant>>,
): LimitStore & { asked: number; settles: number[] } {
  const store = {
    asked: 0,
    settles: [] as number[],
    take: async (_bucket: unknown, least: number, most: number) =>
      ({ granted: 0, remaining: 0, waitMs: 0, ...(await take(least, most, store.asked++)) }) as SharedGrant,
    settle: (_bucket: unknown, amount: number) => {
      store.settles.push(amount);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  return store;
}

describe('a model that lies about what was used', () => {
  test.each(['Pod', 'Policy'] as const)('cannot lock its caller out for more than an hour (%s)', async (scope) => {
    const clock = fakeClock();
    // A true count of one bucket.
    let level = 1_000;
    let at = clock.monotonic();
    const refill = (): number => {
      level = Math.min(1_000, level + ((clock.monotonic() - at) * 1_000) / 60_000);
      at = clock.monotonic();
      return level;
    };
    const store: LimitStore = {
      take: (_bucket, least, most) => {
        const has = Math.floor(refill());
        const granted = has >= least ? Math.min(has, most) : 0;
        level -= granted;
        return Promise.resolve({ granted, remaining: has - granted, waitMs: granted > 0 ? 0 : (least - has) * 60 });
      },
      settle: (_bucket, amount) => {
        level = Math.min(1_000, refill() + amount);
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
    const limiter = new Limiter(clock, { store });
    const one = rule({ tokensPerMinute: 1_000, scope });
    const first = await admit(limiter, one);
    if (first.kind === 'admitted') first.settle(Number.MAX_SAFE_INTEGER);
    await settled();
    const refused = await admit(limiter, one);
    expect(refused).toMatchObject({ kind: 'refused', reason: 'token_limited' });
    if (refused.kind === 'refused') expect(refused.retryAfter).toBeLessThanOrEqual(3_700);
    clock.advance(62 * 60_000);
    expect((await admit(limiter, one)).kind).toBe('admitted');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1e9])(
    'a use of %d fills no bucket and breaks none',
    async (used) => {
      const clock = fakeClock();
      const limiter = new Limiter(clock);
      const one = rule({ tokensPerMinute: 1_000 });
      const first = await admit(limiter, one);
      if (first.kind === 'admitted') first.settle(used);
      expect(await kinds(limiter, one, 20)).toBeLessThanOrEqual(5);
      clock.advance(62 * 60_000);
      expect(await kinds(limiter, one, 20)).toBe(5);
    },
  );
});

describe('a demand that is none', () => {
  test.each<[string, Partial<Demand>]>([
    ['negative output', { maxOutputTokens: -1e9 }],
    ['negative count', { count: -1e9 }],
    ['no number', { maxOutputTokens: Number.NaN }],
  ])('%s gains nothing', async (_name, more) => {
    const limiter = new Limiter(fakeClock());
    const one = rule({ tokensPerMinute: 1_000 });
    await admit(limiter, one, { ...demand, ...more });
    expect(await kinds(limiter, one, 50)).toBeLessThanOrEqual(5);
  });
});

describe('limits that change', () => {
  test('by requests of an old and a new policy in turn give no full bucket each time', async () => {
    const limiter = new Limiter(fakeClock());
    let passed = 0;
    for (let turn = 0; turn < 50; turn++)
      passed += await kinds(limiter, rule({ requestsPerMinute: 10 + (turn % 2) }), 10);
    expect(passed).toBeLessThanOrEqual(11);
  });

  test('leave a debt where it is', async () => {
    const limiter = new Limiter(fakeClock());
    const first = await admit(limiter, rule({ tokensPerMinute: 1_000 }));
    if (first.kind === 'admitted') first.settle(5_000);
    expect(await admit(limiter, rule({ tokensPerMinute: 2_000 }))).toMatchObject({ reason: 'token_limited' });
  });

  test('from nothing to something begin with a full bucket', async () => {
    const limiter = new Limiter(fakeClock());
    await kinds(limiter, rule({ tokensPerMinute: 1_000 }), 3);
    expect(await kinds(limiter, rule({ tokensPerMinute: 1_000, requestsPerMinute: 4 }), 2)).toBe(2);
  });
});

describe('a store that lies', () => {
  const wild = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -1e12,
    1e300,
    -1,
    0.5,
    '7',
    null,
    undefined,
    {},
  ];
  test.each(wild.map((value) => [value]))(
    'with %p in every place: no exception, no promise without end',
    async (value) => {
      for (const field of ['granted', 'remaining', 'waitMs']) {
        const clock = fakeClock();
        let lies = true;
        const store = scripted((_least, most) =>
          lies
            ? ({ granted: 0, remaining: 0, waitMs: 10, [field]: value } as Partial<SharedGrant>)
            : { granted: most, remaining: 30 },
        );
        const limiter = new Limiter(clock, { store });
        const one = rule({ requestsPerMinute: 60, scope: 'Policy' });
        for (let turn = 0; turn < 20; turn++) {
          const outcome = await admit(limiter, one);
          // Nobody is let through by what is not a grant, and the time to come back is one.
          if (field === 'granted') expect(outcome.kind).toBe('refused');
          if (outcome.kind === 'refused' && outcome.retryAfter !== undefined) {
            expect(outcome.retryAfter).toBeGreaterThanOrEqual(1);
            expect(outcome.retryAfter).toBeLessThanOrEqual(3_600);
          }
          clock.advance(100);
        }
        // A store that comes to its senses is believed again.
        lies = false;
        clock.advance(2_000);
        expect({ field, kind: (await admit(limiter, one)).kind }).toEqual({ field, kind: 'admitted' });
      }
    },
  );

  test('by a grant of more than was asked: nothing of it is believed', async () => {
    const clock = fakeClock();
    const limiter = new Limiter(clock, { store: scripted(() => ({ granted: 1e9, remaining: 60 })) });
    expect(await kinds(limiter, rule({ requestsPerMinute: 60, scope: 'Policy' }), 30)).toBe(0);
  });
});

describe('a store that is slow', () => {
  test('and never answers one question: others are told when it is given up', async () => {
    const clock = fakeClock();
    let fail: (error: Error) => void = () => undefined;
    const store = scripted(() => new Promise((_resolve, reject) => (fail = reject)));
    const limiter = new Limiter(clock, { store });
    const all = Array.from({ length: 2_000 }, () =>
      Promise.resolve(limiter.admit({ rules: [rule({ requestsPerMinute: 60, scope: 'Policy' })] }, ana, demand)),
    );
    await settled();
    expect(store.asked).toBe(1);
    fail(new Error('late'));
    const outcomes = await Promise.all(all);
    expect(new Set(outcomes.map((one) => one.kind === 'refused' && one.reason))).toEqual(
      new Set(['limits_unavailable']),
    );
    expect(store.asked).toBe(1);
  });

  test('a crowd at the limit is answered in time that grows with it, not with its square', async () => {
    const clock = fakeClock();
    let left = 3_000;
    const store = scripted((least) =>
      left >= least ? { granted: (left -= least) >= 0 ? least : 0, remaining: left } : { granted: 0, waitMs: 1_000 },
    );
    const limiter = new Limiter(clock, { store });
    const one = rule({ requestsPerMinute: 10_000, scope: 'Policy' });
    const began = threadCpuMs();
    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, () => Promise.resolve(limiter.admit({ rules: [one] }, ana, demand))),
    );
    const passed = outcomes.filter((each) => each.kind === 'admitted').length;
    expect(passed).toBeLessThanOrEqual(3_000);
    expect(threadCpuMs() - began).toBeLessThan(3_000);
  });

  test('who was refused while the pod owes is not a question to the store each time', async () => {
    const clock = fakeClock();
    const store = scripted(() => ({ granted: 0, remaining: 0, waitMs: 30_000 }));
    store.settle = () => Promise.reject(new Error('down'));
    let give = true;
    store.take = (_bucket, least) => {
      store.asked++;
      return Promise.resolve({ granted: give ? least : 0, remaining: 0, waitMs: 30_000 });
    };
    const limiter = new Limiter(clock, { store });
    const one = rule({ tokensPerMinute: 1_000, scope: 'Policy' });
    const first = await admit(limiter, one);
    if (first.kind === 'admitted') first.settle(5_000);
    await settled();
    give = false;
    clock.advance(1_500);
    const before = store.asked;
    for (let turn = 0; turn < 100; turn++) await admit(limiter, one);
    expect(store.asked - before).toBeLessThanOrEqual(2);
  });
});

describe('many callers', () => {
  test('a hundred thousand live ones: the next is refused, and does not cost a walk over all of them', async () => {
    const clock = fakeClock();
    const limiter = new Limiter(clock, { maxBuckets: 100_000 });
    const one = rule({ requestsPerMinute: 60, concurrentRequests: 1 });
    for (let at = 0; at < 100_000; at++) void limiter.admit({ rules: [one] }, { ...ana, subject: `s${at}` }, demand);
    expect(limiter.size).toBe(100_000);
    const began = threadCpuMs();
    for (let at = 0; at < 2_000; at++) {
      const outcome = await limiter.admit({ rules: [one] }, { ...ana, subject: `new${at}` }, demand);
      expect(outcome.kind === 'refused' && outcome.reason).toBe('overloaded');
    }
    expect(threadCpuMs() - began).toBeLessThan(1_000);
  });
});

describe('places', () => {
  test('are given back once, whatever is called afterwards, also across a change of limits', async () => {
    const limiter = new Limiter(fakeClock());
    const one = rule({ concurrentRequests: 2 });
    const held: Admission[] = [];
    for (let turn = 0; turn < 2; turn++) {
      const outcome = await admit(limiter, one);
      if (outcome.kind === 'admitted') held.push(outcome);
    }
    expect(await admit(limiter, rule({ concurrentRequests: 2, requestsPerMinute: 9 }))).toMatchObject({
      reason: 'concurrency_limited',
    });
    for (const each of held)
      for (let turn = 0; turn < 3; turn++) {
        each.settle(1);
        each.undo();
      }
    expect(await kinds(limiter, one, 5)).toBe(2);
  });

  test('of a request that a ceiling refuses stay free', async () => {
    const limiter = new Limiter(fakeClock());
    const inner = rule({ concurrentRequests: 1, requestsPerMinute: 100 }, 'inner');
    const ceiling = rule({ requestsPerMinute: 1 }, 'ceiling');
    const ask = (): unknown => limiter.admit({ rules: [inner], ceilings: [[ceiling]] }, ana, demand);
    const first = ask() as Admission;
    first.settle(0);
    for (let turn = 0; turn < 10; turn++) expect(ask()).toMatchObject({ reason: 'rate_limited', rule: 'ceiling' });
    expect(limiter.admit({ rules: [inner] }, ana, demand)).toMatchObject({ kind: 'admitted' });
  });
});
