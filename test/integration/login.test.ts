import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { inflateRawSync } from 'node:zlib';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loginIo } from '../../cmd/kubectl-sidegate/login-io.ts';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { run } from '../../pkg/cli/index.ts';
import { createDecisionServer } from '../../pkg/control/decisions/index.ts';
import type { DecisionServer } from '../../pkg/control/decisions/index.ts';
import {
  createBrowserLogin,
  createLoginCodes,
  createTokenExchange,
  createTokenGiver,
  createTokenRoutes,
  createUsedAssertions,
} from '../../pkg/control/tokens/index.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import type { IdentityResult } from '../../pkg/core/index.ts';
import { oidc, policy, provider } from '../../pkg/core/testing/policies.ts';
import { afterTokenKeyStep, createIdentityVerifier } from '../../pkg/identity/index.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { createBrowser } from '../support/browser.ts';
import { clientId, startLoginIssuer } from '../support/login-issuer.ts';
import type { LoginIssuer } from '../support/login-issuer.ts';
import { createMemoryObjects } from '../support/memory-config-maps.ts';
import { assertionXml, audience as url, responseXml, signed } from '../support/saml-idp.ts';
import type { AssertionWords } from '../support/saml-idp.ts';
import { startSamlWorld } from '../support/saml-world.ts';
import type { SamlWorld } from '../support/saml-world.ts';
import { until } from '../support/wait.ts';
import { noFolder } from '../support/no-folder.ts';

// Logging in at a real issuer, with the files and the sockets of the program itself; the browser is the test's.

