import { request as httpsRequest } from 'node:https';
import type { ClientRequest } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { chunk } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// No caller takes the memory that all share: bodies that are being sent, and answers that wait until they are whole.

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const megabytes = (count: number): Buffer => Buffer.alloc(count * 1024 * 1024, 'a');
const code = (text: string): unknown => (JSON.parse(text) as { error: { code: unknown } }).error.code;

let world: World;
let bob: string;
const open: ClientRequest[] = [];
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        '  responseLimits:\n  - { subjects: [{ group: large }], maxBytes: 60Mi }\n' +
          '  classification:\n  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }\n',
      ),
  });
  bob = await world.token({ sub: 'bob' });
});
afterAll(async () => {
  for (const one of open) one.destroy();
  await world.close();
});

interface Upload {
  readonly answered: () => string | undefined;
}

/** Sends most of a body of 8 MiB, and then stalls. */
function stall(token: string, to = path): Upload {
  let answer: string | undefined;
  const request = httpsRequest(
    {
      host: '127.0.0.1',
      port: world.port,
      method: 'POST',
      path: to,
      ca: world.ca,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': 8 * 1024 * 1024,
      },
    },
    (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () => (answer = `${response.statusCode} ${String(code(text))}`));
    },
  );
  request.on('error', () => undefined);
  request.write(megabytes(7));
  open.push(request);
  return { answered: () => answer };
}

test('a proven caller whom no rule could allow is refused before its body is read', async () => {
  const stranger = await world.token({ sub: 'eve', groups: [] });
  const upload = stall(stranger);
  await until(() => upload.answered() !== undefined, 'the refusal, with the body under way');
  expect(upload.answered()).toBe('403 access_denied');
});

test('stalled bodies of one caller leave room for those of others', async () => {
  const ana = await world.token();
  const uploads = Array.from({ length: 9 }, () => stall(ana));
  const refused = (): string[] => uploads.flatMap((one) => one.answered() ?? []);
  // Four of 7 MiB fit into half of 64 MiB.
  await until(() => refused().length > 0, 'those past its share');
  expect((await world.post(path, ask, { token: bob })).status).toBe(200);
  const others = Array.from({ length: 3 }, () => stall(bob));
  await until(() => refused().length >= 5, 'those past its share');
  expect(new Set(refused())).toEqual(new Set(['429 caller_share_used']));
  expect(others.map((one) => one.answered())).toEqual([undefined, undefined, undefined]);
  for (const one of open.splice(0)) one.destroy();
  await until(async () => (await world.post(path, ask)).status === 200, 'its share is free again');
});

test('a body counts until its answer has begun, however long that lasts', async () => {
  world.model.script = (response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.write(chunk({ content: 'So it is. ' }));
  };
  // Six of 7 MiB, white space for the most part, are more than half of 64 MiB.
  const body = Buffer.concat([
    Buffer.from(JSON.stringify({ ...ask, stream: true })),
    Buffer.alloc(7 * 1024 * 1024, ' '),
  ]);
  const leave = new AbortController();
  const streams: Promise<unknown>[] = [];
  for (let n = 0; n < 6; n++) {
    let text = '';
    const stream = world.call('POST', path, { body, signal: leave.signal, onChunk: (piece) => (text += piece) });
    streams.push(stream.catch(() => undefined));
    await until(() => text.includes('So it') || text.includes('error'), 'it begins');
    expect(text).not.toContain('caller_share_used');
  }
  leave.abort();
  await Promise.all(streams);
});

test('answers of one caller that wait until they are whole leave room for those of others', async () => {
  const stuck = new Set<() => void>();
  const ends: Promise<unknown>[] = [];
  world.model.script = (response, { body }) => {
    response.setHeader('content-type', 'application/json');
    if (!body.includes('large')) return void response.end('{"choices":[]}');
    response.write('{"choices":[],"x":"');
    response.write(megabytes(12));
    stuck.add(() => response.destroy());
  };
  const large = { ...ask, messages: [{ role: 'user', content: 'large' }] };
  const codes: unknown[] = [];
  for (let n = 0; n < 6; n++)
    ends.push(world.post(path, large).then(({ status, text }) => codes.push(`${status} ${String(code(text))}`)));
  // Two of 12 MiB fit into half of 64 MiB.
  await until(() => codes.length === 4, 'those past its share');
  expect(new Set(codes)).toEqual(new Set(['429 caller_share_used']));
  expect((await world.post(path, ask, { token: bob })).status).toBe(200);
  expect(await world.metrics()).toContain('sidegate_answers_without_room_total{code="caller_share_used"} 4\n');
  for (const end of stuck) end();
  await Promise.all(ends);
});

