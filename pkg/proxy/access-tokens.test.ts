import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';
import { createLogger, systemClock } from '../base/index.ts';
import type { AccessTokens, GivenToken, OAuthUse } from './access-tokens.ts';
import { createAccessTokens } from './access-tokens.ts';

const use: OAuthUse = {
  kind: 'OAuth',
  tokenUrl: 'https://idp.example/token',
  clientId: 'gateway',
  scopes: [],
  audience: undefined,
  shown: { kind: 'Header', header: 'authorization', prefix: 'Bearer ' },
};
const secret = 'the-client-secret';

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

function watched(): { readonly lines: string[]; readonly logger: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  return {
    lines,
    logger: createLogger({ clock: systemClock, level: 'info', write: (line: string) => void lines.push(line) }),
  };
}

function make(random = 1) {
  const clock = fakeClock();
  const { lines, logger } = watched();
  const asked: string[] = [];
  let answer: () => Promise<GivenToken> = () =>
    Promise.resolve({ token: `access-token-${asked.length}`, expiresIn: 100 });
  const tokens = createAccessTokens({
    clock,
    logger,
    random: () => random,
    ask(of, clientSecret) {
      asked.push(`${of.clientId} ${clientSecret}`);
      return answer();
    },
  });
  closing.push(() => tokens.close());
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { clock, lines, asked, tokens, settle, answerBy: (next: typeof answer) => void (answer = next) };
}

describe('a token', () => {
  test('is fetched once, kept, and fetched anew after four fifths of its time', async () => {
    const { clock, asked, tokens, settle } = make();
    expect(tokens.read(use, secret)).toBeUndefined();
    expect(tokens.read(use, secret)).toBeUndefined();
    await settle();
    expect(asked).toEqual([`gateway ${secret}`]);
    expect(tokens.read(use, secret)).toBe('access-token-1');
    clock.advance(79_999);
    expect(tokens.read(use, secret)).toBe('access-token-1');
    expect(asked).toHaveLength(1);
    clock.advance(1);
    await settle();
    expect(asked).toHaveLength(2);
    expect(tokens.read(use, secret)).toBe('access-token-2');
  });

  test('is fetched anew at a time of its own, so that many sidecars do not ask at once', async () => {
    for (const [random, seconds] of [
      [0, 60],
      [0.5, 70],
    ] as const) {
      const { clock, asked, tokens, settle } = make(random);
      tokens.read(use, secret);
      await settle();
      clock.advance(seconds * 1_000 - 1);
      tokens.read(use, secret);
      await settle();
      expect(asked).toHaveLength(1);
      clock.advance(1);
      await settle();
      expect(asked).toHaveLength(2);
    }
  });

  test('that lasts a second is given for it, and no more often asked for than each five', async () => {
    const { clock, asked, tokens, settle, answerBy } = make();
    answerBy(() => Promise.resolve({ token: `access-token-${asked.length}`, expiresIn: 1 }));
    tokens.read(use, secret);
    await settle();
    expect(tokens.read(use, secret)).toBe('access-token-1');
    for (let second = 1; second <= 50; second++) {
      clock.advance(1_000);
      await settle();
      expect(tokens.read(use, secret)).toBe(second % 5 === 0 ? `access-token-${1 + second / 5}` : undefined);
    }
    expect(asked).toHaveLength(11);
  });

  test('that the model refuses is fetched anew at once, and stays until another is there', async () => {
    const { clock, asked, tokens, settle, lines } = make();
    tokens.read(use, secret);
    await settle();
    tokens.refused('another-token');
    expect(asked).toHaveLength(1);
    tokens.refused('access-token-1');
    tokens.refused('access-token-1');
    expect(asked).toHaveLength(2);
    expect(tokens.read(use, secret)).toBe('access-token-1');
    await settle();
    expect(tokens.read(use, secret)).toBe('access-token-2');
    expect(lines.join('')).toContain('the model refused its token');
    expect(lines.join('')).not.toContain('access-token');
    // Of the fetch that it came before nothing is left.
    clock.advance(79_999);
    await settle();
    expect(asked).toHaveLength(2);
    tokens.read(use, secret);
    clock.advance(1);
    await settle();
    expect(asked).toHaveLength(3);
  });

  test('that is refused again and again is fetched anew once in 30 s', async () => {
    const { clock, asked, tokens, settle } = make();
    tokens.read(use, secret);
    await settle();
    for (let second = 0; second < 60; second++) {
      tokens.refused(tokens.read(use, secret) ?? '');
      await settle();
      clock.advance(1_000);
    }
    expect(asked).toHaveLength(3);
  });

  test('that is refused while the endpoint gives none stays until its end, and is asked for again', async () => {
    const { clock, asked, tokens, settle, answerBy } = make();
    tokens.read(use, secret);
    await settle();
    answerBy(() => Promise.reject(new Error('no')));
    tokens.refused('access-token-1');
    await settle();
    expect(tokens.read(use, secret)).toBe('access-token-1');
    answerBy(() => Promise.resolve({ token: 'token-again', expiresIn: 100 }));
    clock.advance(1_000);
    await settle();
    expect(asked).toHaveLength(3);
    expect(tokens.read(use, secret)).toBe('token-again');
  });

  test('is not given after its end, whatever the endpoint does; it is asked again and again', async () => {
    const { clock, asked, tokens, lines, settle, answerBy } = make();
    tokens.read(use, secret);
    await settle();
    answerBy(() => Promise.reject(Object.assign(new Error('no'), { error: 'invalid_client' })));
    for (let second = 0; second < 99; second++) {
      clock.advance(1_000);
      await settle();
      expect(tokens.read(use, secret)).toBe('access-token-1');
    }
    clock.advance(1_000);
    expect(tokens.read(use, secret)).toBeUndefined();
    expect(asked.length).toBeGreaterThan(3);
    expect(asked.length).toBeLessThan(8);
    expect(lines.join('')).toContain('invalid_client');
    expect(lines.join('')).not.toContain(secret);
    answerBy(() => Promise.resolve({ token: 'token-again', expiresIn: undefined }));
    clock.advance(30_000);
    await settle();
    expect(tokens.read(use, secret)).toBe('token-again');
    clock.advance(200_000);
    expect(tokens.read(use, secret)).toBeDefined();
  });

  test('that would add a header, or would not be found again in answers, is none', async () => {
    const { tokens, lines, settle, answerBy, clock } = make();
    for (const token of ['a\r\nx-admin: yes', 'brief', 'k'.repeat(4_097)]) {
      answerBy(() => Promise.resolve({ token, expiresIn: 100 }));
      tokens.read(use, secret);
      await settle();
      clock.advance(30_000);
      await settle();
      expect(tokens.read(use, secret)).toBeUndefined();
      expect(lines.join('')).not.toContain(token);
    }
    expect(lines.join('')).toContain('the token cannot be sent');
  });

  test('that nobody reads is not kept fresh; another secret is another client', async () => {
    const { clock, asked, tokens, settle } = make();
    tokens.read(use, secret);
    await settle();
    clock.advance(80_000);
    await settle();
    expect(asked).toHaveLength(1);
    tokens.read(use, 'another-secret');
    await settle();
    expect(asked[1]).toBe('gateway another-secret');
  });

  test('of many clients the last are kept', async () => {
    const { asked, tokens, settle } = make();
    for (let client = 0; client < 9; client++) tokens.read({ ...use, clientId: `client-${client}` }, secret);
    await settle();
    expect(asked).toHaveLength(9);
    expect(tokens.read({ ...use, clientId: 'client-8' }, secret)).toBeDefined();
    expect(tokens.read({ ...use, clientId: 'client-0' }, secret)).toBeUndefined();
    await settle();
    expect(asked).toHaveLength(10);
  });

  test('that comes after the end is nobody’s, and nothing is asked any more', async () => {
    const { clock, asked, tokens, settle } = make();
    tokens.read(use, secret);
    tokens.close();
    await settle();
    clock.advance(1_000_000);
    await settle();
    expect(asked).toHaveLength(1);
  });
});

