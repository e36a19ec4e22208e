import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { Identity, MatchedRule, RateLimits } from '../core/index.ts';
import type { Admission, AdmittedBy, Demand, Refused } from './limits.ts';
import { Limiter as RealLimiter } from './limits.ts';

const ana: Identity = {
  provider: 'ml/p/corp',
  issuer: 'https://idp',
  subject: 'ana',
  groups: [],
  scopes: [],
  expiresAt: undefined,
  kubernetesUser: undefined,
};
const bob: Identity = { ...ana, subject: 'bob' };

const rule = (id: string, limits: Partial<RateLimits>): MatchedRule => ({
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
const demand = (more: Partial<Demand> = {}): Demand => ({
  promptBytes: 400,
  maxOutputTokens: 100,
  outputBound: 100,
  count: 1,
  generates: true,
  ...more,
});

/** Limits of scope Pod are decided at once. */
class Limiter extends RealLimiter {
  override admit(access: AdmittedBy, caller: Identity | undefined, wanted: Demand): Admission | Refused {
    const outcome = super.admit(access, caller, wanted);
    if (outcome instanceof Promise) throw new Error('a promise');
    return outcome;
  }
}

const admitted = (outcome: Admission | Refused): Admission => {
  if (outcome.kind !== 'admitted') throw new Error(`refused: ${outcome.reason}`);
  return outcome;
};
const refused = (outcome: Admission | Refused): Refused => {
  if (outcome.kind !== 'refused') throw new Error('admitted');
  return outcome;
};

describe('request limits', () => {
  test('admit a minute worth at once, then refuse until the bucket refills', () => {
    const clock = fakeClock();
    const limiter = new Limiter(clock);
    const rules = [rule('r', { requestsPerMinute: 2 })];
    admitted(limiter.admit({ rules }, ana, demand())).settle(0);
    admitted(limiter.admit({ rules }, ana, demand())).settle(0);
    const no = refused(limiter.admit({ rules }, ana, demand()));
    expect(no).toMatchObject({ reason: 'rate_limited', rule: 'r', retryAfter: 30 });
    clock.advance(29_000);
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('refused');
    clock.advance(1_000);
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('admitted');
  });

  test('count each caller and each rule on its own', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { requestsPerMinute: 1 })];
    admitted(limiter.admit({ rules }, ana, demand()));
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('refused');
    expect(limiter.admit({ rules }, bob, demand()).kind).toBe('admitted');
    expect(limiter.admit({ rules: [rule('other', { requestsPerMinute: 1 })] }, ana, demand()).kind).toBe('admitted');
  });

  test('charge the first rule in policy order that has budget left', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('a', { requestsPerMinute: 1 }), rule('b', { requestsPerMinute: 1 })];
    expect(admitted(limiter.admit({ rules }, ana, demand())).rule?.id).toBe('a');
    expect(admitted(limiter.admit({ rules }, ana, demand())).rule?.id).toBe('b');
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('refused');
  });

  test('a wall clock that steps back refills nothing and takes nothing', () => {
    const clock = fakeClock();
    const limiter = new Limiter(clock);
    const rules = [rule('r', { requestsPerMinute: 1 })];
    admitted(limiter.admit({ rules }, ana, demand()));
    clock.step(-3_600_000);
    expect(refused(limiter.admit({ rules }, ana, demand())).retryAfter).toBe(60);
    clock.step(7_200_000);
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('refused');
  });
});

