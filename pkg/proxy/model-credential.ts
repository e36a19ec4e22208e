import { createHash, createHmac } from 'node:crypto';
import type { Hash, Hmac } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { lenientParameters } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { CredentialUse } from '../core/index.ts';

/** How the model's own credential goes with a request, and what of it must not come back. */

/** One that goes with a request. */
export interface SentCredential {
  readonly use: CredentialUse;
  readonly value: string;
}

interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** `ID:SECRET` or `ID:SECRET:SESSION-TOKEN`; undefined: it is neither. */
function accessKeyOf(credential: string): AccessKey | undefined {
  const parts = /^([0-9A-Za-z]{4,128}):([0-9A-Za-z+/=]{8,256})(?::([0-9A-Za-z+/=]{8,}))?$/.exec(credential);
  if (parts === null) return undefined;
  const [, accessKeyId = '', secretAccessKey = '', sessionToken] = parts;
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}

/** Why a text that has no `credentialFault` cannot be used so, in words without it; undefined: it can. */
export function useFault(use: CredentialUse, credential: string): string | undefined {
  if (use.kind !== 'SigV4' || accessKeyOf(credential) !== undefined) return undefined;
  return 'it is not ACCESS-KEY-ID:SECRET-ACCESS-KEY, with or without :SESSION-TOKEN';
}

/** What is looked for in answers. Of an access key that is what signs, and what is sent beside the signature. */
export function secretsOf(use: CredentialUse, credential: string): readonly string[] {
  const key = use.kind === 'SigV4' ? accessKeyOf(credential) : undefined;
  if (key === undefined) return [credential];
  return [key.secretAccessKey, ...(key.sessionToken === undefined ? [] : [key.sessionToken])];
}

/** Writes the credential among the headers, where it goes in one. What a caller sent that could be taken for it is taken out. */
export function showCredential(use: CredentialUse, credential: string, headers: OutgoingHttpHeaders): void {
  if (use.kind === 'SigV4') {
    for (const name in headers) if (/^x-amz-/i.test(name)) Reflect.deleteProperty(headers, name);
    return;
  }
  const shown = use.kind === 'OAuth' ? use.shown : use;
  if (shown.kind === 'Header') headers[shown.header] = shown.prefix + credential;
}

/**
 * The target with the credential in its query, where it goes there: in place of what a caller sent in a parameter that any server would
 * read by that name.
 *
 * @param target path and query, normalised.
 */
export function targetWithCredential(sent: SentCredential | undefined, target: string): string {
  if (sent?.use.kind !== 'Query') return target;
  const { use, value } = sent;
  const at = target.indexOf('?');
  const [path, query] = at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
  const wanted = use.parameter.toLowerCase();
  const kept = lenientParameters(query).flatMap(({ name, raw }) => (name === wanted ? [] : [raw]));
  return `${path}?${[...kept, `${use.parameter}=${encodeURIComponent(value)}`].join('&')}`;
}

/** @throws RefusedError upstream_unsupported: what goes on while it comes in cannot be signed before. */
export function refuseUnsigned(sent: SentCredential | undefined): void {
  if (sent?.use.kind === 'SigV4') throw new RefusedError('upstream_unsupported', { detail: 'sigV4' });
}

export interface ToSign {
  readonly method: string;
  /** Of the endpoint, with the path that it puts before each request's. */
  readonly base: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
}

/**
 * The headers of a signature (AWS Signature Version 4), to be sent beside the others. It covers method, host, path, query, the body and
 * its type.
 *
 * @param now milliseconds since the epoch; AWS takes a signature for five minutes.
 */
export async function signature(
  use: Extract<CredentialUse, { readonly kind: 'SigV4' }>,
  credential: string,
  request: ToSign,
  now: number,
): Promise<OutgoingHttpHeaders> {
  const credentials = accessKeyOf(credential);
  if (credentials === undefined) throw new RefusedError('credential_unavailable');
  // Only where a policy wants it: no other sidecar pays for it.
  const { SignatureV4 } = await import('@smithy/signature-v4');
  const signer = new SignatureV4({ region: use.region, service: use.service, credentials, sha256: Sha256 });
  const { protocol, host, hostname, pathname } = new URL(request.base);
  const [path = '', ...rest] = request.target.split('?');
  const type = request.headers['content-type'];
  const signed = await signer.sign(
    {
      method: request.method,
      protocol,
      hostname,
      path: (pathname === '/' ? '' : pathname.replace(/\/$/, '')) + path,
      query: queryOf(rest.join('?')),
      headers: { host, ...(typeof type === 'string' && { 'content-type': type }) },
      body: request.body ?? '',
    },
    { signingDate: new Date(now) },
  );
  const { host: _host, 'content-type': _type, ...own } = signed.headers;
  return own;
}

function queryOf(query: string): Record<string, string | string[]> {
  const bag = new Map<string, string[]>();
  for (const one of query.split('&')) {
    if (one === '') continue;
    const at = one.indexOf('=');
    const [name, value] = at < 0 ? [one, ''] : [one.slice(0, at), one.slice(at + 1)];
    bag.set(decoded(name), [...(bag.get(decoded(name)) ?? []), decoded(value)]);
  }
  return Object.fromEntries(
    [...bag].map(([name, [first = '', ...more]]) => [name, more.length === 0 ? first : [first, ...more]]),
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RefusedError('invalid_request', { detail: 'query' });
  }
}

/** What the signer asks for a digest. */
class Sha256 {
  readonly #key: Uint8Array | undefined;
  #hash: Hash | Hmac;

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#key = key === undefined ? undefined : bytesOf(key);
    this.#hash = this.#begin();
  }

  #begin(): Hash | Hmac {
    return this.#key === undefined ? createHash('sha256') : createHmac('sha256', this.#key);
  }

  update(chunk: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(chunk));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#begin();
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
