import { connect as connectHttp2 } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { answerChat, streamChat } from '../support/scripted-model.ts';
import { callSocket, startSocketModel } from '../support/socket-model.ts';
import type { SocketCaller, SocketModel } from '../support/socket-model.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';

// Pages of other origins, as a browser asks for them: who may call is policy's to say, and the sidecar's to answer.

const chat = '/v1/chat/completions';
const ask = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
const page = 'https://chat.example.com';
const other = 'https://evil.example.com';
const cors = `  cors: { origins: [${page}, "https://port.example.com:443"], maxAge: 10m }\n`;

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}
interface Told {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}
type Send = (to: World, asked: Asked) => Promise<Told>;

const overHttp1: Send = (to, { method = 'GET', path = chat, headers = {}, body }) =>
  to.call(method, path, { token: null, headers, ...(body !== undefined && { body }) });

const overHttp2: Send = (to, { method = 'GET', path = chat, headers = {}, body }) =>
  new Promise((resolve, reject) => {
    const session = connectHttp2(to.url, { ca: to.ca });
    session.on('error', reject);
    const stream = session.request({ ':method': method, ':path': path, ...headers });
    let told: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
    let text = '';
    stream.setEncoding('utf8').on('response', (head) => (told = head));
    stream.on('data', (piece: string) => (text += piece));
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      resolve({ status: told[':status'] ?? 0, headers: told, text });
    });
    stream.end(body);
  });

/** What of an answer is for browsers. */
const forBrowsers = ({ headers }: Told): Record<string, unknown> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-') || name === 'vary'));

const preflight = (origin: string, more: Readonly<Record<string, string>> = {}): Asked => ({
  method: 'OPTIONS',
  headers: { origin, 'access-control-request-method': 'POST', ...more },
});
const preflightVary = 'origin, access-control-request-method, access-control-request-headers';
const exposed =
  'location, preference-applied, retry-after, retry-after-ms, sidegate-receipt, www-authenticate, x-request-id, x-should-retry';
const readable = { 'access-control-allow-origin': page, 'access-control-expose-headers': exposed, vary: 'origin' };

let world: World;
const begin = async (policy: (issuer: string) => string): Promise<void> => {
  world = await startWorld({ policy });
};
afterEach(() => world.close());

