import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createRevocationList } from '../support/revocation-list.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

/** A model server that answers a handshake and then echoes; remembers the headers that it saw. */
async function startEcho(
  how: 'answers' | 'silent' = 'answers',
): Promise<{ url: string; seen: Record<string, unknown>[]; open(): number; close(): Promise<void> }> {
  const seen: Record<string, unknown>[] = [];
  const server = createServer();
  const sockets = new Set<Duplex>();
  server.on('upgrade', (request, socket) => {
    seen.push(request.headers);
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('end', () => socket.end());
    if (how === 'silent') return void socket.resume();
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
    );
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    open: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The last of the record, once it is an end. */
async function endOf(to: World): Promise<Record<string, unknown> | undefined> {
  await until(() => to.recordSoFar().at(-1)?.['type'] === 'end', 'the end on record');
  return to.recordSoFar().at(-1);
}

/** A WebSocket that stands. */
async function join(to: World, token: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: to.port, ca: to.ca, servername: 'localhost' });
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
  socket.write(
    `GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  await until(
    () => text.startsWith('HTTP/1.1 101 '),
    () => text,
  );
  return socket;
}

/** Sends a handshake, then `more` once the answer's head is there; gives everything that came until `more` came back, and a moment later. */
async function handshake(to: World, token: string | null, more = '', path = '/stream', headers = ''): Promise<string> {
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
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${token === null ? '' : `Authorization: Bearer ${token}\r\n`}${headers}\r\n`,
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

  test('offer the model no credential among their subprotocols, but where policies only observe', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: open, modelUrl: echo.url });
    const token = await world.token();
    const offer = `Sec-WebSocket-Protocol: chat, bearer.${token}, v2.json\r\n`;
    await handshake(world, token, '', '/stream', offer);
    await handshake(world, token, '', '/stream', `Sec-WebSocket-Protocol: bearer.${token}\r\n`);
    await world.setPolicy(open(world.issuer.url).replace('mode: Enforce', 'mode: Observe'));
    await handshake(world, token, '', '/stream', offer);
    expect(echo.seen.map((one) => one['sec-websocket-protocol'])).toEqual([
      'chat, v2.json',
      undefined,
      `chat, bearer.${token}, v2.json`,
    ]);
    await echo.close();
  });

  test('that name a model which the endpoint calls otherwise are refused, by path and by query', async () => {
    const hosted = '  upstream: { hosted: { url: "https://models.test", models: [{ name: support, as: large-2 }] } }\n';
    world = await startWorld({ policy: (issuer) => open(issuer, hosted) });
    const token = await world.token();
    for (const path of ['/openai/deployments/support/realtime', '/x?model[]=support', '/x?a=1;deployment=support'])
      expect(await handshake(world, token, '', path)).toContain('upstream_unsupported');
    expect(await handshake(world, token, '', '/openai/deployments/other/realtime')).not.toContain(
      'upstream_unsupported',
    );
  });

  test.each(['/flush_cache', '/FLUSH%5Fcache', '/slots', '/start_profile'])(
    'of %s, which rules the model server, need a rule for Admin',
    async (path) => {
      const echo = await startEcho();
      world = await startWorld({ policy: open, modelUrl: echo.url });
      expect(await handshake(world, await world.token(), '', path)).toMatch(/^HTTP\/1\.1 403 /);
      expect(echo.seen).toEqual([]);
      await until(() => world?.recordSoFar().some((event) => event['operation'] === 'Admin') === true, 'the record');
      await echo.close();
    },
  );

  test.each([
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
    for (const decision of ['allowed', 'observed'])
      expect(await world.metrics()).toContain(`code="none",decision="${decision}"} 1\n`);
  });

  test('end when a policy no longer allows them, which the record says', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: open, modelUrl: echo.url });
    const socket = await join(world, await world.token());
    await world.setPolicy(basePolicy(world.issuer.url));
    await until(() => socket.destroyed);
    expect(await endOf(world)).toMatchObject({ outcome: 'ended', status: 101, code: 'policy_changed' });
    expect(await world.metrics()).toMatch(/^sidegate_aborted_total{by="policy"} 1$/m);
    await until(() => echo.open() === 0, 'the model’s connection is cut');
    await echo.close();
  });

  test('end when a policy would have to look into them, and go on where nothing of it concerns them', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: open, modelUrl: echo.url });
    const socket = await join(world, await world.token());
    const guard = (on: string): string =>
      `  guards:\n  - { name: g, direction: Request, subjects: [{ group: ${on} }], match: { detectors: [Secrets] }, action: Block }\n`;
    await world.setPolicy(open(world.issuer.url, guard('others')));
    let echoed = '';
    socket.on('data', (piece: Buffer) => (echoed += piece.toString()));
    socket.write('still here');
    await until(() => echoed === 'still here');
    await world.setPolicy(open(world.issuer.url, guard('ml-eng')));
    await until(() => socket.destroyed);
    expect(await endOf(world)).toMatchObject({ outcome: 'ended', status: 101, code: 'policy_changed' });
    await until(() => echo.open() === 0, 'the model’s connection is cut');
    await echo.close();
  });

  test('end with the token that was taken back, which the record says', async () => {
    const echo = await startEcho();
    const revocations = createRevocationList();
    world = await startWorld({ policy: open, modelUrl: echo.url, revocations });
    const socket = await join(world, await world.token({ claims: { jti: 'lost' } }));
    revocations.set({ issuer: world.issuer.url, until: Date.now() + 60_000, tokenId: 'lost' });
    await until(() => socket.destroyed);
    expect(await endOf(world)).toMatchObject({ outcome: 'ended', status: 101, code: 'token_revoked' });
    await echo.close();
  });

  test('are charged a quarter of their bytes, both ways, when they end', async () => {
    const echo = await startEcho();
    const limits = '    limits: { tokensPerMinute: 300 }\n';
    world = await startWorld({ policy: (issuer) => open(issuer) + limits, modelUrl: echo.url });
    const token = await world.token();
    const socket = await join(world, token);
    let echoed = 0;
    socket.on('data', (piece: Buffer) => (echoed += piece.length));
    socket.write('x'.repeat(700));
    await until(() => echoed === 700, 'the echo');
    socket.end();
    await endOf(world);
    expect(await handshake(world, token)).toMatch(/^HTTP\/1\.1 429 /);
    await echo.close();
  });

  test('end with the sidecar, which the record says', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: open, modelUrl: echo.url });
    await join(world, await world.token());
    await world.sidecar.drain(200);
    expect(await endOf(world)).toMatchObject({ outcome: 'failed', status: 101, code: 'shutting_down' });
    expect(await world.metrics()).toMatch(/^sidegate_aborted_total{by="shutdown"} 1$/m);
    await echo.close();
  });

  test('are recorded with their bytes and as uninspected, and counted by rule', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: open, modelUrl: echo.url });
    await handshake(world, await world.token(), 'ping-pong');
    expect(await endOf(world)).toMatchObject({
      outcome: 'completed',
      status: 101,
      code: null,
      bytesIn: 9,
      bytesOut: 9,
      rules: [
        { rule: expect.stringContaining('engineers'), act: 'allowed' },
        { rule: 'sidegate/uninspected', act: 'flagged' },
      ],
    });
    expect(await world.metrics()).toMatch(/^sidegate_rule_acts_total{rule="sidegate\/uninspected",act="flagged"} 1$/m);
    await echo.close();
  });

  test('of a stranger are recorded with the first 256 characters of a long path', async () => {
    world = await startWorld({ policy: open });
    const path = `/v1/${'a'.repeat(8_000)}`;
    expect(await handshake(world, null, '', path)).toContain('HTTP/1.1 401 ');
    expect((await world.record()).find((event) => event['type'] === 'start')?.['path']).toBe(`${path.slice(0, 256)}…`);
  });

  test('are recorded without their query where the policy records no text', async () => {
    const echo = await startEcho();
    world = await startWorld({ policy: (issuer) => open(issuer, '  audit: { content: None }\n'), modelUrl: echo.url });
    expect(await handshake(world, await world.token(), '', '/stream?topic=falcon')).toMatch(/^HTTP\/1\.1 101 /);
    await endOf(world);
    expect(JSON.stringify(world.recordSoFar())).not.toContain('falcon');
    await echo.close();
  });

  test('that a limit refuses say so in the record, and when to come back', async () => {
    const echo = await startEcho();
    const limited = (issuer: string): string =>
      open(issuer).replace('Other]', 'Other]\n    limits: { requestsPerMinute: 1 }');
    world = await startWorld({ policy: limited, modelUrl: echo.url });
    const token = await world.token();
    (await join(world, token)).destroy();
    const refused = await handshake(world, token);
    expect(refused).toMatch(/^HTTP\/1\.1 429 /);
    expect(Number(/retry-after: (\d+)/i.exec(refused)?.[1])).toBeGreaterThan(1);
    const code = 'rate_limited';
    await until(() => world?.recordSoFar().some((event) => event['code'] === code), 'the refusal on record');
    expect(world.recordSoFar().find((event) => event['code'] === code)).toMatchObject({
      outcome: 'refused',
      status: 429,
      rules: [{ rule: expect.stringContaining('engineers'), act: 'limited', by: [code] }],
    });
    expect(await world.metrics()).toMatch(/^sidegate_rule_acts_total{rule="[^"]*engineers",act="limited"} 1$/m);
    await echo.close();
  });

  test('have a place at the model each, which comes back once, however they end', async () => {
    const echo = await startEcho();
    const to = (world = await startWorld({ policy: open, modelUrl: echo.url, modelRequests: 2 }));
    const [ana, bob] = await Promise.all([to.token(), to.token({ sub: 'bob' })]);
    const atModel = async (count: number): Promise<void> => {
      await until(
        async () => new RegExp(`^sidegate_model_requests ${count}$`, 'm').test(await to.metrics()),
        `${count} at the model`,
      );
    };
    const first = await join(to, ana);
    await atModel(1);
    const shared = await handshake(to, ana);
    expect(shared).toMatch(/^HTTP\/1\.1 429 [\s\S]*caller_share_used/);
    const second = await join(to, bob);
    await atModel(2);
    expect(await handshake(to, await to.token({ sub: 'eve' }))).toMatch(/^HTTP\/1\.1 503 [\s\S]*overloaded/);
    // Ended by its caller, broken off by its caller, ended by policy, and never begun.
    first.end();
    await atModel(1);
    second.destroy();
    await atModel(0);
    await join(to, ana);
    await atModel(1);
    await to.setPolicy(basePolicy(to.issuer.url));
    await atModel(0);
    await to.setPolicy(open(to.issuer.url));
    await echo.close();
    expect(await handshake(to, bob)).toMatch(/^HTTP\/1\.1 502 /);
    await atModel(0);
  });

  test('that policies in Observe mode would refuse are counted as such', async () => {
    const echo = await startEcho();
    const observing = (issuer: string): string => basePolicy(issuer).replace('mode: Enforce', 'mode: Observe');
    world = await startWorld({ policy: observing, modelUrl: echo.url });
    (await join(world, await world.token())).destroy();
    await endOf(world);
    expect(await world.metrics()).toMatch(
      /^sidegate_requests_total{operation="Other",code="none",decision="observed"} 1$/m,
    );
    await echo.close();
  });

  test('are refused where the model is away or is silent, which the record says', async () => {
    const echo = await startEcho('silent');
    world = await startWorld({
      policy: (issuer) => open(issuer, '  requestLimits: { upstreamIdle: 1s }\n'),
      modelUrl: echo.url,
    });
    expect(await handshake(world, await world.token())).toMatch(/^HTTP\/1\.1 504 /);
    expect(await endOf(world)).toMatchObject({ outcome: 'failed', status: 504, code: 'upstream_timeout' });
    expect(await world.metrics()).toMatch(/^sidegate_upstream_errors_total{kind="upstream_timeout"} 1$/m);
    await until(() => echo.open() === 0, 'the model’s connection is cut');
    await echo.close();
    expect(await handshake(world, await world.token())).toMatch(/^HTTP\/1\.1 502 /);
    expect(await endOf(world)).toMatchObject({ outcome: 'failed', status: 502, code: 'upstream_unreachable' });
  });
});
