import { createHash, createHmac, createPublicKey } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import samlp from 'samlp';
import { silentLogger } from '../../pkg/base/index.ts';
import { createUnproven } from '../../pkg/control/decisions/index.ts';
import {
  createBrowserLogin,
  createLoginCodes,
  createTokenExchange,
  createTokenGiver,
  createUsedAssertions,
  issuerOf,
  withTokenIssuer,
} from '../../pkg/control/tokens/index.ts';
import { assertionRates } from '../../pkg/control/tokens/token-service.ts';
import type { GivenNote } from '../../pkg/control/record/index.ts';
import { compileSnapshot, peopleWho, requesterOf, tokenVote, voteFault } from '../../pkg/core/index.ts';
import type { Identity, IdentityResult, IdentityVerifier, Vote } from '../../pkg/core/index.ts';
import { oidc, policy, provider } from '../../pkg/core/testing/policies.ts';
import { afterTokenKeyStep, createIdentityVerifier, signToken, tokenKeySet } from '../../pkg/identity/index.ts';
import type { TokenKeyState } from '../../pkg/identity/index.ts';
import { createMemoryObjects } from '../support/memory-config-maps.ts';
import type { MemoryObjects } from '../support/memory-config-maps.ts';
import { assertionXml, audience as url, recipient, responseXml, signed } from '../support/saml-idp.ts';
import type { AssertionWords } from '../support/saml-idp.ts';
import { startSamlWorld } from '../support/saml-world.ts';
import type { SamlWorld } from '../support/saml-world.ts';

// From an assertion to a token, and from the token to a caller of a sidecar that knows nothing but the keys in its policy.

let world: SamlWorld;
beforeAll(async () => {
  world = await startSamlWorld();
});
afterAll(() => world.close());

let keys: TokenKeyState | undefined;
let objects: MemoryObjects;
let revoked: string | undefined;
const given: GivenNote[] = [];
beforeEach(() => {
  keys = afterTokenKeyStep(undefined, 'create', world.clock.now());
  objects = createMemoryObjects();
  revoked = undefined;
});

/** A replica of the controller: all of them share the API server. */
const replica = (aheadMs = 0) => {
  const { clock, verifier } = world;
  const latest = (): number => clock.now() + aheadMs;
  const used = createUsedAssertions({ client: objects, clock, logger: silentLogger, namespace: 'sidegate-system' });
  const giver = createTokenGiver({
    used,
    revocations: { revokes: ({ subject, sub }) => revoked !== undefined && [subject, sub].includes(revoked) },
    keys: () => keys,
    url,
    audiences: new Map([
      ['okta', ['inference', 'batch']],
      ['other', ['inference']],
    ]),
    clock,
    clocks: { latest },
    logger: silentLogger,
    onGiven: (note) => void given.push(note),
  });
  const codes = createLoginCodes({ used, clock });
  const shared = {
    saml: verifier,
    giver,
    codes,
    url,
    turns: createUnproven(clock, assertionRates),
    logger: silentLogger,
  };
  const exchange = createTokenExchange(shared);
  const browser = createBrowserLogin({ ...shared, keys: () => keys, clock });
  return { used, exchange, browser };
};
const assertion = (words: AssertionWords = {}, idp = world.okta): string =>
  signed(idp, assertionXml(idp, { now: world.clock.now(), ...words }));
const form = (xml: string, more: Readonly<Record<string, string>> = {}): URLSearchParams =>
  new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer',
    assertion: Buffer.from(xml).toString('base64url'),
    ...more,
  });
/** The token, or the error. */
const exchanged = async (parameters: URLSearchParams, by = replica(), from = '127.0.0.9'): Promise<string> => {
  const done = await by.exchange.exchange(parameters, from);
  return done.kind === 'token' ? done.token : done.fault;
};

