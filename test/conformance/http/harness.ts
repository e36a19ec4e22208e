import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { silentLogger, systemClock } from '../../../pkg/base/index.ts';
import type { ReasonCode } from '../../../pkg/core/index.ts';
import { RefusedError } from '../../../pkg/core/index.ts';
import { createListener, refusalHead } from '../../../pkg/http/index.ts';
import type { Exchange, Listener, ListenerOptions } from '../../../pkg/http/index.ts';
import { ensureSelfSigned } from '../../../pkg/pki/index.ts';

/** A real listener on a free port whose handler writes down what it was given. */
export interface Served {
  readonly listener: Listener;
  readonly port: number;
  readonly ca: string;
  /** `METHOD target body` of each exchange whose body was read whole. */
  readonly seen: string[];
  /** Every exchange that reached the handler, read or not. */
  readonly exchanges: Exchange[];
  readonly refused: ReasonCode[];
  inbound: 'Required' | 'Mutual' | 'Optional';
  stop(): Promise<void>;
}

export const bodyLimits = { maxBytes: 1024 * 1024, timeoutMs: 700 };

/** Reads the body and answers with it; refuses as the product does. */
export function echo(seen: string[]): (exchange: Exchange) => void {
  return (exchange) => {
    exchange.readBody(bodyLimits).then(
      (body) => {
        seen.push(`${exchange.method} ${exchange.target} ${body.toString('latin1')}`.trimEnd());
        exchange.respond(200, { 'content-type': 'text/plain' }, body);
      },
      (error: unknown) => {
        const code = error instanceof RefusedError ? error.code : 'internal_error';
        const { status, headers } = refusalHead(code);
        exchange.respond(status, headers, JSON.stringify({ error: { code } }));
      },
    );
  };
}

export async function serve(
  options: Partial<ListenerOptions> & { readonly handle?: (exchange: Exchange) => void } = {},
): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-http-'));
  const files = await ensureSelfSigned(folder, ['localhost', '127.0.0.1'], systemClock);
  const material = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  const ca = readFileSync(files.caFile, 'utf8');
  rmSync(folder, { recursive: true });
  const seen: string[] = [];
  const exchanges: Exchange[] = [];
  const refused: ReasonCode[] = [];
  const handle = options.handle ?? echo(seen);
  const served: { inbound: Served['inbound'] } = { inbound: 'Required' };
  const listener = await createListener({
    host: '127.0.0.1',
    port: 0,
    tls: { current: () => material, subscribe: () => () => undefined },
    inbound: () => served.inbound,
    minVersion: 'TLSv1.2',
    clock: systemClock,
    logger: silentLogger,
    onRefused: (code) => refused.push(code),
    refusalBody: (code) => JSON.stringify({ error: { code } }),
    ...options,
    onExchange: (exchange) => {
      exchanges.push(exchange);
      handle(exchange);
    },
  });
  return Object.assign(served, {
    listener,
    port: listener.port,
    ca,
    seen,
    exchanges,
    refused,
    stop: () => listener.close(200),
  });
}

export interface Spoken {
  readonly text: string;
  /** Status codes of the answers, in order. */
  readonly statuses: readonly number[];
  /** Whether the server ended the connection within the time given. */
  readonly closed: boolean;
}

/** Writes the parts, one after the other, and collects what comes until the server closes or `ms` are over. */
export async function speak(
  served: Served,
  parts: string | readonly (string | number)[],
  options: { readonly plain?: boolean; readonly ms?: number; readonly tls?: ConnectionOptions } = {},
): Promise<Spoken> {
  const socket: Socket = options.plain
    ? connectPlain(served.port, '127.0.0.1')
    : connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca, ...options.tls });
  let text = '';
  let closed = false;
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  const end = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, options.ms ?? 1500);
    socket.on('end', () => (closed = true));
    socket.on('close', () => {
      closed = true;
      clearTimeout(timer);
      resolve();
    });
  });
  for (const part of typeof parts === 'string' ? [parts] : parts) {
    if (typeof part === 'number') await new Promise((resolve) => setTimeout(resolve, part));
    else if (!socket.destroyed) socket.write(part, 'latin1');
  }
  await end;
  socket.destroy();
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
  return { text, statuses, closed };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `done` holds; fails after `ms`. */
export async function until(done: () => boolean, ms = 5000): Promise<void> {
  const end = Date.now() + ms;
  while (!done()) {
    if (Date.now() > end) throw new Error('waited in vain');
    await pause(5);
  }
}
