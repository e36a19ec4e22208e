import { constants, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * An issuer that does exactly what a test tells it: any key set, any metadata, any failure, and tokens signed byte by
 * byte with node:crypto, so that what the product verifies was made by other code than its own library.
 */
export interface KeyServer {
  /** `http://127.0.0.1:PORT`, also the issuer that its metadata names. */
  readonly issuer: string;
  /** How often each document was asked for. */
  readonly requests: { discovery: number; keys: number };
  /** Replaces the published keys. */
  publish(...keys: readonly SigningKey[]): void;
  /** Answers for one document, in place of the good one; undefined: good again. */
  answerWith(what: 'discovery' | 'keys', answer: ((response: ServerResponse) => void) | undefined): void;
  /** Breaks every connection until `resume`. */
  stop(): void;
  resume(): void;
  close(): Promise<void>;
}

export interface SigningKey {
  readonly kid: string | undefined;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** As it stands in a key set. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

/** A new key for an algorithm. `bits`: RSA modulus, default 2,048. */
export function signingKey(alg: string, kid: string | undefined, options: { readonly bits?: number } = {}): SigningKey {
  const { privateKey, publicKey } = pairFor(alg, options.bits ?? 2_048);
  const jwk = { ...publicKey.export({ format: 'jwk' }), ...(kid === undefined ? {} : { kid }), alg, use: 'sig' };
  return { kid, alg, privateKey, publicKey, jwk };
}

function pairFor(alg: string, bits: number): { privateKey: KeyObject; publicKey: KeyObject } {
  if (/^[RP]S/.test(alg)) return generateKeyPairSync('rsa', { modulusLength: bits });
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  if (alg === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' });
  if (alg === 'ES512') return generateKeyPairSync('ec', { namedCurve: 'P-521' });
  return generateKeyPairSync('ed25519');
}

export const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signature over `input` as RFC 7518 and RFC 8037 lay it out. */
export function signatureOf(key: SigningKey, input: string, alg = key.alg): Buffer {
  const digest = `sha${alg.slice(2)}`;
  const data = Buffer.from(input);
  if (alg.startsWith('RS')) return sign(digest, data, key.privateKey);
  if (alg.startsWith('PS')) {
    return sign(digest, data, {
      key: key.privateKey,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: Number(alg.slice(2)) / 8,
    });
  }
  if (alg.startsWith('ES')) return sign(digest, data, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return sign(null, data, key.privateKey);
}

/** A signed token. A string stands for its exact text: for headers and payloads that no serializer would write. */
export function signedToken(
  key: SigningKey,
  claims: Readonly<Record<string, unknown>> | string,
  header: Readonly<Record<string, unknown>> | string = {},
): string {
  const full =
    typeof header === 'string'
      ? header
      : { alg: key.alg, typ: 'JWT', ...(key.kid === undefined ? {} : { kid: key.kid }), ...header };
  const input = `${part(full)}.${part(claims)}`;
  return `${input}.${signatureOf(key, input).toString('base64url')}`;
}

/** HS256 over the same input, keyed by any bytes: what CVE-2015-9235 does with a public key. */
export function hmacToken(secret: string | Buffer, claims: object, header: object): string {
  const input = `${part({ alg: 'HS256', typ: 'JWT', ...header })}.${part(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

export async function startKeyServer(): Promise<KeyServer> {
  let keys: readonly SigningKey[] = [];
  let stopped = false;
  const requests = { discovery: 0, keys: 0 };
  const answers = new Map<'discovery' | 'keys', (response: ServerResponse) => void>();
  const server = createServer((request, response) => {
    if (stopped) return void request.socket.destroy();
    const what = request.url === '/keys' ? 'keys' : 'discovery';
    requests[what]++;
    const special = answers.get(what);
    if (special !== undefined) return special(response);
    const good = what === 'keys' ? { keys: keys.map((key) => key.jwk) } : { issuer, jwks_uri: `${issuer}/keys` };
    if (what === 'discovery' && request.url !== '/.well-known/openid-configuration') response.statusCode = 404;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(good));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    requests,
    publish: (...next) => void (keys = next),
    answerWith: (what, answer) => void (answer === undefined ? answers.delete(what) : answers.set(what, answer)),
    stop: () => void (stopped = true),
    resume: () => void (stopped = false),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
