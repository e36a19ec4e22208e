import { constants } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { Clock } from '../base/index.ts';

/**
 * Caps on what costs us and not the peer: resets in either direction (rapid reset, CVE-2023-44487; MadeYouReset,
 * CVE-2025-8671), pings and settings (CVE-2019-9512, -9515). nghttp2 has caps of its own on header frames without end
 * (CVE-2024-28182), queued acknowledgements and resets; these stand before them and are told.
 */
export interface Http2FloodLimits {
  /** Streams reset by either side in 10 s. */
  readonly resets: number;
  readonly pings: number;
  readonly settings: number;
}

const windowMs = 10_000;

export class Http2Guard {
  readonly #session: ServerHttp2Session;
  readonly #limits: Http2FloodLimits;
  readonly #clock: Clock;
  readonly #onFlood: () => void;
  #windowFrom: number;
  #resets = 0;
  #pings = 0;
  #settings = 0;

  constructor(session: ServerHttp2Session, limits: Http2FloodLimits, clock: Clock, onFlood: () => void) {
    this.#session = session;
    this.#limits = limits;
    this.#clock = clock;
    this.#onFlood = onFlood;
    this.#windowFrom = clock.monotonic();
    session.on('ping', () => {
      this.#roll();
      if (++this.#pings > limits.pings) this.#end();
    });
    session.on('remoteSettings', () => {
      this.#roll();
      if (++this.#settings > limits.settings) this.#end();
    });
  }

  /** A stream of this session ended by a reset. */
  countReset(): void {
    this.#roll();
    if (++this.#resets > this.#limits.resets) this.#end();
  }

  #roll(): void {
    const now = this.#clock.monotonic();
    if (now - this.#windowFrom < windowMs) return;
    this.#windowFrom = now;
    this.#resets = this.#pings = this.#settings = 0;
  }

  #end(): void {
    if (this.#session.destroyed) return;
    this.#onFlood();
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#session.destroy();
  }
}
