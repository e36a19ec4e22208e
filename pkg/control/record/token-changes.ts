import type { Revocation } from '../../core/index.ts';
import type { Change } from './changes.ts';

/** A token that was given, as far as the record has it: nothing by which it could be used. */
export interface GivenNote {
  readonly idp: string;
  readonly issuer: string;
  readonly subject: string;
  readonly groups: readonly string[];
  /** Its `jti`. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  readonly from: string;
}

export const tokenChange = ({ idp, issuer, subject, groups, id, expiresAt, from }: GivenNote): Change => ({
  what: 'token',
  step: 'given',
  name: id,
  caller: { provider: idp, issuer, subject, groups },
  from,
  until: new Date(expiresAt).toISOString(),
});

/** @param key of its entry in the list */
export const revocationChange = (
  step: string,
  key: string,
  { issuer, subject, tokenId, until }: Revocation,
): Change => ({
  what: 'revocation',
  step,
  name: key,
  caller: subject === undefined ? null : { provider: null, issuer, subject },
  ...(tokenId !== undefined && { token: { issuer, id: tokenId } }),
  until: new Date(until).toISOString(),
});
