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

/** Public keys that may have signed a log: one, or those that it had one after the other, the first first. */
export type LogKeys = KeyObject | readonly KeyObject[];

/** @param pem One key, or several one after the other. @throws where there is none, or one that cannot be read */
export function readLogKeys(pem: string): readonly KeyObject[] {
  const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[^-]*-----END PUBLIC KEY-----/g) ?? [pem];
  return blocks.map((block) => createPublicKey(block));
}

/** The key of this name; undefined: it is not among them. A private key stands for its public half. */
export function logKeyOf(keys: LogKeys, name: string): KeyObject | undefined {
  const all: readonly KeyObject[] = Array.isArray(keys) ? keys : [keys as KeyObject];
  return all.map((key) => (key.type === 'private' ? createPublicKey(key) : key)).find((key) => keyName(key) === name);
}

export const keyName = (key: KeyObject): string =>
  hash('sha256', (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' }), 'hex');

export function signHead({ size, root, at }: Head, key: KeyObject): string {
  const body = `{"v":1,"type":"head","size":${size},"root":"${root}","at":${at},"key":"${keyName(key)}"`;
  return `${body},"signature":"${sign(null, Buffer.from(body), key).toString('base64')}"}`;
}

/** A head with the name of the key that signed it. */
export type SignedHead = Head & { readonly key: string };

/** Undefined: not a head, or not one that one of these keys signed. */
export function readHead(text: string, keys: LogKeys): SignedHead | undefined {
  const [, body, size, root, at, key, signature] = shape.exec(text) ?? [];
  if (body === undefined || root === undefined || key === undefined || signature === undefined) return undefined;
  const publicKey = logKeyOf(keys, key);
  if (publicKey === undefined) return undefined;
  try {
    if (!verify(null, Buffer.from(body), publicKey, Buffer.from(signature, 'base64'))) return undefined;
    parseJson(text);
  } catch {
    return undefined;
  }
  return { size: Number(size), root, at: Number(at), key };
}

/** Whether a head, as a store has it, is what one of these keys has signed: whoever can write the store can put another there. */
export function isSignedHead({ text, size, root, at }: Head & { readonly text: string }, keys: LogKeys): boolean {
  const head = readHead(text, keys);
  return head !== undefined && head.size === size && head.root === root && head.at === at;
}
