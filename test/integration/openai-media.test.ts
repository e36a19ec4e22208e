import type { ServerResponse } from 'node:http';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI, { toFile } from 'openai';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld, withoutChance } from '../support/world.ts';

// OpenAI's own client, unchanged but for the base URL and who it trusts, uses the audio and image routes through the whole sidecar.

const card = '4111 1111 1111 1111';
const text = `Pay ${card} or write to ana.maria@example.com today.`;
const masked = 'Pay [confidential] or write to [confidential] today.';

const mp3 = Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\0\0\0\0', 'latin1'), Buffer.alloc(5_000, 0xab)]);
const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'), Buffer.alloc(6_000, 0xcd)]);
const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const rules = (files: string): string => `    files: ${files}
  classification:
  - { label: confidential, detectors: [CreditCard, Email], visibleTo: [], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
  - { name: cards, direction: Request, match: { detectors: [CreditCard] }, action: Mask }
`;
const policyOf = (issuer: string, files = '{ types: ["audio/*", "image/*"], maxBytes: 10Ki }'): string =>
  basePolicy(issuer, rules(files));

let world: World;
let client: OpenAI;
beforeAll(async () => {
  world = await startWorld({ policy: (issuer) => policyOf(issuer) });
  client = new OpenAI({
    baseURL: `${world.url}/v1`,
    apiKey: await world.token(),
    maxRetries: 0,
    fetch: trustingFetch(world.ca),
  });
});
afterAll(() => world.close());

