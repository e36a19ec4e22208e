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
import { pause, until } from '../../support/wait.ts';

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

export const bodyLimits = { maxBytes: 1024 * 1024, timeoutMs: 20_000 };

/** Reads the body and answers with it; refuses as the product does. */
export function echo(seen: string[], limits: Partial<typeof bodyLimits> = {}): (exchange: Exchange) => void {
  return (exchange) => {
    exchange.readBody({ ...bodyLimits, ...limits }).then(
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

export interface SpeakOptions {
  readonly plain?: boolean;
  readonly tls?: ConnectionOptions;
  /** So many whole answers are waited for, and whether more follows, which it must not. Default: until the server closes. */
  readonly answers?: number;
  /** Where nothing is to come: how long that is listened for. Else the most that is waited for the end; default 20 s. */
  readonly ms?: number;
}

/** How many answers of a connection are whole. `bodiless`: answers to HEAD, which announce a length and have no body. */
function wholeAnswers(text: string, bodiless: boolean): number {
  let rest = text;
  let count = 0;
  for (;;) {
    const [head, status] = /^HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n/.exec(rest) ?? [];
    if (head === undefined) return count;
    rest = rest.slice(head.length);
    if (status!.startsWith('1')) continue;
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0);
    const size = bodiless ? 0 : length;
    if (/\r\ntransfer-encoding:/i.test(head) || rest.length < size) return count;
    rest = rest.slice(size);
    count++;
  }
}

/** Writes the parts, one after the other (a number is a pause), and collects what comes until the end that the options name. */
export async function speak(
  served: Served,
  parts: string | readonly (string | number)[],
  options: SpeakOptions = {},
): Promise<Spoken> {
  const socket: Socket = options.plain
    ? connectPlain(served.port, '127.0.0.1')
    : connectTls({ port: served.port, host: '127.0.0.1', ca: served.ca, ...options.tls });
  let text = '';
  let [ended, closed] = [false, false];
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('end', () => (ended = true));
  socket.on('close', () => (closed = true));
  for (const part of typeof parts === 'string' ? [parts] : parts) {
    if (closed) break;
    if (typeof part === 'number') await pause(part);
    else socket.write(part, 'latin1');
  }
  const bodiless = typeof parts === 'string' && parts.startsWith('HEAD ');
  const { answers } = options;
  const whole = (): boolean => answers !== undefined && wholeAnswers(text, bodiless) >= answers;
  // What did not come by then, the caller's own expectations say better.
  await until(() => closed || whole(), 'the end', options.ms).catch(() => undefined);
  if (!closed && whole()) await pause(50);
  socket.destroy();
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
  return { text, statuses, closed: ended || closed };
}
