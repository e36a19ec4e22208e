import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { until } from '../support/wait.ts';
import { chatAnswer, chunk } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

/**
 * Where every policy observes, bytes out are bytes in, in both directions, and the record says what would have been done. The one
 * exception is the model's credential: it leaves nowhere.
 */

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const mail = 'ana@example.com';
const key = 'model-key-123456';

const rules = `  guards:
  - { name: no-mail, direction: Request, match: { detectors: [Email] }, action: Block }
  - { name: short, direction: Response, match: { words: ["Project Falcon"] }, action: Block }
  classification:
  - { label: confidential, detectors: [Email], fields: ["**.ssn"], visibleTo: [], otherwise: Mask }
  responseLimits:
  - { subjects: [{ anyone: true }], maxBytes: 100, padToMultipleOf: 512 }
`;
const observing = (issuer: string, more = ''): string =>
  basePolicy(issuer, `${rules}${more}`).replace('mode: Enforce', 'mode: Observe');

/** Bytes that a policy in force would change, each in another way. */
const streams: readonly (readonly [what: string, text: string])[] = [
  [
    'findings in its text',
    `${chunk({ content: `to ${mail}, ` })}${chunk({ content: 'Project Falcon' }, 'stop')}data: [DONE]\n\n`,
  ],
  [
    'comments, ids, retry times and names of events',
    `: keep ${mail}\n\nid: ${mail}\nretry: 30\nevent: a.b-1\n${chunk({ content: 'a' })}data: [DONE]\n\n`,
  ],
  [
    'CRLF and data over several lines',
    'data: {"choices":\r\ndata: [{"index":0,"delta":{"content":"x"}}]}\r\n\r\ndata: [DONE]\r\n\r\n',
  ],
  ['token ids', chunk({ content: 'a', token_ids: [1, 2, 3, 4, 5, 6, 7, 8, 9] })],
  ['no empty line at its end', 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}'],
  ['a frame that nobody can read', `${chunk({ content: 'a' })}data: {"a":1,"a":2}\n\n${chunk({ content: mail })}`],
  ['text behind its end', `data: [DONE]\n\n${chunk({ content: mail })}`],
];

const halfCharacter = {
  logprobs: {
    content: [
      {
        token: '\ufffd',
        logprob: -1,
        bytes: [240, 159],
        top_logprobs: [{ token: '\ufffd', logprob: -1, bytes: [240] }],
      },
      { token: mail, logprob: -1, bytes: [1], top_logprobs: [] },
    ],
  },
};
const answers: readonly (readonly [what: string, type: string, text: string])[] = [
  ['findings', 'application/json', ` ${chatAnswer(`to ${mail}, Project Falcon`, { ssn: 1.0 })}\n`],
  ['token ids', 'application/json', chatAnswer('a', { token_ids: [1, 2, 3, 4, 5, 6, 7, 8, 9] })],
  ['log probabilities of half a character', 'application/json; charset=utf-8', chatAnswer(mail, halfCharacter)],
  ['keys twice', 'application/json', `{"a":"${mail}","a":2}`],
  ['a type that nobody reads', 'image/png', '\u0000\u0001'],
  ['text of another charset', 'text/plain; charset=utf-16', mail],
  ['no text', 'application/json', ''],
];

let world: World;
beforeAll(async () => {
  world = await startWorld({ policy: observing });
});
afterAll(() => world.close());
beforeEach(() => {
  world.model.seen.length = 0;
});

const observed = async (of: World): Promise<string> => JSON.stringify((await of.record()).at(-1)?.['observed']);

