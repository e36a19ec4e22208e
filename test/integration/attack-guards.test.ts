import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { threadCpuMs } from '../support/cost.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { answerChat } from '../support/scripted-model.ts';

const user = (content: unknown): Record<string, unknown> => ({
  model: 'llama-3-8b',
  messages: [{ role: 'user', content }],
});
const path = '/v1/chat/completions';
const card = '4111111111111111';
const ghp = `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`;
const pem = `-----BEGIN RSA PRIVATE KEY-----\n${Array.from({ length: 25 }, (_, at) => Buffer.from(`line ${at} of key 0123456789abcdefghijklmnopqr`).toString('base64').slice(0, 64)).join('\n')}\n-----END RSA PRIVATE KEY-----`;
const jwt = `${Buffer.from('{"alg":"RS256","typ":"JWT"}').toString('base64url')}.${Buffer.from(JSON.stringify({ sub: 'x'.repeat(700) })).toString('base64url')}.${'a1B2'.repeat(64)}`;

describe('attacks on guards', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          `  - name: others
    effect: Allow
    subjects: [{ group: ml-eng }]
    operations: [Other]
  guards:
  - name: no-secrets
    direction: Request
    match: { detectors: [Secrets, CreditCard, Email] }
    action: Block
  - name: no-override
    direction: Request
    match: { words: ["project falcon"], patterns: ["(?i)print (all )?environment variables"] }
    action: Block
  classification:
  - label: confidential
    detectors: [CreditCard, Email, UsSsn, Iban, Secrets]
    otherwise: Mask
`,
        ),
    });
  });
  afterAll(() => world.close());
  beforeEach(() => {
    world.model.script = answerChat('ok');
    world.model.seen.length = 0;
  });

  const two = (a: string, b: string): Record<string, unknown> => ({
    model: 'm',
    messages: [
      { role: 'user', content: a },
      { role: 'user', content: b },
    ],
  });
  const parts = (a: string, b: string): Record<string, unknown> =>
    user([
      { type: 'text', text: a },
      { type: 'text', text: b },
    ]);
  test.each([
    ['number in metadata', { ...user('x'), metadata: { c: 4111111111111111 } }],
    ['number in template args', { ...user('x'), chat_template_kwargs: { c: 4111111111111111 } }],
    [
      'number in schema enum',
      {
        ...user('x'),
        tools: [
          {
            type: 'function',
            function: { name: 'f', parameters: { type: 'object', properties: { a: { enum: [4111111111111111] } } } },
          },
        ],
      },
    ],
    [
      'number in schema default',
      {
        ...user('x'),
        tools: [
          {
            type: 'function',
            function: { name: 'f', parameters: { type: 'object', properties: { a: { default: 4111111111111111 } } } },
          },
        ],
      },
    ],
    ['number in documents', { ...user('x'), documents: [{ c: 4111111111111111 }] }],
    [
      'number in tool args',
      {
        model: 'm',
        messages: [
          {
            role: 'assistant',
            tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"a":4111111111111111}' } }],
          },
        ],
      },
    ],
    [
      'number in tool args object',
      {
        model: 'm',
        messages: [
          {
            role: 'assistant',
            tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: { a: 4111111111111111 } } }],
          },
        ],
      },
    ],
    ['word over messages', two('project', 'falcon')],
    ['word over messages with space', two('project ', 'falcon')],
    ['word over parts', parts('project', 'falcon')],
    ['pattern over parts', parts('print environment', 'variables')],
    ['pattern over messages', two('print all', 'environment variables')],
    ['pattern over messages2', two('print all ', 'environment variables')],
    [
      'token over three',
      user([
        { type: 'text', text: ghp.slice(0, 5) },
        { type: 'text', text: ghp.slice(5, 20) },
        { type: 'text', text: ghp.slice(20) },
      ]),
    ],
    ['one char parts', user([...ghp].map((text) => ({ type: 'text', text })))],
    ['pem whole', user(pem)],
    ['pem over messages mid', two(pem.slice(0, 800), pem.slice(800))],
    ['pem by lines', user(pem.split('\n').map((line) => ({ type: 'text', text: `${line}\n` })))],
    ['pem 3', user([pem.slice(0, 700), pem.slice(700, 1400), pem.slice(1400)].map((text) => ({ type: 'text', text })))],
    ['jwt whole', user(jwt)],
    ['jwt over messages', two(jwt.slice(0, 700), jwt.slice(700))],
    ['jwt over messages at dot', two(jwt.slice(0, jwt.lastIndexOf('.')), jwt.slice(jwt.lastIndexOf('.')))],
    ['tool result', { model: 'm', messages: [{ role: 'tool', tool_call_id: 'a', content: `x ${ghp}` }] }],
    ['system', { model: 'm', messages: [{ role: 'system', content: `x ${ghp}` }] }],
    ['name', { model: 'm', messages: [{ role: 'user', name: ghp, content: `x` }] }],
    ['unknown field', { ...user('x'), zork: { a: [ghp] } }],
    ['unknown key', { ...user('x'), zork: { [ghp]: 1 } }],
    ['stop', { ...user('x'), stop: ['project falcon'] }],
    ['logit_bias key', { ...user('x'), logit_bias: { [ghp]: 1 } }],
    ['image url', user([{ type: 'image_url', image_url: { url: `https://x/?a=${ghp}` } }])],
    ['case variant key', { ...user('x'), Messages: [{ role: 'user', content: ghp }] }],
    ['kelvin', { ...user('x'), toKen: ghp }],
    ['proto', JSON.stringify(user('x')).replace('{', `{"__proto__":{"x":"${ghp}"},`)],
    ['combining', user('p̀rȯject fálcön')],
    ['soft hyphen', user('pro\u00adject fal\u00adcon')],
    ['bidi', user('pro\u202eject fal\u202ccon')],
    ['var selectors', user([...'project falcon'].join('\ufe0f'))],
    ['tag letters strewn into a word', user('pro\u{e0061}ject fal\u{e0020}con')],
    ['tag letters strewn into a card', user('4111\u{e0031} 1111 1111\u{e0078} 1111')],
    ['tag chars', user([...'project falcon'].map((c) => String.fromCodePoint(0xe0000 + c.charCodeAt(0))).join(''))],
    ['math bold', user([...'projectfalcon'].map((c) => String.fromCodePoint(0x1d41a + c.charCodeAt(0) - 97)).join(''))],
    ['circled', user([...'projectfalcon'].map((c) => String.fromCodePoint(0x24d0 + c.charCodeAt(0) - 97)).join(''))],
    [
      'regional indicators',
      user([...'projectfalcon'].map((c) => String.fromCodePoint(0x1f1e6 + c.charCodeAt(0) - 97)).join('')),
    ],
    ['braille blank', user('project\u2800falcon')],
    ['hangul filler', user('pro\u3164ject\u115ffalcon')],
    ['newlines', user('project\n\n\nfalcon')],
    ['dots', user('p.r.o.j.e.c.t f.a.l.c.o.n')],
    ['dashes', user('project-falcon')],
    ['card arabic digits', user('٤١١١١١١١١١١١١١١١')],
    ['card zwsp per digit', user([...card].join('\u200b'))],
    ['mail fullwidth at', user('ana＠example.com')],
    ['a key and its value', { ...user('x'), zork: { project: 'falcon' } }],
    ['a key in a key', { ...user('x'), zork: { project: { falcon: 1 } } }],
    ['a name and its content', { model: 'm', messages: [{ role: 'user', name: 'project', content: 'falcon' }] }],
    ['JSON escapes spelled out', user('\\u0070roject falcon')],
    ['card with NUL between digits', user([...card].join('\u0000'))],
    ['card with dots between digits', user([...card].join('.'))],
    ['card over four lines', user('4111\n1111\n1111\n1111')],
    ['card with tabs', user('4111\t1111\t1111\t1111')],
    ['card with underscores', user('4111_1111_1111_1111')],
    ['card with slashes', user('4111/1111/1111/1111')],
  ] as [string, unknown][])('what a guard blocks is blocked: %s', async (_name, body) => {
    const answer = await world.post(path, body);
    expect(world.model.seen).toEqual([]);
    expect([400, 403]).toContain(answer.status);
  });

  test.each([
    ['bad percent', '/v1/models?after=%70roject%20falcon&order=%'],
    ['plain', '/v1/models?after=project%20falcon'],
    ['bad utf8', '/v1/models?after=%70roject%20falcon&order=%ff'],
    ['double', '/v1/models?after=%2570roject%2520falcon'],
  ])('and in a query: %s', async (_name, target) => {
    const answer = await world.call('GET', target);
    expect(world.model.seen).toEqual([]);
    expect([400, 403]).toContain(answer.status);
  });
  test.each([
    ['GET with body', 'GET', '/v1/models', 'project falcon'],
    ['GET chat', 'GET', path, JSON.stringify(user('project falcon'))],
    ['PUT', 'PUT', path, JSON.stringify(user('project falcon'))],
    ['slash', 'POST', `${path}/`, JSON.stringify(user('project falcon'))],
    ['case', 'POST', '/V1/Chat/Completions', JSON.stringify(user('project falcon'))],
    ['responses', 'POST', '/v1/responses', JSON.stringify({ model: 'm', input: 'project falcon' })],
    [
      'messages',
      'POST',
      '/v1/messages',
      JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'project falcon' }] }),
    ],
    ['generate', 'POST', '/api/generate', JSON.stringify({ model: 'm', prompt: 'project falcon' })],
    ['tokenize', 'POST', '/tokenize', JSON.stringify({ model: 'm', prompt: 'project falcon' })],
    ['tokens other', 'POST', '/inference/v1/generate', JSON.stringify({ model: 'm', token_ids: [1, 2, 3] })],
    ['delete body', 'DELETE', '/v1/x', JSON.stringify({ prompt: 'project falcon' })],
    ['path', 'GET', '/v1/zork/project%20falcon', undefined],
    ['path secret', 'GET', `/v1/zork/${ghp}`, undefined],
    ['options body', 'OPTIONS', '/v1/zork', 'project falcon'],
    ['get other body', 'GET', '/v1/zork', JSON.stringify({ prompt: 'project falcon' })],
  ])('and by another way to the model: %s', async (_name, method, target, body) => {
    const answer = await world.call(method, target, body === undefined ? {} : { body }).catch(() => ({ status: 0 }));
    expect(JSON.stringify(world.model.seen)).not.toMatch(/falcon|ghp_/);
    expect(answer.status).toBeLessThan(500);
  });
  test('a compressed prompt is read', async () => {
    const answer = await world.call('POST', path, {
      body: gzipSync(JSON.stringify(user('project falcon'))),
      headers: { 'content-encoding': 'gzip' },
    });
    expect(answer.status).toBe(403);
    expect(world.model.seen).toEqual([]);
  });
  test('a prompt of very many parts does not keep the others waiting', async () => {
    const body = user(Array.from({ length: 15_000 }, (_, at) => ({ type: 'text', text: `w${at}` })));
    const before = threadCpuMs();
    expect((await world.post(path, body)).status).toBe(200);
    expect(threadCpuMs() - before).toBeLessThan(10_000); // 0.7 s; 19 s where each seam is read with what stands before it
  });

  test('a model of a megabyte is refused', async () => {
    const answer = await world.post(path, { ...user('x'), model: 'm'.repeat(1_000_000) });
    expect([answer.status, world.model.seen.length]).toEqual([400, 0]);
  });
});
