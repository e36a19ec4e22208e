import { afterEach, describe, expect, test } from '@jest/globals';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import OpenAI from 'openai';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { startModelServer } from '../support/model-server.ts';
import type { ModelServer, ModelServerOptions } from '../support/model-server.ts';
import { samples } from '../support/model-server-scripts.ts';

/** What other tests take for granted of the model server that they run against. */

const open: ModelServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});
async function start(options: ModelServerOptions = {}): Promise<ModelServer> {
  const server = await startModelServer(options);
  open.push(server);
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly chunks: number;
  readonly whole: boolean;
}

function ask(server: ModelServer, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: server.host,
        port: server.port,
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers,
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => undefined);
        response.on('close', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
            chunks: chunks.length,
            whole: response.complete,
          }),
        );
      },
    );
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const chat = (content: string, more: object = {}) => ({
  model: 'llama-3.1-8b',
  messages: [{ role: 'user', content }],
  ...more,
});
const path = '/v1/chat/completions';

interface Frame {
  readonly choices: readonly {
    readonly index: number;
    readonly delta: Record<string, unknown>;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}
const frames = (text: string): (Frame | '[DONE]')[] =>
  text
    .split(/(?:\r\n|\r|\n){2}/)
    .filter((frame) => frame !== '')
    .map((frame) => frame.replace(/^(?!data:).*\n/gm, '').replace(/^data: /, ''))
    .map((data) => (data === '[DONE]' ? data : (JSON.parse(data) as Frame)));
const joined = (text: string, field = 'content', index = 0): string =>
  frames(text)
    .flatMap((frame) => (frame === '[DONE]' ? [] : frame.choices))
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta[field] ?? '')
    .join('');
const pii = `Of course. The card on file is ${samples.card}, the address is ${samples.email} and the number is ${samples.ssn}. Anything else?`;

