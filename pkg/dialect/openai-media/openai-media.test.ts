import { describe, expect, it } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { FrameView, RequestView } from '../dialect.ts';
import { recognise } from '../recognise.ts';
import { answer, lanes, refusing, request, unreadable } from '../testing/reading.ts';

const paths = [
  'audio/transcriptions',
  'audio/translations',
  'audio/speech',
  'images/generations',
  'images/edits',
  'images/variations',
];
const file = { filename: 'a.mp3', type: 'audio/mpeg', bytes: 7 };
const image = { filename: 'a.png', type: 'image/png', bytes: 9 };
const transcribe = { file, model: 'whisper-1' };
const speak = { model: 'tts-1', input: 'Hello', voice: 'alloy' };
const draw = { prompt: 'a cat', model: 'gpt-image-1' };
const edit = { image, prompt: 'a hat' };
const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'), Buffer.alloc(300, 0xcd)]).toString(
  'base64',
);

const frameOf = (view: RequestView, body: object): FrameView => {
  const route = view.answers;
  if (route === undefined) throw new Error('no route');
  return route.dialect.frame(route, undefined, '', parseJson(JSON.stringify(body)));
};

describe("OpenAI's audio and image routes", () => {
  it.each(paths)('%s is one, with every prefix and as a deployment', (path) => {
    for (const prefix of ['/v1', '', '/openai/v1', '/openai', '/openai/deployments/whisper'])
      expect(recognise('POST', `${prefix}/${path}`)).toMatchObject({
        dialect: { name: 'openai-media' },
        operation: 'Completions',
      });
    expect(recognise('POST', `/openai/deployments/whisper/${path}`).model).toBe('whisper');
    for (const other of [`/v1/${path}/`, `/v1/${path.toUpperCase()}`, `/v1/${path}/1`])
      expect(recognise('POST', other).operation).toBe('Other');
    expect(recognise('GET', `/v1/${path}`).operation).toBe('Other');
  });

  it.each(['files', 'batches', 'uploads', 'audio/voices', 'videos'])('%s is Other', (path) =>
    expect(recognise('POST', `/v1/${path}`).operation).toBe('Other'),
  );
});

