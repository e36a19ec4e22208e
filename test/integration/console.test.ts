import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Agent } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { jsonValue, parseJson, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { JsonValue } from '../../pkg/base/index.ts';
import {
  approvalList,
  createApprovalLister,
  createDecisionServer,
  createProofLimits,
  createProver,
  createRecorderProof,
  createTokenDecider,
  decisionRates,
  listRates,
} from '../../pkg/control/decisions/index.ts';
import { createHealthRoutes } from '../../pkg/control/status/health-routes.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import { oidc, policy, provider } from '../../pkg/core/testing/policies.ts';
import { createTokenWitness } from '../../pkg/identity/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../pkg/pki/index.ts';
import { blockOf, blockOfEvents } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { cookieIn, startConsoleWorld } from '../support/console-world.ts';
import type { Answered, Asked, ConsoleWorld, DecisionAnswer } from '../support/console-world.ts';
import { until } from '../support/wait.ts';

// The web console over its TLS port, with a login at a real issuer, as far as a browser sees it.

type Fields = { readonly [key: string]: JsonValue };
const read = (text: string): Fields => jsonValue(parseJson(text)) as Fields;

const page = '<!doctype html><title>console</title>';
let world: ConsoleWorld;
beforeAll(async () => {
  world = await startConsoleWorld({
    assets: [
      { name: 'index.html', type: 'text/html; charset=utf-8', body: Buffer.from(page), etag: '"page"' },
      { name: 'app.js', type: 'text/javascript; charset=utf-8', body: Buffer.from('1;'), etag: '"app"' },
    ],
    settings: { idleMinutes: 30, hours: 8, sessionsEach: 3 },
    roles: [
      { value: 'ana', role: 'Investigator', namespaces: ['*'] },
      { value: 'ben', role: 'Auditor', namespaces: ['ml'] },
      { value: 'ann', role: 'Investigator', namespaces: ['*'] },
      { value: 'cat', role: 'Auditor', namespaces: ['ml'] },
      { value: 'bo', role: 'Auditor', namespaces: ['ml'] },
    ],
    renewed: (user) => user === 'ana',
  });
  const ml = testChain('ml');
  const events = (id: number, generation: string) =>
    sessionEvents({ id: sessionId(id) }).map((event) => (event.type === 'start' ? { ...event, generation } : event));
  const generations = ['support@1', 'support@1', 'support@2+cluster/base@4', 'support@2+cluster/base@4'];
  await world.store.append([
    blockOfEvents(
      ml,
      generations.flatMap((generation, n) => events(n, generation)),
      Date.now(),
    ),
  ]);
  const elsewhere = blockOf(testChain('hr'), [{ id: sessionId('hr'), ask: 'of hr alone' }], Date.now(), 'spiffe://hr');
  if (!('block' in elsewhere)) throw new Error('a block');
  await world.store.append([{ ...elsewhere, block: { ...elsewhere.block, pod: { namespace: 'hr', name: 'hr-0' } } }]);
});
afterAll(() => world.close());
beforeEach(() => void (world.decisions.asked.length = 0));
afterEach(() => void (world.ahead = 0));

/** Sessions of people who log in once for many tests: ann reads everything, bo one namespace. */
const once = new Map<string, Promise<string>>();
function as(user: 'ann' | 'bo'): Promise<string> {
  const found = once.get(user) ?? world.login(user);
  once.set(user, found);
  return found;
}
const get = (path: string, cookie?: string, headers: Asked['headers'] = { 'sec-fetch-site': 'same-origin' }) =>
  world.ask('GET', path, { cookie, headers });
const info = async (cookie: string): Promise<Fields> => read((await get('/console/session', cookie)).text);
/** As the page asks. */
async function post(
  path: string,
  cookie: string,
  body: object = {},
  headers: Asked['headers'] = {},
): Promise<Answered> {
  const { csrf = '' } = await info(cookie);
  const own = { 'x-sidegate-csrf': String(csrf), origin: world.url, 'sec-fetch-site': 'same-origin' };
  return world.ask('POST', path, { cookie, body, headers: { ...own, ...headers } });
}

describe('a login', () => {
  test('at the issuer leads to a session that is this browser’s, and back to where it began', async () => {
    const begun = await get('/console/login?to=%2Fconsole%2F%3Fpage%3Dsearch');
    expect(begun.status).toBe(302);
    expect(begun.headers['set-cookie']?.join()).toMatch(
      /^__Host-sidegate-login=[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/,
    );
    expect(Object.fromEntries(new URL(begun.headers.location ?? '').searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      redirect_uri: `${world.url}/console/callback`,
      scope: 'openid profile email',
    });
    const { back, cookie } = await world.comeBack('ana', undefined, '/console/?page=search');
    const done = await world.ask('GET', back, { cookie });
    expect([done.status, done.headers.location]).toEqual([302, '/console/?page=search']);
    expect(done.headers['set-cookie']).toEqual([
      expect.stringMatching(/^__Host-sidegate-console=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/),
      '__Host-sidegate-login=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0',
    ]);
    expect(await info(cookieIn(done, '__Host-sidegate-console'))).toEqual({
      person: { name: 'ana of the issuer', issuer: world.issuer.url, subject: 'ana' },
      role: 'investigator',
      namespaces: ['*'],
      csrf: expect.stringMatching(/^[\w-]{43}$/),
      expires: expect.stringMatching(/^20\d\d-\d\d-\d\dT/),
      approvals: true,
      policies: true,
    });
  });

  test.each<[string, (address: URL) => void, number]>([
    ['another state', ({ searchParams }) => searchParams.set('state', 'guessed'), 400],
    ['an ID token of another nonce', ({ searchParams }) => searchParams.set('nonce', 'guessed'), 400],
    ['a code of another verifier', ({ searchParams }) => searchParams.set('code_challenge', 'x'.repeat(43)), 403],
  ])('with %s is none', async (_, change, status) => {
    const { back, cookie } = await world.comeBack('ana', change);
    const answer = await world.ask('GET', back, { cookie });
    expect(answer.status).toBe(status);
    expect(answer.headers['set-cookie']?.join()).not.toContain('__Host-sidegate-console');
    expect(answer.text).toContain('Not logged in');
  });

  test.each<[string, (back: URL) => void, number]>([
    ['names another issuer', ({ searchParams }) => searchParams.set('iss', 'https://mixed.example'), 400],
    ['names no issuer', ({ searchParams }) => searchParams.delete('iss'), 400],
    ['has a code that nobody gave', ({ searchParams }) => searchParams.set('code', 'made-up'), 403],
    ['has no code', ({ searchParams }) => searchParams.delete('code'), 400],
    ['has two states', ({ searchParams }) => searchParams.append('state', 'other'), 400],
    ['says no', ({ searchParams }) => (searchParams.delete('code'), searchParams.set('error', 'access_denied')), 403],
  ])('whose answer %s is none', async (_, change, status) => {
    const { back, cookie } = await world.comeBack('ana');
    const url = new URL(back, world.url);
    change(url);
    const answer = await world.ask('GET', `${url.pathname}${url.search}`, { cookie });
    expect(answer.status).toBe(status);
    expect(answer.headers['set-cookie']?.join()).not.toContain('__Host-sidegate-console');
  });

  test('is of the browser that began it, once, and not for long', async () => {
    const { back, cookie } = await world.comeBack('ana');
    expect(await world.ask('GET', back)).toMatchObject({ status: 400 });
    const changed = `${cookie.slice(0, -3)}${cookie.endsWith('AAA') ? 'BBB' : 'AAA'}`;
    expect(await world.ask('GET', back, { cookie: changed })).toMatchObject({ status: 400 });
    expect(await world.ask('GET', back, { cookie })).toMatchObject({ status: 302 });
    // The issuer takes a code once.
    expect(await world.ask('GET', back, { cookie })).toMatchObject({ status: 403 });
    const late = await world.comeBack('ana');
    world.pass(601_000);
    expect(await world.ask('GET', late.back, { cookie: late.cookie })).toMatchObject({ status: 400 });
  });

  test('of somebody without a role is none', async () => {
    const { back, cookie } = await world.comeBack('eve');
    const answer = await world.ask('GET', back, { cookie });
    expect([answer.status, answer.headers['set-cookie']?.length]).toEqual([403, 1]);
    expect(answer.text).toContain('You have no role here');
  });

  test.each([
    ['another site', 'https://evil.example/'],
    ['another host', '//evil.example/'],
    ['another host, as browsers read it', '/\\evil.example'],
    ['above the console', '/console/../../evil'],
    ['above the console and elsewhere', '/console/..//evil.example'],
    ['above the console in disguise', '/console/%2e%2e/evil'],
    ['beside the console', '/console'],
    ['the API', '/v1/search'],
    ['a script', 'javascript:alert(1)'],
    ['a header', '/console/\r\nset-cookie: a=b'],
  ])('does not lead to %s', async (_, to) => {
    const answer = await get(`/console/login?to=${encodeURIComponent(to)}`);
    expect([answer.status, answer.headers.location]).toEqual([400, undefined]);
  });

  test('whose way back is too long to be kept leads home', async () => {
    const { back, cookie } = await world.comeBack('ana', undefined, `/console/?q=${'x'.repeat(2_100)}`);
    expect((await world.ask('GET', back, { cookie })).headers.location).toBe('/console/');
  });
});

describe('a session', () => {
  test('ends when nobody used it for long', async () => {
    const cookie = await world.login('ben');
    world.pass(29 * 60_000);
    expect(await get('/console/session', cookie)).toMatchObject({ status: 200 });
    world.pass(31 * 60_000);
    expect(await get('/console/session', cookie)).toMatchObject({ status: 401 });
  });

  test('ends in its time, however much it is used', async () => {
    const cookie = await world.login('ben');
    for (let minutes = 0; minutes < 8 * 60; minutes += 29) {
      expect(await get('/console/session', cookie)).toMatchObject({ status: 200 });
      world.pass(29 * 60_000);
    }
    expect(await get('/console/session', cookie)).toMatchObject({ status: 401 });
  });

  test('ends with its token, where that cannot be renewed', async () => {
    const cookie = await world.login('ben');
    const { expires } = await info(cookie);
    expect(Math.abs(Date.parse(String(expires)) - Date.now() - 900_000)).toBeLessThan(60_000);
    world.ahead = 901_000;
    expect(await get('/console/session', cookie)).toMatchObject({ status: 401 });
    world.ahead = 0;
    expect(await get('/console/session', cookie)).toMatchObject({ status: 401 });
  });

  test('is renewed at the issuer where it can be, once for all who wait', async () => {
    const cookie = await world.login('ana');
    const before = world.issuer.tokenRequests;
    // Within the last half minute of its token.
    world.ahead = 880_000;
    const answers = await Promise.all([1, 2, 3].map(() => get('/console/session', cookie)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(world.issuer.tokenRequests).toBe(before + 1);
  });

  test('ends by logging out', async () => {
    const cookie = await world.login('ana');
    const before = world.issuer.takenBack;
    const answer = await post('/console/logout', cookie);
    expect(answer).toMatchObject({ status: 200 });
    const { leaving } = JSON.parse(answer.text) as { readonly leaving: string };
    // Where the session at the issuer is ended: without a token, which a browser would keep among its addresses.
    const address = new URL(leaving);
    expect([`${address.origin}${address.pathname}`, [...address.searchParams]]).toEqual([
      `${world.issuer.url}/session/end`,
      [
        ['client_id', 'sidegate-console'],
        ['logout_hint', 'ana of the issuer'],
      ],
    ]);
    expect((await fetch(leaving)).status).toBe(200);
    await until(() => world.issuer.takenBack === before + 1, 'the issuer took back what renews the session');
    expect(answer.headers['set-cookie']).toEqual([expect.stringContaining('__Host-sidegate-console=; Path=/; ')]);
    expect(await get('/console/session', cookie)).toMatchObject({ status: 401 });
  });

  test('of somebody who was revoked ends, and begins no more', async () => {
    const cookie = await world.login('ana');
    expect(await get('/console/session', cookie)).toMatchObject({ status: 200 });
    world.revoked.push('ana');
    try {
      expect(await get('/console/session', cookie)).toMatchObject({ status: 401 });
      expect(await get('/console/policies', cookie)).toMatchObject({ status: 401 });
      await expect(world.login('ana')).rejects.toThrow('You have no role here');
    } finally {
      world.revoked.pop();
    }
    // The session is gone for good.
    expect(await get('/console/session', cookie)).toMatchObject({ status: 401 });
  });

  test('of one person too many ends their oldest', async () => {
    const cookies = [];
    for (let n = 0; n < 4; n++) cookies.push(await world.login('cat'));
    const answers = await Promise.all(cookies.map((cookie) => get('/console/session', cookie)));
    expect(answers.map(({ status }) => status)).toEqual([401, 200, 200, 200]);
  });
});

describe('what another site begins', () => {
  let cookie: string;
  beforeAll(async () => {
    cookie = await as('ann');
  });
  const search = (headers: Asked['headers']) => world.ask('POST', '/console/v1/search', { cookie, body: {}, headers });

  test.each<[string, (csrf: string) => Asked['headers']]>([
    ['no token', () => ({ origin: world.url })],
    ['another token', (csrf) => ({ origin: world.url, 'x-sidegate-csrf': `${csrf.slice(0, -1)}.` })],
    ['another origin', (csrf) => ({ origin: 'https://evil.example', 'x-sidegate-csrf': csrf })],
    ['no origin that can be told', (csrf) => ({ origin: 'null', 'x-sidegate-csrf': csrf })],
    ['another site', (csrf) => ({ origin: world.url, 'sec-fetch-site': 'cross-site', 'x-sidegate-csrf': csrf })],
    ['a sister site', (csrf) => ({ 'sec-fetch-site': 'same-site', 'x-sidegate-csrf': csrf })],
    ['an address that was typed', (csrf) => ({ 'sec-fetch-site': 'none', 'x-sidegate-csrf': csrf })],
    ['no word of where it is from', (csrf) => ({ 'x-sidegate-csrf': csrf })],
  ])('is refused: %s', async (_, headers) => {
    const { csrf } = await info(cookie);
    expect(await search(headers(String(csrf)))).toMatchObject({ status: 403 });
    expect(await search({ origin: world.url, 'x-sidegate-csrf': String(csrf) })).toMatchObject({ status: 200 });
  });

  test('is not answered data either', async () => {
    for (const path of [
      '/console/session',
      '/console/policies',
      '/console/approvals',
      `/console/v1/sessions/${sessionId(1)}`,
    ])
      expect(await get(path, cookie, { 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 403 });
    expect(await get('/console/session', cookie, { 'sec-fetch-site': 'none' })).toMatchObject({ status: 200 });
  });

  test('has no cookie of its own making', async () => {
    expect(await get('/console/session', `${cookie}; __Host-sidegate-console=${'a'.repeat(43)}`)).toMatchObject({
      status: 401,
    });
    expect(await get('/console/session')).toMatchObject({ status: 401 });
  });
});

describe('what is answered', () => {
  test('holds the page, and what it loads, until that changes', async () => {
    const answer = await get('/console/?page=session&id=1');
    expect(answer).toMatchObject({ status: 200, text: page });
    expect(answer.headers).toMatchObject({
      etag: '"page"',
      'cache-control': 'no-cache',
      'content-type': 'text/html; charset=utf-8',
    });
    const again = await get('/console/assets/app.js', undefined, { 'if-none-match': '"other", "app"' });
    expect([again.status, again.text]).toEqual([304, '']);
    expect((await get('/console')).headers.location).toBe('/console/');
  });

  test.each([
    ['GET', '/console/nothing', 404],
    ['GET', '/console/index.html', 404],
    ['GET', '/console/assets/', 404],
    ['GET', '/console/assets/index.html', 404],
    ['GET', '/console/assets/..%2findex.ts', 404],
    ['GET', '/consoles', 401],
    ['POST', '/console/', 405],
    ['HEAD', '/console/', 405],
    ['POST', '/console/login', 405],
    ['POST', '/console/callback', 405],
    ['GET', '/console/logout', 405],
    ['PUT', '/console/session', 405],
    ['GET', '/console/approvals/ml/a-1/approve', 405],
    ['GET', '/console/approvals/ml/a-1/undo', 404],
    ['GET', '/console/session', 401],
    ['GET', '/console/v1/log', 401],
    ['GET', '/console/callback?code=a&state=b', 400],
    ['GET', '/console/login', 302],
    ['GET', '/console/login?to=%2F', 400],
    ['GET', '/console/', 200],
  ])('to %s %s is %i, with headers that keep others out', async (method, path, status) => {
    const answer = await world.ask(method, path);
    expect(answer.status).toBe(status);
    if (path === '/consoles') return;
    expect(answer.headers).toMatchObject({
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': path === '/console/' && method === 'GET' ? 'no-cache' : 'no-store',
    });
    expect(answer.headers['allow'] !== undefined).toBe(status === 405);
  });

  test('of the API has the same headers, also as JSON lines', async () => {
    const cookie = await as('ann');
    for (const path of ['/console/v1/search', '/console/v1/export']) {
      const { status, headers } = await post(path, cookie);
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'content-security-policy': expect.stringContaining("default-src 'none'"),
        'cache-control': 'no-store',
      });
    }
  });
});

describe('rights', () => {
  test('are the person’s own: who reads one namespace reads no other', async () => {
    const cookie = await as('bo');
    expect(await info(cookie)).toMatchObject({ role: 'auditor', namespaces: ['ml'] });
    const found = await post('/console/v1/search', cookie, { namespace: 'ml' });
    expect((read(found.text)['sessions'] as readonly JsonValue[]).length).toBe(4);
    for (const body of [{}, { namespace: 'hr' }])
      for (const path of ['/console/v1/search', '/console/v1/sessions', '/console/v1/export'])
        expect(await post(path, cookie, body)).toMatchObject({ status: 403 });
    expect(await get(`/console/v1/sessions/${sessionId(1)}`, cookie)).toMatchObject({ status: 200 });
    const other = await get(`/console/v1/sessions/${sessionId('hr')}`, cookie);
    expect(other.status).toBe(403);
    expect(other.text).not.toContain('of hr alone');
    expect(await get('/console/v1/log', cookie)).toMatchObject({ status: 403 });
    expect(await post('/console/v1/holds', cookie, { reason: 'mine' })).toMatchObject({ status: 403 });
  });

  test('are as good by the token itself at the API, and who asked is on record', async () => {
    const cookie = await as('ann');
    await get('/console/approvals', cookie);
    const token = world.decisions.asked[0]?.token ?? '';
    const asked = { headers: { authorization: `Bearer ${token}` }, body: { user: 'nobody' } };
    expect(await world.ask('POST', '/v1/search', asked)).toMatchObject({ status: 200 });
    expect(await world.ask('POST', '/v1/search', { ...asked, headers: { cookie } })).toMatchObject({ status: 401 });
    const { size } = await world.store.log();
    const [entry] = await world.store.entries(size - 1, 1);
    expect(entry?.text).toContain(
      `"who":"${world.issuer.url}#ann","what":"search","question":"{\\"user\\":\\"nobody\\"}"`,
    );
  });

  test('a page that follows is on record once a minute, and every other question each time', async () => {
    const cookie = await as('ann');
    const sizes = [];
    for (const body of [{ limit: 7 }, { limit: 7 }, { limit: 8 }, { limit: 7 }]) {
      await post('/console/v1/search', cookie, body);
      sizes.push((await world.store.log()).size);
    }
    const [first = 0] = sizes;
    expect(sizes).toEqual([first, first, first + 1, first + 1]);
    world.pass(61_000);
    await post('/console/v1/search', cookie, { limit: 7 });
    expect((await world.store.log()).size).toBe(first + 2);
  });

  test('a question that could not be put on record is answered to nobody who asks it again', async () => {
    const cookie = await as('ann');
    const append = jest.spyOn(world.store, 'append').mockRejectedValue(new Error('the disk is full'));
    const statuses = [];
    for (let asked = 0; asked < 2; asked++)
      statuses.push((await post('/console/v1/search', cookie, { limit: 9 })).status);
    append.mockRestore();
    expect(statuses).toEqual([503, 503]);
    const { size } = await world.store.log();
    expect(await post('/console/v1/search', cookie, { limit: 9 })).toMatchObject({ status: 200 });
    expect((await world.store.log()).size).toBe(size + 1);
  });
});

describe('policies', () => {
  test('are those that records of the last day name, of the namespaces that one may read', async () => {
    const seen = async (user: 'ann' | 'bo'): Promise<Fields> =>
      read((await get('/console/policies', await as(user))).text);
    const lastSeen = expect.stringMatching(/^20/);
    const ofMl = [
      { namespace: null, name: 'base', generation: 4, sessions: 2, lastSeen },
      { namespace: 'ml', name: 'support', generation: 2, sessions: 2, lastSeen },
      { namespace: 'ml', name: 'support', generation: 1, sessions: 2, lastSeen },
    ];
    expect(await seen('bo')).toEqual({ policies: ofMl, complete: true, health: true });
    expect(await seen('ann')).toEqual({ policies: ofMl, complete: true, health: true });
  });
});

describe('approvals', () => {
  const shown = {
    namespace: 'ml',
    name: 'a-1',
    phase: 'Pending',
    required: 2,
    createdAt: '2026-11-26T12:00:00.000Z',
    expiresAt: '2026-11-26T12:05:00.000Z',
    decisions: [{ decision: 'Approve' }],
    rules: ['p/risky', 'p/odd'],
    requester: { issuer: 'https://idp.test', subject: 'dan' },
    direction: 'Request',
    operation: 'Chat',
    excerpt: '<script>alert(1)</script> [EMAIL]',
  };
  const subjectOf = (token: string): unknown =>
    read(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())['sub'];

  test('are those that the decision endpoint shows to the person’s token', async () => {
    world.decisions.answer = (_, token) => ({
      status: 200,
      body: { approvals: subjectOf(token) === 'bo' ? [shown] : [], complete: true },
    });
    const [bo, ann] = [await as('bo'), await as('ann')];
    expect(read((await get('/console/approvals', ann)).text)).toEqual({ approvals: [], complete: true });
    expect(read((await get('/console/approvals', bo)).text)).toEqual({
      approvals: [
        {
          namespace: 'ml',
          name: 'a-1',
          caller: 'dan',
          issuer: 'https://idp.test',
          direction: 'Request',
          operation: 'Chat',
          model: null,
          rule: 'p/risky, p/odd',
          excerpt: '<script>alert(1)</script> [EMAIL]',
          created: '2026-11-26T12:00:00.000Z',
          expires: '2026-11-26T12:05:00.000Z',
          required: 2,
          decided: 1,
          state: 'Pending',
        },
      ],
      complete: true,
    });
    // In the name of each person's address, so that nobody's asking counts against the recorder's.
    expect(world.decisions.asked.map(({ line, from }) => [line, from])).toEqual([
      ['GET /v1/approvals', '127.0.0.1'],
      ['GET /v1/approvals', '127.0.0.1'],
    ]);
  });

  test('are decided there, by that token and nobody else’s', async () => {
    world.decisions.answer = () => ({ status: 200, body: { ...shown, phase: 'Approved' } });
    const cookie = await as('bo');
    const done = await post('/console/approvals/ml/a-1/approve', cookie, { reason: 'it is fine' });
    expect([done.status, read(done.text)]).toMatchObject([200, { name: 'a-1', state: 'Approved' }]);
    await post('/console/approvals/ml/a-1/deny', cookie);
    expect(world.decisions.asked).toMatchObject([
      { line: 'POST /v1/namespaces/ml/approvals/a-1/decision', body: '{"decision":"Approve","comment":"it is fine"}' },
      { line: 'POST /v1/namespaces/ml/approvals/a-1/decision', body: '{"decision":"Deny"}' },
    ]);
    expect(world.decisions.asked.map(({ token }) => subjectOf(token))).toEqual(['bo', 'bo']);
    const forged = await world.ask('POST', '/console/approvals/ml/a-1/approve', {
      cookie,
      headers: { origin: world.url },
    });
    expect([forged.status, world.decisions.asked.length]).toEqual([403, 2]);
    for (const body of [{ reason: 7 }, { reason: 'x'.repeat(1_025) }, { decision: 'Approve' }])
      expect(await post('/console/approvals/ml/a-1/approve', cookie, body)).toMatchObject({ status: 400 });
    expect(world.decisions.asked.length).toBe(2);
  });

  test('are decided and listed while another person sends decisions that never come whole', async () => {
    world.decisions.answer = () => ({ status: 200, body: { ...shown, phase: 'Approved' } });
    const [ann, bo] = [await as('ann'), await as('bo')];
    const csrf = String((await info(ann))['csrf']);
    const headers = { cookie: ann, origin: world.url, 'sec-fetch-site': 'same-origin', 'x-sidegate-csrf': csrf };
    const halves = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const { hostname, port } = new URL(world.url);
        const socket = connectTls({ host: hostname, port: Number(port), rejectUnauthorized: false });
        await new Promise((stands) => socket.on('error', () => undefined).once('secureConnect', stands));
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
        socket
          .resume()
          .write(
            `POST /console/approvals/ml/a-9/deny HTTP/1.1\r\nhost: localhost\r\n${lines.join('')}content-length: 100\r\n\r\n{`,
          );
        return socket;
      }),
    );
    expect(await post('/console/approvals/ml/a-1/approve', bo, { reason: 'fine' })).toMatchObject({ status: 200 });
    expect(await get('/console/approvals', bo)).toMatchObject({ status: 200 });
    for (const half of halves) half.destroy();
  });

  test('of a controller that hangs leave the searches their places', async () => {
    const cookie = await as('ann');
    const hangs = Promise.withResolvers<DecisionAnswer>();
    world.decisions.answer = () => hangs.promise;
    const waiting = Array.from({ length: 4 }, () => get('/console/approvals', cookie));
    await until(() => world.decisions.asked.length === 4);
    expect(await post('/console/v1/search', cookie, { limit: 3 })).toMatchObject({ status: 200 });
    // Of one person four wait, and leave others their places.
    expect(await get('/console/approvals', cookie)).toMatchObject({ status: 503 });
    const other = get('/console/approvals', await as('bo'));
    await until(() => world.decisions.asked.length === 5);
    hangs.resolve({ status: 200, body: { approvals: [], complete: true } });
    expect(new Set((await Promise.all([...waiting, other])).map(({ status }) => status))).toEqual(new Set([200]));
  });

  test.each([
    [401, 'unauthenticated', 403, 'unauthenticated'],
    [403, 'not_allowed', 403, 'not_allowed'],
    [409, 'voted', 409, 'voted'],
    [429, 'too_many', 429, 'too_many'],
    [503, 'try_again', 503, 'try_again'],
    [418, 'toString', 503, 'decisions_unavailable'],
  ])('%i %s of the endpoint is %i %s here', async (status, error, own, code) => {
    world.decisions.answer = () => ({ status, body: { error } });
    const answer = await post('/console/approvals/ml/a-1/deny', await as('bo'));
    expect([answer.status, read(answer.text)['code']]).toEqual([own, code]);
  });
});

