import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import type { AddressInfo } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Caller, GrpcModel, Message } from '../support/grpc-model.ts';
import {
  asking,
  grpcCaller,
  metadataOf,
  said,
  saying,
  startGrpcModel,
  status,
  textsOf,
} from '../support/grpc-model.ts';
import { streamChat } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';

// Callers that speak HTTP/2 without TLS: gRPC's own client with insecure credentials, and HTTP. Where the policy lets plain callers in, all is as over TLS.

const rules = `
  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  classification:
  - { label: card, detectors: [CreditCard], visibleTo: [], otherwise: Mask }
`;
const optional = '  tls: { inbound: Optional }\n';
const card = '4111 1111 1111 1111';
const secret = 'ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6';

let world: World;
let model: GrpcModel;
let caller: Caller;
let token: string;
beforeAll(async () => {
  model = await startGrpcModel();
  world = await startWorld({ rpcUrl: model.url, policy: (issuer) => basePolicy(issuer, rules + optional) });
  token = await world.token();
  caller = grpcCaller(world.port, world.ca, token, { plain: true });
});
afterAll(async () => {
  caller.close();
  await world.close();
  model.close();
});
beforeEach(() => {
  model.seen.length = 0;
  model.infer = (_call, answer) => answer(null, saying('hello'));
});

const promptsOf = (request: Message): string[] => (request['raw_input_contents'] as Buffer[]).flatMap(textsOf);
const lastEnd = async (): Promise<Record<string, unknown> | undefined> =>
  (await world.record()).findLast((one) => one['type'] === 'end');

