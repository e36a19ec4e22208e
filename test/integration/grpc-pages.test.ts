import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Caller, CallResult, GrpcModel, Message } from '../support/grpc-model.ts';
import { asking, grpcCaller, metadataOf, said, startGrpcModel, status } from '../support/grpc-model.ts';
import type { Reflected, ReflectionVersion } from '../support/grpc-reflection.ts';
import { addReflection, askReflection, fileOf, packageOf } from '../support/grpc-reflection.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What gRPC servers have beside inference: reflection, Triton's pages and settings, TGI's shards.

const kserve = 'inference.GRPCInferenceService';
const policy = (operations: string, more = ''): string => `
  - { name: tools, effect: Allow, subjects: [{ group: tools }], operations: [${operations}] }
  - { name: one, effect: Allow, subjects: [{ group: narrow }], operations: [Other, Admin], models: [llama-3-8b] }
  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  ${more}
`;
const hiding = `classification:
  - { label: card, detectors: [CreditCard], otherwise: Mask }
  - { label: project, words: [falcon], otherwise: Mask }`;
const secret = `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`;

let world: World;
let model: GrpcModel;
let caller: Caller;
let token: string;
const files: Record<string, Buffer> = {};

beforeAll(async () => {
  model = await startGrpcModel((server) => addReflection(server, files));
  world = await startWorld({
    policy: (issuer) => basePolicy(issuer, policy('Other, Admin', hiding)),
    rpcUrl: model.url,
  });
  token = await world.token({ sub: 'tom', groups: ['tools', 'ml-eng'] });
  caller = grpcCaller(world.port, world.ca, token);
});
afterAll(async () => {
  caller.close();
  await world.close();
  model.close();
});
beforeEach(() => {
  model.seen.length = 0;
  model.pages.clear();
  for (const name of Object.keys(files)) Reflect.deleteProperty(files, name);
  files[kserve] = fileOf(kserve);
});

const reasonOf = ({ info }: { readonly info: string }): string =>
  /\n[\s\S]([a-z_]+)\x12/.exec(info.slice(info.indexOf('ErrorInfo')))?.[1] ?? '';
const ask = (version: ReflectionVersion, questions: readonly Message[], using = token): Promise<Reflected> =>
  askReflection(`127.0.0.1:${world.port}`, world.ca, metadataOf(using), version, questions);
const list: Message = { list_services: '' };
const fileFor = (symbol: string): Message => ({ file_containing_symbol: symbol });

describe.each(['v1', 'v1alpha'] as const)('reflection %s', (version) => {
  test('a client without any file of the service learns it, and calls the model by what it learned', async () => {
    const { code, answers } = await ask(version, [list, fileFor(kserve)]);
    expect(code).toBe(0);
    expect(answers[0]).toMatchObject({ list_services_response: { service: [{ name: kserve }] } });
    const found = answers[1]?.['file_descriptor_response'] as { file_descriptor_proto: Buffer[] };
    expect(found.file_descriptor_proto[0]?.equals(files[kserve] as Buffer)).toBe(true);
    const learned = grpc.loadPackageDefinition(packageOf(found.file_descriptor_proto)) as unknown as {
      inference: { GRPCInferenceService: grpc.ServiceClientConstructor };
    };
    const client = new learned.inference.GRPCInferenceService(
      `127.0.0.1:${world.port}`,
      grpc.credentials.createSsl(Buffer.from(world.ca)),
      { 'grpc.ssl_target_name_override': 'localhost' },
    ) as unknown as Caller['client'];
    const answer = await new Promise<Message>((resolve, reject) => {
      client['ModelInfer']?.(asking('hi'), metadataOf(token), (error: Error | null, message: Message) =>
        error === null ? resolve(message) : reject(error),
      );
    });
    expect(said(answer)).toEqual(['hello']);
    client.close();
    const start = (await world.record()).findLast((one) => String(one['path']).includes('ServerReflection'));
    expect(start).toMatchObject({ dialect: 'grpc', operation: 'Other', caller: { subject: 'tom' } });
  });

  test('is for whom a rule names Other alone', async () => {
    const other = await ask(version, [list], await world.token());
    expect([other.code, reasonOf(other)]).toEqual([status.PERMISSION_DENIED, 'access_denied']);
    expect(other.answers).toEqual([]);
  });

  test('what a caller asks for is read: each string, in each question of the call', async () => {
    const blocked = await ask(version, [list, fileFor(secret)]);
    expect([blocked.code, reasonOf(blocked)]).toEqual([status.PERMISSION_DENIED, 'guard_blocked']);
    expect(blocked.answers).toHaveLength(1);
    const masked = await ask(version, [{ host: 'ana@example.com', file_by_filename: 'ben@example.com' }]);
    expect(JSON.stringify(masked.answers)).not.toMatch(/ana@|ben@/);
  });

  test('what a server says of itself is read, and a file that would have to be changed does not leave', async () => {
    const words = await ask(version, [fileFor('4111 1111 1111 1111')]);
    expect(words.code).toBe(0);
    expect(JSON.stringify(words.answers)).toContain('there is no [card]');
    const file = fileOf(kserve);
    file.write('XXX falcon. XXXXX', file.indexOf('ServerLiveRequest'));
    files[kserve] = file;
    const told = await ask(version, [list, fileFor(kserve)]);
    expect([told.code, reasonOf(told)]).toEqual([status.INTERNAL, 'response_uninspectable']);
    expect(told.answers).toHaveLength(1);
  });

  test('bytes that are no descriptor do not leave', async () => {
    files[kserve] = Buffer.from('falcon in plain words');
    const told = await ask(version, [fileFor(kserve)]);
    expect([told.code, reasonOf(told)]).toEqual([status.INTERNAL, 'response_uninspectable']);
  });
});