/** What a sidecar makes of a token, with the policy that this controller would send it. */
const sidecar = (names: { readonly idp?: string; readonly audiences?: readonly string[] } = {}): IdentityVerifier => {
  const { idp = 'okta', audiences = ['inference'] } = names;
  const people = provider('people', {
    oidc: undefined,
    sidegate: { idp, audiences },
    kubernetesUser: { claim: 'email', prefix: 'oidc:' },
  });
  const corp = provider('corp', { oidc: oidc('https://corp.example.com') });
  const known = keys === undefined ? undefined : { url, idps: ['okta', 'other'], keys: tokenKeySet(keys) };
  const sent = withTokenIssuer(policy('p', { providers: [corp, people] }), known);
  const { providers } = compileSnapshot([sent], { revision: 0 });
  const unreachable = (): Promise<never> => Promise.reject(new Error('nothing is fetched for these tokens'));
  return createIdentityVerifier({ clock: world.clock, logger: silentLogger, fetch: unreachable })(providers);
};
const judged = async (token: string, by = sidecar()): Promise<IdentityResult> => {
  try {
    return await by.verify({ token, certificate: undefined });
  } finally {
    by.close();
  }
};
const reason = async (token: string, by?: IdentityVerifier): Promise<string> => {
  const result = await judged(token, by);
  return result.kind === 'refused' ? result.reason : result.kind;
};

test('who was given which token, until when and from where, is told, and of what was refused nothing', async () => {
  given.length = 0;
  const xml = assertion();
  const token = await exchanged(form(xml));
  expect(await exchanged(form(xml))).toBe('invalid_grant');
  const result = await judged(token);
  const { subject, groups, tokenId } = (result as Extract<IdentityResult, { kind: 'proven' }>).identity;
  expect(given).toEqual([
    {
      idp: 'okta',
      issuer: `${url}/saml/okta`,
      subject,
      groups,
      id: tokenId,
      expiresAt: world.clock.now() + 900_000,
      from: '127.0.0.9',
    },
  ]);
  expect(JSON.stringify(given)).not.toContain(token);
});

describe('an assertion becomes a token', () => {
  test.each([
    ['RFC 7522', (xml: string) => form(xml)],
    [
      'RFC 8693',
      (xml: string) =>
        new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: Buffer.from(xml).toString('base64'),
          subject_token_type: 'urn:ietf:params:oauth:token-type:saml2',
          requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        }),
    ],
  ])('by %s, which a sidecar takes without asking anybody', async (_name, request) => {
    const token = await exchanged(request(assertion({ groups: ['ml-eng', 'leads'] })));
    const now = world.clock.now();
    expect(await judged(token)).toEqual({
      kind: 'proven',
      identity: {
        provider: 'ml/p/people',
        issuer: `${url}/saml/okta`,
        subject: 'ana',
        groups: ['ml-eng', 'leads'],
        scopes: [],
        expiresAt: Math.floor((now + 900_000) / 1_000) * 1_000,
        tokenId: expect.stringMatching(/^[0-9a-f]{32}$/),
        kubernetesUser: 'oidc:ana@example.com',
        naming: 'assertion',
      },
    });
  });

  test('of an identity provider that others wrote', async () => {
    // By the system's clock, which this identity provider reads.
    const own = await startSamlWorld();
    const { okta } = own;
    const response = await new Promise<Buffer>((resolve, reject) => {
      const handle = samlp.auth({
        issuer: okta.entityId,
        cert: okta.cert,
        key: okta.key,
        audience: url,
        recipient,
        destination: recipient,
        signResponse: true,
        lifetimeInSeconds: 300,
        profileMapper: () => ({
          getClaims: () => ({ groups: ['ml-eng', 'leads'], mail: 'bob@example.com' }),
          getNameIdentifier: () => ({
            nameIdentifier: 'bob',
            nameIdentifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
          }),
        }),
        getPostURL: (_audience, _request, _http, done) => done(null, recipient),
        responseHandler: resolve,
      });
      handle({ method: 'GET', query: {}, user: { id: 'bob' } }, {}, reject);
    });
    const person = await own.verifier.verify(response, { recipients: [recipient] });
    own.close();
    expect(person).toMatchObject({
      idp: 'okta',
      subject: 'bob',
      groups: ['ml-eng', 'leads'],
      claims: { email: 'bob@example.com' },
    });
  });

  test('no longer than the session that the identity provider tells of', async () => {
    const by = replica();
    const ends = world.clock.now() + 120_000;
    const done = await by.exchange.exchange(form(assertion({ sessionEnds: ends })), '127.0.0.9');
    expect(done).toMatchObject({ kind: 'token', expiresAt: ends });
    expect(await exchanged(form(assertion({ sessionEnds: world.clock.now() - 1 })))).toBe('invalid_grant');
  });

  test('for an audience that is asked for, of those of the identity provider', async () => {
    const batch = await exchanged(form(assertion(), { audience: 'batch' }));
    expect(await reason(batch, sidecar({ audiences: ['batch'] }))).toBe('proven');
    expect(await reason(batch)).toBe('token_invalid');
    expect(await exchanged(form(assertion(), { audience: 'admin' }))).toBe('invalid_target');
    expect(await exchanged(form(assertion({}, world.other), { audience: 'batch' }))).toBe('invalid_target');
    expect(await exchanged(form(assertion(), { resource: 'https://x' }))).toBe('invalid_target');
  });
});

