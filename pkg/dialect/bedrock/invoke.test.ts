import { describe, expect, it, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { AnswerView, FrameView, Route } from '../index.ts';
import { recognise } from '../recognise.ts';
import { lanes, limited, refusing, request, unreadable } from '../testing/reading.ts';

// Bodies of other vendors than Anthropic at `invoke`: each vendor's by its own words, and by no other's.

const at = (model: string): string => `/model/${encodeURIComponent(model)}/invoke`;
const llama = at('us.meta.llama3-1-70b-instruct-v1:0');
const mistral = at('mistral.mistral-7b-instruct-v0:2');
const titan = at('amazon.titan-text-express-v1');
const nova = at('eu.amazon.nova-lite-v1:0');
const cohere = at('cohere.command-r-plus-v1:0');
const jamba = at('ai21.jamba-1-5-mini-v1:0');
const profile = at('arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2');

const prompt = { prompt: 'one' };
const inputText = { inputText: 'one' };
const messages = { messages: [{ role: 'user', content: [{ text: 'one' }] }] };
const message = { message: 'one' };
const said = { messages: [{ role: 'user', content: 'one' }] };

/** How what a model answers to this body is read. */
function answering(path: string, body: object): Route {
  const route = recognise('POST', path);
  const view = route.dialect.request(route, parseJson(JSON.stringify(body)));
  if (view.answers === undefined) throw new Error('as its route');
  return view.answers;
}
const json = (body: unknown): ReturnType<typeof parseJson> => parseJson(JSON.stringify(body));
const answer = (path: string, body: object, said: unknown, status = 200): AnswerView => {
  const route = answering(path, body);
  return route.dialect.answer(route, json(said), status);
};
const chunk = (path: string, body: object, said: unknown, name = 'chunk'): FrameView => {
  const route = answering(`${path}-with-response-stream`, body);
  return route.dialect.frame(route, name, '', json(said));
};

describe('a body', () => {
  test.each<[string, object, string[], object, string | object]>([
    [llama, prompt, ['prompt=one'], { max_gen_len: 9 }, { max_gen_len: 5 }],
    [mistral, prompt, ['prompt=one'], { max_tokens: 9 }, { max_tokens: 5 }],
    [
      titan,
      inputText,
      ['inputText=one'],
      { textGenerationConfig: { maxTokenCount: 9 } },
      { textGenerationConfig: { maxTokenCount: 5 } },
    ],
    [
      nova,
      messages,
      ['messages[0].content[0].text=one'],
      { inferenceConfig: { maxTokens: 9 } },
      { inferenceConfig: { maxTokens: 5 } },
    ],
    [cohere, message, ['message=one'], { max_tokens: 9 }, { max_tokens: 5 }],
    [jamba, said, ['messages[0].content=one'], { max_tokens: 9 }, { max_tokens: 5 }],
  ])('to %s that is %j is read and limited', (path, body, texts, asks, most) => {
    const view = request(path, body);
    expect(lanes(view)).toEqual(texts);
    expect(view).toMatchObject({ generates: true, stream: false, stops: false, maxOutputTokens: undefined });
    expect(request(`${path}-with-response-stream`, body).stream).toBe(true);
    expect(limited(path, body, 5)).toEqual({ ...body, ...(most as object) });
    expect(limited(path, { ...body, ...asks }, 5)).toEqual({ ...body, ...(most as object) });
    expect(request(path, { ...body, ...asks })).toMatchObject({ maxOutputTokens: 9, outputBound: 9 });
    expect(limited(path, { ...body, ...asks }, 20)).toEqual({ ...body, ...asks });
  });

  test.each<[string, object]>([
    [llama, { ...prompt, ZZ: 'x' }],
    [mistral, { ...prompt, stop: ['END'] }],
    [titan, { ...inputText, textGenerationConfig: { stopSequences: ['END'] } }],
    [titan, { ...inputText, textGenerationConfig: { ZZ: 1 } }],
    [nova, { ...messages, inferenceConfig: { stopSequences: ['END'] } }],
    [cohere, { ...message, stop_sequences: ['END'] }],
    [jamba, { ...said, stop: ['END'] }],
  ])('to %s that is %j may be cut where its caller likes', (path, body) => {
    expect(request(path, body).stops).toBe(true);
  });

  test.each<[string, object, string]>([
    [llama, {}, 'prompt'],
    [llama, { prompt: ['one'] }, 'prompt'],
    [llama, { ...prompt, max_tokens: 5 }, 'max_tokens'],
    [llama, { ...prompt, maxTokenCount: 5 }, 'maxTokenCount'],
    [llama, { ...prompt, messages: [], inputText: 'x' }, 'inputText'],
    [llama, { ...prompt, max_gen_len: 1.5 }, 'max_gen_len'],
    [llama, { ...prompt, model: 'x' }, 'model'],
    [llama, { anthropic_version: 'bedrock-2023-05-31', ...messages, max_tokens: 5 }, 'anthropic_version'],
    [mistral, { ...prompt, max_gen_len: 5 }, 'max_gen_len'],
    [mistral, { ...messages }, 'messages'],
    [titan, { ...inputText, inferenceConfig: { maxTokens: 5 } }, 'inferenceConfig'],
    [titan, { ...inputText, textGenerationConfig: { maxTokenCount: '5' } }, 'textGenerationConfig.maxTokenCount'],
    [nova, { ...messages, inferenceConfig: { max_new_tokens: 5 } }, 'inferenceConfig.max_new_tokens'],
    [nova, { ...messages, max_tokens: 5 }, 'max_tokens'],
    [nova, { ...messages, additionalModelRequestFields: {}, prompt: 'x' }, 'prompt'],
    [cohere, { ...message, conversation_id: 'x' }, 'conversation_id'],
    [cohere, { ...message, model: 'x' }, 'model'],
    [cohere, { ...message, stream: true }, 'stream'],
    [jamba, {}, 'messages'],
    [jamba, { ...said, model: 'ai21.jamba-1-5-mini-v1:0' }, 'model'],
    [jamba, { ...said, stream: true }, 'stream'],
    [jamba, { ...said, max_completion_tokens: 5 }, 'max_completion_tokens'],
    [jamba, { ...said, maxTokens: 5 }, 'maxTokens'],
    [at('ai21.j2-ultra-v1'), prompt, 'anthropic_version'],
    [at('cohere.command-text-v14'), prompt, 'anthropic_version'],
    [at('amazon.titan-embed-text-v2:0'), prompt, 'anthropic_version'],
    [profile, prompt, 'anthropic_version'],
  ])('to %s that is %j is refused for %s', (path, body, detail) => {
    expect(() => request(path, body)).toThrow(expect.objectContaining(refusing(detail)));
  });

  it('to a model whose name tells no vendor is known by what only one vendor says', () => {
    expect(lanes(request(profile, inputText))).toEqual(['inputText=one']);
    expect(lanes(request(profile, { schemaVersion: 'messages-v1', ...messages }))).toEqual([
      'messages[0].content[0].text=one',
    ]);
    const anthropic = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 5 };
    expect(lanes(request(profile, { ...anthropic, messages: [{ role: 'user', content: 'one' }] }))).toEqual([
      'messages[0].content=one',
    ]);
  });
});

