import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { plainAddress } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { refuseSocket, streamPath, streamProtocol } from '../../wire/index.ts';
import type { ConnectRefusal } from '../../wire/index.ts';
import type { Authenticated, Presented } from './authenticate.ts';
import { createGate } from './gate.ts';
import type { StreamLimits } from './limits.ts';
import type { RefusalCause, StreamObserver } from './observer.ts';
import type { PodDirectory, PodRecord } from './ports.ts';
import type { ServingCertificate } from './serving-certificate.ts';

/**
 * From a TCP connection to a stream: address known, a turn at the gate, TLS 1.3, one HTTP request that asks for a stream,
 * authenticated. Whatever else comes is answered in one line or not at all, and closed.
 */
export interface ConnectionsOptions {
  readonly host: string | undefined;
  readonly port: number;
  readonly serving: ServingCertificate;
  /** PEM. */
  readonly bundle: string;
  readonly directory: PodDirectory;
  readonly authenticate: (presented: Presented) => Promise<Authenticated>;
  readonly limits: StreamLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: StreamObserver;
  readonly onStream: (socket: Duplex, pod: PodRecord, by: 'token' | 'certificate') => void;
}

export interface Connections {
  readonly port: number;
  readonly waiting: number;
  /** Handshakes from now on use these. */
  renew(serving: ServingCertificate, bundle: string): void;
  /** No new connections; those on their way are closed. */
  close(): Promise<void>;
}

const statuses: Readonly<Record<ConnectRefusal, string>> = {
  unauthenticated: '401 Unauthorized',
  not_allowed: '403 Forbidden',
  try_again: '503 Service Unavailable',
  version: '426 Upgrade Required',
  not_found: '404 Not Found',
};

function refusal(reason: ConnectRefusal): string {
  const body = JSON.stringify({ reason });
  const upgrade = reason === 'version' ? `Upgrade: ${streamProtocol}\r\n` : '';
  return `HTTP/1.1 ${statuses[reason]}\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
}

const accepted = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${streamProtocol}\r\nConnection: Upgrade\r\n\r\n`;

export async function openConnections(options: ConnectionsOptions): Promise<Connections> {
  const { directory, limits, clock, logger, observer } = options;
  const gate = createGate(clock, limits);
  /** Sockets that are no streams yet. */
  const early = new Set<Socket>();
  /** How each connection tells that its turn is over. A TLS socket does not name the socket beneath it; its addresses do. */
  const turns = new Map<string, () => void>();

  const secure = createTlsServer({
    ...context(options.serving, options.bundle),
    // Judged in authenticate.ts: a handshake without certificate is a first contact.
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: 16_384,
    keepAlive: false,
  });
  secure.on('tlsClientError', () => observer.refused('tls'));
  secure.on('clientError', (_error, socket) => {
    observer.refused('http');
    socket.destroy();
  });
  secure.on('request', (request, response) => {
    observer.refused('http');
    response.writeHead(request.url === streamPath ? 426 : 404, { connection: 'close' }).end();
  });
  secure.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Without a listener an error of a peer that goes away would end the process.
    socket.on('error', () => undefined);
    const key = connectionKey(request.socket);
    void admit(request, socket, head).finally(() => {
      turns.get(key)?.();
    });
  });

  async function admit(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const refuse = (reason: ConnectRefusal, cause: RefusalCause): void => {
      observer.refused(cause);
      logger.info('a connection was refused', { cause, address: request.socket.remoteAddress ?? 'unknown' });
      refuseSocket(socket, refusal(reason), clock);
    };
    if (request.method !== 'GET' || request.url !== streamPath) return refuse('not_found', 'http');
    if (request.headers.upgrade !== streamProtocol) return refuse('version', 'version');
    // Nothing is said before the answer.
    if (head.length > 0) return refuse('not_found', 'http');
    const tls = request.socket;
    const address = plainAddress(tls.remoteAddress);
    if (!(tls instanceof TLSSocket) || address === undefined) return refuse('not_found', 'http');
    const found = await options.authenticate({
      address,
      authorization: request.headers.authorization,
      certificate: tls.getPeerX509Certificate(),
    });
    if (socket.destroyed) return;
    if ('refused' in found) return refuse(found.refused, found.cause);
    observer.opened(found.by);
    socket.write(accepted);
    options.onStream(socket, found.pod, found.by);
  }

  const plain = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true }, (raw) => {
    const address = plainAddress(raw.remoteAddress);
    const key = connectionKey(raw);
    const drop = (cause: RefusalCause): void => {
      observer.refused(cause);
      raw.destroy();
    };
    raw.on('error', () => undefined);
    if (address === undefined) return void raw.destroy();
    if (!directory.synced()) return drop('not_synced');
    if (!directory.hasAddress(address)) return drop('address_unknown');
    early.add(raw);
    raw.once('close', () => early.delete(raw));
    const entered = gate.enter({
      address,
      gone: () => raw.destroyed,
      begin(done) {
        const deadline = clock.after(limits.handshakeMs, () => drop('tls'));
        const over = (): void => {
          deadline.cancel();
          early.delete(raw);
          turns.delete(key);
          done();
        };
        turns.set(key, over);
        raw.once('close', over);
        secure.emit('connection', raw);
        raw.resume();
      },
    });
    if (!entered) drop('overloaded');
  });

  await new Promise<void>((resolve, reject) => {
    plain.once('error', reject);
    plain.listen(
      { port: options.port, ...(options.host === undefined ? {} : { host: options.host }), backlog: 4_096 },
      resolve,
    );
  });
  plain.on('error', (error) => logger.error('the stream port failed', { error: error.message }));

  return {
    port: (plain.address() as AddressInfo).port,
    get waiting() {
      return gate.waiting;
    },
    renew(serving, bundle) {
      secure.setSecureContext(context(serving, bundle));
    },
    close() {
      gate.close();
      const done = new Promise<void>((resolve) => plain.close(() => resolve()));
      for (const raw of early) raw.destroy();
      // Streams are the server's to end; the listener waits for them.
      return done;
    },
  };
}

function context(
  serving: ServingCertificate,
  bundle: string,
): {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly minVersion: 'TLSv1.3';
} {
  return { cert: serving.cert, key: serving.key, ca: bundle, minVersion: 'TLSv1.3' };
}

function connectionKey({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return [remoteAddress, remotePort, localAddress, localPort].join('|');
}
