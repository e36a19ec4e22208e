import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { errorCode } from '../../base/index.ts';
import type { Clock, Timer } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { ReasonCode } from '../../core/index.ts';
import type { ProxyAddress } from '../client/tunnel.ts';
import { tunnelTo } from '../upstream.ts';
import { acceptOf } from './handshake.ts';
import { WebSocket } from './web-socket.ts';
import type { WebSocketWatch } from './web-socket.ts';

/**
 * WebSockets to the model. Each has a connection of its own. No extension is offered, so no message is ever compressed; TLS is verified.
 */
export interface WebSocketRequest {
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  /** Subprotocols that are offered. */
  readonly protocols: readonly string[];
  /** Longest wait for the answer of the handshake. */
  readonly idleMs: number;
  readonly maxMessageBytes: number;
}

export interface WebSocketOpening {
  /** @param protocol that the model chose: one of those offered. @returns who watches it from now on */
  opened(protocol: string | undefined, start: (watch: WebSocketWatch) => WebSocket): void;
  /** RefusedError upstream_unreachable, upstream_timeout, upstream_protocol, upstream_error; never with the peer's words in it. */
  failed(error: RefusedError): void;
}

/** Detail of an `upstream_error`: the model answered 401. */
export const unauthorized = 'unauthorized';

export interface WebSocketUpstream {
  /** @returns ends it, where it is not open yet; nothing is told any more. */
  open(request: WebSocketRequest, opening: WebSocketOpening): () => void;
}

export interface WebSocketUpstreamOptions {
  /** `http:` or `https:` with host and port; a path in it is put before each request's. */
  readonly url: string;
  readonly tls?: { readonly ca?: string; readonly serverName?: string };
  /** Where https goes through. Absent: straight. */
  readonly proxy?: ProxyAddress | undefined;
  readonly clock: Clock;
  /** Default 5 s, TLS included. */
  readonly connectMs?: number;
}

export function createWebSocketUpstream(options: WebSocketUpstreamOptions): WebSocketUpstream {
  const url = new URL(options.url);
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const prefix = url.pathname.replace(/\/$/, '');
  const { ca, serverName } = options.tls ?? {};
  const secured = secure
    ? {
        rejectUnauthorized: true,
        minVersion: 'TLSv1.2' as const,
        ALPNProtocols: ['http/1.1'],
        // In a list: an empty text alone would stand for the public roots.
        ...(ca !== undefined && { ca: [ca] }),
        servername: serverName ?? (isIP(host) === 0 ? host : ''),
      }
    : {};
  const tunnel = tunnelTo(url, options.proxy);
  const place = {
    host,
    port: Number(url.port) || (secure ? 443 : 80),
    ...(tunnel === undefined
      ? { agent: false as const }
      : { createConnection: () => connectTls({ ...secured, host, socket: tunnel() }) }),
    ...secured,
  };
  return {
    open({ path, headers, protocols, idleMs, maxMessageBytes }, opening) {
      const { clock, connectMs = 5_000 } = options;
      const key = randomBytes(16).toString('base64');
      let settled = false;
      let connected = false;
      const timers: Timer[] = [];
      const settle = (run: () => void): void => {
        if (settled) return;
        settled = true;
        timers.forEach((timer) => timer.cancel());
        run();
      };
      const fail = (code: ReasonCode, cause?: unknown, detail?: string): void =>
        settle(() => {
          sent.destroy();
          opening.failed(new RefusedError(code, { cause, ...(detail !== undefined && { detail }) }));
        });
      const sent: ClientRequest = (secure ? httpsRequest : httpRequest)({
        ...place,
        method: 'GET',
        path: prefix + path,
        headers: {
          ...Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
          host: url.host,
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': key,
          ...(protocols.length > 0 && { 'sec-websocket-protocol': protocols.join(', ') }),
        },
      });
      timers.push(clock.after(connectMs, () => connected || fail('upstream_unreachable')));
      timers.push(clock.after(idleMs, () => fail('upstream_timeout')));
      sent.on('socket', (socket: Socket) =>
        socket.once(secure ? 'secureConnect' : 'connect', () => (connected = true)),
      );
      sent.on('error', (cause) =>
        fail(connected || errorCode(cause) === 'ECONNRESET' ? 'upstream_protocol' : 'upstream_unreachable', cause),
      );
      sent.on('response', ({ statusCode }: IncomingMessage) =>
        fail('upstream_error', undefined, statusCode === 401 ? unauthorized : undefined),
      );
      sent.on('upgrade', (response: IncomingMessage, socket: Socket, head: Buffer) => {
        const answer = response.headers;
        const protocol = answer['sec-websocket-protocol'];
        const isOurs =
          answer.upgrade?.toLowerCase() === 'websocket' &&
          answer['sec-websocket-accept'] === acceptOf(key) &&
          answer['sec-websocket-extensions'] === undefined &&
          (protocol === undefined || protocols.includes(protocol));
        socket.on('error', () => socket.destroy());
        if (settled || !isOurs) {
          socket.destroy();
          return fail('upstream_protocol');
        }
        settle(() =>
          opening.opened(
            protocol,
            (watch) => new WebSocket({ socket, head, role: 'client', maxMessageBytes, clock, watch }),
          ),
        );
      });
      sent.end();
      return () => settle(() => sent.destroy());
    },
  };
}