describe('gRPC with insecure credentials', () => {
  test('a unary call is governed, masked both ways and on record', async () => {
    model.infer = (_call, answer) => answer(null, saying(`pay with ${card} then`));
    const result = await caller.call('ModelInfer', asking('write to ana@example.com today'));
    expect([result.code, said(result.answer ?? {})]).toEqual([status.OK, ['pay with [card] then']]);
    expect(promptsOf(model.seen[0]?.request ?? {})[0]).toMatch(/^write to .+ today$/);
    expect(JSON.stringify(model.seen[0]?.request)).not.toContain('ana@');
    expect(model.seen[0]?.metadata.getMap()).not.toHaveProperty('authorization');
    expect((await world.record()).findLast((one) => one['type'] === 'start')).toMatchObject({
      ...{ protocol: 'h2', dialect: 'grpc', operation: 'Completions', caller: { subject: 'ana' } },
    });
    expect(await lastEnd()).toMatchObject({ outcome: 'completed', code: null });
  });

  test('who has no credential, or the wrong one, or says what a guard blocks, is refused by a status', async () => {
    const others = await world.token({ sub: 'bob', groups: ['others'] });
    const refusals = await Promise.all([
      caller.call('ModelInfer', asking('hello'), { token: null }),
      caller.call('ModelInfer', asking('hello'), { token: 'x.y.z' }),
      caller.call('ModelInfer', asking('hello'), { token: others }),
      caller.call('ModelInfer', asking(`key ${secret}`)),
    ]);
    const { UNAUTHENTICATED, PERMISSION_DENIED } = status;
    expect(refusals.map(({ code }) => code)).toEqual([
      ...[UNAUTHENTICATED, UNAUTHENTICATED, PERMISSION_DENIED, PERMISSION_DENIED],
    ]);
    for (const { metadata } of refusals) expect(metadata.get('grpc-status-details-bin')).toHaveLength(1);
    expect(model.seen).toEqual([]);
  });

  test('a stream goes both ways, and its status comes in trailers', async () => {
    model.stream = (call) => {
      call.on('data', (request: Message) =>
        call.write({
          infer_response: saying(`${promptsOf(request).join()}: pay ${card}, then. `, {
            id: request['id'],
            parameters: { triton_final_response: { bool_param: true } },
          }),
        }),
      );
      call.on('end', () => call.emit('error', { code: status.NOT_FOUND, details: 'no more' }));
    };
    const call = caller.client['ModelStreamInfer']?.(metadataOf(token)) as ClientDuplexStream<Message, Message>;
    const heard: string[] = [];
    call.on('data', (message: Message) => heard.push(...said(message['infer_response'] as Message)));
    const over = new Promise<{ code: number; details: string }>((resolve) =>
      call.on('error', (error) => resolve(error as never)),
    );
    for (const id of ['1', '2']) {
      call.write(asking(`question ${id}`, { id }));
      await until(
        () => heard.join('').split('[card], then. ').length === Number(id) + 1,
        () => `answer ${id}; heard ${JSON.stringify(heard)} ${JSON.stringify(world.recordSoFar().at(-1))}`,
      );
    }
    call.end();
    expect(await over).toMatchObject({ code: status.NOT_FOUND, details: 'no more' });
    expect(heard.join('')).toBe('question 1: pay [card], then. question 2: pay [card], then. ');
  });

  test('who gives up ends the model’s work, unary and as a stream; so does a deadline', async () => {
    let before = model.cancelled;
    model.infer = () => undefined;
    const gone = await caller.call('ModelInfer', asking('hello'), {
      onCall: (call) => void until(() => model.seen.length === 1, 'it is there').then(() => call.cancel()),
    });
    expect(gone.code).toBe(status.CANCELLED);
    await until(() => model.cancelled === before + 1, 'the model is told');
    before = model.cancelled;
    const late = await caller.call('ModelInfer', asking('hello'), { deadlineMs: 300 });
    expect(late.code).toBe(status.DEADLINE_EXCEEDED);
    await until(() => model.cancelled > before, 'the model is told');
    before = model.cancelled;
    let begun = false;
    model.stream = (call) => void call.on('data', () => (begun = true));
    const call = caller.client['ModelStreamInfer']?.(metadataOf(token)) as ClientDuplexStream<Message, Message>;
    call.on('error', () => undefined);
    call.write(asking('hello'));
    await until(() => begun, 'it is under way');
    call.cancel();
    await until(() => model.cancelled > before && world.sidecar.live === 0, 'the model is told');
  });

  test('a model that breaks off is a status that is not OK', async () => {
    model.infer = (_call, answer) => answer({ code: status.UNAVAILABLE, details: `ask ${card}` });
    const result = await caller.call('ModelInfer', asking('hello'));
    expect(result.code).toBe(status.UNAVAILABLE);
    expect(result.details).not.toContain('4111');
  });

  test('where TLS is required the client says what it met, and the model sees nothing', async () => {
    await world.setPolicy(basePolicy(world.issuer.url, rules));
    const plain = grpcCaller(world.port, world.ca, token, { plain: true });
    const secure = grpcCaller(world.port, world.ca, token);
    try {
      const result = await plain.call('ModelInfer', asking('hello'), { deadlineMs: 20_000 });
      expect([result.code, result.details]).toEqual([status.UNKNOWN, expect.stringContaining('426')]);
      expect(model.seen).toEqual([]);
      expect((await secure.call('ModelInfer', asking('hello'))).code).toBe(status.OK);
      expect(await world.metrics()).toMatch(/^sidegate_refused_before_exchange_total\{code="tls_required"\} [1-9]/m);
    } finally {
      plain.close();
      secure.close();
      await world.setPolicy(basePolicy(world.issuer.url, rules + optional));
    }
  });
});