describe('an answer leaves as it came', () => {
  test.each(streams)('a stream with %s', async (_what, text) => {
    for (const cut of [1, 7, text.length]) {
      world.model.script = (response) => {
        response.setHeader('content-type', 'text/event-stream');
        for (let at = 0; at < text.length; at += cut) response.write(text.slice(at, at + cut));
        response.end();
      };
      const answer = await world.post(path, { ...ask, stream: true });
      expect([answer.status, answer.text, answer.broken]).toEqual([200, text, false]);
      expect(answer.headers['content-type']).toBe('text/event-stream');
    }
  });

  test('a stream that breaks off breaks off, without an event of ours', async () => {
    const text = chunk({ content: `to ${mail}` });
    let breakOff = (): void => undefined;
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream').write(text);
      breakOff = () => response.destroy();
    };
    let got = '';
    const onChunk = (piece: string): void => {
      got += piece;
      if (got === text) breakOff();
    };
    const answer = await world.post(path, { ...ask, stream: true }, { onChunk });
    expect([answer.status, answer.text, answer.broken]).toEqual([200, text, true]);
    const end = (await world.record()).at(-1);
    expect(end).toMatchObject({ type: 'end', outcome: 'failed', code: 'upstream_protocol' });
  });

  test.each(answers)('a whole one with %s', async (_what, type, text) => {
    world.model.script = (response) => response.setHeader('content-type', type).end(text);
    const answer = await world.post(path, ask);
    expect([answer.status, answer.text, answer.headers['content-type']]).toEqual([200, text, type]);
  });

  test('tensors behind the JSON, which are read', async () => {
    const text = `to ${mail}`;
    const tensor = { name: 'x', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: text.length + 4 } };
    const head = JSON.stringify({ outputs: [tensor] });
    const body = `${head}${String.fromCharCode(text.length)}\0\0\0${text}`;
    const length = 'inference-header-content-length';
    world.model.script = (response) =>
      response.setHeader('content-type', 'application/octet-stream').setHeader(length, head.length).end(body);
    const answer = await world.post('/v2/models/m/infer', { inputs: [] });
    expect([answer.status, answer.text, answer.headers[length]]).toEqual([200, body, String(head.length)]);
    expect(await observed(world)).toMatch(/confidential.*"masked"/);
    expect(await observed(world)).not.toContain('response_uninspectable');
  });

  test('its headers, but for those of one connection', async () => {
    world.model.script = (response) =>
      response
        .setHeader('content-type', 'application/json')
        .setHeader('x-request-id', 'of-the-model')
        .setHeader('x-contact', mail)
        .setHeader('access-control-allow-origin', '*')
        .setHeader('set-cookie', ['a=1', 'b=2'])
        .setHeader('keep-alive', 'timeout=77')
        .end(chatAnswer('a'));
    const { headers } = await world.post(path, ask);
    expect(headers).toMatchObject({
      'x-request-id': 'of-the-model',
      'x-contact': mail,
      'access-control-allow-origin': '*',
      'set-cookie': ['a=1', 'b=2'],
    });
    expect(headers['keep-alive']).not.toBe('timeout=77');
    expect(await observed(world)).toMatch(/confidential/);
  });

  test('piece by piece, where it is no stream that anybody reads', async () => {
    let goOn = (): void => undefined;
    world.model.script = (response) => {
      response.setHeader('content-type', 'application/x-ndjson').write('{"a":1}\n');
      goOn = () => response.end('{"a":2}\n');
    };
    let text = '';
    const answer = world.post(path, ask, { onChunk: (piece) => (text += piece) });
    await until(() => text === '{"a":1}\n');
    goOn();
    expect((await answer).text).toBe('{"a":1}\n{"a":2}\n');
    expect(await observed(world)).toContain('response_uninspectable');
  });

  test('and is recorded, masked, with what would have been done', async () => {
    world.model.script = (response) => response.setHeader('content-type', 'text/event-stream').end(streams[0]?.[1]);
    await world.post(path, { ...ask, stream: true });
    const events = await world.record();
    expect(JSON.stringify(events)).not.toContain(mail);
    expect(events.at(-1)).toMatchObject({ outcome: 'completed', rules: [] });
    expect(await observed(world)).toMatch(/confidential.*"masked"/);
    expect(await observed(world)).toMatch(/short.*"blocked"/);
  });
});

describe('a request reaches the model as it came', () => {
  test.each([
    ['with findings', JSON.stringify({ messages: [{ role: 'user', content: mail }], model: 'm' })],
    ['that no parser reads alike', '{"model":"m","model":"n"}'],
    ['that is none', 'x'],
  ])('%s', async (_what, body) => {
    expect((await world.post(path, body)).status).toBe(200);
    expect(world.model.seen[0]?.body).toBe(body);
  });

  test('with its headers, its own credential among them', async () => {
    const headers = {
      'x-api-key': 'of-the-caller',
      authorization: 'Bearer of-the-caller',
      cookie: 'a=1',
      'x-tenant': mail,
    };
    expect((await world.post(path, ask, { token: null, headers })).status).toBe(200);
    expect(world.model.seen[0]?.headers).toMatchObject(headers);
  });

  test('with a token that is good, too: whoever reads it there has to go on working', async () => {
    const token = await world.token();
    await world.post(path, ask, { token });
    expect(world.model.seen[0]?.headers['authorization']).toBe(`Bearer ${token}`);
  });
});

describe('the wire', () => {
  const plain = (of: World): Promise<{ status: number; text: string; headers: IncomingHttpHeaders }> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port: of.port, path, method: 'POST', headers: { 'content-type': 'application/json' } },
        (response) => {
          let text = '';
          response.on('data', (piece: Buffer) => (text += piece.toString()));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
        },
      );
      request.on('error', reject);
      request.end(JSON.stringify(ask));
    });

  test.each(['Required', 'Mutual'])('plain HTTP passes where tls.inbound is %s, and is recorded', async (inbound) => {
    await world.setPolicy(observing(world.issuer.url, `  tls: { inbound: ${inbound} }\n`));
    world.model.script = (response) => response.setHeader('content-type', 'application/json').end(chatAnswer('a'));
    expect((await plain(world)).status).toBe(200);
    expect(await observed(world)).toContain('tls_required');
    expect((await world.post(path, ask)).status).toBe(200);
    expect((await observed(world)).includes('certificate_required')).toBe(inbound === 'Mutual');
  });

  test('is what it was as soon as a policy enforces', async () => {
    await world.setPolicy(basePolicy(world.issuer.url, rules));
    expect((await plain(world)).status).toBe(426);
    await world.setPolicy(observing(world.issuer.url));
  });
});

