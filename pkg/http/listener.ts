import { constants as cryptoConstants } from 'node:crypto';
import { createServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { constants, createSecureServer, createServer as createHttp2Server } from 'node:http2';
import type {
  Http2SecureServer,
  Http2Server,
  IncomingHttpHeaders as Http2Headers,
  ServerHttp2Session,
  ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Roster, describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { ReasonCode } from '../core/index.ts';
import type { DrainLimits } from './drain.ts';
import { refusalHead } from './error-table.ts';
import type { RefusalHead } from './error-table.ts';
import type { Exchange } from './exchange.ts';
import type { ExchangeHost, LiveExchange } from './exchange-host.ts';
import { allowedMethods, http1Fault, http2Fault } from './framing.ts';
import { endGently, Http1Connection, peerAddress, verifiedCertificate } from './http1-connection.ts';
import type { Arrival, Current } from './http1-connection.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { Http2Exchange } from './http2-exchange.ts';
import { Http2Guard } from './http2-guard.ts';
import { lookAtOpening } from './opening-bytes.ts';
import type { Opening } from './opening-bytes.ts';
import { BodyBudget } from './request-body.ts';
import { Http1Upgrade } from './upgrade.ts';
import type { UpgradeRequest } from './upgrade.ts';

/**
 * The one port of the data plane: HTTP/1.1 and HTTP/2, over TLS and, where the policy allows it, without; and an answer for those who
 * come without it elsewhere. HTTP/2 without TLS is known by its preface (RFC 9113 section 3.3); `Upgrade: h2c` is never followed.
 *
 * Guarantee: `onExchange` is called only for requests that arrived as the policy's `inbound` allows and whose head and
 * framing have one reading; all others are answered here and counted by `onRefused`. No peer can make it throw.
 * Limits: a client certificate is checked in the handshake and not again while its connection lives.
 *
 * It is one `http2.createSecureServer` that listens itself, because a server that is only handed sockets never fires its
 * header and request timeouts; its `connection` listener is wrapped to look at the first bytes. Sockets without TLS go to two
 * servers beside it that do not listen.
 */

/** Certificate and key in use, and news of others. */
export interface TlsMaterialSource {
  /** Undefined until there is one: handshakes fail until then. */
  current(): { readonly cert: string; readonly key: string } | undefined;
  subscribe(listener: () => void): () => void;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** `plain` and `h2c` are HTTP/1 and HTTP/2 without TLS, whether they are served or refused. */
export type ConnectionProtocol = 'http/1.1' | 'h2' | 'plain' | 'h2c';

/** All have defaults. */
export interface ListenerLimits {
  /** Request line and headers; default 32 KiB. */
  readonly maxHeaderBytes?: number;
  /** Header lines; default 100. */
  readonly maxHeaders?: number;
  /** Default 10,000. */
  readonly maxConnections?: number;
  /** From the first byte of a request to the end of its head; also for the TLS handshake and for HTTP/2's preface. Default 10 s. */
  readonly headersTimeoutMs?: number;
  /** HTTP/1.1: from the first byte of a request to the end of its body, whatever the handler does; default 5 min. See `setBodyTimeout`. */
  readonly requestTimeoutMs?: number;
  /** From connect to the first byte; default 5 s. */
  readonly firstByteMs?: number;
  /** Between requests; default 75 s. */
  readonly idleMs?: number;
  /** How long a peer may take nothing of its answer, or be late with all of it at 64 KiB/s; default 60 s. */
  readonly stallMs?: number;
  /** Requests that may wait behind the one under way; default 16. */
  readonly pipelineDepth?: number;
  /** How much of a refused body is read before closing, and how long what was written of a cut answer may take; default 64 MiB and 5 s. */
  readonly drain?: Partial<DrainLimits>;
  /** HTTP/2: streams at once on a connection; default 100. */
  readonly maxStreams?: number;
  /** HTTP/2: reset streams in 10 s; default 200. */
  readonly maxResets?: number;
  /** HTTP/2: pings in 10 s; default 100. */
  readonly maxPings?: number;
  /** HTTP/2: settings frames in 10 s; default 20. */
  readonly maxSettings?: number;
}

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls: TlsMaterialSource;
  /** Asked for each request, so that a policy's change holds for connections that stand. */
  readonly inbound: () => 'Required' | 'Mutual' | 'Optional';
  readonly minVersion: TlsVersion;
  /** PEM bundle. Clients are asked for certificates when it is set; one that does not verify counts as none. */
  readonly clientCa?: string | undefined;
  readonly limits?: ListenerLimits;
  /** Shared by all listeners of the process. Default: 64 MiB of its own. */
  readonly budget?: BodyBudget;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onExchange: (exchange: Exchange) => void;
  /** WebSocket handshakes; without it they are requests like any other. */
  readonly onUpgrade?: (upgrade: UpgradeRequest) => void;
  /** Told of each connection or request that never becomes an exchange. */
  readonly onRefused: (code: ReasonCode, peer: string) => void;
  /** Told of each connection that can carry requests: after its TLS handshake, or when its first plain bytes said what it speaks. */
  readonly onConnection?: (protocol: ConnectionProtocol) => void;
  /** Once for each `onConnection`. */
  readonly onConnectionClosed?: (protocol: ConnectionProtocol) => void;
  /** Told of each connection's `address port` at the peer, as it is accepted: whoever dialled knows its own again. */
  readonly onAccept?: (peer: string) => void;
  /** JSON body of a refusal that has no dialect yet. */
  readonly refusalBody: (code: ReasonCode) => string;
}

export interface Listener {
  readonly port: number;
  connections(): number;
  /**
   * While it is on, peers are asked to take their next request to another connection: answers end their connection (HTTP/1.1), and
   * sessions of HTTP/2 are told and, a second later, take no more. Everything is still served.
   */
  leave(on: boolean): void;
  /** Stops accepting, lets exchanges under way finish, breaks what is left after `graceMs`. */
  close(graceMs: number): Promise<void>;
  /** Certificates, client authorities or version for connections to come; what stands is not touched. Unset: as before. */
  setTls(change: { readonly clientCa?: string | undefined; readonly minVersion?: TlsVersion }): void;
  /** Bodies that handlers read may take so long, also where that is longer than `requestTimeoutMs`. */
  setBodyTimeout(ms: number): void;
}

const defaults = {
  maxHeaderBytes: 32 * 1024,
  maxHeaders: 100,
  maxConnections: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 300_000,
  firstByteMs: 5_000,
  idleMs: 75_000,
  stallMs: 60_000,
  pipelineDepth: 16,
  maxStreams: 100,
  maxResets: 200,
  maxPings: 100,
  maxSettings: 20,
};

/** HTTP/2: what of a body may arrive before anybody reads it. */
const streamWindowBytes = 65_535;

/** Between the notice and the end of a session of HTTP/2: longer than a stream is on its way. */
const leaveMs = 1_000;

/** @throws Error of node:net when it cannot listen, and of node:tls when the certificate cannot be used. */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const port = new Port(options);
  await port.listen();
  return port;
}

/** llhttp's and node's codes; undefined where the peer has gone and nothing can be said. */
function faultOfError(code: string): ReasonCode | undefined {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'header_too_large';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'body_too_large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout';
    case 'HPE_UNEXPECTED_CONTENT_LENGTH':
    case 'HPE_INVALID_CONTENT_LENGTH':
    case 'HPE_INVALID_TRANSFER_ENCODING':
    case 'HPE_INVALID_CHUNK_SIZE':
      return 'ambiguous_framing';
    default:
      return code.startsWith('HPE_') ? 'malformed_http' : undefined;
  }
}

