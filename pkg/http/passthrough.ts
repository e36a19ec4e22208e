import { EventEmitter } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import util from 'node:util';
import type HttpProxy from 'http-proxy';
import { describeError, systemClock } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { Exchange } from './exchange.ts';
import { rawBody, rawUpgrade } from './raw-exchange.ts';
import type { RawExchange, RawUpgrade } from './raw-exchange.ts';
import { responseHeadersToCaller } from './response-headers.ts';
import type { UpgradeRequest } from './upgrade.ts';
import { guardPool } from './upstream-pool.ts';

/**
 * Routes that a policy passes uninspected: bodies and WebSocket frames go by as they are, on `http-proxy`. The one file
 * that imports it, so that it can be replaced (it is no longer maintained); it is loaded by the first request that needs it.
 *
 * Guarantee: the decided path and headers are what is sent, response headers pass by the same allow-list as elsewhere,
 * and either side's end ends the other. Limit: nothing here reads, masks or counts content.
 */
export interface PassthroughOptions {
  /** `http:` or `https:`, with host and port, without a path. */
  readonly target: string;
  readonly tls?: { readonly ca?: string; readonly serverName?: string };
  readonly logger: Logger;
  /** Default the system's. */
  readonly clock?: Clock;
  /** Longest silence of the model on an exchange or of both sides on a WebSocket; default 10 min. */
  readonly idleMs?: number;
}

/** What was decided about the request: everything else of it stays behind. */
export interface PassthroughRoute {
  /** Normalised path with query. */
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
}

export interface Passthrough {
  /** Answers the exchange from the model. `failed` is called instead where there was no answer, with a RefusedError. */
  web(exchange: Exchange, route: PassthroughRoute, failed: (error: RefusedError) => void): void;
  /** Joins the caller's and the model's WebSocket; likewise. */
  ws(upgrade: UpgradeRequest, route: PassthroughRoute, failed: (error: RefusedError) => void): void;
  close(): void;
}

