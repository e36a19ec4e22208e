import type { OutgoingHttpHeaders } from 'node:http';
import type { Clock, Timer } from '../base/index.ts';
import type { StreamFraming } from '../dialect/index.ts';
import type { Exchange } from '../http/index.ts';

/**
 * The exchange of a caller who asked for a stream and has to wait for people. It stays silent for a while, so that a quick no is a
 * plain status; then it begins the stream and keeps it alive with comments (WHATWG HTML section 9.2.7), which clients pass over.
 * Where the stream's framing has none, it is silent to the end, and its caller gets the status of what came of it. Whatever comes afterwards, also an answer that is no stream, goes out as events of it.
 */
export interface HeldExchange extends Exchange {
  /** The head has left: the status can no longer be chosen. */
  readonly begun: boolean;
  /** What the stream that began, or may begin, is framed in; undefined: it will not begin by itself. */
  readonly framing: StreamFraming | undefined;
  /** What was waited for is there: no more comments. */
  release(): void;
  /** Something else is waited for. */
  hold(): void;
}

export interface HeldExchangeOptions {
  readonly exchange: Exchange;
  readonly clock: Clock;
  /** Of the stream that was asked for; undefined: its route has none. */
  readonly framing: StreamFraming | undefined;
  /** Head of the stream, taken when it begins. */
  readonly headers: () => OutgoingHttpHeaders;
  /** Name of the event that an error of the model's goes out as; undefined: none. */
  readonly errorEvent: string | undefined;
  /** The event for a model that failed and said nothing, where the stream has begun. */
  readonly failed: () => string;
  /** Milliseconds of silence; default 5,000. */
  readonly silenceMs?: number;
  /** Milliseconds between comments; default 10,000: shorter than the idle timeouts of usual balancers. */
  readonly everyMs?: number;
}

/** What is said while people decide. */
const waiting = 'waiting for approval';

export function holdExchange(options: HeldExchangeOptions): HeldExchange {
  const { exchange, clock, framing, headers, errorEvent, failed, silenceMs = 5_000, everyMs = 10_000 } = options;
  let begun = false;
  let timer: Timer | undefined;
  const release = (): void => {
    timer?.cancel();
    timer = undefined;
  };
  const comment = framing?.comment?.(waiting);
  const beat = (): void => {
    if (comment !== undefined) exchange.write(comment);
    timer = clock.after(everyMs, beat);
  };
  const hold = (): void => {
    release();
    if (comment === undefined) return;
    if (begun) {
      timer = clock.after(everyMs, beat);
      return;
    }
    timer = clock.after(silenceMs, () => {
      begun = true;
      exchange.start(200, headers());
      beat();
    });
  };
  hold();
  exchange.onClose(release);
  return {
    get begun() {
      return begun;
    },
    framing: comment === undefined ? undefined : framing,
    release,
    hold,
    startedAt: exchange.startedAt,
    protocol: exchange.protocol,
    encrypted: exchange.encrypted,
    peer: exchange.peer,
    method: exchange.method,
    target: exchange.target,
    headers: exchange.headers,
    clientCertificate: exchange.clientCertificate,
    readBody: (limits) => exchange.readBody(limits),
    releaseBody: () => exchange.releaseBody(),
    get bytesIn() {
      return exchange.bytesIn;
    },
    get bytesOut() {
      return exchange.bytesOut;
    },
    get backlogged() {
      return exchange.backlogged;
    },
    get backlogBytes() {
      return exchange.backlogBytes;
    },
    respond(status, head, body) {
      release();
      if (!begun) return exchange.respond(status, head, body);
      // An event without data would be no JSON to its client; none at all, and it looks as the model meant it, unless that failed.
      if (body.length === 0) return exchange.end(status >= 400 ? failed() : undefined);
      const text = typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
      exchange.end(framing?.frame(text, status >= 400 ? errorEvent : undefined));
    },
    start(status, head) {
      release();
      if (!begun) exchange.start(status, head);
    },
    write: (chunk) => exchange.write(chunk),
    end: (chunk) => exchange.end(chunk),
    destroy: () => exchange.destroy(),
    breakOff: () => exchange.breakOff(),
    onDrain: (listener) => exchange.onDrain(listener),
    onClose: (listener) => exchange.onClose(listener),
  };
}
