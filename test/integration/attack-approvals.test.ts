import { request as httpsRequest } from 'node:https';
import type { ClientRequest } from 'node:http';
import { connect } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { ApprovalGate, ApprovalState, AuditSink, Grant, IdentityVerifierFactory } from '../../pkg/core/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { createApprovalDesk } from '../support/approval-desk.ts';
import type { ApprovalDesk } from '../support/approval-desk.ts';
import { createGrantList } from '../support/grant-list.ts';
import { answerChat, chunk, streamChat } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';
import type { Answer, World, WorldOptions } from '../support/world.ts';

// Attacks on what waits for people, on access for a time, and on what both must not outlive.

let world: World;
let desk: ApprovalDesk;
afterEach(() => world.close());

const project = '  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }\n';
const approvers = (timeout = '60s'): string =>
  `  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: ${timeout} }\n`;
const guards = (more = ''): string => `  guards:\n${project}${more}`;
const secret =
  '  classification:\n  - { label: secret, detectors: [Email], visibleTo: [{ group: security }], otherwise: RequireApproval }\n';

async function start(policy: (timeout?: string) => string, more: Partial<WorldOptions> = {}): Promise<void> {
  desk = createApprovalDesk();
  world = await startWorld({ policy: (issuer) => basePolicy(issuer, policy()), approvals: desk.gate, ...more });
  world.model.script = answerChat('fine');
}
const swap = (policy: string): Promise<void> => world.setPolicy(basePolicy(world.issuer.url, policy));

const chat = (content: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: 'llama-3-8b',
  messages: [{ role: 'user', content }],
  ...more,
});
const ask = (body: Record<string, unknown>, options: Parameters<World['post']>[2] = {}): Promise<Answer> =>
  world.post('/v1/chat/completions', body, options);
const codeOf = (answer: Answer): unknown => (JSON.parse(answer.text) as { error: { code: string } }).error.code;

/** A request whose body comes when the test says. */
async function slowly(
  path: string,
  headers: Record<string, string>,
  token?: string,
): Promise<{ readonly sent: ClientRequest; readonly answer: Promise<Answer> }> {
  const bearer = token ?? (await world.token());
  const sent = httpsRequest({
    host: '127.0.0.1',
    port: world.port,
    method: 'POST',
    path,
    ca: world.ca,
    headers: { authorization: `Bearer ${bearer}`, ...headers },
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      const done = (): void =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString('utf8'),
          broken: !response.complete,
        });
      response.on('data', (piece: Buffer) => chunks.push(piece));
      response.on('end', done);
      response.on('error', done);
    });
  });
  return { sent, answer };
}

describe('people are asked under the policy in force', () => {
  test('a request whose body came in while the policy changed asks nobody under the old one', async () => {
    await start(() => guards() + approvers());
    const body = JSON.stringify(chat('what is falcon'));
    const { sent, answer } = await slowly('/v1/chat/completions', {
      'content-type': 'application/json',
      'content-length': String(body.length),
    });
    sent.write(body.slice(0, 10));
    await until(async () => /^sidegate_requests_live [1-9]/m.test(await world.metrics()));
    await swap(guards() + approvers('1s'));
    sent.end(body.slice(10));
    const refused = await answer;
    // Judged by the newest: it waits as long as that says, and the old one would have let it wait for a minute.
    expect([refused.status, codeOf(refused)]).toEqual([403, 'approval_expired']);
    expect(desk.asks).toHaveLength(1);
    expect(world.model.seen).toEqual([]);
  });

  test.each([false, true])('stream %s: an answer that was under way when the policy changed, too', async (stream) => {
    await start(() => secret + approvers());
    let finish = (): void => undefined;
    world.model.script = async (response, request) => {
      await new Promise<void>((resolve) => (finish = resolve));
      await (stream ? streamChat(['write to ana@example.com']) : answerChat('write to ana@example.com'))(
        response,
        request,
      );
    };
    const answer = ask(chat('hello', { stream }));
    await until(() => world.model.seen.length === 1);
    await swap(secret + approvers('61s'));
    finish();
    const refused = await answer;
    expect([refused.status, codeOf(refused)]).toEqual([403, 'policy_changed']);
    expect(refused.text).not.toContain('ana@');
    expect(desk.asks).toEqual([]);
  });
});

