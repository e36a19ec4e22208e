import { Agent as HttpAgent } from 'node:http';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import util from 'node:util';
import type HttpProxy from 'http-proxy';
import { describeError, errorCode, systemClock } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { Exchange } from './exchange.ts';
import type { PassthroughRoute, PassthroughWatch } from './passthrough-route.ts';
import { WebSocketJoin } from './passthrough-socket.ts';
import { WebRequest, asStrings, longestSilenceMs, withoutUndefined } from './passthrough-web.ts';
import { rawUpgrade } from './raw-exchange.ts';
import type { RawExchange, RawUpgrade } from './raw-exchange.ts';
import type { UpgradeRequest } from './upgrade.ts';
import { guardPool } from './upstream-pool.ts';

/**
 * Routes that a policy passes uninspected: bodies and WebSocket frames go by as they are, on `http-proxy`. The one file
 * that imports it, so that it can be replaced (it is no longer maintained); it is loaded by the first request that needs it.
 *
 * Guarantee: the decided path and headers are what is sent, response headers pass by the same allow-list as elsewhere,
 * and either side's end ends the other. Limit: of content nothing here is read or masked, only its bytes are counted.
 */
export interface PassthroughOptions {
  /** `http:` or `https:`, with host and port, without a path. */
  readonly target: string;
  readonly tls?: { readonly ca?: string; readonly serverName?: string };
  readonly logger: Logger;
  /** Default the system's. */
  readonly clock?: Clock;
}

export interface Passthrough {
  /** Answers the exchange from the model. */
  web(exchange: Exchange, route: PassthroughRoute, watch: PassthroughWatch): void;
  /** Joins the caller's and the model's WebSocket. */
  ws(upgrade: UpgradeRequest, route: PassthroughRoute, watch: PassthroughWatch): void;
  close(): void;
}

/** As the caller's says it. The subprotocols that it offers stand among the route's headers, where they go on. */
const handshake = ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions'] as const;

/** Whether the model had been reached: it may have done the work, so that trying again may do it twice. */
function brokeOff(error: unknown): boolean {
  const code = errorCode(error) ?? '';
  return ['ECONNRESET', 'EPIPE', 'ECONNABORTED'].includes(code) || code.startsWith('HPE_');
}

export function createPassthrough(options: PassthroughOptions): Passthrough {
  const secure = new URL(options.target).protocol === 'https:';
  const pool = { keepAlive: true, timeout: 4_000 };
  const pooled = secure
    ? new HttpsAgent({
        ...pool,
        rejectUnauthorized: true,
        // In a list: an empty text alone would stand for the public roots.
        ...(options.tls?.ca === undefined ? {} : { ca: [options.tls.ca] }),
        ...(options.tls?.serverName === undefined ? {} : { servername: options.tls.serverName }),
      })
    : new HttpAgent(pool);
  const clock = options.clock ?? systemClock;
  const agent = guardPool(pooled, secure ? 'secureConnect' : 'connect', 5_000, clock);
  const joins = new WeakMap<IncomingMessage, WebSocketJoin>();
  const create = (httpProxy: typeof HttpProxy): HttpProxy => {
    const proxy = quietly(() =>
      httpProxy.createProxyServer({
        target: options.target,
        agent,
        changeOrigin: true,
        selfHandleResponse: true,
        toProxy: true, // the path as it is: without this it goes through url.parse
        secure: true,
      }),
    );
    proxy.on('proxyReq', (sent: ClientRequest, request) => {
      sent.path = request.url ?? '/';
    });
    proxy.on('proxyRes', (response, request) => {
      if (request instanceof WebRequest) request.answer(response);
    });
    proxy.on('proxyReqWs', (sent: ClientRequest, request) => {
      sent.path = request.url ?? '/';
      joins.get(request)?.sends(sent);
    });
    proxy.on('error', (error, request) => {
      options.logger.debug('A passthrough failed', { reason: describeError(error) });
      const refusal = new RefusedError(brokeOff(error) ? 'upstream_protocol' : 'upstream_unreachable', {
        cause: error,
      });
      if (request instanceof WebRequest) request.failed(refusal);
      else joins.get(request)?.failed(refusal);
    });
    return proxy;
  };
  let loaded: HttpProxy | undefined;
  let loading: Promise<HttpProxy> | undefined;
  let closed = false;
  /** At once where the library is there, so that nothing of a request can happen in between. */
  const withProxy = (run: (proxy: HttpProxy) => void, failed: (error: RefusedError) => void): void => {
    if (closed) return failed(new RefusedError('shutting_down'));
    if (loaded !== undefined) return run(loaded);
    loading ??= import('http-proxy').then((library) => (loaded = create(library.default)));
    loading.then(
      () => withProxy(run, failed),
      (error: unknown) => {
        options.logger.error('The passthrough cannot be loaded', { reason: describeError(error) });
        failed(new RefusedError('internal_error', { cause: error }));
      },
    );
  };

  return {
    web(exchange, route, watch) {
      const request = new WebRequest(exchange as Exchange & RawExchange, route, watch, clock);
      const response = { headersSent: false, finished: false };
      withProxy(
        (proxy) => {
          if (request.gone) return;
          proxy.web(request as unknown as IncomingMessage, response as unknown as ServerResponse);
        },
        (error) => request.failed(error),
      );
    },
    ws(upgrade, route, watch) {
      const { request, socket, head } = (upgrade as UpgradeRequest & RawUpgrade)[rawUpgrade]();
      const headers: NodeJS.Dict<string | string[]> = { connection: 'Upgrade', upgrade: 'websocket' };
      for (const name of handshake) headers[name] = upgrade.headers[name];
      withProxy(
        (proxy) => {
          if (socket.destroyed) return;
          request.headers = { ...asStrings(route.headers), ...withoutUndefined(headers) };
          request.url = route.path;
          const join = new WebSocketJoin(upgrade, socket as Socket, watch);
          joins.set(request, join);
          proxy.ws(request, socket, head);
          // Only now: `http-proxy` takes time-outs off the socket.
          (socket as Socket).setTimeout(route.idleMs ?? longestSilenceMs, () =>
            join.failed(new RefusedError('upstream_timeout')),
          );
        },
        (error) => watch.failed(error),
      );
    },
    close() {
      closed = true;
      loaded?.close();
      agent.destroy();
    },
  };
}

/**
 * `http-proxy` calls the deprecated util._extend. Node warns at the first call of it in a process: that call is made here,
 * with the warning off, and no other warning is lost.
 */
function quietly<Result>(create: () => Result): Result {
  const before = process.noDeprecation;
  process.noDeprecation = true;
  try {
    (util as unknown as { _extend(target: object, source: object): object })._extend({}, {});
    return create();
  } finally {
    process.noDeprecation = before === true;
  }
}
