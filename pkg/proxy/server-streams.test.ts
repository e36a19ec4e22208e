import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cuts, maskedParts, maskedStream, maskedWhole, piece, readsOf } from '../../test/support/masked-stream.ts';
import { parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise, sse } from '../dialect/index.ts';
import type { Route, StreamFrame } from '../dialect/index.ts';

// The guarantee on streams for the model servers' own events: what has left of a text is at all times a prefix of what masking the whole text
// gives, whatever the cuts into events and reads, and at the end it equals that.

const event = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;
const bodies = (stream: string): Record<string, unknown>[] =>
  [...stream.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data ?? '') as Record<string, unknown>);

interface Joined {
  readonly [text: string]: string;
}

/** Holds a stream to the guarantee, for each way to read it. */
function hold(
  path: string,
  events: readonly string[],
  sizes: readonly number[],
  expected: Joined,
  read: (left: string) => Joined,
): void {
  const route = recognise('POST', path);
  for (const reads of readsOf(events, sizes)) {
    const stream = maskedStream(route, route.streams[0] ?? sse);
    for (const some of reads) {
      stream.data(some);
      const left = read(stream.left);
      for (const [name, text] of Object.entries(left))
        expect([name, expected[name]?.startsWith(text)]).toEqual([name, true]);
    }
    stream.end();
    expect(read(stream.left)).toEqual(expected);
  }
}

describe("TGI's events", () => {
  interface Token {
    readonly text: string;
    readonly special: boolean;
    readonly id: number;
  }
  /** What its clients join: tokens that are not special; and the whole at the end. */
  function read(left: string): { tokens: string; special: string; whole: string } {
    const joined = { tokens: '', special: '', whole: '' };
    for (const body of bodies(left)) {
      const token = body['token'] as Token;
      expect(token.id).toBe(0);
      joined[token.special ? 'special' : 'tokens'] += token.text;
      joined.whole += (body['generated_text'] as string | null) ?? '';
    }
    return joined;
  }
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ text: piece, special: fc.constant(false) }) },
    fc.record({ text: fc.constantFrom('</s>', '<ana@example.com>'), special: fc.constant(true) }),
  );

  test.each(['/generate_stream', '/'])('of %s', (path) => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        cuts,
        fc.constantFrom('eos_token', 'length'),
        (steps, sizes, reason) => {
          const tokens = steps.map(({ text, special }, index) => ({
            index,
            token: { id: 7, text, logprob: -1, special },
          }));
          const whole = steps.map(({ text, special }) => (special ? '' : text)).join('');
          const last = { index: steps.length, token: { id: 8, text: '', logprob: 0, special: false } };
          const details = { finish_reason: reason, generated_tokens: steps.length, seed: null };
          const events = [
            ...tokens.map((body) => event({ ...body, generated_text: null, details: null })),
            event({ ...last, generated_text: whole, details }),
          ];
          const masked = maskedWhole(whole, 'text', reason === 'eos_token' ? 'complete' : 'cut');
          const special = steps.map((one) => (one.special ? maskedWhole(one.text, 'text', 'complete') : '')).join('');
          hold(path, events, sizes, { tokens: masked, special, whole: masked }, read);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('an error breaks off what is held, and is told', () => {
    const stream = maskedStream(recognise('POST', '/generate_stream'), sse);
    const token = { id: 7, text: 'Pay 4111 1111 1111', logprob: -1, special: false };
    stream.data(
      Buffer.from(event({ index: 0, token }) + event({ error: 'lost ana@example.com', error_type: 'generation' })),
    );
    stream.end();
    expect(stream.left).toBe(event({ error: 'lost [hidden]', error_type: 'generation' }));
  });
});

