import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What HTTP has beside requests and answers, through the whole sidecar: by policy, and never twice.

const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] });
const chat = '/v1/chat/completions';

let world: World;
beforeAll(async () => {
  world = await startWorld({ policy: (issuer) => basePolicy(issuer) });
});
afterAll(() => world.close());

/** Bytes to the sidecar, part by part; a part may wait for what came so far. */
async function speak(to: World, parts: readonly (string | RegExp)[], until_: RegExp): Promise<string> {
  const socket = connectTls({ port: to.port, host: '127.0.0.1', ca: to.ca, ALPNProtocols: ['http/1.1'] });
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  socket.on('error', () => undefined);
  for (const part of parts) {
    if (typeof part === 'string') socket.write(part);
    else
      await until(
        () => part.test(text),
        () => `${String(part)} in ${text}`,
      );
  }
  await until(
    () => until_.test(text),
    () => `${String(until_)} in ${text}`,
  );
  socket.destroy();
  return text;
}
const head = async (more = ''): Promise<string> =>
  `POST ${chat} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${await world.token()}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${more}\r\n`;

describe('Expect: 100-continue', () => {
  test('is answered by the sidecar once the caller may send, and the model hears of one request', async () => {
    const before = world.model.seen.length;
    const asked = [await head('Expect: 100-continue\r\n'), /^HTTP\/1\.1 100 Continue\r\n\r\n$/, body];
    expect(await speak(world, asked, /"content":"hello"/)).toMatch(
      /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    );
    expect(world.model.seen.slice(before)).toMatchObject([
      { body, headers: expect.not.objectContaining({ expect: '100-continue' }) },
    ]);
  });

  test('of nobody is refused before the body comes', async () => {
    const before = world.model.seen.length;
    const asked = (await head('Expect: 100-continue\r\n')).replace(/Bearer \S+/, 'Bearer none');
    expect(await speak(world, [asked], /token_invalid/)).toMatch(/^HTTP\/1\.1 401 /);
    expect(world.model.seen).toHaveLength(before);
  });
});

describe('HEAD, OPTIONS and preflights', () => {
  test('of a route that the policy does not open are refused, and the model sees nothing', async () => {
    const before = world.model.seen.length;
    const preflight = { origin: 'https://app.test', 'access-control-request-method': 'POST' };
    const nobody = await world.call('OPTIONS', chat, { token: null, headers: preflight });
    expect(nobody.status).toBe(401);
    expect(nobody.headers).not.toHaveProperty('access-control-allow-origin');
    expect((await world.call('OPTIONS', chat, { headers: preflight })).status).toBe(403);
    expect((await world.call('HEAD', chat)).status).toBe(403);
    expect(world.model.seen).toHaveLength(before);
  });
});
