import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ask } from '../../../cmd/kubectl-sidegate/ask.ts';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';
import { makeSealKeys, sealingKey } from '../../seal/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import type { Cluster, CommandIo } from '../command.ts';
import { recordedRequest } from './recorded-request.ts';

/** A test model on loopback: says what it is told to, and keeps what it was asked. */
let server: Server;
let base: string;
let answer = '';
let status = 200;
const asked: { path: string | undefined; token: string | undefined; body: unknown }[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => {
      asked.push({ path: request.url, token: request.headers.authorization, body: JSON.parse(text) });
      response.statusCode = status;
      response.end(JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: answer } }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const id = sessionId(1);
const linesOf = (events: readonly AuditEvent[]): readonly string[] =>
  testChain().lines(events).toString().trimEnd().split('\n');
const keys = makeSealKeys();

async function replay(
  lines: readonly string[],
  flags = '',
  to = `${base}/test/`,
  asks: CommandIo['ask'] = ask,
): Promise<{ code: number; out: string; err: string }> {
  asked.length = 0;
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: ({ path }: { readonly path: string }) => Promise.resolve(path.includes('/v1/sessions/') ? { lines } : {}),
    close: () => undefined,
  } as unknown as Cluster['client'];
  return sidegateCommand(['audit', 'replay', id, '--to', to, ...flags.split(' ').filter((one) => one !== '')], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    ask: asks,
    readFile: (path) => (path === 'key.pem' ? keys.privateKey : 'the-token\n'),
  });
}

test.each([
  ['https://10.0.0.5/v1', { host: '10.0.0.5', tls: { ca: '' } }],
  ['https://[fd00::5]:8443/', { host: 'fd00::5', tls: { ca: '' } }],
  ['https://model.ml/', { host: 'model.ml', tls: { ca: '', serverName: 'model.ml' } }],
])('of %s, TLS names no server but one that has a name', async (to, expected) => {
  const sent: object[] = [];
  const asks: CommandIo['ask'] = ({ host, tls }) => {
    sent.push({ host, tls });
    return Promise.resolve({ status: 500, body: '' });
  };
  await replay(linesOf(sessionEvents({ id, ask: 'where?' })), '', to, asks);
  expect(sent).toEqual([expected]);
});

test('the request is sent as the record has it, and the answers are compared', async () => {
  answer = 'here';
  const lines = linesOf(sessionEvents({ id, ask: 'where?', answer: 'here' }));
  const same = await replay(lines, '--to-token token --model tiny');
  expect(asked).toEqual([
    {
      path: '/test/v1/chat/completions',
      token: 'Bearer the-token',
      body: { model: 'tiny', messages: [{ role: 'user', content: 'where?' }] },
    },
  ]);
  expect(same.code).toBe(0);
  expect(same.out).toMatch(/^200 after [0-9]+ ms: the same answer\nchoices\[0\]\.message\.content: the same\n$/);
  expect(same.err).toContain('messages[0].role is not in the record: user is sent\n');
  answer = 'there\u001b[2J';
  const other = await replay(lines);
  expect(other).toMatchObject({ code: 1, out: expect.stringContaining('\n  < here\n  > there?[2J\n') });
  const data = JSON.parse((await replay(lines, '-o jsonl')).out) as unknown;
  expect(data).toEqual({ lane: 'choices[0].message.content', recorded: 'here', answered: answer, same: false });
  status = 500;
  expect(await replay(lines)).toMatchObject({ code: 1, out: expect.stringMatching(/^500 after/) });
  status = 200;
});

test('a session without an answer on record has none that is the same', async () => {
  answer = 'here it is';
  const [start, , end] = sessionEvents({ id, ask: 'where?' });
  if (start?.type !== 'start' || end?.type !== 'end') throw new Error('no session');
  const { code, out, err } = await replay(linesOf([start, { ...end, lines: 2 }]));
  expect([code, err]).toEqual([1, expect.stringContaining('no text of the answer is in the record')]);
  expect(out).toMatch(/^200 after [0-9]+ ms\n {2}> .*here it is/);
  expect(asked).toHaveLength(1);
});

test('what was masked is said, and sent where it can be unsealed', async () => {
  const [start, segment, end] = sessionEvents({ id, ask: 'I am [email]', answer: 'hi' });
  if (start?.type !== 'start' || segment?.type !== 'segment' || end?.type !== 'end') throw new Error('no session');
  const sealer = sealingKey(keys.publicKey).session(id);
  const request = [
    {
      lane: 'messages[0].content',
      text: 'I am [email]',
      ...sealer.seal('request', 'messages[0].content', 'I am ana@corp.test'),
    },
  ];
  const lines = linesOf([{ ...start, sealed: sealer.head, request }, segment, { ...end, sealed: sealer.end() }]);
  answer = 'hi';
  const masked = await replay(lines);
  expect(masked).toMatchObject({
    code: 0,
    err: expect.stringContaining('messages[0].content was masked: what stands'),
  });
  expect(JSON.stringify(asked)).toContain('I am [email]');
  const opened = await replay(lines, '--unseal key.pem');
  expect([opened.code, opened.err.includes('masked'), JSON.stringify(asked).includes('ana@corp.test')]).toEqual([
    0,
    false,
    true,
  ]);
});

