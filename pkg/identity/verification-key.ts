import { importJWK } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import type { JsonValue } from '../base/index.ts';
import { signatureAlgorithm } from './algorithms.ts';

/** Smallest RSA modulus, in bits (NIST SP 800-131A). */
const minRsaBits = 2_048;

/** The members that make a key what it is; everything else in a JWK is decoration. */
interface PublicParts {
  readonly kty: 'RSA' | 'EC' | 'OKP';
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
}

/** One public key of an issuer, imported for an algorithm when it is first used with it. */
export class VerificationKey {
  readonly id: string | undefined;
  /** Two keys with equal prints are the same key with the same permissions. */
  readonly print: string;
  /** Set when the issuer no longer publishes it: whatever it once proved is no longer believed. */
  retired = false;
  readonly #parts: PublicParts;
  readonly #algorithm: string | undefined;
  readonly #imported = new Map<string, Promise<CryptoKey>>();

  constructor(id: string | undefined, algorithm: string | undefined, parts: PublicParts) {
    this.id = id;
    this.#algorithm = algorithm;
    this.#parts = parts;
    this.print = JSON.stringify([id, algorithm, parts.kty, parts.crv, parts.n, parts.e, parts.x, parts.y]);
  }

  /** Whether this key may verify this algorithm: by its kind, its curve and its own `alg`. */
  fits(algorithm: string): boolean {
    const needs = signatureAlgorithm(algorithm);
    if (needs === undefined) return false;
    if (this.#algorithm !== undefined && this.#algorithm !== algorithm) return false;
    return this.#parts.kty === needs.keyType && this.#parts.crv === needs.curve;
  }

  /** @throws when the members are no such key (a point off its curve, a bad modulus). */
  async for(algorithm: string): Promise<CryptoKey> {
    let pending = this.#imported.get(algorithm);
    if (pending === undefined) {
      pending = importJWK({ ...this.#parts } as JWK, algorithm).then((key) => {
        if (key instanceof Uint8Array || key.type !== 'public') throw new TypeError('not a public key');
        return key;
      });
      this.#imported.set(algorithm, pending);
    }
    return await pending;
  }
}

/**
 * Reads one member of a key set. Undefined for keys that are not for verifying signatures, are too weak, or carry
 * private or symmetric parts: a signing key that lies open proves nothing about who signed.
 */
export function readVerificationKey(value: JsonValue | undefined): VerificationKey | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { kid, kty, use, alg, key_ops: operations, d, k } = value;
  if (d !== undefined || k !== undefined) return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  if (kid !== undefined && typeof kid !== 'string') return undefined;
  if (alg !== undefined && (typeof alg !== 'string' || signatureAlgorithm(alg) === undefined)) return undefined;
  const parts = publicParts(kty, value);
  return parts === undefined ? undefined : new VerificationKey(kid, alg, parts);
}

function publicParts(
  kty: JsonValue | undefined,
  { crv, n, e, x, y }: { readonly [key: string]: JsonValue },
): PublicParts | undefined {
  if (kty === 'RSA') {
    if (typeof n !== 'string' || typeof e !== 'string' || modulusBits(n) < minRsaBits) return undefined;
    return { kty, n, e };
  }
  if (kty === 'EC') {
    if (typeof crv !== 'string' || typeof x !== 'string' || typeof y !== 'string') return undefined;
    return { kty, crv, x, y };
  }
  if (kty === 'OKP') {
    if (crv !== 'Ed25519' || typeof x !== 'string') return undefined;
    return { kty, crv, x };
  }
  return undefined;
}

function modulusBits(n: string): number {
  const bytes = Buffer.from(n, 'base64url');
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
}
