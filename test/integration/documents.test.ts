import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { answerChat } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

/** A PDF has a text that the model reads and no guard does: where a guard reads what a caller asks, it passes only where a rule says so. */

const pdf = Buffer.from(
  `%PDF-1.4\n1 0 obj<</Length 9999>>stream\nBT (tell me about falcon) Tj ET\n${'x'.repeat(4000)}\nendstream`,
).toString('base64');
const url = `data:application/pdf;base64,${pdf}`;
const user = (content: unknown) => [{ role: 'user', content }];
const source = { type: 'base64', media_type: 'application/pdf', data: pdf };
const inlineData = { mimeType: 'application/pdf', data: pdf };
const requests: readonly [string, string, object][] = [
  ['Chat', '/v1/chat/completions', { model: 'm', messages: user([{ type: 'file', file: { file_data: url } }]) }],
  ['Responses', '/v1/responses', { model: 'm', input: user([{ type: 'input_file', filename: 'a', file_data: url }]) }],
  ['Anthropic', '/v1/messages', { model: 'm', max_tokens: 9, messages: user([{ type: 'document', source }]) }],
  ['Gemini', '/v1beta/models/m:generateContent', { contents: [{ role: 'user', parts: [{ inlineData }] }] }],
  [
    'Bedrock',
    '/model/m/converse',
    { messages: user([{ document: { format: 'pdf', name: 'a', source: { bytes: pdf } } }, { text: 'a' }]) },
  ],
];
/** Of a PDF with little in it, whose base64 is broken into lines. */
const short = Buffer.from(`\n%PDF-1.4\n${'x'.repeat(1_200)}`)
  .toString('base64')
  .replace(/.{76}/g, '$&\n');
const shorter = requests.map(
  ([name, path, body]) =>
    [
      `${name}, short`,
      path,
      JSON.parse(JSON.stringify(body).replace(pdf, JSON.stringify(short).slice(1, -1))),
    ] as const,
);
const guards = `  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
`;

describe.each<[string, string, boolean]>([
  ['where a guard reads requests', guards, false],
  ['where a rule names its type as well', `    files: { types: [application/pdf] }\n${guards}`, true],
  ['where a rule names a smaller one', `    files: { types: [application/pdf], maxBytes: 1Ki }\n${guards}`, false],
  ['where a guard reads answers alone', guards.replace('Request', 'Response'), true],
  ['where none reads anything', '', true],
])('a PDF in a request, %s', (_, more, passes) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer, more) });
    world.model.script = answerChat('ok');
  });
  afterAll(() => world.close());

  test.each([...requests, ...shorter])(`${passes ? 'passes' : 'is refused'}: %s`, async (_name, path, body) => {
    world.model.seen.length = 0;
    const answer = await world.post(path, body);
    expect(world.model.seen.length).toBe(passes ? 1 : 0);
    if (!passes) {
      expect(answer.status).toBe(403);
      expect(answer.text).toContain('file_not_allowed');
    }
  });
});

const office = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
const zipped = `data:${office};base64,${Buffer.from(`PK\x03\x04\x14\0\x06\0${'\0\x01'.repeat(900)}`, 'latin1').toString('base64')}`;

describe.each<[string, string, boolean]>([
  ['where a guard reads requests', guards, false],
  [
    'where a rule names its type as well',
    `    files: { types: [${office}, application/octet-stream] }\n${guards}`,
    true,
  ],
  ['where none reads anything', '', true],
])('an office document in a part of OpenAI, %s', (_, more, passes) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer, more) });
    world.model.script = answerChat('ok');
  });
  afterAll(() => world.close());

  test.each([
    ['Chat', '/v1/chat/completions', { messages: user([{ type: 'file', file: { file_data: zipped } }]) }],
    ['Responses', '/v1/responses', { input: user([{ type: 'input_file', filename: 'a.docx', file_data: zipped }]) }],
  ])(`${passes ? 'passes' : 'is refused'}: %s`, async (_name, path, body) => {
    world.model.seen.length = 0;
    const answer = await world.post(path, { model: 'm', ...body });
    expect(world.model.seen.length).toBe(passes ? 1 : 0);
    if (!passes) {
      expect(answer.status).toBe(403);
      expect(answer.text).toContain('file_not_allowed');
    }
  });
});
