import { hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { SamlVerifier, TokenKeyState } from '../../identity/index.ts';
import type { Unproven } from '../decisions/index.ts';
import { fieldsOf, textOf } from '../facts/shape.ts';
import { codeMs, codeOf } from './login-codes.ts';
import type { LoginCodes } from './login-codes.ts';
import type { LoginQuestion } from './login-page.ts';
import { seal, unseal } from './sealed.ts';
import { consumerOf, refusalOf } from './token-exchange.ts';
import type { ExchangeFault, TokenGiver } from './token-giver.ts';
import { recordOf } from './used-assertions.ts';

/**
 * SAML by browser (saml-profiles section 4.1), for programs on the person's own machine: the program opens `begin` with an address on
 * a loopback interface and a PKCE challenge, the identity provider's answer comes by POST, the person says that they began it, and a code
 * goes to the program. PKCE proves the program to be the one that began; that it was the person who wanted it, they alone can say.
 *
 * Nothing is kept here in between: what was asked goes along in a cookie, sealed with a key that all replicas have. So an answer counts
 * only in the browser in which the login was begun, and only to the request that was made then.
 */
export interface BrowserLogin {
  begin(idp: string, query: URLSearchParams): Step;
  /** Never rejects. */
  consume(form: URLSearchParams, cookie: string | undefined, from: string): Promise<Step>;
  /** The person has said that they began it. */
  confirm(form: URLSearchParams, cookie: string | undefined): Step;
}

export type Step =
  | { readonly kind: 'fault'; readonly fault: ExchangeFault }
  /** Where the browser goes, and its cookie; empty: none any more. */
  | { readonly kind: 'redirect'; readonly location: string; readonly cookie: string }
  /** The person is asked, and the cookie is of the question. */
  | { readonly kind: 'question'; readonly question: LoginQuestion; readonly cookie: string };

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

/** What the cookie holds until the identity provider has answered. */
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

/** And then, until the person has. */
interface Asked {
  /** With the code. */
  readonly location: string;
  /** In the page's form. */
  readonly value: string;
  /** Epoch milliseconds. */
  readonly until: number;
}

const loginMs = 600_000;
/**
 * RFC 8252 section 7.3: a program on the person's own machine, and nobody else. Not `localhost` (section 8.3): a name may be told to be
 * another machine.
 */
const loopback = /^http:\/\/(?:127\.0\.0\.1|\[::1\]):[0-9]{1,5}\/callback$/;
const stateForm = /^[A-Za-z0-9._~-]{1,128}$/;
const challengeForm = /^[A-Za-z0-9_-]{43}$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function createBrowserLogin(options: BrowserLoginOptions): BrowserLogin {
  const { saml, giver, codes, keys, url, turns, clock, logger } = options;
  const fault = (code: ExchangeFault): Step => ({ kind: 'fault', fault: code });
  /** Of all replicas; another one when the keys of tokens move on, which a login in that moment does not survive. */
  const sealKey = (use: 'login' | 'question'): Uint8Array | undefined => {
    const secret = keys()?.current.key.reveal();
    return secret === undefined
      ? undefined
      : new Uint8Array(hkdfSync('sha256', secret, '', `sidegate saml ${use}`, 32));
  };
  /** What was sealed for that use, while it counts. */
  const opened = <T extends { readonly until: number }>(
    use: 'login' | 'question',
    cookie: string | undefined,
    read: (text: string) => T | undefined,
  ): T | undefined => {
    const key = sealKey(use);
    const text = key === undefined || cookie === undefined ? undefined : unseal(key, cookie);
    const found = text === undefined ? undefined : read(text);
    return found !== undefined && clock.now() < found.until ? found : undefined;
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
      const key = sealKey('login');
      const request = saml.request(idp, consumerOf(url));
      if (key === undefined || request === undefined) return fault('temporarily_unavailable');
      const audience = query.get('audience') ?? undefined;
      const until = clock.now() + loginMs;
      const begun: Begun = { id: request.id, idp, redirect, state, challenge, audience, until };
      return { kind: 'redirect', location: request.url, cookie: seal(key, JSON.stringify(begun)) };
    },
    async consume(form, cookie, from) {
      const begun = opened('login', cookie, readBegun);
      const questionKey = sealKey('question');
      const document = form.get('SAMLResponse') ?? '';
      if (begun === undefined || questionKey === undefined || !base64.test(document)) return fault('invalid_request');
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
        const value = randomBytes(32).toString('base64url');
        const asked: Asked = { location: location.href, value, until: clock.now() + codeMs };
        return {
          kind: 'question',
          question: { person: person.subject, program: location.origin, value },
          cookie: seal(questionKey, JSON.stringify(asked)),
        };
      } catch (error) {
        return fault(refusalOf(error, logger));
      }
    },
    confirm(form, cookie) {
      const asked = opened('question', cookie, readAsked);
      const values = form.getAll('value').map((text) => Buffer.from(text));
      const wanted = Buffer.from(asked?.value ?? '');
      const [value, ...more] = values;
      const said =
        value !== undefined &&
        more.length === 0 &&
        wanted.length > 0 &&
        value.length === wanted.length &&
        timingSafeEqual(value, wanted);
      return asked === undefined || !said
        ? fault('invalid_request')
        : { kind: 'redirect', location: asked.location, cookie: '' };
    },
  };
}

function fieldsIn(text: string): ReturnType<typeof fieldsOf> | undefined {
  try {
    return fieldsOf(jsonValue(parseJson(text)));
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

function readBegun(text: string): Begun | undefined {
  const fields = fieldsIn(text);
  if (fields === undefined) return undefined;
  const { id, idp, redirect, state, challenge, audience, until } = fields;
  return {
    id: textOf(id),
    idp: textOf(idp),
    redirect: textOf(redirect),
    state: textOf(state),
    challenge: textOf(challenge),
    audience: audience === undefined ? undefined : textOf(audience),
    until: Number(until),
  };
}

function readAsked(text: string): Asked | undefined {
  const fields = fieldsIn(text);
  if (fields === undefined) return undefined;
  const { location, value, until } = fields;
  return { location: textOf(location), value: textOf(value), until: Number(until) };
}