describe('an assertion is exchanged once', () => {
  test('at one replica, at another, and by both at the same time', async () => {
    const xml = assertion();
    expect(await exchanged(form(xml))).toMatch(/^ey/);
    expect(await exchanged(form(xml))).toBe('invalid_grant');
    const twice = form(assertion());
    const results = await Promise.all(Array.from({ length: 8 }, () => exchanged(twice, replica())));
    expect(results.filter((one) => one.startsWith('ey'))).toHaveLength(1);
    expect(results.filter((one) => one === 'invalid_grant')).toHaveLength(7);
  });

  test('in another wrapping, or after its record was swept, it is the same', async () => {
    const by = replica();
    const xml = assertion();
    expect(await exchanged(form(xml), by)).toMatch(/^ey/);
    expect(await exchanged(form(`<?xml version="1.0"?>\n${xml}\n`), by)).toBe('invalid_grant');
    // To its end, the skew and ten minutes beyond it is remembered; then it has expired on its own.
    world.clock.advance(15 * 60_000);
    await by.used.sweep();
    expect(objects.objects.size).toBe(1);
    expect(await exchanged(form(xml), by)).toBe('invalid_grant');
    world.clock.advance(61_000);
    await by.used.sweep();
    expect(objects.objects.size).toBe(0);
    expect(await exchanged(form(xml), by)).toBe('invalid_grant');
  });

  test('by the API server’s clock it is over at a replica that is behind: others may have forgotten that it was used', async () => {
    const form60 = form(assertion());
    expect(await exchanged(form60, replica(86_400_000))).toBe('invalid_grant');
    expect(await exchanged(form60, replica())).toMatch(/^ey/);
  });

  test('an API server that cannot be asked: nobody gets a token, and the assertion is not used up', async () => {
    const xml = assertion();
    objects.down = true;
    expect(await exchanged(form(xml))).toBe('temporarily_unavailable');
    objects.down = false;
    expect(await exchanged(form(xml))).toMatch(/^ey/);
  });

  test('equal IDs of two identity providers are two assertions', async () => {
    expect(await exchanged(form(assertion({ id: '_same' })))).toMatch(/^ey/);
    expect(await exchanged(form(assertion({ id: '_same' }, world.other)))).toMatch(/^ey/);
  });
});

test.each([
  ['no grant type', 'assertion=AA', 'invalid_request'],
  ['another grant type', 'grant_type=password&assertion=AA', 'unsupported_grant_type'],
  ['no assertion', 'grant_type=urn:ietf:params:oauth:grant-type:saml2-bearer', 'invalid_request'],
  ['no base64', 'grant_type=urn:ietf:params:oauth:grant-type:saml2-bearer&assertion=%3Cxml%3E', 'invalid_request'],
  ['no XML', 'grant_type=urn:ietf:params:oauth:grant-type:saml2-bearer&assertion=AAAA', 'invalid_grant'],
  ['twice', 'grant_type=urn:ietf:params:oauth:grant-type:saml2-bearer&assertion=AA&assertion=AA', 'invalid_request'],
  [
    'another type of token',
    'grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=AA&subject_token_type=urn:ietf:params:oauth:token-type:jwt',
    'invalid_request',
  ],
  [
    'somebody who acts for another',
    'grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=AA&actor_token=AA&subject_token_type=urn:ietf:params:oauth:token-type:saml2',
    'invalid_request',
  ],
])('a request with %s', async (_name, query, fault) => {
  expect(await exchanged(new URLSearchParams(query))).toBe(fault);
  expect(objects.objects.size).toBe(0);
});

