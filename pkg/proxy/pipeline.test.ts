import { afterEach, describe, expect, test } from '@jest/globals';
import { createApprovalDesk } from '../../test/support/approval-desk.ts';
import type { ApprovalDesk } from '../../test/support/approval-desk.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';
import { silentLogger } from '../base/index.ts';
import type { PolicySpec, Snapshot } from '../core/index.ts';
import type { SocketRecord } from '../dialect/index.ts';
import { compileSnapshot, certainties, finders, operations, reasons, RefusedError } from '../core/index.ts';
import { allow, anyone, caller, guard, match, policy, subject } from '../core/testing/policies.ts';
import { BodyBudget } from '../http/index.ts';
import type { Exchange, UpgradeRequest, UpstreamHandler, WebSocket, WebSocketWatch } from '../http/index.ts';
import { createMetrics } from '../telemetry/index.ts';
import { HoldBook } from './hold.ts';
import { Limiter } from './limits.ts';
import { LiveRequests } from './live.ts';
import { ModelPlaces } from './model-places.ts';
import { outer } from './loopback.ts';
import type { PipelineOptions } from './pipeline.ts';
import { govern } from './pipeline.ts';
import { Questions } from './questions.ts';
import { RecordWriter } from './record-writer.ts';
import { RuntimeHolder } from './runtime.ts';
import { SocketExchange } from './socket-exchange.ts';

// What a request holds and works for, turn by turn: the exchange, the model and the turns of the event loop are the test's own.

const ana = caller('p/corp');
const holders: RuntimeHolder[] = [];
afterEach(() => holders.splice(0).forEach((one) => one.close()));

interface World {
  readonly bodies: BodyBudget;
  readonly answers: BodyBudget;
  /** Three of them. */
  readonly places: ModelPlaces;
  readonly desk: ApprovalDesk;
  /** Of the requests that reached the model. */
  readonly model: UpstreamHandler[];
  readonly live: LiveRequests;
  readonly clock: FakeClock;
  /** On record. */
  readonly events: Record<string, unknown>[];
  /** Turns of the event loop that were asked for. */
  readonly turns: () => number;
  /** Puts another policy into force. @param to Default: one that says the same. */
  edit(to?: Partial<PolicySpec>): void;
  /** Runs before each turn ends. */
  onTurn: () => void;
  /** Runs whenever a caller's proof is looked at. */
  onProof: () => void;
  /** @param asked its target and headers; default a chat. */
  send(body: string, asked?: { readonly target: string; readonly headers: Record<string, string> }): Sent;
  /** A generic WebSocket. */
  connect(): Connected;
}

interface Connected {
  readonly done: Promise<void>;
  /** The model has taken it. */
  readonly isOpen: () => boolean;
  say(text: string): void;
  hangUp(): void;
  /** Messages that went to the model. */
  readonly sent: readonly string[];
}

interface Sent {
  readonly done: Promise<void>;
  readonly answer: () => { readonly status: number; readonly body: string } | undefined;
  /** How the answer was cut. */
  readonly ends: readonly ('destroy' | 'breakOff')[];
  hangUp(): void;
}