describe('an approval covers what held the request', () => {
  test('in a header, too: approvers read it, and another one needs another approval', async () => {
    await start(() => guards() + approvers());
    const first = ask(chat('hello'), { headers: { 'user-agent': 'falcon one' } });
    await until(() => desk.cases.length === 1);
    expect(desk.asks[0]?.excerpt).toContain('user-agent: falcon one');
    desk.decide('Approve');
    expect((await first).status).toBe(200);
    const second = ask(chat('hello'), { headers: { 'user-agent': 'falcon two' } });
    await until(() => desk.asks.length === 2);
    expect(desk.asks[1]?.digest).not.toBe(desk.asks[0]?.digest);
    desk.decide('Deny');
    expect((await second).status).toBe(403);
    // What no rule holds is in no approval.
    const third = ask(chat('hello'), { headers: { 'user-agent': 'falcon one', 'x-request-id': 'try-2' } });
    await until(() => desk.asks.length === 3);
    expect(desk.asks[2]?.digest).toBe(desk.asks[0]?.digest);
    desk.decide('Deny');
    await third;
  });
});

describe('findings that lie on each other', () => {
  test('a request: what is approved goes on with its masks, and a block wins', async () => {
    await start(
      () =>
        guards(`  - { name: hide, direction: Request, match: { patterns: ['falcon heavy'] }, action: Mask }
  - { name: stop, direction: Request, match: { patterns: ['super falcon'] }, action: Block }
`) + approvers(),
    );
    const answer = ask(chat('the falcon heavy, please'));
    await until(() => desk.cases.length === 1);
    desk.decide('Approve');
    expect((await answer).status).toBe(200);
    expect(world.model.seen[0]?.body).not.toContain('falcon');
    expect(codeOf(await ask(chat('a super falcon')))).toBe('guard_blocked');
    expect(desk.cases).toHaveLength(1);
  });

  test.each([false, true])('stream %s: an answer, the same', async (stream) => {
    await start(
      () => `  classification:
  - { label: secret, detectors: [Email], otherwise: RequireApproval }
  - { label: hidden, patterns: ['mail ana@example.com now'], otherwise: Mask }
  - { label: never, patterns: ['top eve@example.com'], otherwise: Block }
${approvers()}`,
    );
    const say = (text: string): void => {
      world.model.script = stream ? streamChat(text.split(/(?<= )/)) : answerChat(text);
    };
    say('please mail ana@example.com now, or bob@example.com');
    const answer = ask(chat('hello', { stream }));
    await until(() => desk.cases.length === 1);
    expect(desk.cases[0]?.ask.excerpt).not.toContain('@');
    desk.decide('Approve');
    const { status, text } = await answer;
    expect(status).toBe(200);
    expect(text).not.toContain('ana@');
    say('the top eve@example.com is');
    const refused = await ask(chat('hello', { stream }));
    expect([refused.status, codeOf(refused)]).toEqual([403, 'response_blocked']);
    expect(refused.text).not.toContain('eve@');
    expect(desk.cases).toHaveLength(1);
  });
});

describe('access for a time', () => {
  const grant = (more: Partial<Grant> = {}): Grant => ({
    name: 'on-call',
    uid: 'u-1',
    issuer: world.issuer.url,
    subject: 'eve',
    operations: ['Chat', 'Other'],
    models: ['*'],
    from: 0,
    until: Date.now() + 60_000,
    ...more,
  });
  const eve = (): Promise<string> => world.token({ sub: 'eve', groups: ['nobody'] });

  test('that ended while a body came in lets nothing through', async () => {
    const grants = createGrantList();
    await start(() => '  classification:\n  - { label: card, detectors: [CreditCard], otherwise: Mask }\n', { grants });
    grants.set(grant());
    const { sent, answer } = await slowly(
      '/v1/audio/odd',
      { 'content-type': 'application/octet-stream', 'content-length': '4' },
      await eve(),
    );
    sent.write('ab');
    await until(async () => /^sidegate_stage_seconds_count\{stage="access"\} 1$/m.test(await world.metrics()));
    grants.set();
    sent.end('cd');
    const refused = await answer;
    expect([refused.status, codeOf(refused)]).toEqual([403, 'grant_ended']);
    expect(world.model.seen).toEqual([]);
  });

  test('that was narrowed under the same name ends what it no longer covers', async () => {
    const grants = createGrantList();
    await start(() => '', { grants });
    grants.set(grant({ until: Date.now() + 3_600_000 }));
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      const timer = setInterval(() => response.write(chunk({ content: 'word ' })), 20);
      response.on('close', () => clearInterval(timer));
    };
    let heard = '';
    const answer = ask(chat('hi', { stream: true }), { token: await eve(), onChunk: (text) => (heard += text) });
    await until(() => heard.includes('word'));
    grants.set(grant({ until: Date.now() + 3_600_000, models: ['other-*'] }));
    expect((await answer).text).toContain('"code":"grant_ended"');
  });
});

