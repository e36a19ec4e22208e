import type { Clock } from '../base/index.ts';
import type { Identity, MatchedRule, ReasonCode } from '../core/index.ts';

/**
 * Rate, token and concurrency limits, counted in this pod for each rule, issuer and subject.
 *
 * Buckets refill continuously and hold one minute's worth. A request reserves tokens before it goes out (a quarter of
 * the prompt's bytes plus the most that it may produce) and settles to what was used when it ends; a bucket may go into
 * debt by a settlement, never by an admission. Buckets that are full and idle are forgotten, so memory is bounded by the
 * callers of the last minutes; when more than `maxBuckets` are live, new callers are refused rather than old ones forgotten.
 */

const minute = 60_000;
/** Output tokens assumed for admission when neither the request nor a rule says how many. */
const assumedOutput = 1_024;

class Bucket {
  level: number;
  filledAt: number;
  readonly capacity: number;

  constructor(capacity: number, now: number) {
    this.capacity = capacity;
    this.level = capacity;
    this.filledAt = now;
  }

  refill(now: number): void {
    this.level = Math.min(this.capacity, this.level + ((now - this.filledAt) * this.capacity) / minute);
    this.filledAt = now;
  }

  /** Seconds until `amount` fits, at least 1. */
  wait(amount: number): number {
    return Math.max(1, Math.ceil(((amount - this.level) * minute) / this.capacity / 1_000));
  }
}

interface Usage {
  requests: Bucket | undefined;
  tokens: Bucket | undefined;
  live: number;
}

/** What a request wants to be admitted for. */
export interface Demand {
  /** Bytes of all prompt text. */
  readonly promptBytes: number;
  readonly maxOutputTokens: number | undefined;
  readonly count: number;
  /** False for operations that produce no tokens: only requests and concurrency count. */
  readonly generates: boolean;
}

export interface Admission {
  readonly kind: 'admitted';
  /** Undefined when only Observe let the request through. */
  readonly rule: MatchedRule | undefined;
  /** What the request must be limited to, when the rule limits it. */
  readonly maxOutputTokens: number | undefined;
  /** Whether usage must be known at the end. */
  readonly needsUsage: boolean;
  /** Gives the place back and charges what was really used; once. */
  settle(usedTokens: number): void;
  /** As if it had never been admitted: another limit of the same request refused. */
  undo(): void;
}

export interface Refused {
  readonly kind: 'refused';
  readonly reason: Extract<
    ReasonCode,
    'rate_limited' | 'token_limited' | 'concurrency_limited' | 'max_tokens_exceeded' | 'overloaded'
  >;
  readonly rule: string;
  readonly retryAfter: number | undefined;
}

export const unlimited: Admission = {
  kind: 'admitted',
  rule: undefined,
  maxOutputTokens: undefined,
  needsUsage: false,
  settle: () => undefined,
  undo: () => undefined,
};

/** An access decision's own rules and what bounds them. */
export interface AdmittedBy {
  readonly rules: readonly MatchedRule[];
  readonly ceilings?: readonly (readonly MatchedRule[])[];
}

const noCeilings: readonly (readonly MatchedRule[])[] = [];

function give(bucket: Bucket | undefined, amount: number, now: number): void {
  if (bucket === undefined) return;
  bucket.refill(now);
  bucket.level = Math.min(bucket.capacity, bucket.level + amount);
}

/** Several admissions of one request: the smallest output, and all of them are settled. */
function together(charged: readonly Admission[]): Admission {
  const caps = charged.map((one) => one.maxOutputTokens).filter((cap) => cap !== undefined);
  return {
    kind: 'admitted',
    rule: charged[0]?.rule,
    maxOutputTokens: caps.length === 0 ? undefined : Math.min(...caps),
    needsUsage: charged.some((one) => one.needsUsage),
    settle: (used) => charged.forEach((one) => one.settle(used)),
    undo: () => charged.forEach((one) => one.undo()),
  };
}

/** The order of attempts when several rules refuse: what the caller can mend first is reported. */
const gravity: Readonly<Record<Refused['reason'], number>> = {
  max_tokens_exceeded: 0,
  overloaded: 1,
  concurrency_limited: 2,
  token_limited: 3,
  rate_limited: 4,
};

export class Limiter {
  readonly #clock: Clock;
  readonly #usage = new Map<string, Usage>();
  readonly #maxBuckets: number;

  constructor(clock: Clock, maxBuckets = 100_000) {
    this.#clock = clock;
    this.#maxBuckets = maxBuckets;
  }

