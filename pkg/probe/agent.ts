import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { paths } from '../contract/index.ts';
import { dialProbe } from './dial.ts';
import type { ProbeResult } from './dial.ts';
import type { Drain } from './drain.ts';
import type { ProbeTarget, ProbeTargets } from './target.ts';

/**
 * The probe port: plain HTTP for the kubelet. It serves the probes and hooks that the pod declared, and `/drain`; nothing else.
 *
 * It does not ask who calls, since nothing tells the kubelet from others on every network. So an answer holds no byte of the
 * container's, a question that comes while another for the same path is under way or has just ended gets that one's answer, and
 * one address may hold few connections. Limit: whoever reaches the pod can call a network hook that the pod declares.
 */
export interface ProbeAgentOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly targets: ProbeTargets;
  /** Where containers are dialled, in this order: the next one where nothing listens. */
  readonly hosts: readonly string[];
  readonly drain: Drain;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each answer: for metrics. */
  readonly onProbe?: (result: ProbeResult['kind']) => void;
}

export interface ProbeAgent {
  readonly port: number;
  close(): Promise<void>;
}

/** Shorter than the shortest period of a probe: a flood costs the container no more than four questions a second. */
const freshMs = 250;
/** The kubelet asks from one address, and holds a connection for each probe that is under way. */
const maxPerAddress = 32;
const maxConnections = 1_024;

const hooks = /\/(?:post-start|pre-stop)$/;

/** @throws the system's error when the port cannot be had. */
export async function startProbeAgent(options: ProbeAgentOptions): Promise<ProbeAgent> {
  const { targets, drain, clock, logger } = options;
  const running = new Map<string, Promise<ProbeResult>>();
  const probe = (path: string, target: ProbeTarget): Promise<ProbeResult> => {
    const known = running.get(path);
    if (known !== undefined) return known;
    const result = dialProbe(target, options).then((said) => {
      clock.after(freshMs, () => running.delete(path));
      options.onProbe?.(said.kind);
      return said;
    });
    running.set(path, result);
    return result;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '';
    const target = targets.get(path);
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
      response.setHeader('connection', 'close');
      return answer(response, 400, 'no body is taken here');
    }
    if (target === undefined && path !== paths.drain) return answer(response, 404, 'no such page');
    if (request.method !== 'GET') {
      response.setHeader('allow', 'GET');
      return answer(response, 405, 'only GET');
    }
    if (target === undefined) {
      logger.info('draining was asked for', { peer: addressOf(request.socket) });
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      const how = await drain.wait(gone.signal);
      logger.info('draining ended', { how });
      return answer(response, 200, how);
    }
    const { kind, why } = await probe(path, target);
    if (!hooks.test(path)) return answer(response, kind === 'healthy' ? 200 : 503, `${kind}: ${why}`);
    // Of a hook the kubelet looks at nothing but whether there was an answer.
    if (kind === 'unreachable') response.destroy();
    else answer(response, 200, `${kind}: ${why}`);
  };

  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 5_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 8_192,
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    (request, response) => {
      handle(request, response).catch((error: unknown) => {
        logger.error('a probe failed', { error: describeError(error) });
        response.destroy();
      });
    },
  );
  server.maxConnections = maxConnections;
  limitByAddress((run) => server.on('connection', run));
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
  });
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  server.on('error', (error) => logger.error('the probe port failed', { error: describeError(error) }));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, text: string): void {
  const body = `${text}\n`;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

const addressOf = (socket: Socket): string => (socket.remoteAddress ?? '').replace(/^::ffff:/, '');

/** So that no single neighbour can keep the kubelet out. */
function limitByAddress(onConnection: (run: (socket: Socket) => void) => void): void {
  const held = new Map<string, number>();
  onConnection((socket) => {
    const address = addressOf(socket);
    const count = (held.get(address) ?? 0) + 1;
    held.set(address, count);
    socket.on('close', () => {
      const left = (held.get(address) ?? 1) - 1;
      if (left === 0) held.delete(address);
      else held.set(address, left);
    });
    if (count > maxPerAddress) socket.destroy();
  });
}
