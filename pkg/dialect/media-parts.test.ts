import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { recognise, recogniseSocket } from './index.ts';
import type { RequestView } from './index.ts';

// Pictures, sound and files within the JSON of a request: policy hears of each what it is called and what it is, and of each that the server would fetch.

const base64 = (text: string, length = 60): string =>
  Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(length, 7)]).toString('base64');
const png = base64('\x89PNG\r\n\x1a\n');
const jpeg = base64('\xff\xd8\xff\xe0');
const wav = base64('RIFF\0\0\0\0WAVE');
const mp4 = base64('\0\0\0\x1cftypisom');
const pdf = base64('%PDF-1.7\n');
const svg = base64('<svg xmlns="http://www.w3.org/2000/svg">');
const svgBehindXml = base64('\xef\xbb\xbf \n<?xml version="1.0"?><svg>');
const utf16Svg = Buffer.from('\ufeff<svg width="9">', 'utf16le').toString('base64');
const html = base64('<!DOCTYPE html><p>');
const nothing = base64('no head of any file');

const view = (path: string, body: unknown): RequestView => {
  const route = path.startsWith('ws:') ? recogniseSocket(path.slice(3)) : recognise('POST', path);
  return route.dialect.request(route, parseJson(JSON.stringify(body)));
};
const types = (path: string, body: unknown): unknown => view(path, body).media?.map((one) => one.types.join('+'));
const links = (path: string, body: unknown): unknown => view(path, body).links;

type Place = readonly [name: string, path: string, body: (url: string) => unknown];
const user = (part: unknown): object => ({ model: 'm', messages: [{ role: 'user', content: [part] }] });
const item = (part: unknown): object => ({ model: 'm', input: [{ type: 'message', role: 'user', content: [part] }] });

/** Places that take a URL. */
const byUrl: readonly Place[] = [
  ['a chat', '/v1/chat/completions', (url) => user({ type: 'image_url', image_url: { url } })],
  ['a chat, as a word', '/v1/chat/completions', (url) => user({ type: 'image_url', image_url: url })],
  ['a film of a chat', '/v1/chat/completions', (url) => user({ type: 'video_url', video_url: { url } })],
  ['sound of a chat', '/v1/chat/completions', (url) => user({ type: 'audio_url', audio_url: { url } })],
  ['a file of a chat', '/v1/chat/completions', (url) => user({ type: 'file', file: { file_data: url } })],
  ['Responses', '/v1/responses', (url) => item({ type: 'input_image', image_url: url })],
  ['a file of Responses', '/v1/responses', (url) => item({ type: 'input_file', file_data: url })],
  [
    'a screenshot of Responses',
    '/v1/responses',
    (image_url) => ({
      model: 'm',
      input: [{ type: 'computer_call_output', call_id: 'c', output: { type: 'computer_screenshot', image_url } }],
    }),
  ],
  [
    'Realtime',
    'ws:/v1/realtime',
    (url) => ({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_image', image_url: url }] },
    }),
  ],
  ['Cohere', '/v2/chat', (url) => user({ type: 'image_url', image_url: { url } })],
  [
    'embeddings of Cohere',
    '/v2/embed',
    (url) => ({ model: 'm', input_type: 'image', embedding_types: ['float'], images: [url] }),
  ],
  ['a document to rank', '/rerank', (url) => ({ query: 'q', documents: [{ text: 'a' }, { image: url }] })],
  ['a document to rank, as a part', '/v1/rerank', (url) => ({ query: 'q', documents: [{ image_url: { url } }] })],
  ['embeddings', '/v1/embeddings', (url) => ({ model: 'm', input: [{ image: url }] })],
  ['SGLang', '/generate', (url) => ({ text: 'a', image_data: url })],
  ['a list of SGLang', '/generate', (url) => ({ text: 'a', image_data: [[url]] })],
  ['a part of SGLang', '/generate', (url) => ({ text: 'a', image_data: [{ url }] })],
  ['a text of TGI', '/generate', (url) => ({ inputs: `What is ![](${url}) here?` })],
];

describe.each(byUrl)('in %s', (_name, path, body) => {
  test.each([
    ['image/png', `data:image/png;base64,${png}`],
    ['image/jpeg', `data:image/jpg;base64,${jpeg}`],
    ['image/png', `data:IMAGE/PNG;name=a;base64,${png}`],
    ['image/png', `data:;base64,${png}`],
    ['image/png+image/jpeg', `data:image/jpeg;base64,${png}`],
    ['image/png+text/plain', `data:text/plain;base64,${png}`],
    ['audio/wav', `data:audio/wav;base64,${wav}`],
    ['application/pdf', `data:application/pdf;base64,${pdf}`],
    ['application/pdf', `data:text/plain;base64,${pdf}`],
    ['image/svg+xml', `data:image/svg+xml;base64,${svg}`],
    ['text/plain', `data:text/plain;base64,${nothing}`],
    ['application/octet-stream+image/png', `data:image/png;base64,${nothing}`],
    ['application/octet-stream', `data:;base64,${nothing}`],
  ])('%s is what %s is', (type, url) => {
    expect(types(path, body(url))).toEqual([type]);
    expect(links(path, body(url))).toEqual([]);
  });

  test.each([
    ['PDF', pdf],
    ['SVG', svg],
    ['SVG behind the head of XML', svgBehindXml],
    ['SVG in UTF-16', utf16Svg],
    ['HTML', html],
  ])('%s that is called a picture or a sound is told to be one', (_what, data) => {
    for (const type of ['image/png', 'image/jpeg', 'audio/wav', 'video/mp4'])
      expect(view(path, body(`data:${type};base64,${data}`)).media).toMatchObject([{ disguised: true }]);
  });

  test.each(['https://example.com/cat.png', 'http://169.254.169.254/latest/meta-data'])(
    '%s is to be fetched',
    (url) => {
      expect(links(path, body(url))).toEqual([url]);
      expect(types(path, body(url))).toEqual([]);
    },
  );
});

