import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import type { HttpGet } from './http-get.ts';
import { fetchKeys } from './key-source.ts';
import type { KeySourceSpec } from './key-source.ts';
import type { VerificationKey } from './verification-key.ts';

/**
 * The keys of one issuer, kept fresh and kept through outages.
 *
 * Promise: however many tokens name keys that do not exist, the issuer sees at most one request for them per
 * `unknownKeyCooldownMs`, beside the regular refresh. While the issuer is down the last good keys stay in use for
 * `staleAfterMs`, and keys that were not among them are refused. A key that the issuer no longer publishes stops
 * counting at the next refresh, cached tokens included.
 *
 * Limit: a withdrawn key is believed until that refresh, at most `refreshMs` later while the issuer can be reached, and
 * at most `staleAfterMs` while it cannot.
 */
export interface KeySetTimes {
  /** Between regular refreshes; default 5 min. */
  readonly refreshMs: number;
  /** Least time between two requests that unknown keys cause; default 30 s. */
  readonly unknownKeyCooldownMs: number;
  /** How long one unknown key id causes no request at all; default 60 s. */
  readonly absentKeyMs: number;
  /** How long the last good keys are used without a successful refresh; default 24 h. */
  readonly staleAfterMs: number;
  /** First wait after a failed refresh, doubled each time up to `refreshMs`; default 2 s. */
  readonly retryMs: number;
}

export const defaultKeySetTimes: KeySetTimes = {
  refreshMs: 300_000,
  unknownKeyCooldownMs: 30_000,
  absentKeyMs: 60_000,
  staleAfterMs: 86_400_000,
  retryMs: 2_000,
};

/** Key ids that are known to be absent; more than this many at once are forgotten, which costs one request per cooldown. */
const maxAbsent = 1_024;

export interface KeySetOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly get: HttpGet;
  readonly times: KeySetTimes;
}

/** `unavailable`: there are no keys to judge by, because none were ever had or the last ones are too old. */
export type KeyAnswer = readonly VerificationKey[] | 'unavailable';

export class KeySet {
  /** Of the source: equal where that is. */
  readonly name: string;
  readonly #spec: KeySourceSpec;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #get: HttpGet;
  readonly #times: KeySetTimes;
  #keys: readonly VerificationKey[] = [];
  /** Monotonic; undefined while there are no keys to judge by. */
  #loadedAt: number | undefined = undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #flight: Promise<void> | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #running = false;
  readonly #absent = new Map<string, number>();

  constructor(name: string, spec: KeySourceSpec, options: KeySetOptions) {
    this.name = name;
    this.#spec = spec;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#get = options.get;
    this.#times = options.times;
  }

  /** Begins to refresh; the first fetch starts at once, so that the first caller need not wait for it. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#refresh();
  }

  /** Stops refreshing. What is known stays usable. */
  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /**
   * Keys that may have signed a token of this header, without waiting where they are known. All keys that fit the
   * algorithm when the token names none.
   */
  find(keyId: string | undefined, algorithm: string): KeyAnswer | Promise<KeyAnswer> {
    this.#dropStale();
    const found = this.#fitting(keyId, algorithm);
    if (found.length > 0) return found;
    if (this.#loadedAt === undefined) return this.#firstKeys(keyId, algorithm);
    // The id is known and its key does not fit: that is no rotation.
    if (keyId !== undefined && this.#keys.some((key) => key.id === keyId)) return [];
    if (!this.#mayAsk(keyId)) return [];
    return this.#ask(keyId, algorithm);
  }

  /**
   * For a token without key id whose signature no present key fits: perhaps the keys were rotated. Undefined when that
   * was asked a moment ago or brought nothing new.
   */
  async newer(algorithm: string): Promise<readonly VerificationKey[] | undefined> {
    if (!this.#mayAsk(undefined)) return undefined;
    const before = this.#keys;
    const answer = await this.#ask(undefined, algorithm);
    if (answer === 'unavailable') return undefined;
    return answer.filter((key) => !before.includes(key));
  }

  #fitting(keyId: string | undefined, algorithm: string): VerificationKey[] {
    return this.#keys.filter((key) => (keyId === undefined || key.id === keyId) && key.fits(algorithm));
  }

  async #firstKeys(keyId: string | undefined, algorithm: string): Promise<KeyAnswer> {
    const waited = this.#clock.monotonic() - this.#askedAt >= this.#times.retryMs;
    if (this.#flight !== undefined || waited) {
      this.#askedAt = this.#flight === undefined ? this.#clock.monotonic() : this.#askedAt;
      await this.#refresh();
    }
    return this.#loadedAt === undefined ? 'unavailable' : this.#fitting(keyId, algorithm);
  }

  #mayAsk(keyId: string | undefined): boolean {
    const now = this.#clock.monotonic();
    if (keyId !== undefined && (this.#absent.get(keyId) ?? Number.NEGATIVE_INFINITY) > now) return false;
    return this.#flight !== undefined || now - this.#askedAt >= this.#times.unknownKeyCooldownMs;
  }

  async #ask(keyId: string | undefined, algorithm: string): Promise<KeyAnswer> {
    if (this.#flight === undefined) this.#askedAt = this.#clock.monotonic();
    await this.#refresh();
    const found = this.#fitting(keyId, algorithm);
    if (found.length === 0 && keyId !== undefined) this.#rememberAbsent(keyId);
    return found;
  }

  #rememberAbsent(keyId: string): void {
    if (this.#absent.size >= maxAbsent) this.#absent.clear();
    this.#absent.set(keyId, this.#clock.monotonic() + this.#times.absentKeyMs);
  }

  /** One fetch at a time, whoever asks. Never rejects. */
  #refresh(): Promise<void> {
    this.#flight ??= this.#fetch().finally(() => {
      this.#flight = undefined;
      this.#schedule();
    });
    return this.#flight;
  }

  async #fetch(): Promise<void> {
    try {
      this.#take(await fetchKeys(this.#spec, this.#get));
      if (this.#failures > 0) this.#logger.info('keys of the identity provider are fresh again', this.#fields());
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      this.#dropStale();
      this.#logger.warn('keys of the identity provider could not be refreshed', {
        ...this.#fields(),
        error: describeError(error),
        failures: this.#failures,
      });
    }
  }

  #fields(): { issuer: string; keys: number } {
    return { issuer: this.#spec.issuer, keys: this.#keys.length };
  }

  /** Keys that stay keep their object, and with it everything that they proved. */
  #take(fetched: readonly VerificationKey[]): void {
    const known = new Map(this.#keys.map((key) => [key.print, key]));
    const kept = fetched.map((key) => known.get(key.print) ?? key);
    const staying = new Set(kept);
    for (const key of this.#keys) if (!staying.has(key)) key.retired = true;
    this.#keys = kept;
    this.#loadedAt = this.#clock.monotonic();
  }

  #dropStale(): void {
    if (this.#loadedAt === undefined || this.#clock.monotonic() - this.#loadedAt < this.#times.staleAfterMs) return;
    for (const key of this.#keys) key.retired = true;
    this.#keys = [];
    this.#loadedAt = undefined;
    this.#logger.error('keys of the identity provider are too old to be used', this.#fields());
  }

  #schedule(): void {
    this.#timer?.cancel();
    if (!this.#running) return;
    const backOff = this.#times.retryMs * 2 ** Math.min(this.#failures - 1, 20);
    const wait = this.#failures === 0 ? this.#times.refreshMs : Math.min(backOff, this.#times.refreshMs);
    this.#timer = this.#clock.after(wait, () => void this.#refresh());
  }
}
