import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { IdentityResult, IdentityVerifierFactory } from '../../pkg/core/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { createApprovalDesk } from '../support/approval-desk.ts';
import type { ApprovalDesk } from '../support/approval-desk.ts';
import type { Caller, GrpcModel, Message } from '../support/grpc-model.ts';
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
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Triton's ModelStreamInfer: a call that takes many requests and gives many answers, each of them looked at.

const policy = `
  guards:
  - { name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: hide-mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  classification:
  - { label: card, detectors: [CreditCard], visibleTo: [{ group: finance }], otherwise: Mask }
  - { label: poison, patterns: ["toxic[0-9]"], otherwise: Block }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
`;
const token = 'ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6';
const final = { parameters: { triton_final_response: { bool_param: true } } };

let world: World;
let model: GrpcModel;
let desk: ApprovalDesk;
let caller: Caller;
let bearer: string;
/** Texts that the model was asked. */
const asked: string[] = [];

/** What becomes of what the real judge of callers says. */
let judge: (result: IdentityResult) => IdentityResult = (result) => result;
const real = createIdentityVerifier({ clock: systemClock, logger: silentLogger });
const verifiers: IdentityVerifierFactory = (providers) => {
  const verifier = real(providers);
  return {
    verify: async (credentials) => judge(await verifier.verify(credentials)),
    clientAuthorities: () => verifier.clientAuthorities(),
    close: () => verifier.close(),
  };
};

beforeAll(async () => {
  desk = createApprovalDesk();
  model = await startGrpcModel();
  world = await startWorld({
    policy: (issuer) => basePolicy(issuer, policy),
    approvals: desk.gate,
    rpcUrl: model.url,
    verifiers,
  });
  bearer = await world.token();
  caller = grpcCaller(world.port, world.ca, bearer);
});
afterAll(async () => {
  caller.close();
  await world.close();
  model.close();
});

/** For each request these pieces, each an answer of its own; `$` in them is what was asked. */
let pieces: readonly string[] = [];
beforeEach(() => {
  asked.length = 0;
  judge = (result) => result;
  pieces = ['you said ', '$'];
  model.stream = (call) => {
    call.on('data', (request: Message) => {
      const text = (request['raw_input_contents'] as Buffer[]).flatMap(textsOf).join('');
      asked.push(text);
      const id = request['id'];
      for (const [at, piece] of pieces.entries()) {
        const last = at === pieces.length - 1 ? final : {};
        call.write({ infer_response: saying(piece.replace('$', text), { id, ...last }) });
      }
    });
    call.on('end', () => call.end());
  };
});

interface Stream {
  readonly call: ClientDuplexStream<Message, Message>;
  /** Joined texts by id. */
  readonly heard: Map<string, string>;
  readonly answers: Message[];
  readonly over: Promise<{ readonly code: number; readonly info: string }>;
}

function open(using: string = bearer): Stream {
  const call = caller.client['ModelStreamInfer']?.(metadataOf(using)) as ClientDuplexStream<Message, Message>;
  const heard = new Map<string, string>();
  const answers: Message[] = [];
  call.on('data', (message: Message) => {
    answers.push(message);
    const response = (message['infer_response'] ?? {}) as Message;
    const id = String(response['id'] ?? '');
    if (response['raw_output_contents'] !== undefined) heard.set(id, (heard.get(id) ?? '') + said(response).join(''));
  });
  const over = new Promise<{ code: number; info: string }>((resolve) => {
    call.on('error', (error: ServiceError) =>
      resolve({ code: error.code, info: String(error.metadata.get('grpc-status-details-bin')[0] ?? '') }),
    );
    call.on('end', () => resolve({ code: 0, info: '' }));
  });
  return { call, heard, answers, over };
}

