import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket, createSecureContext } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Secret, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createDecisionServer } from '../../pkg/control/decisions/index.ts';
import { startNotifier } from '../../pkg/control/notices/notifier.ts';
import type { NotifierOptions } from '../../pkg/control/notices/notifier.ts';
import { approvalNotice, grantNotice, linesOf } from '../../pkg/control/notices/notice.ts';
import { openChannels, parseNoticeSettings } from '../../pkg/control/notices/settings.ts';
import { signatureHeaders } from '../../pkg/control/notices/webhook.ts';
import type { KubeObject } from '../../pkg/kube/index.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { pause, until } from '../support/wait.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';

// How people are told: each channel over real TLS. What is told when, and once, is in test/apiserver/notices.test.ts.

const endpoint = 'https://approvals.example.com';
/** As the API server gives it. */
const object = (raw: object): KubeObject => raw as KubeObject;
const approval = (spec: object = {}, metadata: object = {}) =>
  approvalNotice(
    object({
      metadata: { namespace: 'ml', name: 'ab12-1', uid: 'uid-1', ...metadata },
      spec: {
        ...{ policies: [], rules: ['ml/p/risky'], direction: 'Request', pod: { name: 'llama-0', uid: 'pod' } },
        ...{ requester: { provider: 'p/corp', issuer: 'https://idp', subject: 'ana' }, operation: 'Chat' },
        ...{ model: 'llama-3', digest: 'sha256:0', excerpt: 'call [phone] now', approvers: [{ group: 'leads' }] },
        ...{ required: 2, expiresAt: '2026-11-26T12:00:00Z', session: 'secret-session' },
        ...spec,
      },
    }),
    endpoint,
  );

let certificate: { readonly cert: string; readonly key: string };
let authority: string;
beforeAll(async () => {
  const made = await createClusterAuthority('receivers');
  certificate = await made.issue('receiver', [], ['localhost']);
  authority = made.cert;
});

interface Received {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
let folder: string;
let received: Received[];
let answer: (response: ServerResponse) => void;
const server = () =>
  createServer(certificate, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      received.push({ url: request.url ?? '', headers: request.headers, body });
      answer(response);
    });
  });
