import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createDecisionServer } from '../../pkg/control/decisions/index.ts';
import type { DecisionServer } from '../../pkg/control/decisions/index.ts';
import type { BrowserLogin } from '../../pkg/control/tokens/browser-login.ts';
import { createTokenRoutes } from '../../pkg/control/tokens/token-routes.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { findChromium } from '../support/chromium.ts';
import { until } from '../support/wait.ts';

// The page that asks whether a login was begun, in a real Chromium, between an identity provider's site and a program of this machine.

const value = 'v'.repeat(43);
const visited: string[] = [];
let program = '';
let cookies: (string | undefined)[] = [];
let endpoint: DecisionServer;
let idp: Server;
let browser: Browser;

const login: BrowserLogin = {
  begin: () => ({ kind: 'fault', fault: 'invalid_request' }),
  consume: () =>
    Promise.resolve({ kind: 'question', question: { person: 'ana', program, value }, cookie: 'of-the-question' }),
  confirm(form, cookie) {
    cookies.push(cookie);
    return form.get('value') === value && cookie === 'of-the-question'
      ? { kind: 'redirect', location: `${program}/callback?code=c&state=s`, cookie: '' }
      : { kind: 'fault', fault: 'invalid_request' };
  },
};
const listening = (server: Server, host: string): Promise<number> =>
  new Promise((resolve, reject) =>
    server.on('error', reject).listen(0, host, () => resolve((server.address() as AddressInfo).port)),
  );

beforeAll(async () => {
  endpoint = await createDecisionServer({
    host: '127.0.0.1',
    port: 0,
    material: await (await createClusterAuthority('authority')).issue('login', [], ['localhost']),
    decider: { prove: () => Promise.reject(new Error('nobody decides here')) },
    more: [
      {
        routes: createTokenRoutes({
          exchange: { exchange: () => Promise.reject(new Error('nobody exchanges here')) },
          browser: login,
          keys: () => undefined,
          clock: systemClock,
        }),
      },
    ],
    clock: systemClock,
    logger: silentLogger,
  });
  const acs = `https://localhost:${endpoint.port}/v1/saml/acs`;
  idp = createServer((request, response) => {
    const form = `<form method="post" action="${acs}"><input name="SAMLResponse" value="x"><button>Log in</button></form>`;
    const frame = `<iframe name="framed"></iframe>${form.replace('<form', '<form target="framed"')}`;
    response.setHeader('content-type', 'text/html').end(request.url === '/frame' ? frame : form);
  });
  await listening(idp, '127.0.0.1');
  browser = await chromium.launch({ executablePath: findChromium()!, args: ['--no-sandbox'] });
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await endpoint?.close();
  idp?.close();
});

async function visit(host: string, path: string) {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/callback') === true) visited.push(`${request.method} ${request.url}`);
    response.end('You may close this window');
  });
  const port = await listening(server, host);
  program = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  visited.length = 0;
  cookies = [];
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => void complaints.push(message.text()));
  await page.goto(`http://127.0.0.1:${(idp.address() as AddressInfo).port}${path}`);
  await page.click('button');
  return {
    page,
    complaints,
    async close() {
      await context.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

test.each(['127.0.0.1', '::1'])(
  'a program at %s has its code once the person goes on, and not before',
  async (host) => {
    const { page, close } = await visit(host, '/');
    await page.waitForSelector('h1');
    expect(await page.innerText('h1')).toBe('A program on this machine wants to log in as you');
    expect(await page.innerText('p')).toContain(program);
    expect(visited).toEqual([]);
    await page.click('button');
    await until(() => visited.length > 0, 'the program has its code');
    expect([visited, cookies]).toEqual([['GET /callback?code=c&state=s'], ['of-the-question']]);
    await close();
  },
  60_000,
);

test('nobody shows the page in a frame of theirs', async () => {
  const { complaints, close } = await visit('127.0.0.1', '/frame');
  await until(() => complaints.some((text) => /frame/i.test(text)), 'the browser refuses to show it');
  await close();
}, 60_000);