describe('the controller’s own decision endpoint', () => {
  const approval = {
    metadata: {
      namespace: 'ml',
      name: 'a-1',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-11-26T11:59:00Z',
    },
    spec: {
      rules: ['p/risky'],
      requester: { issuer: 'https://idp.test', subject: 'dan', kubernetesUser: 'dan@example.com' },
      approvers: [{ subject: 'ana', provider: 'p/corp' }],
      direction: 'Answer',
      required: 1,
      operation: 'Chat',
      model: 'llama-3',
      excerpt: 'print [secret]',
      expiresAt: new Date(Date.now() + 600_000).toISOString(),
    },
    status: { phase: 'Pending', decisions: [] as readonly object[] },
  };
  let other: ConsoleWorld;
  const conditions = [{ type: 'Enforced', status: 'False', reason: 'Refused', message: '0 of 1 pods enforce.' }];
  const index = {
    values: () =>
      [{ namespace: 'ml', name: 'p', generation: 3, status: { observedGeneration: 3, conditions } }].values() as never,
  };
  beforeAll(async () => {
    other = await startConsoleWorld({
      assets: [],
      roles: ['ana', 'ben'].map((value) => ({ value, role: 'Auditor', namespaces: ['ml'] })),
      settings: { trustedProxies: ['127.0.0.1'] },
      async decisionServer({ issuer, ...material }) {
        const corp = { ...oidc(issuer, 'sidegate-console', { allowInsecureLoopback: true }), groupsClaim: 'groups' };
        const { providers } = compileSnapshot(
          [
            policy('p', {
              providers: [{ ...provider('corp'), oidc: corp, kubernetesUser: { claim: 'sub', prefix: '' } }],
            }),
          ],
          { revision: 0 },
        );
        const prover = createProver({
          witness: createTokenWitness({ clock: systemClock, logger: silentLogger }),
          providers: { of: () => providers, all: () => providers },
          revokes: () => false,
        });
        const decider = createTokenDecider({
          client: {
            find: () => Promise.resolve(structuredClone(approval) as never),
            patch(_, __, { body }) {
              Object.assign(approval.status, (body as typeof approval).status);
              approval.metadata.resourceVersion += '1';
              return Promise.resolve(structuredClone(approval) as never);
            },
          },
          mayBecome: () => Promise.resolve(true),
          clock: systemClock,
          logger: silentLogger,
          prover,
          limits: createProofLimits(systemClock, decisionRates),
        });
        const lister = createApprovalLister({
          client: { find: () => Promise.resolve(structuredClone(approval) as never) },
          clock: systemClock,
          prover,
          limits: createProofLimits(systemClock, listRates),
          waiting() {
            const { requester: asker, approvers, expiresAt } = approval.spec;
            const { phase, decisions: votes } = approval.status as { phase: 'Pending'; decisions: never[] };
            return [{ ...approval.metadata, asker, approvers, phase, votes, expiresAt: Date.parse(expiresAt) }];
          },
        });
        const pair = await createAuthorityPair(systemClock);
        const authority = createAuthority({ state: { current: pair, since: Date.now() }, clock: systemClock });
        const { key, csr } = createKeyRequest();
        const name = 'sidegate-recorder.sidegate-system.svc';
        const own = { key, cert: await authority.sign({ purpose: 'server', csr, dnsNames: [name] }) };
        const served = await createDecisionServer({
          host: '127.0.0.1',
          port: 0,
          material,
          decider,
          recorder: createRecorderProof({
            bundle: () => pair.cert,
            namespace: 'sidegate-system',
            clock: systemClock,
          }),
          clock: systemClock,
          logger: silentLogger,
          more: [approvalList(lister), { routes: createHealthRoutes({ index }), ownLimit: true }],
        });
        return { port: served.port, own, close: () => served.close() };
      },
    });
  });
  afterAll(() => other.close());

  test('shows an approval to who may decide it, and takes their decision in their name', async () => {
    const [ana, ben] = [await other.login('ana'), await other.login('ben')];
    const listed = async (cookie: string) => read((await other.ask('GET', '/console/approvals', { cookie })).text);
    const shown = {
      namespace: 'ml',
      name: 'a-1',
      caller: 'dan',
      issuer: 'https://idp.test',
      direction: 'Answer',
      operation: 'Chat',
      model: 'llama-3',
      rule: 'p/risky',
      excerpt: 'print [secret]',
      created: '2026-11-26T11:59:00Z',
      expires: approval.spec.expiresAt,
      required: 1,
      decided: 0,
      state: 'Pending',
    };
    expect(await listed(ana)).toEqual({ approvals: [shown], complete: true });
    expect(await listed(ben)).toEqual({ approvals: [], complete: true });
    const decide = async (cookie: string): Promise<Answered> => {
      const { csrf } = read((await other.ask('GET', '/console/session', { cookie })).text);
      const headers = {
        origin: other.url,
        'x-sidegate-csrf': String(csrf),
        // The last is what the proxy before the console wrote.
        'x-forwarded-for': '198.51.100.1, 203.0.113.9',
      };
      return other.ask('POST', '/console/approvals/ml/a-1/approve', { cookie, headers, body: { reason: 'seen' } });
    };
    expect(await decide(ben)).toMatchObject({ status: 403 });
    const done = await decide(ana);
    expect([done.status, read(done.text)]).toEqual([200, { ...shown, decided: 1 }]);
    expect(approval.status.decisions).toMatchObject([
      {
        decision: 'Approve',
        comment: 'seen',
        caller: { issuer: other.issuer.url, subject: 'ana', from: '203.0.113.9 via console' },
      },
    ]);
    expect(await listed(ana)).toEqual({ approvals: [], complete: true });
    expect(await decide(ana)).toMatchObject({ status: 409 });
    // Somebody who asks too often has all of it to themselves, though both come from the console's address.
    const often = new Set<number>();
    await until(async () => often.add((await decide(ben)).status).has(429), 'they ask too often');
    expect(often).toEqual(new Set([403, 429]));
    expect(await decide(ana)).toMatchObject({ status: 409 });
  });

  test('tells the console how policies are', async () => {
    const cookie = await other.login('ana');
    const answer = await other.ask('GET', '/console/policies', { cookie });
    const row = { namespace: 'ml', name: 'p', generation: 3, sessions: 0, lastSeen: null };
    expect(read(answer.text)).toEqual({
      policies: [{ ...row, observed: 3, conditions }],
      complete: true,
      health: true,
    });
  });
});