test('who was revoked gets no new token; without keys nobody does', async () => {
  revoked = 'ana';
  expect(await exchanged(form(assertion()))).toBe('invalid_grant');
  expect(await exchanged(form(assertion({ subject: 'bob' })))).toMatch(/^ey/);
  keys = undefined;
  expect(await exchanged(form(assertion({ subject: 'bob' })))).toBe('temporarily_unavailable');
});

test('garbage of a few addresses keeps nobody from a token', async () => {
  const by = replica();
  const nonsense = form('no xml');
  const bring = (parameters: URLSearchParams, from: string) => exchanged(parameters, by, from);
  const first = await Promise.all(Array.from({ length: 200 }, (_, n) => bring(nonsense, `192.0.2.${n % 3}`)));
  expect(first.filter((one) => one === 'invalid_grant').length).toBeLessThanOrEqual(40);
  expect(first).toContain('temporarily_unavailable');
  expect(await bring(form(assertion()), '192.0.2.9')).toMatch(/^ey/);
  // They go on: who brought nothing untrue is not among them.
  for (let second = 0; second < 30; second++) {
    world.clock.advance(1_000);
    for (let n = 0; n < 9; n++) await bring(nonsense, `192.0.2.${n % 3}`);
    if (second % 10 === 0) expect(await bring(form(assertion()), '192.0.2.9')).toMatch(/^ey/);
  }
});

test('true assertions of one address take nothing, those that are brought again do', async () => {
  const by = replica();
  for (let times = 0; times < 30; times++) expect(await exchanged(form(assertion()), by)).toMatch(/^ey/);
  const again = form(assertion());
  const answers = [];
  for (let times = 0; times < 30; times++) answers.push(await exchanged(again, by));
  expect(answers.slice(0, 2)).toEqual([expect.stringMatching(/^ey/), 'invalid_grant']);
  expect(answers.at(-1)).toBe('temporarily_unavailable');
});

test('more groups than a token holds', async () => {
  const groups = Array.from({ length: 1_000 }, (_, at) => `group-of-some-length-${at}`);
  expect(await exchanged(form(assertion({ groups })))).toBe('invalid_grant');
});

