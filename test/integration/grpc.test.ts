import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Caller, CallResult, GrpcModel, Message } from '../support/grpc-model.ts';
import {
  asking,
  elements,
  grpcCaller,
  metadataOf,
  said,
  saying,
  startGrpcModel,
  status,
  textsOf,
} from '../support/grpc-model.ts';
import { createApprovalDesk } from '../support/approval-desk.ts';
import type { ApprovalDesk } from '../support/approval-desk.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Calls of gRPC, by gRPC's own client and server: the same policy as of any request.

const card = '4111 1111 1111 1111';
const policy = `
  - name: health
    effect: Allow
    subjects: [{ anyone: true }]
    operations: [Health]
  - name: few
    effect: Allow
    subjects: [{ group: limited }]
    operations: [Completions]
    limits: { requestsPerMinute: 1 }
  - name: metered
    effect: Allow
    subjects: [{ group: metered }]
    operations: [Completions]
    limits: { tokensPerMinute: 100 }
  - name: short
    effect: Allow
    subjects: [{ group: short }]
    operations: [Completions]
    limits: { maxOutputTokens: 100 }
  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  classification:
  - { label: card, detectors: [CreditCard], visibleTo: [{ group: finance }], otherwise: Mask }
  - { label: poison, patterns: ["toxic[0-9]"], otherwise: Block }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: TIMEOUT }
  requestLimits: { maxBodyBytes: 1Mi }
`;

let world: World;
let model: GrpcModel;
let desk: ApprovalDesk;
let caller: Caller;
const { PERMISSION_DENIED, UNAUTHENTICATED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT, UNIMPLEMENTED } = status;
const { DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, OK } = status;

async function start(timeout = '60s'): Promise<void> {
  desk = createApprovalDesk();
  model = await startGrpcModel();
  world = await startWorld({
    policy: (issuer) => basePolicy(issuer, policy.replace('TIMEOUT', timeout)),
    approvals: desk.gate,
    rpcUrl: model.url,
  });
  caller = grpcCaller(world.port, world.ca, await world.token());
}

async function stop(): Promise<void> {
  caller.close();
  await world.close();
  model.close();
}

const infer = (text: string, more: Message = {}, options: Parameters<Caller['call']>[2] = {}): Promise<CallResult> =>
  caller.call('ModelInfer', asking(text, more), options);
const prompts = (): string[] =>
  model.seen.flatMap(({ request }) => ((request['raw_input_contents'] ?? []) as Buffer[]).flatMap(textsOf));
/** `reason` of the error's details. */
const reasonOf = ({ info }: CallResult): string =>
  /\n[\s\S]([a-z_]+)\x12/.exec(info.slice(info.indexOf('ErrorInfo')))?.[1] ?? '';