function startWorld(spec: Partial<PolicySpec>): World {
  const clock = fakeClock();
  let revision = 0;
  const access = [allow('all', { subjects: [anyone], operations: ['Chat', 'Other'] })];
  const compile = (more = spec): Snapshot =>
    compileSnapshot([policy('p', { access, ...more })], { revision: ++revision });
  let put = (_next: Snapshot): void => undefined;
  const snapshot = compile();
  const runtime = new RuntimeHolder({
    source: {
      current: () => snapshot,
      subscribe: (listener) => {
        put = listener;
        return () => undefined;
      },
      problem: () => undefined,
      ageMs: () => 0,
      close: () => Promise.resolve(),
    },
    credentials: { read: () => undefined, close: () => undefined },
    verifiers: () => ({
      verify: () => {
        world.onProof();
        return Promise.resolve({ kind: 'proven', identity: ana });
      },
      clientAuthorities: () => undefined,
      close: () => undefined,
    }),
    tokens: { read: () => undefined, refused: () => undefined, close: () => undefined },
    hashKey: new Uint8Array(32),
    clock,
    logger: silentLogger,
  });
  holders.push(runtime);
  const bodies = new BodyBudget();
  const answers = new BodyBudget();
  const places = new ModelPlaces(3);
  const desk = createApprovalDesk();
  const model: UpstreamHandler[] = [];
  const live = new LiveRequests();
  const events: Record<string, unknown>[] = [];
  let turns = 0;
  const sent: string[] = [];
  const unused = (): never => {
    throw new Error('nothing passes uninspected here');
  };
  const options: PipelineOptions = {
    runtime,
    record: new RecordWriter(
      { append: (some) => void events.push(...(some as never[])), close: () => Promise.resolve() },
      clock,
      () => undefined,
    ),
    approvals: desk.gate,
    holds: new HoldBook(),
    questions: new Questions(clock),
    limiter: new Limiter(clock),
    observedLimiter: new Limiter(clock),
    live,
    metrics: createMetrics({
      clock,
      operations,
      codes: Object.keys(reasons),
      dialects: ['openai', 'generic'],
      finders,
      certainties,
      processMetrics: false,
    }),
    clock,
    logger: silentLogger,
    noteModelFault: () => undefined,
    newId: () => 'id',
    turn: async () => {
      turns++;
      await Promise.resolve();
      world.onTurn();
    },
    bodies,
    places,
    buffers: answers,
    entrance: outer,
    model: {
      find: () => ({
        upstream: {
          send(_request, handler) {
            model.push(handler);
            return { pause: () => undefined, resume: () => undefined, abort: () => undefined };
          },
          close: () => undefined,
        },
        socket: {
          open(_request, { opened }) {
            opened(undefined, () =>
              socketOf((frames) => sent.push(...frames.map(({ payload }) => payload.toString()))),
            );
            return () => undefined;
          },
        },
        passthrough: { web: unused, ws: unused, close: () => undefined },
        url: 'http://model.test',
        hosted: false,
      }),
      close: () => undefined,
    },
  };
  const world: World = {
    bodies,
    answers,
    places,
    desk,
    model,
    live,
    clock,
    events,
    turns: () => turns,
    edit: (to) => put(compile(to)),
    onTurn: () => undefined,
    onProof: () => undefined,
    send(body, { target, headers } = { target: '/v1/chat/completions', headers: {} }) {
      const listeners: ((how: 'finished' | 'aborted') => void)[] = [];
      let answer: { status: number; body: string } | undefined;
      const ends: ('destroy' | 'breakOff')[] = [];
      const exchange: Exchange = {
        startedAt: clock.monotonic(),
        protocol: 'h2',
        encrypted: true,
        peer: '127.0.0.1',
        method: 'POST',
        target,
        headers: { 'content-type': 'application/json', authorization: 'Bearer token', ...headers },
        clientCertificate: undefined,
        readBody: () => Promise.resolve(Buffer.from(body)),
        releaseBody: () => undefined,
        bytesIn: body.length,
        bytesOut: 0,
        backlogged: false,
        backlogBytes: 0,
        respond(status, _headers, text) {
          answer = { status, body: Buffer.from(text).toString() };
        },
        start: () => undefined,
        write: () => true,
        end: () => undefined,
        destroy: () => void ends.push('destroy'),
        breakOff: () => void ends.push('breakOff'),
        onDrain: () => undefined,
        onClose: (listener) => void listeners.push(listener),
      };
      return {
        done: govern(exchange, options),
        answer: () => answer,
        ends,
        hangUp: () => listeners.forEach((one) => one('aborted')),
      };
    },
    connect() {
      let watch: WebSocketWatch | undefined;
      const listeners: ((how: 'finished' | 'aborted') => void)[] = [];
      const upgrade: UpgradeRequest = {
        ...{ startedAt: clock.monotonic(), encrypted: true, peer: '127.0.0.1', method: 'GET', target: '/ws' },
        ...{ headers: { authorization: 'Bearer token' }, clientCertificate: undefined, budget: bodies },
        ...{
          respond: () => undefined,
          check: () => undefined,
          destroy: () => undefined,
          onClose: (listener) => void listeners.push(listener),
        },
        accept(how) {
          watch = how.watch;
          return socketOf(() => undefined);
        },
      };
      return {
        done: govern(new SocketExchange(upgrade), options),
        isOpen: () => watch !== undefined,
        say(text) {
          watch?.begin(0x81, text.length);
          watch?.bytes(Buffer.from(text));
          watch?.done(0x81);
        },
        hangUp: () => listeners.forEach((one) => one('aborted')),
        sent,
      };
    },
  };
  return world;
}

