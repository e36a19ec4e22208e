import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../base/index.ts';
import type { Identity, LimitStore, MatchedRule, ReasonCode } from '../core/index.ts';
import { SharedBucket, StoreHealth, idleMs } from './shared-bucket.ts';
import { Bucket, mostDebt } from './token-bucket.ts';

/**
 * Rate, token and concurrency limits, counted for each rule, issuer and subject: in this pod, or requests and tokens of rules with
 * scope `Policy` over all pods (shared-bucket.ts).
 *
 * Buckets refill continuously and hold one minute's worth. A request reserves tokens before it goes out (a quarter of
 * the prompt's bytes plus the most that it may produce; for embeddings the former alone) and settles to what was used when it ends; a bucket may go into
 * debt by a settlement, never by an admission. Buckets that are full and idle are forgotten, so memory is bounded by the
 * callers of the last minutes; when more than `maxBuckets` are live, new callers are refused rather than old ones forgotten.
 */

/** Output tokens assumed for admission when neither the request nor a rule says how many. */
const assumedOutput = 1_024;

/** Of this pod, or of all pods together. */
type Budget = Bucket | SharedBucket;

interface Usage {
  requests: Budget | undefined;
  tokens: Budget | undefined;
  live: number;
}

/** What a request wants to be admitted for. */
export interface Demand {
  /** Bytes of all prompt text. */
  readonly promptBytes: number;
  /** Of one answer: the most that the request asks for. */
  readonly maxOutputTokens: number | undefined;
  /** Of one answer: what no server exceeds. Undefined: the request has no such limit. */
  readonly outputBound: number | undefined;
  /** Answers asked for, of all prompts together. */
  readonly count: number;
  /** False for operations that produce no tokens. */
  readonly generates: boolean;
  /** It may produce some, and nothing is known that would limit them: a rule that does refuses it. Absent: that is not so. */
  readonly endless?: boolean;
  /** What is not known to produce any is charged for its input, and for what it used when it ends. Absent: only requests and concurrency count. */
  readonly countsInput?: boolean;
}

export interface Admission {
  readonly kind: 'admitted';
  /** Undefined when only Observe let the request through. */
  readonly rule: MatchedRule | undefined;
  /** What the request must be limited to, when the rule limits it. */
  readonly maxOutputTokens: number | undefined;
  /** Whether a stream must tell its usage at the end. */
  readonly needsUsage: boolean;
  /** Counted in this pod alone, because the shared count could not be asked and the rule allows that. */
  readonly alone: boolean;
  /** Gives the place back and charges what was really used; once. */
  settle(usedTokens: number): void;
  /** As if it had never been admitted: another limit of the same request refused. */
  undo(): void;
}

export interface Refused {
  readonly kind: 'refused';
  readonly reason: Extract<
    ReasonCode,
    | 'rate_limited'
    | 'token_limited'
    | 'concurrency_limited'
    | 'max_tokens_exceeded'
    | 'overloaded'
    | 'limits_unavailable'
  >;
  readonly rule: string;
  readonly retryAfter: number | undefined;
}

export const unlimited: Admission = {
  kind: 'admitted',
  rule: undefined,
  maxOutputTokens: undefined,
  needsUsage: false,
  alone: false,
  settle: () => undefined,
  undo: () => undefined,
};

/** An access decision's own rules and what bounds them. */
export interface AdmittedBy {
  readonly rules: readonly MatchedRule[];
  readonly ceilings?: readonly (readonly MatchedRule[])[];
}

const noCeilings: readonly (readonly MatchedRule[])[] = [];

/** Only the store can say: `admit` asks and tries again. */
interface Unknown {
  readonly kind: 'unknown';
  readonly budget: SharedBucket;
  readonly amount: number;
}

