import { Agent, request as httpsRequest } from 'node:https';
import { Agent as PlainAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { onUnaskedUpgrade } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import type { ClusterAccess, ClusterCredentials } from './credentials.ts';
import { asKubeError, KubeError } from './kube-error.ts';

/** One exchange with the API server, up to the head of its answer. */
export interface ExchangeOptions {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
  readonly accept?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the head of the answer must be there. */
  readonly headMs: number;
}

export interface Exchange {
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  /** By the server's clock (RFC 9110, `Date`), epoch milliseconds; undefined: it did not say. */
  readonly date: number | undefined;
  /** Must be read or destroyed. */
  readonly body: IncomingMessage;
}

/** Sockets and credentials towards one API server. */
export interface Connection {
  /** @throws KubeError when there is no answer; any status is an answer. */
  open(options: ExchangeOptions): Promise<Exchange>;
  close(): void;
}

/** A kubelet renews a token at 80 % of its hour: a minute is soon enough, and cheap. */
const rereadMs = 60_000;

interface Held {
  readonly credentials: ClusterCredentials;
  readonly agent: Agent | PlainAgent;
  readonly readAt: number;
}

function sameTls(a: ClusterCredentials, b: ClusterCredentials): boolean {
  return (
    a.ca === b.ca &&
    a.cert === b.cert &&
    a.key?.reveal() === b.key?.reveal() &&
    a.serverName === b.serverName &&
    a.insecure === b.insecure
  );
}

/** Calls under way keep their sockets: `Agent.destroy` would cut them. */
function closeIdle(agent: Agent | PlainAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

export function createConnection(access: ClusterAccess, clock: Clock, userAgent: string): Connection {
  const plain = access.server.protocol === 'http:';
  let held: Held | undefined;
  let reading: Promise<Held> | undefined;
  let closed = false;

  const makeAgent = ({ ca, cert, key, serverName, insecure }: ClusterCredentials): Agent | PlainAgent => {
    const common = { keepAlive: true, keepAliveMsecs: 15_000, maxSockets: 64, scheduling: 'lifo' as const };
    if (plain) return new PlainAgent(common);
    const name = serverName ?? (isIP(access.server.hostname) === 0 ? access.server.hostname : undefined);
    return new Agent({
      ...common,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key: key.reveal() }),
      ...(name !== undefined && { servername: name }),
      rejectUnauthorized: !insecure,
      minVersion: 'TLSv1.2',
    });
  };

  const read = async (): Promise<Held> => {
    const credentials = await access.read();
    const before = held;
    const agent =
      before !== undefined && sameTls(before.credentials, credentials) ? before.agent : makeAgent(credentials);
    if (before !== undefined && before.agent !== agent) closeIdle(before.agent);
    held = { credentials, agent, readAt: clock.monotonic() };
    return held;
  };
  const current = async (): Promise<Held> => {
    if (held !== undefined && clock.monotonic() - held.readAt < rereadMs) return held;
    reading ??= read().finally(() => {
      reading = undefined;
    });
    try {
      return await reading;
    } catch (error) {
      // A file that is just being swapped: what was good a minute ago may still be, and the server is the judge.
      if (held !== undefined) return held;
      throw new KubeError('unreachable', 'the credentials for the API server cannot be read', { cause: error });
    }
  };

  const send = (options: ExchangeOptions, { agent, credentials }: Held): Promise<Exchange> =>
    new Promise((resolve, reject) => {
      const { method, path, body, contentType = 'application/json', accept = 'application/json', signal } = options;
      const payload = body === undefined ? undefined : Buffer.from(body);
      const prefix = access.server.pathname === '/' ? '' : access.server.pathname.replace(/\/$/, '');
      const call = (plain ? httpRequest : httpsRequest)({
        protocol: access.server.protocol,
        hostname: access.server.hostname.replace(/^\[|\]$/g, ''),
        port: access.server.port === '' ? (plain ? 80 : 443) : access.server.port,
        method,
        path: `${prefix}${path}`,
        agent,
        ...(signal !== undefined && { signal }),
        headers: {
          ...options.headers,
          accept,
          'user-agent': userAgent,
          ...(credentials.authorization !== undefined && { authorization: credentials.authorization.reveal() }),
          ...(payload !== undefined && { 'content-type': contentType, 'content-length': payload.length }),
        },
      });
      const timer = clock.after(options.headMs, () =>
        call.destroy(new KubeError('timeout', `the API server did not answer within ${options.headMs} ms`)),
      );
      call.on('response', (response) => {
        timer.cancel();
        const wait = Number(response.headers['retry-after']);
        const date = Date.parse(response.headers.date ?? '');
        resolve({
          date: Number.isNaN(date) ? undefined : date,
          status: response.statusCode ?? 0,
          retryAfterMs: Number.isFinite(wait) && wait > 0 ? Math.min(wait, 120) * 1_000 : undefined,
          body: response,
        });
      });
      call.on('error', (error) => {
        timer.cancel();
        reject(signal?.aborted === true ? new KubeError('aborted', 'the call was given up') : asKubeError(error));
      });
      onUnaskedUpgrade(call, () => {
        timer.cancel();
        reject(new KubeError('bad_answer', 'the API server answers 101'));
      });
      call.end(payload);
    });

  return {
    async open(options) {
      if (closed) throw new KubeError('aborted', 'the client is closed');
      const before = await current();
      const exchange = await send(options, before);
      if (exchange.status !== 401) return exchange;
      // Expired or just rotated: read anew, and ask once more if that changed anything.
      if (held === before) held = { ...before, readAt: Number.NEGATIVE_INFINITY };
      const after = await current();
      if (after.credentials.authorization?.reveal() === before.credentials.authorization?.reveal()) return exchange;
      exchange.body.resume();
      return send(options, after);
    },
    close() {
      closed = true;
      held?.agent.destroy();
    },
  };
}
