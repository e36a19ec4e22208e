import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseJson } from '../base/index.ts';
import { dialects, generic, recognise } from './index.ts';
import { spelled } from './testing/spelled.ts';

describe('routes', () => {
  it.each([
    ['POST', '/v1/chat/completions', 'Chat', 'json'],
    ['POST', '/chat/completions', 'Chat', 'json'],
    ['POST', '/openai/v1/chat/completions', 'Chat', 'json'],
    ['POST', '/v1/completions', 'Completions', 'json'],
    ['POST', '/v1/embeddings', 'Embeddings', 'json'],
    ['GET', '/v1/models', 'ListModels', 'none'],
    ['HEAD', '/v1/models', 'ListModels', 'none'],
    ['GET', '/v1/models/llama-3', 'ListModels', 'none'],
    ['GET', '/health', 'Health', 'none'],
    ['GET', '/healthz', 'Health', 'none'],
    ['GET', '/ready', 'Health', 'none'],
    ['GET', '/ping', 'Health', 'none'],
    ['GET', '/version', 'Health', 'none'],
    ['GET', '/v2/health/ready', 'Health', 'none'],
    ['GET', '/metrics', 'Metrics', 'none'],
    // Another method is another thing
    ['GET', '/v1/chat/completions', 'Other', 'none'],
    ['PUT', '/v1/chat/completions', 'Other', 'json'],
    ['OPTIONS', '/v1/chat/completions', 'Other', 'json'],
    ['POST', '/health', 'Other', 'json'],
    ['POST', '/metrics', 'Other', 'json'],
    ['POST', '/v1/models', 'Admin', 'json'],
    ['DELETE', '/v1/models/llama-3', 'Admin', 'json'],
    // Other surfaces are not taken for Chat
    ['GET', '/v1/responses/resp_1', 'Other', 'none'],
    ['POST', '/v1/responses/resp_1/cancel', 'Other', 'json'],
    ['GET', '/v1/responses/input_tokens', 'Other', 'none'],
    ['POST', '/v1/conversations', 'Other', 'json'],
    ['POST', '/v1/threads', 'Other', 'json'],
    ['POST', '/v1/batches', 'Other', 'json'],
    ['POST', '/v1/files', 'Other', 'json'],
    ['POST', '/v1/messages/', 'Other', 'json'],
    ['POST', '/v1/messages/batches', 'Other', 'json'],
    ['GET', '/v1/messages', 'Other', 'none'],
    ['GET', '/api/chat', 'Other', 'none'],
    ['POST', '/api/Chat', 'Other', 'json'],
    ['POST', '/api/tags', 'Other', 'json'],
    ['POST', '/api/pull', 'Admin', 'json'],
    ['POST', '/api/push', 'Admin', 'json'],
    ['POST', '/api/create', 'Admin', 'json'],
    ['POST', '/api/copy', 'Admin', 'json'],
    ['DELETE', '/api/delete', 'Admin', 'json'],
    ['POST', '/api/blobs/sha256:aa', 'Admin', 'json'],
    ['GET', '/api/version', 'Health', 'none'],
    ['POST', '/invocations', 'Other', 'json'],
    ['POST', '/v1/files', 'Other', 'json'],
    ['GET', '/', 'Other', 'none'],
    ['GET', '/docs', 'Other', 'none'],
    ['GET', '/v2', 'Health', 'none'],
    ['GET', '/v2/', 'Other', 'none'],
    ['GET', '/generate', 'Other', 'none'],
    ['POST', '/Generate', 'Other', 'json'],
    ['POST', '/generate/', 'Other', 'json'],
    ['GET', '/tokenize', 'Other', 'none'],
    ['POST', '/encode', 'Other', 'json'],
    ['POST', '/v1/models/sklearn:classify', 'Other', 'json'],
    ['POST', '/v1/models/a/b:predict', 'Other', 'json'],
    ['POST', '/v2/models/resnet/infer/', 'Other', 'json'],
    ['POST', '/v2/models/res%2Fnet/infer', 'Other', 'json'],
    ['GET', '/v2/models/resnet/config', 'Other', 'none'],
    ['GET', '/v2/models/stats', 'Other', 'none'],
    ['HEAD', '/v2/models/stats', 'Other', 'none'],
    // Spellings that a lenient server may take for Chat
    ['POST', '/v1/chat/completions/', 'Other', 'json'],
    ['POST', '/V1/Chat/Completions', 'Other', 'json'],
    ['POST', '/v1/chat%2Fcompletions', 'Other', 'json'],
    ['POST', '//v1/chat/completions', 'Other', 'json'],
    // Health and metrics only as they are spelled
    ['GET', '/Health', 'Other', 'none'],
    ['GET', '/health/../v1/models', 'Other', 'none'],
    ['GET', '/metrics/../slots', 'Admin', 'none'],
  ])('%s %s is %s with a body of %s', (method, path, operation, body) => {
    const route = recognise(method, path);
    expect([route.operation, route.body]).toEqual([operation, body]);
    expect(route.dialect.name).toBe(
      ['Chat', 'Completions', 'Embeddings', 'ListModels'].includes(operation) ? 'openai' : 'generic',
    );
  });

  it.each([
    ['/v1/models/llama-3', 'llama-3'],
    ['/v1/models/meta-llama/Llama-3.1-8B', 'meta-llama/Llama-3.1-8B'],
    ['/v1/models/meta-llama%2FLlama-3.1-8B', 'meta-llama/Llama-3.1-8B'],
    ['/models/llama3:8b', 'llama3:8b'],
    ['/v1/models/ft%3Agpt-4o%3Aorg', 'ft:gpt-4o:org'],
  ])('%s is the page of model %s', (path, model) => {
    expect(recognise('GET', path)).toMatchObject({ operation: 'ListModels', model });
  });

  it.each([
    ['/v1/models/'],
    ['/v1/models/a/b/c'],
    ['/v1/models/a%2F..%2Fsecret'],
    ['/v1/models/..'],
    ['/v1/models/%2E%2E'],
    ['/v1/models/a%00b'],
    ['/v1/models/a%ZZ'],
    ['/v1/models/a%252Fb'],
    ['/v1/models/a%5Cb'],
    ['/v1/models/a;b'],
    ['/v1/models/a?b'],
  ])('GET %s is no page of a model', (path) => {
    expect(recognise('GET', path).operation).not.toBe('ListModels');
  });
});

