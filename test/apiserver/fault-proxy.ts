import { Agent, request as httpsRequest } from 'node:https';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ApiServer } from '../cluster/api-server.ts';

/** What the proxy does to a request instead of passing it on. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: number }
  | { readonly kind: 'reset' }
  /** A watch that says these lines and ends. */
  | { readonly kind: 'lines'; readonly lines: readonly string[] }
  /** Takes the request and says nothing. */
  | { readonly kind: 'silence' };

/** Stands between a client and the API server: plain HTTP in front, TLS as the administrator behind. Counts what passes. */
export interface FaultProxy {
  readonly url: URL;
  /** Asked for each request; undefined passes it on. */
  fault: (call: { readonly method: string; readonly path: string }) => Fault | undefined;
  /** Every request since the last `calls.length = 0`, as `GET /api/v1/pods?…`. */
  readonly calls: string[];
  /** Cuts every connection now. */
  resetAll(): void;
  /** From now on no byte of answers under way passes; they stay open. */
  freezeAll(): void;
  /** Requests whose answers are under way: watches. */
  readonly open: number;
  stop(): Promise<void>;
}

export async function startFaultProxy(server: ApiServer, asClient = false): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true, ca: server.ca, ...(asClient ? {} : server.admin) });
  const sockets = new Set<Socket>();
  const answers = new Set<IncomingMessage>();
  const calls: string[] = [];

  const pass = (request: IncomingMessage, response: ServerResponse): void => {
    const upstream = httpsRequest(
      new URL(request.url ?? '/', server.url),
      { method: request.method, agent, headers: { ...request.headers, host: new URL(server.url).host } },
      (answer) => {
        answers.add(answer);
        answer.on('close', () => answers.delete(answer));
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      },
    );
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  };
  const proxy: FaultProxy = {
    url: new URL('http://127.0.0.1'),
    fault: () => undefined,
    calls,
    resetAll() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    freezeAll() {
      for (const answer of answers) answer.unpipe();
    },
    get open() {
      return answers.size;
    },
    stop: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        listener.closeAllConnections();
        for (const socket of sockets) socket.destroy();
        agent.destroy();
      }),
  };
  const listener = createServer((request, response) => {
    const call = { method: request.method ?? '', path: request.url ?? '' };
    calls.push(`${call.method} ${call.path}`);
    const fault = proxy.fault(call);
    if (fault === undefined) return pass(request, response);
    if (fault.kind === 'reset') return void request.socket.resetAndDestroy();
    if (fault.kind === 'silence') return;
    request.resume();
    if (fault.kind === 'lines') {
      response.writeHead(200, { 'content-type': 'application/json' });
      return void response.end(fault.lines.map((line) => `${line}\n`).join(''));
    }
    response.writeHead(fault.status, {
      'content-type': 'application/json',
      ...(fault.retryAfter !== undefined && { 'retry-after': String(fault.retryAfter) }),
    });
    response.end(JSON.stringify({ kind: 'Status', status: 'Failure', message: 'injected', code: fault.status }));
  });
  listener.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return Object.assign(proxy, { url: new URL(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`) });
}