test('a request of which all is sealed is sent with the key, and not without', async () => {
  const [start, segment, end] = sessionEvents({ id });
  if (start?.type !== 'start' || segment?.type !== 'segment' || end?.type !== 'end') throw new Error('no session');
  const sealer = sealingKey(keys.publicKey).wholeSession(id);
  const lane = 'messages[0].content';
  const { text: _, ...bare } = segment;
  const lines = linesOf([
    {
      ...start,
      sealed: sealer.head,
      request: [{ lane, ...sealer.sealWhole('request', lane, 'I am [email]', 'I am ana') }],
    },
    { ...bare, ...sealer.sealWhole('response', segment.lane, 'hi', 'hi') },
    { ...end, sealed: sealer.end() },
  ]);
  answer = 'hi';
  const shut = await replay(lines);
  expect([shut.code, shut.err, asked]).toEqual([1, expect.stringContaining('sealed (audit.content: Sealed)'), []]);
  const { code, out } = await replay(lines, '--unseal key.pem');
  expect([code, JSON.stringify(asked)]).toEqual([0, expect.stringContaining('"content":"I am ana"')]);
  expect(out).toContain('the same answer');
});

test.each([
  ['http://10.0.0.5/', false],
  ['http://localhost.evil.test/', false],
  ['http://[fd00::5]:8000/', false],
  ['http://127.0.0.1:8000/', true],
  ['http://[::1]/', true],
  ['http://localhost:8000/', true],
  ['https://10.0.0.5/', true],
])('what was unsealed is sent to %s: %s', async (to, goes) => {
  const sent: string[] = [];
  const asks: CommandIo['ask'] = ({ host }) => {
    sent.push(host);
    return Promise.resolve({ status: 500, body: '' });
  };
  const lines = linesOf(sessionEvents({ id, ask: 'where?' }));
  const opened = await replay(lines, '--unseal key.pem', to, asks);
  expect([sent.length, opened.code]).toEqual(goes ? [1, 1] : [0, 2]);
  if (!goes) expect(opened.err).toContain('--to with --unseal is https, or http to this machine');
  // So is a token: to whom nobody else reads it.
  sent.length = 0;
  const named = await replay(lines, '--to-token token', to, asks);
  expect([sent.length, named.code]).toEqual(goes ? [1, 1] : [0, 2]);
  if (!goes) expect(named.err).toContain('--to with --to-token is https, or http to this machine');
  // As it was recorded it may go.
  expect((await replay(lines, '', to, asks)).code).toBe(1);
});

test('what cannot be sent is not, and is said', async () => {
  const [start, ...rest] = sessionEvents({ id });
  if (start?.type !== 'start') throw new Error('no start');
  const { request: _, ...bare } = start;
  for (const [events, words] of [
    [[bare, ...rest], 'no text of the request is in the record (audit.content: None)'],
    [[{ ...start, operation: 'Other' as const }, ...rest], 'operation Other cannot'],
    [rest, 'the start of the session is not in the record'],
  ] as const) {
    const { code, err } = await replay(linesOf(events));
    expect([code, err, asked]).toEqual([1, expect.stringContaining(words), []]);
  }
  expect(
    (
      await sidegateCommand(['audit', 'replay', id, '--to', 'ftp://x'], {
        openCluster: () =>
          Promise.resolve({ client: { close: () => undefined } as unknown as Cluster['client'], namespace: 'ml' }),
      })
    ).code,
  ).toBe(2);
});

test('parts, tools and lists come to their places; what has none is named', () => {
  const [start, ...rest] = sessionEvents({ id });
  if (start?.type !== 'start') throw new Error('no start');
  const lanes = {
    'messages[0].content[0].text': 'look',
    'messages[0].content[2].text': 'again',
    'messages[1].tool_calls[0].function.name': 'f',
    'messages[1].tool_calls[0].function.arguments': '{}',
    'tools[0].function.name': 'f',
    'url.query': 'a=b',
    'messages[0].content': 'in the way',
    '__proto__.x': 'y',
    'odd.[0123456789abcdef]': 'hidden',
    user: 'ana',
  };
  const request = Object.entries(lanes).map(([lane, text]) => ({ lane, text }));
  const { body, notes } = recordedRequest(linesOf([{ ...start, request }, ...rest]), true);
  expect(body).toEqual({
    model: 'llama-3',
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'look' },
          { type: 'text', text: 'again' },
        ],
      },
      { role: 'assistant', tool_calls: [{ type: 'function', function: { name: 'f', arguments: '{}' } }] },
    ],
    tools: [{ type: 'function', function: { name: 'f' } }],
    user: 'ana',
  });
  expect(notes).toEqual(
    expect.arrayContaining([
      'messages[0].content[1] is not in the record',
      'messages[0].content cannot be sent',
      'url.query cannot be sent',
      '__proto__.x cannot be sent',
      'odd.[0123456789abcdef] cannot be sent',
    ]),
  );
});