describe.each([
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
] as const)('over %s', (_, send) => {
  beforeEach(() => begin((issuer) => basePolicy(issuer, cors)));
  const asAna = async (more: Readonly<Record<string, string>> = {}): Promise<Asked> => ({
    method: 'POST',
    headers: { authorization: `Bearer ${await world.token()}`, 'content-type': 'application/json', ...more },
    body: ask,
  });

  test('a preflight of a listed origin is answered by the sidecar, counted and on record', async () => {
    const asked = preflight(page, {
      'access-control-request-headers':
        'authorization,content-type,X-Stainless-OS, x-stainless-retry-count,anthropic-version,anthropic-dangerous-direct-browser-access,x-api-key,x-goog-api-key,openai-organization,x-evil,*,authorization,x-stainless-\u00e9',
    });
    const told = await send(world, asked);
    expect([told.status, told.text]).toEqual([204, '']);
    expect(forBrowsers(told)).toEqual({
      'access-control-allow-origin': page,
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
      'access-control-allow-headers':
        'authorization, content-type, x-stainless-os, x-stainless-retry-count, anthropic-version, anthropic-dangerous-direct-browser-access, x-api-key, x-goog-api-key, openai-organization',
      'access-control-max-age': '600',
      vary: preflightVary,
    });
    expect(told.headers['sidegate-receipt']).toContain('rules="sidegate/cors=allowed"');
    expect(world.model.seen).toEqual([]);
    expect((await world.record()).at(-1)).toMatchObject({ type: 'end', outcome: 'completed', status: 204 });
    expect(await world.metrics()).toMatch(/sidegate_rule_\w+\{[^}]*rule="sidegate\/cors"[^}]*\} 1/);
  });

  test.each([
    ['another origin', other],
    ['no origin', 'null'],
    ['a listed one in capitals', page.toUpperCase()],
    ['a listed one with a slash', `${page}/`],
    ['a listed one over http', page.replace('https', 'http')],
    ['a listed one as the beginning of another', `${page}.evil.com`],
    ['a listed one and another', `${page}, ${other}`],
    ['a listed one and a space', `${page} ${other}`],
    ['a pattern', '*'],
  ])('of %s it is refused, and nothing lets the page read that', async (_name, origin) => {
    const told = await send(world, preflight(origin));
    expect(told.status).toBe(403);
    expect(forBrowsers(told)).toEqual({ vary: preflightVary });
    expect(told.text).toContain('access_denied');
    expect(world.model.seen).toEqual([]);
    expect((await world.record()).at(-1)).toMatchObject({ outcome: 'refused', status: 403, code: 'access_denied' });
    expect(await world.metrics()).toMatch(/rule="sidegate\/cors",[^}]*denied[^}]*\} 1/);
  });

  test('a method that no route has and a path that can be read in two ways are refused', async () => {
    for (const method of ['TRACE', 'post', 'POST, GET', '*'])
      expect((await send(world, preflight(page, { 'access-control-request-method': method }))).status).toBe(405);
    expect((await send(world, { ...preflight(page), path: '/v1/%2e%2e/a' })).status).toBe(400);
    expect(world.model.seen).toEqual([]);
  });

  test('OPTIONS that is no preflight is judged as any request', async () => {
    const told = await send(world, { method: 'OPTIONS', headers: { origin: page } });
    expect(told.status).toBe(401);
    const without = await send(world, { method: 'OPTIONS', headers: { 'access-control-request-method': 'POST' } });
    expect([without.status, forBrowsers(without)]).toEqual([401, { vary: preflightVary }]);
  });

  test('an answer, a stream and refusals can be read by a page of a listed origin', async () => {
    const whole = await send(world, await asAna({ origin: page }));
    expect([whole.status, forBrowsers(whole)]).toEqual([200, readable]);
    world.model.script = streamChat(['Hel', 'lo']);
    const asked = await asAna({ origin: page });
    const stream = await send(world, { ...asked, body: ask.replace('{', '{"stream":true,') });
    expect([stream.status, forBrowsers(stream), joinContent(stream.text)]).toEqual([200, readable, 'Hello']);
    expect(stream.headers['content-type']).toMatch(/^text\/event-stream/);
    const nobody = await send(world, { method: 'POST', headers: { origin: page }, body: ask });
    expect([nobody.status, forBrowsers(nobody)]).toEqual([401, readable]);
    const token = await world.token({ groups: ['others'] });
    const denied = await send(world, await asAna({ origin: page, authorization: `Bearer ${token}` }));
    expect([denied.status, forBrowsers(denied)]).toEqual([403, readable]);
  });

  test('a page of another origin, and who is no page, is told nothing of it', async () => {
    for (const origin of [other, 'null', `${page}, ${other}`]) {
      const told = await send(world, await asAna({ origin }));
      expect([told.status, forBrowsers(told)]).toEqual([200, { vary: 'origin' }]);
    }
    const told = await send(world, await asAna());
    expect([told.status, forBrowsers(told)]).toEqual([200, { vary: 'origin' }]);
  });

  test('what the model says of it never passes', async () => {
    world.model.script = (response, asked) => {
      response.setHeader('access-control-allow-origin', '*');
      response.setHeader('access-control-allow-credentials', 'true');
      response.setHeader('access-control-expose-headers', 'x-model');
      response.setHeader('vary', 'x-model');
      return answerChat('hello')(response, asked);
    };
    expect(forBrowsers(await send(world, await asAna({ origin: page })))).toEqual(readable);
    expect(forBrowsers(await send(world, await asAna({ origin: other })))).toEqual({ vary: 'origin' });
  });

  test('the port of https itself is the origin without it', async () => {
    expect((await send(world, preflight('https://port.example.com'))).status).toBe(204);
    expect((await send(world, preflight('https://port.example.com:443'))).status).toBe(403);
  });

  test('where no policy speaks of it nothing of it is said, and a preflight is refused as any stranger', async () => {
    await world.setPolicy(basePolicy(world.issuer.url));
    const told = await send(world, preflight(page));
    expect([told.status, forBrowsers(told)]).toEqual([401, {}]);
    expect(forBrowsers(await send(world, await asAna({ origin: page })))).toEqual({});
  });
});

