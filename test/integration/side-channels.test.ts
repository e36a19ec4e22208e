import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import { fakeClock } from '../support/fake-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import type { Script } from '../support/scripted-model.ts';
import { answerChat, chunk, streamChat } from '../support/scripted-model.ts';
import { startWireTap } from '../support/wire-tap.ts';
import type { WireTap } from '../support/wire-tap.ts';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';

// What somebody who sees every TLS record and when it passed, and can decrypt none, learns of an answer. What
// docs/security.md says under "Side channels" is what these tests show, the remaining leaks included. Time is the tests' own: model, sidecar and
// observer go by one clock that moves in small steps, so that no pause of the machine is taken for one of theirs.

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const every = 150;
const step = 4_096;

/** How far the clock moves at once: far less than a tick. */
const stepMs = 10;

let clock: FakeClock;
let world: World;
afterEach(() => world.close());

async function start(limits: string): Promise<void> {
  clock = fakeClock({ now: Date.now() });
  world = await startWorld({
    clock,
    policy: (issuer) =>
      basePolicy(
        issuer,
        `  classification:
  - { label: confidential, detectors: [CreditCard], visibleTo: [], otherwise: Mask }
  responseLimits:
  - { subjects: [{ anyone: true }], ${limits} }
`,
      ),
  });
}

/** What passed together. */
interface Burst {
  /** Milliseconds after the request. */
  readonly after: number;
  readonly bytes: number;
}

interface Seen {
  readonly bursts: readonly Burst[];
  /** Of each burst. */
  readonly sizes: readonly number[];
  /** In which tick of `every`, counted from the request, each burst passed. */
  readonly ticks: readonly number[];
  /** What the client read. */
  readonly text: string;
}

type Protocol = 'http/1.1' | 'h2';

async function observe(script: Script, stream: boolean, protocol: Protocol = 'http/1.1'): Promise<Seen> {
  world.model.script = script;
  const tap = await startWireTap(world.port, () => clock.monotonic());
  const body = JSON.stringify({ ...ask, stream });
  const before = world.model.seen.length;
  let over = false;
  const answer = (protocol === 'h2' ? askH2 : askHttp1)(tap, body).finally(() => (over = true));
  await until(() => over || world.model.seen.length > before, 'the model is asked');
  // What left in a step has passed the tap long before the next tick.
  await until(() => {
    if (!over) clock.advance(stepMs);
    return over;
  }, 'the answer');
  const text = await answer;
  // The last record may pass the tap after the client has read what it needs.
  await pause(30);
  await tap.close();
  const asked = tap.records.findLastIndex((one) => one.from === 'client' && one.bytes > body.length);
  const bursts: { after: number; last: number; bytes: number }[] = [];
  for (const { at, from, bytes } of tap.records.slice(asked)) {
    if (from !== 'server') continue;
    const burst = bursts.at(-1);
    const after = at - (tap.records[asked]?.at ?? Number.NaN);
    if (burst !== undefined && after - burst.last < every / 3) {
      burst.bytes += bytes;
      burst.last = after;
    } else bursts.push({ after, last: after, bytes });
  }
  return {
    bursts,
    sizes: bursts.map((one) => one.bytes),
    ticks: bursts.map((one) => Math.floor(one.after / every)),
    text,
  };
}

/** Asks once the handshake's last messages (tickets) are through, so that they are not taken for the answer. */
async function askHttp1(tap: WireTap, body: string): Promise<string> {
  const socket = connectTls({ port: tap.port, host: '127.0.0.1', ca: world.ca, ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  await pause(30);
  const headers = {
    authorization: `Bearer ${await world.token()}`,
    'content-type': 'application/json',
    'content-length': body.length,
  };
  const request = httpRequest({ method: 'POST', path, headers, createConnection: () => socket });
  request.end(body);
  const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer>];
  let text = '';
  for await (const piece of response) text += piece.toString('utf8');
  return text;
}

async function askH2(tap: WireTap, body: string): Promise<string> {
  const session = connectH2(`https://127.0.0.1:${tap.port}`, { ca: world.ca });
  await once(session, 'remoteSettings');
  await pause(30);
  const request = session.request({
    ':method': 'POST',
    ':path': path,
    authorization: `Bearer ${await world.token()}`,
    'content-type': 'application/json',
  });
  request.end(body);
  let text = '';
  for await (const piece of request) text += String(piece);
  session.destroy();
  return text;
}

const after = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));