let folder: string;
let issuer: LoginIssuer;
let shown: string[];
let waited: number[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-login-'));
  issuer = await startLoginIssuer({ seconds: 900 });
  [shown, waited] = [[], []];
});
afterEach(async () => {
  await issuer.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(args: readonly string[], browse: (url: string) => boolean = (url) => shown.push(url) > 0) {
  const [out, err]: [string[], string[]] = [[], []];
  const ended = run(args, {
    stdout: (text) => void out.push(text),
    stderr: (text) => void err.push(text),
    readFile: (path) => readFileSync(path, 'utf8'),
    writeFile: () => undefined,
    checkPattern: () => undefined,
    publicRoots: [],
    now: () => Date.now(),
    async sleep(ms) {
      waited.push(ms);
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
    login: { ...loginIo(folder), browse },
    folder: noFolder,
    openCluster: () => Promise.reject(new Error('no cluster')),
    ask: () => Promise.reject(new Error('nobody is there')),
  });
  return { err, done: Promise.resolve(ended).then((code) => ({ code, out: out.join(''), err: err.join('') })) };
}
const sidegate = (...args: string[]) => start(args).done;
const oidcFlags = (): string[] => ['login', '--issuer', issuer.url, '--client-id', clientId];
const file = (name = 'default'): string => join(folder, 'profiles', `${name}.json`);
const ana = () => createBrowser({ login: 'ana', password: 'x' });

/** Logs in as ana, by browser. */
async function login(...more: string[]) {
  const command = start([...oidcFlags(), ...more]);
  await until(() => shown.length > 0 || command.err.length > 0, 'the browser is opened');
  const page = await ana().visit(shown.at(-1) ?? '');
  return { ...(await command.done), page };
}
/** What a sidecar makes of a token. */
async function judged(token: string, audience = 'inference'): Promise<IdentityResult> {
  const corp = provider('corp', { oidc: oidc(issuer.url, audience, { allowInsecureLoopback: true }) });
  const { providers } = compileSnapshot([policy('p', { providers: [corp] })], { revision: 0 });
  const verifier = createIdentityVerifier({ clock: systemClock, logger: silentLogger })(providers);
  try {
    return await verifier.verify({ token: token.trim(), certificate: undefined });
  } finally {
    verifier.close();
  }
}

const claimsIn = (token: string): object =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object;

describe('by browser', () => {
  test('leaves a file that is the person’s alone, from which a token is printed that a sidecar takes', async () => {
    const { code, err, page } = await login();
    expect([code, err]).toEqual([0, expect.stringContaining('OPENAI_API_KEY=$(kubectl sidegate token)')]);
    expect(page.text).toContain('You may close this window');
    expect([statSync(file()).mode & 0o777, statSync(join(folder, 'profiles')).mode & 0o777]).toEqual([0o600, 0o700]);
    const token = await sidegate('token');
    expect([token.code, token.err]).toEqual([0, '']);
    expect(token.out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect(await judged(token.out)).toMatchObject({ kind: 'proven', identity: { subject: 'ana', groups: ['ml-eng'] } });
    // What is in the address reaches the browser's history.
    const address = new URL(shown[0] ?? '');
    expect(Object.fromEntries(address.searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      scope: 'openid offline_access',
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/callback$/),
    });
    const secrets = JSON.parse(readFileSync(file(), 'utf8')) as { token: string; renewal: { refreshToken: string } };
    expect(err).not.toContain(secrets.token);
    expect(err).not.toContain(secrets.renewal.refreshToken);
  });

  test('an answer to another login, of another issuer, or none: nothing is left, and the right one still counts', async () => {
    const command = start(oidcFlags());
    await until(() => shown.length > 0);
    const address = new URL(shown[0] ?? '');
    const callback = address.searchParams.get('redirect_uri') ?? '';
    const forged = await fetch(`${callback}?code=stolen&state=guessed`, { headers: { connection: 'close' } });
    expect(forged.status).toBe(400);
    expect((await fetch(callback.replace('/callback', '/'), { headers: { connection: 'close' } })).status).toBe(404);
    expect((await fetch(callback, { method: 'POST', headers: { connection: 'close' } })).status).toBe(404);
    await ana().visit(address.href);
    expect((await command.done).code).toBe(0);
    expect(issuer.tokenRequests).toBe(1);

    for (const [query, why] of [
      ['iss=https%3A%2F%2Fmixed.example.com&code=x', 'another issuer answered'],
      ['error=access_denied', 'the issuer refused: access_denied'],
      ['code=made-up', 'the issuer gave no token: invalid_grant'],
    ]) {
      rmSync(file(), { force: true });
      shown = [];
      const other = start(oidcFlags());
      await until(() => shown.length > 0);
      const { searchParams } = new URL(shown[0] ?? '');
      const state = searchParams.get('state') ?? '';
      await fetch(`${searchParams.get('redirect_uri') ?? ''}?state=${state}&${query}`, {
        headers: { connection: 'close' },
      });
      expect(await other.done).toMatchObject({ code: 1, err: expect.stringContaining(why ?? '') });
      expect(loginIo(folder).readPrivate(file())).toBeUndefined();
    }
  });

  test('the ID token, where it is asked for', async () => {
    expect((await login('--token', 'id')).code).toBe(0);
    const { out } = await sidegate('token');
    expect(await judged(out, clientId)).toMatchObject({ kind: 'proven', identity: { subject: 'ana' } });
  });

  test('an access token that only the issuer can read is of no use: it is said', async () => {
    await issuer.close();
    issuer = await startLoginIssuer({ seconds: 900, opaque: true });
    expect(await login()).toMatchObject({ code: 1, err: expect.stringContaining('--token id') });
    expect(loginIo(folder).readPrivate(file())).toBeUndefined();
  });

  test('without a browser the address is told', async () => {
    const command = start(oidcFlags(), () => false);
    await until(() => command.err.length > 0);
    const address = /Open this address: (\S+)/.exec(command.err.join(''))?.[1] ?? '';
    await ana().visit(address);
    expect((await command.done).code).toBe(0);
  });
});

test('by a code that is confirmed on another device', async () => {
  const command = start([...oidcFlags(), '--device']);
  await until(() => command.err.length > 0);
  const [, address = ''] = /Open (\S+) and confirm the code/.exec(command.err.join('')) ?? [];
  await until(() => issuer.tokenRequests > 1, 'it has asked, and was told to wait');
  await ana().visit(address);
  expect(await command.done).toMatchObject({ code: 0 });
  expect(await judged((await sidegate('token')).out)).toMatchObject({ identity: { subject: 'ana' } });
  expect(Math.min(...waited)).toBeGreaterThanOrEqual(5_000);
});

describe('a token that is about to end', () => {
  /** Makes the file say that its token ends now. */
  const age = (more: object = {}): void => {
    const kept = JSON.parse(readFileSync(file(), 'utf8')) as object;
    writeFileSync(file(), JSON.stringify({ ...kept, expiresAt: Date.now(), ...more }));
  };

  test('is renewed without a word, once, whoever asks at the same time', async () => {
    await login();
    const first = (await sidegate('token')).out;
    expect((await sidegate('token')).out).toBe(first);
    expect(issuer.tokenRequests).toBe(1);
    age();
    const all = await Promise.all(Array.from({ length: 6 }, () => sidegate('token')));
    expect(issuer.tokenRequests).toBe(2);
    expect(new Set(all.map(({ code, err }) => `${code}${err}`))).toEqual(new Set(['0']));
    const [renewed = '', ...others] = new Set(all.map(({ out }) => out));
    expect(others).toEqual([]);
    expect(renewed).not.toBe(first);
    expect(await judged(renewed)).toMatchObject({ identity: { subject: 'ana' } });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    // With the newest refresh token: the issuer takes each once.
    age();
    expect((await sidegate('token')).code).toBe(0);
  });

  test('counts no longer than is asked for', async () => {
    await login();
    await sidegate('token', '--min-life', '14m');
    expect(issuer.tokenRequests).toBe(1);
    await sidegate('token', '--min-life', '16m');
    expect(issuer.tokenRequests).toBe(2);
  });

  test('and cannot be renewed: what to do is said, and nothing is printed', async () => {
    await login();
    const { renewal } = JSON.parse(readFileSync(file(), 'utf8')) as { renewal: object };
    age({ renewal: { ...renewal, refreshToken: 'revoked' } });
    const refused = await sidegate('token');
    expect(refused).toMatchObject({ code: 1, out: '', err: expect.stringContaining('invalid_grant') });
    expect(refused.err).toContain(
      `Log in again: kubectl sidegate login --issuer ${issuer.url} --client-id ${clientId}`,
    );
  });
});

describe('SAML', () => {
  let world: SamlWorld;
  let endpoint: DecisionServer;
  let ca: string;
  beforeEach(async () => {
    world = await startSamlWorld();
    const authority = await createClusterAuthority('authority');
    ca = join(folder, 'ca.pem');
    writeFileSync(ca, authority.cert);
    const keys = afterTokenKeyStep(undefined, 'create', world.clock.now());
    const { clock, verifier: saml } = world;
    const logger = silentLogger;
    const used = createUsedAssertions({ client: createMemoryObjects(), clock, logger, namespace: 'sidegate-system' });
    const audiences = new Map([['okta', ['inference']]]);
    const revocations = { revokes: () => false };
    const giver = createTokenGiver({ used, revocations, keys: () => keys, url, audiences, clock, logger });
    const codes = createLoginCodes({ used, clock });
    const shared = {
      saml,
      giver,
      codes,
      url,
      turns: { admit: () => ({ proven: () => undefined }) },
      keys: () => keys,
      clock,
      logger,
    };
    endpoint = await createDecisionServer({
      host: '127.0.0.1',
      port: 0,
      material: await authority.issue('login', [], ['localhost']),
      decider: { prove: nobody },
      more: [
        {
          routes: createTokenRoutes({
            exchange: createTokenExchange(shared),
            browser: createBrowserLogin(shared),
            keys: () => keys,
            clock,
          }),
        },
      ],
      clock,
      logger,
    });
  });
  afterEach(async () => {
    await endpoint.close();
    world.close();
  });
  const nobody = () => Promise.reject(new Error('nobody decides here'));
  const at = (): string => `https://localhost:${endpoint.port}`;
  const signedFor = (words: AssertionWords): string =>
    signed(world.okta, assertionXml(world.okta, { now: world.clock.now(), ...words }));

  /** One request of a browser. */
  const visit = (target: string, more: { readonly cookie?: string; readonly form?: string } = {}) =>
    new Promise<{ status: number; headers: IncomingHttpHeaders; text: string }>((resolve, reject) => {
      const sent = request(
        new URL(target),
        {
          method: more.form === undefined ? 'GET' : 'POST',
          rejectUnauthorized: false,
          agent: false,
          headers: {
            ...(more.cookie !== undefined && { cookie: more.cookie }),
            ...(more.form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
        },
      );
      sent.on('error', reject);
      sent.end(more.form);
    });

  test('in the browser: the identity provider’s answer comes by POST, and the program has its token', async () => {
    const command = start(['login', '--url', at(), '--saml', 'okta', '--ca', ca]);
    await until(() => shown.length > 0 || command.err.length > 0);
    const begun = await visit(shown[0] ?? '');
    const [cookie = ''] = begun.headers['set-cookie'] ?? [];
    expect(begun.status).toBe(303);
    expect(cookie).toMatch(/^__Host-sidegate-login=[\w-]+; Max-Age=600; Path=\/; Secure; HttpOnly; SameSite=None$/);
    const idp = new URL(begun.headers.location ?? '');
    expect(idp.origin + idp.pathname).toBe('https://idp.example.com/sso');
    const asked = inflateRawSync(Buffer.from(idp.searchParams.get('SAMLRequest') ?? '', 'base64')).toString();
    const inResponseTo = / ID="([^"]*)"/.exec(asked)?.[1] ?? '';
    const response = responseXml(world.okta, signedFor({ recipient: `${url}/v1/saml/acs`, inResponseTo }));
    const form = new URLSearchParams({ SAMLResponse: Buffer.from(response).toString('base64') }).toString();
    const question = await visit(`${at()}/v1/saml/acs`, { cookie: cookie.split(';')[0] ?? '', form });
    const program = new URL(new URL(shown[0] ?? '').searchParams.get('redirect_uri') ?? '').origin;
    expect([question.status, question.headers.location]).toEqual([200, undefined]);
    expect(question.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; form-action 'self' ${program}; frame-ancestors 'none'; base-uri 'none'`,
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    });
    const [next = ''] = question.headers['set-cookie'] ?? [];
    expect(next).toMatch(/^__Host-sidegate-login=[\w-]+; Max-Age=600; Path=\/; Secure; HttpOnly; SameSite=Strict$/);
    expect(question.text).toContain(program);
    expect(question.text).toContain('<b>ana</b>');
    expect(question.text).not.toMatch(/<script|code=/i);
    const value = / name="value" value="([\w-]{43})"/.exec(question.text)?.[1] ?? '';
    expect(question.text).toContain('<form method="post" action="/v1/saml/continue">');
    const back = await visit(`${at()}/v1/saml/continue`, {
      cookie: next.split(';')[0] ?? '',
      form: new URLSearchParams({ value }).toString(),
    });
    expect([back.status, back.headers['set-cookie']?.[0]]).toEqual([303, expect.stringContaining('Max-Age=0')]);
    const page = await fetch(back.headers.location ?? '', { headers: { connection: 'close' } });
    expect(await page.text()).toContain('You may close this window');
    expect(await command.done).toMatchObject({ code: 0 });
    const { code, out } = await sidegate('token', '--min-life', '1ms');
    expect([code, claimsIn(out)]).toEqual([0, expect.objectContaining({ iss: `${url}/saml/okta`, sub: 'ana' })]);
  });

  test('with an assertion; when its token ends there is nothing to renew it with, and that is said', async () => {
    const file = join(folder, 'assertion.xml');
    writeFileSync(file, signedFor({ subject: 'bob' }));
    const flags = ['login', '--url', `${at()}/`, '--assertion', file, '--ca', ca, '--profile', 'saml'];
    expect(await sidegate(...flags)).toMatchObject({ code: 0, err: expect.stringContaining('token --profile saml') });
    expect(claimsIn((await sidegate('token', '--profile', 'saml')).out)).toMatchObject({ sub: 'bob' });
    const over = await sidegate('token', '--profile', 'saml', '--min-life', '16m');
    expect(over).toMatchObject({ code: 1, out: '', err: expect.stringContaining('cannot be renewed') });
    expect(over.err).toContain(`kubectl sidegate login --url ${at()}/ --assertion`);
    expect(await sidegate(...flags)).toMatchObject({ code: 1, err: expect.stringContaining('invalid_grant') });
  });

  test('at an endpoint whose authority is not known: nothing is sent', async () => {
    const file = join(folder, 'assertion.xml');
    writeFileSync(file, signedFor({}));
    const unknown = await sidegate('login', '--url', at(), '--assertion', file);
    expect(unknown).toMatchObject({ code: 1, err: expect.stringMatching(/certificate/i) });
    expect(await sidegate('login', '--url', at(), '--assertion', file, '--ca', ca)).toMatchObject({ code: 0 });
  });
});

describe('what is wrong is said', () => {
  test.each([
    [['token'], 1, 'nobody is logged in as profile default'],
    [['token', '--profile', '../x'], 2, '--profile must be'],
    [['token', '--min-life', 'soon'], 2, '--min-life must be a duration'],
    [['login'], 2, '--issuer and --client-id, or --url'],
    [['login', '--url', 'https://127.0.0.1:1'], 2, 'either --saml or --assertion'],
    [['login', '--url', 'https://127.0.0.1:1', '--saml', 'a', '--assertion', 'b'], 2, 'either --saml or --assertion'],
    [['login', '--issuer', 'http://idp.example.com', '--client-id', 'x'], 1, 'is not asked without TLS'],
    [['login', '--issuer', 'https://127.0.0.1:1', '--client-id', 'x'], 1, 'ECONNREFUSED'],
    [['login', '--token', 'both'], 2, '--token must be one of access, id'],
  ])('%s', async (args, code, why) => {
    expect(await sidegate(...args)).toMatchObject({ code, out: '', err: expect.stringContaining(why) });
  });

  test('an issuer that calls itself something else', async () => {
    const other = await sidegate(
      'login',
      '--issuer',
      issuer.url.replace('127.0.0.1', 'localhost'),
      '--client-id',
      clientId,
    );
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining('does not answer as the issuer') });
  });

  test('a file that somebody broke', async () => {
    loginIo(folder).writePrivate(file(), '{"version":1}');
    expect(await sidegate('token')).toMatchObject({ code: 1, err: expect.stringContaining('log in again') });
  });
});