const codings = ['content-encoding', 'accept-encoding', 'content-length'] as const;
const handshake = [
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
] as const;
const handshakeAnswer = new Set([
  'connection',
  'upgrade',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
]);

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
  const agent = guardPool(pooled, secure ? 'secureConnect' : 'connect', 5_000, options.clock ?? systemClock);
  const idleMs = options.idleMs ?? 600_000;
  const failures = new WeakMap<IncomingMessage, (error: RefusedError) => void>();
  const create = (httpProxy: typeof HttpProxy): HttpProxy => {
    const proxy = quietly(() =>
      httpProxy.createProxyServer({
        target: options.target,
        agent,
        changeOrigin: true,
        selfHandleResponse: true,
        toProxy: true, // the path as it is: without this it goes through url.parse
        secure: true,
        proxyTimeout: idleMs,
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
      prepareHandshake(sent, failures.get(request), () => failures.delete(request));
    });
    proxy.on('error', (error, request) => {
      options.logger.debug('A passthrough failed', { reason: describeError(error) });
      const refusal = new RefusedError('upstream_unreachable', { cause: error });
      if (request instanceof WebRequest) request.failed(refusal);
      else failures.get(request)?.(refusal);
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
    web(exchange, route, failed) {
      const request = new WebRequest(exchange as Exchange & RawExchange, route, failed);
      const response = { headersSent: false, finished: false };
      withProxy(
        (proxy) => {
          if (request.gone) return;
          proxy.web(request as unknown as IncomingMessage, response as unknown as ServerResponse);
        },
        (error) => request.failed(error),
      );
    },
    ws(upgrade, route, failed) {
      const { request, socket, head } = (upgrade as UpgradeRequest & RawUpgrade)[rawUpgrade]();
      const headers: NodeJS.Dict<string | string[]> = { connection: 'Upgrade', upgrade: 'websocket' };
      for (const name of handshake) headers[name] = upgrade.headers[name];
      withProxy((proxy) => {
        if (socket.destroyed) return;
        request.headers = { ...asStrings(route.headers), ...withoutUndefined(headers) };
        request.url = route.path;
        failures.set(request, failed);
        proxy.ws(request, socket, head);
        // Only now: `http-proxy` takes time-outs off the socket.
        (socket as Socket).setTimeout(idleMs, () => socket.destroy());
      }, failed);
    },
    close() {
      closed = true;
      loaded?.close();
      agent.destroy();
    },
  };
}

/** What `http-proxy` reads of a request: enough of one for HTTP/1.1 and HTTP/2 alike. */
class WebRequest extends EventEmitter {
  readonly method: string;
  readonly url: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly httpVersion = '1.1';
  readonly httpVersionMajor = 1;
  readonly socket = new EventEmitter();
  readonly connection = this.socket;
  readonly #exchange: Exchange & RawExchange;
  readonly #failed: (error: RefusedError) => void;
  #source: Readable | undefined;
  #answered = false;
  #gone = false;

  constructor(exchange: Exchange & RawExchange, route: PassthroughRoute, failed: (error: RefusedError) => void) {
    super();
    this.#exchange = exchange;
    this.#failed = failed;
    this.method = exchange.method;
    this.url = route.path;
    const headers: NodeJS.Dict<string | string[]> = asStrings(route.headers);
    for (const name of codings) headers[name] ??= exchange.headers[name];
    this.headers = withoutUndefined(headers);
    exchange.onClose((how) => {
      this.#gone = true;
      if (how === 'aborted') this.emit('aborted');
    });
  }

  /** The caller has left, or has its answer. */
  get gone(): boolean {
    return this.#gone;
  }

  pipe(to: NodeJS.WritableStream): NodeJS.WritableStream {
    this.#source = this.#exchange[rawBody]();
    return this.#source.pipe(to);
  }

  answer(response: IncomingMessage): void {
    const exchange = this.#exchange;
    const status = response.statusCode ?? 0;
    // HTTP/2 knows no others, and node throws where nobody catches.
    if (status < 200 || status > 599) {
      response.destroy();
      return this.failed(new RefusedError('upstream_protocol'));
    }
    this.#answered = true;
    const headers = responseHeadersToCaller(response.headers);
    const coding = response.headers['content-encoding'];
    if (coding !== undefined) headers['content-encoding'] = coding;
    exchange.start(status, headers);
    exchange.onDrain(() => response.resume());
    exchange.onClose(() => response.destroy());
    response.on('data', (chunk: Buffer) => {
      if (!exchange.write(chunk)) response.pause();
    });
    response.on('end', () => exchange.end());
    response.on('error', () => exchange.destroy());
    response.on('aborted', () => exchange.destroy());
  }

  failed(error: RefusedError): void {
    this.#source?.unpipe();
    if (this.#answered) this.#exchange.destroy();
    else {
      this.#answered = true;
      this.#failed(error);
    }
  }
}

/** Before `http-proxy` copies the model's handshake: only what belongs to one, and no answer that is not one. */
function prepareHandshake(
  sent: ClientRequest,
  failed: ((error: RefusedError) => void) | undefined,
  joined: () => void,
): void {
  sent.on('upgrade', (response: IncomingMessage) => {
    // From here on a failure only ends the socket: an answer would be read as a frame.
    joined();
    for (const name of Object.keys(response.headers)) {
      if (!handshakeAnswer.has(name)) delete response.headers[name];
    }
  });
  sent.on('response', (response: IncomingMessage & { upgrade?: boolean }) => {
    // `http-proxy` then leaves it alone; it would copy the head as it is, framing and cookies with it.
    response.upgrade = true;
    response.resume();
    failed?.(new RefusedError('upstream_error'));
  });
}

function asStrings(headers: OutgoingHttpHeaders): NodeJS.Dict<string | string[]> {
  const strings: NodeJS.Dict<string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) strings[name] = typeof value === 'object' ? [...value] : String(value);
  }
  return strings;
}

function withoutUndefined(headers: NodeJS.Dict<string | string[]>): NodeJS.Dict<string | string[]> {
  for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name];
  return headers;
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
