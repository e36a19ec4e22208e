import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectH2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ClientCertificate } from '../support/issuer-certificates.ts';
import { createAuthority, serverAuth } from '../support/issuer-certificates.ts';
import { answerChat, streamChat } from '../support/scripted-model.ts';
import type { Answer, World } from '../support/world.ts';
import { startWorld } from '../support/world.ts';
import { until } from '../support/wait.ts';

// Callers by certificate through a policy, over the real port: nothing but the policy says whose certificates count.

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const stream = { ...ask, stream: true };
const hour = 3_600_000;
const spiffe = 'spiffe://corp.example/ns/ml/sa/batch';
const now = Date.now();
const callers = createAuthority('callers', now);
const strangers = createAuthority('strangers', now);
const impostor = createAuthority('callers', now);
const middle = callers.intermediate('callers of a team');

interface PolicyChoice {
  readonly inbound?: 'Required' | 'Mutual';
  readonly subjectFrom?: string;
  readonly groupsFrom?: string;
  readonly caFile?: string;
  /** Subject of the one Allow rule. */
  readonly allowed?: string;
  /** Adds a provider of tokens, whose group ml-eng may chat too. */
  readonly issuer?: string;
}

const policyOf = (choice: PolicyChoice): string => `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: test, namespace: ml }
spec:
  tls: { inbound: ${choice.inbound ?? 'Required'} }
  identity:
    providers:
    - name: mesh
      clientCertificate:
        caFile: ${choice.caFile ?? 'callers.pem'}
        subjectFrom: ${choice.subjectFrom ?? 'SpiffeUri'}
        groupsFrom: ${choice.groupsFrom ?? 'OrganizationalUnit'}
${choice.issuer === undefined ? '' : `    - { name: corp, oidc: { issuer: "${choice.issuer}", audiences: [inference], allowInsecureLoopback: true } }`}
  access:
  - { name: batch, effect: Allow, subjects: [${choice.allowed ?? `{ subject: "${spiffe}" }`}], operations: [Chat] }
${choice.issuer === undefined ? '' : '  - { name: people, effect: Allow, subjects: [{ group: ml-eng, provider: corp }], operations: [Chat] }'}
  classification:
  - { label: confidential, detectors: [CreditCard], visibleTo: [{ group: compliance }], otherwise: Mask }
`;

const files = {
  'callers.pem': callers.pem,
  'strangers.pem': strangers.pem,
  'with-middle.pem': callers.pem + middle.pem,
};

let world: World;
const sockets: TLSSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await world.close();
});
const start = async (choice: PolicyChoice | ((issuer: string) => PolicyChoice) = {}): Promise<void> => {
  world = await startWorld({
    policy: (issuer) => policyOf(typeof choice === 'function' ? choice(issuer) : choice),
    files,
  });
};
const call = (certificate?: ClientCertificate, body: unknown = ask, token: string | null = null): Promise<Answer> =>
  world.post(path, body, { token, ...(certificate === undefined ? {} : { certificate }) });
const codeOf = (answer: Answer): unknown => (JSON.parse(answer.text) as { error?: { code?: unknown } }).error?.code;

const good = callers.issue({ uris: [spiffe] });
/** Of a right name, each wrong in one way; with what `Required` says to it. `Mutual` refuses what the handshake did not accept. */
const wrong: readonly (readonly [
  name: string,
  certificate: ClientCertificate | undefined,
  required: string,
  mutual: string,
])[] = [
  ['no certificate', undefined, 'token_missing', 'certificate_required'],
  ['one of another authority', strangers.issue({ uris: [spiffe] }), 'token_missing', 'certificate_required'],
  [
    'one of another authority of the same name',
    impostor.issue({ uris: [spiffe] }),
    'token_missing',
    'certificate_required',
  ],
  [
    'one that has expired',
    callers.issue({ uris: [spiffe], notBefore: new Date(now - 2 * hour), notAfter: new Date(now - hour) }),
    'token_missing',
    'certificate_required',
  ],
  [
    'one that is not valid yet',
    callers.issue({ uris: [spiffe], notBefore: new Date(now + hour), notAfter: new Date(now + 2 * hour) }),
    'token_missing',
    'certificate_required',
  ],
  ['one for servers', callers.issue({ uris: [spiffe], usages: [serverAuth] }), 'token_missing', 'certificate_required'],
  [
    'one of an intermediate that the file does not name',
    middle.issue({ uris: [spiffe] }),
    'token_missing',
    'certificate_required',
  ],
  ['one of another SPIFFE URI', callers.issue({ uris: [`${spiffe}2`] }), 'access_denied', 'access_denied'],
  ['one whose SPIFFE URI is a longer path', callers.issue({ uris: [`${spiffe}/x`] }), 'access_denied', 'access_denied'],
  ['one of two SPIFFE URIs', callers.issue({ uris: [spiffe, `${spiffe}2`] }), 'token_invalid', 'token_invalid'],
  ['one without a URI', callers.issue({ subject: [['CN', spiffe]] }), 'token_invalid', 'token_invalid'],
  ['one with the name as a DNS name', callers.issue({ dnsNames: [spiffe] }), 'token_invalid', 'token_invalid'],
  [
    'one with a common name of two lines',
    callers.issue({ subject: [['CN', `x\nURI:${spiffe}`]] }),
    'token_invalid',
    'token_invalid',
  ],
];