describe('a handshake of a WebSocket', () => {
  let model: SocketModel;
  beforeEach(async () => {
    model = await startSocketModel();
    world = await startWorld({ policy: (issuer) => socketPolicy(issuer, cors), modelUrl: model.url });
  });
  afterEach(() => model.close());
  const socketPolicy = (issuer: string, more: string): string =>
    basePolicy(issuer, more).replace('ListModels]', 'ListModels, Other]');
  const open = async (headers: object, path = '/ws/chat'): Promise<SocketCaller> => {
    const caller = callSocket(world, path, await world.token(), { headers });
    await caller.ready;
    return caller;
  };

  test.each(['/ws/chat', '/v1/realtime?model=m'])(
    'of a listed origin, and of who is no page, is judged as any request: %s',
    async (path) => {
      for (const headers of [{ origin: page }, {}]) {
        const caller = await open(headers, path);
        expect(caller.refused).toBeUndefined();
        expect(model.handshakes).toHaveLength(1);
        model.forget();
        caller.socket.close();
        await until(() => caller.end !== undefined, 'the end');
      }
      await until(async () => /rule="sidegate\/cors",act="allowed"\} 1\n/.test(await world.metrics()), 'it is counted');
      const nobody = callSocket(world, path, null, { headers: { origin: page } });
      await nobody.ready;
      expect(nobody.refused?.status).toBe(401);
      expect(model.handshakes).toEqual([]);
    },
  );

  test.each([
    ['another origin', other],
    ['no origin', 'null'],
    ['a listed one in capitals', page.toUpperCase()],
    ['a listed one with a slash', `${page}/`],
    ['a listed one over http', page.replace('https', 'http')],
    ['a listed one as the beginning of another', `${page}.evil.com`],
    ['a listed one and another', `${page}, ${other}`],
    ['the sidecar itself', 'https://localhost'],
    ['nothing', ''],
  ])('of %s is refused before the model hears of it, counted and on record', async (_what, origin) => {
    for (const path of ['/ws/chat', '/v1/realtime?model=m']) {
      const caller = await open({ origin }, path);
      expect(caller.refused?.status).toBe(403);
      expect(caller.refused?.body).toContain('access_denied');
      const record = await world.record();
      expect(record.at(-1)).toMatchObject({ outcome: 'refused', status: 403, code: 'access_denied' });
    }
    expect(model.handshakes).toEqual([]);
    expect(await world.metrics()).toMatch(/rule="sidegate\/cors",[^}]*denied[^}]*\} 2/);
  });

  test('that names its origin twice is of none', async () => {
    for (const origins of [
      [page, page],
      [page, other],
      [other, page],
    ])
      expect((await open({ origin: origins })).refused?.status).toBe(403);
    expect(model.handshakes).toEqual([]);
  });

  test('is held to no list where no policy speaks of one, and where every policy observes only counted', async () => {
    await world.setPolicy(socketPolicy(world.issuer.url, ''));
    const caller = await open({ origin: other });
    expect([caller.refused, model.handshakes.length]).toEqual([undefined, 1]);
    caller.socket.terminate();
    await world.setPolicy(socketPolicy(world.issuer.url, cors).replace('mode: Enforce', 'mode: Observe'));
    const observed = await open({ origin: other });
    expect([observed.refused, model.handshakes.length]).toEqual([undefined, 2]);
    observed.socket.terminate();
    const act = { rule: 'sidegate/cors', act: 'denied' };
    expect((await world.record()).at(-1)).toMatchObject({ observed: [expect.objectContaining(act)] });
  });
});