/** Several admissions of one request: the smallest output, and all of them are settled. */
function together(charged: readonly Admission[]): Admission {
  const caps = charged.map((one) => one.maxOutputTokens).filter((cap) => cap !== undefined);
  return {
    kind: 'admitted',
    rule: charged[0]?.rule,
    maxOutputTokens: caps.length === 0 ? undefined : Math.min(...caps),
    needsUsage: charged.some((one) => one.needsUsage),
    alone: charged.some((one) => one.alone),
    settle: (used) => charged.forEach((one) => one.settle(used)),
    undo: () => charged.forEach((one) => one.undo()),
  };
}

/** The order of attempts when several rules refuse: what the caller can mend first is reported. */
const gravity: Readonly<Record<Refused['reason'], number>> = {
  max_tokens_exceeded: 0,
  overloaded: 1,
  limits_unavailable: 2,
  concurrency_limited: 3,
  token_limited: 4,
  rate_limited: 5,
};

interface Wanted {
  readonly requests: Budget | undefined;
  readonly tokens: Budget | undefined;
  readonly reserved: number;
}

type Place =
  | ({ readonly kind: 'fits'; readonly alone: boolean } & Wanted)
  | { readonly kind: 'refused'; readonly reason: Refused['reason']; readonly retryAfter: number }
  | Unknown;

const aloneOf = (budget: Budget | undefined, now: number): Budget | undefined =>
  budget instanceof SharedBucket ? budget.alone(now) : budget;

/** Whether one request and its tokens fit, of both or of neither. `perPod`: while the store is down the pod counts alone. */
function placeIn(wanted: Wanted, perPod: boolean, now: number, alone = false): Place {
  const { requests, tokens, reserved } = wanted;
  for (const [budget, amount, reason] of [
    [requests, 1, 'rate_limited'],
    [tokens, reserved, 'token_limited'],
  ] as const) {
    const fit = budget?.fits(amount, now) ?? 'yes';
    if (budget === undefined || fit === 'yes') continue;
    if (fit === 'no') return { kind: 'refused', reason, retryAfter: budget.wait(amount) };
    if (fit === 'ask' && budget instanceof SharedBucket) return { kind: 'unknown', budget, amount };
    if (!perPod) return { kind: 'refused', reason: 'limits_unavailable', retryAfter: 1 };
    return placeIn({ requests: aloneOf(requests, now), tokens: aloneOf(tokens, now), reserved }, perPod, now, true);
  }
  return { kind: 'fits', alone, ...wanted };
}

export interface LimiterOptions {
  /** Live buckets at most; default 100,000. */
  readonly maxBuckets?: number;
  /** Counts for scope `Policy`; absent: it is as if it were down. */
  readonly store?: LimitStore | undefined;
  /** Of the pod: rules of two namespaces may have one name. */
  readonly namespace?: string;
  /** A question to the store failed: for a metric. */
  readonly onStoreFault?: () => void;
}

/** The model says what was used: no more than an hour's worth is believed, and what is no number is what was reserved. */
function credible(used: number, reserved: number, capacity: number): number {
  return Number.isNaN(used) ? reserved : Math.max(0, Math.min(used, reserved + mostDebt * capacity));
}

/** So long after a walk over all buckets found too few to forget there is no other. */
const crowdedMs = 1_000;

/** A flood of requests of one caller may take each other's answers away: so often one asks, then it is refused. */
const maxQuestions = 8;