describe("SGLang's own events", () => {
  const asked = { text: ['a', 'b'], stream: true, sampling_params: { max_new_tokens: 9 } };
  const route = (): Route => {
    const generate = recognise('POST', '/generate');
    return generate.dialect.request(generate, parseJson(JSON.stringify(asked))).answers ?? generate;
  };
  const done = 'data: [DONE]\n\n';
  /** What its clients have: the last that each event said of its answer. */
  const read = (left: string): Joined => {
    const texts: Record<string, string> = { 0: '', 1: '' };
    for (const { index = 0, text } of bodies(left)) texts[String(index)] = text as string;
    return texts;
  };

  test('say all of their texts so far, of two answers at once', () => {
    const step = fc.record({ index: fc.nat({ max: 1 }), text: piece });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        cuts,
        fc.constantFrom({ type: 'stop', matched: 2 }, { type: 'stop', matched: 'now' }, { type: 'length', length: 9 }),
        (steps, sizes, finish_reason) => {
          const texts = ['', ''];
          const meta = { id: 'x', prompt_tokens: 3, completion_tokens: 4 };
          const events = steps.map(({ index, text }) => {
            texts[index] += text;
            return event({ index, text: texts[index], output_ids: [1], meta_info: { ...meta, finish_reason: null } });
          });
          events.push(
            ...texts.map((text, index) =>
              event({ index, text, output_ids: [1], meta_info: { ...meta, finish_reason } }),
            ),
            done,
          );
          const end = finish_reason.matched === 2 ? 'complete' : 'cut';
          const expected = Object.fromEntries(texts.map((text, at) => [at, maskedWhole(text, 'text', end)]));
          for (const reads of readsOf(events, sizes)) {
            const stream = maskedStream(route(), sse);
            for (const some of reads) {
              stream.data(some);
              for (const [name, text] of Object.entries(read(stream.left)))
                expect([name, expected[name]?.startsWith(text)]).toEqual([name, true]);
            }
            stream.end();
            expect(read(stream.left)).toEqual(expected);
            expect(stream.left.endsWith(done)).toBe(true);
            expect(stream.left).not.toContain('[1]');
            expect(stream.usage).toEqual({ input: 6, output: 8 });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('that say what is new alone, or nothing, end the stream', () => {
    const left = (...all: object[]): void => {
      const stream = maskedStream(route(), sse);
      stream.data(Buffer.from(all.map(event).join('')));
      stream.end();
    };
    expect(() => left({ text: 'Once' }, { text: ' upon' })).toThrow(RefusedError);
    expect(() => left({ meta_info: {} })).toThrow(RefusedError);
    expect(() => left({ text: 'a', index: -1 })).toThrow(RefusedError);
    expect(() => left({ text: 'a', index: 5_000 })).toThrow(RefusedError);
  });

  test('an error breaks off what is held, and is told', () => {
    const stream = maskedStream(route(), sse);
    stream.data(
      Buffer.from(event({ text: 'Pay 4111 1111 1111' }) + event({ error: { message: 'lost ana@example.com' } }) + done),
    );
    stream.end();
    expect(stream.left).toBe(event({ error: { message: 'lost [hidden]' } }));
  });
});

describe("llama.cpp's events", () => {
  function read(left: string): Joined {
    const joined: Record<string, string> = { 0: '', 1: '' };
    for (const { index, content } of bodies(left)) joined[String(index)] += content as string;
    return joined;
  }

  test.each(['/completion', '/completions', '/infill'])('of %s, of two answers at once', (path) => {
    const step = fc.record({ index: fc.nat({ max: 1 }), content: piece });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        cuts,
        fc.constantFrom('eos', 'limit'),
        (steps, sizes, stop_type) => {
          const events = [
            ...steps.map((one) => event({ ...one, tokens: [7], stop: false, id_slot: 0 })),
            ...[0, 1].map((index) =>
              event({ index, content: '', stop: true, stop_type, tokens_predicted: 1, tokens_evaluated: 2 }),
            ),
            ...(path === '/completions' ? ['data: [DONE]\n\n'] : []),
          ];
          const end = stop_type === 'eos' ? 'complete' : 'cut';
          const whole = (index: number): string =>
            steps.map((one) => (one.index === index ? one.content : '')).join('');
          const expected = { 0: maskedWhole(whole(0), 'text', end), 1: maskedWhole(whole(1), 'text', end) };
          hold(path, events, sizes, expected, read);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("Triton's events", () => {
  const path = '/v2/models/m/generate_stream';
  const read = (left: string): Joined => ({
    text: bodies(left)
      .map((body) => body['text_output'] as string)
      .join(''),
  });

  test('of generate_stream', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), cuts, (pieces, sizes) => {
        const events = pieces.map((text_output) => event({ model_name: 'm', model_version: '1', text_output }));
        hold(path, events, sizes, { text: maskedWhole(pieces.join(''), 'text', 'cut') }, read);
      }),
      { numRuns: 60 },
    );
  });
});

describe('whole numbers of events, few in each', () => {
  const path = '/v2/models/m/generate_stream';
  const ids = Array.from({ length: 20 }, (_, at) => 1_000 + at);
  /** What of them has left, event by event. */
  function left(events: readonly object[], sizes: readonly number[], hides = true): Record<string, unknown>[][] {
    return readsOf(events.map(event), sizes).map((reads) => {
      const stream = maskedStream(recognise('POST', path), sse, hides);
      for (const some of reads) stream.data(some);
      stream.end();
      return bodies(stream.left);
    });
  }
  const generated = (fields: object): object => ({ model_name: 'm', text_output: 'a', ...fields });
  const inferred = (data: unknown, name = 'x'): object => ({
    ...{ model_name: 'm', id: '1' },
    outputs: [
      { name: 't', shape: [1], datatype: 'BYTES', data: ['a'] },
      { name, shape: [1], datatype: 'INT64', data },
    ],
  });
  const dataOf = (body: Record<string, unknown>): unknown => (body['outputs'] as { readonly data: unknown }[])[1]?.data;

  test('leave up to the eighth, and none behind it, wherever the stream is cut', () => {
    fc.assert(
      fc.property(cuts, (sizes) => {
        for (const heard of left(
          ids.map((x) => generated({ x })),
          sizes,
        ))
          expect(heard.map((body) => body['x'])).toEqual(ids.map((id, at) => (at < 7 ? id : 0)));
        for (const heard of left(
          ids.map((id) => inferred([id])),
          sizes,
        ))
          expect(heard.map(dataOf)).toEqual(ids.map((id, at) => (at < 7 ? [id] : [])));
      }),
      { numRuns: 20 },
    );
  });

  test('are counted as well where they stand under the name of a time, which differs in frames that are alike', () => {
    const [heard = []] = left(
      ids.map((created) => ({ model_name: 'm', created, text_output: 'a' })),
      [],
    );
    expect(heard.map((body) => body['created'])).toEqual(ids.map((id, at) => (at < 7 ? id : 0)));
  });

  test('are counted over all fields and tensors', () => {
    const [heard = []] = left(
      ids.map((id, at) => (at % 2 === 0 ? generated({ x: [id, id] }) : generated({ y: { z: id } }))),
      [],
    );
    expect(heard.slice(0, 6).map(({ x, y }) => x ?? y)).toEqual([
      [1_000, 1_000],
      { z: 1_001 },
      [1_002, 1_002],
      { z: 1_003 },
      [],
      { z: 0 },
    ]);
    const tensors = ids.map((id, at) => inferred([id], `n${at}`));
    expect(left(tensors, [])[0]?.map(dataOf)).toEqual(ids.map((id, at) => (at < 7 ? [id] : [])));
  });

  test('that stay the same are counted once, and of a caller from whom nothing is hidden all leave', () => {
    const [same = []] = left(
      ids.map(() => generated({ x: 5, y: [1, 2, 3] })),
      [],
    );
    expect(same.map(({ x, y }) => [x, y])).toEqual(ids.map(() => [5, [1, 2, 3]]));
    const [bare = []] = left(
      ids.map((x) => generated({ x })),
      [],
      false,
    );
    expect(bare.map((body) => body['x'])).toEqual(ids);
  });
});

describe("MLServer's events", () => {
  const path = '/v2/models/m/generate_stream';
  interface Inferred {
    readonly id: string;
    readonly parameters: { readonly headers: Readonly<Record<string, string>> };
    readonly outputs: readonly { readonly name: string; readonly datatype: string; readonly data: readonly string[] }[];
  }
  const headers = {
    'Ce-Specversion': '0.3',
    'Ce-Source': 'io.seldon',
    'Ce-Id': '1f0c9ea6-1111-4a11-9111-411111111111',
  };

  const said = { model_name: 'm', text_output: 'card 4111 1' };
  const goesOn = '111 1111 1111 and more of it';
  const tensorsToo = { outputs: [{ name: 'x', datatype: 'BYTES', shape: [1], data: [goesOn] }] };
  test.each([
    ['a text that goes on beside tensors', said, { model_name: 'm', text_output: goesOn, ...tensorsToo }],
    ['tensors behind a text', said, { model_name: 'm', ...tensorsToo }],
    ['an error that goes on', said, { error: 'x', text_output: goesOn, ...tensorsToo }],
    ['a text behind tensors', { model_name: 'm', text_output: 'card 4111 1', ...tensorsToo }, said],
  ])('are of no stream with events of the other kind: %s', (_what, first, second) => {
    const stream = maskedStream(recognise('POST', path), sse);
    stream.data(Buffer.from(event(first)));
    const before = stream.left;
    expect(() => stream.data(Buffer.from(event(second)))).toThrow(
      expect.objectContaining({ code: 'response_uninspectable', detail: 'another shape' }),
    );
    expect(stream.left).toBe(before);
  });

  test('are answers to infer: their texts are joined, and what stands beside them stays in each', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), cuts, (pieces, sizes) => {
        const events = pieces.map((text) =>
          event({
            ...{ model_name: 'm', id: headers['Ce-Id'], parameters: { headers } },
            outputs: [
              { name: 'x', shape: [1], datatype: 'BYTES', parameters: { content_type: 'str' }, data: [text] },
              { name: 'y', shape: [2], datatype: 'FP32', data: [0.5, 1] },
            ],
          }),
        );
        const read = (left: string): Joined => {
          let text = '';
          for (const body of bodies(left) as unknown as Inferred[]) {
            expect(body).toMatchObject({ id: headers['Ce-Id'], parameters: { headers } });
            expect(body.outputs).toMatchObject([
              { name: 'x', datatype: 'BYTES' },
              { name: 'y', data: [0.5, 1] },
            ]);
            text += body.outputs[0]?.data[0] ?? '';
          }
          return { text };
        };
        hold(path, events, sizes, { text: maskedWhole(pieces.join(''), 'text', 'cut') }, read);
      }),
      { numRuns: 40 },
    );
  });
});

describe("Gemini's chunks", () => {
  test('a text behind an empty one is seen to stand between two thoughts', () => {
    const route = recognise('POST', '/v1beta/models/m:streamGenerateContent');
    const stream = maskedStream(route, route.streams[0]!);
    for (const part of [
      { text: 'foo', thought: true },
      { text: '' },
      { text: 'bar' },
      { text: '4111111111111111 ', thought: true },
    ])
      stream.data(Buffer.from(`data: ${JSON.stringify({ candidates: [{ content: { parts: [part] } }] })}\n\n`));
    stream.end();
    expect(stream.left).toContain('\\n[hidden]');
  });

  const path = '/v1beta/models/m:streamGenerateContent';
  interface Chunk {
    readonly candidates: readonly {
      readonly index?: number;
      readonly content: { readonly parts: readonly { readonly text?: string; readonly thought?: boolean }[] };
    }[];
  }
  /** What clients join of each candidate: its thoughts, and its texts over all parts. */
  function read(left: string): Joined {
    const joined: Record<string, string> = { thoughts0: '', text0: '', thoughts1: '', text1: '' };
    for (const body of bodies(left) as unknown as Chunk[])
      for (const { index = 0, content } of body.candidates)
        for (const { text, thought } of content.parts)
          joined[`${thought === true ? 'thoughts' : 'text'}${index}`] += text ?? '';
    return joined;
  }
  const part = fc.oneof(
    { weight: 5, arbitrary: fc.record({ text: piece }) },
    fc.record({ text: piece, thought: fc.constant(true) }),
    fc.constant({ functionCall: { name: 'f', args: { to: 'ana@example.com' } } }),
  );

  test('of two candidates at once, their texts over several parts', () => {
    const chunk = fc.record({ index: fc.nat({ max: 1 }), parts: fc.array(part, { maxLength: 3 }) });
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 30 }),
        cuts,
        fc.constantFrom('STOP', 'MAX_TOKENS'),
        (chunks, sizes, finishReason) => {
          const usageMetadata = { promptTokenCount: 1, candidatesTokenCount: 1 };
          const events = [
            ...chunks.map(({ index, parts }) =>
              event({
                candidates: [{ ...(index > 0 && { index }), content: { parts, role: 'model' } }],
                usageMetadata,
              }),
            ),
            ...[0, 1].map((index) =>
              event({ candidates: [{ index, content: { parts: [] }, finishReason }], usageMetadata }),
            ),
          ];
          // Behind what is no text of its kind a text may be a new one: a line's end stands between, where no white space does.
          const whole = (at: number, thinks: boolean): string => {
            let made = '';
            let apart = false;
            for (const { index, parts } of chunks)
              for (const { text, thought } of parts as { readonly text?: string; readonly thought?: boolean }[]) {
                if (index !== at || text === '') continue;
                if (text === undefined || (thought === true) !== thinks) {
                  apart = true;
                  continue;
                }
                // The end of a sentence goes with what it ends.
                const goesOn = /^\s/.test(text) || (/^\.+(?:\s|$)/.test(text) && !/\d$/.test(made));
                const divided = apart && made !== '' && !/\s$/.test(made) && !goesOn;
                made += divided ? `\n${text}` : text;
                apart = false;
              }
            return made;
          };
          const end = finishReason === 'STOP' ? 'complete' : 'cut';
          const expected = Object.fromEntries(
            [0, 1].flatMap((at) => [
              [`thoughts${at}`, maskedWhole(whole(at, true), 'text', end)],
              [`text${at}`, maskedWhole(whole(at, false), 'text', end)],
            ]),
          );
          hold(path, events, sizes, expected, read);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a text behind code is read as one that begins there, and as one that goes on', () => {
    const code = { executableCode: { language: 'PYTHON', code: 'f()' } };
    const text = (one: string): object => ({ text: one });
    const left = (...chunks: (readonly object[])[]): string => {
      const route = recognise('POST', path);
      const stream = maskedStream(route, route.streams[0] ?? sse);
      for (const parts of chunks) stream.data(Buffer.from(event({ candidates: [{ content: { parts } }] })));
      stream.end();
      return read(stream.left)['text0'] ?? '';
    };
    expect(left([text('refb')], [code], [text('4111 1111 1111 1111')])).toBe('refb\n[hidden]');
    expect(left([text('refb'), code, text('4111 1111 1111 1111')])).toBe('refb\n[hidden]');
    // Each chunk like the one before: what is compared with it must not be taken for a text that goes on.
    const call = { functionCall: { name: 'f', args: {} } };
    const some = Array.from({ length: 4 }, () => [text('a'), call]);
    expect(left(...some)).toBe('a\na\na\na');
    expect(left([text('a '), code, text('b')], [text(' c')])).toBe('a b c');
    expect(left([text('4111 1111')], [code], [text('1111 1111')])).not.toContain('4111');
    // A limit (docs/dialects.md): what holds no white space is found in neither part, and leaves in two.
    expect(left([text('mail ana@exa')], [code], [text('mple.com')])).toBe('mail ana@exa\nmple.com');
    // Where nothing is hidden from the caller nothing is put in.
    const open = maskedStream(recognise('POST', path), sse, false);
    const events = [[text('ref')], [code], [text('ana@example.com')]].map((parts) =>
      event({ candidates: [{ content: { parts } }] }),
    );
    open.data(Buffer.from(events.join('')));
    open.end();
    expect(open.left).toBe(events.join(''));
  });

  test('candidates that have no index, and are not the first, are refused', () => {
    const route = recognise('POST', path);
    const stream = maskedStream(route, route.streams[0] ?? sse);
    const said = { content: { parts: [{ text: 'a' }] } };
    expect(() => stream.data(Buffer.from(event({ candidates: [{ index: 1, ...said }, said] })))).toThrow();
    const other = maskedStream(route, route.streams[0] ?? sse);
    expect(() => other.data(Buffer.from(event({ candidates: [{ index: 2, ...said }, said] })))).toThrow();
    const well = maskedStream(route, route.streams[0] ?? sse);
    well.data(Buffer.from(event({ candidates: [said, { index: 1, ...said }] })));
  });

  test('the rest of a text that was held is said once, whatever its parts', () => {
    const route = recognise('POST', path);
    const stream = maskedStream(route, route.streams[0] ?? sse);
    const parts = [{ text: `${'word '.repeat(1_000)}Call ` }, { text: '4111 1111 ' }];
    stream.data(Buffer.from(event({ candidates: [{ content: { parts } }] })));
    expect(read(stream.left)['text0']).not.toContain('4111');
    stream.data(Buffer.from(event({ candidates: [{ content: { parts: [] }, finishReason: 'STOP' }] })));
    stream.end();
    expect(read(stream.left)['text0']).toBe(parts.map(({ text }) => text).join(''));
  });

  test('an error that comes bare breaks off what is held, and is told in both ways', () => {
    const route = recognise('POST', path);
    const stream = maskedStream(route, route.streams[0] ?? sse);
    const begun = event({ candidates: [{ content: { parts: [{ text: 'Pay 4111 1111 1111' }] } }] });
    stream.data(Buffer.from(`${begun}{"error":{"code":500,"message":"lost ana@example.com"}}`));
    stream.end();
    const error = '{"error":{"code":500,"message":"lost [hidden]"}}';
    expect(stream.left).toBe(`event: error\ndata: ${error}\n\n${error}`);
  });
});