describe('Triton', () => {
  const config = {
    config: {
      name: 'llama-3-8b',
      backend: 'vllm',
      input: Array.from({ length: 9 }, (_, at) => ({
        name: `input_${at}`,
        data_type: 'TYPE_STRING',
        dims: ['-1', '1'],
      })),
      parameters: { note: { string_value: 'pay 4111 1111 1111 1111' } },
      instance_group: [{ name: 'a', kind: 'KIND_GPU', gpus: [0, 1, 2, 3] }],
    },
  };
  const call = (method: string, request: Message, using = token): Promise<CallResult> =>
    caller.call(method, request, { token: using });

  test('the configuration of a model passes with what nobody may see masked, and its numbers as they are', async () => {
    model.pages.set('ModelConfig', config);
    const { code, answer } = await call('ModelConfig', { name: 'llama-3-8b' });
    expect(code).toBe(0);
    const told = answer?.['config'] as typeof config.config;
    expect(told.parameters['note']).toMatchObject({ string_value: 'pay [card]' });
    expect(told.input.map(({ dims }) => dims.map(String))).toEqual(config.config.input.map(({ dims }) => dims));
    expect(told.instance_group[0]?.gpus).toEqual([0, 1, 2, 3]);
  });

  test('statistics are of one model, or of all: then `models` does not restrict them, as where no model is named', async () => {
    model.pages.set('ModelStatistics', {
      model_stats: [{ name: 'llama-3-8b', inference_count: 7, memory_usage: [{ type: 'GPU', id: 1 }] }],
    });
    const narrow = await world.token({ sub: 'nina', groups: ['narrow'] });
    expect((await call('ModelStatistics', {})).answer).toMatchObject({ model_stats: [{ name: 'llama-3-8b' }] });
    for (const request of [{ name: 'llama-3-8b' }, {}])
      expect((await call('ModelStatistics', request, narrow)).code).toBe(0);
    for (const method of ['ModelStatistics', 'ModelConfig'])
      expect(reasonOf(await call(method, { name: 'gpt' }, narrow))).toBe('access_denied');
    // A page of one model wants its name.
    expect(reasonOf(await call('ModelConfig', {}))).toBe('invalid_request');
  });

  test.each<[string, Message]>([
    ['SystemSharedMemoryStatus', { name: secret }],
    ['SystemSharedMemoryRegister', { name: 'a', key: secret }],
    ['SystemSharedMemoryUnregister', { name: secret }],
    ['CudaSharedMemoryStatus', { name: secret }],
    ['CudaSharedMemoryRegister', { name: 'a', raw_handle: Buffer.from(secret) }],
    ['CudaSharedMemoryUnregister', { name: secret }],
    ['TraceSetting', { settings: { trace_file: { value: ['a', secret] } } }],
    ['TraceSetting', { model_name: secret }],
    ['LogSettings', { settings: { log_file: { string_param: secret } } }],
    ['LogSettings', { settings: { [secret]: { bool_param: true } } }],
    ['ModelConfig', { name: 'llama-3-8b', version: secret }],
    ['ModelStatistics', { version: secret }],
  ])('%s is read: %j', async (method, request) => {
    const blocked = await call(method, request);
    expect([blocked.code, reasonOf(blocked)]).toEqual([status.PERMISSION_DENIED, 'guard_blocked']);
    expect(model.seen).toEqual([]);
  });

  test.each(['SystemSharedMemoryRegister', 'CudaSharedMemoryStatus', 'TraceSetting', 'LogSettings'])(
    '%s is Admin: for whom a rule names it',
    async (method) => {
      expect((await call(method, {})).code).toBe(0);
      expect(reasonOf(await call(method, {}, await world.token()))).toBe('access_denied');
      expect(model.seen.map((one) => one.method)).toEqual([method]);
    },
  );

  test('a handle that is no text does not go where a guard looks', async () => {
    const handle = Buffer.from([0xff, 0, 0xfe, 1]);
    expect(reasonOf(await call('CudaSharedMemoryRegister', { name: 'a', raw_handle: handle }))).toBe(
      'token_input_uninspectable',
    );
  });
});

