import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { answerChat } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Pictures and sound within the JSON of what a caller asks: nobody looks into them. A policy may refuse them, or say of which type and size they may be;
// none is fetched from anywhere unless a policy names the host.

const base64 = (head: string, length: number): string =>
  Buffer.concat([Buffer.from(head, 'latin1'), Buffer.alloc(length, 0x9c)]).toString('base64');
const png = base64('\x89PNG\r\n\x1a\n', 6_000);
const big = base64('\x89PNG\r\n\x1a\n', 12_000);
const jpeg = base64('\xff\xd8\xff\xe0', 6_000);

const user = (content: unknown): object[] => [{ role: 'user', content }];
type Ask = (data: string, type: string) => readonly [path: string, body: object];
const asks: readonly (readonly [string, Ask])[] = [
  [
    'Chat',
    (data, type) => [
      '/v1/chat/completions',
      { model: 'm', messages: user([{ type: 'image_url', image_url: { url: `data:image/${type};base64,${data}` } }]) },
    ],
  ],
  [
    'Responses',
    (data, type) => [
      '/v1/responses',
      { model: 'm', input: user([{ type: 'input_image', image_url: `data:image/${type};base64,${data}` }]) },
    ],
  ],
  [
    'Anthropic',
    (data, type) => [
      '/v1/messages',
      {
        ...{ model: 'm', max_tokens: 9 },
        messages: user([{ type: 'image', source: { type: 'base64', media_type: `image/${type}`, data } }]),
      },
    ],
  ],
  [
    'Ollama',
    (data) => ['/api/chat', { model: 'm', messages: [{ role: 'user', content: 'a', images: [data] }], stream: false }],
  ],
  [
    'Gemini',
    (data, type) => [
      '/v1beta/models/m:generateContent',
      { contents: [{ role: 'user', parts: [{ inlineData: { mimeType: `image/${type}`, data } }] }] },
    ],
  ],
  [
    'Bedrock',
    (data, type) => [
      '/model/m/converse',
      { messages: user([{ image: { format: type, source: { bytes: data } } }, { text: 'a' }]) },
    ],
  ],
];
const link = (url: string): readonly [string, object] => [
  '/v1/chat/completions',
  { model: 'm', messages: user([{ type: 'image_url', image_url: { url } }]) },
];

let world: World;
beforeAll(async () => {
  world = await startWorld({ policy: (issuer) => basePolicy(issuer) });
  world.model.script = answerChat('ok');
});
afterAll(() => world.close());
beforeEach(() => {
  world.model.seen.length = 0;
});

/** Undefined: the model got it. */
async function refusal([path, body]: readonly [string, object]): Promise<string | undefined> {
  const before = world.model.seen.length;
  const { text } = await world.post(path, body);
  if (world.model.seen.length > before) return undefined;
  return /file_not_allowed/.exec(text)?.[0] ?? text;
}

describe('where a policy says nothing of files', () => {
  test.each(asks)('a picture passes: %s', async (_name, ask) => {
    expect(await refusal(ask(png, 'png'))).toBeUndefined();
  });

  test.each(asks.filter(([name]) => name !== 'Ollama'))(
    'a document that calls itself a picture does not: %s',
    async (_name, ask) => {
      for (const data of [base64('%PDF-1.7\n', 6_000), base64('<svg onload="a">', 6_000)])
        expect(await refusal(ask(data, 'png'))).toBe('file_not_allowed');
    },
  );

  test.each(['https://example.com/a.png', 'http://169.254.169.254/', 'file:///etc/passwd', '/etc/passwd'])(
    'the server is not sent to %s',
    async (url) => {
      expect(await refusal(link(url))).toBe('file_not_allowed');
    },
  );
});

describe.each([
  ['refuses all', '{ types: [] }', undefined],
  ['lets small PNGs pass', '{ types: [image/png], maxBytes: 8Ki }', png],
  ['lets all of them pass', '{ types: ["image/*"] }', jpeg],
])('where a policy %s', (_what, files, passing) => {
  beforeAll(() => world.setPolicy(basePolicy(world.issuer.url, `    files: ${files}\n`)));

  test.each(asks)('others are refused: %s', async (name, ask) => {
    const all = files.includes('image/*');
    expect(await refusal(ask(png, 'png'))).toBe(passing === undefined ? 'file_not_allowed' : undefined);
    expect(await refusal(ask(big, 'png'))).toBe(all ? undefined : 'file_not_allowed');
    expect(await refusal(ask(jpeg, 'jpeg'))).toBe(all ? undefined : 'file_not_allowed');
    // Called what may pass.
    if (name !== 'Ollama') expect(await refusal(ask(jpeg, 'png'))).toBe(all ? undefined : 'file_not_allowed');
    expect(await refusal(ask(base64('%PDF-1.7\n', 6_000), 'png'))).not.toBeUndefined();
  });

  test('sound is none of them', async () => {
    const data = base64('RIFF\0\0\0\0WAVE', 6_000);
    const content = [{ type: 'input_audio', input_audio: { format: 'wav', data } }];
    expect(await refusal(['/v1/chat/completions', { model: 'm', messages: user(content) }])).toBe('file_not_allowed');
  });
});

test('the server may fetch from hosts that a policy names', async () => {
  await world.setPolicy(basePolicy(world.issuer.url, '    files: { types: ["image/*"], hosts: ["*.example.com"] }\n'));
  expect(await refusal(link('https://images.example.com/a.png'))).toBeUndefined();
  expect(await refusal(link('https://images.example.com:8443/a.png'))).toBe('file_not_allowed');
  expect(await refusal(link('https://example.org/a.png'))).toBe('file_not_allowed');
});

test('where policies only observe, it passes, and is on record', async () => {
  await world.setPolicy(
    basePolicy(world.issuer.url, '    files: { types: [] }\n').replace('mode: Enforce', 'mode: Observe'),
  );
  for (const one of [link('https://example.org/a.png'), ...asks.map(([, ask]) => ask(png, 'png'))])
    expect(await refusal(one)).toBeUndefined();
  expect(JSON.stringify(await world.record())).toContain('file_not_allowed');
});