test('events of one caller’s streams that do not end leave room for those of others', async () => {
  const stuck = new Set<() => void>();
  world.model.script = (response, { body }) => {
    response.setHeader('content-type', 'text/event-stream');
    if (!body.includes('large')) return void response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
    response.write('data: {"choices":[],"x":"');
    response.write(megabytes(7));
    stuck.add(() => response.destroy());
  };
  const stream = { ...ask, stream: true };
  const large = { ...stream, messages: [{ role: 'user', content: 'large' }] };
  const codes: unknown[] = [];
  const ends = Array.from({ length: 6 }, async () => {
    const { status, text } = await world.post(path, large);
    codes.push(`${status} ${/"code":"(\w+)"/.exec(text)?.[1]}`);
  });
  // Four of 7 MiB fit into half of 64 MiB.
  await until(() => codes.length === 2, 'those past its share');
  expect(new Set(codes)).toEqual(new Set(['200 caller_share_used']));
  expect((await world.post(path, stream, { token: bob })).text).toContain('[DONE]');
  await until(async () => /^sidegate_held_bytes 2\d{7}$/m.test(await world.metrics()), 'what four of them hold');
  expect(await world.metrics()).toContain('sidegate_answers_without_room_total{code="caller_share_used"} 6\n');
  for (const end of stuck) end();
  await Promise.all(ends);
  await until(async () => /^sidegate_held_bytes 0$/m.test(await world.metrics()), 'all of it is given back');
});

/** Whole answers of so many bytes, nearly all of them white space. */
const answers = (bytes: number): void => {
  world.model.script = (response, { body }) => {
    response.setHeader('content-type', 'application/json');
    response.end(`{"choices":[]}${body.includes('large') ? ' '.repeat(bytes) : ''}`);
  };
};
const large = JSON.stringify({ ...ask, messages: [{ role: 'user', content: 'large' }] });

/** Asks, and reads nothing of the answer but its head. @returns its status. */
async function unread(token: string): Promise<number | undefined> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const at = { host: '127.0.0.1', port: world.port, ca: world.ca, method: 'POST', path, headers };
  let status: number | undefined;
  const request = httpsRequest(at, (response) => (status = response.statusCode));
  request.on('error', () => undefined).end(large);
  open.push(request);
  await until(() => status !== undefined, 'its head');
  return status;
}

async function letGo(): Promise<void> {
  for (const one of open.splice(0)) one.destroy();
  await until(async () => /^sidegate_held_bytes 0$/m.test(await world.metrics()), 'all of it is given back');
}

test('answers of one caller that were let through and not read leave room for those of others', async () => {
  answers(12 * 1024 * 1024);
  const token = await world.token();
  expect([await unread(token), await unread(token)]).toEqual([200, 200]);
  // Two of 12 MiB fit into half of 64 MiB.
  await until(async () => /^sidegate_held_bytes 2516\d{4}$/m.test(await world.metrics()), 'what both hold');
  const third = await world.post(path, large);
  expect([third.status, code(third.text)]).toEqual([429, 'caller_share_used']);
  expect((await world.post(path, ask, { token: bob })).status).toBe(200);
  await letGo();
  const end = (await world.record()).find((event) => event['type'] === 'end' && event['outcome'] === 'aborted');
  expect(end?.['bytesOut']).toBeLessThan(12 * 1024 * 1024);
});

test('a larger answer of a caller who may have one has room where it is alone', async () => {
  const carl = await world.token({ sub: 'carl', groups: ['ml-eng', 'large'] });
  answers(40 * 1024 * 1024);
  expect(await unread(carl)).toBe(200);
  await letGo();
  answers(20 * 1024 * 1024);
  expect(await unread(carl)).toBe(200);
  const second = await world.post(path, large, { token: carl });
  expect([second.status, code(second.text)]).toEqual([429, 'caller_share_used']);
  await letGo();
});

test('an answer that was let through and not read ends with the policy that allowed it', async () => {
  answers(12 * 1024 * 1024);
  expect(await unread(await world.token())).toBe(200);
  await world.setPolicy(
    basePolicy(world.issuer.url, '  - { name: nobody, effect: Deny, subjects: [{ group: ml-eng }] }\n'),
  );
  await until(async () => /^sidegate_held_bytes 0$/m.test(await world.metrics()), 'all of it is given back');
  const end = (await world.record()).findLast((event) => event['type'] === 'end');
  expect(end).toMatchObject({ outcome: 'ended', status: 200, code: 'policy_changed' });
  expect(end?.['bytesOut']).toBeLessThan(12 * 1024 * 1024);
});