test('requests and answers pass in turn, while the call is open; ids come again', async () => {
  const { call, heard, over } = open();
  call.write(asking('one', { id: 'a' }));
  await until(() => heard.get('a') === 'you said one', 'the first is answered');
  call.write(asking('two', { id: 'b' }));
  await until(() => heard.get('b') === 'you said two', 'the second is answered');
  call.write(asking('three', { id: 'a' }));
  await until(() => heard.get('a') === 'you said oneyou said three', 'the third is answered');
  call.end();
  expect(await over).toMatchObject({ code: 0 });
  const record = await world.record();
  const session = record.filter((one) => one['type'] === 'start').at(-1)?.['session'];
  const own = JSON.stringify(record.filter((one) => one['session'] === session));
  for (const text of ['one', 'two', 'three', 'you said ']) expect(own).toContain(text);
  expect(record.at(-1)).toMatchObject({ type: 'end', outcome: 'completed', code: null });
});

test('a value that is split over answers is masked as if it came in one, at every cut', async () => {
  const text = 'pay 4111 1111 1111 1111, and go on with it then';
  for (let cut = 4; cut < 26; cut++) {
    pieces = [text.slice(0, cut), text.slice(cut, cut + 3), text.slice(cut + 3)];
    const { call, heard, over } = open();
    call.write(asking('hello', { id: 'x' }));
    call.end();
    expect(await over).toMatchObject({ code: 0 });
    expect([cut, heard.get('x')]).toEqual([cut, 'pay [card], and go on with it then']);
  }
});

test('answers to two requests at once are two texts, whatever their order', async () => {
  model.stream = (call) => {
    call.on('data', () => undefined);
    call.on('end', () => {
      for (const [id, piece] of [
        ['a', 'card 4111 1111 '],
        ['b', 'none of '],
        ['a', '1111 1111, and there is more of it'],
        ['b', '1111 1111 here it is'],
      ] as const)
        call.write({ infer_response: saying(piece, { id }) });
      call.end();
    });
  };
  const { call, heard, over } = open();
  call.write(asking('hello', { id: 'a' }));
  call.write(asking('hello', { id: 'b' }));
  call.end();
  await over;
  expect([...heard]).toEqual([
    ['a', 'card [card], and there is more of it'],
    ['b', 'none of 1111 1111 here it is'],
  ]);
});

test('a later message is masked, held and blocked as the first is; what was blocked ends the call', async () => {
  const { call, heard, over } = open();
  call.write(asking('hello', { id: '1' }));
  await until(() => heard.has('1'), 'the first is answered');
  call.write(asking('mail ana@example.com now', { id: '2' }));
  await until(() => asked.length === 2, 'the second is there');
  expect(asked[1]).toMatch(/^mail .+ now$/);
  expect(asked[1]).not.toContain('@example.com');
  call.write(asking('what is falcon', { id: '3' }));
  await until(() => desk.cases.length === 1, 'people are asked');
  await pause(30);
  expect(asked).toHaveLength(2);
  desk.decide('Approve');
  await until(() => asked.length === 3, 'the third is there');
  call.write(asking(`key ${token}`, { id: '4' }));
  const { code, info } = await over;
  expect([code, info.includes('guard_blocked'), info.includes('no-secrets')]).toEqual([
    status.PERMISSION_DENIED,
    true,
    true,
  ]);
  expect(asked).toHaveLength(3);
  const record = await world.record();
  expect(record.at(-1)).toMatchObject({ type: 'end', code: 'guard_blocked' });
  expect(JSON.stringify(record)).not.toContain(token);
});

test.each<[string, (result: IdentityResult) => IdentityResult, string]>([
  ['has expired', () => ({ kind: 'refused', reason: 'token_expired' }), 'token_expired'],
  [
    "is another's",
    (result) =>
      result.kind === 'proven' ? { ...result, identity: { ...result.identity, subject: 'somebody else' } } : result,
    'token_invalid',
  ],
])('a credential that %s meanwhile ends the call before the next message', async (_what, meanwhile, reason) => {
  const { call, heard, over } = open();
  call.write(asking('hello', { id: '1' }));
  await until(() => heard.has('1'), 'the first is answered');
  judge = meanwhile;
  call.write(asking('more of it', { id: '2' }));
  const { code, info } = await over;
  expect([code, info.includes(reason)]).toEqual([status.UNAUTHENTICATED, true]);
  expect(asked).toEqual(['hello']);
});