let receiver: ReturnType<typeof server>;
let port: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-notices-'));
  received = [];
  answer = (response) => response.writeHead(204).end();
  receiver = server();
  await new Promise<void>((resolve) => receiver.listen(0, 'localhost', resolve));
  port = (receiver.address() as AddressInfo).port;
  for (const [name, text] of Object.entries({ ca: authority, sign: 'key-one\n' }))
    writeFileSync(join(folder, name), text);
});
afterEach(() => {
  receiver.close();
  receiver.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const { signal } = new AbortController();
const open = (channel: object) => {
  const settings = parseNoticeSettings(
    JSON.stringify({ endpoint, channels: [{ name: 'a', caKey: 'ca', ...channel }] }),
  );
  const [made] = openChannels(settings, folder, systemClock);
  if (made === undefined) throw new Error('no channel');
  return made;
};
const webhook = (more: object = {}) =>
  open({ type: 'Webhook', url: `https://localhost:${port}/hook`, signingKey: 'sign', ...more });
const slack = () => {
  writeFileSync(join(folder, 'slack'), `https://localhost:${port}/services/T0/secret-part\n`);
  return open({ type: 'Slack', urlKey: 'slack' });
};

describe('a webhook', () => {
  test('is signed as Standard Webhooks says: the vector of its specification', () => {
    // https://github.com/standard-webhooks/standard-webhooks, in the tests of its libraries.
    const key = new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    const headers = signatureHeaders('msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}', key);
    expect(headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  test('holds what is asked, the masked excerpt and a link, and nothing else', async () => {
    expect(await webhook().send(approval(), signal)).toBe('sent');
    const [{ headers, body, url } = received[0]!] = received;
    expect(url).toBe('/hook');
    const id = headers['webhook-id'];
    const signed = createHmac('sha256', 'key-one').update(
      `${String(id)}.${String(headers['webhook-timestamp'])}.${body}`,
    );
    expect(headers['webhook-signature']).toBe(`v1,${signed.digest('base64')}`);
    expect(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1_000)).toBeLessThan(60);
    expect(JSON.parse(body)).toEqual({
      type: 'approval.asked',
      timestamp: expect.any(String),
      data: {
        title: 'ana waits for approval: Chat of llama-3, in ml',
        ...{ namespace: 'ml', name: 'ab12-1', requester: 'ana', operations: ['Chat'], models: ['llama-3'] },
        ...{ rules: ['ml/p/risky'], required: 2, expiresAt: '2026-11-26T12:00:00Z', excerpt: 'call [phone] now' },
        link: 'https://approvals.example.com/v1/namespaces/ml/approvals/ab12-1',
        command: 'kubectl sidegate approvals approve ab12-1 -n ml',
      },
    });
  });

  test('of a grant says who asks for what and why', async () => {
    const spec = {
      ...{ issuer: 'https://idp', subject: 'ana', operations: ['Chat'], models: ['*'], reason: 'incident 42' },
      ...{ expiresAt: '2026-11-26T12:00:00Z', requestedBy: 'kim@example.com', notBefore: '2026-11-26T11:00:00Z' },
      selector: {
        matchLabels: { app: 'llama', 'example.com/tier': 'prod' },
        matchExpressions: [
          { key: 'zone', operator: 'In', values: ['a', 'b'] },
          { key: 'canary', operator: 'DoesNotExist' },
        ],
      },
    };
    const raw = {
      metadata: { namespace: 'ml', name: 'g', uid: 'uid-2' },
      spec,
      status: { phase: 'Pending', required: 1 },
    };
    await webhook().send(grantNotice(object(raw), endpoint), signal);
    expect(JSON.parse(received[0]?.body ?? '')).toMatchObject({
      type: 'access.asked',
      data: {
        title: 'kim@example.com asks for access for ana: Chat of *, in ml',
        ...{ requester: 'kim@example.com', caller: { issuer: 'https://idp', subject: 'ana' }, reason: 'incident 42' },
        ...{ pods: 'app=llama, example.com/tier=prod, zone in (a, b), !canary', notBefore: '2026-11-26T11:00:00Z' },
        command: expect.stringContaining('grant/g'),
      },
    });
    expect(linesOf(grantNotice(object(raw), endpoint))).toEqual(
      expect.arrayContaining([
        ['Caller', 'ana of https://idp'],
        ['Pods', 'app=llama, example.com/tier=prod, zone in (a, b), !canary'],
        ['From', '2026-11-26T11:00:00Z'],
      ]),
    );
    const { selector: _selector, ...everywhere } = spec;
    expect(linesOf(grantNotice(object({ ...raw, spec: everywhere }), endpoint))).toContainEqual([
      'Pods',
      'every inference pod',
    ]);
  });

  test('takes a new key and a new address as their files change', async () => {
    writeFileSync(join(folder, 'where'), `https://localhost:${port}/one`);
    const channel = webhook({ url: undefined, urlKey: 'where' });
    await channel.send(approval(), signal);
    writeFileSync(join(folder, 'where'), `https://localhost:${port}/two`);
    writeFileSync(join(folder, 'sign'), 'key-two');
    await channel.send(approval(), signal);
    expect(received.map(({ url }) => url)).toEqual(['/one', '/two']);
    const { headers, body } = received[1]!;
    const text = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', 'key-two').update(text).digest('base64')}`);
    expect(received[0]?.headers['webhook-id']).toBe(headers['webhook-id']);
  });

  test.each([
    [200, 'sent'],
    [204, 'sent'],
    [302, 'refused'],
    [400, 'refused'],
    [401, 'refused'],
    [404, 'refused'],
    [410, 'refused'],
  ])('answered with %d is %s, and no redirect is followed', async (status, result) => {
    answer = (response) => response.writeHead(status, { location: `https://localhost:${port}/elsewhere` }).end();
    expect(await webhook().send(approval(), signal)).toBe(result);
    expect(received).toHaveLength(1);
  });

  test.each([408, 425, 429, 500, 503])('answered with %d is tried again', async (status) => {
    answer = (response) => response.writeHead(status).end();
    await expect(webhook().send(approval(), signal)).rejects.toMatchObject({ code: 'refused' });
    answer = (response) => response.writeHead(status, { 'retry-after': '7' }).end();
    expect(await webhook().send(approval(), signal)).toEqual({ againMs: 7_000 });
    answer = (response) => response.writeHead(status, { 'retry-after': '999999' }).end();
    expect(await webhook().send(approval(), signal)).toEqual({ againMs: 300_000 });
  });

  test('is not sent to whoever has another certificate, and the error has no address', async () => {
    writeFileSync(join(folder, 'ca'), (await createClusterAuthority('others')).cert);
    const failure = await webhook()
      .send(approval(), signal)
      .catch((error: unknown) => String(error));
    expect(failure).toMatch(/no answer from the receiver/);
    expect(failure).not.toMatch(/hook|localhost/);
    expect(received).toEqual([]);
  });

  test('an answer that never ends holds nothing up', async () => {
    answer = (response) => void response.writeHead(200).write('x');
    expect(await webhook().send(approval(), signal)).toBe('sent');
  });
});

describe('a chat message', () => {
  test('has what callers wrote in plain text alone, and a button that is a link', async () => {
    const text =
      '<!channel> *bold* <https://evil.example|click> [Decide here](https://evil.example/v1) @channel ![x](https://evil.example/p.png)';
    const requester = { provider: 'p', issuer: 'i', subject: text };
    await slack().send(approval({ requester, excerpt: `${text}\u202e\u0007\nnext`, model: text }), signal);
    const { body, url } = received[0]!;
    expect(url).toBe('/services/T0/secret-part');
    const message = JSON.parse(body) as {
      text: string;
      blocks: { type: string; text?: { type: string; text: string } }[];
    };
    // All that is shown where there are no blocks: no word of the caller's, and our link.
    expect(message.text).toMatch(
      /^A request or an answer waits for approval in namespace ml, until [0-9T:.Z-]+\. Who it is and what it says stands at https:\/\/approvals\.example\.com\/v1\/namespaces\/ml\/approvals\/ab12-1$/,
    );
    // A link to some: whoever asks for a grant names it.
    await slack().send(approval({}, { name: 'www.evil.example.com' }), signal);
    const { text: fallback } = JSON.parse(received[1]!.body) as { text: string };
    expect(fallback.replace(/https:\S+$/, '')).not.toContain('evil');
    const sections = message.blocks.filter(({ type }) => type === 'section');
    expect(sections.every((one) => one.text?.type === 'plain_text')).toBe(true);
    expect(JSON.stringify(message)).not.toMatch(/mrkdwn|\\u202e|\\u0007|\\n/);
    expect(message.blocks.at(-1)).toEqual({
      type: 'actions',
      elements: [
        {
          type: 'button',
          text: { type: 'plain_text', text: 'Decide…', emoji: false },
          url: 'https://approvals.example.com/v1/namespaces/ml/approvals/ab12-1',
        },
      ],
    });
  });

  test('of a very long text is cut, in whole characters', async () => {
    await slack().send(approval({ excerpt: '😀'.repeat(3_000) }), signal);
    const { body } = received[0]!;
    expect(body.length).toBeLessThan(4_000);
    expect(body).not.toMatch(/\\ud[89a-f]/);
  });
});

/** A mail server of a few lines. */
function mailServer(options: { readonly startTls: boolean; readonly answers?: Readonly<Record<string, string>> }) {
  const lines: { readonly line: string; readonly secure: boolean }[] = [];
  const tcp = createTcpServer((socket) => {
    const talk = (peer: Socket, secure: boolean): void => {
      let rest = '';
      let body = false;
      peer.on('error', () => undefined);
      peer.on('data', (chunk: Buffer) => {
        rest += chunk.toString('utf8');
        for (let end = rest.indexOf('\r\n'); end !== -1; end = rest.indexOf('\r\n')) {
          const line = rest.slice(0, end);
          rest = rest.slice(end + 2);
          lines.push({ line, secure });
          if (body) {
            if (line === '.') {
              body = false;
              peer.write('250 taken\r\n');
            }
            continue;
          }
          const verb = line.split(' ')[0]?.toUpperCase() ?? '';
          if (verb === 'STARTTLS' && options.startTls) {
            peer.write('220 go\r\n');
            peer.removeAllListeners('data');
            talk(new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(certificate) }), true);
            return;
          }
          const extensions = `250-mail\r\n${!secure && options.startTls ? '250-STARTTLS\r\n' : ''}250 AUTH PLAIN\r\n`;
          const said = options.answers?.[verb] ?? (verb === 'EHLO' ? extensions : undefined);
          if (said !== undefined) peer.write(said.endsWith('\n') ? said : `${said}\r\n`);
          else if (verb === 'DATA') {
            body = true;
            peer.write('354 go on\r\n');
          } else peer.write(`${{ AUTH: '235 welcome', STARTTLS: '502 no' }[verb] ?? '250 ok'}\r\n`);
        }
      });
    };
    socket.write('220 mail\r\n');
    talk(socket, false);
  });
  return { tcp, lines };
}

describe('a mail', () => {
  let open_: ReturnType<typeof mailServer> | undefined;
  afterEach(() => {
    open_?.tcp.close();
    open_ = undefined;
  });
  const start = async (options: Parameters<typeof mailServer>[0]) => {
    open_ = mailServer(options);
    await new Promise<void>((resolve) => open_?.tcp.listen(0, 'localhost', resolve));
    writeFileSync(join(folder, 'password'), 'pass-word');
    const { lines, tcp } = open_;
    const channel = open({
      ...{ type: 'Mail', server: `smtp://localhost:${(tcp.address() as AddressInfo).port}` },
      ...{ from: 'sidegate@example.com', to: ['leads@example.com', 'ops@example.com'] },
      ...{ user: 'sidegate', passwordKey: 'password' },
    });
    return { channel, lines };
  };

  test('goes over TLS to everybody named, and what callers wrote adds no header', async () => {
    const { channel, lines } = await start({ startTls: true });
    const requester = { provider: 'p', issuer: 'i', subject: 'ana\r\nBcc: evil@example.com' };
    expect(await channel.send(approval({ requester }), signal)).toBe('sent');
    const open_text = lines.filter(({ secure }) => !secure).map(({ line }) => line.split(' ')[0]);
    expect(open_text).toEqual(['EHLO', 'STARTTLS']);
    const secure = lines.filter((one) => one.secure).map(({ line }) => line);
    expect(secure.filter((line) => line.startsWith('RCPT'))).toEqual([
      'RCPT TO:<leads@example.com>',
      'RCPT TO:<ops@example.com>',
    ]);
    expect(secure.some((line) => /^bcc:/i.test(line))).toBe(false);
    const text = secure.join('\n').replaceAll('=\n', '');
    expect(text).toContain('Message-ID: <uid-1@sidegate>');
    expect(text).toContain('[phone]');
    expect(text).toContain('/v1/namespaces/ml/approvals/ab12-1');
    expect(text).not.toContain('secret-session');
  });

  test('is not sent in the clear: a server without STARTTLS gets neither password nor text', async () => {
    const { channel, lines } = await start({ startTls: false });
    expect(await channel.send(approval(), signal)).toBe('refused');
    expect(lines.map(({ line }) => line).join('\n')).not.toMatch(/AUTH|MAIL|phone/);
  });

  test.each([
    ['MAIL', '550 never', 'refused'],
    ['MAIL', '451 later', undefined],
    ['AUTH', '535 wrong password sidegate pass-word', undefined],
  ])('answered to %s with %s', async (verb, said, result) => {
    const { channel } = await start({ startTls: true, answers: { [verb]: said } });
    const outcome = await channel.send(approval(), signal).catch((error: unknown) => error);
    if (result === undefined) {
      expect(outcome).toMatchObject({ code: 'unreachable' });
      expect(String(outcome)).not.toContain('pass-word');
    } else expect(outcome).toBe(result);
  });
});

test.each<[string, object, RegExp]>([
  ['no JSON', [] as object, /channels must be a list/],
  ['another type', { type: 'Pager' }, /type must be Webhook, Slack or Mail/],
  ['no name', { type: 'Slack', urlKey: 'x', name: 'A B' }, /name must be a DNS label/],
  ['http', { type: 'Webhook', url: 'http://x/', signingKey: 'k' }, /url must be an https/],
  ['two addresses', { type: 'Webhook', url: 'https://x/', urlKey: 'x', signingKey: 'k' }, /must have url or urlKey/],
  ['no signature', { type: 'Webhook', url: 'https://x/' }, /signingKey is missing/],
  [
    'an open address of a chat',
    { type: 'Slack', url: 'https://x/' },
    /url is nothing that a channel of type Slack has/,
  ],
  ['a key out of the folder', { type: 'Slack', urlKey: '../x' }, /urlKey must be a key of the Secret/],
  [
    'a mail server without TLS',
    { type: 'Mail', server: 'tcp://x:1', from: 'a@b', to: ['a@b'] },
    /server must be smtps/,
  ],
  ['nobody to write to', { type: 'Mail', server: 'smtp://x:1', from: 'a@b', to: [] }, /to must be 1 to 50/],
  [
    'a header as address',
    { type: 'Mail', server: 'smtp://x:1', from: 'a@b\r\nBcc: c@d', to: ['a@b'] },
    /must be addresses/,
  ],
  ['half a login', { type: 'Mail', server: 'smtp://x:1', from: 'a@b', to: ['a@b'], user: 'u' }, /belong together/],
])('settings with %s are refused', (_what, channel, message) => {
  const channels = Array.isArray(channel) ? undefined : [{ name: 'a', ...channel }];
  expect(() => parseNoticeSettings(JSON.stringify({ endpoint, channels }))).toThrow(message);
});

test.each(['http://a', 'https://a/b', 'a', ''])('an endpoint %p is refused', (wrong) => {
  expect(() => parseNoticeSettings(JSON.stringify({ endpoint: wrong, channels: [] }))).toThrow(/endpoint must be/);
});

test('a leader that could not read what was told reads it again, and then tells', async () => {
  const clock = fakeClock();
  let [reads, sent] = [0, 0];
  const fact = {
    key: 'ml/ab12-1',
    namespace: 'ml',
    name: 'ab12-1',
    uid: 'uid-1',
    phase: 'Pending',
    expiresAt: clock.now() + 600_000,
  };
  const cache = (facts: readonly (typeof fact)[]) =>
    ({
      values: () => facts.values(),
      get: () => facts[0],
      subscribe: () => () => undefined,
    }) as unknown as NotifierOptions['approvals'] & NotifierOptions['grants'];
  const approvalObject = {
    metadata: { namespace: 'ml', name: 'ab12-1', uid: 'uid-1' },
    spec: { requester: { subject: 'ana' }, rules: ['r'] },
  };
  const notifier = startNotifier({
    client: {
      async find({ plural }: { readonly plural: string }) {
        if (plural !== 'configmaps') return approvalObject;
        if (++reads <= 3) throw new Error('503');
        return undefined;
      },
      patch: async () => ({}),
    } as unknown as NotifierOptions['client'],
    namespace: 'sidegate-system',
    approvals: cache([fact]),
    grants: cache([]),
    channels: [
      {
        name: 'pager',
        async send() {
          sent += 1;
          return 'sent';
        },
      },
    ],
    endpoint,
    clock,
    logger: silentLogger,
    leading: () => true,
  });
  try {
    notifier.lead();
    for (const [ms, expected] of [
      [1_000, 2],
      [2_000, 3],
    ] as const) {
      await until(() => clock.pending > 0 && reads === expected - 1);
      clock.advance(ms);
      await until(() => reads === expected);
    }
    await until(() => clock.pending > 0);
    expect(sent).toBe(0);
    clock.advance(4_000);
    await until(() => reads === 4);
    await until(() => {
      clock.advance(1_000);
      return sent === 1;
    });
  } finally {
    await notifier.close();
  }
});

test('a channel that does not answer holds up no other, and in each namespaces take turns', async () => {
  const clock = fakeClock();
  const facts = new Map(
    [...Array.from({ length: 100 }, (_, at) => `ml/a-${at}`), 'hr/b'].map((key) => {
      const [namespace = '', name = ''] = key.split('/');
      return [key, { key, namespace, name, uid: key, phase: 'Pending', expiresAt: clock.now() + 600_000 }] as const;
    }),
  );
  const cache = (of: typeof facts) =>
    ({
      values: () => of.values(),
      get: (key: string) => of.get(key),
      subscribe: () => () => undefined,
    }) as unknown as NotifierOptions['approvals'] & NotifierOptions['grants'];
  const told: Record<string, string[]> = { mail: [], chat: [] };
  const dead = Promise.withResolvers<never>();
  dead.promise.catch(() => undefined);
  const notifier = startNotifier({
    client: {
      find: async (
        { plural }: { readonly plural: string },
        { namespace, name }: { namespace: string; name: string },
      ) =>
        plural === 'configmaps'
          ? undefined
          : {
              metadata: { namespace, name, uid: `${namespace}/${name}` },
              spec: { requester: { subject: 'ana' }, rules: ['r'] },
            },
      patch: async () => ({}),
    } as unknown as NotifierOptions['client'],
    namespace: 'sidegate-system',
    approvals: cache(facts),
    grants: cache(new Map()),
    channels: [
      {
        name: 'mail',
        send({ uid }) {
          told['mail']?.push(uid);
          return dead.promise;
        },
      },
      {
        name: 'chat',
        async send({ uid }) {
          told['chat']?.push(uid);
          return 'sent';
        },
      },
    ],
    endpoint,
    clock,
    logger: silentLogger,
    leading: () => true,
  });
  try {
    notifier.lead();
    await until(() => told['chat']?.length === 101, 'chat was told of all');
    expect(told['chat']?.indexOf('hr/b')).toBeLessThan(16);
    expect(told['mail']).toHaveLength(8);
  } finally {
    dead.reject(new Error('it ends'));
    await notifier.close();
  }
});

describe('the page behind a link', () => {
  let page: Awaited<ReturnType<typeof createDecisionServer>>;
  const asked: string[] = [];
  const results: string[] = [];
  const counted = (name: string) => (result: string) => void results.push(`${name} ${result}`);
  beforeAll(async () => {
    const refuse = async (): Promise<'unauthenticated'> => {
      asked.push('asked');
      return 'unauthenticated';
    };
    page = await createDecisionServer({
      ...{ host: 'localhost', port: 0, material: certificate, clock: systemClock, logger: silentLogger },
      decider: { prove: refuse },
      onResult: counted('decisions'),
      more: ['/v1/one', '/v1/other'].map((path, at) => ({
        ownLimit: at === 0,
        onResult: counted(path),
        routes: async ({ url }) => (url === path ? Promise.reject(new Error('connect ECONNREFUSED')) : undefined),
      })),
    });
  });
  afterAll(() => page.close());

  /** The whole answer, as it is on the wire. */
  const get = (path: string, method = 'GET'): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = new TLSSocket(connect(page.port, 'localhost'), {});
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    });

  test('is the same for what is there and what is not, asks nobody, and decides nothing', async () => {
    const [one, other] = await Promise.all([
      get('/v1/namespaces/ml/approvals/ab12-1'),
      get('/v1/namespaces/ml/grants/nothing'),
    ]);
    const body = (text: string): string => text.slice(text.indexOf('\r\n\r\n'));
    expect(one).toMatch(/^HTTP\/1\.1 200 /);
    expect(body(one)).toBe(body(other));
    expect(await get('/v1/namespaces/ml/approvals/ab12-1', 'POST')).toMatch(/^HTTP\/1\.1 405 /);
    expect(asked).toEqual([]);
  });

  test('leaves room for others, however many connections one address opens', async () => {
    const sockets: Socket[] = [];
    let refused = 0;
    for (let n = 0; n < 70; n++) {
      const socket = connect(page.port, 'localhost');
      socket.on('error', () => undefined).on('close', () => (refused += 1));
      sockets.push(socket);
    }
    try {
      await until(() => refused === 6);
      const leaving = sockets.filter((socket) => !socket.destroyed).slice(0, 2);
      for (const socket of leaving) socket.destroy();
      const page = (): Promise<string> => get('/v1/namespaces/ml/approvals/x').catch(() => '');
      await until(async () => (await Promise.race([page(), pause(500)]))?.startsWith('HTTP/1.1 200 ') === true);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  test('counts what fails of other pages as theirs', async () => {
    results.length = 0;
    for (const path of ['/v1/one', '/v1/other']) {
      const answer = await get(path);
      expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*"try_again"/);
      expect(answer).not.toContain('ECONNREFUSED');
    }
    expect(results).toEqual(['/v1/one failed', '/v1/other failed']);
  });

  test('runs its own script and nothing else, in no frame', async () => {
    const text = await get('/v1/namespaces/ml/approvals/ab12-1');
    const policy = /content-security-policy: (.*)\r\n/i.exec(text)?.[1] ?? '';
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"])
      expect(policy).toContain(part);
    for (const tag of ['script', 'style']) {
      const own = new RegExp(`<${tag}>([^]*)</${tag}>`).exec(text)?.[1] ?? '';
      expect(policy).toContain(`${tag}-src 'sha256-${createHash('sha256').update(own).digest('base64')}'`);
    }
    expect(policy).not.toContain('unsafe');
    expect(text).toMatch(/referrer-policy: no-referrer\r\n/i);
  });
});