describe('questions about an approval', () => {
  test('that nobody answers, or whose caller is gone, leave nothing behind', async () => {
    let open = 0;
    const silent: ApprovalGate = {
      ask: () => ({ claim: () => Promise.resolve(false), leave: () => undefined }),
      watch() {
        open++;
        return { leave: () => void open-- };
      },
    };
    await start(() => guards() + approvers(), { approvals: silent });
    const gone = new AbortController();
    const left = world.call('GET', '/.sidegate/approvals/a', { signal: gone.signal }).catch(() => 'gone');
    const asked = world.call('GET', '/.sidegate/approvals/a');
    await until(() => open === 2);
    gone.abort();
    await left;
    await until(() => open === 1);
    expect(codeOf(await asked)).toBe('approval_unknown');
    expect(open).toBe(0);
  });

  test.each(['..%2f..%2fv1%2fmodels', '%00', 'a%0d%0ab', '..', '%2e%2e', 'x/../y', 'long', ''])(
    '%j is nobody’s name, and reaches no model',
    async (name) => {
      await start(() => guards() + approvers());
      const answer = await world.call('GET', `/.sidegate/approvals/${name === 'long' ? 'n'.repeat(5_000) : name}`);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect(world.model.seen).toEqual([]);
    },
  );
});

describe('a gate that changes its mind', () => {
  test('what was cancelled while it was claimed is not claimed anew before anybody decided', async () => {
    const state = (phase: 'Pending' | 'Approved' | 'Cancelled'): ApprovalState => ({
      kind: 'known',
      name: `a-${phase}`,
      phase,
      leftMs: 60_000,
      decisions: [],
    });
    let asks = 0;
    const claims: number[] = [];
    const odd: ApprovalGate = {
      ask(_, listener) {
        const mine = ++asks;
        queueMicrotask(() => listener(state(mine === 1 ? 'Approved' : 'Pending')));
        return {
          claim: () => {
            claims.push(mine);
            if (mine > 1) return Promise.resolve(true); // nobody approved this one
            setImmediate(() => listener(state('Cancelled')));
            return new Promise(() => undefined);
          },
          leave: () => undefined,
        };
      },
      watch: () => ({ leave: () => undefined }),
    };
    await start(() => guards() + approvers('1s'), { approvals: odd });
    const refused = await ask(chat('falcon'));
    expect(refused.status).toBe(403);
    expect(claims).toEqual([1]);
    expect(world.model.seen).toEqual([]);
  });
});

describe('a stream that has begun while it waited', () => {
  test.each([
    [204, '', ''],
    [500, 'application/json', ''],
    [304, 'text/event-stream', ''],
    [400, 'application/json', '{"error":{"message":"a\\r\\ndata: [DONE]\\r\\n",\r\n"code":null}}'],
  ])(
    'status %s of the model with no more than %s %j is no event that breaks a client, and no good end',
    async (status, type, body) => {
      await start(() => guards() + approvers());
      world.model.script = (response) => {
        response.statusCode = status;
        if (type !== '') response.setHeader('content-type', type);
        response.end(body);
      };
      let heard = '';
      const answer = ask(chat('falcon', { stream: true }), { onChunk: (text) => (heard += text) });
      await until(() => heard.includes(': waiting'));
      desk.decide('Approve');
      const { text } = await answer;
      const events = text.split('\n\n').filter((event) => event.startsWith('data:'));
      for (const event of events) {
        const data = event
          .split('\n')
          .map((line) => line.replace(/^data: /, ''))
          .join('\n');
        expect(() => JSON.parse(data) as unknown).not.toThrow();
      }
      expect(text).not.toMatch(/^data: \[DONE\]/m);
      if (status >= 400) expect(events).toHaveLength(1);
    },
    20_000,
  );
});

test('asking what became of approvals is once a second for each caller, and the controller hears no more of it', async () => {
  await start(() => `${guards()}${approvers()}`);
  const bob = await world.token({ sub: 'bob' });
  const began = performance.now();
  const answers = await Promise.all(Array.from({ length: 30 }, () => world.call('GET', '/.sidegate/approvals/a')));
  const passed = answers.filter((one) => codeOf(one) !== 'approvals_limited').length;
  // Ten at once, and one more each second.
  expect(passed).toBeGreaterThanOrEqual(10);
  expect(passed).toBeLessThanOrEqual(11 + (performance.now() - began) / 1_000);
  // Another caller has questions of their own.
  expect(codeOf(await world.call('GET', '/.sidegate/approvals/a', { token: bob }))).toBe('approval_unknown');
});

test('a long prompt that waits is recorded whole, masked, and in steps', async () => {
  await start(
    () =>
      `${guards()}  classification:\n  - { label: mail, detectors: [Email], visibleTo: [], otherwise: Mask }\n${approvers()}`,
  );
  const answer = ask(chat(`falcon ${'ana@example.com and much else. '.repeat(10_000)}`));
  await until(() => desk.cases.length === 1);
  const segments = world
    .recordSoFar()
    .filter((event) => event['type'] === 'segment' && event['direction'] === 'request');
  expect(segments.map((one) => String(one['text'])).join('')).toHaveLength(
    'falcon '.length + '[mail] and much else. '.length * 10_000,
  );
  expect(JSON.stringify(world.recordSoFar())).not.toContain('ana@example.com');
  desk.decide('Deny');
  expect(codeOf(await answer)).toBe('approval_denied');
});

