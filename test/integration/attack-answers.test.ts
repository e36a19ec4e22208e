import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Answer, World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { Script } from '../support/scripted-model.ts';
import { answerChat, chunk, streamChat } from '../support/scripted-model.ts';

const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const path = '/v1/chat/completions';
const card = '4111111111111111';
const ghp = `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`;
const finish = `${chunk({}, 'stop')}data: [DONE]\n\n`;
const args = (...pieces: readonly string[]): string =>
  pieces.map((piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })).join('') + finish;

const sse =
  (body: string | Buffer, headers: Record<string, string> = {}): Script =>
  (response) => {
    response.setHeader('content-type', 'text/event-stream');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.end(body);
  };
const whole =
  (body: string | Buffer, headers: Record<string, string> = {}, status = 200): Script =>
  (response) => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.end(body);
  };
const leaked = (text: string): boolean =>
  text.replace(/[^0-9]/g, '').includes(card) || text.includes(ghp) || text.includes('maria@example');

describe('attacks on answers', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          `  - name: officers
    effect: Allow
    subjects: [{ group: compliance }]
    operations: [Chat, Completions]
  - name: probes
    effect: Allow
    subjects: [{ anyone: true }]
    operations: [Health]
  classification:
  - label: confidential
    fields: ["**.account_number"]
    detectors: [CreditCard, Email, UsSsn, Iban, Secrets]
    visibleTo: [{ group: compliance }]
    otherwise: Mask
`,
        ),
    });
  });
  afterAll(() => world.close());

  const get = async (script: Script, more: Record<string, unknown> = { stream: true }): Promise<Answer> => {
    world.model.script = script;
    return world.post(path, { ...ask, ...more });
  };
  const no = async (script: Script, more?: Record<string, unknown>): Promise<void> => {
    const answer = await get(script, more);
    expect(leaked(answer.text + JSON.stringify(answer.headers))).toBe(false);
    expect(answer.text).not.toContain('internal_error');
  };

  test('a card in the pieces of a tool’s name, which SDKs join, is masked', async () => {
    const name = (piece: string): string =>
      chunk({ tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: piece } }] });
    const { text } = await get(sse(name('41111111') + name('11111111') + finish));
    expect([...text.matchAll(/"name":"([^"]*)"/g)].map((found) => found[1]).join('')).not.toBe(card);
  });

  test('a tool’s name leaves whole with the first of its arguments', async () => {
    const call = (called: Record<string, string>): string => chunk({ tool_calls: [{ index: 0, function: called }] });
    const pieces = [
      call({ name: 'get_weather', arguments: '' }),
      ...Array.from({ length: 40 }, () => call({ arguments: ' ' })),
    ];
    const { text } = await get(sse(pieces.join('') + finish));
    expect([...text.matchAll(/"name":"([^"]*)"/g)].map((found) => found[1])).toEqual(['get_weather']);
  });

  test('a card as a number with an exponent is masked in tool arguments', async () => {
    expect((await get(sse(args('{"a":4.111111111111111e15}')))).text).not.toContain('4.111111111111111e15');
  });

  test.each([
    ['a card with NUL between digits', [...card].join('\u0000'), /1\u00001\u00001/],
    ['a card in base64', Buffer.from(`the card is ${card} ok`).toString('base64'), /NDExMTEx/],
    ['a card with dots between digits', [...card].join('.'), /1\.1\.1\.1/],
    ['two cards side by side', `${card}${card}`, /1111/],
    ['a card over four lines', '4111\n1111\n1111\n1111', /1111/],
    ['a card in bold groups', '**4111** **1111** **1111** **1111**', /1111/],
    ['a quoted mail address', '"ana maria"@example.com', /maria"@/],
  ])('%s is masked, whole and streamed', async (_name, text, leak) => {
    const { text: streamed } = await get(streamChat([...`Value: ${text} end.`]));
    const joined = [...streamed.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)]
      .map((found) => JSON.parse(found[1] ?? '""') as string)
      .join('');
    expect(joined).toContain('Value: ');
    expect(joined).not.toMatch(leak);
    const answer = await get(answerChat(`Value: ${text} end.`), {});
    const body = JSON.parse(answer.text) as { choices: { message: { content: string } }[] };
    expect(body.choices[0]?.message.content).toContain('Value: ');
    expect(body.choices[0]?.message.content).not.toMatch(leak);
  });

  test.each([
    ['event name card', `event: ${card}\n${chunk({ content: 'hi' })}${finish}`],
    ['event name token', `event: ${ghp}\n${chunk({ content: 'hi' })}${finish}`],
    [
      'event name split',
      `event: 41111111\n${chunk({ content: 'hi' })}event: 11111111\n${chunk({ content: 'hi' })}${finish}`,
    ],
    ['id line', `id: ${card}\n${chunk({ content: 'hi' })}${finish}`],
    ['retry line', `retry: ${card}\n\n${chunk({ content: 'hi' })}${finish}`],
    ['comment', `: ${card}\n\n${chunk({ content: 'hi' })}${finish}`],
    ['unknown line in frame', `x: ${card}\n${chunk({ content: 'hi' })}${finish}`],
    [
      'CR ends',
      `${chunk({ content: 'hi 4111 1111' })}${chunk({ content: ' 1111 1111' })}${finish}`.replace(/\n/g, '\r'),
    ],
    [
      'CRLF ends',
      `${chunk({ content: 'hi 4111 1111' })}${chunk({ content: ' 1111 1111' })}${finish}`.replace(/\n/g, '\r\n'),
    ],
    ['BOM', `\ufeff${chunk({ content: 'hi 4111 1111' })}${chunk({ content: ' 1111 1111' })}${finish}`],
    ['BOM twice', `\ufeff\ufeff${chunk({ content: `hi ${card}` })}${finish}`],
    ['no space', `${chunk({ content: `hi ${card}` })}${finish}`.replace(/data: /g, 'data:')],
    ['data without colon', `data\n${chunk({ content: `hi ${card}` })}${finish}`],
    ['multi-line', `data: {"choices":[{"index":0,"delta":\ndata: {"content":"${card}"}}]}\n\n${finish}`],
    ['not json', `data: ${card}\n\n${finish}`],
    ['json string', `data: "${card}"\n\n${finish}`],
    ['two json in one frame', `data: {"choices":[]} {"x":"${card}"}\n\n${finish}`],
    ['concatenated lines', `data: {"choices":[]}\ndata: {"x":"${card}"}\n\n${finish}`],
    ['unterminated', `data: {"choices":[{"index":0,"delta":{"content":"${card}"}}]}`],
    ['after done', `${finish}${chunk({ content: card })}`],
    ['after done comment', `${finish}: ${card}\n\n`],
    ['done with text', `data: [DONE] ${card}\n\n`],
    ['event done with data', `event: ${card}\ndata: [DONE]\n\n`],
    ['empty data', `data:\n\n${chunk({ content: card })}${finish}`],
    [
      'NUL in text',
      `data: {"choices":[{"index":0,"delta":{"content":"4111\\u00001111\\u00001111\\u00001111 "}}]}\n\n${finish}`,
    ],
    [
      'escapes',
      `data: {"choices":[{"index":0,"delta":{"content":"\\u0034\\u0031\\u0031\\u0031111111111111"}}]}\n\n${finish}`,
    ],
    ['usage string', `data: {"choices":[],"usage":{"prompt_tokens":"${card}"}}\n\n${finish}`],
    ['usage unknown', `data: {"choices":[],"usage":{"prompt_tokens":1,"note":"${card}"}}\n\n${finish}`],
    ['usage key', `data: {"choices":[],"usage":{"prompt_tokens":1,"${card}":1}}\n\n${finish}`],
    [
      'error frame',
      `data: {"error":{"message":"bad ${card}","type":"${card}","code":"${card}","param":"${card}"}}\n\n`,
    ],
    ['error event', `event: error\ndata: {"message":"bad ${card}"}\n\n`],
    ['error text', `data: {"error":"bad ${card}"}\n\n`],
    ['key', `data: {"choices":[{"index":0,"delta":{"${card}":"x"}}]}\n\n${finish}`],
    ['key nested', `data: {"choices":[],"usage":null,"x":{"y":[{"${card}":1}]}}\n\n${finish}`],
    ['id', `data: {"id":"${card}","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n${finish}`],
    [
      'second id by shape cache',
      `data: {"choices":[{"index":0,"delta":{"content":"x"}}],"id":"a"}\n\ndata: {"choices":[{"index":0,"delta":{"content":"y"}}],"id":"${card}"}\n\n${finish}`,
    ],
    [
      'shape cache ending quote',
      `data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: {"choices":[{"index":0,"delta":{"content":"y","z":"${card}"}}]}\n\n${finish}`,
    ],
    [
      'parts',
      `data: {"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"4111 1111 "}]}}]}\n\ndata: {"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"1111 1111"}]}}]}\n\n${finish}`,
    ],
    ['tool args number split', args('{"card": 4111', '11111111', '1111}')],
    ['tool args field', args('{"account_', 'number": 12', '34}')],
    ['tool args key', args(`{"4111 1111`, ` 1111 1111": 12`, '34}')],
    ['tool args not json', args(`oops {{ 4111 1111`, ` 1111 1111 "`, '34}')],
    ['tool args json escapes', args(`{"a":"\\u00341`, `11 1111 1111 1111"`, '}')],
    ['tool args nested json', args(JSON.stringify({ a: JSON.stringify({ b: `x ${card} y` }) }))],
    ['tool args trailing after json', args('{}', ` ${card}`)],
    ['tool args two documents', args('{}', `{"a":"${card}"}`)],
    [
      'logprobs',
      `data: {"choices":[{"index":0,"delta":{"content":"ok"},"logprobs":{"content":[{"token":"4111 1111","logprob":-1,"bytes":null,"top_logprobs":[{"token":"4111 1111","logprob":-1,"bytes":null}]},{"token":" 1111 1111","logprob":-1,"bytes":null,"top_logprobs":[{"token":" 1111 1111","logprob":-1,"bytes":null}]}]}}]}\n\n${finish}`,
    ],
    [
      'logprobs bytes',
      `data: {"choices":[{"index":0,"delta":{"content":"ok"},"logprobs":{"content":[{"token":"ok","logprob":-1,"bytes":[${[...Buffer.from(card)].join(',')}],"top_logprobs":[]}]}}]}\n\n${finish}`,
    ],
    ['refusal then content', `${chunk({ refusal: '4111 1111 ' })}${chunk({ refusal: '1111 1111' })}${finish}`],
    [
      'finish frame carries text',
      `${chunk({ content: '4111 1111 ' })}${chunk({ content: '1111 1111' }, 'length')}data: [DONE]\n\n`,
    ],
    ['choices as object', `data: {"choices":{"0":{"delta":{"content":"${card}"}}}}\n\n${finish}`],
    ['proto key', `data: {"choices":[{"index":0,"delta":{"__proto__":{"content":"${card}"}}}]}\n\n${finish}`],
    [
      'constructor key',
      `data: {"choices":[{"index":0,"delta":{"constructor":"4111 1111 "}}]}\n\ndata: {"choices":[{"index":0,"delta":{"constructor":"1111 1111"}}]}\n\n${finish}`,
    ],
    [
      'lone surrogate between',
      `data: {"choices":[{"index":0,"delta":{"content":"4111\\ud8001111 1111 1111 "}}]}\n\n${finish}`,
    ],
  ])('personal data does not leave a stream by its %s', async (_name, body) => {
    await no(sse(body));
    const { text } = await get(sse(body));
    // Its digits are drawn: any four may be among them.
    expect(text.replace(/"request_id":"[0-9a-f]{32}"/, '')).not.toContain('1234');
  });

  test('an event that is no plain name keeps its text from the caller', async () => {
    await no(sse(`event: a.${card}\n${chunk({ content: 'hi' })}${finish}`));
  });

  test.each([
    [
      'half a card before an error frame that names its lane',
      '{"error":{"message":"x"},"choices":[{"index":0,"delta":{"content":""}}]}',
    ],
    ['half a card before an error frame', '{"error":{"message":"x"}}'],
    ['error frame finishing', '{"error":{"message":"x"},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'],
  ])('%s stays with us', async (_name, frame) => {
    const answer = await get(sse(`${chunk({ content: 'card 4111 1111 1111 111' })}data: ${frame}\n\n`));
    expect(answer.text.includes('1111 1111')).toBe(false);
  });

  test.each([
    ['gzip', gzipSync(Buffer.from(`${chunk({ content: card })}${finish}`)), 'gzip'],
    ['gzip twice', gzipSync(gzipSync(Buffer.from(`${chunk({ content: card })}${finish}`))), 'gzip, gzip'],
    ['gzip twice said once', gzipSync(gzipSync(Buffer.from(`${chunk({ content: card })}${finish}`))), 'gzip'],
    ['x-gzip', gzipSync(Buffer.from(`${chunk({ content: card })}${finish}`)), 'x-gzip'],
    ['identity', Buffer.from(`${chunk({ content: card })}${finish}`), 'identity'],
    ['lies', Buffer.from(`${chunk({ content: card })}${finish}`), 'gzip'],
    ['unknown', Buffer.from(`${chunk({ content: card })}${finish}`), 'foo'],
    [
      'two members',
      Buffer.concat([
        gzipSync(Buffer.from(chunk({ content: '4111 1111 ' }))),
        gzipSync(Buffer.from(`${chunk({ content: '1111 1111' })}${finish}`)),
      ]),
      'gzip',
    ],
    ['trailing', Buffer.concat([gzipSync(Buffer.from(finish)), Buffer.from(card)]), 'gzip'],
  ])('nor a coded stream: %s', async (_name, body, coding) => {
    await no(sse(body, { 'content-encoding': coding }));
  });

  const msg = (message: unknown, more: Record<string, unknown> = {}): string =>
    JSON.stringify({
      id: 'x',
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      ...more,
    });
  test.each([
    ['utf16 body', Buffer.from(msg({ content: card }), 'utf16le'), 'application/json; charset=utf-16'],
    ['utf16 said', Buffer.from(msg({ content: card })), 'application/json; charset=utf-16'],
    ['utf7', Buffer.from(msg({ content: '+ADQ-111111111111111' })), 'application/json; charset=utf-7'],
    ['trailing', Buffer.from(`${msg({ content: 'x' })}${card}`), 'application/json'],
    ['two docs', Buffer.from(`${msg({ content: 'x' })}\n${msg({ content: card })}`), 'application/json'],
    ['jsonl', Buffer.from(`${msg({ content: 'x' })}\n${msg({ content: card })}`), 'application/jsonl'],
    ['ndjson', Buffer.from(`${msg({ content: card })}`), 'application/x-ndjson'],
    ['seq', Buffer.from(`\x1e${msg({ content: card })}\n`), 'application/json-seq'],
    ['octet', Buffer.from(`${msg({ content: card })}`), 'application/octet-stream'],
    ['no type', Buffer.from(`${msg({ content: card })}`), ''],
    ['text', Buffer.from(card), 'text/plain'],
    ['html', Buffer.from(card), 'text/html'],
    ['multipart', Buffer.from(card), 'multipart/mixed; boundary=x'],
    ['two types', Buffer.from(msg({ content: card })), 'application/json, text/event-stream'],
    ['bom', Buffer.from(`\ufeff${msg({ content: card })}`), 'application/json'],
    ['dup keys', Buffer.from(`{"choices":[{"message":{"content":"x","content":"${card}"}}]}`), 'application/json'],
    [
      'field number',
      Buffer.from(msg({ content: 'x' }, { customer: { account_number: 4111111111111111 } })),
      'application/json',
    ],
    [
      'field in json text',
      Buffer.from(msg({ content: JSON.stringify({ account_number: 4111111111111111 }) })),
      'application/json',
    ],
    [
      'field array',
      Buffer.from(msg({ content: 'x' }, { customer: { account_number: [4111, 1111, 1111, 1111] } })),
      'application/json',
    ],
    [
      'field object',
      Buffer.from(msg({ content: 'x' }, { customer: { account_number: { a: card } } })),
      'application/json',
    ],
    [
      'int array',
      Buffer.from(msg({ content: 'x' }, { zz: [4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] })),
      'application/json',
    ],
    [
      'function name',
      Buffer.from(msg({ tool_calls: [{ id: card, type: card, function: { name: card, arguments: '{}' } }] })),
      'application/json',
    ],
    [
      'args object',
      Buffer.from(
        msg({ tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: { card: card } } }] }),
      ),
      'application/json',
    ],
    [
      'finish reason',
      Buffer.from(`{"choices":[{"message":{"content":"x"},"finish_reason":"${card}"}]}`),
      'application/json',
    ],
    ['fullwidth', Buffer.from(msg({ content: 'card ４１１１１１１１１１１１１１１１ end' })), 'application/json'],
    [
      'audio data text',
      Buffer.from(
        msg({
          audio: {
            id: 'a',
            data: Buffer.from(`card ${card} is fine`).toString('base64'),
            transcript: card,
            expires_at: 1,
          },
        }),
      ),
      'application/json',
    ],
    ['embedding in chat', Buffer.from(msg({ content: 'x' }, { data: [{ embedding: card }] })), 'application/json'],
    ['deep', Buffer.from(`{"choices":[],"x":${'['.repeat(5000)}"${card}"${']'.repeat(5000)}}`), 'application/json'],
    [
      'mail in message name',
      Buffer.from(msg({ role: 'assistant', name: 'ana.maria@example.com', content: 'x' })),
      'application/json',
    ],
  ])('nor a whole answer: %s', async (_name, body, type) => {
    await no(whole(body, { 'content-type': type }), {});
    expect((await get(whole(body, { 'content-type': type }), {})).text).not.toContain('４１１');
  });

  test.each([400, 401, 403, 404, 422, 429, 500, 503, 301, 206, 418])(
    'nor an error answer of status %i',
    async (status) => {
      await no(
        whole(
          JSON.stringify({ error: { message: `x ${card}`, k: card }, detail: [{ loc: ['body', card], msg: card }] }),
          {
            'retry-after': card,
            location: `http://x/${card}`,
            'x-request-id': card,
            'openai-model': card,
            'set-cookie': card,
          },
          status,
        ),
        {},
      );
    },
  );
  // Wide digits are a card where the bytes are read as UTF-8, and noise as Latin-1.
  const wide = [...card].map((digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0)).join('');
  test.each([
    ['UTF-8', Buffer.from(wide, 'utf8').toString('latin1')],
    // In groups: what is spelled within a long word is seen through in any text.
    ['escapes of URLs', '%34111 1111 1111 1111'],
    ['escapes of URLs, twice', '%2534111 1111 1111 1111'],
    ['UTF-8 in escapes of URLs', encodeURIComponent(wide)],
    ['plus signs', '4111+1111+1111+1111'],
    ['escapes of JSON', '\\u0034111 1111 1111 1111'],
    ['entities', '&#52;111 1111 1111 1111'],
  ])('nor a header in %s', async (_name, value) => {
    const headers = { 'openai-model': value, 'openai-version': '2020-10-01', 'x-ratelimit-reset-requests': '1m%200s' };
    // As bytes: Node writes a head in the encoding of a text that goes with it.
    for (const script of [whole(Buffer.from(msg({ content: 'x' })), headers), sse(Buffer.from(finish), headers)]) {
      const answer = await get(script);
      expect(answer.headers).not.toHaveProperty('openai-model');
      expect(answer.headers).toMatchObject({ 'openai-version': '2020-10-01', 'x-ratelimit-reset-requests': '1m%200s' });
    }
  });
  test('nor the detail of FastAPI', async () => {
    await no(whole(JSON.stringify({ detail: [{ loc: ['body', card], msg: card, input: card }] }), {}, 422), {});
  });

  test.each([
    'text/plain; note="4111111111111111"',
    'text/plain; charset=utf-16le',
    'text/html; charset=utf-7',
    'text/plain',
  ])('nor a health page of type %s', async (type) => {
    world.model.script = whole(Buffer.from(`card ${card} `, type.includes('16le') ? 'utf16le' : 'utf8'), {
      'content-type': type,
    });
    const answer = await world.call('GET', '/health', { token: null });
    expect(leaked(answer.text + JSON.stringify(answer.headers))).toBe(false);
    expect(String(answer.headers['content-type'])).not.toMatch(/utf-16|utf-7/);
  });

  test('the record names no lane after personal data', async () => {
    world.model.script = whole(msg({ content: 'x', 'ana.maria@example.com': 'y' }));
    await world.post(path, { ...ask, metadata: { 'joe.doe@example.com': 'z' } });
    await world.post(path, { ...ask }, { token: await world.token({ sub: 'olga', groups: ['compliance'] }) });
    const record = JSON.stringify(await world.record());
    expect(record).not.toContain('joe.doe@');
    expect(record).not.toContain('ana.maria@');
    expect(record).not.toContain(card);
    expect(record).not.toContain(ghp);
  });
});