describe.each(['Required', 'Mutual'] as const)('with tls.inbound %s', (inbound) => {
  test('a certificate of the policy’s authority is a caller: allowed, masked, recorded by its name', async () => {
    await start({ inbound });
    world.model.script = answerChat('Pay 4111 1111 1111 1111');
    const answer = await call(good);
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain('4111 ');
    expect(world.model.seen).toHaveLength(1);
    const events = JSON.stringify(await world.record());
    expect(events).toContain(spiffe);
    expect(events).toContain('CN=callers');
  });

  test('every other one is refused, and the model sees nothing', async () => {
    await start({ inbound });
    const came: unknown[] = [];
    for (const [name, certificate] of wrong) came.push([name, codeOf(await call(certificate))]);
    expect(came).toEqual(wrong.map(([name, , required, mutual]) => [name, inbound === 'Mutual' ? mutual : required]));
    expect(world.model.seen).toEqual([]);
  });

  test('over HTTP/2, too', async () => {
    await start({ inbound });
    const status = async (certificate?: ClientCertificate): Promise<unknown> => {
      const session = connectH2(world.url, {
        ca: world.ca,
        ...(certificate === undefined ? {} : { cert: certificate.pem, key: certificate.keyPem }),
      });
      const request = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/json' });
      request.end(JSON.stringify(ask));
      const head = await new Promise<Record<string, unknown>>((resolve, reject) =>
        request.once('response', resolve).once('error', reject),
      );
      session.destroy();
      return head[':status'];
    };
    for (const [, certificate] of wrong) expect([401, 403]).toContain(await status(certificate));
    expect(world.model.seen).toEqual([]);
    expect(await status(good)).toBe(200);
    expect(world.model.seen).toHaveLength(1);
  });
});

describe('what of a certificate names the caller', () => {
  const full = callers.issue({
    subject: [
      ['CN', 'ana'],
      ['OU', 'ml-eng'],
      ['OU', 'on-call'],
      ['O', 'Corp'],
    ],
    uris: [spiffe],
    dnsNames: ['batch.ml.svc', 'other.ml.svc'],
  });
  test.each([
    ['SpiffeUri', `{ subject: "${spiffe}" }`],
    ['DnsName', '{ subject: batch.ml.svc }'],
    ['CommonName', '{ subject: ana }'],
    ['Auto', `{ subject: "${spiffe}" }`],
    ['CommonName', '{ group: on-call }'],
    ['CommonName', '{ group: Corp }', 'Organization'],
  ])(
    'subjectFrom %s: the rule for %s lets it in, and one for another name does not',
    async (subjectFrom, allowed, groupsFrom = 'OrganizationalUnit') => {
      await start({ inbound: 'Mutual', subjectFrom, allowed, groupsFrom });
      expect((await call(full)).status).toBe(200);
      await world.setPolicy(
        policyOf({ inbound: 'Mutual', subjectFrom, groupsFrom, allowed: '{ subject: other.ml.svc }' }),
      );
      expect(codeOf(await call(full))).toBe('access_denied');
      await world.setPolicy(
        policyOf({ inbound: 'Mutual', subjectFrom, groupsFrom: 'None', allowed: '{ group: on-call }' }),
      );
      expect(codeOf(await call(full))).toBe('access_denied');
      expect(world.model.seen).toHaveLength(1);
    },
  );

  test('an intermediate authority counts when it stands in the file beside its root', async () => {
    await start({ inbound: 'Mutual', caFile: 'with-middle.pem' });
    expect((await call(middle.issue({ uris: [spiffe] }))).status).toBe(200);
    expect((await call(good)).status).toBe(200);
  });
});

