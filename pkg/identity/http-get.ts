import { readFile } from 'node:fs/promises';
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { getCACertificates } from 'node:tls';
import { CodedError } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import type { SecretRef } from '../core/index.ts';

export type ProviderFaultCode =
  | 'insecure_url'
  | 'unreachable'
  | 'timeout'
  | 'redirect'
  | 'status'
  | 'too_large'
  | 'not_json'
  | 'issuer_mismatch'
  | 'shape';

/** Why keys could not be had from a provider; fixed wording, for the log. */
export class ProviderFault extends CodedError<ProviderFaultCode> {
  constructor(code: ProviderFaultCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
    this.name = 'ProviderFault';
  }
}

export interface HttpGetRequest {
  readonly url: URL;
  /** Authorities (PEM) trusted beside the public roots; read at every call, so that they may change. */
  readonly ca: SecretRef | undefined;
  /** What the answer may be; default JSON. */
  readonly accept?: string;
  readonly maxBytes: number;
  /** From the call to the last byte. */
  readonly timeoutMs: number;
}

/** Content of a Secret that a policy names; undefined: missing, or not here yet. */
export type ReadSecret = (ref: SecretRef) => string | undefined;

/**
 * Fetches a small document.
 *
 * @throws ProviderFault
 */
export type HttpGet = (request: HttpGetRequest) => Promise<Buffer>;

/**
 * A getter on `node:http` and `node:https` that follows no redirect (a redirect would let whoever answers choose where
 * trust comes from), sends no credential, keeps no connection, and is bounded in bytes and time.
 */
export function createHttpGet(clock: Clock, secret: ReadSecret = () => undefined): HttpGet {
  return async ({ url, ca: from, accept, maxBytes, timeoutMs }) => {
    const ca = from === undefined ? undefined : [...getCACertificates('default'), await readAuthorities(from, secret)];
    return await new Promise<Buffer>((resolve, reject) => {
      const send = url.protocol === 'https:' ? requestTls : requestPlain;
      const request = send(url, {
        agent: false,
        headers: {
          // RFC 7517 section 8.5.1: API servers of Kubernetes answer 406 for their keys to who asks for JSON alone.
          accept: accept ?? 'application/json, application/jwk-set+json',
          'accept-encoding': 'identity',
          'user-agent': 'sidegate',
        },
        ...(ca === undefined ? {} : { ca }),
        minVersion: 'TLSv1.2',
      });
      const fail = (fault: ProviderFault): void => {
        timer.cancel();
        reject(fault);
        request.destroy();
      };
      const timer = clock.after(timeoutMs, () => fail(new ProviderFault('timeout', 'no whole answer in time')));
      request.on('error', (cause) =>
        fail(new ProviderFault('unreachable', 'the provider cannot be reached', { cause })),
      );
      request.on('response', (response) => {
        const status = response.statusCode ?? 0;
        if (status >= 300 && status < 400) return fail(new ProviderFault('redirect', 'redirects are not followed'));
        if (status !== 200) return fail(new ProviderFault('status', 'the provider did not answer 200'));
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxBytes) return fail(new ProviderFault('too_large', 'the answer is larger than allowed'));
          chunks.push(chunk);
        });
        response.on('close', () => {
          if (!response.complete) return fail(new ProviderFault('unreachable', 'the answer was cut short'));
          timer.cancel();
          resolve(Buffer.concat(chunks));
        });
      });
      request.end();
    });
  };
}

/** Never the public roots alone where others were named: the answer might come from somebody else. */
async function readAuthorities(from: SecretRef, secret: ReadSecret): Promise<string> {
  const text = from.kind === 'File' ? await readCaFile(from.path) : secret(from);
  if (text === undefined)
    throw new ProviderFault('unreachable', 'the Secret with the authorities of the provider is missing');
  // TLS leaves out what it cannot read, without a word.
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new ProviderFault('unreachable', 'what should hold the authorities of the provider holds no certificate');
  return text;
}

async function readCaFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ProviderFault('unreachable', 'the CA file of the provider cannot be read', { cause });
  }
}
