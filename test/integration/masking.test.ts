import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';
import { answerChat, chunk, streamChat } from '../support/scripted-model.ts';

const card = '4111 1111 1111 1111';
const mail = 'ana.maria@example.com';
const ssn = '536-22-8841';
const text = `Your card ${card}, mail ${mail} and number ${ssn} are on file. Bye.`;
const masked = 'Your card [confidential], mail [confidential] and number [confidential] are on file. Bye.';

const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const path = '/v1/chat/completions';

const leaks = (answer: string): string[] => {
  const digits = answer.replace(/\D/g, '');
  return [
    ...(digits.includes('4111111111111111') ? ['card'] : []),
    ...(answer.includes('maria@') ? ['mail'] : []),
    ...(digits.includes('536228841') ? ['ssn'] : []),
  ];
};

describe('personal data in answers', () => {
  let world: World;
  let officer: string;
  beforeAll(async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          `  - name: officers
    effect: Allow
    subjects: [{ group: compliance }]
    operations: [Chat, Completions]
  classification:
  - label: confidential
    fields: ["**.account_number"]
    detectors: [CreditCard, Email, UsSsn]
    visibleTo: [{ group: compliance }]
    otherwise: Mask
`,
        ),
    });
    officer = await world.token({ sub: 'olga', groups: ['compliance'] });
  });
  afterAll(() => world.close());

  test('are masked in JSON, and everything else goes out byte for byte', async () => {
    const body = `{ "id":"chatcmpl-1", "object":"chat.completion","created":1.70e9,"model":"llama-3-8b",\n"choices":[{"index":0,"message":{"content":${JSON.stringify(text)},"role":"assistant"},"finish_reason":"stop"}] }`;
    world.model.script = (response) => response.setHeader('content-type', 'application/json').end(body);
    const answer = await world.post(path, ask);
    expect(answer.text).toBe(body.replace(text, masked));
  });

  test('an untouched JSON answer is the very bytes of the model', async () => {
    const body =
      '{"id":"chatcmpl-1",  "object":"chat.completion","created":1e3,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"caf\\u00e9 \\/ ok"},"finish_reason":"stop"}]}';
    world.model.script = (response) => response.setHeader('content-type', 'application/json').end(body);
    expect((await world.post(path, ask)).text).toBe(body);
  });

  test('are shown to who may see them', async () => {
    world.model.script = answerChat(text);
    expect((await world.post(path, ask, { token: officer })).text).toContain(card);
  });

  test.each([1, 2, 3, 4, 7, 11, 200])('are masked in a stream of pieces of %i characters', async (size) => {
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
      text.slice(at * size, (at + 1) * size),
    );
    world.model.script = streamChat(pieces);
    const answer = await world.post(path, { ...ask, stream: true });
    expect(joinContent(answer.text)).toBe(masked);
    expect(leaks(joinContent(answer.text))).toEqual([]);
    expect(answer.text).toMatch(/data: \[DONE\]\n\n$/);
  });

  test('at every moment of a stream what was received is a prefix of the masked text', async () => {
    world.model.script = streamChat([...text]);
    let seen = '';
    await world.post(
      path,
      { ...ask, stream: true },
      {
        onChunk: (piece) => {
          seen += piece;
          const whole = seen.slice(0, seen.lastIndexOf('\n\n') + 2);
          expect(masked.startsWith(joinContent(whole))).toBe(true);
        },
      },
    );
    expect(joinContent(seen)).toBe(masked);
  });

  test('a stream is shown whole to who may see it, event for event', async () => {
    world.model.script = streamChat(['Your card ', card, ' is fine.']);
    expect(joinContent((await world.post(path, { ...ask, stream: true }, { token: officer })).text)).toBe(
      `Your card ${card} is fine.`,
    );
  });

  test('a stream cut in one-byte writes inside of events is masked alike', async () => {
    world.model.script = async (response) => {
      response.setHeader('content-type', 'text/event-stream');
      const bytes = Buffer.from(
        `${chunk({ content: 'Karte für Ana: 4111 1111' })}${chunk({ content: ' 1111 1111 ✓' }, 'stop')}data: [DONE]\n\n`,
      );
      for (const byte of bytes) {
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    };
    expect(joinContent((await world.post(path, { ...ask, stream: true })).text)).toBe(
      'Karte für Ana: [confidential] ✓',
    );
  });

  const lanes: readonly (readonly [string, (piece: string) => Record<string, unknown>, (sse: string) => string])[] = [
    ['reasoning_content', (piece) => ({ reasoning_content: piece }), (sse) => joinContent(sse, 'reasoning_content')],
    ['reasoning', (piece) => ({ reasoning: piece }), (sse) => joinContent(sse, 'reasoning')],
    ['refusal', (piece) => ({ refusal: piece }), (sse) => joinContent(sse, 'refusal')],
    ['an unknown field', (piece) => ({ musings: piece }), (sse) => joinContent(sse, 'musings')],
  ];
  test.each(lanes)('in %s are masked', async (_, delta, join) => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      for (const piece of text.match(/.{1,5}/g) ?? []) response.write(chunk(delta(piece)));
      response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
    };
    expect(join((await world.post(path, { ...ask, stream: true })).text)).toBe(masked);
  });

  test('in the second choice are masked while the first goes on', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      for (const piece of text.match(/.{1,3}/g) ?? []) {
        response.write(chunk({ content: piece }, null, 1));
        response.write(chunk({ content: 'la ' }, null, 0));
      }
      response.end(`${chunk({}, 'stop', 0)}${chunk({}, 'stop', 1)}data: [DONE]\n\n`);
    };
    const answer = await world.post(path, { ...ask, stream: true, n: 2 });
    expect(joinContent(answer.text, 'content', 1)).toBe(masked);
    expect(joinContent(answer.text, 'content', 0)).toMatch(/^(la )+$/);
  });

  test('a choice that is held while another goes on for more than 16 events loses nothing', async () => {
    const held = '4111 1111 1111 1';
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: `Take ${held}` }, null, 1));
      for (let at = 0; at < 40; at++) response.write(chunk({ content: `word ${at} ` }, null, 0));
      response.write(chunk({}, 'stop', 1));
      response.end(`${chunk({}, 'stop', 0)}data: [DONE]\n\n`);
    };
    const answer = await world.post(path, { ...ask, stream: true, n: 2 });
    expect(joinContent(answer.text, 'content', 1)).toBe(`Take ${held}`);
    expect(joinContent(answer.text, 'content', 0)).toContain('word 39 ');
    expect(answer.text.indexOf('4111')).toBeLessThan(answer.text.lastIndexOf('"finish_reason":"stop"'));
  });

  test('tool-call arguments stay valid JSON, with values masked by detector and by field', async () => {
    const args = JSON.stringify({
      to: mail,
      note: 'a "quoted" word',
      account_number: 'DE-77-1',
      nested: { account_number: 12 },
    });
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(
        chunk({
          tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'send', arguments: '' } }],
        }),
      );
      for (const piece of args.match(/.{1,4}/gs) ?? [])
        response.write(chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] }));
      response.end(`${chunk({}, 'tool_calls')}data: [DONE]\n\n`);
    };
    const answer = await world.post(path, { ...ask, stream: true });
    let joined = '';
    for (const frame of answer.text.split('\n\n')) {
      if (!frame.startsWith('data: {')) continue;
      const parsed = JSON.parse(frame.slice(6)) as {
        choices: { delta: { tool_calls?: { function: { arguments: string } }[] } }[];
      };
      for (const tool of parsed.choices[0]?.delta.tool_calls ?? []) joined += tool.function.arguments;
    }
    expect(JSON.parse(joined)).toEqual({
      to: '[confidential]',
      note: 'a "quoted" word',
      account_number: '[confidential]',
      nested: { account_number: '[confidential]' },
    });
  });

  test('log probabilities do not spell what the text hides', async () => {
    const tokens = ['Pay', ' 4111', ' 1111', ' 1111', ' 1111', ' now'];
    const entry = (token: string): Record<string, unknown> => ({
      token,
      logprob: -0.1,
      bytes: [...Buffer.from(token)],
      top_logprobs: [{ token, logprob: -0.1, bytes: [...Buffer.from(token)] }],
    });
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      for (const token of tokens)
        response.write(chunk({ content: token }, null, 0, { logprobs: { content: [entry(token)] } }));
      response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
    };
    const answer = await world.post(path, { ...ask, stream: true, logprobs: true, top_logprobs: 1 });
    expect(joinContent(answer.text)).toBe('Pay [confidential] now');
    expect(answer.text).not.toMatch(/4111|1111|52,49,49,49/);

    world.model.script = answerChat(tokens.join(''), { logprobs: { content: tokens.map(entry) } });
    const whole = await world.post(path, { ...ask, logprobs: true });
    expect(whole.text).not.toMatch(/4111|1111|52,49,49,49/);
    expect(whole.text).toContain('"token":" now"');
  });

  describe('tokens that are spelled by their ids', () => {
    const ids = /token_id/;
    const spelled = ['token_id:19180', 'token_id:1', 'token_id:1', 'token_id:1', 'token_id:1'];
    const entries = spelled.map((token) => ({
      token,
      logprob: -0.1,
      bytes: [...Buffer.from(token)],
      top_logprobs: [{ token, logprob: -0.1, bytes: null }],
    }));
    const columns = {
      tokens: spelled,
      token_logprobs: spelled.map(() => -0.1),
      top_logprobs: spelled.map((token) => ({ [token]: -0.1 })),
      text_offset: [0, 4, 9, 14, 19],
    };
    const pay = 'Pay 4111 1111 1111 1111';
    const of = (object: string, choice: object): string =>
      JSON.stringify({
        id: 'c',
        object,
        created: 1,
        model: 'm',
        choices: [{ index: 0, finish_reason: null, ...choice }],
      });
    const chat = { messages: ask.messages, model: ask.model, logprobs: true, return_tokens_as_token_ids: true };
    const completion = { prompt: 'hello', model: ask.model, logprobs: 1, return_tokens_as_token_ids: true };
    const message = { role: 'assistant', content: pay };
    const mixed = { ...columns, tokens: ['Pay', ...spelled.slice(1)] };
    test.each<[string, string, object, object]>([
      ['Chat', path, chat, { message, logprobs: { content: entries }, finish_reason: 'stop' }],
      [
        'Chat, one alternative',
        path,
        chat,
        {
          message,
          logprobs: { content: [{ ...entries[0], token: 'Pay' }] },
          finish_reason: 'stop',
        },
      ],
      ['Completions', '/v1/completions', completion, { text: pay, logprobs: columns, finish_reason: 'stop' }],
      [
        'Completions, all but one',
        '/v1/completions',
        completion,
        { text: pay, logprobs: mixed, finish_reason: 'stop' },
      ],
      ['Chat, streamed', path, { ...chat, stream: true }, { delta: message, logprobs: { content: entries } }],
      ['Completions, streamed', '/v1/completions', { ...completion, stream: true }, { text: pay, logprobs: columns }],
    ])('%s: go to nobody from whom the text hides anything, and are not asked for', async (_, to, body, choice) => {
      const streamed = 'stream' in body;
      world.model.seen.length = 0;
      world.model.script = (response) => {
        response.setHeader('content-type', streamed ? 'text/event-stream' : 'application/json');
        const whole = of(streamed ? 'chunk' : 'answer', choice);
        const last = of('chunk', { ...('delta' in choice ? { delta: {} } : { text: '' }), finish_reason: 'stop' });
        response.end(streamed ? `data: ${whole}\n\ndata: ${last}\n\ndata: [DONE]\n\n` : whole);
      };
      const answer = await world.post(to, body);
      expect(answer.status).toBe(200);
      expect(answer.text).toContain('Pay [confidential]');
      expect(answer.text).not.toMatch(ids);
      const open = await world.post(to, body, { token: officer });
      expect(open.text).toMatch(ids);
      const asked = world.model.seen.map((one) => (JSON.parse(one.body) as typeof chat).return_tokens_as_token_ids);
      expect(asked).toEqual([false, true]);
    });
  });

  const ends: readonly (readonly [string, string[], Parameters<typeof streamChat>[1], string])[] = [
    [
      'a card cut one digit short by length is masked',
      ['Pay 4111 1111 1111 111'],
      { finish: 'length' },
      'Pay [confidential]',
    ],
    ['a few digits at a cut are not a card', ['Room 12'], { finish: 'length' }, 'Room 12'],
    [
      'an incomplete card at a natural end is what it is',
      ['Pay 4111 1111 1111 111'],
      { finish: 'stop' },
      'Pay 4111 1111 1111 111',
    ],
  ];
  test.each(ends)('%s', async (_, pieces, options, expected) => {
    world.model.script = streamChat(pieces, options);
    expect(joinContent((await world.post(path, { ...ask, stream: true })).text)).toBe(expected);
  });

  test('the caller’s own stop string cannot cut a card short', async () => {
    world.model.script = streamChat(['Pay 4111 1111 1111 111'], { finish: 'stop' });
    expect(joinContent((await world.post(path, { ...ask, stream: true, stop: ['1'] })).text)).toBe(
      'Pay [confidential]',
    );
    world.model.script = answerChat('Pay 4111 1111 1111 111');
    expect((await world.post(path, { ...ask, stop: ['1'] })).text).toContain('Pay [confidential]');
  });

  test('a broken connection drops what is held and ends with an error event, never with [DONE]', async () => {
    world.model.script = async (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: 'Pay ' }));
      response.write(chunk({ content: '4111 1111' }));
      await new Promise((resolve) => setTimeout(resolve, 30));
      response.destroy();
    };
    const answer = await world.post(path, { ...ask, stream: true });
    expect(joinContent(answer.text.split('data: {"error"')[0] ?? '')).toBe('Pay ');
    expect(answer.text).toContain('"code":"upstream_protocol"');
    expect(answer.text).not.toContain('[DONE]');
  });

  const shapes: readonly (readonly [string, string])[] = [
    [
      'an unterminated last frame',
      `${chunk({ content: 'Hi ' })}data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: `${mail} ok` } }] })}`,
    ],
    [
      'data over several lines',
      `data: {"choices":[{"index":0,\ndata: "delta":{"content":"Hi ${mail} "}}]}\n\n${chunk({}, 'stop')}data: [DONE]\n\n`,
    ],
    [
      'CRLF line ends',
      `${chunk({ content: `Hi ${mail} ` })}${chunk({}, 'stop')}data: [DONE]\n\n`.replaceAll('\n', '\r\n'),
    ],
    ['comments that hold text', `: ${mail}\n\n${chunk({ content: 'Hi ' })}${chunk({}, 'stop')}data: [DONE]\n\n`],
    [
      'an id and an event name that hold text',
      `id: ${mail}\nevent: ${mail}\ndata: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n`,
    ],
    ['a model name that holds text', chunk({ content: 'Hi' }).replace('llama-3-8b', mail) + 'data: [DONE]\n\n'],
    [
      'escaped characters',
      `data: {"choices":[{"index":0,"delta":{"content":"ana.m\\u0061ria\\u0040example.com "}}]}\n\ndata: [DONE]\n\n`,
    ],
  ];
  test.each(shapes)('%s does not let anything pass unread', async (_, body) => {
    world.model.script = (response) => response.setHeader('content-type', 'text/event-stream').end(body);
    const answer = await world.post(path, { ...ask, stream: true });
    expect(answer.text).not.toContain('maria@example');
    expect(answer.text).not.toContain('ana.m\\u0061ria');
  });

  const unreadable: readonly (readonly [string, string])[] = [
    ['data that is not JSON', 'data: hello world\n\n'],
    ['JSON with a key twice', 'data: {"choices":[],"choices":[]}\n\n'],
    ['text after [DONE]', `data: [DONE]\n\n${chunk({ content: 'more' })}`],
    ['text after the finish', `${chunk({}, 'stop')}${chunk({ content: 'more' })}`],
  ];
  test.each(unreadable)('%s ends the stream with an error event', async (_, body) => {
    world.model.script = (response) => response.setHeader('content-type', 'text/event-stream').end(body);
    const answer = await world.post(path, { ...ask, stream: true });
    expect(answer.text).toMatch(/data: \{"error":.*"code":"(response_uninspectable|upstream_protocol)"/);
    expect(answer.text).not.toContain('more');
    expect(answer.text).not.toContain('hello world');
  });

  test.each(['gzip', 'br', 'zstd', 'deflate'])('an answer in %s is read and leaves plain', async (coding) => {
    const zlib = await import('node:zlib');
    const pack = {
      gzip: zlib.gzipSync,
      br: zlib.brotliCompressSync,
      zstd: zlib.zstdCompressSync,
      deflate: zlib.deflateSync,
    }[coding];
    world.model.script = (response) => {
      response.setHeader('content-type', 'application/json').setHeader('content-encoding', coding);
      response.end(
        pack?.(
          JSON.stringify({
            choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
          }),
        ),
      );
    };
    const answer = await world.post(path, ask);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain(masked);
    expect(leaks(answer.text)).toEqual([]);
    expect(answer.headers['content-encoding']).toBeUndefined();
  });

  test.each(['text/html', 'application/octet-stream', 'text/plain', 'image/png'])(
    'an answer of type %s on an inference route is refused',
    async (type) => {
      world.model.script = (response) => response.setHeader('content-type', type).end(text);
      const answer = await world.post(path, ask);
      expect([answer.status, (JSON.parse(answer.text) as { error: { code: string } }).error.code]).toEqual([
        502,
        'response_uninspectable',
      ]);
    },
  );

  test('error bodies of the model are masked too', async () => {
    world.model.script = (response) => {
      response.statusCode = 400;
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ error: { message: `bad prompt: ${text}`, type: 'x', code: mail } }));
    };
    const answer = await world.post(path, ask);
    expect(answer.status).toBe(400);
    expect(leaks(answer.text)).toEqual([]);
  });

  test('the record holds the masked text for whoever asked', async () => {
    world.model.script = answerChat(text);
    const answer = await world.post(path, ask, { token: officer });
    expect(answer.text).toContain(card);
    const session = (await world.record()).filter((event) => event['session'] === answer.headers['x-request-id']);
    expect(session.map((event) => event['type'])).toEqual(['start', 'segment', 'end']);
    expect(session[1]?.['text']).toBe(masked);
    expect((await world.record()).flatMap((event) => leaks(String(event['text'] ?? '')))).toEqual([]);
  });
});
