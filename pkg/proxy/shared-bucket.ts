import type { Clock } from '../base/index.ts';
import type { LimitStore, SharedBucket as StoreBucket, SharedGrant } from '../core/index.ts';
import { Bucket, mostDebt } from './token-bucket.ts';

/**
 * A bucket that several pods draw from, as one pod sees it.
 *
 * The pod holds a slice that it took from the store beforehand, so that what all pods admit never exceeds the bucket. While the
 * bucket is at least half full, the slice is filled up beside the traffic and no request waits; nearer to the limit, each request
 * takes what it needs and no more, and waits for the answer. So does the first request of a caller in this pod: until then nobody
 * knows how full the bucket is. A slice that is not used goes back after {@link idleMs}.
 *
 * Limits: what idle pods hold (a {@link sliceShare}th each) is missing from the bucket for that long, and a pod that dies takes its
 * slice along until the bucket has refilled.
 */

/** A slice is this part of the bucket. */
const sliceShare = 50;
/** After which an unused slice goes back. */
export const idleMs = 2_000;
/** How long an answer "there is not enough" holds for the same amount, at most: a flood of refused requests does not reach the store. */
const dryMs = 500;

/** Answers of the store, and whether it can be asked. While it cannot, one request a second finds out. */
export class StoreHealth {
  readonly store: LimitStore | undefined;
  readonly #clock: Clock;
  readonly #onFault: () => void;
  #retryAt = Number.NEGATIVE_INFINITY;
  #failed = false;
  #probing = false;

  constructor(store: LimitStore | undefined, clock: Clock, onFault: () => void) {
    this.store = store;
    this.#clock = clock;
    this.#onFault = onFault;
  }

  get down(): boolean {
    if (this.store === undefined) return true;
    return this.#failed && (this.#probing || this.#clock.monotonic() < this.#retryAt);
  }

  async ask<T>(question: (store: LimitStore) => Promise<T>): Promise<T | undefined> {
    if (this.store === undefined) return undefined;
    this.#probing = this.#failed;
    try {
      const answer = await question(this.store);
      this.#failed = false;
      return answer;
    } catch {
      this.#failed = true;
      this.#retryAt = this.#clock.monotonic() + 1_000;
      this.#onFault();
      return undefined;
    } finally {
      this.#probing = false;
    }
  }
}

/** Whoever answers, no more is believed than was asked for. @throws Error */
function believable(grant: SharedGrant, least: number, most: number): SharedGrant {
  const { granted, remaining, waitMs } = grant;
  const fits = granted === 0 || (Number.isSafeInteger(granted) && granted >= least && granted <= most);
  if (!fits || !Number.isFinite(remaining) || !Number.isFinite(waitMs) || waitMs < 0)
    throw new Error('the limit store granted what was not asked for');
  return grant;
}

/** Longest time to come back that a caller is told, seconds. */
const mostWait = 3_600;

export type Fit = 'yes' | 'no' | 'ask' | 'down';

export class SharedBucket {
  readonly capacity: number;
  readonly #bucket: StoreBucket;
  readonly #health: StoreHealth;
  readonly #clock: Clock;
  readonly #slice: number;
  /** What of the slice is left; below zero, what was used beyond and not charged yet. */
  #level = 0;
  #remaining = 0;
  #dry: { readonly until: number; readonly amount: number } | undefined;
  #flight: Promise<void> | undefined;
  #usedAt: number;
  /** Counts in this pod alone while the store is down and the rule says so. */
  #alone: Bucket | undefined;
  #ended = false;

  /** @param alone where this pod's own count stands already. */
  constructor(bucket: StoreBucket, health: StoreHealth, clock: Clock, alone?: Bucket) {
    this.#alone = alone;
    this.capacity = bucket.capacity;
    this.#bucket = bucket;
    this.#health = health;
    this.#clock = clock;
    this.#slice = Math.max(1, Math.floor(bucket.capacity / sliceShare));
    this.#usedAt = clock.monotonic();
  }