test.each([
  'file:///etc/passwd',
  '/etc/passwd',
  'cat.png',
  '//example.com/a',
  ' data:image/png;base64,AAAA',
  's3://b/k',
  'a b',
])('%j is fetched by some server, too', (url) => {
  for (const [name, path, body] of byUrl)
    if (name !== 'a text of TGI') expect([name, links(path, body(url))]).toEqual([name, [url]]);
});

/** Places that take bytes, and say of what they are, or do not. */
const bytes: readonly (readonly [
  name: string,
  path: string,
  body: (data: string, kind: string) => unknown,
  says: boolean,
])[] = [
  [
    'Anthropic',
    '/v1/messages',
    (data, kind) => ({
      ...user({ type: 'image', source: { type: 'base64', media_type: `image/${kind}`, data } }),
      max_tokens: 9,
    }),
    true,
  ],
  [
    'Gemini',
    '/v1beta/models/m:generateContent',
    (data, kind) => ({
      contents: [{ role: 'user', parts: [{ inlineData: { mimeType: `image/${kind}`, data } }] }],
    }),
    true,
  ],
  [
    'Bedrock',
    '/model/m/converse',
    (data, kind) => ({
      messages: [{ role: 'user', content: [{ image: { format: kind, source: { bytes: data } } }] }],
    }),
    true,
  ],
  [
    'Ollama',
    '/api/chat',
    (data) => ({ model: 'm', messages: [{ role: 'user', content: 'a', images: [data] }] }),
    false,
  ],
  ['a prompt of Ollama', '/api/generate', (data) => ({ model: 'm', prompt: 'a', images: [data] }), false],
  [
    'llama.cpp',
    '/completion',
    (data) => ({ prompt: { prompt_string: 'a <__media__>', multimodal_data: [data] } }),
    false,
  ],
  ['llama.cpp of LLaVA', '/completion', (data) => ({ prompt: 'a [img-1]', image_data: [{ data, id: 1 }] }), false],
  ['its embeddings', '/embedding', (data) => ({ content: 'a', image_data: [{ data, id: 1 }] }), false],
  ['SGLang', '/generate', (data) => ({ text: 'a', image_data: [data] }), false],
];

test.each(bytes)('%s has a picture by its bytes', (_name, path, body, says) => {
  expect(types(path, body(png, 'png'))).toEqual(['image/png']);
  expect(types(path, body(png, 'jpeg'))).toEqual([says ? 'image/png+image/jpeg' : 'image/png']);
  if (!says) return expect(types(path, body(mp4, ''))).toEqual(['video/mp4']);
  for (const data of [pdf, svg, utf16Svg])
    expect(view(path, body(data, 'png')).media).toMatchObject([{ disguised: true }]);
});

describe.each([
  ['/v1/messages', { model: 'm' }],
  ['/model/m/invoke', { anthropic_version: 'bedrock-2023-05-31' }],
])('a picture of Anthropic on %s of which the source does not say that it is bytes is refused', (path, more) => {
  const bytes = { media_type: 'image/png', data: png };
  const within = (block: object): object => ({ type: 'tool_result', tool_use_id: 't', content: [block] });
  test.each([
    ['no type', { type: 'image', source: bytes }],
    ['null', { type: 'image', source: { type: null, ...bytes } }],
    ['a text', { type: 'image', source: { type: 'text', ...bytes } }],
    ['blocks', { type: 'image', source: { type: 'content', ...bytes } }],
    ['no type, in what a tool gave', within({ type: 'image', source: bytes })],
    ['a text, in what a tool gave', within({ type: 'image', source: { type: 'text', ...bytes } })],
    ['a text, and its block no type', { source: { type: 'text', ...bytes } }],
    ['no type, of a document', { type: 'document', source: bytes }],
  ])('%s', (_what, block) => {
    const read = (): unknown => view(path, { messages: [{ role: 'user', content: [block] }], ...more, max_tokens: 9 });
    expect(read).toThrow(
      expect.objectContaining({ code: 'invalid_request', detail: expect.stringMatching(/\.source\.type$/) }),
    );
  });
});

test('the size of each is told, of all of them', () => {
  const parts = [png, jpeg].map((data) => ({ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }));
  const { media } = view('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: parts }] });
  for (const [at, size] of [68, 64].entries()) expect(Math.abs((media?.[at]?.bytes ?? 0) - size)).toBeLessThan(3);
  expect(media).toHaveLength(2);
});

test('a picture of Anthropic by its address is to be fetched, and sound says its format', () => {
  const source = { type: 'url', url: 'https://example.com/a.png' };
  expect(links('/v1/messages', { ...user({ type: 'image', source }), max_tokens: 9 })).toEqual([source.url]);
  const sound = (format: string, data: string): unknown =>
    types('/v1/chat/completions', user({ type: 'input_audio', input_audio: { format, data } }));
  expect(sound('wav', wav)).toEqual(['audio/wav']);
  expect(sound('pcm16', nothing)).toEqual(['audio/pcm']);
  expect(sound('mp3', wav)).toEqual(['audio/wav+audio/mpeg']);
});

test('a text that names none is only read', () => {
  for (const text of ['![]()', '![a](https://example.com)', '![](cat.png)', 'https://example.com/a.png'])
    expect(links('/generate', { inputs: text })).toEqual([]);
  expect(links('/v1/chat/completions', user({ type: 'text', text: 'https://example.com/a.png' }))).toEqual([]);
});