/** A WebSocket that takes all that is sent. */
const socketOf = (sent: (frames: readonly SocketRecord[]) => void): WebSocket =>
  ({
    ...{ bytesIn: 0, bytesOut: 0, backlogBytes: 0, pause: () => undefined, resume: () => undefined },
    ...{ sendAll: (frames: readonly SocketRecord[]) => (sent(frames), true), close: () => undefined },
    ...{ destroy: () => undefined },
  }) as unknown as WebSocket;

const chat = (content: string, count = 1): string =>
  JSON.stringify({ model: 'm', messages: Array(count).fill({ role: 'user', content }) });
const emails = guard('emails', { on: 'Request', action: 'Mask', match: match('Email') });
const held: Partial<PolicySpec> = {
  guards: [{ ...emails, action: 'RequireApproval' }],
  approvals: {
    approvers: [{ ...subject({ group: 'leads' }), kubernetesGroup: undefined, kubernetesUser: undefined }],
    required: 1,
    maxGrantMs: undefined,
    timeoutMs: 600_000,
  },
};
const long = 'some words of a@bc.de, '.repeat(20_000);

describe('a caller who hangs up', () => {
  test('while its prompt is parsed or inspected has it looked at no further', async () => {
    const world = startWorld({ guards: [emails] });
    for (const after of [2, 6, 12]) {
      const before = world.turns();
      const sent = world.send(chat(long));
      world.onTurn = () => {
        if (world.turns() === before + after) sent.hangUp();
      };
      await sent.done;
      expect(world.turns()).toBe(before + after);
    }
    expect(world.model).toHaveLength(0);
    expect(world.bodies.used).toBe(0);
  });

  test('while its answer is inspected has it looked at no further', async () => {
    const world = startWorld({ guards: [{ ...emails, on: 'Response' }] });
    const sent = world.send(chat('hello'));
    await sent.done;
    const before = world.turns();
    world.onTurn = () => {
      if (world.turns() === before + 6) sent.hangUp();
    };
    const [answer] = world.model;
    answer?.head(200, { 'content-type': 'application/json' });
    answer?.data(
      Buffer.from(
        JSON.stringify({
          choices: [{ index: 0, message: { role: 'assistant', content: long }, finish_reason: 'stop' }],
        }),
      ),
    );
    answer?.end();
    await until(() => world.answers.used === 0, 'the answer, let go');
    await new Promise(setImmediate);
    expect(world.turns()).toBe(before + 6);
    expect(sent.answer()).toBeUndefined();
  });
});

