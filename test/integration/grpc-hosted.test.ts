import type { ClientDuplexStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Caller, GrpcModel, Message } from '../support/grpc-model.ts';
import { asking, grpcCaller, metadataOf, saying, startGrpcModel, status } from '../support/grpc-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// An endpoint of somebody else's that speaks gRPC calls models by its own names, of which callers hear nothing.

let world: World;
let model: GrpcModel;
let caller: Caller;

beforeAll(async () => {
  model = await startGrpcModel();
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        '  upstream: { hosted: { url: "https://models.test", models: [{ name: support, as: large-2 }] } }\n',
      ).replace('[Chat, Completions, Embeddings, ListModels]', '[Completions, ListModels, Other]'),
    rpcUrl: model.url,
  });
  caller = grpcCaller(world.port, world.ca, await world.token());
});
afterAll(async () => {
  caller.close();
  await world.close();
  model.close();
});
beforeEach(() => {
  model.seen.length = 0;
});

test('pages of a model are asked for by the endpoint’s name, and say the caller’s', async () => {
  const about = await caller.call('ModelMetadata', { name: 'support' });
  expect(about).toMatchObject({ code: status.OK, answer: { name: 'support' } });
  expect(await caller.call('ModelReady', { name: 'support' })).toMatchObject({
    code: status.OK,
    answer: { ready: true },
  });
  expect(model.seen.map(({ request }) => request['name'])).toEqual(['large-2', 'large-2']);
  expect(await caller.call('ModelMetadata', { name: 'other' })).toMatchObject({ answer: { name: 'other' } });
});

test('a page in which the name would stand where nobody writes it anew is not asked for', async () => {
  expect((await caller.call('ModelConfig', { name: 'support' })).code).toBe(status.UNIMPLEMENTED);
  expect(model.seen).toEqual([]);
});

test('an answer says the caller’s name', async () => {
  model.infer = (_call, answer) => answer(null, { ...saying('hello'), model_name: 'large-2' });
  const said = await caller.call('ModelInfer', asking('hi', { model_name: 'support' }));
  expect(said).toMatchObject({ code: status.OK, answer: { model_name: 'support' } });
});

test('so does each answer of a stream', async () => {
  const asked: unknown[] = [];
  model.stream = (call) => {
    call.on('data', (message: Message) => {
      asked.push(message['model_name']);
      call.write({ infer_response: { ...saying('hello'), model_name: 'large-2', id: String(asked.length) } });
    });
    call.on('end', () => call.end());
  };
  const call = caller.client['ModelStreamInfer']?.(metadataOf(await world.token())) as ClientDuplexStream<
    Message,
    Message
  >;
  const named: unknown[] = [];
  const done = new Promise((resolve, reject) => {
    call.on('data', ({ infer_response: said }: Message) => named.push((said as Message)['model_name']));
    call.on('end', resolve);
    call.on('error', reject);
  });
  for (const id of ['1', '2']) call.write(asking('hi', { model_name: 'support', id }));
  call.end();
  await done;
  expect(asked).toEqual(['large-2', 'large-2']);
  expect(named).toEqual(['support', 'support']);
});