describe('the model’s credential', () => {
  let keyed: World;
  beforeAll(async () => {
    keyed = await startWorld({
      policy: (issuer) => observing(issuer, '  upstream: { credential: { file: credential } }\n'),
      credential: key,
    });
  });
  afterAll(() => keyed.close());

  test.each(streams.slice(0, 5))('is all that is looked for in a stream with %s', async (_what, text) => {
    for (const cut of [1, text.length]) {
      keyed.model.script = (response) => {
        response.setHeader('content-type', 'text/event-stream');
        for (let at = 0; at < text.length; at += cut) response.write(text.slice(at, at + cut));
        response.end();
      };
      expect((await keyed.post(path, { ...ask, stream: true })).text).toBe(text);
    }
    expect(keyed.model.seen.at(-1)?.headers['authorization']).toBe(`Bearer ${key}`);
  });

  test.each(answers.slice(0, 3))('and in a whole answer with %s', async (_what, type, text) => {
    keyed.model.script = (response) => response.setHeader('content-type', type).end(text);
    const answer = await keyed.post(path, ask);
    expect([answer.text, answer.headers['content-type']]).toEqual([text, type]);
  });

  test.each([
    ['text', chunk({ content: key })],
    ['comments', `: ${key}\n\n${chunk({ content: 'a' })}`],
    ['ids', `id: ${key}\n${chunk({ content: 'a' })}`],
    ['names of events', `event: ${key}\n${chunk({ content: 'a' })}`],
  ])('does not leave in %s', async (_what, text) => {
    keyed.model.script = (response) => response.setHeader('content-type', 'text/event-stream').end(text);
    const answer = await keyed.post(path, { ...ask, stream: true });
    expect(answer.text).not.toContain(key);
    expect(answer.text).toContain('"choices"');
  });

  test('nor in headers, nor in a whole answer', async () => {
    keyed.model.script = (response) =>
      response
        .setHeader('content-type', 'application/json')
        .setHeader('x-echo', `Bearer ${key}`)
        .setHeader('x-other', mail)
        .end(chatAnswer(`${key} ${mail}`));
    const answer = await keyed.post(path, ask);
    expect(answer.text).toContain(`[credential] ${mail}`);
    expect(answer.headers['x-echo']).toBeUndefined();
    expect(answer.headers['x-other']).toBe(mail);
  });

  test('takes the place of the caller’s', async () => {
    const token = await keyed.token();
    await keyed.post(path, ask, {
      token,
      headers: { 'x-api-key': token, cookie: 'a=1', 'openai-project': 'p', 'x-tenant': 't' },
    });
    expect(keyed.model.seen.at(-1)?.headers).toMatchObject({ authorization: `Bearer ${key}`, 'x-tenant': 't' });
    for (const name of ['x-api-key', 'cookie', 'openai-project'])
      expect(keyed.model.seen.at(-1)?.headers[name]).toBeUndefined();
  });

  test('that cannot be read leaves the caller its own', async () => {
    await keyed.setPolicy(observing(keyed.issuer.url, '  upstream: { credential: { file: nowhere } }\n'));
    const token = await keyed.token();
    expect((await keyed.post(path, ask, { token })).status).toBe(200);
    expect(keyed.model.seen.at(-1)?.headers['authorization']).toBe(`Bearer ${token}`);
    expect(await observed(keyed)).toContain('credential_unavailable');
    await keyed.setPolicy(observing(keyed.issuer.url, '  upstream: { credential: { file: credential } }\n'));
  });

  test.each([
    ['where the policy has none', '', { hosted: true }],
    ['that the policy names', '  upstream: { hosted: { url: "https://api.example.com" } }\n', {}],
  ])('and the caller’s stay from a hosted endpoint %s', async (_what, more, options) => {
    const hosted = await startWorld({ policy: (issuer) => observing(issuer, more), ...options });
    expect((await hosted.post(path, ask, { headers: { cookie: 'a=1' } })).status).toBe(200);
    expect(hosted.model.seen).toHaveLength(1);
    expect(hosted.model.seen[0]?.headers['authorization']).toBeUndefined();
    expect(hosted.model.seen[0]?.headers['cookie']).toBeUndefined();
    await hosted.close();
  });

  test('goes to nobody whom the policy would refuse', async () => {
    await keyed.post(path, ask, { token: 'of-the-caller' });
    expect(keyed.model.seen.at(-1)?.headers['authorization']).toBe('Bearer of-the-caller');
  });
});
