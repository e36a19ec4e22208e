import { hash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describeError, limitByAddress } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { paths } from '../contract/index.ts';
import { dialProbe } from './dial.ts';
import type { ProbeResult } from './dial.ts';
import type { Drain } from './drain.ts';
import { splitHook } from './target.ts';
import type { ProbeTarget, ProbeTargets } from './target.ts';

/**
 * The probe port: plain HTTP for the kubelet. It serves the probes and hooks that the pod declared, and `/drain`; nothing else.
 *
 * It does not ask who calls, since nothing tells the kubelet from others on every network. So an answer holds no byte of the
 * container's, a question that comes while another for the same path is under way or has just ended gets that one's answer, and
 * one address may hold few connections. A hook does something, so that its path holds a key of the pod: without it there is no such
 * page, and how long that takes to say does not depend on how much of the key was right.
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

interface Hook {
  readonly path: string;
  readonly target: ProbeTarget;
  readonly digest: Buffer;
}

const digestOf = (key: string): Buffer => hash('sha256', key, 'buffer');

/** What a path asks for, and under which name its answers are shared. */
function createLookup(
  targets: ProbeTargets,
): (path: string) => (Omit<Hook, 'digest'> & { readonly hook: boolean }) | undefined {
  const probes = new Map<string, ProbeTarget>();
  const hooks = new Map<string, Hook>();
  for (const [path, target] of targets) {
    const split = splitHook(path);
    if (split === undefined) probes.set(path, target);
    else hooks.set(split.hook, { path: split.hook, target, digest: digestOf(split.key) });
  }
  return (path) => {
    const split = splitHook(path);
    if (split === undefined) {
      const target = probes.get(path);
      return target === undefined ? undefined : { path, target, hook: false };
    }
    const found = hooks.get(split.hook);
    if (found === undefined || !timingSafeEqual(found.digest, digestOf(split.key))) return undefined;
    return { path: found.path, target: found.target, hook: true };
  };
}

/** @throws the system's error when the port cannot be had. */
export async function startProbeAgent(options: ProbeAgentOptions): Promise<ProbeAgent> {
  const { drain, clock, logger } = options;
  const lookup = createLookup(options.targets);
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
    const asked = lookup(path);
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
      response.setHeader('connection', 'close');
      return answer(response, 400, 'no body is taken here');
    }
    if (asked === undefined && path !== paths.drain) return answer(response, 404, 'no such page');
    if (request.method !== 'GET') {
      response.setHeader('allow', 'GET');
      return answer(response, 405, 'only GET');
    }
    if (asked === undefined) {
      logger.info('draining was asked for', { peer: addressOf(request.socket) });
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      const how = await drain.wait(gone.signal);
      logger.info('draining ended', { how });
      return answer(response, 200, how);
    }
    const { kind, why } = await probe(asked.path, asked.target);
    if (!asked.hook) return answer(response, kind === 'healthy' ? 200 : 503, `${kind}: ${why}`);
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
  // So that no single neighbour can keep the kubelet out.
  limitByAddress(server, maxPerAddress);
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
