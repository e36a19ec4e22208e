import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

/** A model server that answers a handshake and then echoes; remembers the headers that it saw. */
async function startEcho(): Promise<{ url: string; seen: Record<string, unknown>[]; close(): Promise<void> }> {
  const seen: Record<string, unknown>[] = [];
  const server = createServer();
  const sockets = new Set<{ destroy(): void }>();
  server.on('upgrade', (request, socket) => {
    seen.push(request.headers);
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
    );
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Sends a handshake, then `more` once the answer's head is there; gives everything that came until `more` came back, and a moment later. */
async function handshake(to: World, token: string | null, more = ''): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: to.port, ca: to.ca, servername: 'localhost' });
  let text = '';
  let sent = false;
  socket.on('error', () => undefined);
  socket.on('data', (piece: Buffer) => {
    text += piece.toString('latin1');
    if (!sent && text.includes('\r\n\r\n')) {
      sent = true;
      if (more !== '') socket.write(more);
    }
  });
  socket.write(
    `GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${token === null ? '' : `Authorization: Bearer ${token}\r\n`}\r\n`,
  );
  await until(
    () => text.includes('\r\n\r\n') && text.includes(more),
    () => text,
  );
  // Nothing that should not follow does.
  await pause(50);
  socket.destroy();
  return text;
}

const open = (issuer: string, more = ''): string =>
  basePolicy(issuer).replace('ListModels]', 'ListModels, Other]') + more;

describe('WebSocket upgrades', () => {
  test('pass where a rule allows the route and nothing has to be looked into', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: open, modelUrl: echo.url });
    const text = await handshake(world, await world.token(), 'ping-pong');
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    expect(text).toContain('ping-pong');
    expect(echo.seen[0]?.['authorization']).toBeUndefined();
    await echo.close();
  });

  const guards =
    '  guards:\n  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }\n';
  const classes =
    '  classification:\n  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }\n';
  test.each([
    ['a guard would have to read them', (issuer: string) => open(issuer, guards), true, 415],
    ['a classification would have to read them', (issuer: string) => open(issuer, classes), true, 415],
    ['no rule allows the route', (issuer: string) => basePolicy(issuer), true, 403],
    ['nobody was proven', (issuer: string) => open(issuer), false, 401],
  ])('are refused where %s, and the model sees nothing', async (_, policy, withToken, status) => {
    const echo = await startEcho();
    world = await startWorld({ policy, modelUrl: echo.url });
    const text = await handshake(world, withToken ? await world.token() : null);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(echo.seen).toEqual([]);
    await echo.close();
  });

  test('count against the limits of a policy that observes, which refuses none of them', async () => {
    const observing = (issuer: string): string => `${open(issuer)}---
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: watching, namespace: ml }
spec:
  mode: Observe
  identity:
    providers:
    - name: corp
      oidc: { issuer: "${issuer}", audiences: [inference], allowInsecureLoopback: true }
  access:
  - { name: few, effect: Allow, subjects: [{ anyone: true }], operations: [Other], limits: { requestsPerMinute: 1, concurrentRequests: 1 } }
`;
    const echo = await startEcho();
    world = await startWorld({ policy: observing, modelUrl: echo.url });
    const ends = (): readonly unknown[] => world?.recordSoFar().filter(({ type }) => type === 'end') ?? [];
    const token = await world.token();
    try {
      for (let n = 1; n <= 2; n++) {
        expect(await handshake(world, token)).toMatch(/^HTTP\/1\.1 101 /);
        await until(() => ends().length === n, 'the end on record');
      }
    } finally {
      await echo.close();
    }
    const [first, second] = ends().map((end) => JSON.stringify(end));
    expect(first).not.toContain('limited');
    expect(second).toMatch(/few[^}]*rate_limited|rate_limited[^}]*few/);
  });

  test('end when a policy no longer allows them', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: open, modelUrl: echo.url });
    const socket = connect({ host: '127.0.0.1', port: world.port, ca: world.ca, servername: 'localhost' });
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('error', () => undefined);
    const token = await world.token();
    const upgraded = new Promise<void>((resolve) => socket.once('data', () => resolve()));
    socket.write(
      `GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    await upgraded;
    await world.setPolicy(basePolicy(world.issuer.url));
    await closed;
    await echo.close();
  });
});
