import { afterEach, describe, expect, test } from '@jest/globals';
import type { Script } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { until } from '../support/wait.ts';

// `tokensPerMinute` for operations of one request and many prompts: nothing passes uncounted.

const code = (text: string): string | undefined => /"code":"(\w+)"/.exec(text)?.[1];
const limited = (limits: string, issuer: string): string => basePolicy(issuer, `    limits: ${limits}\n`);

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const withLimits = async (limits: string): Promise<World> => {
  world = await startWorld({ policy: (issuer) => limited(limits, issuer) });
  return world;
};

const embeds =
  (usage: object | undefined): Script =>
  (response) => {
    response.setHeader('content-type', 'application/json');
    const data = [{ object: 'embedding', index: 0, embedding: [0.5, 0.25] }];
    response.end(JSON.stringify({ object: 'list', data, model: 'm', usage }));
  };

/** The first request waits at the model until what is in the list is run; others are answered at once. */
function holdFirst(one: World, answer: Script): (() => unknown)[] {
  const waiting: (() => unknown)[] = [];
  one.model.script = (response, request) => {
    if (waiting.length > 0) return answer(response, request);
    return waiting.push(() => answer(response, request));
  };
  return waiting;
}

describe('tokens of embeddings', () => {
  const path = '/v1/embeddings';
  const ask = { model: 'text-embed', input: 'x'.repeat(400) };

  /** Asks until it is refused; how often it was answered. */
  async function untilRefused(one: World, body: object, most: number): Promise<number> {
    for (let answered = 0; answered < most; answered++) {
      const answer = await one.post(path, body);
      if (answer.status === 200) continue;
      expect([answer.status, code(answer.text)]).toEqual([429, 'token_limited']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(answer.text).toContain('engineers');
      expect(one.model.seen).toHaveLength(answered);
      return answered;
    }
    return most;
  }

  test.each([
    ['prompt_tokens', { prompt_tokens: 900, total_tokens: 900 }],
    ['total_tokens alone', { total_tokens: 900 }],
  ])('are charged by what the model says was used: %s', async (_, usage) => {
    const one = await withLimits('{ tokensPerMinute: 1000 }');
    one.model.script = embeds(usage);
    // 100 are reserved and 900 used: the second request finds no 100 beside what the clock gave back, the third none at all.
    expect(await untilRefused(one, ask, 5)).toBeLessThanOrEqual(2);
    expect((await one.record()).find((event) => event['type'] === 'end')).toMatchObject({
      tokens: { input: 900, output: 0 },
    });
  });

  test('usage that is smaller than the estimate gives the rest back', async () => {
    const one = await withLimits('{ tokensPerMinute: 150 }');
    one.model.script = embeds({ prompt_tokens: 1, total_tokens: 1 });
    expect(await untilRefused(one, ask, 10)).toBe(10);
  });

  test('are a quarter of the bytes where the model says nothing', async () => {
    const one = await withLimits('{ tokensPerMinute: 250 }');
    one.model.script = embeds(undefined);
    const answered = await untilRefused(one, ask, 10);
    expect(answered).toBeGreaterThanOrEqual(2);
    expect(answered).toBeLessThan(10);
  });

  test('are reserved before the model sees them, also as token ids', async () => {
    const one = await withLimits('{ tokensPerMinute: 500 }');
    const waiting = holdFirst(one, embeds(undefined));
    const ids = { model: 'text-embed', input: Array.from({ length: 400 }, () => 1234) };
    const first = one.post(path, ids);
    await until(() => waiting.length === 1);
    const answer = await one.post(path, ids);
    expect([answer.status, code(answer.text)]).toEqual([429, 'token_limited']);
    for (const run of waiting) run();
    expect((await first).status).toBe(200);
    expect(one.model.seen).toHaveLength(1);
  });

  test('are no output: maxOutputTokens neither refuses nor alters them', async () => {
    const one = await withLimits('{ tokensPerMinute: 1000, maxOutputTokens: 1 }');
    one.model.script = embeds({ prompt_tokens: 1, total_tokens: 1 });
    expect((await one.post(path, ask)).status).toBe(200);
    expect(JSON.parse(one.model.seen[0]?.body ?? '')).toEqual(ask);
  });
});

describe('tokens of routes that nobody described', () => {
  const others = async (limits: string): Promise<World> => {
    world = await startWorld({
      policy: (issuer) => limited(limits, issuer).replace('ListModels]', 'ListModels, Other]'),
    });
    return world;
  };
  const bytes = { headers: { 'content-type': 'application/octet-stream' }, body: Buffer.alloc(400) };
  const json =
    (text: string): Script =>
    (response) =>
      response.setHeader('content-type', 'application/json').end(text);

  test.each<[string, Script, (one: World) => Promise<{ status: number }>]>([
    [
      'by what the model says',
      json('{"usage":{"input_tokens":400,"output_tokens":500}}'),
      (one) => one.post('/v1/threads', {}),
    ],
    [
      'else by a quarter of the bytes',
      json(JSON.stringify({ text: 'é'.repeat(1_800) })),
      (one) => one.post('/vertex_generate', {}),
    ],
    [
      'both ways where nobody reads them',
      (response) => response.end(Buffer.alloc(3_200)),
      (one) => one.call('PUT', '/audio', bytes),
    ],
  ])('are charged %s', async (_how, script, ask) => {
    const one = await others('{ tokensPerMinute: 800 }');
    one.model.script = script;
    expect((await ask(one)).status).toBe(200);
    await one.record();
    expect((await ask(one)).status).toBe(429);
    expect(one.model.seen).toHaveLength(1);
  });

  test('are nearly none where nearly nothing is said', async () => {
    const one = await others('{ tokensPerMinute: 800 }');
    one.model.script = json('{}');
    for (let asked = 0; asked < 20; asked++) expect((await one.post('/v1/threads', {})).status).toBe(200);
  });
});

describe('tokens of many prompts in one request', () => {
  const path = '/v1/completions';

  test('are reserved for each prompt', async () => {
    const one = await withLimits('{ tokensPerMinute: 620 }');
    const waiting = holdFirst(one, (response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'text_completion', model: 'm', choices: [] }));
    });
    const body = { model: 'llama-3-8b', prompt: Array.from({ length: 10 }, () => 'a'), max_tokens: 60 };
    const first = one.post(path, body); // 600
    await until(() => waiting.length === 1);
    const answer = await one.post(path, body);
    expect([answer.status, code(answer.text)]).toEqual([429, 'token_limited']);
    for (const run of waiting) run();
    expect((await first).status).toBe(200);
    expect(one.model.seen).toHaveLength(1);
  });
});