function listenerRefusal(code: ReasonCode): RefusalHead {
  const head = refusalHead(code);
  // RFC 9110 section 15.5.6 wants it.
  if (code === 'method_not_allowed') head.headers['allow'] = allowedMethods;
  return head;
}

/** Where a socket's connection object hangs: one property read on the hot path. */
const connectionOf = Symbol('connection');
type Tagged = Socket & { [connectionOf]?: Http1Connection };
const guardOf = Symbol('guard');
interface SessionState {
  readonly guard: Http2Guard;
  readonly encrypted: boolean;
  /** It came without TLS where the policy wants it: told so, as the connection was counted. */
  readonly refused: boolean;
  readonly use: { streams: number; idleSince: number };
  readonly peer: string;
  readonly certificate: Uint8Array | undefined;
}
type Guarded = ServerHttp2Session & { [guardOf]?: SessionState };

/** Parts of node's servers that its types do not name. */
interface UpgradeChooser {
  shouldUpgradeCallback: (request: IncomingMessage) => boolean;
}

/** Puts `run` before node's own listener, which it may call or not. */
function wrap(
  server: Http2SecureServer,
  event: string,
  run: (next: (socket: Socket) => void, socket: Socket) => void,
): void {
  const own = server.listeners(event) as ((this: unknown, socket: Socket) => void)[];
  const [listener] = own;
  if (own.length !== 1 || listener === undefined) throw new TypeError(`node has changed: ${event}`);
  server.removeAllListeners(event);
  const next = (socket: Socket): void => listener.call(server, socket);
  server.on(event, (socket: Socket) => run(next, socket));
}

