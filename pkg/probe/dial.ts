import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { errorCode } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { askHealth } from './grpc-health.ts';
import type { HttpTarget, ProbeTarget } from './target.ts';

/**
 * What the container said. `unreachable`: no connection, or no answer in time. `unhealthy` and `healthy`: it answered. `why`: a
 * status, a system's code, or a fixed word; never what the container wrote.
 */
export interface ProbeResult {
  readonly kind: 'healthy' | 'unhealthy' | 'unreachable';
  readonly why: string;
}

export interface DialOptions {
  /** Where the container is dialled, in this order: the next one where nothing listens. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
}

const healthy = (why: string): ProbeResult => ({ kind: 'healthy', why });
const unhealthy = (why: string): ProbeResult => ({ kind: 'unhealthy', why });
const unreachable = (why: string): ProbeResult => ({ kind: 'unreachable', why });

/** As the kubelet asks it (pkg/probe of Kubernetes), from the sidecar's place. Never rejects. */
export async function dialProbe(target: ProbeTarget, { hosts, clock }: DialOptions): Promise<ProbeResult> {
  const abort = new AbortController();
  const timer = clock.after(target.timeoutSeconds * 1_000, () => abort.abort());
  try {
    let last = unreachable('no address');
    for (const host of hosts) {
      last = await dialOne(target, host, abort.signal);
      if (last.why !== 'ECONNREFUSED') return last;
    }
    return last;
  } finally {
    timer.cancel();
    abort.abort();
  }
}

function dialOne(target: ProbeTarget, host: string, signal: AbortSignal): Promise<ProbeResult> {
  if ('httpGet' in target) return dialHttp(target.httpGet, host, signal);
  if ('tcpSocket' in target) return dialTcp(target.tcpSocket.port, host, signal);
  return dialGrpc(target.grpc, host, signal);
}

const failure = (error: unknown, signal: AbortSignal): ProbeResult =>
  unreachable(signal.aborted ? 'timeout' : (errorCode(error) ?? 'failed'));

function dialTcp(port: number, host: string, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.on('connect', () => {
      resolve(healthy('connected'));
      socket.destroy();
    });
    socket.on('error', (error) => resolve(failure(error, signal)));
  });
}

async function dialGrpc(
  { port, service }: { readonly port: number; readonly service: string },
  host: string,
  signal: AbortSignal,
): Promise<ProbeResult> {
  try {
    const said = await askHealth({ host, port, service, signal });
    return said === 'serving' ? healthy(said) : unhealthy(said);
  } catch (error) {
    return failure(error, signal);
  }
}

/** As many redirects as the kubelet follows. */
const maxRedirects = 10;
/** So much of an answer is read and dropped before the connection is broken. */
const drainBytes = 64 * 1024;

const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

async function dialHttp(target: HttpTarget, host: string, signal: AbortSignal): Promise<ProbeResult> {
  let { path } = target;
  for (let followed = 0; ; followed++) {
    let response: IncomingMessage;
    try {
      response = await get(target, path, host, signal);
    } catch (error) {
      return failure(error, signal);
    }
    dropBody(response);
    const { statusCode: status = 0, headers } = response;
    if (status < 300 || status >= 400)
      return status >= 200 && status < 300 ? healthy(`${status}`) : unhealthy(`${status}`);
    const next = redirectTo(headers.location, target, path, host);
    // To another place than the container's own port: it has answered, and where it sends people is not asked.
    if (next === undefined) return healthy(`${status}`);
    if (followed === maxRedirects) return unhealthy('redirects');
    path = next;
  }
}

function redirectTo(location: string | undefined, target: HttpTarget, path: string, host: string): string | undefined {
  const base = `${target.scheme.toLowerCase()}://${inUrl(host)}:${target.port}`;
  if (location === undefined || !URL.canParse(location, base + path)) return undefined;
  const next = new URL(location, base + path);
  return next.origin === new URL(base).origin ? next.pathname + next.search : undefined;
}

function get(target: HttpTarget, path: string, host: string, signal: AbortSignal): Promise<IncomingMessage> {
  const headers: Record<string, string> = {
    host: `${inUrl(host)}:${target.port}`,
    'user-agent': 'kube-probe/sidegate',
    accept: '*/*',
    connection: 'close',
  };
  for (const { name, value } of target.headers ?? []) {
    // As the kubelet has it: an empty Accept means none.
    if (name.toLowerCase() === 'accept' && value === '') delete headers['accept'];
    else headers[name.toLowerCase()] = value;
  }
  return new Promise((resolve, reject) => {
    const options: RequestOptions = { host, port: target.port, path, method: 'GET', headers, agent: false, signal };
    const request =
      target.scheme === 'HTTPS'
        ? // What serves probes has a certificate for people, if any: the kubelet does not look at it either.
          httpsRequest({ ...options, rejectUnauthorized: false })
        : httpRequest(options);
    request.on('response', resolve);
    request.on('error', reject);
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      reject(new Error('upgrade'));
    });
    request.end();
  });
}

function dropBody(response: IncomingMessage): void {
  let bytes = 0;
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > drainBytes) response.destroy();
  });
}
