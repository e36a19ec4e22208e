import { createPublicKey, hash, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { parseJson } from '../base/index.ts';

/**
 * A signed head: what the log was at one moment. One line of JSON,
 *
 *     {"v":1,"type":"head","size":7,"root":"<64 hex>","at":1764158400000,"key":"<64 hex>","signature":"<base64>"}
 *
 * whose signature (Ed25519) covers its bytes up to and without `,"signature"`. `key` is the SHA-256 of the public key's DER.
 */
export interface Head {
  /** Entries in the log. */
  readonly size: number;
  /** RFC 6962 root over them, hex. */
  readonly root: string;
  /** Epoch milliseconds; entries after it are not older. */
  readonly at: number;
}

const shape =
  /^(\{"v":1,"type":"head","size":([0-9]{1,16}),"root":"([0-9a-f]{64})","at":([0-9]{1,16}),"key":"([0-9a-f]{64})"),"signature":"([A-Za-z0-9+/=]{1,200})"\}$/;

export const keyName = (key: KeyObject): string =>
  hash('sha256', (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' }), 'hex');

export function signHead({ size, root, at }: Head, key: KeyObject): string {
  const body = `{"v":1,"type":"head","size":${size},"root":"${root}","at":${at},"key":"${keyName(key)}"`;
  return `${body},"signature":"${sign(null, Buffer.from(body), key).toString('base64')}"}`;
}

/** Undefined: not a head, or not one that this key signed. */
export function readHead(text: string, publicKey: KeyObject): Head | undefined {
  const [, body, size, root, at, key, signature] = shape.exec(text) ?? [];
  if (body === undefined || root === undefined || signature === undefined || key !== keyName(publicKey))
    return undefined;
  try {
    if (!verify(null, Buffer.from(body), publicKey, Buffer.from(signature, 'base64'))) return undefined;
    parseJson(text);
  } catch {
    return undefined;
  }
  return { size: Number(size), root, at: Number(at) };
}