describe('the model server', () => {
  test('answers the official client: JSON, stream with usage, tool calls, embeddings and models', async () => {
    const server = await start();
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'script:pii' }];
    const whole = await client.chat.completions.create({ model: 'm', messages });
    expect(whole.choices[0]?.message.content).toBe(pii);
    expect(whole.usage?.total_tokens).toBeGreaterThan(20);

    let text = '';
    let counted = 0;
    const stream = await client.chat.completions.create({
      model: 'm',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      counted = chunk.usage?.completion_tokens ?? counted;
    }
    expect(text).toBe(pii);
    expect(counted).toBe(whole.usage?.completion_tokens);

    const tool = await client.chat.completions
      .stream({ model: 'm', messages: [{ role: 'user', content: 'script:tool' }] })
      .finalChatCompletion();
    expect(tool.choices[0]?.finish_reason).toBe('tool_calls');
    const calls = tool.choices[0]?.message.tool_calls?.map((call) =>
      call.type === 'function' ? call.function : undefined,
    );
    expect(calls?.map((call) => call?.name)).toEqual(['refund', 'mail']);
    expect(JSON.parse(calls?.[0]?.arguments ?? '')).toMatchObject({
      card: samples.card,
      customer: { ssn: samples.ssn },
    });

    const vectors = await client.embeddings.create({ model: 'm', input: ['a', 'b', 'a'] });
    expect(vectors.data).toHaveLength(3);
    expect(vectors.data[0]?.embedding).toEqual(vectors.data[2]?.embedding);
    expect((await client.models.list()).data.map(({ id }) => id)).toContain('llama-3.1-8b');
    expect((await client.models.retrieve('llama-3.1-8b')).id).toBe('llama-3.1-8b');
  });

  test('splits every value over many events and gives the same text as in JSON', async () => {
    const server = await start();
    const { body } = await ask(server, path, chat('script:pii-small', { stream: true }));
    expect(joined(body.toString())).toBe(pii);
    expect(frames(body.toString()).length).toBeGreaterThan(50);
    for (const value of [samples.card, samples.email, samples.ssn]) expect(body.toString()).not.toContain(value);
  });

  test('honours n, output limits, stop sequences and logprobs', async () => {
    const server = await start();
    const two = (await ask(server, path, chat('script:choices', { stream: true, n: 2 }))).body.toString();
    expect([joined(two), joined(two, 'content', 1)]).toEqual([
      `Choice 0: ${samples.card}.`,
      `Choice 1: ${samples.email}.`,
    ]);

    const read = async (more: object) =>
      JSON.parse((await ask(server, path, chat('script:pii', more))).body.toString()) as {
        choices: {
          finish_reason: string;
          message: { content: string };
          logprobs: { content: { token: string; top_logprobs: unknown[] }[] };
        }[];
      };
    const short = await read({ max_tokens: 3 });
    expect(short.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: 'Of course.' } });
    const stopped = await read({ stop: [', the', 'zzz'] });
    expect(stopped.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: `Of course. The card on file is ${samples.card}` },
    });
    const scored = await read({ logprobs: true, top_logprobs: 2 });
    const entries = scored.choices[0]?.logprobs.content ?? [];
    expect(entries.map(({ token }) => token).join('')).toBe(pii);
    expect(entries[0]?.top_logprobs).toHaveLength(2);
  });

  test('serves completions with array prompts, echo and parallel logprobs', async () => {
    const server = await start();
    const { body } = await ask(server, '/v1/completions', {
      model: 'm',
      prompt: ['script:pii one', 'two'],
      echo: true,
      logprobs: 1,
    });
    const { choices } = JSON.parse(body.toString()) as {
      choices: { text: string; logprobs: { tokens: string[]; text_offset: number[] } }[];
    };
    expect(choices.map(({ text }) => text)).toEqual([`script:pii one${pii}`, `two${pii}`]);
    expect(choices[0]?.logprobs.tokens.join('')).toBe(choices[0]?.text);
    expect(choices[0]?.logprobs.text_offset[1]).toBe('script:pii one'.length);
    const stream = (
      await ask(server, '/v1/completions', { model: 'm', prompt: 'script:pii', stream: true })
    ).body.toString();
    expect([...stream.matchAll(/"text":"([^"]*)"/g)].map((match) => match[1]).join('')).toBe(pii);
  });

  test.each([
    ['reasoning', 'reasoning_content', samples.ssn],
    ['refusal', 'refusal', samples.card],
  ])('streams %s as a field of its own', async (script, field, value) => {
    const { body } = await ask(await start(), path, chat(`script:${script}`, { stream: true }));
    expect(joined(body.toString(), field)).toContain(value);
    expect(joined(body.toString())).not.toContain(value);
  });

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
    ['deflate', inflateSync],
  ])('answers in %s when it is accepted, and plainly when not', async (encoding, decode) => {
    const server = await start();
    for (const stream of [false, true]) {
      const encoded = await ask(server, path, chat(`script:${encoding}`, { stream }), {
        'accept-encoding': `x, ${encoding};q=0.5`,
      });
      expect(encoded.headers['content-encoding']).toBe(encoding);
      const text = decode(encoded.body).toString();
      if (stream) expect(joined(text)).toBe(pii);
      else expect(text).toContain(JSON.stringify(pii));
      const plain = await ask(server, path, chat(`script:${encoding}`, { stream }));
      expect(plain.headers['content-encoding']).toBeUndefined();
      if (stream) expect(joined(plain.body.toString())).toBe(pii);
    }
  });

  test.each(['script:pii+onebyte', 'script:pii+crlf', 'script:pii+cr', 'script:comments', 'script:pii+perwrite7'])(
    'streams the same text in another shape: %s',
    async (script) => {
      const { body } = await ask(await start(), path, chat(script, { stream: true }));
      expect(joined(body.toString())).toBe(pii);
      expect(body.toString()).toMatch(/data: \[DONE\](\r\n|\r|\n){2}$/);
    },
  );

  test.each<[string, RegExp, boolean]>([
    ['no-done', /"finish_reason":"stop".*\n\n$/, true],
    ['unterminated', /"finish_reason":"stop".*\}$/, true],
    ['error-frame', /"error".*\n\n$/, true],
    ['abort', /\n\n$/, false],
  ])('ends a stream wrongly when asked: %s', async (script, end, whole) => {
    const answer = await ask(await start(), path, chat(`script:${script}`, { stream: true }));
    expect(answer.whole).toBe(whole);
    expect(answer.body.toString()).toMatch(end);
    expect(answer.body.toString()).not.toContain('[DONE]');
  });

  test('cuts a JSON answer in the middle when asked', async () => {
    const answer = await ask(await start(), path, chat('script:abort'));
    expect(answer.whole).toBe(false);
    expect(() => JSON.parse(answer.body.toString()) as unknown).toThrow();
  });

  test.each([
    ['error-400', 400],
    ['error-429', 429],
    ['error-500', 500],
    ['error-html', 502],
  ])('echoes the prompt in %s', async (script, status) => {
    const answer = await ask(await start(), path, chat(`script:${script} my "secret" words`), {
      authorization: 'Bearer model-key',
    });
    expect(answer.status).toBe(status);
    expect(answer.body.toString()).toContain('secret');
    if (status === 500) expect(answer.body.toString()).toContain('model-key');
    if (status === 429) expect(answer.headers['retry-after']).toBe('7');
  });

  test('streams without end until the caller hangs up, and notices', async () => {
    const server = await start();
    const call = request({ host: server.host, port: server.port, path, method: 'POST', agent: false });
    call.on('error', () => undefined);
    call.on('response', (response) => {
      let bytes = 0;
      response.on('error', () => undefined);
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > 100_000) call.destroy();
      });
    });
    call.end(JSON.stringify(chat('script:endless-fast', { stream: true })));
    await server.until(([first]) => first?.outcome === 'aborted');
    const { events = 0 } = server.requests[0] ?? {};
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.requests[0]?.events).toBe(events);
  });

  test('remembers what it saw, as it came', async () => {
    const server = await start();
    await ask(server, `${path}?a=%20b`, chat('hi'), { 'x-one': '1' });
    await ask(server, '/health');
    expect(server.requests.map(({ method, path: seen, outcome }) => [method, seen, outcome])).toEqual([
      ['POST', `${path}?a=%20b`, 'finished'],
      ['GET', '/health', 'finished'],
    ]);
    expect(server.requests[0]?.headers['x-one']).toBe('1');
    expect(server.requests[0]?.json).toEqual(chat('hi'));
    server.forget();
    expect(server.requests).toEqual([]);
  });

  test('records and echoes an upgrade', async () => {
    const server = await start();
    const text = await new Promise<string>((resolve) => {
      const socket = connect(server.port, server.host, () =>
        socket.write('GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
      );
      let seen = '';
      socket.on('data', (chunk) => {
        seen += chunk.toString();
        if (seen.endsWith('\r\n\r\n')) socket.write('ping');
        if (seen.endsWith('ping')) {
          socket.destroy();
          resolve(seen);
        }
      });
    });
    expect(text).toMatch(/^HTTP\/1.1 101 /);
    expect(server.requests[0]?.path).toBe('/v1/realtime');
  });

  test('wants its key when it has one', async () => {
    const server = await start({ apiKey: 'k' });
    expect((await ask(server, '/v1/models')).status).toBe(401);
    expect((await ask(server, '/v1/models', undefined, { authorization: 'Bearer k' })).status).toBe(200);
  });

  test('takes scripts of a test, and says when there is none of that name', async () => {
    const server = await start({ scripts: { mine: { content: 'made for this' } } });
    expect((await ask(server, path, chat('script:mine'))).body.toString()).toContain('made for this');
    expect((await ask(server, path, { model: 'script:mine', messages: [] })).body.toString()).toContain(
      'made for this',
    );
    expect((await ask(server, path, chat('script:misspelt'))).status).toBe(599);
    expect((await ask(server, path, chat('script:pii+misspelt'))).status).toBe(599);
  });
});
