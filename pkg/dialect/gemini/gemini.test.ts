import { describe, expect, it, test } from '@jest/globals';
import { applyEdits, parseJson } from '../../base/index.ts';
import { recognise } from '../recognise.ts';
import { answer, frame, lanes, limited, refusing, removed, request, unreadable } from '../testing/reading.ts';

const path = '/v1beta/models/gemini-2.5-pro:generateContent';
const streamPath = '/v1beta/models/gemini-2.5-pro:streamGenerateContent';
const contents = [{ role: 'user', parts: [{ text: 'hello' }] }];

describe("Gemini's routes", () => {
  it.each([
    ['/v1beta/models/gemini-2.5-pro:generateContent', 'Chat', true],
    ['/v1/models/gemini-2.5-pro:streamGenerateContent', 'Chat', true],
    ['/v1alpha/models/gemini-2.5-pro:countTokens', 'Chat', false],
    ['/v1beta/models/gemini-2.5-pro:embedContent', 'Embeddings', false],
    ['/v1beta/models/gemini-2.5-pro:batchEmbedContents', 'Embeddings', false],
  ])('POST %s is %s; the model writes: %s', (at, operation, generates) => {
    const route = recognise('POST', at);
    expect([route.dialect.name, route.operation, route.generates, route.model, route.body]).toEqual([
      ...['gemini', operation, generates, 'gemini-2.5-pro', 'json'],
    ]);
  });

  it('lists models, and shows one', () => {
    expect(recognise('GET', '/v1beta/models')).toMatchObject({ operation: 'ListModels', body: 'none' });
    expect(recognise('GET', '/v1beta/models/gemini-2.5-pro')).toMatchObject({
      ...{ operation: 'ListModels', model: 'gemini-2.5-pro' },
    });
    expect(recognise('GET', '/v1beta/models').dialect.name).toBe('gemini');
  });

  it.each([
    ['POST', '/v1beta/models/a/b:generateContent', 'Admin'],
    ['POST', '/v1beta/models/a:generateContent/', 'Admin'],
    ['POST', '/v1beta/models/a%3AgenerateContent', 'Admin'],
    ['POST', '/v1beta/models/a:GenerateContent', 'Admin'],
    ['POST', '/v1beta/models/a:constructor', 'Admin'],
    ['POST', '/v1beta/models/a:batchGenerateContent', 'Admin'],
    ['GET', '/v1beta/models/a:generateContent', 'Other'],
    ['GET', '/v1beta/cachedContents', 'Other'],
    ['POST', '/v1beta/cachedContents', 'Other'],
    ['POST', '/upload/v1beta/files', 'Other'],
    ['POST', '/v1beta/tunedModels/a:generateContent', 'Other'],
  ])('%s %s is none of them, but %s', (method, at, operation) => {
    const route = recognise(method, at);
    expect([route.dialect.name, route.operation]).toEqual(['generic', operation]);
  });

  it('write another model into the path and into the body', () => {
    const at = '/v1beta/models/fast:batchEmbedContents';
    expect(recognise('POST', at).renamed?.('large/1')).toBe('/v1beta/models/large%2F1:batchEmbedContents');
    expect(recognise('GET', '/v1beta/models/fast').renamed?.('large')).toBe('/v1beta/models/large');
    const body = { model: 'fast', requests: [{ model: 'models/fast', content: { parts: [{ text: 'a' }] } }] };
    const edits = request(at, body).renameModel?.('large') ?? [];
    expect(parseJson(applyEdits(JSON.stringify(body), edits)).get('model')?.text).toBe('large');
    expect(applyEdits(JSON.stringify(body), edits)).toContain('{"model":"models/large","content"');
  });
});

