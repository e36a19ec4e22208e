import { readFileSync } from 'node:fs';
import { request as requestPlain } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';
import { request as requestTls } from 'node:https';
import { getCACertificates } from 'node:tls';
import type { Clock } from '../../base/index.ts';

/** One exchange with the issuer or the decision endpoint: no redirect is followed, no connection and no cookie is kept. */
export type Exchange = (ask: {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}) => Promise<Answer>;

export interface Answer {
  readonly status: number;
  /** Value of Content-Type. */
  readonly type: string;
  readonly text: string;
}

/** Nobody answered, or not in time, or too much. */
export class ExchangeError extends Error {}

const timeoutMs = 10_000;
const mostBytes = 1_048_576;

export interface ExchangeOptions {
  /** File with authorities (PEM), read at each use. */
  readonly ca?: string | undefined;
  /** These authorities and no public ones; default false. */
  readonly alone?: boolean;
  /** A certificate of our own for who asks for one (PEM), read at each use. */
  readonly own?: (() => { readonly cert: string; readonly key: string }) | undefined;
}

export function createExchange(clock: Clock, { ca, alone = false, own }: ExchangeOptions = {}): Exchange {
  return ({ url, method, headers, body }) =>
    new Promise((resolve, reject) => {
      const target = new URL(url);
      const trusted = ca === undefined ? undefined : readFileSync(ca, 'utf8');
      const send = target.protocol === 'https:' ? requestTls : requestPlain;
      const length: OutgoingHttpHeaders = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
      const request = send(target, {
        method,
        agent: false,
        headers: { 'user-agent': 'sidegate', 'accept-encoding': 'identity', ...headers, ...length },
        minVersion: 'TLSv1.2',
        ...own?.(),
        ...(trusted !== undefined && { ca: alone ? trusted : [...getCACertificates('default'), trusted] }),
      });
      const fail = (what: string, cause?: unknown): void => {
        timer.cancel();
        reject(new ExchangeError(`${target.host}: ${what}`, { cause }));
        request.destroy();
      };
      const timer = clock.after(timeoutMs, () => fail('no whole answer in time'));
      request.on('error', (error) => fail('cannot be reached', error));
      request.on('response', (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > mostBytes) fail('the answer is too long');
          else parts.push(part);
        });
        response.on('close', () => {
          if (!response.complete) return fail('the answer was cut short');
          timer.cancel();
          const type = response.headers['content-type'] ?? '';
          resolve({ status: response.statusCode ?? 0, type, text: Buffer.concat(parts).toString() });
        });
      });
      request.end(body);
    });
}
