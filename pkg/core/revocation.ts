import type { Identity } from './identity.ts';

/**
 * Takes back what a token still proves: one token by its `jti`, or everything that an issuer says of a subject. Whoever it names is
 * refused whatever policy says, and what is under way for them ends.
 */
export interface Revocation {
  readonly issuer: string;
  /** Exactly one of `subject` and `tokenId`. As the policy names people, or `sub` of their tokens: both are looked at. */
  readonly subject?: string;
  readonly tokenId?: string;
  /** Wall clock, milliseconds since the epoch: until then it holds. After the last token that it means has expired. */
  readonly until: number;
}

/** All revocations that are known. */
export interface RevocationSource {
  /** Undefined: they were known once and cannot be read now. Then everybody counts as revoked, until they are known again. */
  current(): readonly Revocation[] | undefined;
  /** Called after each change. Returns how to stop. */
  subscribe(listener: () => void): () => void;
}

/** Looked at for each request, so that it is one or two look-ups however long the list is. */
export interface RevocationSet {
  readonly size: number;
  revokes(caller: Pick<Identity, 'issuer' | 'subject' | 'sub' | 'tokenId'>, now: number): boolean;
}

const keyOf = (kind: 'subject' | 'token', issuer: string, name: string): string => JSON.stringify([kind, issuer, name]);

const everybody: RevocationSet = { size: 0, revokes: () => true };

/** Of several for the same, the one that holds longest counts. Undefined: of everybody. */
export function compileRevocations(revocations: readonly Revocation[] | undefined): RevocationSet {
  if (revocations === undefined) return everybody;
  const ends = new Map<string, number>();
  const add = (key: string, until: number): void => void ends.set(key, Math.max(until, ends.get(key) ?? 0));
  for (const { issuer, subject, tokenId, until } of revocations) {
    if (subject !== undefined) add(keyOf('subject', issuer, subject), until);
    if (tokenId !== undefined) add(keyOf('token', issuer, tokenId), until);
  }
  return {
    size: ends.size,
    revokes({ issuer, subject, sub, tokenId }, now) {
      if (ends.size === 0) return false;
      const holds = (key: string): boolean => now < (ends.get(key) ?? Number.NEGATIVE_INFINITY);
      return (
        holds(keyOf('subject', issuer, subject)) ||
        (sub !== undefined && holds(keyOf('subject', issuer, sub))) ||
        (tokenId !== undefined && holds(keyOf('token', issuer, tokenId)))
      );
    },
  };
}