  /**
   * Charges the first rule, in policy order, that has budget left; and of each ceiling (the rules of a cluster policy) one
   * rule, too, so that a namespace cannot widen the platform's budget by writing many rules.
   */
  admit(access: AdmittedBy, caller: Identity | undefined, demand: Demand): Admission | Refused {
    const charged: Admission[] = [];
    for (const rules of [access.rules, ...(access.ceilings ?? noCeilings)]) {
      const outcome = this.#admitFirst(rules, caller, demand);
      if (outcome.kind === 'refused') {
        for (const one of charged) one.undo();
        return outcome;
      }
      charged.push(outcome);
    }
    const [first] = charged;
    return first !== undefined && charged.length === 1 ? first : together(charged);
  }

  #admitFirst(rules: readonly MatchedRule[], caller: Identity | undefined, demand: Demand): Admission | Refused {
    let worst: Refused | undefined;
    for (const rule of rules) {
      const outcome = this.#admitBy(rule, caller, demand);
      if (outcome.kind === 'admitted') return outcome;
      if (worst === undefined || gravity[outcome.reason] > gravity[worst.reason]) worst = outcome;
    }
    return worst ?? unlimited;
  }

  #admitBy(rule: MatchedRule, caller: Identity | undefined, demand: Demand): Admission | Refused {
    const limits = rule.limits;
    if (limits === undefined) return { ...unlimited, rule };
    const refuse = (reason: Refused['reason'], retryAfter?: number): Refused => ({
      kind: 'refused',
      reason,
      rule: rule.id,
      retryAfter,
    });

    const cap = demand.generates ? limits.maxOutputTokens : undefined;
    if (cap !== undefined && demand.maxOutputTokens !== undefined && demand.maxOutputTokens > cap)
      return refuse('max_tokens_exceeded');

    const usage = this.#of(rule, caller);
    if (usage === undefined) return refuse('overloaded', 1);
    if (limits.concurrentRequests !== undefined && usage.live >= limits.concurrentRequests)
      return refuse('concurrency_limited', 1);

    const now = this.#clock.monotonic();
    usage.requests?.refill(now);
    if (usage.requests !== undefined && usage.requests.level < 1) return refuse('rate_limited', usage.requests.wait(1));

    const tokens = demand.generates ? usage.tokens : undefined;
    const reserved = tokens === undefined ? 0 : this.#reservation(demand, cap, tokens.capacity);
    tokens?.refill(now);
    if (tokens !== undefined && tokens.level < reserved) return refuse('token_limited', tokens.wait(reserved));

    if (usage.requests !== undefined) usage.requests.level -= 1;
    if (tokens !== undefined) tokens.level -= reserved;
    usage.live += 1;
    let settled = false;
    const once = (run: () => void): void => {
      if (settled) return;
      settled = true;
      usage.live -= 1;
      run();
    };
    return {
      kind: 'admitted',
      rule,
      maxOutputTokens: cap,
      needsUsage: tokens !== undefined,
      settle: (used) => once(() => give(tokens, reserved - used, this.#clock.monotonic())),
      undo: () =>
        once(() => {
          give(tokens, reserved, now);
          give(usage.requests, 1, now);
        }),
    };
  }

  /** Never more than a full bucket holds: a large request waits for a full bucket and then runs into debt. */
  #reservation(demand: Demand, cap: number | undefined, capacity: number): number {
    const output = Math.min(demand.maxOutputTokens ?? cap ?? assumedOutput, cap ?? Number.POSITIVE_INFINITY);
    return Math.min(capacity, Math.ceil(demand.promptBytes / 4) + output * demand.count);
  }

  #of(rule: MatchedRule, caller: Identity | undefined): Usage | undefined {
    const key = `${rule.id}\n${caller?.issuer ?? ''}\n${caller?.subject ?? ''}`;
    const now = this.#clock.monotonic();
    const known = this.#usage.get(key);
    const requests = rule.limits?.requestsPerMinute;
    const tokens = rule.limits?.tokensPerMinute;
    if (known !== undefined && known.requests?.capacity === requests && known.tokens?.capacity === tokens) return known;
    if (known === undefined && this.#usage.size >= this.#maxBuckets) {
      this.#forget(now);
      if (this.#usage.size >= this.#maxBuckets) return undefined;
    }
    // A changed limit begins with a full bucket; what is under way goes on counting in the same place.
    const usage: Usage = known ?? { requests: undefined, tokens: undefined, live: 0 };
    usage.requests = requests === undefined ? undefined : new Bucket(requests, now);
    usage.tokens = tokens === undefined ? undefined : new Bucket(tokens, now);
    this.#usage.set(key, usage);
    return usage;
  }

  #forget(now: number): void {
    for (const [key, usage] of this.#usage) {
      usage.requests?.refill(now);
      usage.tokens?.refill(now);
      const full = (bucket: Bucket | undefined): boolean => bucket === undefined || bucket.level >= bucket.capacity;
      if (usage.live === 0 && full(usage.requests) && full(usage.tokens)) this.#usage.delete(key);
    }
  }

  /** Buckets in memory: for metrics and tests. */
  get size(): number {
    return this.#usage.size;
  }
}
