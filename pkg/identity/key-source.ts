import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import type { SecretRef } from '../core/index.ts';
import { ProviderFault } from './http-get.ts';
import type { HttpGet } from './http-get.ts';
import { readVerificationKey } from './verification-key.ts';
import type { VerificationKey } from './verification-key.ts';

/** Where an issuer's keys stand. Equal sources share one key set. */
export interface KeySourceSpec {
  readonly issuer: string;
  /** When set, there is no discovery. */
  readonly jwksUri: string | undefined;
  readonly ca: SecretRef | undefined;
  /** Plain http, loopback hosts only. */
  readonly allowInsecureLoopback: boolean;
  /** The key set itself, as JSON: nothing is fetched. */
  readonly keys?: string;
}

const timeoutMs = 5_000;
/** Metadata of large providers is about 10 KB. */
const maxDocumentBytes = 262_144;
/** More than a hundred RSA keys with certificate chains. */
const maxKeySetBytes = 524_288;
const maxKeys = 256;

/**
 * The issuer's present keys, by discovery (OpenID Connect Discovery 1.0 section 4), from the given address, or as given.
 *
 * @throws ProviderFault
 */
export async function fetchKeys(spec: KeySourceSpec, get: HttpGet): Promise<VerificationKey[]> {
  const document = objectOf(spec.keys === undefined ? await fetchKeySet(spec, get) : Buffer.from(spec.keys));
  const listed = document['keys'];
  if (!Array.isArray(listed) || listed.length > maxKeys) {
    throw new ProviderFault('shape', 'the key set has the wrong shape');
  }
  return listed.map(readVerificationKey).filter((key) => key !== undefined);
}

async function fetchKeySet(spec: KeySourceSpec, get: HttpGet): Promise<Buffer> {
  const address = spec.jwksUri ?? (await discover(spec, get));
  const url = trustedUrl(address, spec.allowInsecureLoopback);
  return get({ url, ca: spec.ca, maxBytes: maxKeySetBytes, timeoutMs });
}

async function discover(spec: KeySourceSpec, get: HttpGet): Promise<string> {
  const issuer = trustedUrl(spec.issuer, spec.allowInsecureLoopback);
  if (issuer.search !== '' || issuer.hash !== '') {
    throw new ProviderFault('insecure_url', 'an issuer has neither query nor fragment');
  }
  const url = new URL(`${spec.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  const document = objectOf(await get({ url, ca: spec.ca, maxBytes: maxDocumentBytes, timeoutMs }));
  // Section 4.3: they must be identical, or one tenant of a shared host could speak for another.
  if (document['issuer'] !== spec.issuer) {
    throw new ProviderFault('issuer_mismatch', 'the metadata names another issuer');
  }
  const address = document['jwks_uri'];
  if (typeof address !== 'string') throw new ProviderFault('shape', 'the metadata has no jwks_uri');
  return address;
}

const loopback = /^(?:127(?:\.[0-9]{1,3}){3}|\[::1\]|localhost)$/;

function trustedUrl(address: string, allowInsecureLoopback: boolean): URL {
  const url = URL.parse(address);
  if (url === null) throw new ProviderFault('insecure_url', 'not an absolute URL');
  if (url.username !== '' || url.password !== '') {
    throw new ProviderFault('insecure_url', 'a URL with credentials is not used');
  }
  if (url.protocol === 'https:') return url;
  if (url.protocol === 'http:' && allowInsecureLoopback && loopback.test(url.hostname)) return url;
  throw new ProviderFault('insecure_url', 'keys come over https only');
}

function objectOf(body: Buffer): { readonly [key: string]: JsonValue } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    const root = parseJson(text, { maxDepth: 16, maxNodes: 20_000 });
    const value = jsonValue(root);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw new ProviderFault('not_json', 'the answer is not acceptable JSON', { cause });
  }
  throw new ProviderFault('shape', 'the answer is not an object');
}
