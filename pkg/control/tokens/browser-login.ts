import { hkdfSync } from 'node:crypto';
import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { SamlVerifier, TokenKeyState } from '../../identity/index.ts';
import type { Unproven } from '../decisions/index.ts';
import { fieldsOf, textOf } from '../facts/shape.ts';
import { codeOf } from './login-codes.ts';
import type { LoginCodes } from './login-codes.ts';
import { seal, unseal } from './sealed.ts';
import { consumerOf, refusalOf } from './token-exchange.ts';
import type { ExchangeFault, TokenGiver } from './token-giver.ts';
import { recordOf } from './used-assertions.ts';

/**
 * SAML by browser (saml-profiles section 4.1), for programs on the person's own machine: the program opens `begin` with an address on
 * a loopback interface and a PKCE challenge, the identity provider's answer comes by POST, and a code goes to the program.
 *
 * Nothing is kept here in between: what was asked goes along in a cookie, sealed with a key that all replicas have. So an answer counts
 * only in the browser in which the login was begun, and only to the request that was made then.
 */
export interface BrowserLogin {
  begin(idp: string, query: URLSearchParams): Step;
  /** Never rejects. */
  consume(form: URLSearchParams, cookie: string | undefined, from: string): Promise<Step>;
}

export type Step =
  | { readonly kind: 'fault'; readonly fault: ExchangeFault }
  /** Where the browser goes, and its cookie; empty: none any more. */
  | { readonly kind: 'redirect'; readonly location: string; readonly cookie: string };

export interface BrowserLoginOptions {
  readonly saml: Pick<SamlVerifier, 'request' | 'verify'>;
  readonly giver: TokenGiver;
  readonly codes: Pick<LoginCodes, 'begin'>;
  readonly keys: () => TokenKeyState | undefined;
  readonly url: string;
  readonly turns: Unproven;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
}

/** What the cookie holds. */
interface Begun {
  readonly id: string;
  readonly idp: string;
  readonly redirect: string;
  readonly state: string;
  readonly challenge: string;
  readonly audience: string | undefined;
  /** Epoch milliseconds. */
  readonly until: number;
}

const loginMs = 600_000;
/** RFC 8252 section 7.3: a program on the person's own machine, and nobody else. */
const loopback = /^http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost):[0-9]{1,5}\/callback$/;
const stateForm = /^[A-Za-z0-9._~-]{1,128}$/;
const challengeForm = /^[A-Za-z0-9_-]{43}$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function createBrowserLogin(options: BrowserLoginOptions): BrowserLogin {
  const { saml, giver, codes, keys, url, turns, clock, logger } = options;
  const fault = (code: ExchangeFault): Step => ({ kind: 'fault', fault: code });
  /** Of all replicas; another one when the keys of tokens move on, which a login in that moment does not survive. */
  const sealKey = (): Uint8Array | undefined => {
    const secret = keys()?.current.key.reveal();
    return secret === undefined ? undefined : new Uint8Array(hkdfSync('sha256', secret, '', 'sidegate saml login', 32));
  };
  const begunOf = (cookie: string | undefined): Begun | undefined => {
    const key = sealKey();
    const text = key === undefined || cookie === undefined ? undefined : unseal(key, cookie);
    const begun = text === undefined ? undefined : readBegun(text);
    return begun !== undefined && clock.now() < begun.until ? begun : undefined;
  };

  return {
    begin(idp, query) {
      const given = (name: string): string => query.get(name) ?? '';
      const [redirect, state, challenge] = [given('redirect_uri'), given('state'), given('code_challenge')];
      const understood =
        loopback.test(redirect) &&
        stateForm.test(state) &&
        challengeForm.test(challenge) &&
        given('code_challenge_method') === 'S256';
      if (!understood) return fault('invalid_request');
      const key = sealKey();
      const request = saml.request(idp, consumerOf(url));
      if (key === undefined || request === undefined) return fault('temporarily_unavailable');
      const audience = query.get('audience') ?? undefined;
      const until = clock.now() + loginMs;
      const begun: Begun = { id: request.id, idp, redirect, state, challenge, audience, until };
      return { kind: 'redirect', location: request.url, cookie: seal(key, JSON.stringify(begun)) };
    },
    async consume(form, cookie, from) {
      const begun = begunOf(cookie);
      const document = form.get('SAMLResponse') ?? '';
      if (begun === undefined || !base64.test(document)) return fault('invalid_request');
      const turn = turns.admit(from);
      if (turn === undefined) return fault('temporarily_unavailable');
      try {
        const at = { recipients: [consumerOf(url)], inResponseTo: begun.id };
        const person = await saml.verify(Buffer.from(document, 'base64'), at);
        if (person.idp !== begun.idp) return fault('invalid_grant');
        const { key, keep } = codes.begin(begun);
        const given = await giver.give(person, begun.audience, { from, keep });
        if (given.kind === 'fault') return given;
        turn.proven();
        const location = new URL(begun.redirect);
        const record = recordOf({ entityId: person.entityId, id: person.assertionId });
        location.searchParams.set('code', codeOf(record, key));
        location.searchParams.set('state', begun.state);
        return { kind: 'redirect', location: location.href, cookie: '' };
      } catch (error) {
        return fault(refusalOf(error, logger));
      }
    },
  };
}

function readBegun(text: string): Begun | undefined {
  try {
    const { id, idp, redirect, state, challenge, audience, until } = fieldsOf(jsonValue(parseJson(text)));
    return {
      id: textOf(id),
      idp: textOf(idp),
      redirect: textOf(redirect),
      state: textOf(state),
      challenge: textOf(challenge),
      audience: audience === undefined ? undefined : textOf(audience),
      until: Number(until),
    };
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
