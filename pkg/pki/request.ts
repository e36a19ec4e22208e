import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { element, readElements, tags } from './der.ts';
import { PkiError } from './pki-error.ts';

/**
 * Certificate requests (PKCS#10, RFC 2986) for P-256 keys, written and read without a library: the sidecar never loads one.
 *
 * A request proves that whoever sent it holds the key, and says nothing else: the ones made here have no name and no
 * extension, and those of the ones read are never looked at.
 */
export interface KeyRequest {
  /** PKCS#8 PEM. It stays where it was made. */
  readonly key: string;
  /** PEM. */
  readonly csr: string;
}

/** ecdsa-with-SHA256, without parameters. */
const signatureAlgorithm = element(tags.sequence, Buffer.from('06082a8648ce3d040302', 'hex'));
const label = 'CERTIFICATE REQUEST';
/** Base64 of a request with a P-256 key is about 300 characters; other people's names may stand in one. */
const longest = 8_192;

/** A new key and its request. */
export function createKeyRequest(): KeyRequest {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const content = element(
    tags.sequence,
    element(tags.integer, Buffer.from([0])),
    element(tags.sequence),
    publicKey.export({ format: 'der', type: 'spki' }),
    element(tags.attributes),
  );
  const signature = sign('sha256', content, privateKey);
  const request = element(
    tags.sequence,
    content,
    signatureAlgorithm,
    element(tags.bitString, Buffer.from([0]), signature),
  );
  const lines = request.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    csr: `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`,
  };
}

/**
 * The key of a request that its sender has proven to hold.
 *
 * @throws PkiError request_invalid
 */
export function provenKey(csr: string): KeyObject {
  const [content, algorithm, signature, ...more] = readElements(outer(csr), 3);
  if (content?.tag !== tags.sequence || signature?.tag !== tags.bitString || more.length > 0) throw invalid();
  if (algorithm?.whole.equals(signatureAlgorithm) !== true || signature.body[0] !== 0) throw invalid();
  // Version, name, key, attributes: only the key counts.
  const key = readElements(content.body, 4)[2];
  if (key === undefined) throw invalid();
  try {
    const publicKey = createPublicKey({ key: key.whole, format: 'der', type: 'spki' });
    if (publicKey.asymmetricKeyType !== 'ec' || publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
      throw new PkiError('request_invalid', 'the key of the certificate request is not P-256');
    }
    if (verify('sha256', content.whole, publicKey, signature.body.subarray(1))) return publicKey;
  } catch (error) {
    throw error instanceof PkiError ? error : invalid(error);
  }
  throw new PkiError('request_invalid', 'the certificate request does not prove its key');
}

/** What stands in the outermost sequence. */
function outer(csr: string): Buffer {
  const [, base64] =
    /^\s*-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(
      csr.length > longest ? '' : csr,
    ) ?? [undefined, undefined];
  if (base64 === undefined) throw invalid();
  const [request, ...more] = readElements(Buffer.from(base64, 'base64'), 1);
  if (request?.tag !== tags.sequence || more.length > 0) throw invalid();
  return request.body;
}

function invalid(cause?: unknown): PkiError {
  return new PkiError('request_invalid', 'not a certificate request that can be read', { cause });
}
