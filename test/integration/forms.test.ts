import { afterEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createApprovalDesk } from '../support/approval-desk.ts';
import type { ApprovalDesk } from '../support/approval-desk.ts';
import { until } from '../support/wait.ts';
import type { Answer, World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Forms through the whole sidecar: what goes on byte for byte, what people approve, what limits and policies that only observe do with them.

const card = '4111 1111 1111 1111';
const mp3 = Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\0\0\0\0', 'latin1'), Buffer.alloc(20_000, 0xab)]);
const path = '/v1/audio/transcriptions';

interface Form {
  readonly body: Buffer;
  readonly type: string;
}
function form(fields: Readonly<Record<string, string>>, boundary = '----form-a1b2c3', sound = mp3): Form {
  const parts = Object.entries({ model: 'whisper-1', ...fields }).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n`;
  return {
    body: Buffer.concat([Buffer.from(parts.join('') + file), sound, Buffer.from(`\r\n--${boundary}--\r\n`)]),
    type: `multipart/form-data; boundary=${boundary}`,
  };
}

let world: World;
let desk: ApprovalDesk;
afterEach(() => world.close());

const files = '    files: { types: ["audio/*"] }\n';
async function start(
  more: string,
  change: (policy: string) => string = (policy) => policy,
  credential?: string,
): Promise<void> {
  desk = createApprovalDesk();
  world = await startWorld({
    policy: (issuer) => change(basePolicy(issuer, more)),
    approvals: desk.gate,
    ...(credential !== undefined && { credential }),
  });
  world.model.script = (answer) => {
    answer.setHeader('content-type', 'application/json');
    answer.end('{"text":"hello"}');
  };
}
const send = ({ body, type }: Form, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  world.call('POST', path, { body, headers: { 'content-type': type, ...headers } });
const codeOf = ({ text }: Answer): unknown => (JSON.parse(text) as { error: { code: string } }).error.code;
const lastSeen = (): World['model']['seen'][number] => {
  const seen = world.model.seen.at(-1);
  if (seen === undefined) throw new Error('the model saw nothing');
  return seen;
};

const masks = `${files}  guards:
  - { name: cards, direction: Request, match: { detectors: [CreditCard] }, action: Mask }
`;

describe('a form', () => {
  test('of which nothing is masked goes on byte for byte, with its own boundary', async () => {
    await start(masks);
    const one = form({ prompt: 'Hello.' });
    expect((await send(one)).status).toBe(200);
    expect(lastSeen().bytes.equals(one.body)).toBe(true);
    expect(lastSeen().headers['content-type']).toBe(one.type);
  });

  test('whose boundary looks like a card goes on with another, and is not refused for it', async () => {
    for (const action of ['Mask', 'Block']) {
      await start(masks.replace('action: Mask', `action: ${action}`));
      const one = form({ prompt: 'Hello.' }, '----x-4111111111111111');
      expect((await send(one)).status).toBe(200);
      expect(lastSeen().bytes.includes('4111111111111111')).toBe(false);
      expect(lastSeen().headers['content-type']).toMatch(/^multipart\/form-data; boundary=----sidegate-/);
      expect(lastSeen().bytes.includes(mp3)).toBe(true);
      if (action === 'Mask') await world.close();
    }
  });

  test('that is longer than a body may be is refused, and so is one that is no form', async () => {
    await start(`${masks}  requestLimits: { maxBodyBytes: 16Ki }\n`);
    expect(codeOf(await send(form({})))).toBe('body_too_large');
    const small = form({}, '----form-a1b2c3', mp3.subarray(0, 2_000));
    expect((await send(small)).status).toBe(200);
    expect(codeOf(await send({ body: Buffer.from('{"model":"m"}'), type: 'application/json' }))).toBe(
      'unsupported_media_type',
    );
    expect(codeOf(await send({ body: Buffer.concat([small.body, small.body]), type: small.type }))).toBe(
      'invalid_request',
    );
    expect(world.model.seen).toHaveLength(1);
    const metrics = await world.metrics();
    expect(metrics).toMatch(/sidegate_[a-z_]*requests[a-z_]*\{[^}]*invalid_request[^}]*\} 1/);
  });

  test('is charged for its texts, not for its files, where the model does not say what it used', async () => {
    await start(`${files}    limits: { tokensPerMinute: 500 }\n`);
    // 20 KB would be 5,000 tokens, and the second request would find none left.
    for (let count = 0; count < 4; count++) expect((await send(form({ prompt: 'Hello.' }))).status).toBe(200);
  });
});

test('a form that is written anew is signed as it goes on, under the name that the endpoint has for its model', async () => {
  const use = 'credential: { file: credential, sigV4: { region: eu-central-1, service: bedrock } }';
  const models = 'models: [{ name: whisper-1, as: large-v3 }]';
  const upstream = `  upstream: { hosted: { url: "https://models.test", ${models} }, ${use} }\n`;
  await start(masks + upstream, undefined, 'AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY');
  expect((await send(form({ prompt: `Card ${card}` }))).status).toBe(200);
  const { bytes, headers } = lastSeen();
  const data = await new Response(bytes, { headers: { 'content-type': String(headers['content-type']) } }).formData();
  expect(data.get('model')).toBe('large-v3');
  expect(data.get('prompt')).not.toContain('4111');
  expect(headers['x-amz-content-sha256']).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(headers['authorization']).toContain('SignedHeaders=content-type;');
});

describe('a form that a guard holds', () => {
  const held = `${files}  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  - { name: cards, direction: Request, match: { detectors: [CreditCard] }, action: Mask }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
`;

  test('waits, and goes on when it was approved; approvers see its texts and which file it is', async () => {
    await start(held);
    const one = form({ prompt: 'About falcon.' });
    const answer = send(one);
    await until(() => desk.cases.length === 1);
    expect(world.model.seen).toEqual([]);
    const { excerpt } = desk.cases[0]?.ask ?? { excerpt: '' };
    expect(excerpt).toContain('prompt: About falcon.');
    expect(excerpt).toMatch(/file: audio\/mpeg, 20012 bytes, sha256:[0-9a-f]{64}/);
    desk.decide('Approve');
    expect((await answer).status).toBe(200);
    expect(lastSeen().bytes.equals(one.body)).toBe(true);
  });

  test.each([
    ['as it is', 'About falcon.'],
    ['masked', `About falcon and ${card}.`],
  ])('is the same request with another boundary, %s, and another one with another file', async (_, prompt) => {
    await start(held);
    const prefer = { prefer: 'respond-async' };
    const first = form({ prompt }, '----try-one');
    expect((await send(first, prefer)).status).toBe(202);
    expect((await send(form({ prompt }, '----try-two'), prefer)).status).toBe(202);
    expect(desk.cases).toHaveLength(1);
    const other = form({ prompt }, '----try-one', Buffer.concat([mp3, Buffer.from('x')]));
    expect((await send(other, prefer)).status).toBe(202);
    expect(desk.cases).toHaveLength(2);
    desk.decide('Approve', 0);
    expect((await send(form({ prompt }, '----try-three'), prefer)).status).toBe(200);
    expect(lastSeen().bytes.includes('4111')).toBe(false);
    expect(lastSeen().bytes.includes(mp3)).toBe(true);
  });
});

test('a transcript that a rule holds waits for people, however it is told', async () => {
  await start(`${files}  guards:
  - { name: project, direction: Response, match: { words: [falcon] }, action: RequireApproval }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
`);
  const srt = '1\n00:00:00,000 --> 00:00:01,000\nAbout\n\n2\n00:00:01,000 --> 00:00:02,000\nfalcon.\n';
  world.model.script = (answer) => {
    answer.setHeader('content-type', 'text/plain');
    answer.end(srt);
  };
  const answer = send(form({ response_format: 'srt' }));
  await until(() => desk.cases.length === 1);
  expect(desk.cases[0]?.ask).toMatchObject({
    direction: 'Response',
    excerpt: expect.stringContaining('About falcon.'),
  });
  desk.decide('Approve');
  expect((await answer).text).toBe(srt);
});

describe('where every policy observes', () => {
  const observing = (policy: string): string => policy.replace('mode: Enforce', 'mode: Observe');

  test('every form goes on as it came, also one that nobody could read, and the record says what would have been', async () => {
    await start(masks.replace(files, ''), observing);
    const good = form({ prompt: `Card ${card}` });
    const bad = { body: Buffer.concat([Buffer.from('preamble\r\n'), good.body]), type: good.type };
    const unknown = form({ api_base: 'x' }, '----x-4111111111111111');
    for (const one of [good, bad, unknown]) {
      expect((await send(one)).status).toBe(200);
      expect(lastSeen().bytes.equals(one.body)).toBe(true);
      expect(lastSeen().headers['content-type']).toBe(one.type);
    }
    const record = JSON.stringify(await world.record());
    expect(record).toContain('file_not_allowed');
    expect(record).toContain('invalid_request');
  });

  test('sound leaves as it came, whatever it is', async () => {
    await start(masks.replace(files, ''), observing);
    for (const body of [mp3, Buffer.from('no sound at all')]) {
      world.model.script = (answer) => {
        answer.setHeader('content-type', 'audio/mpeg');
        answer.end(body);
      };
      const answer = await world.post('/v1/audio/speech', { model: 'tts-1', input: 'Hello', voice: 'alloy' });
      expect([answer.status, answer.broken]).toEqual([200, false]);
      expect(answer.text).toBe(body.toString('utf8'));
    }
  });
});

test('sound that is longer than answers may be is broken off', async () => {
  await start(`${files}  responseLimits:\n  - { subjects: [{ anyone: true }], maxBytes: 25Ki }\n`);
  world.model.script = async (answer) => {
    answer.setHeader('content-type', 'audio/mpeg');
    answer.write(mp3);
    await new Promise((resolve) => setTimeout(resolve, 20));
    answer.end(mp3);
  };
  const answer = await world.post('/v1/audio/speech', { model: 'tts-1', input: 'Hello', voice: 'alloy' });
  expect([answer.status, answer.broken]).toEqual([200, true]);
  expect(JSON.stringify(await world.record())).toContain('response_too_large');
});

test('sound ends with a policy that no longer allows it', async () => {
  await start(files);
  let ended = false;
  world.model.script = (answer) => {
    answer.setHeader('content-type', 'audio/mpeg');
    answer.write(mp3);
    answer.on('close', () => (ended = true));
  };
  let heard = 0;
  const answer = world.call('POST', '/v1/audio/speech', {
    body: JSON.stringify({ model: 'tts-1', input: 'Hello', voice: 'alloy' }),
    onChunk: (text) => (heard += text.length),
  });
  await until(() => heard > 0);
  await world.setPolicy(basePolicy(world.issuer.url, files).replace('group: ml-eng', 'group: nobody'));
  expect((await answer).broken).toBe(true);
  await until(() => ended);
});
