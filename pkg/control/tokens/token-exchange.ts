import { describeError, randomId } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { SamlFault, maxTokenLength, signToken } from '../../identity/index.ts';
import type { ProvenPerson, SamlVerifier, TokenKeyState } from '../../identity/index.ts';
import { createBucket } from '../stream/index.ts';
import type { Revocations } from './revocations.ts';
import { issuerOf } from './token-issuer.ts';
import type { UsedAssertions } from './used-assertions.ts';

/** Errors of RFC 6749 section 5.2 and RFC 8693 section 2.2.2: all that whoever asks learns. */
export type ExchangeFault =
  'invalid_request' | 'invalid_grant' | 'invalid_target' | 'unsupported_grant_type' | 'temporarily_unavailable';

export type Exchanged =
  | { readonly kind: 'fault'; readonly fault: ExchangeFault }
  | { readonly kind: 'token'; readonly token: string; readonly expiresInSeconds: number };

/** Exchanges assertions for short tokens. An assertion is exchanged once, whichever replica is asked. */
export interface TokenExchange {
  /** @param parameters of the request's form. Never rejects. */
  exchange(parameters: URLSearchParams): Promise<Exchanged>;
}

export interface TokenExchangeOptions {
  readonly saml: SamlVerifier;
  readonly used: UsedAssertions;
  readonly revocations: Pick<Revocations, 'revokes'>;
  /** Undefined: they are not here yet. */
  readonly keys: () => TokenKeyState | undefined;
  /** Of the token endpoint, without a slash at its end. */
  readonly url: string;
  /** Audiences that may be asked for, by identity provider; the first is given where none is asked for. */
  readonly audiences: ReadonlyMap<string, readonly string[]>;
  /** Longest life of a token, milliseconds; default 15 min. */
  readonly lifeMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const grants = {
  /** RFC 7522 section 2.1. */
  saml: 'urn:ietf:params:oauth:grant-type:saml2-bearer',
  /** RFC 8693 section 2.1. */
  exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const;
const samlType = 'urn:ietf:params:oauth:token-type:saml2';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const givenTypes: ReadonlySet<string> = new Set([accessTokenType, 'urn:ietf:params:oauth:token-type:jwt']);
/** base64url (RFC 7522 section 2.1) or base64, with or without its padding. */
const base64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Of a replica: a signature over a large document costs 0.1 s of the thread that policies go out by. */
const exchangesPerSecond = 5;
const exchangeBurst = 50;

const fault = (code: ExchangeFault): Exchanged => ({ kind: 'fault', fault: code });

/** Where an assertion for the token endpoint may have been addressed to. */
export const recipientsOf = (url: string): readonly string[] => [`${url}/v1/token`];

export function createTokenExchange(options: TokenExchangeOptions): TokenExchange {
  const { saml, used, revocations, keys, url, audiences, clock, logger, lifeMs = 900_000 } = options;

  const turns = createBucket(clock, exchangesPerSecond, exchangeBurst);

  const give = async (person: ProvenPerson, wanted: string | undefined): Promise<Exchanged> => {
    const allowed = audiences.get(person.idp) ?? [];
    const audience = wanted ?? allowed[0];
    if (audience === undefined || !allowed.includes(audience)) return fault('invalid_target');
    const issuer = issuerOf(url, person.idp);
    if (revocations.revokes({ issuer, subject: person.subject })) return fault('invalid_grant');
    const key = keys()?.current;
    if (key === undefined) return fault('temporarily_unavailable');
    const issuedAt = clock.now();
    const expiresAt = Math.min(issuedAt + lifeMs, person.sessionEnds ?? Number.POSITIVE_INFINITY);
    if (expiresAt - issuedAt < 1_000) return fault('invalid_grant');
    const { subject, groups, claims } = person;
    const id = randomId();
    const token = await signToken(key, { issuer, audience, subject, groups, claims, id, issuedAt, expiresAt });
    if (token.length > maxTokenLength) {
      logger.warn('somebody has more groups than a token holds', { idp: person.idp, groups: groups.length });
      return fault('invalid_grant');
    }
    // Last, so that what failed for another reason can be tried again.
    const { entityId, assertionId, usableUntil } = person;
    if (!(await used.use({ entityId, id: assertionId, until: usableUntil }))) {
      logger.warn('an assertion was brought again', { idp: person.idp });
      return fault('invalid_grant');
    }
    logger.info('a token was given', { idp: person.idp, id });
    return { kind: 'token', token, expiresInSeconds: Math.floor((expiresAt - issuedAt) / 1_000) };
  };

  return {
    async exchange(parameters) {
      const asked = readRequest(parameters);
      if (typeof asked === 'string') return fault(asked);
      if (!turns.take()) return fault('temporarily_unavailable');
      try {
        const person = await saml.verify(asked.assertion, { recipients: recipientsOf(url) });
        return await give(person, asked.audience);
      } catch (error) {
        if (error instanceof SamlFault) {
          logger.info('an assertion was refused', { why: error.code });
          return fault(error.code === 'keys_unknown' ? 'temporarily_unavailable' : 'invalid_grant');
        }
        logger.error('an assertion could not be exchanged', { error: describeError(error) });
        return fault('temporarily_unavailable');
      }
    },
  };
}

interface Asked {
  readonly assertion: Uint8Array;
  readonly audience: string | undefined;
}

function readRequest(parameters: URLSearchParams): Asked | ExchangeFault {
  const names = [...parameters.keys()];
  // RFC 6749 section 3.2: no parameter more than once.
  if (new Set(names).size !== names.length) return 'invalid_request';
  const given = (name: string): string | undefined => parameters.get(name) ?? undefined;
  const text = assertionOf(given);
  if (text === 'unsupported_grant_type' || text === 'invalid_request') return text;
  if (given('resource') !== undefined) return 'invalid_target';
  if (!base64.test(text)) return 'invalid_request';
  return { assertion: Buffer.from(text, 'base64'), audience: given('audience') };
}

function assertionOf(
  given: (name: string) => string | undefined,
): string | 'invalid_request' | 'unsupported_grant_type' {
  switch (given('grant_type')) {
    case undefined:
      return 'invalid_request';
    case grants.saml:
      return given('assertion') ?? 'invalid_request';
    case grants.exchange: {
      const requested = given('requested_token_type');
      const understood =
        given('subject_token_type') === samlType &&
        given('actor_token') === undefined &&
        (requested === undefined || givenTypes.has(requested));
      return understood ? (given('subject_token') ?? 'invalid_request') : 'invalid_request';
    }
    default:
      return 'unsupported_grant_type';
  }
}