  /** `ask`: only the store knows, see {@link ask}. `down`: it cannot be asked. */
  fits(amount: number, now: number): Fit {
    this.#usedAt = now;
    if (this.#level >= amount) return 'yes';
    // Compared is what is lacking, as it was asked for: with a debt that is more than the amount.
    if (this.#dry !== undefined && now < this.#dry.until && Math.ceil(amount - this.#level) >= this.#dry.amount)
      return 'no';
    return this.#health.down ? 'down' : 'ask';
  }

  take(amount: number): void {
    this.#level -= amount;
    if (this.#level < this.#slice / 2 && this.#far && this.#flight === undefined && !this.#health.down)
      void this.#draw(this.#slice, this.#slice);
  }

  /** Whether there is so much left that taking ahead takes nothing away from other pods. */
  get #far(): boolean {
    return this.#remaining * 2 >= this.capacity;
  }

  give(amount: number, _now: number): void {
    this.#level = Math.max(-mostDebt * this.capacity, this.#level + amount);
    if (this.#ended || this.#level < 0) this.#settle(0);
    else if (this.#level > 2 * this.#slice) this.#settle(this.#slice);
  }

  /** Seconds. */
  wait(_amount: number): number {
    const left = (this.#dry?.until ?? 0) - this.#clock.monotonic();
    return Math.min(mostWait, Math.max(1, Math.ceil(left / 1_000), this.#waitSeconds));
  }
  #waitSeconds = 1;

  /** Draws from the store until `amount` is here or the store has said no. Never rejects. */
  async ask(amount: number): Promise<void> {
    while (this.#flight !== undefined) await this.#flight;
    // Somebody else's answer may have brought enough, or said that there is none.
    if (this.fits(amount, this.#clock.monotonic()) !== 'ask') return;
    const least = Math.ceil(amount - this.#level);
    await this.#draw(least, this.#far ? Math.max(least, this.#slice) : least);
  }

  #draw(least: number, most: number): Promise<void> {
    const flight = this.#health
      .ask(async (store) => believable(await store.take(this.#bucket, least, most), least, most))
      .then((grant) => {
        this.#flight = undefined;
        if (grant === undefined) return;
        this.#remaining = grant.remaining;
        this.#level += grant.granted;
        if (grant.granted > 0) {
          this.#dry = undefined;
          // Too late to be of use here.
          if (this.#ended) this.#settle(0);
          return;
        }
        this.#waitSeconds = Math.max(1, Math.ceil(grant.waitMs / 1_000));
        const until = this.#clock.monotonic() + Math.min(dryMs, Math.max(1, grant.waitMs));
        this.#dry = { until, amount: least };
      });
    this.#flight = flight;
    return flight;
  }

  /** Hands on to the store what is above `keep`, or below zero. */
  #settle(keep: number): void {
    const amount = Math.trunc(this.#level - keep);
    if (amount === 0 || this.#health.down) return;
    this.#level -= amount;
    void this.#health
      .ask(async (store) => {
        await store.settle(this.#bucket, amount);
        return true;
      })
      .then((done) => {
        // What could not be charged stays a debt; what could not be given back is lost, rather than perhaps given twice.
        if (done === undefined && amount < 0) this.#level += amount;
      });
  }

  /** Gives an unused slice back. */
  tidy(now: number): void {
    if (this.#level !== 0 && this.#flight === undefined && now - this.#usedAt >= idleMs) this.#settle(0);
  }

  /** Gives everything back: the pod ends. */
  end(): void {
    this.#ended = true;
    this.#settle(0);
  }

  idle(now: number): boolean {
    return Math.trunc(this.#level) === 0 && this.#flight === undefined && (this.#alone?.idle(now) ?? true);
  }

  /** The same, where it has been used. */
  get countedAlone(): Bucket | undefined {
    return this.#alone;
  }

  /** The count of this pod alone, which holds while the store is down. */
  alone(now: number): Bucket {
    this.#alone ??= new Bucket(this.capacity, now);
    return this.#alone;
  }
}