/** A stream that says each text after so many milliseconds. */
const saying =
  (
    said: readonly (readonly [afterMs: number, text: string])[],
    headers: Readonly<Record<string, string>> = {},
  ): Script =>
  async (response) => {
    response.setHeader('content-type', 'text/event-stream');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    for (const [afterMs, text] of said) {
      await after(afterMs);
      response.write(chunk({ content: text }));
    }
    response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
  };

const yes = saying([[5, 'Yes.']]);
/** Of another length and rhythm, with a pause and with something to mask. */
const long = saying(
  [
    [60, 'No: '],
    ...Array.from({ length: 6 }, (_, at): readonly [number, string] => [10, `word ${at} `]),
    [330, 'the card 4111 1111 1111 1111 '],
    [40, 'is not '],
    [120, 'valid.'],
  ],
  { 'openai-processing-ms': '12345', 'x-ratelimit-remaining-tokens': '99999' },
);

const shaped = `padToMultipleOf: ${step}, cadence: { every: ${every}ms }, minDuration: 900ms`;
const whole =
  (content: string, delayMs = stepMs, headers: Readonly<Record<string, string>> = {}): Script =>
  async (response, request) => {
    await after(delayMs);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    return answerChat(content)(response, request);
  };
/** Without comments, as clients read it. */
const read = (sse: string): string => joinContent(sse.replace(/^:.*\n\n/gm, ''));
const code = (text: string): string | undefined => /"code":"(\w+)"/.exec(text)?.[1];
/** How often a write of `step` bytes, framed and encrypted, is in these bytes. */
const steps = (bytes: number): number => Math.floor(bytes / step);