describe('HTTP', () => {
  const path = '/v1/chat/completions';
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], stream: true });

  interface Got {
    readonly head: Record<string, unknown>;
    readonly text: string;
  }
  const post = (on: ClientHttp2Session): Promise<Got> =>
    new Promise((resolve, reject) => {
      const stream = on.request({
        ...{ ':method': 'POST', ':path': path, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        'sidegate-receipt': 'full',
      });
      let head: Record<string, unknown> = {};
      let text = '';
      stream.on('response', (given) => (head = given));
      stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      stream.on('end', () => resolve({ head, text }));
      stream.on('error', reject);
      stream.end(body);
    });
  /** Without ids and times. */
  const same = (text: string): string =>
    text.replace(/[0-9a-f]{32,}/g, 'ID').replace(/"(?:at|time|ms|durationMs|[a-zA-Z]*Ms)":[^,}]+/g, '');

  test('is answered and receipted as over TLS', async () => {
    const got: Got[] = [];
    const kept: unknown[] = [];
    for (const url of [world.url, `http://127.0.0.1:${world.port}`]) {
      world.model.script = streamChat(['Pay with ', card, ' now.']);
      const session = connectH2(url, { ca: world.ca });
      got.push(await post(session));
      session.close();
      const start = (await world.record()).findLast((one) => one['type'] === 'start');
      const { outcome, status: said_, rules: acts, code } = (await lastEnd()) ?? {};
      const { protocol, dialect, operation, path: asked, caller: who } = start ?? {};
      kept.push({ protocol, dialect, operation, asked, who, outcome, said_, acts, code });
    }
    const [secure, plain] = got;
    expect(joinContent(plain!.text.replace(/^: .*\n\n/m, ''))).toBe('Pay with [card] now.');
    expect(same(plain!.text)).toBe(same(secure!.text));
    expect(plain!.text).toMatch(/: sidegate-receipt id=.*card=masked.*failed-open=none/);
    const steady = ({ head }: Got): string => same(JSON.stringify({ ...head, date: '' }));
    expect(steady(plain!)).toBe(steady(secure!));
    expect(kept[1]).toEqual(kept[0]);
  });
});

describe('`Upgrade: h2c` of HTTP/1.1', () => {
  /** What a server that follows it was asked. */
  const heads: IncomingHttpHeaders[] = [];
  let other: World;
  const willing = createServer((request, response) => {
    heads.push(request.headers);
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"object":"list","data":[]}');
  });
  willing.on('upgrade', (request, socket) => {
    heads.push(request.headers);
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => willing.listen(0, '127.0.0.1', resolve));
    other = await startWorld({
      modelUrl: `http://127.0.0.1:${(willing.address() as AddressInfo).port}`,
      policy: (issuer) => basePolicy(issuer, optional).replace('ListModels]', 'ListModels, Other]'),
    });
  });
  afterAll(async () => {
    await other.close();
    willing.closeAllConnections();
    willing.close();
  });

  test.each(['Enforce', 'Observe'])('does not reach the model, which would follow it (%s)', async (mode) => {
    if (mode === 'Observe') {
      const policy = basePolicy(other.issuer.url, optional).replace('ListModels]', 'ListModels, Other]');
      await other.setPolicy(policy.replace('mode: Enforce', 'mode: Observe'));
    }
    const bearer = await other.token();
    for (const [path, plain] of [
      ['/v1/models', true],
      ['/v1/models', false],
      ['/custom', true],
      ['/custom', false],
    ] as const) {
      heads.length = 0;
      const at = { port: other.port, host: '127.0.0.1' };
      const socket = plain ? connectPlain(at) : connectTls({ ...at, ca: other.ca });
      let text = '';
      socket.on('error', () => undefined);
      socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${bearer}\r\nConnection: Upgrade, HTTP2-Settings\r\n` +
          `Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
      );
      await until(() => text.includes('\r\n\r\n'), 'it is answered');
      socket.destroy();
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
      expect(heads).toHaveLength(1);
      expect(Object.keys(heads[0] ?? {})).not.toContain('upgrade');
      expect(Object.keys(heads[0] ?? {})).not.toContain('http2-settings');
      expect(heads[0]?.connection ?? '').not.toMatch(/upgrade|settings/i);
    }
  });
});