const observing = (issuer: string): string => `---
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: watch, namespace: ml }
spec:
  mode: Observe
  identity:
    providers:
    - name: corp2
      oidc: { issuer: "${issuer}", audiences: [other], groupsClaim: groups, allowInsecureLoopback: true }
  classification:
  - label: customers
    fields: ["$.customer"]
    otherwise: Mask
`;

describe('an observing policy beside one that hides a field', () => {
  let both: World;
  beforeAll(async () => {
    const hiding = `  classification:
  - label: confidential
    fields: ["**.ssn"]
    otherwise: Mask
`;
    both = await startWorld({ policy: (issuer) => `${basePolicy(issuer, hiding)}${observing(issuer)}` });
  });
  afterAll(() => both.close());

  test('a field that an observing policy names does not show the hidden field inside of it', async () => {
    both.model.script = (response) =>
      response
        .setHeader('content-type', 'application/json')
        .end('{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"customer":{"ssn":"secret words"}}');
    expect((await both.post(path, ask)).text).not.toContain('secret words');
    expect(JSON.stringify(await both.record())).not.toContain('secret words');
  });

  test('nor in tool arguments', async () => {
    both.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      const call = { index: 0, function: { name: 'f', arguments: '{"customer":{"ssn":"secret words"}}' } };
      response.end(`${chunk({ tool_calls: [call] })}${chunk({}, 'tool_calls')}data: [DONE]\n\n`);
    };
    expect((await both.post(path, { ...ask, stream: true })).text).not.toContain('secret words');
  });
});