describe.each(['http/1.1', 'h2'] as const)(
  'over %s, a stream with padding, cadence and minimum duration',
  (protocol) => {
    test('shows neither its length, its rhythm, the model’s pauses nor what was hidden: a step a tick, then the end', async () => {
      await start(shaped);
      const [short, longer] = [await observe(yes, true, protocol), await observe(long, true, protocol)];
      expect(read(short.text)).toBe('Yes.');
      expect(read(longer.text)).toBe(
        'No: word 0 word 1 word 2 word 3 word 4 word 5 the card [confidential] is not valid.',
      );
      expect(short.ticks).toEqual([1, 2, 3, 4, 5, 6]);
      expect(longer.ticks).toEqual(short.ticks);
      // The head is compressed in HTTP/2, and the request id in it is another each time.
      const from = protocol === 'h2' ? 1 : 0;
      expect(longer.sizes.slice(from)).toEqual(short.sizes.slice(from));
      expect(short.sizes.map(steps)).toEqual(short.sizes.map(() => 1));
    });

    test('shows the ticks that it took beyond the minimum, and the steps of a tick that had more to say than one', async () => {
      await start(shaped);
      const [slow, much] = [
        await observe(
          saying([
            [10, 'a'],
            [1_400, 'b'],
          ]),
          true,
          protocol,
        ),
        await observe(saying([[10, 'x'.repeat(2 * step)]]), true, protocol),
      ];
      expect(slow.ticks.length).toBeGreaterThan(8);
      expect(much.sizes.map(steps)).toEqual([1, 1, 1, 1, 1, 3]);
    });

    test('shows that it was refused or failed, and when', async () => {
      await start(shaped);
      const refused = await observe(
        (response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: no\n\n'),
        true,
        protocol,
      );
      expect(code(refused.text)).toBe('response_uninspectable');
      expect(refused.ticks).toEqual([0]);
    });
  },
);

describe('a stream with padding alone', () => {
  test('shows each event and when it came, and of its size only the steps', async () => {
    await start(`padToMultipleOf: ${step}`);
    const said = saying([
      [100, 'One, '],
      [200, 'two and a half. '],
      [300, 'Three, four and five. '],
    ]);
    const { bursts, sizes } = await observe(said, true);
    expect(bursts.map((one) => Math.floor(one.after / 100))).toEqual([1, 3, 6]);
    // The second is one write: a step, the chunk's own framing and the record's.
    expect(steps(sizes[1] ?? 0)).toBe(1);
    expect((sizes[1] ?? 0) % step).toBeLessThan(40);
  });
});

describe('an answer in one piece', () => {
  const rich = whole(`No: the card 4111 1111 1111 1111 is not valid. ${'x'.repeat(300)}`, 300, {
    'openai-processing-ms': '312',
    'x-ratelimit-remaining-tokens': '99999',
  });

  test.each(['http/1.1', 'h2'] as const)(
    'with padding and minimum duration looks the same over %s whatever it says, hides and took',
    async (protocol) => {
      await start(`padToMultipleOf: ${step}, minDuration: 600ms`);
      const [short, longer] = [await observe(whole('Yes.'), false, protocol), await observe(rich, false, protocol)];
      expect(longer.text).toContain('[confidential]');
      for (const { bursts } of [short, longer]) {
        expect(bursts).toHaveLength(1);
        expect(Math.floor((bursts[0]?.after ?? 0) / 300)).toBe(2);
      }
      // The request id, another each time, is compressed in HTTP/2: a few bytes of noise that say nothing of the answer.
      const difference = Math.abs((longer.sizes[0] ?? 0) - (short.sizes[0] ?? 0));
      expect(difference).toBeLessThanOrEqual(protocol === 'h2' ? 8 : 0);
    },
  );

  test('shows its steps, and its time beyond the minimum: to a tick where there is a cadence', async () => {
    await start(`padToMultipleOf: ${step}, cadence: { every: ${every}ms }`);
    const [quick, slow, large] = [
      await observe(whole('Yes.'), false),
      await observe(whole('Yes.', every + 40), false),
      await observe(whole('x'.repeat(2 * step)), false),
    ];
    expect([quick.ticks, slow.ticks, large.ticks]).toEqual([[1], [2], [1]]);
    expect([quick, large].map(({ sizes }) => sizes.map(steps))).toEqual([[1], [3]]);
    expect(slow.sizes).toEqual(quick.sizes);
  });

  test('names the rules that acted only to a caller who asks where its size is hidden', async () => {
    await start(`padToMultipleOf: ${step}`);
    world.model.script = answerChat('The card 4111 1111 1111 1111 is not valid.');
    const receipt = async (headers: Record<string, string>): Promise<unknown> =>
      (await world.post(path, ask, { headers })).headers['sidegate-receipt'];
    expect(await receipt({})).not.toContain('rules=');
    expect(await receipt({ 'sidegate-receipt': 'full' })).toContain('confidential=masked');
  });
});

describe('what waits for its time', () => {
  /** Its head; a whole answer as short as these came in one piece with it. */
  const hasAnswer = async (): Promise<boolean> =>
    (await world.metrics()).includes('sidegate_stage_seconds_count{stage="upstream"} 1\n');

  test.each([
    ['an answer in one piece', answerChat('Yes.'), false],
    ['a stream', streamChat(['Yes.']), true],
  ])('%s ends at once when the policy no longer allows it, without what waited', async (_name, script, stream) => {
    const limits = 'minDuration: 20s, cadence: { every: 10s }';
    await start(limits);
    world.model.script = script;
    const waiting = world.post(path, { ...ask, stream });
    await until(hasAnswer, 'the sidecar has the answer');
    expect(world.sidecar.live).toBe(1);
    await world.setPolicy(basePolicy(world.issuer.url).replace('ml-eng', 'nobody'));
    const { text } = await waiting;
    expect(code(text)).toBe('policy_changed');
    expect(text).not.toContain('Yes.');
    expect(text).not.toContain('[DONE]');
  });

  test('is charged to a caller who has gone meanwhile', async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          '    limits: { tokensPerMinute: 1000 }\n  responseLimits:\n  - { subjects: [{ anyone: true }], minDuration: 20s }\n',
        ),
    });
    world.model.script = (response) =>
      response
        .setHeader('content-type', 'application/json')
        .end(
          '{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2000,"total_tokens":2010}}',
        );
    const leave = new AbortController();
    const first = world.post(path, { ...ask, max_tokens: 10 }, { signal: leave.signal });
    await until(hasAnswer, 'the sidecar has the answer');
    leave.abort();
    await expect(first).rejects.toThrow();
    await until(() => world.recordSoFar().some((one) => one['type'] === 'end'));
    expect(code((await world.post(path, { ...ask, max_tokens: 10 })).text)).toBe('token_limited');
    expect(world.model.seen).toHaveLength(1);
  });
});
