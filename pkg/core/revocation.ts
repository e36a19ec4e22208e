import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
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

/** Longest name that a token may have (pkg/identity). */
const longest = 1_024;

/** One entry of the list as it is written there: `{"issuer", "subject" or "tokenId", "until", "reason"}`; undefined: it says nothing that could be understood. */
export function readRevocation(text: string): Revocation | undefined {
  let value: JsonValue;
  try {
    value = jsonValue(parseJson(text, { maxDepth: 2 }));
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
  const fields = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  const [issuer = '', subject = '', tokenId = '', end = ''] = ['issuer', 'subject', 'tokenId', 'until'].map((name) =>
    typeof fields[name] === 'string' ? fields[name] : '',
  );
  const until = Date.parse(end);
  const name = subject || tokenId;
  const both = subject !== '' && tokenId !== '';
  if (issuer === '' || name === '' || both || Number.isNaN(until)) return undefined;
  if (issuer.length > longest || name.length > longest) return undefined;
  // Sidecars take no end before 1970, nor any other entry beside it.
  return { issuer, ...(subject === '' ? { tokenId } : { subject }), until: Math.max(0, until) };
}