describe('a unary call', () => {
  beforeAll(() => start());
  afterAll(() => stop());
  beforeEach(() => {
    model.seen.length = 0;
    model.infer = (_call, answer) => answer(null, saying('hello'));
  });

  test('goes through as it came, with its metadata of the protocol and none of its credential', async () => {
    const result = await infer('what is the capital of France?', { id: 'x-1' }, { metadata: { 'x-own': 'secret' } });
    expect(result.code).toBe(OK);
    expect(said(result.answer ?? {})).toEqual(['hello']);
    expect(model.seen[0]?.request).toMatchObject({ model_name: 'llama-3-8b', id: 'x-1' });
    expect(prompts()).toEqual(['what is the capital of France?']);
    const metadata = model.seen[0]?.metadata.getMap() ?? {};
    expect(metadata).not.toHaveProperty('authorization');
    expect(metadata).not.toHaveProperty('x-own');
    const record = await world.record();
    expect(record.find((one) => one['type'] === 'start')).toMatchObject({
      protocol: 'h2',
      path: '/inference.GRPCInferenceService/ModelInfer',
      dialect: 'grpc',
      operation: 'Completions',
      model: 'llama-3-8b',
      caller: { subject: 'ana' },
    });
    expect(JSON.stringify(record)).toContain('what is the capital of France?');
    expect(JSON.stringify(record)).toContain('hello');
    expect(record.find((one) => one['type'] === 'end')).toMatchObject({
      outcome: 'completed',
      status: 200,
      code: null,
    });
  });

  test('tensors of numbers stay byte for byte', async () => {
    const floats = Buffer.from(Float32Array.from({ length: 10_000 }, (_, at) => at / 3).buffer);
    const ones = { name: 'x', datatype: 'FP32', shape: [10_000] };
    model.infer = (call, answer) =>
      answer(null, { model_name: 'm', outputs: [ones], raw_output_contents: call.request['raw_input_contents'] });
    const result = await caller.call('ModelInfer', { model_name: 'm', inputs: [ones], raw_input_contents: [floats] });
    expect(result.code).toBe(OK);
    expect((result.answer?.['raw_output_contents'] as Buffer[])[0]?.equals(floats)).toBe(true);
  });

  test('is refused by a status with the reason, and the model sees nothing', async () => {
    const denied = await infer('hello', {}, { token: await world.token({ sub: 'bob', groups: ['others'] }) });
    expect([denied.code, reasonOf(denied)]).toEqual([PERMISSION_DENIED, 'access_denied']);
    const none = await infer('hello', {}, { token: null });
    expect([none.code, reasonOf(none)]).toEqual([UNAUTHENTICATED, 'token_missing']);
    const bad = await infer('hello', {}, { token: 'x.y.z' });
    expect([bad.code, reasonOf(bad)]).toEqual([UNAUTHENTICATED, 'token_invalid']);
    const blocked = await infer(`key ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`);
    expect([blocked.code, reasonOf(blocked)]).toEqual([PERMISSION_DENIED, 'guard_blocked']);
    expect(blocked.details).toBe('A guard refused the content of this request.');
    expect(blocked.info).toContain('no-secrets');
    expect(blocked.metadata.get('grpc-retry-pushback-ms')).toEqual(['-1']);
    expect(model.seen).toEqual([]);
    const ends = (await world.record()).filter((one) => one['type'] === 'end').map((one) => one['code']);
    expect(ends.slice(-4)).toEqual(['access_denied', 'token_missing', 'token_invalid', 'guard_blocked']);
  });

  test('limits count it, and say when to come back', async () => {
    const token = await world.token({ sub: 'carl', groups: ['limited'] });
    expect((await infer('hello', {}, { token })).code).toBe(OK);
    const second = await infer('hello', {}, { token });
    expect([second.code, reasonOf(second)]).toEqual([RESOURCE_EXHAUSTED, 'rate_limited']);
    expect(Number(second.metadata.get('grpc-retry-pushback-ms')[0])).toBeGreaterThan(0);
  });

  test('tokens are limited: a quarter of the bytes, both ways', async () => {
    const asks = async (sub: string, text: string): Promise<(number | string)[]> => {
      const result = await infer(text, {}, { token: await world.token({ sub, groups: ['metered'] }) });
      return [result.code, reasonOf(result)];
    };
    expect(await asks('dora', 'la '.repeat(200))).toEqual([OK, '']);
    expect(await asks('dora', 'hello')).toEqual([RESOURCE_EXHAUSTED, 'token_limited']);
    model.infer = (_call, answer) => answer(null, saying('so '.repeat(300)));
    expect(await asks('emil', 'hello')).toEqual([OK, '']);
    expect(await asks('emil', 'hello')).toEqual([RESOURCE_EXHAUSTED, 'token_limited']);
  });

  test('a rule that limits output, which none of them can be told, does not let it by', async () => {
    const result = await infer('hello', {}, { token: await world.token({ sub: 'gil', groups: ['short'] }) });
    expect([result.code, reasonOf(result)]).toEqual([INVALID_ARGUMENT, 'max_tokens_exceeded']);
    expect(model.seen).toEqual([]);
  });

  test('a long answer is one message, whatever it ends with', async () => {
    model.infer = (_call, answer) => answer(null, saying(`${'so '.repeat(4_000)}pay 4111 1111 11`));
    const result = await infer('hello');
    expect(result.code).toBe(OK);
    expect(said(result.answer ?? {}).join('')).toContain('so '.repeat(4_000));
  });

  test.each<[string, string, string]>([
    ['an adapter by its number', 'lora_task_id', '1'],
    ['an adapter among the parameters', 'sampling_parameters', '{"temperature":0,"lora_name":"other"}'],
    ['the same, spelled otherwise', 'sampling_parameters', '{"l\\u006fra_name":"other"}'],
    ['parameters that cannot be read', 'sampling_parameters', '{"temperature":NaN}'],
    ['parameters that are none', 'sampling_parameters', '["lora_name"]'],
  ])('is refused: %s', async (_what, name, text) => {
    const asks = (value: string): Promise<CallResult> =>
      infer('hello', {
        inputs: [
          { name: 'text_input', datatype: 'BYTES', shape: [1] },
          { name, datatype: 'BYTES', shape: [1] },
        ],
        raw_input_contents: [elements('hello'), elements(value)],
      });
    const refused = await asks(text);
    expect([refused.code, reasonOf(refused)]).toEqual([INVALID_ARGUMENT, 'invalid_request']);
    expect(model.seen).toEqual([]);
    if (name === 'sampling_parameters') expect((await asks('{"temperature":0.5}')).code).toBe(OK);
  });

  test('what says that it is gRPC and comes by HTTP/1.1 is refused', async () => {
    const headers = { 'content-type': 'application/grpc', te: 'trailers' };
    const answer = await world.call('POST', '/inference.GRPCInferenceService/ModelConfig', { headers, body: 'x' });
    expect(answer.status).toBe(415);
  });

  test('what is masked of a prompt leaves its tensor whole, whichever way it came', async () => {
    await infer('write to ana@example.com today');
    await caller.call('ModelInfer', {
      model_name: 'm',
      inputs: [{ name: 'a', datatype: 'BYTES', contents: { bytes_contents: [Buffer.from('or ben@example.com')] } }],
    });
    await infer('hi', { parameters: { user: { string_param: 'eva@example.com' } } });
    const sent = JSON.stringify(model.seen.map(({ request }) => request));
    expect(prompts()[0]).toMatch(/^write to .+ today$/);
    for (const text of [prompts().join(), sent, Buffer.from(sent).toString()])
      expect(text).not.toContain('@example.com');
    const contents = (model.seen[1]?.request['inputs'] as { contents: { bytes_contents: Buffer[] } }[])[0]?.contents;
    expect(contents?.bytes_contents[0]?.toString()).toMatch(/^or /);
    expect(contents?.bytes_contents[0]?.toString()).not.toContain('ben@');
  });

  test('a value that is split over two elements, or compressed, is found all the same', async () => {
    const split = await caller.call('ModelInfer', {
      ...asking(''),
      raw_input_contents: [elements('key ghp_aB3dE6gH9jK2mN5', 'pQ8sT1vW4yZ7bC0dF3hJ6')],
    });
    expect(reasonOf(split)).toBe('guard_blocked');
    const packed = await infer(`${'x '.repeat(2_000)} dora@example.com`, {}, { compress: true });
    expect(packed.code).toBe(OK);
    expect(prompts().at(-1)).not.toContain('dora@');
    expect(prompts().at(-1)).toMatch(/^x x x /);
  });

  test('what is hidden of an answer is masked, blocked, or shown to whom it may be shown', async () => {
    const text = `pay with ${card}, and then go on with it`;
    model.infer = (_call, answer) => answer(null, saying(text));
    const hidden = await infer('hello');
    expect(hidden.code).toBe(OK);
    expect(said(hidden.answer ?? {})).toEqual(['pay with [card], and then go on with it']);
    const shown = await infer('hello', {}, { token: await world.token({ sub: 'fin', groups: ['ml-eng', 'finance'] }) });
    expect(said(shown.answer ?? {})).toEqual([text]);
    model.infer = (_call, answer) => answer(null, saying('some toxic7 text'));
    const blocked = await infer('hello');
    expect([blocked.code, reasonOf(blocked), blocked.answer]).toEqual([
      PERMISSION_DENIED,
      'response_blocked',
      undefined,
    ]);
    expect(JSON.stringify(await world.record())).not.toContain(card);
  });

  test("the model's own status and message come through, looked at as any text", async () => {
    model.infer = (_call, answer) => answer({ code: status.NOT_FOUND, details: `no model, ask ${card} über` });
    const result = await infer('hello');
    expect(result.code).toBe(status.NOT_FOUND);
    expect(result.details).toMatch(/^no model, ask .+ über$/);
    expect(result.details).not.toContain('1111');
  });

  test('whole numbers that may be a text are refused where guards look, in requests and answers', async () => {
    const ids = { name: 'input_ids', datatype: 'INT64', shape: [8] };
    const raw = [Buffer.alloc(64, 7)];
    const asked = await caller.call('ModelInfer', { model_name: 'm', inputs: [ids], raw_input_contents: raw });
    expect([asked.code, reasonOf(asked)]).toEqual([INVALID_ARGUMENT, 'token_input_uninspectable']);
    expect(model.seen).toEqual([]);
    model.infer = (_call, answer) => answer(null, { model_name: 'm', outputs: [ids], raw_output_contents: raw });
    const answered = await infer('hello');
    expect([answered.code, reasonOf(answered)]).toEqual([INTERNAL, 'response_uninspectable']);
  });

  test.each<[string, Message, string]>([
    [
      'memory of the server',
      { inputs: [{ name: 'a', datatype: 'BYTES', parameters: { shared_memory_region: { string_param: 'r' } } }] },
      'invalid_request',
    ],
    [
      'an answer into memory',
      { ...asking('a'), outputs: [{ name: 'o', parameters: { shared_memory_region: { string_param: 'r' } } }] },
      'invalid_request',
    ],
    ['another adapter', { ...asking('a'), parameters: { lora_name: { string_param: 'x' } } }, 'invalid_request'],
    [
      "another caller's sequence",
      { ...asking('a'), parameters: { sequence_id: { int64_param: 4 } } },
      'invalid_request',
    ],
    ['another server', { ...asking('a'), parameters: { api_base: { string_param: 'http://x' } } }, 'invalid_request'],
    ['no model', { ...asking('a'), model_name: '' }, 'invalid_request'],
    ['more than the cap', asking('x'.repeat(1_100_000)), 'body_too_large'],
  ])('%s is refused', async (_what, request, reason) => {
    const result = await caller.call('ModelInfer', { model_name: 'm', ...request });
    expect(reasonOf(result)).toBe(reason);
    expect(model.seen).toEqual([]);
  });

  test('a deadline goes on to the model, and holds where the model does not', async () => {
    let given = 0;
    model.infer = (call) => {
      given = Number(call.getDeadline()) - Date.now();
    };
    const result = await infer('hello', {}, { deadlineMs: 500 });
    expect(result.code).toBe(DEADLINE_EXCEEDED);
    expect(given).toBeGreaterThan(0);
    expect(given).toBeLessThanOrEqual(510);
    await until(() => model.cancelled > 0, 'the model is told');
  });

  test("who gives up ends the model's work", async () => {
    const before = model.cancelled;
    model.infer = () => undefined;
    const result = await infer(
      'hello',
      {},
      {
        onCall(call) {
          void until(() => model.seen.length === 1, 'it is there').then(() => call.cancel());
        },
      },
    );
    expect(result.code).toBe(status.CANCELLED);
    await until(() => model.cancelled === before + 1, 'the model is told');
    const ends = (await world.record()).filter((one) => one['type'] === 'end');
    expect(ends.at(-1)).toMatchObject({ outcome: 'aborted' });
  });

  test('pages for load balancers, lists and management are operations of their own', async () => {
    const stranger = { token: null };
    expect((await caller.call('ServerLive', {}, stranger)).answer).toEqual({ live: true });
    expect((await caller.call('ServerReady', {}, stranger)).answer).toEqual({ ready: true });
    expect((await caller.call('ModelReady', { name: 'm' }, stranger)).code).toBe(UNAUTHENTICATED);
    expect((await caller.call('ModelMetadata', { name: 'm' })).answer).toMatchObject({ name: 'm' });
    for (const method of ['RepositoryIndex', 'RepositoryModelLoad', 'RepositoryModelUnload'])
      expect(reasonOf(await caller.call(method, { model_name: 'm' }))).toBe('access_denied');
    const health = grpcCaller(world.port, world.ca, '', { service: 'health' });
    expect((await health.call('Check', {}, stranger)).answer).toEqual({ status: 1 });
    const states: unknown[] = [];
    const watch = health.client['watch']?.({ service: '' }, metadataOf(null)) as AsyncIterable<Message>;
    for await (const one of watch) states.push(one['status']);
    expect(states).toEqual([1, 2]);
    health.close();
  });

  test('a model that is not there is UNAVAILABLE', async () => {
    model.close();
    const result = await infer('hello');
    expect([result.code, reasonOf(result)]).toEqual([UNAVAILABLE, 'upstream_unreachable']);
  });
});