class Port implements Listener {
  readonly #options: ListenerOptions;
  readonly #limits: typeof defaults & { readonly drain: DrainLimits };
  readonly #host: { -readonly [Key in keyof ExchangeHost]: ExchangeHost[Key] };
  readonly #server: Http2SecureServer;
  readonly #plain: Server;
  readonly #plainHttp2: Http2Server;
  readonly #sockets = new Set<Socket>();
  /** Those that have not said what they speak: they have nothing to lose. */
  readonly #silent = new Set<Socket>();
  readonly #sessions = new Map<ServerHttp2Session, { streams: number; idleSince: number }>();
  readonly #connections = new Set<Http1Connection>();
  readonly #stops: (() => void)[] = [];
  #clientCa: string | undefined;
  #minVersion: TlsVersion;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const limits = { ...defaults, ...options.limits };
    this.#limits = { ...limits, drain: { bytes: 64 * 1024 * 1024, ms: 5_000, ...options.limits?.drain } };
    this.#host = {
      clock: options.clock,
      budget: options.budget ?? new BodyBudget(),
      drain: this.#limits.drain,
      closing: false,
      stopping: false,
      live: new Roster<LiveExchange>(),
    };
    this.#clientCa = options.clientCa;
    this.#minVersion = options.minVersion;
    this.#server = this.#createSecure();
    this.#plain = this.#createPlain();
    this.#plainHttp2 = createHttp2Server(this.#http2Options());
    this.#handleHttp2(this.#plainHttp2);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  connections(): number {
    return this.#sockets.size;
  }

  listen(): Promise<void> {
    const { clock, tls } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: this.#options.host, port: this.#options.port, backlog: 1024 }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) =>
          this.#options.logger.error('The listener failed', { reason: describeError(error) }),
        );
        // The plain server never listens, and without this it would never time a head out; a test holds it to that.
        this.#plain.emit('listening');
        const sweep = clock.every(this.#checkMs(), () => this.#sweep());
        this.#stops.push(
          tls.subscribe(() => this.#applyTls()),
          () => sweep.cancel(),
        );
        resolve();
      });
    });
  }

  #checkMs(): number {
    const { headersTimeoutMs, requestTimeoutMs, idleMs, stallMs } = this.#limits;
    return Math.max(50, Math.min(1000, Math.min(headersTimeoutMs, requestTimeoutMs, idleMs, stallMs) / 4));
  }

  #http1Options(): Parameters<typeof createServer>[0] & object {
    const limits = this.#limits;
    return {
      maxHeaderSize: limits.maxHeaderBytes,
      insecureHTTPParser: false,
      // Ours says why, in JSON.
      requireHostHeader: false,
      headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: this.#checkMs(),
      noDelay: true,
    };
  }

  #http2Options(): object {
    const limits = this.#limits;
    return {
      settings: {
        enablePush: false,
        enableConnectProtocol: false,
        maxConcurrentStreams: limits.maxStreams,
        maxHeaderListSize: limits.maxHeaderBytes,
        initialWindowSize: streamWindowBytes,
      },
      maxHeaderListPairs: limits.maxHeaders + 4,
      maxOutstandingPings: 10,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      ...{ streamResetBurst: limits.maxResets, streamResetRate: Math.ceil(limits.maxResets / 10) },
    };
  }

  #createSecure(): Http2SecureServer {
    const limits = this.#limits;
    const server = createSecureServer({
      ...this.#http1Options(),
      ...this.#tlsOptions(),
      allowHTTP1: true,
      handshakeTimeout: limits.headersTimeoutMs,
      requestCert: this.#clientCa !== undefined,
      // A client with a bad certificate gets an answer that says so: `authorized` is what counts.
      rejectUnauthorized: false,
      ...this.#http2Options(),
    });
    // Node hands over at most this many and drops the rest without a word: one more than allowed shows that there were more.
    Object.assign(server, { maxHeadersCount: limits.maxHeaders + 1 });
    server.maxConnections = limits.maxConnections;
    server.on('drop', (data) => this.#options.onRefused('overloaded', data?.remoteAddress ?? ''));
    wrap(server, 'connection', (next, socket: Socket) => this.#accept(next, socket));
    wrap(server, 'secureConnection', (next, socket: Socket) => this.#secured(next, socket as TLSSocket));
    this.#handleHttp1(server);
    // A `request` listener brings node's compatibility layer for HTTP/2, which we do without.
    server.removeAllListeners('stream');
    this.#handleHttp2(server);
    return server;
  }

  #handleHttp2(server: Http2Server | Http2SecureServer): void {
    const untyped = server as Http2Server;
    untyped.on('stream', (stream, headers, flags, raw) =>
      this.#stream(stream as ServerHttp2Stream, headers, flags, raw as unknown as string[]),
    );
    untyped.on('session', (session) => this.#session(session));
    untyped.on('sessionError', () => undefined);
  }

  #createPlain(): Server {
    const server = createServer(this.#http1Options());
    server.maxHeadersCount = this.#limits.maxHeaders + 1;
    this.#handleHttp1(server);
    return server;
  }

  #handleHttp1(server: Server | Http2SecureServer): void {
    const untyped = server as Server;
    const arrived = (request: IncomingMessage, response: ServerResponse): void => {
      const connection = (request.socket as Tagged)[connectionOf];
      if (connection === undefined) request.socket.destroy();
      else connection.arrived({ request, response, startedAt: this.#options.clock.monotonic() });
    };
    untyped.on('request', arrived);
    // `100 Continue` goes out when the handler reads the body; other expectations are refused with the framing.
    untyped.on('checkContinue', arrived);
    untyped.on('checkExpectation', arrived);
    untyped.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#clientError(error, socket as Socket));
    untyped.on('connect', (request: IncomingMessage, socket) => this.#connect(request, socket as Socket));
    (server as unknown as UpgradeChooser).shouldUpgradeCallback = (request) => this.#isUpgrade(request);
    untyped.on('upgrade', (request: IncomingMessage, socket, head) => this.#upgrade(request, socket as Socket, head));
  }

  // TLS

  #tlsOptions(): object {
    return {
      ...this.#options.tls.current(),
      // Without any, node would read its own public authorities: memory and time of each context, for what nobody is asked.
      ca: this.#clientCa ?? [],
      minVersion: this.#minVersion,
      // A renegotiation in TLS 1.2 costs us much more than the peer.
      secureOptions: cryptoConstants.SSL_OP_NO_RENEGOTIATION,
    };
  }

  setTls(change: { readonly clientCa?: string | undefined; readonly minVersion?: TlsVersion }): void {
    if ('clientCa' in change) this.#clientCa = change.clientCa;
    if (change.minVersion !== undefined) this.#minVersion = change.minVersion;
    this.#applyTls();
  }

  setBodyTimeout(ms: number): void {
    const { headersTimeoutMs, requestTimeoutMs } = this.#limits;
    // Node's clock begins with the head, the handler's later, and its refusal is the one that says why.
    const requestTimeout = Math.max(requestTimeoutMs, headersTimeoutMs + ms + 1_000);
    for (const server of [this.#server, this.#plain]) Object.assign(server, { requestTimeout });
  }

  #applyTls(): void {
    try {
      this.#server.setSecureContext(this.#tlsOptions());
      // Read by node for each connection; a test holds it to that.
      Object.assign(this.#server, { requestCert: this.#clientCa !== undefined });
    } catch (error) {
      this.#options.logger.error('The new certificate cannot be used; keeping the last one', {
        reason: describeError(error),
      });
    }
  }

  // Connections

  #accept(next: (socket: Socket) => void, socket: Socket): void {
    socket.on('error', () => socket.destroy());
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#silent.delete(socket);
    });
    if (this.#host.stopping) {
      socket.destroy();
      return;
    }
    this.#options.onAccept?.(`${peerAddress(socket)} ${socket.remotePort ?? 0}`);
    this.#silent.add(socket);
    const { firstByteMs, headersTimeoutMs } = this.#limits;
    lookAtOpening(socket, { firstByteMs, prefaceMs: headersTimeoutMs }, this.#options.clock, (what) => {
      this.#silent.delete(socket);
      if (what === 'tls') next(socket);
      else this.#acceptPlain(socket, what);
    });
  }

  #acceptPlain(socket: Socket, what: Exclude<Opening, 'tls'>): void {
    if (what === 'silent') return this.#drop(socket, 'request_timeout');
    if (what === 'other') return this.#drop(socket, 'malformed_http');
    // Also where TLS is wanted: whoever speaks HTTP/2 can read no other answer.
    if (what === 'http2') return this.#serveHttp2(socket);
    const served = this.#options.inbound() === 'Optional';
    if (what === 'http1' && served) return this.#servePlain(socket);
    const connection = this.#track(socket);
    this.#refuse(connection, served ? 'request_timeout' : 'tls_required');
    this.#connections.delete(connection);
  }

  #drop(socket: Socket, code: ReasonCode): void {
    this.#options.onRefused(code, peerAddress(socket));
    socket.destroy();
  }

  #servePlain(socket: Socket): void {
    this.#track(socket);
    this.#plain.emit('connection', socket);
    socket.resume();
  }

  #serveHttp2(socket: Socket): void {
    this.#plainHttp2.emit('connection', socket);
    // So much may have come at once that the socket stopped reading. Behind the session, which takes in the next tick what is here:
    // before it, nobody would have it.
    process.nextTick(() => socket.resume());
  }

  #secured(next: (socket: Socket) => void, socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    if (this.#clientCa !== undefined && !socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      this.#options.logger.debug('A client certificate was not accepted', {
        code: String(socket.authorizationError),
        peer: peerAddress(socket),
      });
    }
    if (socket.alpnProtocol !== 'h2') this.#track(socket);
    next(socket);
  }

  #track(socket: Socket): Http1Connection {
    const connection = new Http1Connection({
      socket,
      depth: this.#limits.pipelineDepth,
      dispatch: (arrival, on) => this.#dispatch(arrival, on),
    });
    (socket as Tagged)[connectionOf] = connection;
    this.#connections.add(connection);
    const protocol = connection.encrypted ? 'http/1.1' : 'plain';
    this.#options.onConnection?.(protocol);
    socket.on('close', () => {
      this.#connections.delete(connection);
      this.#options.onConnectionClosed?.(protocol);
    });
    return connection;
  }

  /** A last answer on a connection whose parser is not to be trusted any more, or that never had one. */
  #refuse(connection: Http1Connection, code: ReasonCode): void {
    this.#options.onRefused(code, connection.peer);
    connection.breakOff();
    const { status, headers } = listenerRefusal(code);
    const body = this.#options.refusalBody(code);
    const fields = Object.entries({ connection: 'close', ...headers })
      .map(([name, value]) => `${name}: ${String(value)}\r\n`)
      .join('');
    endGently(
      connection.socket,
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      this.#limits.drain,
      this.#options.clock,
    );
  }

  #sweep(): void {
    const now = this.#options.clock.monotonic();
    for (const exchange of this.#host.live.members()) {
      const since = exchange.stalledSince;
      if (since !== undefined && now - since > this.#limits.stallMs) exchange.destroy();
    }
    const { idleMs, headersTimeoutMs } = this.#limits;
    for (const [session, state] of this.#sessions) {
      // Frames that open no stream, such as pings or a head without end, do not count as use.
      if (state.streams === 0 && now - state.idleSince > idleMs + headersTimeoutMs) session.destroy();
      else if (state.streams === 0 && now - state.idleSince > idleMs && !session.closed) session.close();
    }
  }

  // HTTP/1.1

  /** What the policy says of this connection now. */
  #inboundFault(encrypted: boolean, certificate: Uint8Array | undefined): ReasonCode | undefined {
    const inbound = this.#options.inbound();
    if (!encrypted && inbound !== 'Optional') return 'tls_required';
    if (inbound === 'Mutual' && certificate === undefined) return 'certificate_required';
    return undefined;
  }

  #faultOf(request: IncomingMessage, connection: Http1Connection): ReasonCode | undefined {
    return (
      http1Fault(request, this.#limits.maxHeaders) ?? this.#inboundFault(connection.encrypted, connection.certificate)
    );
  }

  #dispatch(arrival: Arrival, connection: Http1Connection): Current | undefined {
    const fault = this.#faultOf(arrival.request, connection);
    if (fault !== undefined) {
      this.#refuse(connection, fault);
      arrival.request.resume();
      return undefined;
    }
    const exchange = new Http1Exchange(this.#host, connection, arrival);
    this.#hand(exchange);
    return exchange;
  }

  #hand(exchange: Exchange): void {
    try {
      this.#options.onExchange(exchange);
    } catch (error) {
      this.#options.logger.error('The handler of an exchange threw', { reason: describeError(error) });
      exchange.destroy();
    }
  }

  #clientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = (socket as Tagged)[connectionOf];
    const code = faultOfError(error.code ?? '');
    if (connection === undefined || code === undefined) {
      // A failed handshake (its socket is destroyed already), or a peer that went away.
      if (connection === undefined) {
        this.#options.logger.debug('A TLS handshake failed', { code: error.code, peer: peerAddress(socket) });
        this.#options.onRefused('malformed_http', peerAddress(socket));
      }
      socket.destroy();
      return;
    }
    if (connection.parserFailed(code)) this.#refuse(connection, code);
  }

  #connect(request: IncomingMessage, socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const connection = (request.socket as Tagged)[connectionOf];
    if (connection?.idle === true) this.#refuse(connection, 'malformed_http');
    else socket.destroy();
  }

  #isUpgrade(request: IncomingMessage): boolean {
    const connection = (request.socket as Tagged)[connectionOf];
    return (
      this.#options.onUpgrade !== undefined &&
      connection?.idle === true &&
      !connection.broken &&
      request.method === 'GET' &&
      request.headers.upgrade?.toLowerCase() === 'websocket' &&
      request.httpVersionMinor === 1 &&
      this.#faultOf(request, connection) === undefined
    );
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const connection = (request.socket as Tagged)[connectionOf];
    if (connection === undefined || socket !== request.socket) {
      socket.destroy();
      return;
    }
    connection.breakOff();
    // From here on it is under way until it closes, although it has no exchange: a listener that stops gives it the grace.
    this.#connections.delete(connection);
    const upgrade = new Http1Upgrade(this.#host, connection, request, head);
    try {
      this.#options.onUpgrade?.(upgrade);
    } catch (error) {
      this.#options.logger.error('The handler of an upgrade threw', { reason: describeError(error) });
      socket.destroy();
    }
  }

  // HTTP/2

  #session(session: ServerHttp2Session): void {
    const { clock, onRefused } = this.#options;
    const peer = peerAddress(session.socket as Socket);
    const use = { streams: 0, idleSince: clock.monotonic() };
    this.#sessions.set(session, use);
    // Node gives a connection's window back as bytes come, whoever reads them: what it holds is bounded by its streams' windows alone, and
    // a smaller one is only a round trip more for each of its bytes.
    session.setLocalWindowSize(this.#limits.maxStreams * streamWindowBytes);
    const limits = { resets: this.#limits.maxResets, pings: this.#limits.maxPings, settings: this.#limits.maxSettings };
    const guard = new Http2Guard(session, limits, clock, () => onRefused('malformed_http', peer));
    const encrypted = session.encrypted === true;
    const certificate = verifiedCertificate(session.socket);
    const refused = this.#inboundFault(encrypted, certificate) === 'tls_required';
    (session as Guarded)[guardOf] = { guard, encrypted, refused, use, peer, certificate };
    const protocol = encrypted ? 'h2' : 'h2c';
    this.#options.onConnection?.(protocol);
    session.on('close', () => {
      this.#sessions.delete(session);
      this.#options.onConnectionClosed?.(protocol);
    });
    if (refused) this.#refuseSession(session, peer);
    else if (this.#host.stopping) session.close();
    else if (this.#host.closing) clock.after(leaveMs, () => this.#partWith(session));
  }

  /** Its requests are answered, those that come within the time of a head: some clients show nothing but an answer. */
  #refuseSession(session: ServerHttp2Session, peer: string): void {
    this.#options.onRefused('tls_required', peer);
    const timer = this.#options.clock.after(this.#limits.headersTimeoutMs, () => session.destroy());
    session.on('close', () => timer.cancel());
  }

  /** No more streams: TLS is wanted. To be called when the answer that says so is out. */
  #endPlain(session: ServerHttp2Session): void {
    if (session.closed || session.destroyed) return;
    session.goaway(constants.NGHTTP2_INADEQUATE_SECURITY, undefined, Buffer.from('tls_required'));
    session.close();
  }

  #stream(stream: ServerHttp2Stream, headers: Http2Headers, flags: number, raw: readonly string[]): void {
    stream.on('error', () => undefined);
    const { clock } = this.#options;
    const own = (stream.session as Guarded | undefined)?.[guardOf];
    if (own === undefined) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    if (stream.destroyed || stream.closed) {
      own.guard.countReset();
      return;
    }
    own.use.streams++;
    stream.on('close', () => {
      own.use.streams--;
      own.use.idleSince = clock.monotonic();
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) own.guard.countReset();
    });
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const arrival = {
      stream,
      headers,
      endStream,
      startedAt: clock.monotonic(),
      encrypted: own.encrypted,
      peer: own.peer,
      certificate: own.certificate,
    };
    const fault = own.refused ? 'tls_required' : this.#faultOfStream(own, headers, raw, endStream);
    const exchange = new Http2Exchange(this.#host, arrival);
    if (fault === undefined) this.#hand(exchange);
    else {
      if (!own.refused) this.#options.onRefused(fault, own.peer);
      const { session } = stream;
      if (fault === 'tls_required' && session !== undefined)
        stream.on('close', () => this.#endPlain(session as ServerHttp2Session));
      const { status, headers: fields } = listenerRefusal(fault);
      exchange.respond(status, fields, this.#options.refusalBody(fault));
    }
  }

  #faultOfStream(
    own: SessionState,
    headers: Http2Headers,
    raw: readonly string[],
    endStream: boolean,
  ): ReasonCode | undefined {
    return (
      http2Fault(headers, raw, endStream, this.#limits, own.encrypted) ??
      this.#inboundFault(own.encrypted, own.certificate)
    );
  }

  // End

  leave(on: boolean): void {
    if (this.#host.stopping || on === this.#host.closing) return;
    this.#host.closing = on;
    if (on) for (const session of this.#sessions.keys()) this.#partWith(session as ServerHttp2Session);
  }

  /** In two steps (RFC 9113 section 6.8), so that a stream that is on its way is still served. */
  #partWith(session: ServerHttp2Session): void {
    if (session.closed || session.destroyed || !this.#host.closing) return;
    session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
    this.#options.clock.after(leaveMs, () => session.destroyed || session.close());
  }

  close(graceMs: number): Promise<void> {
    this.#host.stopping = true;
    this.#host.closing = true;
    for (const stop of this.#stops.splice(0)) stop();
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const sweep = clock.every(this.#checkMs(), () => this.#sweep());
      const grace = clock.after(graceMs, () => {
        for (const session of this.#sessions.keys()) session.destroy();
        for (const socket of this.#sockets) socket.destroy();
      });
      this.#server.close(() => {
        grace.cancel();
        sweep.cancel();
        // The last sockets are gone; their exchanges hear of it within this turn of the loop or the next.
        const finish = (): void => {
          if (this.#host.live.size === 0) resolve();
          else setImmediate(finish);
        };
        finish();
      });
      // The plain servers never listened: this stops their timers, and ends their sessions when their streams have.
      this.#plain.close();
      this.#plainHttp2.close();
      for (const connection of this.#connections) if (connection.idle) connection.socket.destroySoon();
      for (const socket of this.#silent) socket.destroy();
    });
  }
}