test.each([
  ['a stream that is read, by the model', 'text/event-stream', 'upstream_protocol', 'breakOff'],
  ['one that is not, by the model', 'application/x-ndjson', 'upstream_protocol', 'breakOff'],
  ['one that is not, by a policy', 'application/x-ndjson', 'policy_changed', 'destroy'],
] as const)(
  'where all observe, %s, is cut: what was sent of it leaves unless policy took it back',
  async (_what, type, code, how) => {
    const world = startWorld({ mode: 'Observe' });
    const sent = world.send(chat('hello'));
    await sent.done;
    const [answer] = world.model;
    answer?.head(200, { 'content-type': type });
    answer?.data(Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'));
    if (code === 'policy_changed') world.live.endAll(code);
    else answer?.error(new RefusedError(code));
    expect(sent.ends).toEqual([how]);
  },
);

test('no request waits unseen for a place at the model: one caller has half of them, and each comes back with its exchange', async () => {
  const world = startWorld({});
  const sent = [world.send(chat('hello')), world.send(chat('hello'))];
  await Promise.all(sent.map(({ done }) => done));
  const third = world.send(chat('hello'));
  await third.done;
  expect(third.answer()).toMatchObject({ status: 429, body: expect.stringContaining('caller_share_used') });
  expect([world.model.length, world.places.taken]).toEqual([2, 2]);
  world.places.take('somebody else');
  const fourth = world.send(chat('hello'));
  await fourth.done;
  expect(fourth.answer()).toMatchObject({ status: 503, body: expect.stringContaining('overloaded') });
  expect(world.model).toHaveLength(2);
  for (const one of [...sent, third, fourth]) one.hangUp();
  expect(world.places.taken).toBe(1);
});

test('policy that is edited faster than a prompt is inspected refuses it in the end', async () => {
  const world = startWorld({ guards: [emails] });
  let edits = 0;
  world.onTurn = () => {
    // Bounded, so that a request that is inspected again each time comes to its end.
    if (edits++ < 1_000) world.edit();
  };
  const sent = world.send(chat(long));
  await sent.done;
  expect(sent.answer()).toMatchObject({ status: 403, body: expect.stringContaining('policy_changed') });
  expect(edits).toBeLessThan(1_000);
  expect([world.model.length, world.bodies.used]).toEqual([0, 0]);
});

test('a prompt during whose inspection policy was edited once goes on', async () => {
  const world = startWorld({ guards: [emails] });
  world.onTurn = () => {
    if (world.turns() === 3) world.edit();
  };
  const sent = world.send(chat(long));
  await sent.done;
  expect(world.model).toHaveLength(1);
});

describe('the tree of a request', () => {
  test('counts in the memory for bodies while the request is looked at, and no longer', async () => {
    const world = startWorld({ guards: [emails] });
    let most = 0;
    world.onTurn = () => (most = Math.max(most, world.bodies.used));
    await world.send(chat('hi', 3_000)).done;
    expect(most).toBeGreaterThan(15_000 * 200);
    expect(world.model).toHaveLength(1);
    expect(world.bodies.used).toBe(0);
  });

  test('of more values than one may have is refused while it is parsed', async () => {
    const world = startWorld({});
    const sent = world.send(`{"model":"m","messages":[],"metadata":[${'[""],'.repeat(40_000)}1]}`);
    await sent.done;
    const answer = sent.answer();
    expect(answer?.status).toBe(413);
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ error: { code: 'body_too_large', param: 'values' } });
    expect(world.bodies.used).toBe(0);
  });

  test.each([33, 40, 63])('of a body of %i MiB has room beside it, where the caller is alone', async (megabytes) => {
    const world = startWorld({});
    const body = chat('x'.repeat(megabytes * 1024 * 1024 - 200));
    const bytes = body.length;
    const owner = `${ana.issuer}\n${ana.subject}`;
    // As the exchange counts it while it is read.
    expect(world.bodies.take(bytes, owner, bytes)).toBeUndefined();
    const sent = world.send(body);
    await until(() => world.model.length === 1 || sent.answer() !== undefined);
    expect(sent.answer()).toBeUndefined();
    await sent.done;
    world.bodies.give(bytes, owner);
    expect(world.bodies.used).toBe(0);
  });

  test('that finds no room in its caller’s share is refused, and leaves what others hold', async () => {
    const world = startWorld({});
    const most = world.bodies.maxBytes / 2;
    expect(world.bodies.take(most - 1_000_000, `${ana.issuer}\n${ana.subject}`, most)).toBeUndefined();
    const sent = world.send(chat('hi', 3_000));
    await sent.done;
    expect(sent.answer()).toMatchObject({ status: 429, body: expect.stringContaining('caller_share_used') });
    expect(world.bodies.used).toBe(most - 1_000_000);
  });

  test('counts the numbers of lists that are looked at one by one', async () => {
    const world = startWorld({ guards: [emails] });
    let most = 0;
    world.onTurn = () => (most = Math.max(most, world.bodies.used));
    const numbers = Array.from({ length: 20_000 }, (_, at) => 0.1234567 + at);
    await world.send(JSON.stringify({ ...(JSON.parse(chat('hi')) as object), metadata: { numbers } })).done;
    expect(most).toBeGreaterThan(20_000 * 200);
  });

  test('is gone while people are asked', async () => {
    const world = startWorld(held);
    const sent = world.send(chat('write to a@bc.de', 300));
    await until(() => world.desk.asks.length > 0, 'the question');
    expect(world.bodies.used).toBe(0);
    expect(world.desk.asks[0]?.excerpt).toContain('write to ');
    world.desk.decide('Approve');
    await sent.done;
    expect(world.model).toHaveLength(1);
  });
});

test('what people read of a held request has no digests of keys, which could be tried', async () => {
  const world = startWorld(held);
  const body = {
    ...(JSON.parse(chat('some words. '.repeat(500))) as object),
    'ana smith': { plan: 'write to a@bc.de' },
  };
  const sent = world.send(JSON.stringify(body));
  await until(() => world.desk.asks.length > 0, 'the question');
  const excerpt = world.desk.asks[0]?.excerpt ?? '';
  expect(excerpt).toMatch(/^found in \{\d\}\.\{\d\}: write to /);
  expect(excerpt).not.toMatch(/[0-9a-f]{16}/);
  world.desk.decide('Deny');
  await sent.done;
});

