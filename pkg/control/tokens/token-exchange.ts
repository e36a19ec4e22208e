import { describeError } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';
import { SamlFault } from '../../identity/index.ts';
import type { SamlVerifier } from '../../identity/index.ts';
import type { Unproven } from '../decisions/index.ts';
import type { LoginCodes } from './login-codes.ts';
import { exchangeFault } from './token-giver.ts';
import type { ExchangeFault, Exchanged, TokenGiver } from './token-giver.ts';

/** Exchanges assertions, and codes of logins by browser, for short tokens. */
export interface TokenExchange {
  /**
   * @param parameters of the request's form.
   * @param from address that asks. Never rejects.
   */
  exchange(parameters: URLSearchParams, from: string): Promise<Exchanged>;
}

export interface TokenExchangeOptions {
  readonly saml: Pick<SamlVerifier, 'verify'>;
  readonly giver: TokenGiver;
  readonly codes: Pick<LoginCodes, 'redeem'>;
  /** Of the token endpoint, without a slash at its end. */
  readonly url: string;
  /** Assertions that are looked at. */
  readonly turns: Unproven;
  readonly logger: Logger;
}

const grants = {
  /** RFC 7522 section 2.1. */
  saml: 'urn:ietf:params:oauth:grant-type:saml2-bearer',
  /** RFC 8693 section 2.1. */
  exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
  /** RFC 6749 section 4.1.3, of a login that began here. */
  code: 'authorization_code',
} as const;
const samlType = 'urn:ietf:params:oauth:token-type:saml2';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const givenTypes: ReadonlySet<string> = new Set([accessTokenType, 'urn:ietf:params:oauth:token-type:jwt']);
/** base64url (RFC 7522 section 2.1) or base64, with or without its padding. */
const base64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Where assertions are brought by browsers. */
export const consumerOf = (url: string): string => `${url}/v1/saml/acs`;
/** Where an assertion for the token endpoint may have been addressed to: applications have one such address, or both. */
const recipientsOf = (url: string): readonly string[] => [`${url}/v1/token`, consumerOf(url)];

export function createTokenExchange(options: TokenExchangeOptions): TokenExchange {
  const { saml, giver, codes, url, turns, logger } = options;

  const byAssertion = async (asked: AskedWithAssertion, from: string): Promise<Exchanged> => {
    const turn = turns.admit(from);
    if (turn === undefined) return exchangeFault('temporarily_unavailable');
    const person = await saml.verify(asked.assertion, { recipients: recipientsOf(url) });
    const given = await giver.give(person, asked.audience, { from });
    // Not for one that is brought again and again.
    if (given.kind === 'token') turn.proven();
    return given;
  };
  return {
    async exchange(parameters, from) {
      const asked = readRequest(parameters);
      if (typeof asked === 'string') return exchangeFault(asked);
      try {
        if ('assertion' in asked) return await byAssertion(asked, from);
        return (await codes.redeem(asked)) ?? exchangeFault('invalid_grant');
      } catch (error) {
        return exchangeFault(refusalOf(error, logger));
      }
    },
  };
}

/** What whoever brought an assertion learns; the log says more. */
export function refusalOf(error: unknown, logger: Logger): ExchangeFault {
  if (error instanceof SamlFault) {
    logger.info('an assertion was refused', { why: error.code });
    return error.code === 'keys_unknown' ? 'temporarily_unavailable' : 'invalid_grant';
  }
  logger.error('an assertion could not be exchanged', { error: describeError(error) });
  return 'temporarily_unavailable';
}

interface AskedWithAssertion {
  readonly assertion: Uint8Array;
  readonly audience: string | undefined;
}

interface AskedWithCode {
  readonly code: string;
  readonly verifier: string;
  readonly redirect: string;
}

function readRequest(parameters: URLSearchParams): AskedWithAssertion | AskedWithCode | ExchangeFault {
  const names = [...parameters.keys()];
  // RFC 6749 section 3.2: no parameter more than once.
  if (new Set(names).size !== names.length) return 'invalid_request';
  const given = (name: string): string | undefined => parameters.get(name) ?? undefined;
  if (given('grant_type') === grants.code) {
    const [code, verifier, redirect] = ['code', 'code_verifier', 'redirect_uri'].map(given);
    if (code === undefined || verifier === undefined || redirect === undefined) return 'invalid_request';
    return { code, verifier, redirect };
  }
  const text = assertionOf(given);
  if (text === 'unsupported_grant_type' || text === 'invalid_request') return text;
  if (given('resource') !== undefined) return 'invalid_target';
  if (!base64.test(text)) return 'invalid_request';
  return { assertion: Buffer.from(text, 'base64'), audience: given('audience') };
}

function assertionOf(given: (name: string) => string | undefined): string {
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
