import type { ClientDuplexStream, ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { GrpcModel, Message } from '../support/grpc-model.ts';
import { metadataOf, startGrpcModel, status } from '../support/grpc-model.ts';
import { tales, talesSet } from '../support/grpc-stories.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// A service that Sidegate does not know and a policy describes, by gRPC's own client and server.

const loaded = grpc.loadPackageDefinition(loadFileDescriptorSetFromBuffer(talesSet, { keepCase: true })) as unknown as {
  tales: { v1: { Tales: grpc.ServiceClientConstructor } };
};
const { Tales } = loaded.tales.v1;

const services = (): string => `
  grpcServices:
  - service: tales.v1.Tales
    descriptorSet: ${tales}
    methods:
    - name: One
      operation: Chat
      model: model
      request: { texts: [prompt, turns.content], values: [user] }
      response: { texts: [piece, turn.replies.content], values: [id] }
    - name: Tell
      operation: Completions
      request: { texts: [prompt] }
      response: { texts: [piece], values: [id] }
    - name: Talk
      operation: Completions
      request: { texts: [prompt] }
      response: { texts: [piece], messages: Separate }
`;
const rules = `
  - { name: narrow, effect: Allow, subjects: [{ group: narrow }], operations: [Chat], models: [small] }
  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  classification:
  - { label: card, detectors: [CreditCard], otherwise: Mask }
`;
const secret = `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`;

let world: World;
let model: GrpcModel;
let token: string;
let client: grpc.Client & Readonly<Record<string, (...args: unknown[]) => unknown>>;
/** What was asked, and what is answered. */
const asked: Message[] = [];
let answers: readonly Message[] = [];

beforeAll(async () => {
  model = await startGrpcModel((server) => {
    server.addService(Tales.service, {
      One: (call: { request: Message }, answer: (error: null, message: Message) => void) => {
        asked.push(call.request);
        answer(null, answers[0] ?? {});
      },
      Tell: (call: grpc.ServerWritableStream<Message, Message>) => {
        asked.push(call.request);
        for (const one of answers) call.write(one);
        call.end();
      },
      Talk: (call: grpc.ServerDuplexStream<Message, Message>) => {
        call.on('data', (request: Message) => {
          asked.push(request);
          for (const one of answers) call.write(one);
        });
        call.on('end', () => call.end());
      },
      Hidden: (_call: unknown, answer: (error: null, message: Message) => void) => answer(null, { piece: 'hidden' }),
    });
  });
  world = await startWorld({
    policy: (issuer) => basePolicy(issuer, rules + services()),
    rpcUrl: model.url,
  });
  token = await world.token();
  client = new Tales(`127.0.0.1:${world.port}`, grpc.credentials.createSsl(Buffer.from(world.ca)), {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.use_local_subchannel_pool': 1,
  }) as unknown as typeof client;
});
afterAll(async () => {
  client.close();
  await world.close();
  model.close();
});
beforeEach(() => {
  asked.length = 0;
  answers = [{ piece: 'once upon a time' }];
});

interface Result {
  readonly code: number;
  readonly reason: string;
  readonly answer: Message;
}

const reasonOf = (error: ServiceError | null): string => {
  const info = String(error?.metadata.get('grpc-status-details-bin')[0] ?? '');
  return /\n[\s\S]([a-z_]+)\x12/.exec(info.slice(info.indexOf('ErrorInfo')))?.[1] ?? '';
};
const one = (request: Message, using = token, method = 'One'): Promise<Result> =>
  new Promise((resolve) => {
    client[method]?.(request, metadataOf(using), (error: ServiceError | null, answer: Message = {}) =>
      resolve({ code: error?.code ?? 0, reason: reasonOf(error), answer }),
    );
  });
/** Joined pieces, and how the stream ended. */
async function tell(request: Message): Promise<{ readonly text: string; readonly end: string }> {
  const call = client['Tell']?.(request, metadataOf(token)) as ClientReadableStream<Message>;
  let text = '';
  call.on('data', (message: Message) => (text += String(message['piece'] ?? '')));
  const end = await new Promise<string>((resolve) => {
    call.on('end', () => resolve(''));
    call.on('error', (error: ServiceError) => resolve(reasonOf(error)));
  });
  return { text, end };
}

test('the elements of a list in an answer are read as one text and each by itself', async () => {
  // Long enough that its end cuts no card.
  const rest = 'now, and so it goes on. '.repeat(10);
  const replies = [{ content: 'Pay 4111 1111 ' }, { content: `1111 1111 ${rest}` }];
  answers = [{ piece: 'x', turn: { replies } }];
  const { code, answer } = await one({ model: 'small', prompt: 'hello' });
  const left = (answer['turn'] as { replies: { content: string }[] }).replies.map(({ content }) => content);
  expect([code, left]).toEqual([status.OK, ['Pay [card]', ` ${rest}`]]);
});

test('a call goes through with what the policy lists of it, under the operation and the model that it says', async () => {
  const { code, answer } = await one({ model: 'small', prompt: 'hello', turns: [{ content: 'hi' }], user: 'u-1' });
  expect([code, answer['piece']]).toEqual([0, 'once upon a time']);
  expect(asked).toMatchObject([{ model: 'small', prompt: 'hello', turns: [{ content: 'hi' }], user: 'u-1' }]);
  const record = await world.record();
  expect(record.find((line) => line['type'] === 'start')).toMatchObject({
    dialect: 'grpc',
    operation: 'Chat',
    model: 'small',
    path: '/tales.v1.Tales/One',
  });
  const narrow = await world.token({ sub: 'nina', groups: ['narrow'] });
  expect((await one({ model: 'small', prompt: 'a' }, narrow)).code).toBe(0);
  expect((await one({ model: 'large', prompt: 'a' }, narrow)).reason).toBe('access_denied');
  expect((await one({ prompt: 'a' }, narrow)).reason).toBe('invalid_request');
});

test('texts are guarded in their places, and what is not listed goes nowhere', async () => {
  await one({ model: 'm', prompt: 'to ana@example.com today', turns: [{ content: 'and ben@example.com too' }] });
  expect(JSON.stringify(asked)).not.toMatch(/ana@|ben@/);
  expect(JSON.stringify(asked)).toContain('to ');
  for (const request of [{ prompt: secret }, { turns: [{}, { content: secret }] }, { user: secret }])
    expect((await one({ model: 'm', ...request })).reason).toBe('guard_blocked');
  for (const request of [
    { turns: [{ role: 'user' }] },
    { turns: [{ replies: [{ content: 'x' }] }] },
    { image: Buffer.from('x') },
    { tags: ['x'] },
    // An entry of a map, as this client writes it.
    { labels: [{ key: 'a', value: 'x' }] },
  ])
    expect([request, (await one({ model: 'm', ...request })).reason]).toEqual([request, 'invalid_request']);
  expect((await one({ model: 'm', token_ids: [1] })).reason).toBe('token_input_uninspectable');
  expect(asked).toHaveLength(1);
});

test('of an answer, too', async () => {
  answers = [{ id: '4111 1111 1111 1111', piece: 'pay 4111 1111 1111 1111' }];
  expect((await one({ model: 'm' })).answer).toMatchObject({ id: '[card]', piece: 'pay [card]' });
  for (const answer of [{ thought: 'x' }, { turn: { content: 'x' } }, { token_id: 5 }]) {
    answers = [answer];
    const { code, reason } = await one({ model: 'm' });
    expect([code, reason]).toEqual([status.INTERNAL, 'response_uninspectable']);
  }
});

test('a method that is not listed is refused, whatever a rule allows', async () => {
  const { code, reason } = await one({ prompt: 'a' }, token, 'Hidden');
  expect([code, reason]).toEqual([status.PERMISSION_DENIED, 'access_denied']);
  const open = basePolicy(world.issuer.url, rules + services()).replace('operations: [', 'operations: [Other, Admin, ');
  await world.setPolicy(open);
  expect((await one({ prompt: 'a' }, token, 'Hidden')).code).toBe(status.UNIMPLEMENTED);
  await world.setPolicy(basePolicy(world.issuer.url, rules + services()));
});

test('a value that is split over the messages of a stream is masked as if it came in one, at every cut', async () => {
  const text = 'pay 4111 1111 1111 1111, and go on with it then';
  for (let cut = 4; cut < 26; cut++) {
    answers = [text.slice(0, cut), text.slice(cut, cut + 3), text.slice(cut + 3)].map((piece) => ({ id: 'x', piece }));
    expect([cut, await tell({ prompt: 'hello' })]).toEqual([
      cut,
      { text: 'pay [card], and go on with it then', end: '' },
    ]);
  }
});

test('a stream ends at what is not listed', async () => {
  answers = [{ piece: 'Once upon a time there was a king, ' }, { thought: 'b' }, { piece: 'and a queen' }];
  expect(await tell({ prompt: 'hello' })).toEqual({
    text: expect.stringMatching(/^Once upon a time/),
    end: 'response_uninspectable',
  });
});

test('many requests on one call: each is looked at, and texts that are each message’s own are answered at once', async () => {
  answers = [{ piece: 'what is falcon' }];
  const call = client['Talk']?.(metadataOf(token) as Metadata) as ClientDuplexStream<Message, Message>;
  const heard: string[] = [];
  call.on('data', (message: Message) => heard.push(String(message['piece'])));
  const over = new Promise<string>((resolve) => call.on('error', (error: ServiceError) => resolve(reasonOf(error))));
  call.write({ prompt: 'one' });
  await until(() => heard.length === 1, 'the first is answered');
  answers = [{ piece: 'pay 4111 1111 1111 1111' }];
  call.write({ prompt: 'two to ana@example.com' });
  await until(() => heard.length === 2, 'the second is answered');
  call.write({ prompt: secret });
  expect(await over).toBe('guard_blocked');
  expect(heard).toEqual(['what is falcon', 'pay [card]']);
  expect(asked.map(({ prompt }) => prompt)).toEqual(['one', expect.not.stringContaining('ana@')]);
});

test('a policy that describes it no more closes it', async () => {
  await world.setPolicy(basePolicy(world.issuer.url, rules));
  expect((await one({ model: 'm' })).reason).toBe('access_denied');
  await world.setPolicy(basePolicy(world.issuer.url, rules + services()));
  expect((await one({ model: 'm' })).code).toBe(0);
});