describe('routes of other dialects', () => {
  it.each([
    ['POST', '/', 'Completions', 'tgi', true],
    ['POST', '/generate', 'Completions', 'tgi', true],
    ['POST', '/generate_stream', 'Completions', 'tgi', true],
    ['GET', '/info', 'ListModels', 'tgi', false],
    ['POST', '/completion', 'Completions', 'llamacpp', true],
    ['POST', '/infill', 'Completions', 'llamacpp', true],
    ['POST', '/embedding', 'Embeddings', 'llamacpp', false],
    ['POST', '/tokenize', 'Embeddings', 'model-server', false],
    ['POST', '/detokenize', 'Embeddings', 'model-server', false],
    ['POST', '/apply-template', 'Embeddings', 'model-server', false],
    ['POST', '/v1/rerank', 'Embeddings', 'model-server', false],
    ['POST', '/rerank', 'Embeddings', 'model-server', false],
    ['POST', '/v1/score', 'Embeddings', 'model-server', false],
    ['POST', '/score', 'Embeddings', 'model-server', false],
    ['POST', '/pooling', 'Embeddings', 'model-server', false],
    ['POST', '/classify', 'Embeddings', 'model-server', false],
  ])('%s %s is %s of %s; the model writes: %s', (method, path, operation, dialect, generates) => {
    const route = recognise(method, path);
    expect([route.operation, route.dialect.name, route.generates]).toEqual([operation, dialect, generates]);
    expect(route.model).toBeUndefined();
  });

  it.each([
    ['POST', '/v1/models/sklearn:predict', 'Completions', 'sklearn'],
    ['POST', '/v1/models/sklearn:explain', 'Completions', 'sklearn'],
    ['POST', '/v2/models/resnet/infer', 'Completions', 'resnet'],
    ['POST', '/v2/models/resnet/versions/3/infer', 'Completions', 'resnet'],
    ['POST', '/v2/models/llm/generate', 'Completions', 'llm'],
    ['POST', '/v2/models/llm/versions/1/generate_stream', 'Completions', 'llm'],
    ['GET', '/v2/models/resnet', 'ListModels', 'resnet'],
    ['GET', '/v2/models/resnet/versions/3', 'ListModels', 'resnet'],
    ['GET', '/v2/models/resnet/ready', 'ListModels', 'resnet'],
    ['HEAD', '/v2/models/resnet/versions/3/ready', 'ListModels', 'resnet'],
  ])("%s %s is KServe's %s for model %s", (method, path, operation, model) => {
    const route = recognise(method, path);
    expect([route.operation, route.dialect.name, route.model]).toEqual([operation, 'kserve', model]);
  });
});

describe("Anthropic's routes", () => {
  it.each([
    ['/v1/messages', true],
    ['/anthropic/v1/messages', true],
    ['/v1/messages/count_tokens', false],
  ])('POST %s is Chat; the model writes: %s', (path, generates) => {
    const route = recognise('POST', path);
    expect(route).toMatchObject({ operation: 'Chat', body: 'json', generates });
    expect(route.dialect.name).toBe('anthropic');
  });
});

