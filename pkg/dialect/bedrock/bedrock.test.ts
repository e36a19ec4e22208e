import { describe, expect, it, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { FrameView } from '../dialect.ts';
import { recognise } from '../recognise.ts';
import { answer, lanes, limited, refusing, request, unreadable } from '../testing/reading.ts';

const path = '/model/anthropic.claude-3%3A0/converse';
const invoke = '/model/anthropic.claude-3%3A0/invoke';
const messages = [{ role: 'user', content: [{ text: 'hello' }] }];
const anthropic_version = 'bedrock-2023-05-31';

const frame = (kind: string, name: string, body: unknown): FrameView => {
  const route = recognise('POST', `/model/m/${kind}`);
  return route.dialect.frame(route, name, '', parseJson(JSON.stringify(body)));
};
const streamed = (name: string, body: unknown): FrameView => frame('converse-stream', name, body);

describe("Bedrock's routes", () => {
  it.each(['converse', 'converse-stream', 'invoke', 'invoke-with-response-stream'])('POST %s is Chat', (kind) => {
    for (const segment of ['anthropic.claude-3:0', 'anthropic.claude-3%3A0']) {
      const route = recognise('POST', `/model/${segment}/${kind}`);
      expect([route.dialect.name, route.operation, route.model, route.generates]).toEqual([
        ...['bedrock', 'Chat', 'anthropic.claude-3:0', true],
      ]);
      expect(route.renamed?.('arn:aws:bedrock:eu-central-1:1:inference-profile/x')).toBe(
        `/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Ainference-profile%2Fx/${kind}`,
      );
    }
  });

  it.each([
    ['GET', '/model/m/converse'],
    ['POST', '/model/m/Converse'],
    ['POST', '/model/m/converse/'],
    ['GET', '/model/m/count-tokens'],
    ['POST', '/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aprompt%2FPROMPT1/converse'],
    ['POST', '/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Adefault-prompt-router%2Fa%3A1/converse'],
    ['POST', '/model/arn%3Aaws%3Asagemaker%3Aeu-central-1%3A123456789012%3Aendpoint%2Fa/converse'],
    ['POST', '/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A12%3Ainference-profile%2Fa/converse'],
    ['POST', '/model/arn:aws/converse'],
    ['POST', '/model/a%2Fb/converse'],
    ['POST', '/model/m%20x/converse'],
    ['POST', '/model/.m/converse'],
    ['POST', '/model/a/b/converse'],
    ['POST', '/guardrail/g/version/1/apply'],
  ])('%s %s is none of them', (method, at) => {
    expect(recognise(method, at)).toMatchObject({ operation: 'Other', model: undefined });
  });
});

describe('a model by its ARN', () => {
  const arn = (rest: string): string => `arn:aws:bedrock:eu-central-1:${rest}`;
  const account = '123456789012';
  it.each([
    [arn(':foundation-model/anthropic.claude-3:0'), 'anthropic.claude-3:0'],
    [arn(`${account}:inference-profile/eu.anthropic.claude-3:0`), 'eu.anthropic.claude-3:0'],
    ...['application-inference-profile/a1b2', 'provisioned-model/x', 'custom-model-deployment/y', 'imported-model/z']
      .map((what) => arn(`${account}:${what}`))
      .map((whole) => [whole, whole] as const),
    [`arn:aws-us-gov:bedrock:us-gov-west-1:${account}:provisioned-model/x`, undefined],
  ])('%s is called %s', (whole, name = whole) => {
    for (const segment of [encodeURIComponent(whole), whole.replaceAll('/', '%2F')]) {
      for (const kind of ['converse', 'invoke', 'count-tokens'])
        expect(recognise('POST', `/model/${segment}/${kind}`)).toMatchObject({ operation: 'Chat', model: name });
    }
  });
});

describe('a count of tokens', () => {
  const count = '/model/anthropic.claude-3%3A0/count-tokens';

  it('has every text of its request in a lane, and no limit of output', () => {
    const converse = { system: [{ text: 'be kind' }], messages, toolConfig: { tools: [] } };
    const view = request(count, { input: { converse } });
    expect(lanes(view)).toEqual([
      'input.converse.system[0].text=be kind',
      'input.converse.messages[0].content[0].text=hello',
    ]);
    expect(view).toMatchObject({ model: 'anthropic.claude-3:0', generates: false, stream: false });
    expect(view.limitOutput(5)).toEqual([]);
  });

  it.each([
    [{}, 'input.converse'],
    [{ input: {} }, 'input.converse'],
    [{ input: { invokeModel: { body: 'e30=' } } }, 'input'],
    [{ input: { converse: { messages }, invokeModel: { body: 'e30=' } } }, 'input'],
    [{ input: { converse: { messages: [] } } }, 'messages'],
    [{ input: { converse: { messages, modelId: 'x' } } }, 'input.converse.modelId'],
    [{ input: { converse: { messages } }, model: 'x' }, 'model'],
    [{ input: { converse: { messages, promptVariables: {} } } }, 'input.converse.promptVariables'],
  ])('%j is refused', (body, detail) => {
    expect(() => request(count, body)).toThrow(expect.objectContaining(refusing(detail)));
  });

  it('says a number, or a fault', () => {
    expect(answer(count, { inputTokens: 7 }).lanes).toEqual([]);
    expect(lanes(answer(count, { message: 'no' }, 400))).toEqual(['message=no']);
    for (const body of [{}, { inputTokens: 'a' }, { output: { message: { content: [] } } }, []])
      expect(() => answer(count, body)).toThrow(expect.objectContaining({ code: 'response_uninspectable' }));
  });
});

describe('a Converse request', () => {
  it('has every text in a lane', () => {
    const view = request(path, {
      system: [{ text: 'be kind' }, { cachePoint: { type: 'default' } }],
      messages: [
        {
          role: 'user',
          content: [
            { text: 'one' },
            { image: { format: 'png', source: { bytes: 'c21hbGw=' } } },
            { document: { format: 'txt', name: 'd', context: 'two', source: { text: 'three' } } },
            { guardContent: { text: { text: 'four' } } },
          ],
        },
        { role: 'assistant', content: [{ toolUse: { toolUseId: 't', name: 'f', input: { a: 'five' } } }] },
        {
          role: 'user',
          content: [{ toolResult: { toolUseId: 't', content: [{ text: 'six' }, { json: { b: 'seven' } }] } }],
        },
      ],
      inferenceConfig: { maxTokens: 9, stopSequences: ['eight'] },
      toolConfig: {
        tools: [{ toolSpec: { name: 'f', description: 'nine', inputSchema: { json: { title: 'ten' } } } }],
      },
    });
    expect(lanes(view)).toEqual([
      'system[0].text=be kind',
      'messages[0].content[0].text=one',
      'messages[0].content[1].image.source.bytes=c21hbGw=',
      'messages[0].content[2].document.context=two',
      'messages[0].content[2].document.source.text=three',
      'messages[0].content[3].guardContent.text.text=four',
      'messages[1].content[0].toolUse.input.{}=five',
      'messages[2].content[0].toolResult.content[0].text=six',
      'messages[2].content[0].toolResult.content[1].json.{}=seven',
      'inferenceConfig.stopSequences[0]=eight',
      'toolConfig.tools[0].toolSpec.description=nine',
      'toolConfig.tools[0].toolSpec.inputSchema.json.title=ten',
    ]);
    expect([view.model, view.stops, view.stream, view.maxOutputTokens]).toEqual([
      'anthropic.claude-3:0',
      true,
      false,
      9,
    ]);
    expect(request(`${path}-stream`, { messages }).stream).toBe(true);
  });

  const withBlock = (block: object): object => ({ messages: [{ role: 'user', content: [block] }] });
  it.each([
    [{}, 'messages'],
    [{ messages, modelId: 'other' }, 'modelId'],
    [{ messages, promptVariables: { a: { text: 'x' } } }, 'promptVariables'],
    [{ messages, additionalModelRequestFields: { max_tokens: 9 } }, 'additionalModelRequestFields.max_tokens'],
    [{ messages, additionalModelRequestFields: { model: 'x' } }, 'additionalModelRequestFields.model'],
    [{ messages, additionalModelRequestFields: { prompt: 'x' } }, 'additionalModelRequestFields.prompt'],
    [{ messages, additionalModelRequestFields: { max_gen_len: 9 } }, 'additionalModelRequestFields.max_gen_len'],
    [
      { messages, additionalModelRequestFields: { inferenceConfig: { maxTokens: 9 } } },
      'additionalModelRequestFields.inferenceConfig',
    ],
    [{ messages, inferenceConfig: { maxTokens: '9' } }, 'inferenceConfig.maxTokens'],
    [{ messages, inferenceConfig: { MaxTokens: 9 } }, 'inferenceConfig.maxTokens'],
    [
      withBlock({ image: { format: 'png', source: { s3Location: { uri: 's3://b/k' } } } }),
      'messages[0].content[0].image.source.s3Location',
    ],
    [
      withBlock({ document: { format: 'txt', name: 'd', source: { bytes: 'aGk=' } } }),
      'messages[0].content[0].document.source.bytes',
    ],
    [
      withBlock({ document: { format: 'pdf', name: 'd', source: { s3Location: { uri: 's3://b/k' } } } }),
      'messages[0].content[0].document.source.s3Location',
    ],
    [
      withBlock({ toolResult: { content: [{ document: { format: 'docx', source: { bytes: 'aGk=' } } }] } }),
      'messages[0].content[0].toolResult.content[0].document.source.bytes',
    ],
    [[], 'body'],
  ])('%j is refused for %s', (body, detail) => {
    expect(() => request(path, body)).toThrow(expect.objectContaining(refusing(detail)));
  });

  it('is limited; fields of the model’s own may cut its answer', () => {
    expect(limited(path, { messages }, 5)).toEqual({ messages, inferenceConfig: { maxTokens: 5 } });
    expect(request(path, { messages }).stops).toBe(false);
    const amazons = { inferenceConfig: { topK: 20 } };
    expect(request(path, { messages, additionalModelRequestFields: amazons }).stops).toBe(true);
    expect(request(path, { messages, additionalModelRequestFields: { thinking: { type: 'enabled' } } }).stops).toBe(
      true,
    );
    expect(() => request(path, { messages }, 'a=b')).toThrow(expect.objectContaining(refusing('query')));
  });
});

describe('a body for invoke', () => {
  const body = { anthropic_version, max_tokens: 9, messages: [{ role: 'user', content: 'hello' }] };

  it('is read as Anthropic’s', () => {
    const view = request(invoke, { ...body, system: 'be kind', anthropic_beta: ['x'] });
    expect(lanes(view)).toEqual(['system=be kind', 'messages[0].content=hello']);
    expect([view.model, view.stream, view.maxOutputTokens]).toEqual(['anthropic.claude-3:0', false, 9]);
    expect(request(`${invoke}-with-response-stream`, body).stream).toBe(true);
    expect(limited(invoke, body, 5)).toEqual({ ...body, max_tokens: 5 });
  });

  it.each([
    [{ inputText: 'hi' }, 'anthropic_version'],
    [{ prompt: 'hi', max_gen_len: 9 }, 'anthropic_version'],
    [{ ...body, anthropic_version: '2023-06-01' }, 'anthropic_version'],
    [{ ...body, model: 'other' }, 'model'],
    [{ ...body, stream: true }, 'stream'],
    [{ ...body, max_gen_len: 9 }, 'max_gen_len'],
    [{ ...body, mcp_servers: [{ url: 'x' }] }, 'mcp_servers'],
    [{ anthropic_version }, 'messages'],
  ])('%j is refused for %s', (sent, detail) => {
    expect(() => request(invoke, sent)).toThrow(expect.objectContaining(refusing(detail)));
  });

  it('is answered in Anthropic’s shape', () => {
    const said = { type: 'message', content: [{ type: 'text', text: 'hi' }], stop_reason: 'end_turn' };
    expect(lanes(answer(invoke, said))).toEqual(['content.text=hi']);
    expect(lanes(answer(invoke, { message: 'no' }, 400))).toEqual(['message=no']);
    expect(() => answer(invoke, { results: [] })).toThrow(expect.objectContaining(unreadable('content')));
    const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hi' } };
    expect(lanes(frame('invoke-with-response-stream', 'chunk', delta))).toEqual(['content.text=hi']);
    expect(frame('invoke-with-response-stream', 'throttlingException', { message: 'slow' }).kind).toBe('error');
  });
});

describe('an answer', () => {
  const usage = { inputTokens: 1, cacheReadInputTokens: 2, cacheWriteInputTokens: 3, outputTokens: 4 };

  it('has each of its blocks', () => {
    const view = answer(path, {
      output: {
        message: {
          role: 'assistant',
          content: [
            { reasoningContent: { reasoningText: { text: 'hm', signature: 's' } } },
            { text: 'one' },
            { toolUse: { toolUseId: 't', name: 'f', input: { a: 'two' } } },
          ],
        },
      },
      stopReason: 'tool_use',
      usage,
    });
    expect(lanes(view)).toEqual([
      'output.message.content[0].reasoningContent.reasoningText.text=hm',
      'output.message.content.text=one',
      'output.message.content[2].toolUse.input.{}=two',
    ]);
    expect(view.ends.map(({ end }) => end)).toEqual(['complete', 'complete', 'complete', 'complete']);
    expect(view.usage).toEqual({ input: 6, output: 4 });
  });

  it.each(['max_tokens', 'stop_sequence', 'guardrail_intervened', 'new_word', null, undefined])(
    'that ended by %s may be cut',
    (stopReason) => {
      expect(answer(path, { output: { message: { content: [{ text: 'a' }] } }, stopReason }).ends).toEqual([
        { prefix: 'output.message.content.text', end: 'cut' },
        { prefix: '', end: 'cut' },
      ]);
    },
  );

  it.each([[{}], [{ output: {} }], [{ output: { message: { content: 'x' } } }]])(
    'that is none is refused: %j',
    (body) => {
      expect(() => answer(path, body)).toThrow(expect.objectContaining({ code: 'response_uninspectable' }));
    },
  );
});

describe('an event', () => {
  it('has each piece at its block’s place in the message', () => {
    const delta = (contentBlockIndex: number, piece: object): FrameView =>
      streamed('contentBlockDelta', { contentBlockIndex, delta: piece });
    expect(lanes(delta(0, { text: 'a' }))).toEqual(['content.text=a']);
    expect(lanes(delta(1, { toolUse: { input: '{"a' } }))).toEqual(['content[1].toolUse.input={"a']);
    expect(delta(1, { toolUse: { input: '{"a' } }).lanes[0]?.kind).toBe('json');
    expect(lanes(delta(2, { reasoningContent: { text: 'a' } }))).toEqual(['content[2].reasoningContent.text=a']);
    const cited = delta(0, { citation: { title: 't', location: { web: { url: 'u' } } } });
    expect(cited.lanes.map(({ whole }) => whole)).toEqual(['complete']);
  });

  it('ends the block before its own, and the message all', () => {
    const end = { prefix: 'content[0].', end: 'complete', repeats: true };
    expect(streamed('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'a' } }).ends).toEqual([end]);
    expect(streamed('contentBlockStart', { contentBlockIndex: 1, start: { toolUse: { name: 'f' } } }).ends).toEqual([
      end,
    ]);
    expect(streamed('contentBlockStop', { contentBlockIndex: 1 }).ends).toEqual([]);
    expect(streamed('messageStop', { stopReason: 'end_turn' }).ends).toEqual([{ prefix: 'content', end: 'complete' }]);
    expect(streamed('messageStop', { stopReason: 'max_tokens' }).ends).toEqual([{ prefix: 'content', end: 'cut' }]);
    expect(streamed('metadata', { usage: { inputTokens: 1, outputTokens: 2 } }).usage).toEqual({ input: 1, output: 2 });
  });

  it.each([
    ['newEvent', {}, 'type'],
    ['contentBlockDelta', { delta: { text: 'a' } }, 'contentBlockIndex'],
    ['contentBlockDelta', { contentBlockIndex: -1, delta: { text: 'a' } }, 'contentBlockIndex'],
    ['messageStop', { stopReason: 1 }, 'stopReason'],
    ['metadata', [], 'body'],
  ])('%s %j is refused for %s', (name, body, detail) => {
    expect(() => streamed(name, body)).toThrow(expect.objectContaining(unreadable(detail)));
    expect(() => frame('converse', name, body)).toThrow(expect.objectContaining(unreadable('stream')));
  });
});

test('a refusal names its code', () => {
  const { dialect } = recognise('POST', path);
  const text = dialect.refusal({
    ...{ status: 403, code: 'guard_blocked', message: 'no', rule: undefined, requestId: 'q', detail: undefined },
  });
  expect(JSON.parse(text)).toEqual({ message: 'no', code: 'guard_blocked', rule: null, param: null, request_id: 'q' });
});
