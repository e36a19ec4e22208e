import type { Clock } from '../base/index.ts';
import type { Upstream, UpstreamCall, UpstreamHandler, UpstreamRequest } from './exchange.ts';
import { NoHttp2Error } from './http2-upstream.ts';

/**
 * Requests to a server of which nobody knows what it speaks: over HTTP/2 where it chooses that by ALPN (RFC 7301), else over HTTP/1.1.
 *
 * Guarantee: as that of {@link Upstream}. A request goes over to HTTP/1.1 only where its server had chosen that before anything was sent, so none
 * is sent twice by it; and it goes, whatever the server chose. That it chose HTTP/1.1 is remembered for some minutes: each look costs a handshake.
 */
export interface NegotiatedOptions {
  /** Offers both, and says where the server chose HTTP/1.1. Closed by whoever made it, for calls of gRPC may go there too. */
  readonly http2: Pick<Upstream, 'send'>;
  readonly http1: Upstream;
  readonly clock: Clock;
}

/** A server may be upgraded. */
const askAgainMs = 600_000;

export function createNegotiatedUpstream({ http2, http1, clock }: NegotiatedOptions): Upstream {
  let http1Until = Number.NEGATIVE_INFINITY;
  return {
    send(request, handler) {
      if (clock.monotonic() < http1Until) return http1.send(request, handler);
      return new Call(request, handler, http2, () => {
        http1Until = clock.monotonic() + askAgainMs;
        return http1;
      });
    },
    close: () => http1.close(),
  };
}

class Call implements UpstreamCall {
  #call: UpstreamCall | undefined;
  #paused = false;
  #aborted = false;

  constructor(
    request: UpstreamRequest,
    handler: UpstreamHandler,
    first: Pick<Upstream, 'send'>,
    other: () => Upstream,
  ) {
    // Once there is an answer it is not sent again, and its body is held by nobody.
    let held: UpstreamRequest | undefined = request;
    this.#call = first.send(request, {
      head: (status, headers) => {
        held = undefined;
        handler.head(status, headers);
      },
      bodyReleased: () => handler.bodyReleased?.(),
      data: (chunk) => handler.data(chunk),
      trailers: (headers) => handler.trailers?.(headers),
      end: () => handler.end(),
      error: (error) => {
        const again = held;
        held = undefined;
        if (!(error instanceof NoHttp2Error) || again === undefined) return handler.error(error);
        const http1 = other();
        if (this.#aborted) return;
        this.#call = http1.send(again, handler);
        if (this.#paused) this.#call.pause();
      },
    });
  }

  pause(): void {
    this.#paused = true;
    this.#call?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#call?.resume();
  }

  abort(): void {
    this.#aborted = true;
    this.#call?.abort();
  }
}