const answers =
  (body: object | string, type = 'application/json', status = 200) =>
  (answer: ServerResponse): void => {
    answer.statusCode = status;
    answer.setHeader('content-type', type);
    answer.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
const event = (type: string, body: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;
const streams =
  (...parts: string[]) =>
  (answer: ServerResponse): void => {
    answer.setHeader('content-type', 'text/event-stream');
    for (const part of parts) answer.write(part);
    answer.end();
  };
const pieces = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.slice(at * size, (at + 1) * size));
const sound = (): Promise<File> => toFile(mp3, 'meeting.mp3', { type: 'audio/mpeg' });
const picture = (name = 'cat.png'): Promise<File> => toFile(png, name, { type: 'image/png' });
const sent = (): { readonly body: string; readonly type: string } => {
  const seen = world.model.seen.at(-1);
  return { body: seen?.body ?? '', type: String(seen?.headers['content-type']) };
};
const partsOf = async (): Promise<FormData> => {
  const seen = world.model.seen.at(-1);
  return new Response(seen?.bytes, { headers: { 'content-type': String(seen?.headers['content-type']) } }).formData();
};

describe('a transcription', () => {
  test('goes on byte for byte where nothing of it is masked, and is recorded by its digest', async () => {
    world.model.script = answers({ text: 'hello' });
    const answer = await client.audio.transcriptions.create({
      file: await sound(),
      model: 'whisper-1',
      prompt: 'A meeting.',
      timestamp_granularities: ['word', 'segment'],
    });
    expect(answer.text).toBe('hello');
    expect(sent().type).toContain('formdata');
    const form = await partsOf();
    expect(form.get('prompt')).toBe('A meeting.');
    expect(form.getAll('timestamp_granularities[]')).toEqual(['word', 'segment']);
    expect(Buffer.from(await (form.get('file') as File).arrayBuffer()).equals(mp3)).toBe(true);
    const record = await world.record();
    expect(record.findLast((one) => one['dialect'] === 'openai-media')).toMatchObject({
      operation: 'Completions',
      model: 'whisper-1',
    });
    expect(JSON.stringify(record)).toContain(`audio/mpeg, ${mp3.length} bytes, sha256:${sha(mp3)}`);
  });

  test('is written anew where its prompt is masked', async () => {
    world.model.script = answers({ text: 'hello' });
    await client.audio.transcriptions.create({ file: await sound(), model: 'whisper-1', prompt: `Card ${card}, ok` });
    const form = await partsOf();
    expect(form.get('prompt')).not.toContain('4111');
    expect(form.get('prompt')).toContain(', ok');
    expect(sent().type).toMatch(/^multipart\/form-data; boundary=----sidegate-[0-9a-f]{32}$/);
    expect(Buffer.from(await (form.get('file') as File).arrayBuffer()).equals(mp3)).toBe(true);
    expect(Number(world.model.seen.at(-1)?.headers['content-length'])).toBe(world.model.seen.at(-1)?.bytes.length);
    expect(withoutChance(JSON.stringify(await world.record()))).not.toContain('4111');
  });

  test('is refused by a guard, wherever its words stand', async () => {
    const before = world.model.seen.length;
    const ask = { file: await sound(), model: 'whisper-1' };
    await expect(client.audio.transcriptions.create({ ...ask, prompt: 'Project Falcon' })).rejects.toMatchObject({
      status: 403,
      code: 'guard_blocked',
    });
    const named = await toFile(mp3, 'falcon.mp3', { type: 'audio/mpeg' });
    await expect(client.audio.transcriptions.create({ ...ask, file: named })).rejects.toMatchObject({
      code: 'guard_blocked',
    });
    await expect(
      client.audio.transcriptions.create({ ...ask, known_speaker_names: ['ana', 'falcon'] }),
    ).rejects.toMatchObject({
      code: 'guard_blocked',
    });
    expect(world.model.seen.length).toBe(before);
  });

  test.each(['srt', 'vtt', 'text'] as const)('is masked as %s', async (format) => {
    const cues = [`Pay 4111 1111`, `1111 1111 or write`, 'to ana.maria@example.com', 'today.'];
    const time = (at: number): string => `00:00:0${at}${format === 'srt' ? ',' : '.'}000`;
    const timed = cues.map(
      (cue, at) => `${format === 'srt' ? `${at + 1}\n` : ''}${time(at)} --> ${time(at + 1)}\n${cue}\n`,
    );
    const body = format === 'text' ? `${text}\n` : (format === 'vtt' ? 'WEBVTT\n\n' : '') + timed.join('\n');
    world.model.script = answers(body, 'text/plain; charset=utf-8');
    const answer = await client.audio.transcriptions.create({
      file: await sound(),
      model: 'whisper-1',
      response_format: format,
    });
    expect(answer).not.toMatch(/4111|1111|example/);
    if (format === 'text') expect(answer).toBe(`${masked}\n`);
    else {
      expect(answer.match(/-->/g)?.length).toBe(cues.length);
      expect(answer).toContain('Pay [confidential]\n');
      expect(answer).toContain('to [confidential]\n');
    }
  });

  test('is masked in its text, segments and words alike', async () => {
    world.model.script = answers({
      ...{ task: 'transcribe', language: 'english', duration: 3.5, text },
      segments: [
        { id: 0, seek: 0, start: 0, end: 1, text: ' Pay 4111 1111', tokens: [1, 2], temperature: 0, avg_logprob: -1 },
        { id: 1, seek: 0, start: 1, end: 2, text: ' 1111 1111 or write to ana.maria@example.com today.', tokens: [3] },
      ],
      words: text.split(' ').map((word, at) => ({ word, start: at, end: at + 1 })),
      usage: { type: 'duration', seconds: 4 },
    });
    const answer = await client.audio.transcriptions.create({
      file: await sound(),
      model: 'whisper-1',
      response_format: 'verbose_json',
      timestamp_granularities: ['word'],
    });
    expect(answer.text).toBe(masked);
    expect(answer.segments?.map((one) => one.text).join('')).toBe(` ${masked}`);
    expect(
      answer.words
        ?.map((one) => one.word)
        .filter((word) => word !== '')
        .join(' '),
    ).toBe(masked);
    expect(answer.segments?.[0]?.tokens).toEqual([]);
    expect(withoutChance(JSON.stringify(await world.record()))).not.toMatch(/4111|example\.com/);
  });

  test.each([1, 4, 500])(
    'is masked in a stream of pieces of %i characters, and where it is told whole',
    async (size) => {
      world.model.script = streams(
        ...pieces(text, size).map((delta) => event('transcript.text.delta', { delta })),
        event('transcript.text.done', {
          text,
          usage: { type: 'tokens', input_tokens: 3, output_tokens: 9, total_tokens: 12 },
        }),
      );
      const stream = await client.audio.transcriptions.create({
        file: await sound(),
        model: 'gpt-4o-transcribe',
        stream: true,
      });
      let joined = '';
      let whole = '';
      for await (const one of stream) {
        if (one.type === 'transcript.text.delta') joined += one.delta;
        if (one.type === 'transcript.text.done') whole = one.text;
      }
      expect(joined).toBe(masked);
      expect(whole).toBe(masked);
      const ended = (await world.record()).findLast((one) => one['tokens'] !== undefined);
      expect(ended?.['tokens']).toMatchObject({ input: 3, output: 9 });
    },
  );

  test('is masked in a stream by who speaks, over all of them', async () => {
    const half = text.indexOf('1111 1111 1111');
    const spoken = [text.slice(0, half - 1), text.slice(half)];
    world.model.script = streams(
      ...spoken.flatMap((part, at) => [
        event('transcript.text.delta', { delta: part, segment_id: `seg_${at}` }),
        event('transcript.text.segment', {
          ...{ id: `seg_${at}`, start: at, end: at + 1, speaker: 'AB'[at], text: part },
        }),
      ]),
      event('transcript.text.done', { text }),
    );
    const stream = await client.audio.transcriptions.create({
      file: await sound(),
      model: 'gpt-4o-transcribe-diarize',
      response_format: 'diarized_json',
      chunking_strategy: 'auto',
      stream: true,
    });
    const said = { pieces: '', segments: '', whole: '' };
    for await (const one of stream) {
      if (one.type === 'transcript.text.delta') said.pieces += one.delta;
      if (one.type === 'transcript.text.segment') said.segments += one.text;
      if (one.type === 'transcript.text.done') said.whole = one.text;
    }
    expect(said).toEqual({ pieces: masked, segments: masked, whole: masked });
  });

  test('refuses what the policy does not let pass, and what is not what it says', async () => {
    const before = world.model.seen.length;
    const large = await toFile(Buffer.concat([mp3, mp3, mp3]), 'a.mp3', { type: 'audio/mpeg' });
    const ask = { model: 'whisper-1' };
    await expect(client.audio.transcriptions.create({ ...ask, file: large })).rejects.toMatchObject({
      status: 403,
      code: 'file_not_allowed',
      param: 'audio/mpeg',
    });
    const film = await toFile(Buffer.from('\x1a\x45\xdf\xa3aaaaaaaaaaaa', 'latin1'), 'a.webm', { type: 'video/webm' });
    await expect(client.audio.transcriptions.create({ ...ask, file: film })).rejects.toMatchObject({
      code: 'file_not_allowed',
      param: 'video/webm',
    });
    const letters = await toFile(Buffer.from(`my card is ${card}`), 'a.mp3', { type: 'audio/mpeg' });
    await expect(client.audio.transcriptions.create({ ...ask, file: letters })).rejects.toMatchObject({
      status: 400,
      code: 'invalid_request',
      param: 'file.type',
    });
    expect(world.model.seen.length).toBe(before);
  });
});

test('nothing goes on by a rule that limits output, which no field does on every server', async () => {
  const model = 'whisper-1';
  const ask = async (): Promise<readonly PromiseSettledResult<unknown>[]> =>
    Promise.allSettled([
      client.audio.transcriptions.create({ file: await sound(), model }),
      client.audio.translations.create({ file: await sound(), model }),
      client.audio.speech.create({ model, voice: 'alloy', input: 'hello' }),
      client.images.generate({ model, prompt: 'a cat' }),
      client.images.edit({ model, prompt: 'a hat', image: await picture() }),
      client.images.createVariation({ model, image: await picture() }),
    ]);
  await world.setPolicy(
    policyOf(world.issuer.url).replace('    files:', '    limits: { maxOutputTokens: 9 }\n    files:'),
  );
  const before = world.model.seen.length;
  const told = { status: 'rejected', reason: { status: 400, code: 'max_tokens_exceeded' } };
  expect(await ask()).toMatchObject([told, told, told, told, told, told]);
  expect(world.model.seen.length).toBe(before);
  await world.setPolicy(policyOf(world.issuer.url));
  world.model.script = answers({ text: 'hello' });
  expect((await client.audio.transcriptions.create({ file: await sound(), model })).text).toBe('hello');
});

test('a translation is masked', async () => {
  world.model.script = answers({ text });
  expect((await client.audio.translations.create({ file: await sound(), model: 'whisper-1' })).text).toBe(masked);
});

describe('speech', () => {
  const ask = { model: 'tts-1', voice: 'alloy', input: 'Hello.' } as const;

  test('leaves as it came, its input masked and its sound on record by its digest', async () => {
    world.model.script = (answer) => {
      answer.setHeader('content-type', 'audio/mpeg');
      answer.write(mp3.subarray(0, 5));
      setTimeout(() => answer.end(mp3.subarray(5)), 20);
    };
    const answer = await client.audio.speech.create({ ...ask, input: `Say ${card}`, instructions: 'Slowly.' });
    expect(answer.headers.get('content-type')).toBe('audio/mpeg');
    expect(Buffer.from(await answer.arrayBuffer()).equals(mp3)).toBe(true);
    expect(withoutChance(sent().body)).not.toContain('4111');
    expect(JSON.stringify(await world.record())).toContain(`audio/mpeg, ${mp3.length} bytes, sha256:${sha(mp3)}`);
  });

  test('is refused where it is no sound, and broken off where it is longer than the policy lets pass', async () => {
    world.model.script = answers('Sorry, I cannot say 4111 1111 1111 1111.', 'audio/mpeg');
    await expect(client.audio.speech.create(ask)).rejects.toMatchObject({
      status: 502,
      code: 'response_uninspectable',
    });
    world.model.script = async (answer) => {
      answer.setHeader('content-type', 'audio/mpeg');
      for (let at = 0; at < 20; at++) {
        answer.write(mp3);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      answer.end();
    };
    const answer = await client.audio.speech.create(ask);
    let received = 0;
    const reading = async (): Promise<void> => {
      for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) received += chunk.length;
    };
    await expect(reading()).rejects.toThrow();
    expect(received).toBeLessThanOrEqual(10 * 1_024);
  });

  test('comes in events', async () => {
    world.model.script = streams(
      event('speech.audio.delta', { audio: mp3.subarray(0, 3_000).toString('base64') }),
      event('speech.audio.delta', { audio: mp3.subarray(3_000).toString('base64') }),
      event('speech.audio.done', { usage: { input_tokens: 2, output_tokens: 7, total_tokens: 9 } }),
    );
    const answer = await client.audio.speech.create({ ...ask, stream_format: 'sse' });
    const told = await answer.text();
    const deltas = [...told.matchAll(/"audio":"([^"]*)"/g)].map((one) => Buffer.from(one[1] ?? '', 'base64'));
    expect(Buffer.concat(deltas).equals(mp3)).toBe(true);
    expect(told).toContain('speech.audio.done');
  });

  test('is not asked for where the policy lets no such sound pass', async () => {
    const before = world.model.seen.length;
    await world.setPolicy(policyOf(world.issuer.url, '{ types: ["audio/wav"] }'));
    await expect(client.audio.speech.create(ask)).rejects.toMatchObject({
      code: 'file_not_allowed',
      param: 'audio/mpeg',
    });
    await expect(client.images.generate({ prompt: 'a cat', model: 'gpt-image-1' })).rejects.toMatchObject({
      code: 'file_not_allowed',
      param: 'image/png',
    });
    expect(world.model.seen.length).toBe(before);
    await world.setPolicy(policyOf(world.issuer.url));
  });
});

describe('pictures', () => {
  const usage = { input_tokens: 5, output_tokens: 6, total_tokens: 11 };

  test('leave with their prompts masked, and are on record by their digest', async () => {
    world.model.script = answers({
      created: 1,
      data: [{ b64_json: png.toString('base64'), revised_prompt: text }],
      usage,
    });
    const answer = await client.images.generate({ prompt: `A card ${card}`, model: 'gpt-image-1' });
    expect(answer.data?.[0]).toEqual({ b64_json: png.toString('base64'), revised_prompt: masked });
    expect(withoutChance(sent().body)).not.toContain('4111');
    expect(JSON.stringify(await world.record())).toContain(`image/png, ${png.length} bytes, sha256:${sha(png)}`);
  });

  test('are refused where they are none, or larger than the policy lets pass', async () => {
    const ask = { prompt: 'a cat', model: 'gpt-image-1' };
    for (const bytes of [Buffer.from(`PNG ${text}`.repeat(200)), Buffer.concat([png, png])]) {
      world.model.script = answers({ created: 1, data: [{ b64_json: bytes.toString('base64') }] });
      await expect(client.images.generate(ask)).rejects.toMatchObject({ status: 502, code: 'response_uninspectable' });
    }
  });

  test('come as links', async () => {
    world.model.script = answers({ created: 1, data: [{ url: 'https://pictures.example/1.png' }] });
    const answer = await client.images.generate({ prompt: 'a cat', model: 'dall-e-3', response_format: 'url' });
    expect(answer.data?.[0]?.url).toBe('https://pictures.example/1.png');
  });

  test('come in events', async () => {
    const b64_json = png.toString('base64');
    world.model.script = streams(
      event('image_generation.partial_image', { b64_json, partial_image_index: 0, size: '1024x1024' }),
      event('image_generation.completed', { b64_json, usage }),
    );
    const stream = await client.images.generate({
      prompt: 'a cat',
      model: 'gpt-image-1',
      stream: true,
      partial_images: 1,
    });
    const told: string[] = [];
    for await (const one of stream) told.push(`${one.type} ${one.b64_json.length}`);
    expect(told).toEqual([
      `image_generation.partial_image ${b64_json.length}`,
      `image_generation.completed ${b64_json.length}`,
    ]);
  });

  test('are edited and varied', async () => {
    world.model.script = answers({ created: 1, data: [{ b64_json: png.toString('base64') }], usage });
    await client.images.edit({
      image: [await picture(), await picture('dog.png')],
      mask: await picture('mask.png'),
      prompt: `Put ${card} on it`,
      model: 'gpt-image-1',
    });
    const form = await partsOf();
    expect(form.getAll('image[]').length).toBe(2);
    expect(form.get('prompt')).not.toContain('4111');
    await client.images.createVariation({ image: await picture(), model: 'dall-e-2', n: 2 });
    expect((await partsOf()).get('n')).toBe('2');
    await expect(
      client.images.edit({ image: await toFile(mp3, 'a.mp3', { type: 'audio/mpeg' }), prompt: 'x', model: 'm' }),
    ).rejects.toMatchObject({ code: 'invalid_request', param: 'image.type' });
  });
});

test('an upload of a file for the server to keep is Other, and needs a rule that names it', async () => {
  await expect(client.files.create({ file: await sound(), purpose: 'assistants' })).rejects.toMatchObject({
    status: 403,
  });
});