describe('a call that a guard holds', () => {
  afterEach(() => stop());
  const waits = (count = 1): Promise<void> => until(() => desk.cases.length === count);
  const ends = (): unknown[] => world.recordSoFar().filter((one) => one['type'] === 'end');

  test('waits, and goes on once it was approved; an identical one joins', async () => {
    await start();
    const calls = [infer('what is falcon'), infer('what is falcon')];
    await until(() => desk.asks.length === 2, 'both ask');
    await pause(30);
    expect([desk.cases.length, model.seen]).toEqual([1, []]);
    desk.decide('Approve');
    const results = await Promise.all(calls);
    // One approval lets one call through.
    expect(results.map((one) => one.code).sort()).toEqual([OK, PERMISSION_DENIED]);
    expect(results.map(reasonOf).sort()).toEqual(['', 'approval_used']);
    expect(prompts()).toEqual(['what is falcon']);
  });

  test('ends with PERMISSION_DENIED where it was denied, and where nobody decided in time', async () => {
    await start('1s');
    const denied = infer('what is falcon');
    await waits();
    desk.decide('Deny');
    expect([(await denied).code, reasonOf(await denied)]).toEqual([PERMISSION_DENIED, 'approval_denied']);
    const expired = await infer('what is falcon, again');
    expect([expired.code, reasonOf(expired)]).toEqual([PERMISSION_DENIED, 'approval_expired']);
    expect(model.seen).toEqual([]);
  });

  test('its own deadline ends the wait, and so does its caller', async () => {
    await start();
    await infer('hello'); // a connection takes time of its own
    model.seen.length = 0;
    const late = infer('what is falcon', {}, { deadlineMs: 2_000 });
    await waits();
    expect((await late).code).toBe(DEADLINE_EXCEEDED);
    await until(() => ends().length === 2, 'it is over');
    const gone = infer(
      'what is falcon then',
      {},
      {
        onCall(call) {
          void waits(2).then(() => call.cancel());
        },
      },
    );
    expect([(await gone).code, reasonOf(await gone)]).toEqual([status.CANCELLED, '']);
    await until(() => desk.cases.every((one) => one.waiters === 0), 'nobody waits');
    expect(await world.metrics()).toMatch(/^sidegate_approvals_waiting 0$/m);
    expect(model.seen).toEqual([]);
  });
});

