import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Grant, ReasonCode } from '../../pkg/core/index.ts';
import { completionFrame } from '../../pkg/dialect/openai/answer-shape.ts';
import type { Shape } from '../../pkg/dialect/shape.ts';
import { createGrantList } from '../support/grant-list.ts';
import type { GrantList } from '../support/grant-list.ts';
import type { SeenRequest } from '../support/scripted-model.ts';
import { joinLane, otherChoice, otherFrame, streamLanes } from '../support/stream-lanes.ts';
import type { StreamLane } from '../support/stream-lanes.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// The guarantee of DESIGN section 5, every lane by every end: whatever a stream is when it ends, of a value that the caller may not see nothing
// has arrived, and what is decided has. Each stream waits before its end until the caller has received what may be received by then.

const label = '[confidential]';

type Amount = 'a whole value' | 'half a value';
/** What the model has sent when the end comes. */
const amounts: Readonly<Record<Amount, readonly string[]>> = {
  'a whole value': ['Pay ', '4111', ' 1111', ' 1111', ' 1111', ' today, and all of it ', 'will be well', '; bye'],
  'half a value': ['Pay ', '4111', ' 1111'],
};
/** So many pieces no continuation can change: a card is judged by what stands in the 20 characters behind it. */
const decided: Readonly<Record<Amount, number>> = { 'a whole value': 6, 'half a value': 1 };

const callers = ['who may not see it', 'who may see it'] as const;
type Caller = (typeof callers)[number];

/** How a lane ends, as DESIGN has it: of a cut one half a value counts as one; of a dropped one what was held never leaves. */
type LaneEnd = 'complete' | 'cut' | 'dropped';

interface End {
  readonly name: string;
  readonly lane: LaneEnd;
  /** The code of the error event, where the sidecar ends the stream. */
  readonly code?: ReasonCode;
  readonly marker?: true;
  readonly policy?: string;
  /** The callers are allowed by grants alone. */
  readonly granted?: true;
  /** By the model, when the caller has what it may have. */
  readonly model?: (response: ServerResponse, lane: StreamLane) => void;
  /** By somebody else, when all callers have. */
  readonly others?: (world: World, by: { readonly hangUp: AbortController; readonly grants: GrantList }) => unknown;
}

const event = (data: unknown): string => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
const finish = (lane: StreamLane, reason: string): string =>
  event({ choices: [{ index: lane.choice, finish_reason: reason }] });
const done = event('[DONE]');

const ends: readonly End[] = [
  {
    name: 'a natural finish',
    lane: 'complete',
    marker: true,
    model: (response, lane) => response.end(finish(lane, 'stop') + done),
  },
  {
    name: 'a finish of tool calls',
    lane: 'complete',
    marker: true,
    model: (response, lane) => response.end(finish(lane, 'tool_calls') + done),
  },
  {
    name: 'a finish by length',
    lane: 'cut',
    marker: true,
    model: (response, lane) => response.end(finish(lane, 'length') + done),
  },
  {
    name: 'a finish by the content filter',
    lane: 'cut',
    marker: true,
    model: (response, lane) => response.end(finish(lane, 'content_filter') + done),
  },
  { name: '[DONE] without a finish', lane: 'cut', marker: true, model: (response) => response.end(done) },
  { name: 'an end without a word', lane: 'cut', model: (response) => response.end() },
  { name: 'a cut connection', lane: 'dropped', code: 'upstream_protocol', model: (response) => response.destroy() },
  {
    name: 'a malformed event',
    lane: 'dropped',
    code: 'response_uninspectable',
    model: (response) => response.end(event('{"choices":[{') + done),
  },
  {
    name: 'an error event of the model',
    lane: 'dropped',
    model: (response) => response.end(event({ error: { message: 'out of memory', code: 500 } })),
  },
  {
    name: 'a rule that blocks another choice',
    lane: 'dropped',
    code: 'response_blocked',
    policy: '  - { label: forbidden, words: [kryptonite], visibleTo: [], otherwise: Block }\n',
    model: (response) => response.write(event(otherFrame('about kryptonite, that is'))),
  },
  {
    name: 'the byte limit',
    lane: 'dropped',
    code: 'response_too_large',
    policy: '  responseLimits:\n  - { subjects: [{ anyone: true }], maxBytes: 16Ki }\n',
    model: (response) => response.write(event(otherFrame('some words. ')).repeat(256)),
  },
  {
    name: 'the time limit',
    lane: 'dropped',
    code: 'response_timeout',
    policy: '  responseLimits:\n  - { subjects: [{ anyone: true }], maxDuration: 10s }\n',
  },
  {
    name: 'a policy edit',
    lane: 'dropped',
    code: 'policy_changed',
    others: (world) => world.setPolicy(basePolicy(world.issuer.url).replace('ml-eng', 'nobody')),
  },
  {
    name: 'the end of the sidecar',
    lane: 'dropped',
    code: 'shutting_down',
    others: (world) => world.sidecar.drain(2_000),
  },
  { name: 'a caller who hangs up', lane: 'dropped', others: (_world, { hangUp }) => hangUp.abort() },
  {
    name: 'the end of a grant',
    lane: 'dropped',
    code: 'grant_ended',
    granted: true,
    others: (_world, { grants }) => grants.set(),
  },
];