describe('token limits', () => {
  test('reserve a quarter of the prompt and the whole output, and give back what was not used', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 300 })];
    const first = admitted(limiter.admit({ rules }, ana, demand())); // 100 + 100
    expect(refused(limiter.admit({ rules }, ana, demand())).reason).toBe('token_limited');
    first.settle(20);
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('admitted');
  });

  test('a settlement may run into debt, which the next request waits for', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 300 })];
    admitted(limiter.admit({ rules }, ana, demand())).settle(900);
    expect(
      refused(limiter.admit({ rules }, ana, demand({ promptBytes: 4, maxOutputTokens: 1 }))).retryAfter,
    ).toBeGreaterThan(60);
  });

  test('a request larger than the bucket waits for a full one instead of for ever', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 50 })];
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('admitted');
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('refused');
  });

  test.each([
    ['the rule’s limit', { maxOutputTokens: 900 }, 1, 900],
    ['what is assumed of any answer', {}, 1, 1_024],
    ['what was asked for, where that is more', {}, 1_100, 1_100],
  ])('what asks in words that a server may ignore reserves %s', (_, limits, maxOutputTokens, reserved) => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 1_200, ...limits })];
    const loose = demand({ maxOutputTokens, outputBound: undefined, promptBytes: 0 });
    expect(limiter.admit({ rules }, ana, loose).kind).toBe('admitted');
    const rest = (tokens: number): Admission | Refused =>
      limiter.admit({ rules }, ana, demand({ maxOutputTokens: tokens, outputBound: tokens, promptBytes: 0 }));
    expect(rest(1_201 - reserved).kind).toBe('refused');
    expect(rest(1_200 - reserved).kind).toBe('admitted');
  });

  test('what cannot be limited is refused by a rule that limits output, and counted by one that does not', () => {
    const limiter = new Limiter(fakeClock());
    const endless = demand({ generates: false, countsInput: true, endless: true });
    const limiting = rule('r', { maxOutputTokens: 100 });
    expect(refused(limiter.admit({ rules: [limiting] }, ana, endless))).toMatchObject({
      reason: 'max_tokens_exceeded',
      rule: 'r',
    });
    const other = rule('s', { tokensPerMinute: 300 });
    expect(admitted(limiter.admit({ rules: [other] }, ana, endless)).maxOutputTokens).toBeUndefined();
    expect(limiter.admit({ rules: [other], ceilings: [[limiting]] }, ana, endless).kind).toBe('refused');
  });

  test('several answers are reserved for each', () => {
    const limiter = new Limiter(fakeClock());
    expect(limiter.admit({ rules: [rule('r', { tokensPerMinute: 1_000 })] }, ana, demand({ count: 4 })).kind).toBe(
      'admitted',
    );
    expect(limiter.admit({ rules: [rule('r', { tokensPerMinute: 1_000 })] }, ana, demand({ count: 5 })).kind).toBe(
      'refused',
    );
  });

  test('what produces nothing reserves its input alone, and asks for no usage on its stream', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 250, maxOutputTokens: 1 })];
    const embeddings = demand({ generates: false, countsInput: true });
    const first = admitted(limiter.admit({ rules }, ana, embeddings)); // 100
    expect([first.needsUsage, first.maxOutputTokens]).toEqual([false, undefined]);
    admitted(limiter.admit({ rules }, ana, embeddings));
    expect(refused(limiter.admit({ rules }, ana, embeddings))).toMatchObject({ reason: 'token_limited', rule: 'r' });
    first.settle(50);
    expect(limiter.admit({ rules }, ana, embeddings).kind).toBe('admitted');
  });

  test('input without text waits for a token as well', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 300 })];
    const nothing = demand({ generates: false, countsInput: true, promptBytes: 0 });
    admitted(limiter.admit({ rules }, ana, nothing)).settle(300);
    expect(refused(limiter.admit({ rules }, ana, nothing)).reason).toBe('token_limited');
  });

  test('operations without tokens pass where tokens are used up', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 300 })];
    admitted(limiter.admit({ rules }, ana, demand())).settle(900);
    expect(limiter.admit({ rules }, ana, demand({ generates: false })).kind).toBe('admitted');
  });

  test('settling twice counts once', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { tokensPerMinute: 300 })];
    const first = admitted(limiter.admit({ rules }, ana, demand()));
    first.settle(200);
    first.settle(0);
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('refused');
  });
});

describe('other limits', () => {
  test('more output than a rule allows is refused, none given takes the rule’s', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { maxOutputTokens: 50 })];
    expect(refused(limiter.admit({ rules }, ana, demand())).reason).toBe('max_tokens_exceeded');
    expect(admitted(limiter.admit({ rules }, ana, demand({ maxOutputTokens: undefined }))).maxOutputTokens).toBe(50);
  });

  test('requests under way are counted until they settle', () => {
    const limiter = new Limiter(fakeClock());
    const rules = [rule('r', { concurrentRequests: 1 })];
    const first = admitted(limiter.admit({ rules }, ana, demand()));
    expect(refused(limiter.admit({ rules }, ana, demand())).reason).toBe('concurrency_limited');
    first.settle(0);
    expect(limiter.admit({ rules }, ana, demand()).kind).toBe('admitted');
  });

  test('a limit that changes goes on counting what is under way', () => {
    const limiter = new Limiter(fakeClock());
    const first = admitted(
      limiter.admit({ rules: [rule('r', { concurrentRequests: 1, requestsPerMinute: 5 })] }, ana, demand()),
    );
    const changed = [rule('r', { concurrentRequests: 1, requestsPerMinute: 9 })];
    expect(refused(limiter.admit({ rules: changed }, ana, demand())).reason).toBe('concurrency_limited');
    first.settle(0);
    expect(limiter.admit({ rules: changed }, ana, demand()).kind).toBe('admitted');
  });

  test('memory is bounded: idle callers are forgotten, and when none is idle a new one is refused', () => {
    const clock = fakeClock();
    const limiter = new Limiter(clock, { maxBuckets: 2 });
    const rules = [rule('r', { requestsPerMinute: 1 })];
    const of = (subject: string): Identity => ({ ...ana, subject });
    for (const name of ['a', 'b']) admitted(limiter.admit({ rules }, of(name), demand())).settle(0);
    expect(refused(limiter.admit({ rules }, of('c'), demand())).reason).toBe('overloaded');
    clock.advance(60_000);
    expect(limiter.admit({ rules }, of('c'), demand()).kind).toBe('admitted');
    expect(limiter.size).toBe(1);
  });

  test('a cluster’s ceiling is charged with every rule below it, and a refusal charges nobody', () => {
    const limiter = new Limiter(fakeClock());
    const ceilings = [[rule('cluster', { requestsPerMinute: 2 })]];
    const first = { rules: [rule('a', { requestsPerMinute: 2 })], ceilings };
    const second = { rules: [rule('b', { requestsPerMinute: 2 })], ceilings };
    admitted(limiter.admit(first, ana, demand()));
    admitted(limiter.admit(second, ana, demand()));
    expect(refused(limiter.admit(second, ana, demand())).rule).toBe('cluster');
    expect(limiter.admit({ rules: second.rules }, ana, demand()).kind).toBe('admitted');
  });
});