describe('a request', () => {
  it('has every text in a lane, by both names of each field', () => {
    const view = request(path, {
      system_instruction: { parts: { text: 'be kind' } },
      contents: [
        { role: 'user', parts: [{ text: 'one' }, { inline_data: { mime_type: 'image/png', data: 'c21hbGw=' } }] },
        { role: 'model', parts: [{ functionCall: { name: 'f', args: { a: 'two' } } }, { text: 'hm', thought: true }] },
        { role: 'user', parts: [{ functionResponse: { name: 'f', response: { b: ['three'] } } }] },
        { role: 'model', parts: [{ executableCode: { language: 'PYTHON', code: 'four' } }] },
      ],
      tools: [{ functionDeclarations: [{ name: 'f', description: 'five', parameters: { type: 'OBJECT' } }] }],
      generationConfig: { stopSequences: ['six'], responseSchema: { description: 'seven' } },
    });
    expect(lanes(view)).toEqual([
      'system_instruction.parts.text=be kind',
      'contents[0].parts[0].text=one',
      'contents[0].parts[1].inline_data.data=c21hbGw=',
      'contents[1].parts[0].functionCall.args.{}=two',
      'contents[1].parts[1].text=hm',
      'contents[2].parts[0].functionResponse.response.{}[0]=three',
      'contents[3].parts[0].executableCode.code=four',
      'tools[0].functionDeclarations[0].description=five',
      'tools[0].functionDeclarations[0].parameters.type=OBJECT',
      'generationConfig.stopSequences[0]=six',
      'generationConfig.responseSchema.description=seven',
    ]);
    expect([view.model, view.stops, view.count, view.stream]).toEqual(['gemini-2.5-pro', true, 1, false]);
  });

  it('streams where it asks for events; the list form is read whole', () => {
    expect(request(streamPath, { contents }, 'alt=sse').stream).toBe(true);
    expect(request(streamPath, { contents }, '%24alt=sse').stream).toBe(true);
    expect(request(streamPath, { contents }).stream).toBe(false);
    expect(request(path, { contents }, 'alt=json').stream).toBe(false);
  });

  it.each(['alt=sse', 'alt=media', 'key=AIza', 'alt=sse&key=AIza', 'fields=candidates', 'callback=x', '$.xgafv=1'])(
    'with the query %s is refused',
    (query) => {
      expect(() => request(path, { contents }, query)).toThrow(expect.objectContaining(refusing('query')));
    },
  );

  it.each([
    [{ model: 'models/other', contents }, 'model'],
    [{ model: 'other', contents }, 'model'],
    [{ model: 7, contents }, 'model'],
    [{ models: ['other'], contents }, 'models'],
    [{ contents, cachedContent: 'cachedContents/1' }, 'cachedContent'],
    [{ contents, cached_content: 'cachedContents/1' }, 'cached_content'],
    [{ contents: [{ parts: [{ fileData: { fileUri: 'files/1' } }] }] }, 'contents[0].parts[0].fileData'],
    [{ contents: [{ parts: [{ file_data: { file_uri: 'files/1' } }] }] }, 'contents[0].parts[0].file_data'],
    [
      { contents: [{ parts: [{ inlineData: { mimeType: 'text/plain', data: 'aGk=' } }] }] },
      'contents[0].parts[0].inlineData.mimeType',
    ],
    [{ contents: [{ parts: [{ inlineData: { data: 'aGk=' } }] }] }, 'contents[0].parts[0].inlineData.mimeType'],
    [
      { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', mime_type: 'text/plain', data: 'aGk=' } }] }] },
      'contents[0].parts[0].inlineData.mimeType',
    ],
    [{ contents, tools: [{ fileSearch: { fileSearchStoreNames: ['x'] } }] }, 'tools[0].fileSearch'],
    [{ contents, tools: [{ retrieval: { externalApi: {} } }] }, 'tools[0].retrieval'],
    [{ contents, tools: { mcp_servers: [{ url: 'x' }] } }, 'tools.mcp_servers'],
    [
      { contents, toolConfig: { functionCallingConfig: { streamFunctionCallArguments: true } } },
      'toolConfig.functionCallingConfig.streamFunctionCallArguments',
    ],
    [{ contents, generationConfig: {}, generation_config: {} }, 'generationConfig'],
    [{ contents, generationConfig: { maxOutputTokens: 1, max_output_tokens: 2 } }, 'maxOutputTokens'],
    [{ contents, generationConfig: { candidateCount: 1, candidate_count: 2 } }, 'candidateCount'],
    [{ contents, generationConfig: { maxOutputTokens: '5' } }, 'generationConfig.maxOutputTokens'],
    [{ contents, generationConfig: { maxOutputTokens: 1e3 + 0.5 } }, 'generationConfig.maxOutputTokens'],
    [{ contents, generationConfig: { MaxOutputTokens: 9 } }, 'generationConfig.maxOutputTokens'],
    [{ contents, generationConfig: { candidateCount: 1000 } }, 'candidateCount'],
    [{ contents, generationConfig: { routingConfig: { manualMode: {} } } }, 'generationConfig.routingConfig'],
    [{ contents, vertex_credentials: 'x' }, 'vertex'],
    [{}, 'contents'],
    [{ contents: [] }, 'contents'],
    [[], 'body'],
  ])('%j is refused for %s', (body, detail) => {
    expect(() => request(path, body)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    if (detail !== 'vertex') expect(() => request(path, body)).toThrow(expect.objectContaining(refusing(detail)));
  });

  it('counts candidates, and is limited by either name', () => {
    expect(request(path, { contents, generationConfig: { candidateCount: 3 } }).count).toBe(3);
    expect(request(path, { contents, generation_config: { max_output_tokens: 9 } }).maxOutputTokens).toBe(9);
    expect(limited(path, { contents, generation_config: { max_output_tokens: 9 } }, 5)).toEqual({
      ...{ contents, generation_config: { max_output_tokens: 5 } },
    });
    expect(limited(path, { contents }, 5)).toEqual({ contents, generationConfig: { maxOutputTokens: 5 } });
    expect(limited(path, { contents, generationConfig: { maxOutputTokens: 0 } }, 5)).toEqual({
      ...{ contents, generationConfig: { maxOutputTokens: 5 } },
    });
  });

  it('to count tokens may hold the request that it counts for, and not two prompts', () => {
    const at = '/v1beta/models/m:countTokens';
    const inner = { model: 'models/m', contents };
    expect(lanes(request(at, { generateContentRequest: inner }))).toEqual([
      'generateContentRequest.contents[0].parts[0].text=hello',
    ]);
    expect(request(at, { contents }).maxOutputTokens).toBeUndefined();
    expect(limited(at, { contents }, 5)).toEqual({ contents });
    expect(() => request(at, { generateContentRequest: inner, contents })).toThrow(
      expect.objectContaining(refusing('contents')),
    );
    expect(() => request(at, { generateContentRequest: { ...inner, model: 'models/x' } })).toThrow(
      expect.objectContaining(refusing('model')),
    );
  });

  it('for embeddings names no model but that of the path', () => {
    const at = '/v1beta/models/m:batchEmbedContents';
    const one = { model: 'models/m', content: { parts: [{ text: 'a' }] }, title: 'b' };
    expect(lanes(request(at, { requests: [one, one] }))).toHaveLength(4);
    expect(() => request(at, { requests: [one, { ...one, model: 'models/x' }] })).toThrow(
      expect.objectContaining(refusing('model')),
    );
    expect(() => request(at, { requests: [] })).toThrow(expect.objectContaining(refusing('requests')));
    expect(() => request('/v1beta/models/m:embedContent', {})).toThrow(expect.objectContaining(refusing('content')));
  });
});

const usageMetadata = { promptTokenCount: 3, candidatesTokenCount: 4, thoughtsTokenCount: 5, totalTokenCount: 12 };
const said = (parts: object[], more: object = {}): object => ({
  candidates: [{ content: { role: 'model', parts }, ...more }],
});

describe('an answer', () => {
  it('joins the texts of a candidate over its parts, thoughts by themselves', () => {
    const view = answer(path, {
      ...said(
        [{ text: 'hm', thought: true }, { text: 'one ' }, { functionCall: { args: { a: 'x' } } }, { text: 'two' }],
        {
          finishReason: 'STOP',
        },
      ),
      usageMetadata,
    });
    expect(lanes(view)).toEqual([
      'candidates[0].content.thoughts=hm',
      'candidates[0].content.text=one ',
      'candidates[0].content.parts[2].functionCall.args.{}=x',
      'candidates[0].content.text=two',
    ]);
    expect(view.ends[0]).toEqual({ prefix: 'candidates[0].', end: 'complete' });
    expect(view.usage).toEqual({ input: 3, output: 9 });
  });

  it('that a stream gave as a list is one text for each candidate', () => {
    const view = answer(streamPath, [
      said([{ text: 'one ' }]),
      { ...said([{ text: 'two' }], { finishReason: 'STOP' }), usageMetadata },
    ]);
    expect(lanes(view)).toEqual(['candidates[0].content.text=one ', 'candidates[0].content.text=two']);
    expect(view.ends).toEqual([
      { prefix: 'candidates[0].', end: 'complete' },
      { prefix: 'candidates[', end: 'cut' },
      { prefix: '[', end: 'cut' },
    ]);
    expect(view.usage).toEqual({ input: 3, output: 9 });
    expect(answer(streamPath, [{ error: { code: 503, message: 'over' } }], 503).lanes).toHaveLength(1);
  });

  it.each(['MAX_TOKENS', 'SAFETY', 'NEW_WORD', null, undefined])('that ended by %s may be cut', (finishReason) => {
    const ends = answer(path, said([{ text: 'a' }], { finishReason })).ends;
    expect(ends.find(({ prefix }) => 'candidates[0].content.text'.startsWith(prefix))?.end).toBe('cut');
  });

  it('that spells its text token by token loses that where a rule looks', () => {
    const body = said([{ text: 'a' }], {
      logprobsResult: {
        topCandidates: [{ candidates: [{ token: 'a', tokenId: 5, logProbability: -1 }] }],
        chosenCandidates: [{ token: 'a', tokenId: 5, logProbability: -1 }],
      },
    });
    expect(removed(body, answer(path, body))).toEqual([
      '[{"candidates":[{"token":"a","tokenId":5,"logProbability":-1}]}]',
      '[{"token":"a","tokenId":5,"logProbability":-1}]',
    ]);
  });

  it.each([
    [path, {}, 'candidates'],
    [path, [], 'body'],
    [path, [said([])], 'body'],
    [streamPath, ['x'], 'body'],
    ['/v1beta/models/m:countTokens', {}, 'totalTokens'],
    ['/v1beta/models/m:embedContent', {}, 'embedding'],
    ['/v1beta/models/m:batchEmbedContents', { embedding: {} }, 'embeddings'],
    [
      path,
      said([{ functionCall: { partialArgs: [{ stringValue: 'a' }] } }]),
      'candidates[0].content.parts[0].functionCall.partialArgs',
    ],
  ])('of %s that is none is refused: %j', (at, body, detail) => {
    expect(() => answer(at, body)).toThrow(expect.objectContaining(unreadable(detail)));
  });

  it('of a blocked prompt, counted tokens and embeddings are read', () => {
    expect(answer(path, { promptFeedback: { blockReason: 'SAFETY' }, usageMetadata }).usage).toEqual({
      input: 3,
      output: 9,
    });
    expect(answer('/v1beta/models/m:countTokens', { totalTokens: 7 }).lanes).toEqual([]);
    expect(answer('/v1beta/models/m:embedContent', { embedding: { values: [0.5, -0.5] } }).integerArrays).toEqual([]);
  });

  it('of a list names models as rules do, and each must be named', () => {
    const list = { models: [{ name: 'models/a', displayName: 'A' }, { name: 'b' }], nextPageToken: 't' };
    expect(answer('/v1beta/models', list, 200, 'GET').models.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(answer('/v1beta/models', {}, 200, 'GET').models).toEqual([]);
    expect(() => answer('/v1beta/models', { models: [{ displayName: 'A' }] }, 200, 'GET')).toThrow(
      expect.objectContaining(unreadable('name')),
    );
  });
});

describe('a chunk', () => {
  it('ends a candidate where it says how', () => {
    const view = frame(streamPath, said([{ text: 'a' }], { index: 1, finishReason: 'STOP' }));
    expect(lanes(view)).toEqual(['candidates[1].content.text=a']);
    expect(view.ends).toEqual([{ prefix: 'candidates[1].', end: 'complete' }]);
    expect(frame(streamPath, said([{ text: 'a' }])).ends).toEqual([]);
  });

  it('has its calls and code whole', () => {
    const view = frame(
      streamPath,
      said([
        { functionCall: { name: 'f', args: { a: 'x' } } },
        { executableCode: { code: 'y' } },
        { ZZ: 'z' },
        { inlineData: { mimeType: 'text/plain', data: 'd' } },
      ]),
    );
    expect(view.lanes.map(({ node, whole }) => [node.text, whole])).toEqual([
      ['x', 'complete'],
      ['y', 'complete'],
      ['z', undefined],
      ['d', 'complete'],
    ]);
  });

  it('says what was used so far', () => {
    expect(frame(streamPath, { ...said([{ text: 'a' }]), usageMetadata }).usage).toEqual({
      input: 3,
      output: 9,
      early: true,
    });
    expect(frame(streamPath, { ...said([], { finishReason: 'STOP' }), usageMetadata }).usage).toEqual({
      input: 3,
      output: 9,
    });
  });

  it('that says an error is one', () => {
    expect(frame(streamPath, { error: { code: 500, message: 'm' } }).kind).toBe('error');
    expect(() => frame(streamPath, {})).toThrow(expect.objectContaining(unreadable('candidates')));
    expect(() => frame(path, said([]))).toThrow(expect.objectContaining(unreadable('stream')));
  });
});

test('a refusal is an error of Google’s', () => {
  const { dialect } = recognise('POST', path);
  const text = dialect.refusal({
    ...{ status: 403, code: 'guard_blocked', message: 'no', rule: 'ml/test/r', requestId: 'q', detail: undefined },
  });
  expect(parseJson(text).get('error')?.get('status')?.text).toBe('PERMISSION_DENIED');
  expect(JSON.parse(text)).toEqual({
    error: {
      code: 403,
      message: 'no',
      status: 'PERMISSION_DENIED',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'guard_blocked',
          domain: 'sidegate.dev',
          metadata: { rule: 'ml/test/r', request_id: 'q' },
        },
      ],
    },
  });
});
