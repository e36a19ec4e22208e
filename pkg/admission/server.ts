/** The port that the API server calls: TLS 1.3, and connections that it may use again for as long as it does. */
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { describeError, limitByAddress } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { Handler } from './handler.ts';
import type { ServingMaterial } from './serving-certificate.ts';

export interface WebhookServerOptions {
  /** Empty: all addresses. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly material: ServingMaterial;
  readonly handler: Handler;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface WebhookServer {
  readonly port: number;
  /** New connections get the new certificate; those that are open go on. */
  replace(material: ServingMaterial): void;
  /**
   * Serves on for `graceMs`, asking callers to connect anew, then takes no more and ends when what is under way has its answer, at
   * the latest 5 s later: the API server goes on to use connections of a webhook that ends.
   */
  stop(graceMs: number): Promise<void>;
}

/** A connection costs some 50 KiB. */
const mostConnections = 1_024;
/** An API server has as many as it has requests under way: by default 200 that write. */
const mostOfAddress = 256;
const lastAnswersMs = 5_000;

const contextOf = ({ cert, key }: ServingMaterial) => ({ cert, key, minVersion: 'TLSv1.3' as const });

/** @throws the system's error when the port cannot be had. */
export async function createWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { host, port, material, handler, clock, logger } = options;
  const server = createServer(
    {
      ...contextOf(material),
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: 5_000,
      // Longer than the API server keeps a connection that it does not use, or it would send into one that we have closed.
      keepAliveTimeout: 90_000,
      // Its head comes in one piece.
      headersTimeout: 10_000,
      requestTimeout: 40_000,
      requireHostHeader: true,
      insecureHTTPParser: false,
    },
    handler,
  );
  server.maxConnections = mostConnections;
  limitByAddress(server, mostOfAddress);
  server.on('clientError', (_error, socket: Socket) => {
    // The parser's words may quote the peer's bytes: they are neither logged nor sent back.
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
  });
  server.on('tlsClientError', (error) => logger.debug('a handshake failed', { error: describeError(error) }));
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host === '' ? undefined : host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => logger.error('the webhook server failed', { error: describeError(error) }));
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));

  return {
    port: (server.address() as AddressInfo).port,
    replace: (next) => server.setSecureContext(contextOf(next)),
    async stop(graceMs) {
      handler.end();
      await wait(graceMs);
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeIdleConnections();
      await Promise.race([closed, wait(lastAnswersMs)]);
      server.closeAllConnections();
      await closed;
    },
  };
}