describe('TGI’s shards', () => {
  let shards: Caller;
  beforeAll(() => {
    shards = grpcCaller(world.port, world.ca, token, { service: 'generate' });
  });
  afterAll(() => shards.close());

  const batch = (text: string, more: Message = {}): Message => ({
    batch: { id: 1, size: 1, requests: [{ id: 3, inputs: text, input_chunks: { chunks: [{ text }] }, ...more }] },
  });
  const answered = {
    generations: [{ request_id: 3, tokens: { ids: [5], logprobs: [0.5], texts: [' a'], is_special: [false] } }],
  };

  test('are Admin, but for their health', async () => {
    const ana = { token: await world.token() };
    for (const method of ['Prefill', 'Decode', 'Warmup', 'FilterBatch', 'ClearCache', 'ServiceDiscovery'])
      expect([method, reasonOf(await shards.call(method, {}, ana))]).toEqual([method, 'access_denied']);
    expect(reasonOf(await shards.call('Health', {}, ana))).toBe('access_denied');
    expect(model.seen).toEqual([]);
  });

  test('the texts of a batch are read and masked in their places', async () => {
    model.pages.set('Warmup', { max_supported_total_tokens: 7 });
    const { code } = await shards.call(
      'Warmup',
      batch('write to ana@example.com today', { blocks: [1, 2], slots: [3] }),
    );
    expect(code).toBe(0);
    const sent = JSON.stringify(model.seen[0]?.request);
    expect(sent).toContain('write to ');
    expect(sent).not.toContain('ana@');
    for (const request of [
      batch(secret),
      batch('a', { parameters: { grammar: secret } }),
      batch('a', { parameters: { logit_bias: { [secret]: 3 } } }),
      batch('a', { stopping_parameters: { stop_sequences: ['b', secret] } }),
      batch('a', { input_chunks: { chunks: [{ image: { data: Buffer.from(secret), mimetype: 'x' } }] } }),
      batch('a', { input_chunks: { chunks: [{ image: { data: Buffer.from('x'), mimetype: secret } }] } }),
    ])
      expect(reasonOf(await shards.call('Prefill', request))).toBe('guard_blocked');
    expect(reasonOf(await shards.call('Prefill', batch('a', { adapter_id: 'x' })))).toBe('invalid_request');
    const many = Array.from({ length: 8 }, () => 70);
    expect(reasonOf(await shards.call('Prefill', batch('a', { blocks: many })))).toBe('token_input_uninspectable');
  });

  test('answers tell tokens one by one, in calls of their own: none leaves where a rule hides anything', async () => {
    model.pages.set('Decode', answered);
    const hidden = await shards.call('Decode', { batches: [{ id: 1 }] });
    expect([hidden.code, reasonOf(hidden)]).toEqual([status.INTERNAL, 'response_uninspectable']);
    await world.setPolicy(basePolicy(world.issuer.url, policy('Other, Admin')));
    const plain = await shards.call('Decode', { batches: [{ id: 1 }] });
    expect([plain.code, JSON.stringify(plain.answer)]).toEqual([0, expect.stringContaining('" a"')]);
    await world.setPolicy(basePolicy(world.issuer.url, policy('Other, Admin', hiding)));
  });
});

test('the list of a server’s health checks is Health', async () => {
  const health = grpcCaller(world.port, world.ca, token, { service: 'health' });
  model.pages.set('List', { statuses: { '': { status: 'SERVING' } } });
  expect(reasonOf(await health.call('List', {}))).toBe('access_denied');
  const open = policy('Other, Admin, Health', hiding);
  await world.setPolicy(basePolicy(world.issuer.url, open));
  expect((await health.call('List', {})).answer).toEqual({ statuses: { '': { status: 1 } } });
  health.close();
});
