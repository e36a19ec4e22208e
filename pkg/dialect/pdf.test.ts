import { describe, expect, it } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { pdfsOf, recognise } from './index.ts';

const noise = (length: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, at) => (at * 7919 + ((at * at) >> 3)) & 255));
const bytes = (before: string, length = 9_000): string =>
  Buffer.concat([Buffer.from(`${before}%PDF-1.7\n`, 'latin1'), noise(length)]).toString('base64');
const picture = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), noise(9_000)]).toString('base64');
const big = bytes('');

function pdfs(path: string, body: object): number {
  const route = recognise('POST', path);
  return pdfsOf(route.dialect.request(route, parseJson(JSON.stringify(body)), '')).length;
}
const user = (content: unknown): object => ({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content }] });
const chat = (file: object): number => pdfs('/v1/chat/completions', user([{ type: 'file', file }]));
const responses = (file: object): number =>
  pdfs('/v1/responses', { model: 'm', input: [{ role: 'user', content: [{ type: 'input_file', ...file }] }] });
const anthropic = (source: object): number => pdfs('/v1/messages', user([{ type: 'document', source }]));
const gemini = (mimeType: string, data: string): number =>
  pdfs('/v1beta/models/m:generateContent', {
    contents: [{ role: 'user', parts: [{ inlineData: { mimeType, data } }] }],
  });
const bedrock = (block: object): number =>
  pdfs('/model/m/converse', { messages: [{ role: 'user', content: [block] }] });

const url = (data: string, head = 'application/pdf;base64'): string => `data:${head},${data}`;
const calledOne: readonly (readonly [string, (data: string) => number])[] = [
  ['Chat', (data) => chat({ file_data: url(data) })],
  ['Chat, by its name', (data) => chat({ filename: 'a.PDF', file_data: data })],
  ['Responses', (data) => responses({ file_data: url(data) })],
  ['Responses, by its name', (data) => responses({ filename: 'a.pdf', file_data: data })],
  ['Anthropic', (data) => anthropic({ type: 'base64', media_type: 'application/pdf', data })],
  ['Anthropic, with a parameter', (data) => anthropic({ type: 'base64', media_type: 'Application/PDF; a=b', data })],
  ['Gemini', (data) => gemini('application/pdf', data)],
  ['Bedrock', (data) => bedrock({ document: { format: 'pdf', name: 'a', source: { bytes: data } } })],
];
const shapes: readonly (readonly [string, string])[] = [
  ['large', big],
  ['short', bytes('', 2_400)],
  ['with a line break in its base64', `${big.slice(0, 76)}\n${big.slice(76)}`],
  ['behind another byte', bytes('\n')],
  ['behind a byte order mark', bytes('\xef\xbb\xbf')],
  ['at the last place where readers look', bytes('x'.repeat(1_019))],
];

describe.each(calledOne)('a file that is called a PDF: %s', (_, read) => {
  it.each([...shapes, ['that is none', noise(2_000).toString('base64')] as const])('%s', (_name, data) => {
    expect(read(data)).toBeGreaterThan(0);
  });
});

const notCalledOne: readonly (readonly [string, (data: string) => number])[] = [
  ['Chat', (data) => chat({ file_data: data })],
  ['Chat, of a type that says nothing', (data) => chat({ file_data: url(data, 'application/octet-stream;base64') })],
  [
    'Chat, as a picture',
    (data) =>
      pdfs('/v1/chat/completions', user([{ type: 'image_url', image_url: { url: url(data, 'image/png;base64') } }])),
  ],
  ['Responses', (data) => responses({ filename: 'a', file_data: data })],
  ['Responses, of no type', (data) => responses({ filename: 'a', file_data: url(data, ';base64') })],
  ['Anthropic', (data) => anthropic({ type: 'base64', data })],
  ['Anthropic, as a picture', (data) => anthropic({ type: 'base64', media_type: 'image/png', data })],
  ['Gemini, as a picture', (data) => gemini('image/png', data)],
  ['Bedrock, as a picture', (data) => bedrock({ image: { format: 'png', source: { bytes: data } } })],
  [
    'Cohere',
    (data) => pdfs('/v2/chat', user([{ type: 'image_url', image_url: { url: url(data, 'image/png;base64') } }])),
  ],
  ['Ollama', (data) => pdfs('/api/chat', { model: 'm', messages: [{ role: 'user', content: 'x', images: [data] }] })],
  ['a field that nobody knows', (data) => pdfs('/v1/chat/completions', { ...user('x'), attachment: data })],
  ['a URL in such a field', (data) => pdfs('/v1/chat/completions', { ...user('x'), attachment: url(data) })],
  ['a route that nobody knows', (data) => pdfs('/custom', { attachment: data })],
];

describe.each(notCalledOne)('a file that begins as a PDF does: %s', (_, read) => {
  it.each(shapes)('%s', (_name, data) => {
    expect(read(data)).toBeGreaterThan(0);
  });
});

it.each([
  ['white space in its head', 'application/pdf; base64', big],
  ['escapes in its head', 'application%2F%70df;base64', big],
  ['escapes in its base64', 'a/b;base64', `%4A${big.slice(1)}`],
  ['signs that are not of base64', 'a/b;base64', `${big.slice(0, 2)}!${big.slice(2)}`],
  ['letters and no base64', 'a/b', '%25PDF-1.7'],
  ['no comma', 'a/b;base64', ''],
])('a URL with %s is one', (_, head, data) => {
  const file_data = url(data, head);
  expect(chat({ file_data: data === '' ? file_data.replace(',', '') : file_data })).toBeGreaterThan(0);
});

it.each([
  ['a picture', () => gemini('image/png', picture)],
  [
    'a picture in a URL',
    () =>
      pdfs('/v1/chat/completions', user([{ type: 'image_url', image_url: { url: url(picture, 'image/png;base64') } }])),
  ],
  [
    'an address',
    () => pdfs('/v1/chat/completions', user([{ type: 'image_url', image_url: { url: 'https://x/a.png' } }])),
  ],
  [
    'a text that tells of one',
    () =>
      pdfs(
        '/v1/chat/completions',
        user(`Data: a pdf, which begins with %PDF- or JVBERi0xLjcK in base64. ${'word '.repeat(99)}`),
      ),
  ],
  ['letters and spaces', () => pdfs('/v1/chat/completions', user('nothing but words '.repeat(400)))],
  ['a sign behind the place where readers look', () => chat({ file_data: bytes('x'.repeat(1_040)) })],
])('%s is none', (_, read) => {
  expect(read()).toBe(0);
});