describe('a request', () => {
  it.each([
    ['audio/transcriptions', { ...transcribe, max_completion_tokens: '9' }],
    ['audio/translations', transcribe],
    ['audio/speech', { ...speak, max_new_tokens: 9 }],
    ['images/generations', draw],
    ['images/edits', edit],
    ['images/variations', { image }],
  ])('to %s has no limit of output that all servers know', (path, body) => {
    const { endless, maxOutputTokens, limitOutput } = request(`/v1/${path}`, body);
    expect([endless, maxOutputTokens, limitOutput(5)]).toEqual([true, undefined, []]);
  });

  it('has its texts in lanes, and files beside what nobody can read of its answer', () => {
    const view = request('/v1/audio/transcriptions', {
      ...transcribe,
      prompt: 'words',
      language: 'en',
      temperature: '0.2',
      'keywords[]': ['a', 'b'],
      'known_speaker_names[]': ['Ana'],
      'chunking_strategy[type]': 'server_vad',
    });
    expect(lanes(view)).toEqual([
      'file.filename=a.mp3',
      'prompt=words',
      'keywords[][0]=a',
      'keywords[][1]=b',
      'known_speaker_names[][0]=Ana',
    ]);
    expect(view).toMatchObject({ model: 'whisper-1', stream: false, countsInput: true, generates: false });
    expect(view.files).toEqual([{ type: 'audio/mpeg', bytes: 7 }]);
    expect(
      request('/v1/audio/transcriptions', { ...transcribe, response_format: 'diarized_json', stream: 'true' }),
    ).toMatchObject({ stream: true });
    expect(request('/v1/audio/speech', speak).files).toEqual([{ type: 'audio/mpeg', bytes: 0 }]);
    expect(request('/v1/audio/speech', { ...speak, response_format: 'opus' }).files).toEqual([
      { type: 'audio/ogg', bytes: 0 },
    ]);
    expect(lanes(request('/v1/audio/speech', { ...speak, instructions: 'slowly' }))).toEqual([
      'input=Hello',
      'instructions=slowly',
    ]);
    expect(request('/v1/images/generations', { ...draw, output_format: 'webp', n: 3 })).toMatchObject({
      files: [{ type: 'image/webp', bytes: 0 }],
      count: 3,
    });
    expect(request('/v1/images/edits', { 'image[]': [image, image], prompt: 'x' })).toMatchObject({
      model: undefined,
      files: [
        { type: 'image/png', bytes: 0 },
        { type: 'image/png', bytes: 9 },
        { type: 'image/png', bytes: 9 },
      ],
    });
  });

  it('may say how a voice sounds that is to be known again', () => {
    const voice = `data:audio/mpeg;base64,${Buffer.from('ID3\x04\0\0\0\0\0\0\0\0\0\0\0\0', 'latin1').toString('base64')}`;
    const ask = (one: string): RequestView =>
      request('/v1/audio/transcriptions', { ...transcribe, 'known_speaker_references[]': [one] });
    expect(ask(voice).files?.map(({ type, bytes }) => [type, bytes])).toEqual([
      ['audio/mpeg', 7],
      ['audio/mpeg', 16],
    ]);
    const letters = `data:audio/mpeg;base64,${Buffer.from('my card is 4111').toString('base64')}`;
    for (const bad of [letters, 'https://example.com/a.mp3', voice.replace('mpeg', 'wav')])
      expect(() => ask(bad)).toThrow(expect.objectContaining(refusing('known_speaker_references[][0]')));
  });

  const bad: readonly (readonly [string, object, string])[] = [
    ['audio/transcriptions', { model: 'm' }, 'file'],
    ['audio/transcriptions', { file }, 'model'],
    ['audio/transcriptions', { ...transcribe, stream: 'True' }, 'stream'],
    ['audio/transcriptions', { ...transcribe, stream: '1' }, 'stream'],
    ['audio/transcriptions', { ...transcribe, temperature: 'nan' }, 'temperature'],
    ['audio/transcriptions', { ...transcribe, temperature: ' 1' }, 'temperature'],
    ['audio/transcriptions', { ...transcribe, response_format: 'docx' }, 'response_format'],
    ['audio/transcriptions', { ...transcribe, language: 'en please' }, 'language'],
    ['audio/translations', { ...transcribe, model: 'a,b' }, 'model'],
    ['audio/translations', { ...transcribe, model: ' whisper-1' }, 'model'],
    ['audio/translations', { ...transcribe, model: 'whisper-1\u200b' }, 'model'],
    ['images/variations', { image, model: 'dall-e-2\n' }, 'model'],
    ['audio/speech', { ...speak, response_format: 'exe' }, 'response_format'],
    ['audio/speech', { ...speak, stream_format: 'ws' }, 'stream_format'],
    ['audio/speech', { ...speak, voice: { id: 'voice_1' } }, 'voice'],
    ['audio/speech', { ...speak, ref_audio: 'https://example.com/a.wav' }, 'ref_audio'],
    ['audio/speech', { ...speak, api_base: 'x' }, 'api_base'],
    ['audio/speech', { ...speak, some_url: 'x' }, 'url'],
    ['audio/speech', { model: 'tts-1' }, 'input'],
    ['images/generations', { ...draw, n: 11 }, 'n'],
    ['images/generations', { ...draw, output_format: 'svg' }, 'output_format'],
    ['images/generations', { ...draw, image: 'https://example.com/a.png' }, 'image'],
    ['images/generations', { ...draw, response_format: 'file' }, 'response_format'],
    ['images/generations', { model: 'm' }, 'prompt'],
    ['images/edits', { prompt: 'x' }, 'image[]'],
    ['images/edits', { ...edit, n: '0' }, 'n'],
    ['images/variations', { model: 'm' }, 'image'],
  ];
  it.each(bad)('of %s with %j is refused', (path, body, detail) =>
    expect(() => request(`/v1/${path}`, body)).toThrow(expect.objectContaining(refusing(detail))),
  );

  it('names no other model than its deployment', () => {
    const path = '/openai/deployments/whisper/audio/transcriptions';
    expect(request(path, { file }, 'api-version=2024-06-01').model).toBe('whisper');
    expect(() => request(path, transcribe)).toThrow(expect.objectContaining(refusing('model')));
    expect(() => request(path, { file }, 'model=x')).toThrow(expect.objectContaining(refusing('query')));
  });
});