test('a codec that is not read, and a service that nobody knows, are UNIMPLEMENTED', async () => {
  await start();
  try {
    const open = basePolicy(world.issuer.url, '').replace('operations: [', 'operations: [Other, Admin, ');
    await world.setPolicy(open);
    const token = await world.token();
    const results = await Promise.all(
      [
        ['/inference.GRPCInferenceService/ModelInfer', 'application/grpc+json'],
        ['/inference.GRPCInferenceService/ModelInfer', 'application/grpc-web'],
        ['/generate.v2.TextGenerationService/Prefill', 'application/grpc'],
        ['/inference.GRPCInferenceService/SharedMemoryRegister', 'application/grpc'],
      ].map(([path = '', type = '']) => raw(path, { 'content-type': type, authorization: `Bearer ${token}` })),
    );
    for (const headers of results)
      expect(headers).toMatchObject({
        ':status': 200,
        'grpc-status': String(UNIMPLEMENTED),
        'content-type': 'application/grpc',
      });
    expect(model.seen).toEqual([]);
  } finally {
    await stop();
  }
});

test('what does not come as gRPC is no call of it: its methods that manage the server stay Admin', async () => {
  await start();
  try {
    await world.setPolicy(basePolicy(world.issuer.url, '').replace('operations: [', 'operations: [Other, '));
    const service = '/inference.GRPCInferenceService';
    const load = await world.post(`${service}/RepositoryModelLoad`, { model_name: 'm' });
    expect([load.status, load.headers['content-type'], load.text]).toEqual([
      403,
      'application/json',
      expect.stringContaining('access_denied'),
    ]);
    const dialects = (await world.record()).filter((one) => one['type'] === 'start').map((one) => one['dialect']);
    expect(dialects).toEqual(['generic']);
    expect(model.seen).toEqual([]);
  } finally {
    await stop();
  }
});

async function raw(path: string, headers: Record<string, string>): Promise<Record<string, unknown>> {
  const { connect } = await import('node:http2');
  const session = connect(world.url, { ca: world.ca });
  const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers', ...headers });
  stream.end(Buffer.alloc(5));
  const head = await new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
  stream.resume();
  session.close();
  return head;
}