describe("Cohere's events", () => {
  const path = '/v2/chat';
  interface Event {
    readonly type: string;
    readonly index?: number;
    readonly delta?: {
      readonly message?: {
        readonly content?: { readonly text?: string; readonly thinking?: string };
        readonly tool_plan?: string;
        readonly tool_calls?: { readonly function?: { readonly arguments?: string } };
      };
    };
  }
  const named = (body: { readonly type: string; readonly [field: string]: unknown }): string =>
    `event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`;
  function read(left: string): Joined {
    const joined: Record<string, string> = { thinking: '', text: '', plan: '', call: '' };
    for (const { delta } of bodies(left) as unknown as Event[]) {
      const { content, tool_plan: plan, tool_calls: call } = delta?.message ?? {};
      joined['thinking'] += content?.thinking ?? '';
      joined['text'] += content?.text ?? '';
      joined['plan'] += plan ?? '';
      joined['call'] += call?.function?.arguments ?? '';
    }
    return joined;
  }
  const content = (type: string, index: number, more: object): string =>
    named({ type, index, delta: { message: { content: more } } });
  const calls = (type: string, more: object): string =>
    named({ type, index: 0, delta: { message: { tool_calls: more } } });
  const several = fc.array(piece, { maxLength: 20 });

  test('of thoughts, a text, a plan and a call', () => {
    fc.assert(
      fc.property(
        fc.record({
          thinking: several,
          text: several,
          plan: several,
          note: several,
          size: fc.integer({ min: 1, max: 30 }),
        }),
        cuts,
        fc.constantFrom('COMPLETE', 'MAX_TOKENS'),
        ({ thinking, text, plan, note, size }, sizes, finish_reason) => {
          const call = JSON.stringify({ note: note.join('') });
          const events = [
            named({ type: 'message-start', id: 'i', delta: { message: { role: 'assistant', content: [] } } }),
            content('content-start', 0, { type: 'thinking', thinking: '' }),
            ...thinking.map((one) => content('content-delta', 0, { thinking: one })),
            named({ type: 'content-end', index: 0 }),
            content('content-start', 1, { type: 'text', text: '' }),
            ...text.map((one) => content('content-delta', 1, { text: one })),
            named({ type: 'content-end', index: 1 }),
            ...plan.map((one) => named({ type: 'tool-plan-delta', delta: { message: { tool_plan: one } } })),
            calls('tool-call-start', { id: 't', type: 'function', function: { name: 'f', arguments: '' } }),
            ...(call.match(new RegExp(`.{1,${size}}`, 'gsu')) ?? []).map((one) =>
              calls('tool-call-delta', { function: { arguments: one } }),
            ),
            named({ type: 'tool-call-end', index: 0 }),
            named({ type: 'message-end', delta: { finish_reason, usage: { tokens: { input_tokens: 1 } } } }),
            'data: [DONE]\n\n',
          ];
          const end = finish_reason === 'COMPLETE' ? 'complete' : 'cut';
          const expected = {
            thinking: maskedWhole(thinking.join(''), 'text', 'complete'),
            // A call begins behind it.
            text: maskedParts([text.join(''), undefined], end)[0] ?? '',
            plan: maskedWhole(plan.join(''), 'text', 'complete'),
            call: maskedWhole(call, 'json', end),
          };
          hold(path, events, sizes, expected, read);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("The events of Cohere's first chat", () => {
  const path = '/v1/chat';
  interface Event {
    readonly event_type: string;
    readonly text?: string;
    readonly tool_call_delta?: { readonly parameters?: string };
    readonly response?: { readonly text: string };
  }
  const lines = (left: string): Event[] =>
    left
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line.replace(/^data: /, '')) as Event);
  function read(left: string): Joined {
    const joined = { text: '', plan: '', call: '', whole: '' };
    for (const one of lines(left)) {
      if (one.event_type === 'text-generation') joined.text += one.text ?? '';
      if (one.event_type === 'tool-calls-chunk') {
        joined.plan += one.text ?? '';
        joined.call += one.tool_call_delta?.parameters ?? '';
      }
      joined.whole += one.response?.text ?? '';
    }
    return joined;
  }
  const route = recognise('POST', path);

  test.each(route.streams.map((framing) => [framing.contentType, framing] as const))('as %s', (_type, framing) => {
    const of = (event_type: string, more: object): string =>
      framing.frame(JSON.stringify({ is_finished: event_type === 'stream-end', event_type, ...more }));
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }),
        fc.array(piece, { maxLength: 10 }),
        fc.array(piece, { maxLength: 10 }),
        cuts,
        fc.constantFrom('COMPLETE', 'MAX_TOKENS'),
        (text, plan, note, sizes, finish_reason) => {
          const call = JSON.stringify({ note: note.join('') });
          const events = [
            of('stream-start', { generation_id: 'g' }),
            ...plan.map((one) => of('tool-calls-chunk', { text: one })),
            of('tool-calls-chunk', { tool_call_delta: { index: 0, name: 'f' } }),
            ...(call.match(/.{1,7}/gsu) ?? []).map((parameters) =>
              of('tool-calls-chunk', { tool_call_delta: { index: 0, parameters } }),
            ),
            ...text.map((one) => of('text-generation', { text: one })),
            of('stream-end', { finish_reason, response: { text: text.join(''), meta: {} } }),
          ];
          const end = finish_reason === 'COMPLETE' ? 'complete' : 'cut';
          const masked = maskedWhole(text.join(''), 'text', end);
          const expected: Joined = {
            ...{ text: masked, whole: masked, plan: maskedWhole(plan.join(''), 'text', end) },
            call: maskedWhole(call, 'json', end),
          };
          for (const reads of readsOf(events, sizes)) {
            const stream = maskedStream(route, framing);
            for (const some of reads) {
              stream.data(some);
              for (const [name, said] of Object.entries(read(stream.left)))
                expect([name, expected[name]?.startsWith(said)]).toEqual([name, true]);
            }
            stream.end();
            expect(read(stream.left)).toEqual(expected);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

test("Cohere's events keep their names, and a name that a rule hides does not leave", () => {
  const route = recognise('POST', '/v2/chat');
  const stream = maskedStream(route, sse);
  const body = '{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Well. "}}}}';
  stream.data(Buffer.from(`event: content-delta\ndata: ${body}\n\nevent: ana@example.com\ndata: ${body}\n\n`));
  stream.end();
  expect(stream.left).toBe(`event: content-delta\ndata: ${body}\n\ndata: ${body}\n\n`);
});

describe("Bedrock's messages", () => {
  const routeOf = (kind: string): ReturnType<typeof recognise> => recognise('POST', `/model/m/${kind}`);
  const kinds = { converse: routeOf('converse-stream'), invoke: routeOf('invoke-with-response-stream') };
  const cutsOf = (messages: readonly string[], sizes: readonly number[]): readonly (readonly Buffer[])[] => {
    const bytes = Buffer.from(messages.join(''), 'latin1');
    let from = 0;
    const cut = sizes.map((size) => bytes.subarray(from, (from += size)));
    return [messages.map((text) => Buffer.from(text, 'latin1')), [bytes], [...cut, bytes.subarray(from)]];
  };
  /** What has left, as its clients split it: each message whole, its checksums right. */
  function framesOf(route: ReturnType<typeof recognise>, left: string): readonly StreamFrame[] {
    const splitter = route.streams[0]!.splitter();
    const frames = splitter.push(Buffer.from(left, 'latin1'));
    expect(splitter.end()).toBeUndefined();
    return frames;
  }
  const bodiesOf = (route: ReturnType<typeof recognise>, left: string): Record<string, unknown>[] =>
    framesOf(route, left).map(({ data }) => JSON.parse(data ?? '') as Record<string, unknown>);

  function holdBytes(
    route: ReturnType<typeof recognise>,
    messages: readonly string[],
    sizes: readonly number[],
    expected: Joined,
    read: (left: string) => Joined,
  ): void {
    for (const reads of cutsOf(messages, sizes)) {
      const stream = maskedStream(route, route.streams[0]!);
      for (const some of reads) {
        stream.data(some);
        for (const [name, text] of Object.entries(read(stream.left)))
          expect([name, expected[name]?.startsWith(text)]).toEqual([name, true]);
      }
      stream.end();
      expect(read(stream.left)).toEqual(expected);
    }
  }

  const several = fc.array(piece, { maxLength: 20 });
  const told = fc.record({ thinking: several, text: several, note: several, size: fc.integer({ min: 1, max: 30 }) });
  const cutUp = (whole: string, size: number): readonly string[] =>
    whole.match(new RegExp(`.{1,${size}}`, 'gsu')) ?? [];

  test('of Converse: thoughts, a text and a call', () => {
    const framing = kinds.converse.streams[0]!;
    const named = (name: string, body: object): string => framing.frame(JSON.stringify(body), name);
    const delta = (contentBlockIndex: number, one: object): string =>
      named('contentBlockDelta', { contentBlockIndex, delta: one, p: 'abcdef' });
    interface Piece {
      readonly delta?: {
        readonly text?: string;
        readonly reasoningContent?: { readonly text?: string };
        readonly toolUse?: { readonly input?: string };
      };
    }
    const read = (left: string): Joined => {
      const joined = { thinking: '', text: '', call: '' };
      for (const { delta: one } of bodiesOf(kinds.converse, left) as Piece[]) {
        joined.thinking += one?.reasoningContent?.text ?? '';
        joined.text += one?.text ?? '';
        joined.call += one?.toolUse?.input ?? '';
      }
      return joined;
    };
    fc.assert(
      fc.property(
        told,
        cuts,
        fc.constantFrom('end_turn', 'max_tokens'),
        ({ thinking, text, note, size }, sizes, stopReason) => {
          const call = JSON.stringify({ note: note.join('') });
          const messages = [
            named('messageStart', { role: 'assistant' }),
            ...thinking.map((one) => delta(0, { reasoningContent: { text: one } })),
            named('contentBlockStop', { contentBlockIndex: 0 }),
            ...text.map((one) => delta(1, { text: one })),
            named('contentBlockStop', { contentBlockIndex: 1 }),
            named('contentBlockStart', { contentBlockIndex: 2, start: { toolUse: { toolUseId: 't', name: 'f' } } }),
            ...cutUp(call, size).map((one) => delta(2, { toolUse: { input: one } })),
            named('contentBlockStop', { contentBlockIndex: 2 }),
            named('messageStop', { stopReason }),
            named('metadata', { usage: { inputTokens: 1, outputTokens: 2 } }),
          ];
          // A block without any event is one that no other block ended.
          const end = stopReason === 'end_turn' ? 'complete' : 'cut';
          const expected = {
            thinking: maskedWhole(thinking.join(''), 'text', text.length > 0 ? 'complete' : end),
            text: maskedParts([text.join(''), undefined], end)[0] ?? '',
            call: maskedWhole(call, 'json', end),
          };
          holdBytes(kinds.converse, messages, sizes, expected, read);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("of invoke: Anthropic's blocks in chunks", () => {
    const framing = kinds.invoke.streams[0]!;
    const chunk = (body: object): string => framing.frame(JSON.stringify(body));
    const begin = (index: number, type: string): string =>
      chunk({ type: 'content_block_start', index, content_block: { type, [type]: '' } });
    const delta = (index: number, type: string, one: string): string =>
      chunk({ type: 'content_block_delta', index, delta: { type: `${type}_delta`, [type]: one } });
    interface Piece {
      readonly delta?: { readonly text?: string; readonly thinking?: string };
    }
    const read = (left: string): Joined => {
      const joined = { thinking: '', text: '' };
      for (const { delta: one } of bodiesOf(kinds.invoke, left) as Piece[]) {
        joined.thinking += one?.thinking ?? '';
        joined.text += one?.text ?? '';
      }
      return joined;
    };
    fc.assert(
      fc.property(told, cuts, fc.constantFrom('end_turn', 'max_tokens'), ({ thinking, text }, sizes, stop_reason) => {
        const metrics = { inputTokenCount: 1, outputTokenCount: 2 };
        const messages = [
          begin(0, 'thinking'),
          ...thinking.map((one) => delta(0, 'thinking', one)),
          begin(1, 'text'),
          ...text.map((one) => delta(1, 'text', one)),
          chunk({ type: 'message_delta', delta: { stop_reason }, usage: { output_tokens: 2 } }),
          chunk({ type: 'message_stop', 'amazon-bedrock-invocationMetrics': metrics }),
        ];
        const expected = {
          thinking: maskedWhole(thinking.join(''), 'text', 'complete'),
          text: maskedWhole(text.join(''), 'text', stop_reason === 'end_turn' ? 'complete' : 'cut'),
        };
        holdBytes(kinds.invoke, messages, sizes, expected, read);
      }),
      { numRuns: 60 },
    );
  });

  interface Chunks {
    readonly model: string;
    readonly body: object;
    /** A chunk with a piece of the text, the last that says how it ended, and the piece of a chunk. */
    readonly says: (one: string) => object;
    readonly ends: (complete: boolean) => readonly object[];
    readonly piece: (chunk: never) => string | undefined;
  }
  const metrics = { 'amazon-bedrock-invocationMetrics': { inputTokenCount: 3, outputTokenCount: 4 } };
  const vendors: readonly Chunks[] = [
    {
      ...{ model: 'meta.llama3-8b-instruct-v1%3A0', body: { prompt: 'hi' } },
      says: (generation) => ({ generation, stop_reason: null }),
      ends: (complete) => [{ generation: '', stop_reason: complete ? 'stop' : 'length', ...metrics }],
      piece: ({ generation }: { generation?: string }) => generation,
    },
    {
      ...{ model: 'mistral.mistral-7b-instruct-v0%3A2', body: { prompt: 'hi' } },
      says: (text) => ({ outputs: [{ text, stop_reason: null }] }),
      ends: (complete) => [{ outputs: [{ text: '', stop_reason: complete ? 'stop' : 'length' }], ...metrics }],
      piece: ({ outputs }: { outputs?: { text: string }[] }) => outputs?.[0]?.text,
    },
    {
      ...{ model: 'amazon.titan-text-express-v1', body: { inputText: 'hi' } },
      says: (outputText) => ({ outputText, index: 0, completionReason: null }),
      ends: (complete) => [{ outputText: '', index: 0, completionReason: complete ? 'FINISH' : 'LENGTH', ...metrics }],
      piece: ({ outputText }: { outputText?: string }) => outputText,
    },
    {
      ...{ model: 'us.amazon.nova-lite-v1%3A0', body: { messages: [{ role: 'user', content: [{ text: 'hi' }] }] } },
      says: (text) => ({ contentBlockDelta: { contentBlockIndex: 0, delta: { text } } }),
      ends: (complete) => [
        { contentBlockStop: { contentBlockIndex: 0 } },
        { messageStop: { stopReason: complete ? 'end_turn' : 'max_tokens' } },
        { metadata: { usage: { inputTokens: 3, outputTokens: 4 } }, ...metrics },
      ],
      piece: ({ contentBlockDelta }: { contentBlockDelta?: { delta: { text: string } } }) =>
        contentBlockDelta?.delta.text,
    },
    {
      ...{ model: 'cohere.command-r-v1%3A0', body: { message: 'hi' } },
      says: (text) => ({ event_type: 'text-generation', is_finished: false, text }),
      ends: (complete) => [
        {
          ...{ event_type: 'stream-end', is_finished: true, finish_reason: complete ? 'COMPLETE' : 'MAX_TOKENS' },
          response: { meta: { tokens: { input_tokens: 3, output_tokens: 4 } } },
          ...metrics,
        },
      ],
      piece: ({ text }: { text?: string }) => text,
    },
    {
      ...{ model: 'ai21.jamba-1-5-mini-v1%3A0', body: { messages: [{ role: 'user', content: 'hi' }] } },
      says: (content) => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }),
      ends: (complete) => [
        { choices: [{ index: 0, delta: {}, finish_reason: complete ? 'stop' : 'length' }], ...metrics },
      ],
      piece: ({ choices }: { choices?: { delta: { content?: string } }[] }) => choices?.[0]?.delta.content,
    },
  ];
  test.each(vendors.map((one) => [one.model, one] as const))('of invoke, by %s', (model, vendor) => {
    const route = recognise('POST', `/model/${model}/invoke-with-response-stream`);
    const asked = route.dialect.request(route, parseJson(JSON.stringify(vendor.body)));
    const answers = asked.answers ?? route;
    const framing = answers.streams[0]!;
    const read = (left: string): Joined => ({
      text: bodiesOf(answers, left)
        .map((body) => vendor.piece(body as never) ?? '')
        .join(''),
    });
    fc.assert(
      fc.property(several, cuts, fc.boolean(), (text, sizes, complete) => {
        const messages = [...text.map((one) => vendor.says(one)), ...vendor.ends(complete)].map((body) =>
          framing.frame(JSON.stringify(body)),
        );
        const expected = { text: maskedWhole(text.join(''), 'text', complete ? 'complete' : 'cut') };
        holdBytes(answers, messages, sizes, expected, read);
        const stream = maskedStream(answers, framing);
        stream.data(Buffer.from(messages.join(''), 'latin1'));
        stream.end();
        expect(stream.usage).toEqual({ input: 3, output: 4 });
      }),
      { numRuns: 40 },
    );
  });

  test('an exception breaks off what is held, and is told', () => {
    for (const route of [kinds.converse, kinds.invoke]) {
      const framing = route.streams[0]!;
      const stream = maskedStream(route, framing);
      const text = 'Pay 4111 1111 1111';
      const begun =
        route === kinds.converse
          ? framing.frame(JSON.stringify({ contentBlockIndex: 0, delta: { text } }), 'contentBlockDelta')
          : framing.frame(JSON.stringify({ type: 'content_block_delta', index: 0, delta: { text } }));
      const lost = framing.frame('{"message":"lost ana@example.com"}', 'modelStreamErrorException');
      stream.data(Buffer.from(begun + lost, 'latin1'));
      stream.end();
      expect(framesOf(route, stream.left).map(({ event: name, data }) => [name, data])).toEqual([
        ['modelStreamErrorException', '{"message":"lost [hidden]"}'],
      ]);
    }
  });
});

test.each(['data: \n\n', 'data:\n\n', 'data\n\n', 'data: \r\n\r\n'])(
  'an event that says nothing, %j, is silence',
  (nothing) => {
    const route = recognise('POST', '/v1/chat/completions');
    const stream = maskedStream(route, route.streams[0]!);
    const said = (content: string): string =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
    stream.data(Buffer.from(`${said('Card 4111 1111 ')}${nothing}${said('1111 1111. ')}${nothing}data: [DONE]\n\n`));
    stream.end();
    expect(stream.left).toContain('[hidden]');
    expect(stream.left).not.toContain('1111');
    expect(stream.left.endsWith(':\n\ndata: [DONE]\n\n')).toBe(true);
  },
);

test('an event that has a name says it, also without data', () => {
  const route = recognise('POST', '/v1/messages');
  const stream = maskedStream(route, route.streams[0]!);
  expect(() => stream.data(Buffer.from('event: error\ndata: \n\n'))).toThrow(RefusedError);
});