/** Answers with one text and one whole number each. */
const numbered = (name: string, numberOf: (at: number) => number, many: number): void => {
  model.stream = (call) => {
    call.on('data', () => {
      for (let at = 0; at < many; at++) {
        const number = Buffer.alloc(4);
        number.writeInt32LE(numberOf(at));
        const outputs = [
          { name: 'text_output', datatype: 'BYTES', shape: [1] },
          { name, datatype: 'INT32', shape: [1, 1] },
        ];
        call.write({
          infer_response: saying('', { id: 'x', outputs, raw_output_contents: [elements('la '), number] }),
        });
      }
      call.end();
    });
  };
};

test('text that is told by the ids of its tokens is not let through, however few are in a message', async () => {
  const ended = async (): Promise<{ code: number; got: number }> => {
    const { call, answers, over } = open();
    call.write(asking('hello', { id: 'x' }));
    const { code } = await over;
    return { code, got: answers.filter(({ infer_response }) => infer_response !== undefined).length };
  };
  numbered('output_ids', (at) => at, 3);
  expect(await ended()).toEqual({ code: status.INTERNAL, got: 0 });
  numbered('anything', (at) => at, 20);
  const many = await ended();
  expect(many.code).toBe(status.INTERNAL);
  expect(many.got).toBeLessThan(8);
  numbered('anything', (at) => at, 7);
  expect(await ended()).toEqual({ code: 0, got: 7 });
  numbered('batch_index', () => 0, 30);
  expect(await ended()).toEqual({ code: 0, got: 30 });
});

test('another model on the same call, and a call under another policy, are refused', async () => {
  const { call, heard, over } = open();
  call.write(asking('hello', { id: '1' }));
  await until(() => heard.has('1'), 'the first is answered');
  call.write(asking('hello', { id: '2', model_name: 'other' }));
  expect(await over).toMatchObject({ code: status.INVALID_ARGUMENT, info: expect.stringContaining('invalid_request') });
  const second = open();
  second.call.write(asking('hello', { id: '1' }));
  await until(() => second.heard.has('1'), 'the first is answered');
  await world.setPolicy(basePolicy(world.issuer.url, `${policy}  tls: { minVersion: TLSv1.2 }\n`));
  second.call.write(asking('hello', { id: '2' }));
  expect(await second.over).toMatchObject({
    code: status.PERMISSION_DENIED,
    info: expect.stringContaining('policy_changed'),
  });
  expect(asked).toHaveLength(2);
});

test('what may not be seen ends the call in mid-stream, before it', async () => {
  pieces = ['it is ', 'tox', 'ic7 stuff', ' and more'];
  const { call, heard, over } = open();
  call.write(asking('hello', { id: '1' }));
  const { code, info } = await over;
  expect([code, info.includes('response_blocked')]).toEqual([status.PERMISSION_DENIED, true]);
  expect('it is '.startsWith(heard.get('1') ?? '')).toBe(true);
});

test("errors in a message are looked at, and the model's own end comes through", async () => {
  model.stream = (call) => {
    call.on('data', () => {
      call.write({ error_message: 'no such card: 4111 1111 1111 1111' });
      call.emit('error', { code: status.ABORTED, details: 'too busy' });
    });
  };
  const { call, answers, over } = open();
  call.write(asking('hello'));
  expect(await over).toMatchObject({ code: status.ABORTED });
  expect(answers).toEqual([{ error_message: 'no such card: [card]' }]);
});

test("who gives up ends the model's work, and a call without a message is refused", async () => {
  const before = model.cancelled;
  const { call, heard, over } = open();
  call.write(asking('hello', { id: '1' }));
  await until(() => heard.has('1'), 'the first is answered');
  call.cancel();
  expect(await over).toMatchObject({ code: status.CANCELLED });
  await until(() => model.cancelled === before + 1, 'the model is told');
  const empty = open();
  empty.call.end();
  expect(await empty.over).toMatchObject({ code: status.INVALID_ARGUMENT });
});