describe('management routes', () => {
  const routes: readonly (readonly [string, string])[] = [
    // vLLM
    ['POST', '/v1/load_lora_adapter'],
    ['POST', '/v1/unload_lora_adapter'],
    ['POST', '/sleep'],
    ['POST', '/wake_up'],
    ['GET', '/is_sleeping'],
    ['POST', '/reset_prefix_cache'],
    ['POST', '/start_profile'],
    ['POST', '/collective_rpc'],
    ['GET', '/server_info'],
    ['POST', '/update_weights'],
    ['POST', '/update_weights_by_a_way_yet_unknown'],
    ['POST', '/reset_mm_cache'],
    // SGLang
    ['GET', '/flush_cache'],
    ['POST', '/flush_cache'],
    ['POST', '/update_weights_from_disk'],
    ['POST', '/release_memory_occupation'],
    ['POST', '/abort_request'],
    ['GET', '/get_server_info'],
    // Ollama
    ['POST', '/api/pull'],
    ['DELETE', '/api/delete'],
    ['POST', '/api/create'],
    ['POST', '/api/copy'],
    ['POST', '/api/push'],
    ['POST', '/api/blobs/sha256:29fdb92e57cf0827ded04ae6461b5931d01fa595843f55d36f5b275a52087dd2'],
    // Triton
    ['POST', '/v2/repository/index'],
    ['POST', '/v2/repository/models/resnet/load'],
    ['POST', '/v2/systemsharedmemory/region/a/register'],
    ['POST', '/v2/models/resnet/trace/setting'],
    ['GET', '/v2/models/resnet/trace/setting'],
    ['POST', '/v2/logging'],
    // TorchServe
    ['POST', '/models'],
    ['PUT', '/models/a'],
    ['DELETE', '/models/a/1.0'],
    ['PUT', '/models/a/1.0/set-default'],
    // llama.cpp
    ['GET', '/slots'],
    ['POST', '/slots/0'],
    ['POST', '/props'],
    ['GET', '/props'],
    ['GET', '/lora-adapters'],
    ['POST', '/lora-adapters'],
    ['POST', '/tools'],
    ['POST', '/models/load'],
    // others
    ['POST', '/shutdown'],
    ['POST', '/v1/internal/model/load'],
    ['POST', '/v1/model/load'],
    ['POST', '/admin/anything'],
    ['GET', '/debug/pprof/heap'],
    ['POST', '/backend/shutdown'],
  ];

  const refused = { status: 403, code: 'access_denied', message: 'No.', requestId: 'i' } as const;
  const refusal = (method: string, path: string): unknown =>
    JSON.parse(recognise(method, path).dialect.refusal({ ...refused, rule: 'r', detail: undefined }));

  it.each([
    ['GET', '/v2'],
    ['GET', '/v2/health/ready'],
    ['POST', '/v2/repository/index'],
    ['POST', '/v2/repository/models/resnet/load'],
    ['POST', '/v2/systemsharedmemory/region/a/register'],
    ['GET', '/v2/models/resnet/trace/setting'],
    ['GET', '/v2/models/resnet/config'],
    ['GET', '/v2/models/resnet/stats'],
    ['POST', '/v2/logging'],
  ])('%s %s is refused in the shape of KServe', (method, path) => {
    const route = recognise(method, path);
    expect(route.dialect.name).toBe('generic');
    expect(refusal(method, path)).toEqual({
      ...{ error: 'No.', code: 'access_denied', rule: 'r', param: null, request_id: 'i' },
    });
  });

  it.each([
    ['GET', '/v2/chat'],
    ['GET', '/v2x'],
    ['POST', '/v2/modelsx'],
    ['POST', '/sleep'],
    ['GET', '/health'],
  ])('%s %s is refused in the shape of OpenAI', (method, path) => {
    expect(refusal(method, path)).toMatchObject({ error: { code: 'access_denied', message: 'No.' } });
  });

  it.each(routes)('%s %s is Admin', (method, path) => {
    expect(recognise(method, path).operation).toBe('Admin');
  });

  /** Ways to spell a path that some server, framework or proxy reads as the plain one. */
  const disguises: Readonly<Record<string, (path: string) => string>> = {
    'in capitals': (path) => path.toUpperCase(),
    'with a trailing slash': (path) => `${path}/`,
    'with doubled slashes': (path) => path.replaceAll('/', '//'),
    'percent-encoded': (path) => path.replace(/[a-z]/g, (char) => `%${char.charCodeAt(0).toString(16)}`),
    'encoded twice': (path) => path.replace(/[a-z]/g, (char) => `%25${char.charCodeAt(0).toString(16)}`),
    'with encoded slashes': (path) => `/${path.slice(1).replaceAll('/', '%2F')}`,
    'with backslashes': (path) => path.replaceAll('/', '\\'),
    'with path parameters': (path) => `${path};a=b`,
    'under a prefix': (path) => `/proxy${path}`,
    'with dot segments': (path) => path.replace('/', '/./'),
    'in full-width letters': (path) =>
      path.replace(/[a-z]/, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0)),
  };

  it.each(Object.keys(disguises))('are Admin when they are spelled %s', (name) => {
    for (const [method, path] of routes) {
      expect([path, recognise(method, disguises[name]!(path)).operation]).toEqual([path, 'Admin']);
    }
  });
});

