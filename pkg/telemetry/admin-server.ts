import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describeError, limitByAddress } from '../base/index.ts';
import type { Logger } from '../base/index.ts';

/**
 * The second port: plain HTTP for probes and scrapers. It answers GET on a few fixed paths and nothing else, takes no
 * body, and everything it says is a state name or a number: whoever can reach it learns no prompt, token or key.
 * Bind it to the pod's address or loopback; it does not ask who calls.
 */

export interface AdminServerOptions {
  readonly host: string;
  /** 0: any free port, see {@link AdminServer.port}. */
  readonly port: number;
  readonly logger: Logger;
  readonly metrics: { readonly contentType: string; render(): Promise<string> };
  /** `reasons`: fixed words such as `no_policy_yet`, never content. */
  readonly ready: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  /** `GET /startupz`: as `ready`, of what must hold before the pod's other containers start. Without it the path does not exist. */
  readonly startup?: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  /** Default: always. The event loop answers at all, which is what liveness means here. */
  readonly live?: () => boolean;
  /** `GET /drain` waits for it: resolves when nothing is in flight. Without it the path does not exist. */
  readonly drain?: () => Promise<void>;
}

export interface AdminServer {
  readonly host: string;
  readonly port: number;
  /** Ends open connections and the port. */
  close(): Promise<void>;
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

const plain = 'text/plain; charset=utf-8';
/** Probes come here: whoever took all places would have the kubelet restart the process. */
const mostConnections = 512;
/** A kubelet has one or two, a scraper one. */
const mostOfAddress = 8;

type Page = (response: ServerResponse) => void | Promise<void>;

function pages(options: AdminServerOptions): ReadonlyMap<string, Page> {
  const { metrics, ready, startup, live, drain } = options;
  const tell =
    (state: typeof ready): Page =>
    (response) => {
      const { ready: holds, reasons } = state();
      answer(response, holds ? 200 : 503, 'application/json', `${JSON.stringify({ ready: holds, reasons })}\n`);
    };
  const all = new Map<string, Page>([
    [
      '/healthz',
      (response) => {
        const alive = live?.() ?? true;
        answer(response, alive ? 200 : 503, plain, alive ? 'ok\n' : 'not live\n');
      },
    ],
    ['/readyz', tell(ready)],
    ['/metrics', async (response) => answer(response, 200, metrics.contentType, await metrics.render())],
  ]);
  if (startup !== undefined) all.set('/startupz', tell(startup));
  if (drain !== undefined) {
    all.set('/drain', async (response) => {
      await drain();
      answer(response, 200, plain, 'drained\n');
    });
  }
  return all;
}

/** @throws the system's error when the port cannot be had. */
export async function createAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const known = pages(options);

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const page = known.get((request.url ?? '').split('?', 1)[0] ?? '');
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
      response.setHeader('connection', 'close');
      answer(response, 400, plain, 'no body is taken here\n');
    } else if (page === undefined) answer(response, 404, plain, 'no such page\n');
    else if (request.method !== 'GET') {
      response.setHeader('allow', 'GET');
      answer(response, 405, plain, 'only GET\n');
    } else await page(response);
  };

  const server = createServer(
    {
      // A scraper that stalls costs one socket for five seconds.
      headersTimeout: 5000,
      requestTimeout: 5000,
      // Who comes again connects again.
      keepAliveTimeout: 1000,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 8192,
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    (request, response) => {
      handle(request, response).catch((error: unknown) => {
        options.logger.error('admin page failed', { error: describeError(error) });
        if (response.headersSent) response.destroy();
        else answer(response, 500, plain, 'failed\n');
      });
    },
  );
  server.maxConnections = mostConnections;
  limitByAddress(server, mostOfAddress);
  server.on('clientError', (_error, socket) => {
    // The parser's words may quote the peer's bytes: they are neither logged nor sent back.
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
  });
  // Nothing here speaks another protocol.
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  server.on('error', (error) => options.logger.error('admin server failed', { error: describeError(error) }));
  const bound = server.address() as AddressInfo;

  return {
    host: bound.address,
    port: bound.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
