import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { fieldsOf, textOf } from '../facts/shape.ts';
import { seal, unseal } from './sealed.ts';
import type { GivenToken } from './token-giver.ts';
import type { UsedAssertions } from './used-assertions.ts';

/**
 * Codes that a browser brings to the program that began a login (RFC 6749 section 4.1.2). The token is in the record of its assertion,
 * sealed with a key that stands in the code alone: who reads the record has nothing, and any replica can redeem it, once.
 */
export interface LoginCodes {
  /** @returns the code's key, and how a token is sealed for the record. */
  begin(login: LoginOfCode): { readonly key: string; readonly keep: (given: GivenToken) => string };
  /** Undefined: there is no such code, it is over, was redeemed, or belongs to another login. @throws KubeError */
  redeem(asked: {
    readonly code: string;
    readonly verifier: string;
    readonly redirect: string;
  }): Promise<GivenToken | undefined>;
}

export interface LoginOfCode {
  /** SHA-256 of the program's secret, base64url (RFC 7636 section 4.2). */
  readonly challenge: string;
  readonly redirect: string;
}

/** The person reads a page meanwhile. RFC 6749 section 4.1.2: ten minutes at most. */
export const codeMs = 300_000;
const form = /^([0-9a-f]{64})\.([A-Za-z0-9_-]{43})$/;
const verifierForm = /^[A-Za-z0-9._~-]{43,128}$/;

export const codeOf = (record: string, key: string): string => `${record}.${key}`;

export function createLoginCodes(options: {
  readonly used: Pick<UsedAssertions, 'take'>;
  readonly clock: Pick<Clock, 'now'>;
}): LoginCodes {
  const { used, clock } = options;
  return {
    begin({ challenge, redirect }) {
      const key = randomBytes(32);
      return {
        key: key.toString('base64url'),
        keep: ({ token, expiresAt }) =>
          seal(key, JSON.stringify({ token, expiresAt, challenge, redirect, until: clock.now() + codeMs })),
      };
    },
    async redeem({ code, verifier, redirect }) {
      const [, record, key] = form.exec(code) ?? [];
      if (record === undefined || key === undefined || !verifierForm.test(verifier)) return undefined;
      const kept = await used.take(record);
      const text = kept === undefined ? undefined : unseal(Buffer.from(key, 'base64url'), kept);
      if (text === undefined) return undefined;
      const fields = readFields(text);
      const challenge = createHash('sha256').update(verifier).digest();
      const wanted = Buffer.from(textOf(fields['challenge']), 'base64url');
      const { token, expiresAt, until } = fields;
      const holds =
        wanted.length === challenge.length &&
        timingSafeEqual(wanted, challenge) &&
        fields['redirect'] === redirect &&
        typeof until === 'number' &&
        clock.now() < until;
      if (!holds || typeof token !== 'string' || typeof expiresAt !== 'number') return undefined;
      return { kind: 'token', token, expiresAt };
    },
  };
}

function readFields(text: string): ReturnType<typeof fieldsOf> {
  try {
    return fieldsOf(jsonValue(parseJson(text)));
  } catch (error) {
    if (error instanceof JsonError) return {};
    throw error;
  }
}