describe('an answer', () => {
  test.each<[string, object, object, string[], string, object | undefined]>([
    [
      llama,
      prompt,
      { generation: 'a', prompt_token_count: 3, generation_token_count: 4, stop_reason: 'stop' },
      ['generation=a'],
      'complete',
      { input: 3, output: 4 },
    ],
    [llama, prompt, { generation: 'a', stop_reason: 'length' }, ['generation=a'], 'cut', { input: 0, output: 0 }],
    [mistral, prompt, { outputs: [{ text: 'a', stop_reason: 'stop' }] }, ['outputs[0].text=a'], 'complete', undefined],
    [mistral, prompt, { outputs: [{ text: 'a' }] }, ['outputs[0].text=a'], 'cut', undefined],
    [
      titan,
      inputText,
      { inputTextTokenCount: 3, results: [{ tokenCount: 4, outputText: 'a', completionReason: 'FINISH' }] },
      ['results[0].outputText=a'],
      'complete',
      { input: 3, output: 4 },
    ],
    [
      nova,
      messages,
      {
        output: { message: { role: 'assistant', content: [{ text: 'a' }] } },
        ...{ stopReason: 'end_turn', usage: { inputTokens: 3, outputTokens: 4 } },
      },
      ['output.message.content.text=a'],
      'complete',
      { input: 3, output: 4 },
    ],
    [
      cohere,
      message,
      { text: 'a', finish_reason: 'COMPLETE', meta: { tokens: { input_tokens: 3, output_tokens: 4 } } },
      ['text=a'],
      'complete',
      { input: 3, output: 4 },
    ],
    [
      jamba,
      said,
      {
        choices: [{ index: 0, message: { role: 'assistant', content: 'a' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
      },
      ['choices[0].message.content=a'],
      'complete',
      { input: 3, output: 4 },
    ],
  ])('of %s to %j that is %j', (path, body, told, texts, end, usage) => {
    const view = answer(path, body, told);
    expect(lanes(view)).toEqual(texts);
    expect(view.ends[0]?.end).toBe(end);
    expect(view.usage).toEqual(usage);
  });

  test.each<[string, object, unknown, string]>([
    [llama, prompt, { outputs: [] }, 'generation'],
    [llama, prompt, [], 'body'],
    [mistral, prompt, { generation: 'a' }, 'outputs'],
    [mistral, prompt, { outputs: [{}] }, 'text'],
    [titan, inputText, { results: [{ tokenCount: 4 }] }, 'outputText'],
    [nova, messages, { results: [] }, 'output'],
    [cohere, message, { generations: [] }, 'text'],
    [jamba, said, { outputs: [] }, 'choices'],
  ])('of %s to %j that is none of its is refused: %j', (path, body, told, detail) => {
    expect(() => answer(path, body, told)).toThrow(expect.objectContaining(unreadable(detail)));
    expect(lanes(answer(path, body, { message: 'slow down' }, 429))).toEqual(['message=slow down']);
  });
});

describe('a chunk', () => {
  const metrics = { 'amazon-bedrock-invocationMetrics': { inputTokenCount: 3, outputTokenCount: 4 } };

  it('says what was used, by its vendor or by Bedrock', () => {
    const early = chunk(llama, prompt, { generation: 'a', prompt_token_count: 3, generation_token_count: 1 });
    expect(early).toMatchObject({ kind: 'data', ends: [], usage: { input: 3, output: 1, early: true } });
    const last = chunk(llama, prompt, { generation: '', stop_reason: 'stop', ...metrics });
    expect(last).toMatchObject({ ends: [{ prefix: '', end: 'complete' }], usage: { input: 3, output: 4 } });
    expect(chunk(mistral, prompt, { outputs: [{ text: 'a', stop_reason: 'length' }] }).ends).toEqual([
      { prefix: 'outputs[0].', end: 'cut' },
    ]);
    expect(chunk(nova, messages, metrics)).toMatchObject({ lanes: [], usage: { input: 3, output: 4 } });
  });

  test.each<[string, object, unknown, string]>([
    [llama, prompt, { outputText: 'a' }, 'generation'],
    [llama, prompt, { generation: 'a', stop_reason: 1 }, 'stop_reason'],
    [mistral, prompt, { outputs: [{ stop_reason: 'stop' }] }, 'text'],
    [titan, inputText, { generation: 'a' }, 'outputText'],
    [nova, messages, { ZZ: {} }, 'type'],
    [nova, messages, { messageStart: {}, messageStop: {} }, 'type'],
    [nova, messages, { contentBlockDelta: { delta: { text: 'a' } } }, 'contentBlockIndex'],
    [cohere, message, { text: 'a' }, 'event_type'],
    [jamba, said, { generation: 'a' }, 'choices'],
  ])('of %s to %j that is none of its is refused: %j', (path, body, told, detail) => {
    expect(() => chunk(path, body, told)).toThrow(expect.objectContaining(unreadable(detail)));
    expect(chunk(path, body, { message: 'slow' }, 'throttlingException').kind).toBe('error');
  });
});
