import { compactVerify } from 'jose';
import { TokenFault } from './token-fault.ts';
import type { KeyFinder } from './key-set-pool.ts';
import type { VerificationKey } from './verification-key.ts';

/** A token without key id is tried against the issuer's keys one by one; more than this many is a cost without a reason. */
const maxTried = 16;

/** Thrown when there are no keys to judge by. */
export class KeysUnavailable extends Error {
  constructor() {
    super('no keys of the identity provider are known');
    this.name = 'KeysUnavailable';
  }
}

/**
 * Proves the signature of a compact token and says which key made it.
 *
 * @throws TokenFault key_unknown, signature
 * @throws KeysUnavailable
 */
export async function provenBy(
  token: string,
  header: { readonly algorithm: string; readonly keyId: string | undefined },
  keys: Pick<KeyFinder, 'find' | 'newer'>,
): Promise<VerificationKey> {
  const { algorithm, keyId } = header;
  const candidates = await keys.find(keyId, algorithm);
  if (candidates === 'unavailable') throw new KeysUnavailable();
  let proven = await firstThatFits(token, algorithm, candidates);
  if (proven === undefined && keyId === undefined) {
    proven = await firstThatFits(token, algorithm, (await keys.newer(algorithm)) ?? []);
  }
  if (proven === undefined) throw new TokenFault(candidates.length === 0 ? 'key_unknown' : 'signature');
  // It may have been withdrawn while its signature was being computed.
  if (proven.retired) throw new TokenFault('key_unknown');
  return proven;
}

async function firstThatFits(
  token: string,
  algorithm: string,
  keys: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  for (const key of keys.slice(0, maxTried)) {
    try {
      await compactVerify(token, await key.for(algorithm), { algorithms: [algorithm] });
      return key;
    } catch {
      // A signature that does not fit, and a key that cannot be used: neither proves anything, so the next is tried.
    }
  }
  return undefined;
}