const classification = `  classification:
  - label: confidential
    detectors: [CreditCard, Email, UsSsn]
    visibleTo: [{ group: compliance }]
    otherwise: Mask
`;

const grantOf = (subject: string, issuer: string): Grant => ({
  name: `on-call-${subject}`,
  uid: subject,
  issuer,
  subject,
  operations: ['Chat', 'Completions'],
  models: ['*'],
  from: 0,
  until: Date.now() + 3_600_000,
});

/** The text of the lane when nothing is hidden, up to the piece `count`. */
function source(lane: StreamLane, amount: Amount, count?: number): string {
  return (lane.document?.open ?? '') + amounts[amount].slice(0, count).join('');
}

const hide = (lane: StreamLane, text: string): string =>
  text.replace(/4111 1111(?: 1111 1111)?/, lane.replacement ?? label);

/** What has arrived before the end: all that no continuation can change. */
function settled(lane: StreamLane, amount: Amount, caller: Caller): string {
  const text = source(lane, amount, decided[amount]);
  return caller === 'who may see it' ? text : hide(lane, text);
}

/** What has arrived at the end; of a lane that was dropped, at most. */
function atEnd(lane: StreamLane, amount: Amount, caller: Caller, end: LaneEnd): string {
  if (end === 'dropped' && amount === 'half a value') return settled(lane, amount, caller);
  const whole = end !== 'dropped' && amount === 'a whole value';
  const text = source(lane, amount) + (whole ? (lane.document?.close ?? '') : '');
  const isValue = amount === 'a whole value' || end === 'cut';
  return isValue && caller === 'who may not see it' ? hide(lane, text) : text;
}

interface Stream {
  readonly lane: StreamLane;
  readonly amount: Amount;
  readonly caller: Caller;
  text: string;
  /** The caller has what it may have before the end. */
  ready(): boolean;
  ended: Promise<unknown>;
}