describe('several Origin headers', () => {
  const raw = async (lines: readonly string[]): Promise<string> => {
    const socket = connectTls({ port: world.port, host: '127.0.0.1', ca: world.ca, ALPNProtocols: ['http/1.1'] });
    let text = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
    socket.on('error', () => undefined);
    socket.write(
      `OPTIONS ${chat} HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: POST\r\n${lines.join('\r\n')}\r\n\r\n`,
    );
    await until(() => text.includes('\r\n\r\n'), 'an answer');
    socket.destroy();
    return text;
  };

  test.each([
    ['the same twice', [`Origin: ${page}`, `Origin: ${page}`]],
    ['a listed one first', [`Origin: ${page}`, `Origin: ${other}`]],
    ['a listed one last', [`Origin: ${other}`, `Origin: ${page}`]],
  ])('%s are no origin', async (_, lines) => {
    await begin((issuer) => basePolicy(issuer, cors));
    const text = await raw(lines);
    expect(text).toMatch(/^HTTP\/1\.1 403 /);
    expect(text).not.toMatch(/^access-control/im);
  });

  test('what would end the header is never in one', async () => {
    await begin((issuer) => basePolicy(issuer, cors));
    const text = await raw([`Origin: ${page}\rAccess-Control-Allow-Origin: *`]);
    expect(text).toMatch(/^HTTP\/1\.1 4/);
    expect(text).not.toMatch(/^access-control/im);
  });
});

describe('by policy', () => {
  const clusterOf = (issuer: string, spec: string): string =>
    `${basePolicy(issuer, cors)}---\napiVersion: sidegate.dev/v1alpha1\nkind: ClusterInferencePolicy\nmetadata: { name: base }\nspec:\n${spec}`;

  test('an origin may call where every policy that speaks of it lists it', async () => {
    await begin((issuer) => clusterOf(issuer, `  cors: { origins: ["${other}"] }\n`));
    expect((await overHttp1(world, preflight(page))).status).toBe(403);
    expect((await overHttp1(world, preflight(other))).status).toBe(403);
    await world.setPolicy(clusterOf(world.issuer.url, `  cors: { origins: ["${other}", "${page}"], maxAge: 1m }\n`));
    expect((await overHttp1(world, preflight(page))).headers['access-control-max-age']).toBe('60');
    expect((await overHttp1(world, preflight(other))).status).toBe(403);
    await world.setPolicy(clusterOf(world.issuer.url, '  cors: { origins: [] }\n'));
    expect((await overHttp1(world, preflight(page))).status).toBe(403);
    await world.setPolicy(clusterOf(world.issuer.url, '  profile: Strict\n'));
    expect((await overHttp1(world, preflight(page))).status).toBe(204);
  });

  test('a preflight reaches no model where a rule would let its route through to anybody', async () => {
    const open = (issuer: string): string =>
      basePolicy(issuer, cors).replace(
        '  access:\n',
        '  access:\n  - { name: all, effect: Allow, subjects: [{ anyone: true }], operations: [Other] }\n',
      );
    await begin(open);
    expect((await overHttp1(world, { ...preflight(page), path: '/custom' })).status).toBe(204);
    expect((await overHttp1(world, { ...preflight(other), path: '/custom' })).status).toBe(403);
    expect(world.model.seen).toEqual([]);
    // Bytes that nobody reads, and that leave by another way, are a page's to read all the same.
    world.model.script = (response) =>
      response.setHeader('content-type', 'image/png').setHeader('access-control-allow-origin', '*').end('x');
    const told = await overHttp1(world, { path: '/custom', headers: { origin: page } });
    expect([told.status, forBrowsers(told)]).toEqual([200, readable]);
  });

  test('a preflight without the certificate that every caller must show is refused', async () => {
    await begin((issuer) => basePolicy(issuer, `${cors}  tls: { inbound: Mutual }\n`));
    const told = await overHttp1(world, preflight(page));
    expect([told.status, JSON.parse(told.text)]).toMatchObject([401, { error: { code: 'certificate_required' } }]);
  });

  test('where every policy observes, the model answers for itself', async () => {
    await begin((issuer) => basePolicy(issuer, cors).replace('mode: Enforce', 'mode: Observe'));
    world.model.script = (response) => response.writeHead(204, { 'access-control-allow-origin': '*', vary: 'a' }).end();
    const told = await overHttp1(world, preflight(page));
    expect([told.status, forBrowsers(told)]).toEqual([204, { 'access-control-allow-origin': '*', vary: 'a' }]);
    expect(world.model.seen).toMatchObject([{ method: 'OPTIONS', path: chat }]);
  });
});
