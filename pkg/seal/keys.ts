import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CodedError } from '../base/index.ts';

/**
 * The keys of sealed content. The public one stands in policies as one line: base64 of its SubjectPublicKeyInfo, which is what
 * stands between BEGIN and END of its PEM. The private one is a PKCS#8 PEM on an investigator's machine, as
 * `openssl genpkey -algorithm X25519` makes it too.
 */

/** An X25519 key's SubjectPublicKeyInfo (RFC 8410): 12 bytes that are always the same, and 32 of the key. */
export const publicKeyForm = /^MCowBQYDK2VuAyEA[A-Za-z0-9+/]{43}=$/;

/** @throws CodedError invalid_seal_key */
export function readPublicKey(text: string): KeyObject {
  if (!publicKeyForm.test(text)) throw new CodedError('invalid_seal_key', 'sealTo is no X25519 public key');
  return createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
}

/** @throws CodedError invalid_seal_key */
export function readPrivateKey(pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    // Said below, without the text of the file.
  }
  if (key?.asymmetricKeyType !== 'x25519')
    throw new CodedError('invalid_seal_key', 'the key file holds no X25519 private key (PEM, PKCS#8)');
  return key;
}

export function publicText(key: KeyObject): string {
  const own = key.type === 'private' ? createPublicKey(key) : key;
  return own.export({ format: 'der', type: 'spki' }).toString('base64');
}

/** Names a key in records: the first 16 hex digits of the SHA-256 of its SubjectPublicKeyInfo. */
export function sealKeyName(key: KeyObject): string {
  return hash('sha256', Buffer.from(publicText(key), 'base64'), 'hex').slice(0, 16);
}

export interface SealKeyPair {
  /** PEM, PKCS#8. */
  readonly privateKey: string;
  /** As policies have it. */
  readonly publicKey: string;
}

export function makeSealKeys(): SealKeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return { privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }), publicKey: publicText(publicKey) };
}