describe('a request that people let through', () => {
  test('has the whole time for its answer, however long they took', async () => {
    const shortest = { minDurationMs: undefined, padToMultipleOf: undefined, cadenceMs: undefined };
    const world = startWorld({
      ...held,
      responseLimits: [{ subjects: [anyone], maxBytes: undefined, maxDurationMs: 120_000, ...shortest }],
    });
    const sent = world.send(chat('write to a@bc.de'));
    await until(() => world.desk.asks.length > 0, 'the question');
    world.clock.advance(180_000);
    world.desk.decide('Approve');
    await sent.done;
    expect(world.model).toHaveLength(1);
    world.clock.advance(119_999);
    expect(sent.answer()).toBeUndefined();
    world.clock.advance(1);
    expect(sent.answer()).toMatchObject({ status: 504, body: expect.stringContaining('response_timeout') });
  });

  test('and that finds no place at the model does not use its approval up', async () => {
    const world = startWorld(held);
    const sent = world.send(chat('write to a@bc.de'));
    await until(() => world.desk.asks.length > 0, 'the question');
    expect(world.places.taken).toBe(0);
    for (const other of ['a', 'b', 'c']) world.places.take(other);
    world.desk.decide('Approve');
    await sent.done;
    expect(sent.answer()).toMatchObject({ status: 503, body: expect.stringContaining('overloaded') });
    expect([world.desk.cases[0]?.phase, world.model.length, world.places.taken]).toEqual(['Approved', 0, 3]);
    // Who asks again once there is a place needs nobody.
    world.places.give('a');
    await world.send(chat('write to a@bc.de')).done;
    expect([world.desk.cases[0]?.phase, world.model.length, world.places.taken]).toEqual(['Used', 1, 3]);
  });
});

test('the record of a refusal says how many bytes it was', async () => {
  const world = startWorld({ guards: [{ ...emails, action: 'Block' }] });
  const sent = world.send(chat('write to a@bc.de'));
  await sent.done;
  world.clock.advance(1_000);
  const end = world.events.find((event) => event['type'] === 'end');
  expect(end).toMatchObject({ outcome: 'refused', bytesOut: sent.answer()?.body.length });
});

describe('a message of a WebSocket', () => {
  const spec = { guards: [emails], audit: { content: 'Masked', onFailure: undefined } } as const;
  const said = '{"ask":"how are you"}';
  test('is on record where it goes to the model', async () => {
    const world = startWorld(spec);
    const caller = world.connect();
    await until(caller.isOpen, 'the model');
    caller.say(said);
    await until(() => caller.sent.length > 0, 'the message');
    expect(caller.sent).toEqual([said]);
    expect(JSON.stringify(world.events)).toContain('how are you');
  });

  test('that policy stops on its way is not on record as sent', async () => {
    const world = startWorld(spec);
    const caller = world.connect();
    await until(caller.isOpen, 'the model');
    // Behind the first look at whether the policy holds, before the last.
    world.onProof = () => world.edit();
    caller.say(said);
    await caller.done;
    caller.hangUp();
    world.clock.advance(1_000);
    expect(caller.sent).toEqual([]);
    expect(world.events.findLast(({ type }) => type === 'end')).toMatchObject({ code: 'policy_changed' });
    expect(JSON.stringify(world.events)).not.toContain('how are you');
  });
});

test('a header that a policy which observes lets by is refused by the one that takes its place', async () => {
  const world = startWorld({ mode: 'Observe', guards: [emails] });
  const asked = { target: '/model/m/invoke', headers: { 'x-amzn-bedrock-guardrailidentifier': 'g1' } };
  const body = JSON.stringify({
    anthropic_version: 'bedrock-2023-05-31',
    max_tokens: 9,
    messages: [{ role: 'user', content: long }],
  });
  await world.send(body, asked).done;
  expect(world.model).toHaveLength(1);
  const turns = world.turns();
  world.onTurn = () => {
    if (world.turns() === turns + 3) world.edit({ guards: [emails] });
  };
  const sent = world.send(body, asked);
  await sent.done;
  expect(sent.answer()).toMatchObject({ status: 400, body: expect.stringContaining('guardrailidentifier') });
  expect(world.model).toHaveLength(1);
});