/** SAML by browser: a program begins it, the identity provider's answer comes by POST, a code goes back to the program. */
describe('a login by browser', () => {
  const verifier = 'v'.repeat(43);
  const redirect = 'http://127.0.0.1:4711/callback';
  const asked = (more: Readonly<Record<string, string>> = {}): URLSearchParams =>
    new URLSearchParams({
      redirect_uri: redirect,
      state: 's-1',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...more,
    });
  /** The request that the browser brings to the identity provider, and the cookie that it keeps. */
  const begun = (more: Readonly<Record<string, string>> = {}, idp = 'okta') => {
    const step = replica().browser.begin(idp, asked(more));
    if (step.kind === 'fault') return { fault: step.fault, cookie: '', id: '', xml: '', location: '' };
    if (step.kind === 'question') throw new Error('nobody is asked before');
    const url = new URL(step.location);
    const xml = inflateRawSync(Buffer.from(url.searchParams.get('SAMLRequest') ?? '', 'base64')).toString();
    return { cookie: step.cookie, id: / ID="([^"]*)"/.exec(xml)?.[1] ?? '', xml, location: step.location };
  };
  const answered = (inResponseTo: string, words: AssertionWords = {}, idp = world.okta): URLSearchParams => {
    const xml = responseXml(idp, assertion({ recipient: `${url}/v1/saml/acs`, inResponseTo, ...words }, idp));
    return new URLSearchParams({ SAMLResponse: Buffer.from(xml).toString('base64'), RelayState: '' });
  };
  /** What the person is asked, with the cookie that belongs to it. */
  const questioned = async (more: Readonly<Record<string, string>> = {}) => {
    const { cookie, id } = begun(more);
    const step = await replica().browser.consume(answered(id), cookie, '127.0.0.9');
    if (step.kind !== 'question') throw new Error(step.kind);
    return { ...step.question, cookie: step.cookie, begun: cookie };
  };
  const confirmed = (value: string, cookie: string | undefined): string => {
    const step = replica().browser.confirm(new URLSearchParams({ value }), cookie);
    if (step.kind === 'question') throw new Error('nobody is asked twice');
    return step.kind === 'fault' ? step.fault : step.location;
  };
  /** Where the browser goes once the person has said that they began it, or the error. */
  const consumed = async (answer: URLSearchParams, cookie: string | undefined): Promise<string> => {
    const step = await replica().browser.consume(answer, cookie, '127.0.0.9');
    if (step.kind === 'redirect') throw new Error('the person was not asked');
    return step.kind === 'fault' ? step.fault : confirmed(step.question.value, step.cookie);
  };
  const redeemed = (code: string, more: Readonly<Record<string, string>> = {}): Promise<string> =>
    exchanged(
      new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
        redirect_uri: redirect,
        ...more,
      }),
    );
  const codeIn = (location: string): string => new URL(location).searchParams.get('code') ?? '';

  test('ends with a token for the program, whichever replica is asked at each step', async () => {
    const { cookie, id, xml, location } = begun();
    expect(location).toMatch(/^https:\/\/idp\.example\.com\/sso\?SAMLRequest=/);
    expect(xml).toContain(`AssertionConsumerServiceURL="${url}/v1/saml/acs"`);
    expect(xml).toContain(`<saml:Issuer>${url}</saml:Issuer>`);
    const back = await consumed(answered(id), cookie);
    expect(back).toMatch(/^http:\/\/127\.0\.0\.1:4711\/callback\?code=[0-9a-f]{64}\.[\w-]{43}&state=s-1$/);
    // Neither the cookie nor the record shows anything.
    const [record] = objects.objects.values();
    // As a word: what is drawn in base64 may hold any three letters.
    expect(JSON.stringify(record)).not.toMatch(/\bana\b/);
    expect(Buffer.from(cookie, 'base64url').toString()).not.toContain(id);
    const token = await redeemed(codeIn(back));
    expect(await judged(token)).toMatchObject({ identity: { subject: 'ana' } });
    expect(await redeemed(codeIn(back))).toBe('invalid_grant');
    expect(await consumed(answered(id), cookie)).toMatch(/^http/);
  });

  test('its answer is taken once, of the right request, in the right browser, in time', async () => {
    const { cookie, id } = begun();
    const other = begun();
    const answer = answered(id);
    expect(await consumed(answer, undefined)).toBe('invalid_request');
    expect(await consumed(answer, other.cookie)).toBe('invalid_grant');
    expect(await consumed(answer, `${cookie.slice(0, -4)}AAAA`)).toBe('invalid_request');
    expect(await consumed(answered(id, { recipient }), cookie)).toBe('invalid_grant');
    const unasked = responseXml(world.okta, assertion({ recipient: `${url}/v1/saml/acs` }));
    const form = new URLSearchParams({ SAMLResponse: Buffer.from(unasked).toString('base64') });
    expect(await consumed(form, cookie)).toBe('invalid_grant');
    // The answer to a request is no assertion for the token endpoint.
    const brought = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer',
      assertion: answer.get('SAMLResponse') ?? '',
    });
    expect(await exchanged(brought)).toBe('invalid_grant');
    expect(await consumed(answer, cookie)).toMatch(/^http/);
    expect(await consumed(answer, cookie)).toBe('invalid_grant');
    const late = begun();
    world.clock.advance(600_000);
    expect(await consumed(answered(late.id), late.cookie)).toBe('invalid_request');
  });

  test('goes nowhere before the person has said that they began it: on that page, in that browser, in time', async () => {
    const asked = await questioned();
    expect([asked.person, asked.program, asked.value]).toEqual([
      'ana',
      'http://127.0.0.1:4711',
      expect.stringMatching(/^[\w-]{43}$/),
    ]);
    const other = await questioned();
    for (const [value, cookie] of [
      [asked.value, undefined],
      [asked.value, other.cookie],
      [other.value, asked.cookie],
      ['', asked.cookie],
      [`${asked.value}A`, asked.cookie],
      // The cookie of another step is none of this one.
      [asked.value, asked.begun],
      ['', asked.begun],
    ] as const)
      expect(confirmed(value, cookie)).toBe('invalid_request');
    const twice = new URLSearchParams([
      ['value', asked.value],
      ['value', asked.value],
    ]);
    expect(replica().browser.confirm(twice, asked.cookie).kind).toBe('fault');
    expect(await consumed(answered(begun().id), asked.cookie)).toBe('invalid_request');
    expect(confirmed(asked.value, asked.cookie)).toMatch(/^http:\/\/127\.0\.0\.1:4711\/callback\?code=/);
    world.clock.advance(300_000);
    expect(confirmed(other.value, other.cookie)).toBe('invalid_request');
    const six = await questioned({ redirect_uri: 'http://[::1]:4711/callback' });
    expect(confirmed(six.value, six.cookie)).toMatch(/^http:\/\/\[::1\]:4711\/callback\?code=/);
  });

  test('of another identity provider than was asked: refused', async () => {
    const { cookie, id } = begun();
    expect(await consumed(answered(id, {}, world.other), cookie)).toBe('invalid_grant');
    expect(begun({}, 'unknown').fault).toBe('temporarily_unavailable');
  });

  test('the code is of no use to who has not begun it, twice, or later', async () => {
    const fresh = async (): Promise<string> => {
      const { cookie, id } = begun();
      return codeIn(await consumed(answered(id), cookie));
    };
    for (const more of [
      { code_verifier: 'w'.repeat(43) },
      { code_verifier: 'short' },
      { redirect_uri: 'http://127.0.0.1:4712/callback' },
    ]) {
      const code = await fresh();
      expect(await redeemed(code, more)).toBe('invalid_grant');
    }
    const code = await fresh();
    const [record = '', key = ''] = code.split('.');
    expect(await redeemed(`${record}.${'A'.repeat(43)}`)).toBe('invalid_grant');
    expect(await redeemed(record)).toBe('invalid_grant');
    // Who guessed at it has spent it.
    expect(await redeemed(`${record}.${key}`)).toBe('invalid_grant');
    const raced = await fresh();
    const results = await Promise.all(Array.from({ length: 5 }, () => redeemed(raced)));
    expect(results.filter((one) => one.startsWith('ey'))).toHaveLength(1);
    const old = await fresh();
    world.clock.advance(300_001);
    expect(await redeemed(old)).toBe('invalid_grant');
    expect(await redeemed(await fresh(), { code: '' })).toBe('invalid_grant');
  });

  test.each([
    ['a site', { redirect_uri: 'https://evil.example.com/callback' }],
    ['a host that looks like it', { redirect_uri: 'http://127.0.0.1.evil.example.com:80/callback' }],
    ['a name before it', { redirect_uri: 'http://evil@127.0.0.1:80/callback' }],
    ['another path', { redirect_uri: 'http://127.0.0.1:80/callback/../x' }],
    ['a name, which may be another machine', { redirect_uri: 'http://localhost:4711/callback' }],
    ['no challenge', { code_challenge: '' }],
    ['a plain challenge', { code_challenge_method: 'plain' }],
    ['a state that is none', { state: 'a b' }],
  ])('that would go to %s is not begun', (_name, more) => {
    expect(begun(more).fault).toBe('invalid_request');
  });

  test('for an audience that is not allowed, or for who was revoked: refused', async () => {
    const wanted = begun({ audience: 'admin' });
    expect(await consumed(answered(wanted.id), wanted.cookie)).toBe('invalid_target');
    revoked = 'ana';
    const { cookie, id } = begun();
    expect(await consumed(answered(id), cookie)).toBe('invalid_grant');
    expect(objects.objects.size).toBe(0);
  });
});