export class Limiter {
  readonly #clock: Clock;
  readonly #usage = new Map<string, Usage>();
  readonly #maxBuckets: number;
  readonly #health: StoreHealth;
  readonly #namespace: string;
  readonly #shared = new Set<SharedBucket>();
  #tidying: Timer | undefined;
  #crowdedUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, { maxBuckets = 100_000, store, namespace = '', onStoreFault }: LimiterOptions = {}) {
    this.#clock = clock;
    this.#maxBuckets = maxBuckets;
    this.#namespace = namespace;
    this.#health = new StoreHealth(store, clock, () => onStoreFault?.());
  }

  /**
   * Charges the first rule, in policy order, that has budget left; and of each ceiling (the rules of a cluster policy) one
   * rule, too, so that a namespace cannot widen the platform's budget by writing many rules. A promise only where the shared
   * count must be asked first; it never rejects.
   */
  admit(
    access: AdmittedBy,
    caller: Identity | undefined,
    demand: Demand,
  ): Admission | Refused | Promise<Admission | Refused> {
    const outcome = this.#admitAll(access, caller, demand);
    return outcome.kind === 'unknown' ? this.#askAndAdmit(access, caller, demand, outcome) : outcome;
  }

  async #askAndAdmit(
    access: AdmittedBy,
    caller: Identity | undefined,
    demand: Demand,
    first: Unknown,
  ): Promise<Admission | Refused> {
    let outcome: Admission | Refused | Unknown = first;
    for (let asked = 0; outcome.kind === 'unknown' && asked < maxQuestions; asked++) {
      await outcome.budget.ask(outcome.amount);
      outcome = this.#admitAll(access, caller, demand);
    }
    if (outcome.kind !== 'unknown') return outcome;
    return { kind: 'refused', reason: 'overloaded', rule: access.rules[0]?.id ?? 'default', retryAfter: 1 };
  }

  #admitAll(access: AdmittedBy, caller: Identity | undefined, demand: Demand): Admission | Refused | Unknown {
    const charged: Admission[] = [];
    for (const rules of [access.rules, ...(access.ceilings ?? noCeilings)]) {
      const outcome = this.#admitFirst(rules, caller, demand);
      if (outcome.kind !== 'admitted') {
        for (const one of charged) one.undo();
        return outcome;
      }
      charged.push(outcome);
    }
    const [first] = charged;
    return first !== undefined && charged.length === 1 ? first : together(charged);
  }

  #admitFirst(
    rules: readonly MatchedRule[],
    caller: Identity | undefined,
    demand: Demand,
  ): Admission | Refused | Unknown {
    let worst: Refused | undefined;
    for (const rule of rules) {
      const outcome = this.#admitBy(rule, caller, demand);
      if (outcome.kind !== 'refused') return outcome;
      if (worst === undefined || gravity[outcome.reason] > gravity[worst.reason]) worst = outcome;
    }
    return worst ?? unlimited;
  }

  #admitBy(rule: MatchedRule, caller: Identity | undefined, demand: Demand): Admission | Refused | Unknown {
    const limits = rule.limits;
    if (limits === undefined) return { ...unlimited, rule };
    const refuse = (reason: Refused['reason'], retryAfter?: number): Refused => ({
      kind: 'refused',
      reason,
      rule: rule.id,
      retryAfter,
    });

    if (demand.endless === true && limits.maxOutputTokens !== undefined) return refuse('max_tokens_exceeded');
    const cap = demand.generates ? limits.maxOutputTokens : undefined;
    if (cap !== undefined && demand.maxOutputTokens !== undefined && demand.maxOutputTokens > cap)
      return refuse('max_tokens_exceeded');

    const usage = this.#of(rule, caller);
    if (usage === undefined) return refuse('overloaded', 1);
    if (limits.concurrentRequests !== undefined && usage.live >= limits.concurrentRequests)
      return refuse('concurrency_limited', 1);

    const now = this.#clock.monotonic();
    const counted = demand.generates || demand.countsInput === true ? usage.tokens : undefined;
    const reserved = counted === undefined ? 0 : this.#reservation(demand, cap, counted.capacity);
    const wanted = { requests: usage.requests, tokens: counted, reserved };
    const place = placeIn(wanted, limits.failureMode === 'PerPod', now);
    if (place.kind === 'unknown') return place;
    if (place.kind === 'refused') return refuse(place.reason, place.retryAfter);
    const { requests, tokens, alone } = place;
    requests?.take(1);
    tokens?.take(reserved);
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
      needsUsage: tokens !== undefined && demand.generates,
      alone,
      settle: (used) =>
        once(() => tokens?.give(reserved - credible(used, reserved, tokens.capacity), this.#clock.monotonic())),
      undo: () =>
        once(() => {
          tokens?.give(reserved, now);
          requests?.give(1, now);
        }),
    };
  }

  /**
   * Never more than a full bucket holds: a large request waits for a full bucket and then runs into debt. Never nothing: what has no
   * text waits, too, where all is used up.
   */
  #reservation(demand: Demand, cap: number | undefined, capacity: number): number {
    const unbounded = cap ?? Math.max(demand.maxOutputTokens ?? 0, assumedOutput);
    const output = Math.min(demand.outputBound ?? unbounded, cap ?? Number.POSITIVE_INFINITY);
    const wanted = Math.ceil(demand.promptBytes / 4) + (demand.generates ? output * demand.count : 0);
    return wanted >= 0 ? Math.min(capacity, Math.max(1, wanted)) : capacity;
  }

  #of(rule: MatchedRule, caller: Identity | undefined): Usage | undefined {
    const limits = rule.limits;
    const shared = limits?.scope === 'Policy';
    const key = `${rule.id}\n${caller?.issuer ?? ''}\n${caller?.subject ?? ''}`;
    const now = this.#clock.monotonic();
    const known = this.#usage.get(key);
    const fits = (budget: Budget | undefined, capacity: number | undefined): boolean =>
      budget?.capacity === capacity && (budget === undefined || budget instanceof SharedBucket === shared);
    if (
      known !== undefined &&
      fits(known.requests, limits?.requestsPerMinute) &&
      fits(known.tokens, limits?.tokensPerMinute)
    )
      return known;
    if (known === undefined && this.#usage.size >= this.#maxBuckets) {
      if (now < this.#crowdedUntil) return undefined;
      this.#forget(now);
      if (this.#usage.size >= this.#maxBuckets) {
        this.#crowdedUntil = now + crowdedMs;
        return undefined;
      }
    }
    // A changed limit begins as full as the old one was: requests of an old and a new policy may come in turn. What is under way goes
    // on counting in the same place.
    const usage: Usage = known ?? { requests: undefined, tokens: undefined, live: 0 };
    const budget = (kind: string, capacity: number | undefined, before: Budget | undefined): Budget | undefined => {
      if (capacity === undefined) return undefined;
      const inPod = before instanceof SharedBucket ? before.countedAlone : before;
      const alone = inPod?.resized(capacity, now);
      return shared ? this.#sharedBucket(`${kind}\n${key}`, capacity, alone) : (alone ?? new Bucket(capacity, now));
    };
    this.#endShared(usage);
    usage.requests = budget('requests', limits?.requestsPerMinute, usage.requests);
    usage.tokens = budget('tokens', limits?.tokensPerMinute, usage.tokens);
    this.#usage.set(key, usage);
    return usage;
  }

  /** Named by a digest, and by its capacity: pods that know an older limit count in a bucket of their own. */
  #sharedBucket(name: string, capacity: number, alone: Bucket | undefined): SharedBucket {
    const key = createHash('sha256').update(`${this.#namespace}\n${capacity}\n${name}`).digest('base64url');
    const bucket = new SharedBucket({ key, capacity }, this.#health, this.#clock, alone);
    this.#shared.add(bucket);
    this.#tidying ??= this.#clock.every(idleMs / 2, () => {
      const now = this.#clock.monotonic();
      for (const one of this.#shared) one.tidy(now);
    });
    return bucket;
  }

  #endShared(usage: Usage): void {
    for (const budget of [usage.requests, usage.tokens]) {
      if (!(budget instanceof SharedBucket)) continue;
      budget.end();
      this.#shared.delete(budget);
    }
  }

  #forget(now: number): void {
    for (const [key, usage] of this.#usage) {
      const idle = (budget: Budget | undefined): boolean => budget?.idle(now) ?? true;
      if (usage.live > 0 || !idle(usage.requests) || !idle(usage.tokens)) continue;
      this.#endShared(usage);
      this.#usage.delete(key);
    }
  }

  /** Gives back what other pods could use. */
  close(): void {
    this.#tidying?.cancel();
    for (const one of this.#shared) one.end();
  }

  /** Buckets in memory: for metrics and tests. */
  get size(): number {
    return this.#usage.size;
  }
}