describe('an answer', () => {
  it('of a transcript is one text, said several times', () => {
    const view = answer('/v1/audio/transcriptions', {
      text: 'a b',
      segments: [
        { id: 0, text: ' a', tokens: [1], words: [{ word: ' a', start: 0, t_dtw: -1 }] },
        { id: 's1', text: ' b', speaker: 'Ana', type: 'transcript.text.segment', words: [{ word: ' b' }] },
        { text: ' c', chars: [{ char: ' ' }, { char: 'c', score: 0.9 }] },
      ],
      words: [{ word: 'a', start: 0 }, { word: 'b' }],
      word_segments: [{ word: 'a', score: 0.9 }, { word: 'b' }],
      logprobs: [{ token: 'a', logprob: -1, bytes: [97] }],
      usage: { type: 'tokens', input_tokens: 3, output_tokens: 4, total_tokens: 7 },
      ZZ: 'c',
    });
    expect(lanes(view)).toEqual(['text=a b', '{}=c']);
    expect(view.joined?.map(({ id, nodes }) => [id, ...nodes.map((node) => node.text)])).toEqual([
      ['segments', ' a', ' b', ' c'],
      ['segments.words', ' a', ' b'],
      ['segments.chars', ' ', 'c'],
      ['words', 'a', 'b'],
      ['word_segments', 'a', 'b'],
    ]);
    expect(view.integerArrays.length).toBe(1);
    expect(view.tokenLanes.map(({ id }) => id)).toEqual(['logprobs']);
    expect(view.usage).toEqual({ input: 3, output: 4 });
    expect(view.ends).toEqual([{ prefix: '', end: 'cut' }]);
  });

  it('of pictures has files', () => {
    const view = answer('/v1/images/generations', {
      created: 1,
      data: [{ b64_json: png, revised_prompt: 'x' }, { url: 'https://a/b' }],
    });
    expect(view.files?.map(({ type, bytes }) => [type, bytes])).toEqual([['image/png', 316]]);
    expect(view.opaque.length).toBe(1);
    const linked = answer('/v1/images/generations', { created: 1, data: [{ url: `data:image/png;base64,${png}` }] });
    expect(linked.files?.map(({ type }) => type)).toEqual(['image/png']);
    expect(lanes(view)).toEqual(['data[0].revised_prompt=x']);
  });

  const bad: readonly (readonly [string, object, string])[] = [
    ['audio/transcriptions', { id: 'x' }, 'text'],
    ['audio/speech', { text: 'x' }, 'content-type'],
    ['images/generations', { text: 'x' }, 'data'],
    ['images/generations', { data: [{ b64_json: 'aGVsbG8gd29ybGQgaGVsbG8=' }] }, 'data[0].b64_json'],
    ['images/generations', { data: [{ b64_json: `${png.slice(0, 40)} my card` }] }, 'data[0].b64_json'],
    ['images/generations', { data: [{ b64_json: 5 }] }, 'data[0].b64_json'],
    ['images/generations', { data: [{ url: 'data:text/plain,my card' }] }, 'data[0].url'],
    ['images/generations', { data: [{ url: 'data:image/png;base64,aGVsbG8gd29ybGQgaGVsbG8=' }] }, 'data[0].url'],
  ];
  it.each(bad)('of %s as %j is refused', (path, body, detail) =>
    expect(() => answer(`/v1/${path}`, body)).toThrow(expect.objectContaining(unreadable(detail))),
  );

  it.each(paths)('of %s may be an error', (path) =>
    expect(lanes(answer(`/v1/${path}`, { error: { message: 'no' } }, 400))).toEqual(['error.message=no']),
  );
});

describe('a stream', () => {
  it('of a transcript tells it in pieces and whole', () => {
    const view = request('/v1/audio/transcriptions', { ...transcribe, stream: 'true' });
    expect(lanes(frameOf(view, { type: 'transcript.text.delta', delta: 'a', logprobs: [] }))).toEqual(['delta=a']);
    const done = frameOf(view, { type: 'transcript.text.done', text: 'ab' });
    expect(done.lanes.map(({ id, whole }) => [id, whole])).toEqual([['done.text', 'cut']]);
    expect(done.ends.map(({ prefix }) => prefix)).toContain('delta');
    const chunk = { object: 'transcription.chunk', choices: [{ index: 0, delta: { content: 'a' } }] };
    expect(lanes(frameOf(view, chunk))).toEqual(['choices[0].delta.content=a']);
    for (const field of ['words', 'segments', 'word_segments'])
      expect(() =>
        frameOf(view, { type: 'transcript.text.done', text: 'a', [field]: [{ words: [{ word: 'a' }] }] }),
      ).toThrow(expect.objectContaining(unreadable(`done.${field}`)));
    for (const type of ['transcript.text.other', 'speech.audio.delta', 'other'])
      expect(() => frameOf(view, { type, text: 'a' })).toThrow(expect.objectContaining(unreadable('type')));
  });

  it('of speech is a file, as long as it is so far', () => {
    const view = request('/v1/audio/speech', { ...speak, stream_format: 'sse' });
    const audio = Buffer.alloc(300, 0xab).toString('base64');
    const told = [1, 2].map(() => frameOf(view, { type: 'speech.audio.delta', audio }).files);
    expect(told).toEqual([[{ type: 'audio/mpeg', bytes: 300 }], [{ type: 'audio/mpeg', bytes: 600 }]]);
    // Of another request: nothing of this one is in it.
    const other = request('/v1/audio/speech', { ...speak, stream_format: 'sse', response_format: 'wav' });
    expect(frameOf(other, { type: 'speech.audio.delta', audio }).files).toEqual([{ type: 'audio/wav', bytes: 300 }]);
    const letters = Buffer.from('my card is 4111').toString('base64');
    expect(lanes(frameOf(view, { type: 'speech.audio.delta', audio: letters }))).toEqual([`audio=${letters}`]);
    expect(frameOf(view, { type: 'speech.audio.done', usage: { input_tokens: 1, output_tokens: 2 } }).usage).toEqual({
      input: 1,
      output: 2,
    });
  });

  it('of pictures is a file each', () => {
    const view = request('/v1/images/generations', { ...draw, stream: true });
    expect(view.stream).toBe(true);
    const told = frameOf(view, { type: 'image_generation.partial_image', b64_json: png, partial_image_index: 0 });
    expect(told.files?.map(({ type, bytes }) => [type, bytes])).toEqual([['image/png', 316]]);
    expect(() => frameOf(view, { type: 'response.created' })).toThrow(expect.objectContaining(unreadable('type')));
    expect(frameOf(view, { type: 'error', error: { message: 'no' } }).kind).toBe('error');
  });
});