describe('whom an attribute names, that they may change', () => {
  let usual: SamlWorld;
  beforeAll(async () => {
    usual = world;
    world = await startSamlWorld({ subjectAttribute: 'upn', claims: { email: 'upn' } });
  });
  afterAll(() => {
    world.close();
    world = usual;
  });

  const login = (upn: string, subject: string, words: AssertionWords = {}): string =>
    assertion({
      subject,
      attributes: `<saml:Attribute Name="upn"><saml:AttributeValue>${upn}</saml:AttributeValue></saml:Attribute>`,
      ...words,
    });
  const proven = async (token: string): Promise<Identity> => {
    const result = await judged(token);
    if (result.kind !== 'proven') throw new Error(result.kind);
    return result.identity;
  };
  const who = async (...words: Parameters<typeof login>): Promise<Identity> =>
    await proven(await exchanged(form(login(...words))));
  const asked = (by: Identity, votes: readonly Vote[] = []) => ({
    phase: 'Pending' as const,
    votes,
    expiresAt: 1,
    asker: requesterOf(by),
  });
  const voteOf = (by: Identity): Vote =>
    tokenVote(by, { token: 't', from: 'here', now: 0 }, { decision: 'Approve', comment: undefined });

  test('is known by the NameID beside it: does not approve their own request, and counts once', async () => {
    const ana = await who('ana@example.com', 'P-1');
    expect(ana).toMatchObject({ subject: 'ana@example.com', sub: 'P-1', kubernetesUser: 'oidc:ana@example.com' });
    const renamed = await who('ana.smith@example.com', 'P-1');
    expect(voteFault(renamed, asked(ana), 0)).toBe('self_approval');
    expect(peopleWho([voteOf(renamed)], requesterOf(ana))).toBe(0);
    const bob = await who('bob@example.com', 'P-2');
    expect(voteFault(bob, asked(ana), 0)).toBeUndefined();
    expect(voteFault(renamed, asked(bob, [voteOf(ana)]), 0)).toBe('voted');
    expect(peopleWho([voteOf(ana), voteOf(renamed)], requesterOf(bob))).toBe(1);
    expect(peopleWho([voteOf(ana), voteOf(await who('cleo@example.com', 'P-3'))], requesterOf(bob))).toBe(2);
  });

  test('is given no token after their NameID was revoked', async () => {
    revoked = 'P-1';
    expect(await exchanged(form(login('ana.smith@example.com', 'P-1')))).toBe('invalid_grant');
    expect(await exchanged(form(login('bob@example.com', 'P-2')))).toMatch(/^ey/);
  });

  test('is known by the attribute alone with a transient NameID, and by a token of a controller that told none', async () => {
    const nameIdFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient';
    expect(await who('ana@example.com', '_7f3a', { nameIdFormat })).not.toHaveProperty('sub');
    if (keys === undefined) throw new Error('no keys');
    const now = world.clock.now();
    const content = { issuer: issuerOf(url, 'okta'), audience: 'inference', groups: [], claims: {}, id: 'x' };
    const earlier = await signToken(keys.current, {
      ...content,
      subject: 'ana@example.com',
      issuedAt: now,
      expiresAt: now + 60_000,
    });
    const identity = await proven(earlier);
    expect(identity).toMatchObject({ subject: 'ana@example.com', naming: 'assertion' });
    expect(identity).not.toHaveProperty('sub');
  });
});