test.each([
  ['Deny', 'Pending', 503],
  ['Deny', 'Used', 503],
  ['Allow', 'Used', 200],
] as const)('a record that fails while it waits: %s, at %s', async (onFailure, at, status) => {
  const audit: AuditSink = {
    append(events) {
      if (events.some((event) => event.type === 'approval' && event.phase === at)) throw new Error('the disk is full');
    },
    close: () => Promise.resolve(),
  };
  await start(() => `${guards()}${approvers()}  audit: { onFailure: ${onFailure} }\n`, { audit });
  const answer = ask(chat('falcon'));
  await until(() => desk.cases.length === 1);
  if (at === 'Used') desk.decide('Approve');
  const got = await answer;
  expect(got.status).toBe(status);
  expect(world.model.seen).toHaveLength(status === 200 ? 1 : 0);
  expect(got.headers['sidegate-receipt']).toContain(status === 200 ? 'failed-open=audit' : 'failed-open=none');
  expect(desk.cases[0]?.waiters).toBe(0);
});

describe('WebSocket handshakes', () => {
  const shake = async (path: string): Promise<{ readonly head: Promise<string>; destroy(): void }> => {
    const token = await world.token();
    const socket = connect({ host: '127.0.0.1', port: world.port, ca: world.ca, servername: 'localhost' });
    socket.on('error', () => undefined);
    const head = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (piece: Buffer) => {
        text += piece.toString('latin1');
        if (text.includes('\r\n\r\n')) resolve(text);
      });
      socket.on('close', () => resolve(text));
    });
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    return { head, destroy: () => socket.destroy() };
  };

  test('a path that holds what nobody may see is recorded masked', async () => {
    await start(() => '  classification:\n  - { label: mail, detectors: [Email], visibleTo: [], otherwise: Mask }\n');
    const { head, destroy } = await shake('/stream/ana@example.com');
    expect(await head).toMatch(/^HTTP\/1\.1 4/);
    destroy();
    await until(() => world.recordSoFar().at(-1)?.['type'] === 'end');
    const record = JSON.stringify(await world.record());
    expect(record).toContain('/stream/');
    expect(record).not.toContain('ana@example.com');
  });

  test.each(['padToMultipleOf: 512'])('where a response limit (%s) would not be kept, it is refused', async (limit) => {
    desk = createApprovalDesk();
    const limits = `  responseLimits:\n  - { subjects: [{ anyone: true }], ${limit} }\n`;
    world = await startWorld({
      policy: (issuer) => basePolicy(issuer, limits).replace('ListModels]', 'ListModels, Other]'),
    });
    const { head, destroy } = await shake('/stream');
    expect(await head).toMatch(/^HTTP\/1\.1 415 /);
    destroy();
    expect(world.model.seen).toEqual([]);
  });

  test('one that a policy of meanwhile forbids is not opened', async () => {
    let verifying = false;
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const real = createIdentityVerifier({ clock: systemClock, logger: silentLogger });
    const verifiers: IdentityVerifierFactory = (providers) => {
      const verifier = real(providers);
      return {
        verify: async (credentials) => {
          verifying = true;
          await held;
          return verifier.verify(credentials);
        },
        clientAuthorities: () => verifier.clientAuthorities(),
        close: () => verifier.close(),
      };
    };
    const open = (issuer: string): string => basePolicy(issuer).replace('ListModels]', 'ListModels, Other]');
    world = await startWorld({ policy: open, verifiers });
    const { head, destroy } = await shake('/stream');
    await until(() => verifying);
    await world.setPolicy(basePolicy(world.issuer.url));
    goOn();
    const text = await head;
    destroy();
    expect(text).toMatch(/^HTTP\/1\.1 403 /);
    expect(text).toContain('policy_changed');
    expect(world.model.seen).toEqual([]);
  });
});

test('an answer that waits after its prompt had waited is kept alive, too', async () => {
  await start(() => guards() + secret + approvers());
  world.model.script = streamChat(['write to ana@example.com']);
  let heard = '';
  const answer = ask(chat('falcon', { stream: true }), { onChunk: (text) => (heard += text) });
  await until(() => desk.cases.length === 1);
  desk.decide('Approve');
  await until(() => desk.cases.length === 2);
  await until(() => heard.includes(': waiting'));
  expect(heard).not.toContain('data:');
  desk.decide('Approve');
  expect(joinContent((await answer).text.replaceAll(/^: .*\n\n/gm, ''))).toBe('write to ana@example.com');
});