describe.each(ends)('$name', (end) => {
  let world: World;
  const streams = new Map<string, Stream>();
  const nameOf = (lane: StreamLane, amount: Amount, caller: Caller): string => `${lane.name}, ${amount}, ${caller}`;

  const answer = async (response: ServerResponse, request: SeenRequest): Promise<void> => {
    const { user } = JSON.parse(request.body) as { user: string };
    const stream = streams.get(user);
    if (stream === undefined) throw new Error('a request that no stream is of');
    const { lane, amount } = stream;
    response.setHeader('content-type', 'text/event-stream');
    amounts[amount].forEach((piece, at) =>
      response.write(event(lane.frame(at === 0 ? source(lane, amount, 1) : piece))),
    );
    await until(() => stream.ready(), `the caller has what may be seen of: ${user}`);
    if (amount === 'a whole value' && end.lane !== 'dropped' && lane.document !== undefined)
      response.write(event(lane.frame(lane.document.close)));
    end.model?.(response, lane);
  };

  beforeAll(async () => {
    const grants = createGrantList();
    world = await startWorld({
      policy(issuer) {
        const policy = basePolicy(issuer, classification + (end.policy ?? ''));
        return end.granted === true ? policy.replace('ml-eng', 'nobody') : policy;
      },
      grants,
    });
    if (end.granted === true) grants.set(...['ana', 'cara'].map((subject) => grantOf(subject, world.issuer.url)));
    world.model.script = answer;
    const tokens = {
      'who may not see it': await world.token(),
      'who may see it': await world.token({ sub: 'cara', groups: ['ml-eng', 'compliance'] }),
    };
    const hangUp = new AbortController();
    for (const lane of streamLanes)
      for (const amount of Object.keys(amounts) as Amount[])
        for (const caller of callers) {
          const stream: Stream = {
            lane,
            amount,
            caller,
            text: '',
            ready: () => joinLane(lane, stream.text).startsWith(settled(lane, amount, caller)),
            ended: Promise.resolve(),
          };
          const user = nameOf(lane, amount, caller);
          streams.set(user, stream);
          const body = lane.path.includes('chat')
            ? { messages: [{ role: 'user', content: 'pay' }] }
            : { prompt: 'pay' };
          stream.ended = world
            .post(
              lane.path,
              { model: 'llama-3-8b', stream: true, user, ...body },
              { token: tokens[caller], signal: hangUp.signal, onChunk: (piece) => (stream.text += piece) },
            )
            .catch(() => undefined);
        }
    const all = [...streams.values()];
    if (end.others !== undefined) {
      await until(
        () => all.every((stream) => stream.ready()),
        () => `not ready: ${[...streams].flatMap(([name, one]) => (one.ready() ? [] : [name])).join('; ')}`,
      );
      await end.others(world, { hangUp, grants });
    }
    await Promise.all(all.map(({ ended }) => ended));
    await until(() => world.sidecar.live === 0);
  });
  afterAll(() => world.close());

  describe.each(callers)('for a caller %s', (caller) => {
    test.each(
      streamLanes.flatMap((lane) =>
        (Object.keys(amounts) as Amount[]).map((amount) => [lane.name, amount, lane] as const),
      ),
    )('%s: %s', (_name, amount, lane) => {
      const { text } = streams.get(nameOf(lane, amount, caller)) ?? { text: '' };
      const joined = joinLane(lane, text);
      const most = atEnd(lane, amount, caller, end.lane);
      if (end.lane === 'dropped') expect(most.startsWith(joined)).toBe(true);
      else expect(joined).toBe(most);
      expect(joined.startsWith(settled(lane, amount, caller))).toBe(true);
      // Nor in another place of a frame, such as the bytes of a token. An id may hold any digits.
      const frames = text.replace(/"request_id":"\w+"/, '');
      if (caller === 'who may not see it' && !most.includes('4111'))
        expect(frames).not.toMatch(/4111|1111|52,49,49,49|49,49,49/);
      expect(text.includes('[DONE]')).toBe(end.marker === true);
      expect(/"code":"(\w+)"/.exec(text)?.[1]).toBe(end.code);
    });
  });

  test('the record holds no value, and the end of each stream', async () => {
    const record = await world.record();
    expect(record.filter(({ type }) => type === 'end')).toHaveLength(streams.size);
    const texts = record.filter(({ type }) => type === 'segment').map(({ text }) => String(text));
    expect(texts.some((text) => text.includes('Pay '))).toBe(true);
    // Half a value that ends well is none.
    const leak = end.lane === 'complete' ? '1111 1111 1111' : '1111';
    expect(texts.filter((text) => text.includes(leak))).toEqual([]);
  });
});

describe('the table of lanes', () => {
  test('has every text that the dialect knows in the choices of a frame', () => {
    const texts = (shape: Shape | undefined, path: string): string[] => [
      ...(shape?.string === 'text' || shape?.string === 'json' ? [path] : []),
      ...(shape?.items === undefined || shape.items.unknown === true ? [] : texts(shape.items, path)),
      ...[...(shape?.fields ?? [])].flatMap(([name, field]) =>
        field.unknown === true ? [] : texts(field, `${path}.${name}`),
      ),
    ];
    const known = texts(completionFrame.fields?.get('choices'), 'choices');
    expect(known).toContain('choices.delta.content');
    expect(known.filter((path) => !streamLanes.some(({ at }) => at === path))).toEqual([]);
  });

  test('has no lane of the choice that goes on beside them', () => {
    expect(streamLanes.some(({ choice }) => choice === otherChoice)).toBe(false);
  });
});