describe('a token', () => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = (token: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
  const content = () => ({
    issuer: issuerOf(url, 'okta'),
    audience: 'inference',
    subject: 'ana',
    groups: ['ml-eng'],
    claims: {},
    id: 'x',
    issuedAt: world.clock.now(),
    expiresAt: world.clock.now() + 60_000,
  });

  test('says what RFC 9068 has, and nothing else', async () => {
    const token = await exchanged(form(assertion()));
    const header = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as object;
    expect(header).toEqual({ alg: 'ES256', kid: keys?.current.jwk.kid, typ: 'at+jwt' });
    expect(Object.keys(claims(token)).sort()).toEqual(['aud', 'email', 'exp', 'groups', 'iat', 'iss', 'jti', 'sub']);
  });

  test('expires', async () => {
    const token = await exchanged(form(assertion()));
    world.clock.advance(900_000 + 29_000);
    expect(await reason(token)).toBe('proven');
    world.clock.advance(2_000);
    expect(await reason(token)).toBe('token_expired');
  });

  test('no signature, a signature by HMAC with the public key, another algorithm: nobody', async () => {
    const token = await exchanged(form(assertion()));
    const [, payload = '', signature = ''] = token.split('.');
    const { jwk } = keys?.current ?? {};
    const kid = jwk?.kid;
    expect(await reason(token)).toBe('proven');
    expect(await reason(`${part({ alg: 'none', kid })}.${payload}.`)).toBe('token_invalid');
    expect(await reason(`${part({ alg: 'none', kid })}.${payload}.${signature}`)).toBe('token_invalid');
    const pem = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ format: 'pem', type: 'spki' });
    for (const secret of [pem, JSON.stringify(jwk), Buffer.from(jwk?.x ?? '', 'base64url')]) {
      const signing = `${part({ alg: 'HS256', kid })}.${payload}`;
      const forged = createHmac('sha256', secret).update(signing).digest('base64url');
      expect(await reason(`${signing}.${forged}`)).toBe('token_invalid');
    }
    expect(await reason(`${part({ alg: 'RS256', kid })}.${payload}.${signature}`)).toBe('token_invalid');
  });

  test('changed groups, a key of its own, an unknown key id: nobody', async () => {
    const token = await exchanged(form(assertion()));
    const [header = '', , signature = ''] = token.split('.');
    expect(await reason(`${header}.${part({ ...claims(token), groups: ['admins'] })}.${signature}`)).toBe(
      'token_invalid',
    );
    const thief = afterTokenKeyStep(undefined, 'create', 0).current;
    expect(await reason(await signToken(thief, content()))).toBe('token_invalid');
    // Under the name of the key that counts.
    const known = keys?.current.jwk ?? thief.jwk;
    expect(await reason(await signToken({ ...thief, jwk: known }, content()))).toBe('token_invalid');
  });

  test('of one identity provider is nobody of another, and none of an OIDC provider’s', async () => {
    const token = await exchanged(form(assertion()));
    expect(await reason(token, sidecar({ idp: 'other' }))).toBe('token_invalid');
    expect(await reason(token, sidecar({ idp: 'unconfigured' }))).toBe('token_invalid');
    const other = await exchanged(form(assertion({}, world.other)));
    expect(await judged(other, sidecar({ idp: 'other' }))).toMatchObject({
      identity: { issuer: `${url}/saml/other`, subject: 'ana' },
    });
    expect(await reason(other)).toBe('token_invalid');
    // Signed by our key, and in the name of an issuer whose keys are fetched: those decide.
    const key = keys?.current;
    if (key === undefined) throw new Error('no keys');
    expect(await reason(await signToken(key, { ...content(), issuer: 'https://corp.example.com' }))).toBe(
      'identity_unavailable',
    );
  });

  test('outlives the rotation of its key, and not the key’s end', async () => {
    const before = await exchanged(form(assertion()));
    const first = keys;
    keys = afterTokenKeyStep(keys, 'publish', world.clock.now());
    const published = await exchanged(form(assertion()));
    expect([await reason(before), await reason(published)]).toEqual(['proven', 'proven']);
    // A sidecar that has heard of the new key takes it from the first second on.
    const heard = sidecar();
    keys = afterTokenKeyStep(keys, 'switch', world.clock.now());
    const after = await exchanged(form(assertion()));
    expect(after.split('.')[0]).not.toBe(before.split('.')[0]);
    expect(await reason(after, heard)).toBe('proven');
    expect([await reason(before), await reason(after)]).toEqual(['proven', 'proven']);
    expect(keys.previous).toEqual(first?.current.jwk);
    keys = afterTokenKeyStep(keys, 'drop', world.clock.now());
    expect([await reason(before), await reason(after)]).toEqual(['token_invalid', 'proven']);
  });

  test('is believed by nobody whose controller gives none, and the policy says so', async () => {
    const token = await exchanged(form(assertion()));
    keys = undefined;
    expect(await reason(token)).toBe('token_invalid');
    const people = provider('people', { oidc: undefined, sidegate: { idp: 'okta', audiences: ['inference'] } });
    const { notices } = compileSnapshot([policy('p', { providers: [people] })], { revision: 0 });
    expect(notices).toContainEqual({
      policy: 'p',
      field: 'identity.providers[people]',
      message: expect.stringContaining('tokens.idps'),
    });
  });
});