describe('a client with a secret', () => {
  let other: ConsoleWorld;
  beforeAll(async () => {
    other = await startConsoleWorld({
      assets: [],
      settings: { decisions: undefined },
      roles: [{ value: 'ana', role: 'Auditor', namespaces: ['ml'] }],
      confidential: true,
    });
  });
  afterAll(() => other.close());

  test('logs people in; without a decision endpoint there are no approvals', async () => {
    const cookie = await other.login('ana');
    const answer = await other.ask('GET', '/console/session', { cookie });
    expect(read(answer.text)).toMatchObject({ person: { subject: 'ana' }, approvals: false });
    expect(await other.ask('GET', '/console/approvals', { cookie })).toMatchObject({ status: 404 });
    expect(await other.ask('POST', '/console/approvals/ml/a-1/approve', { cookie })).toMatchObject({ status: 404 });
  });

  test('whoever begins logins, or brings answers to none, keeps nobody out', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const statuses = async (path: string): Promise<ReadonlySet<number>> => {
      const asked = Array.from({ length: 160 }, () => other.ask('GET', path, { agent }));
      return new Set((await Promise.all(asked)).map(({ status }) => status));
    };
    expect(await statuses('/console/login')).toEqual(new Set([302]));
    expect(await statuses('/console/callback?code=a&state=b')).toEqual(new Set([400]));
    agent.destroy();
    expect(await other.login('ana')).toContain('__Host-sidegate-console=');
  });

  test('one begun login is tried five times, then refused, and told when to come again', async () => {
    const { back, cookie } = await other.comeBack('ana');
    const tried = [];
    for (let times = 0; times < 6; times++)
      tried.push(await other.ask('GET', '/console/callback?code=a&state=b', { cookie }));
    expect(tried.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 429]);
    expect(tried.at(-1)?.headers['retry-after']).toBe('30');
    expect(await other.ask('GET', back, { cookie })).toMatchObject({ status: 429 });
    expect(await other.login('ana')).toContain('__Host-sidegate-console=');
  });

  test('an issuer that does not answer is said to be so', async () => {
    await other.issuer.close();
    other.pass(3_700_000);
    expect(await other.ask('GET', '/console/login')).toMatchObject({ status: 503 });
  });
});
