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
  ['a sign behind the place where readers look', () => pdfs('/v1/chat/completions', user(bytes('x'.repeat(1_040))))],
])('%s is none', (_, read) => {
  expect(read()).toBe(0);
});

describe('a file of OpenAI that is neither a text nor a picture, a sound or a film', () => {
  const office = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
  const zip = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), noise(9_000)]).toString('base64');
  const words = 'word '.repeat(2_000);
  const behindWords = Buffer.concat([Buffer.from(words), Buffer.from(zip, 'base64')]).toString('base64');
  const rtf = Buffer.from(`{\\rtf1 ${words}}`).toString('base64');

  it.each([
    ['called what it is', { filename: 'a.docx', file_data: url(zip, `${office};base64`) }],
    ['called nothing', { filename: 'a', file_data: url(zip, 'application/octet-stream;base64') }],
    ['called a text', { filename: 'a.txt', file_data: url(zip, 'text/plain;base64') }],
    ['short', { file_data: url(zip.slice(0, 400), `${office};base64`) }],
    ['of base64 by itself', { file_data: zip }],
    ['with a line break', { file_data: url(`${zip.slice(0, 2)}\n${zip.slice(2)}`, `${office};base64`) }],
    ['with percent signs', { file_data: url(zip.replaceAll('A', '%41'), `${office};base64`) }],
    ['behind a text', { file_data: url(behindWords, 'text/plain;base64') }],
    ['called one by its type, with the head of a picture', { file_data: url(picture, `${office};base64`) }],
    [
      'called one by its name, with the head of a picture',
      { filename: 'a.DOCX', file_data: url(picture, 'image/png;base64') },
    ],
    ['RTF', { file_data: url(rtf, 'text/plain;base64') }],
  ])('is a document: %s', (_, file) => {
    expect(chat(file)).toBeGreaterThan(0);
    expect(responses(file)).toBeGreaterThan(0);
  });

  it.each([
    ['a text', { filename: 'a.txt', file_data: url(Buffer.from(words).toString('base64'), 'text/plain;base64') }],
    [
      'a text of another script',
      { file_data: url(Buffer.from('слово 言葉'.repeat(500)).toString('base64'), 'text/csv;base64') },
    ],
    [
      'a text in UTF-16',
      { file_data: url(Buffer.from(`\ufeff${words}`, 'utf16le').toString('base64'), 'text/plain;base64') },
    ],
    ['a text as it is', { file_data: 'data:text/plain,a%20word' }],
    ['a picture', { filename: 'a.png', file_data: url(picture, 'image/png;base64') }],
    ['nothing', { file_data: '' }],
    ['an address', { file_data: 'https://example.com/a.docx' }],
  ])('is none: %s', (_, file) => {
    expect(chat(file)).toBe(0);
    expect(responses(file)).toBe(0);
  });
});