describe('over HTTP', () => {
  const servers: Server[] = [];
  afterEach(() => servers.splice(0).forEach((one) => one.close()));
  async function endpoint(answer: (request: IncomingMessage, body: string, response: ServerResponse) => void) {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => answer(request, body, response));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/token?tenant=a`;
  }
  function open(): { readonly tokens: AccessTokens; readonly lines: string[] } {
    const { lines, logger } = watched();
    const tokens = createAccessTokens({ clock: systemClock, logger });
    closing.push(() => tokens.close());
    return { tokens, lines };
  }

  test('the client proves itself by its secret, and says what it wants', async () => {
    const seen: string[] = [];
    const tokenUrl = await endpoint((request, body, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization} ${body}`);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ access_token: 'the-access-token', token_type: 'Bearer', expires_in: 3600 }));
    });
    const { tokens } = open();
    const asked = { ...use, tokenUrl, scopes: ['a', 'b'], audience: 'models' };
    await until(() => tokens.read(asked, 'a secret+1') === 'the-access-token');
    expect(seen).toHaveLength(1);
    const [, , basic = ''] = seen[0]?.split(' ').slice(1) ?? [];
    expect(Buffer.from(basic, 'base64').toString()).toBe('gateway:a+secret%2B1');
    expect(seen[0]).toContain('POST /token?tenant=a Basic ');
    expect(Object.fromEntries(new URLSearchParams(seen[0]?.split(' ').at(-1)))).toEqual({
      grant_type: 'client_credentials',
      scope: 'a b',
      audience: 'models',
    });
  });

  test.each<[string, (response: ServerResponse) => void, string]>([
    [
      'a refusal',
      (response) => response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"invalid_client"}'),
      'invalid_client',
    ],
    [
      'a refusal that says the secret again',
      (response) => response.writeHead(400, { 'content-type': 'application/json' }).end(`{"error":"${secret}"}`),
      'not by a code of OAuth',
    ],
    ['a redirect', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'no token'],
    ['a page', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>secret</p>'), 'no token'],
    ['a flood', (response) => response.writeHead(200).end('x'.repeat(100_000)), 'too long'],
    [
      'another kind of token',
      (response) =>
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"access_token":"0123456789","token_type":"mac"}'),
      'no token',
    ],
  ])('%s gives none, and says why without the answer’s words', async (_what, answer, told) => {
    const tokenUrl = await endpoint((_request, _body, response) => answer(response));
    const { tokens, lines } = open();
    tokens.read({ ...use, tokenUrl }, secret);
    await until(() => lines.length > 0);
    expect(lines[0]).toContain(told);
    expect(lines[0]).not.toContain('<p>');
    expect(lines[0]).not.toContain(secret);
    expect(tokens.read({ ...use, tokenUrl }, secret)).toBeUndefined();
  });
});