describe('a policy that changes', () => {
  test('takes a caller’s rule away: the stream that rests on it ends, and the next request on the connection is refused', async () => {
    await start({ inbound: 'Mutual' });
    world.model.script = streamChat(new Array<string>(1_000).fill('word '), { delayMs: 10 });
    let got = '';
    const running = world.post(path, stream, { token: null, certificate: good, onChunk: (text) => (got += text) });
    await until(() => got.includes('word'));
    await world.setPolicy(policyOf({ inbound: 'Mutual', allowed: '{ subject: nobody }' }));
    expect((await running).text).toContain('"code":"policy_changed"');
    await until(() => world.model.seen[0]?.aborted);
    expect(codeOf(await call(good))).toBe('access_denied');
    expect(world.model.seen).toHaveLength(1);
  });

  test('to another authority: new handshakes ask for its certificates, and the old ones count no more, kept connections and resumed sessions included', async () => {
    await start({ inbound: 'Mutual' });
    const identity = { cert: good.pem, key: good.keyPem };
    const kept = await open(identity);
    expect(await kept.say()).toBe('200');
    const session = await kept.session;
    const before = await open({ ...identity, session });
    expect([before.resumed, await before.say()]).toEqual([true, '200']);

    await world.setPolicy(policyOf({ inbound: 'Mutual', caFile: 'strangers.pem' }));
    expect(await kept.say()).toBe('401 token_invalid');
    expect(await before.say()).toBe('401 token_invalid');
    const after = await open({ ...identity, session });
    expect([after.resumed, await after.say()]).toEqual([false, '401 certificate_required']);
    expect(await (await open(identity)).say()).toBe('401 certificate_required');
    expect(world.model.seen).toHaveLength(2);
    expect((await call(strangers.issue({ uris: [spiffe] }))).status).toBe(200);
  });

  test('to no provider of certificates: none is asked for', async () => {
    await start();
    expect((await call(good)).status).toBe(200);
    await world.setPolicy(
      policyOf({ issuer: world.issuer.url }).replace(/ {4}- name: mesh[^]*?OrganizationalUnit\n/, ''),
    );
    expect(codeOf(await call(good))).toBe('token_missing');
    expect((await call(undefined, ask, await world.token())).status).toBe(200);
  });
});

describe('a file of authorities that changes without the policy', () => {
  test('changes what handshakes ask for', async () => {
    let pem = callers.pem;
    world = await startWorld({
      policy: () => policyOf({ inbound: 'Mutual', allowed: '{ anyone: true }' }),
      files,
      verifiers: () => ({
        verify: () => ({ kind: 'absent' }),
        clientAuthorities: () => pem,
        close: () => undefined,
      }),
    });
    const other = strangers.issue({ uris: [spiffe] });
    expect((await call(good)).status).toBe(200);
    expect(codeOf(await call(other))).toBe('certificate_required');
    pem = strangers.pem;
    await until(async () => (await (await open({ cert: other.pem, key: other.keyPem })).say()) === '200');
    expect(await (await open({ cert: good.pem, key: good.keyPem })).say()).toBe('401 certificate_required');
  });
});

describe('certificates beside tokens', () => {
  test('Mutual asks for a certificate whatever the token is; then the token says who it is', async () => {
    await start((issuer) => ({ inbound: 'Mutual', issuer }));
    const token = await world.token();
    expect(codeOf(await call(undefined, ask, token))).toBe('certificate_required');
    expect(world.model.seen).toEqual([]);
    expect((await call(good, ask, token)).status).toBe(200);
    expect(JSON.stringify((await world.record()).at(-1))).not.toContain('spiffe:');
  });

  test('a bad token is refused, however good the certificate', async () => {
    await start((issuer) => ({ issuer }));
    expect(codeOf(await call(good, ask, await world.token({ aud: 'billing' })))).toBe('token_invalid');
    expect(world.model.seen).toEqual([]);
  });

  test('a token bound to a certificate (RFC 8705) is worth nothing without it', async () => {
    await start((issuer) => ({ issuer }));
    const bound = await world.token({
      claims: { cnf: { 'x5t#S256': createHash('sha256').update(good.der).digest('base64url') } },
    });
    expect(codeOf(await call(undefined, ask, bound))).toBe('token_invalid');
    expect(codeOf(await call(callers.issue({ uris: [spiffe] }), ask, bound))).toBe('token_invalid');
    expect(world.model.seen).toEqual([]);
    expect((await call(good, ask, bound)).status).toBe(200);
  });
});

interface Opened {
  /** Asks once; the status, and the code of a refusal. */
  say(): Promise<string>;
  readonly resumed: boolean;
  /** Resumes this one. */
  readonly session: Promise<Buffer>;
}

/** A connection that stays until the test is over. */
async function open(tls: ConnectionOptions): Promise<Opened> {
  const socket = connectTls({ port: world.port, host: '127.0.0.1', ca: world.ca, ALPNProtocols: ['http/1.1'], ...tls });
  sockets.push(socket);
  const session = new Promise<Buffer>((resolve) => socket.once('session', resolve));
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const body = JSON.stringify(ask);
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  return {
    session,
    resumed: socket.isSessionReused(),
    async say() {
      socket.write(`${head}\r\n\r\n${body}`);
      const [bytes] = (await once(socket, 'data')) as [Buffer];
      const text = bytes.toString('latin1');
      return [text.slice(9, 12), ...(/"code":"(\w+)"/.exec(text)?.slice(1) ?? [])].join(' ');
    },
  };
}