describe('recognising', () => {
  it('always answers, and opens Health or Metrics to known spellings alone', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'POST', 'DELETE', 'BREW', ''),
        fc.oneof(fc.string({ unit: 'binary' }), fc.webPath()),
        (method, path) => {
          const route = recognise(method, path);
          expect(route.dialect).toBeDefined();
          if (route.operation === 'Health' || route.operation === 'Metrics') expect(path).toMatch(/^\/[a-z0-9_/]+$/);
        },
      ),
    );
  });

  it('lists the dialects, the one that knows everything last', () => {
    expect(dialects.map((dialect) => dialect.name)).toEqual([
      'openai',
      'openai-media',
      'openai-responses',
      'anthropic',
      'ollama',
      'tgi',
      'llamacpp',
      'model-server',
      'kserve',
      'gemini',
      'cohere',
      'bedrock',
      'grpc',
      'generic',
    ]);
  });
});

describe('the generic dialect', () => {
  const route = recognise('POST', '/unknown');

  it('reads any JSON whole and promises nothing about it', () => {
    const view = generic.request(route, parseJson('{"prompt":"a","deep":[{"k":"b"}],"ids":[1,2,3,4,5,6,7,8]}'));
    expect(view.lanes.map((lane) => [spelled(view, lane.id), lane.node.text])).toEqual([
      ['{prompt}', 'a'],
      ['{deep}[0].{k}', 'b'],
    ]);
    expect(view.loneValues.map((value) => value.node.text)).toEqual(['prompt', 'deep', 'k', 'ids']);
    expect(view.tokenInput).toBe(true);
    expect(view.limitOutput(5)).toEqual([]);
    expect(view.askUsage()).toEqual([]);
    expect(view.model).toBeUndefined();
  });

  it.each([
    ['spelled in strings', '{"x":["a","token_id:9","token_id:9b"]}', ['"token_id:9"']],
    ['spelled in keys', '{"top":{"token_id:9":-1,"a":-2}}', ['{"token_id:9":-1,"a":-2}']],
    ['in lists by their name', '{"token_ids":[9],"outputIds":[[9],[8]],"tokens":[9]}', ['[9]', '[[9],[8]]', '[9]']],
    ['one by one', '{"token_id":9,"token":{"id":8,"text":"a","logprob":-1,"special":false}}', ['9', '8']],
    ['beside probabilities', '{"meta":{"output_token_logprobs":[[-0.1,9,null]]}}', ['[[-0.1,9,null]]']],
    ['by their bytes', '{"token":"a","bytes":[97]}', ['[97]']],
  ])('tells tokens of an answer that are %s from text', (_, body, ids) => {
    const view = generic.answer(route, parseJson(body), 200);
    expect(view.integerArrays.map((node) => body.slice(node.start, node.end))).toEqual(ids);
  });

  it.each([
    '{"tokens":12,"id":7,"text":"a"}',
    '{"tokens":["a","b"],"ids":[1,2],"token":"a"}',
    '{"data":[{"id":3,"name":"x"}],"usage":{"tokens":{"input":4}}}',
    '{"text":"see token_id:9"}',
  ])('takes for text, or for mere numbers: %s', (body) => {
    expect(generic.answer(route, parseJson(body), 200).integerArrays).toEqual([]);
  });

  it.each([
    ['{"prompt":[9906]}', true],
    ['{"inputs":[[5],[6]]}', true],
    ['{"a":{"input_ids":[5]}}', true],
    ['{"prompt_embeds":"AAAA"}', true],
    ['{"inputs":[0.5]}', false],
    ['{"prompt":["token_id:9"],"token_id":9,"ids":[5]}', false],
  ])('takes %s for a prompt that cannot be read: %s', (body, tokenInput) => {
    expect(generic.request(route, parseJson(body)).tokenInput).toBe(tokenInput);
  });

  it('reads frames of any JSON, and refuses what is neither JSON nor an end marker', () => {
    expect(generic.frame(route, undefined, '"a"', parseJson('"a"')).lanes).toHaveLength(1);
    expect(generic.frame(route, 'error', '{}', parseJson('{}')).kind).toBe('error');
    expect(generic.frame(route, undefined, '[DONE]', undefined).kind).toBe('done');
    expect(() => generic.frame(route, undefined, 'text', undefined)).toThrow('cannot be inspected');
  });
});
