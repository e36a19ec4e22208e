import { describe, expect, it } from '@jest/globals';
import { applyEdits, parseJson } from '../../base/index.ts';
import { spelled } from '../testing/spelled.ts';
import { RefusedError } from '../../core/index.ts';
import type { RequestView } from '../index.ts';
import { recognise } from '../index.ts';

const paths = { chat: '/v1/chat/completions', completions: '/v1/completions', embeddings: '/v1/embeddings' };

function readText(kind: keyof typeof paths, text: string): RequestView {
  const route = recognise('POST', paths[kind]);
  return route.dialect.request(route, parseJson(text));
}

const read = (kind: keyof typeof paths, body: object): RequestView => readText(kind, JSON.stringify(body));

/** The field that a refusal names, or undefined when the request is accepted. */
function refused(kind: keyof typeof paths, text: string): string | undefined {
  try {
    readText(kind, text);
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError && error.code === 'invalid_request') return error.detail;
    throw error;
  }
}

const user = { role: 'user', content: 'hi' };
const chat = (more: object): object => ({ model: 'm', messages: [user], ...more });
const lanes = (view: RequestView): unknown[] => view.lanes.map((lane) => `${spelled(view, lane.id)}=${lane.node.text}`);
const lone = (view: RequestView): unknown[] =>
  view.loneValues.map((value) => `${value.path.join('.')}${value.key ? ' (key)' : ''}=${value.node.text}`);

describe('the text of a chat request', () => {
  it('is read from every message, whatever its role and place', () => {
    const view = read('chat', {
      model: 'gpt-4o',
      messages: [
        { role: 'system', content: 's' },
        { role: 'developer', content: 'd', name: 'dev' },
        { role: 'user', content: [{ type: 'text', text: 'u1' }, 'u2', { type: 'text', text: 'u3' }] },
        {
          role: 'assistant',
          content: null,
          refusal: 'no',
          reasoning_content: 'think',
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'result' },
        { role: 'function', name: 'g', content: 'old result' },
        { role: 'assistant', function_call: { name: 'g', arguments: '{}' } },
      ],
    });
    expect(lanes(view)).toEqual([
      'messages[0].content=s',
      'messages[1].content=d',
      'messages[2].content[0].text=u1',
      'messages[2].content[1]=u2',
      'messages[2].content[2].text=u3',
      'messages[3].refusal=no',
      'messages[3].reasoning_content=think',
      'messages[3].tool_calls[0].function.arguments={"a":1}',
      'messages[4].content=result',
      'messages[5].content=old result',
      'messages[6].function_call.arguments={}',
    ]);
    expect(view.lanes.filter((lane) => lane.kind === 'json').map((lane) => lane.id)).toEqual([
      'messages[3].tool_calls[0].function.arguments',
      'messages[6].function_call.arguments',
    ]);
    expect(lone(view)).toContain('messages.1.name=dev');
    expect(lone(view)).toContain('messages.4.tool_call_id=c1');
  });

  it('is read from tools, schemas, prediction, documents, grammars and stop words', () => {
    const view = read(
      'chat',
      chat({
        tools: [
          {
            type: 'function',
            function: {
              name: 'f',
              description: 'tool words',
              parameters: {
                type: 'object',
                properties: { secret_name: { type: 'string', description: 'schema words', enum: ['e1'] } },
              },
            },
          },
          { type: 'web_search', settings: { note: 'other tool' } },
        ],
        functions: [{ name: 'old', description: 'old words' }],
        response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { title: 'format words' } } },
        prediction: { type: 'content', content: [{ type: 'text', text: 'predicted' }] },
        documents: [{ title: 'doc', text: 'doc words' }],
        guided_regex: '[a-z]+',
        stop: ['halt'],
        metadata: { ticket: 'T-1' },
        user: 'ana',
        logit_bias: { '50256': -100 },
      }),
    );
    const texts = view.lanes.map((lane) => lane.node.text);
    expect(texts).toEqual(
      expect.arrayContaining([
        'tool words',
        'schema words',
        'e1',
        'other tool',
        'old words',
        'format words',
        'predicted',
      ]),
    );
    expect(texts).toEqual(expect.arrayContaining(['doc', 'doc words', '[a-z]+', 'halt', 'T-1']));
    const keys = view.loneValues.filter((value) => value.key).map((value) => value.node.text);
    expect(keys).toEqual(['secret_name', 'settings', 'note', 'title', 'text', 'ticket', '50256']);
    expect(lone(view)).toContain('user=ana');
    expect(view.stops).toBe(true);
  });

  it('holds strings and keys of unknown fields, and ids never spell odd keys', () => {
    const view = read('chat', chat({ new_field: { 'odd key 078-05-1120': ['deep'] } }));
    expect(lone(view)).toContain('new_field (key)=new_field');
    expect(lone(view)).toContain('new_field.odd key 078-05-1120 (key)=odd key 078-05-1120');
    const lane = view.lanes.find((one) => one.node.text === 'deep');
    expect(lane?.id).toMatch(/^\{[0-9a-f]{16}\}\.\{[0-9a-f]{16}\}\[0\]$/);
    expect(lane?.path).toEqual(['new_field', 'odd key 078-05-1120', 0]);
  });

  const png = Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    Buffer.alloc(6000, Buffer.from('00ff9c01e7d3b28a', 'hex')),
  ]);
  it.each([
    ['a large picture', `data:image/png;base64,${png.toString('base64')}`, 'opaque'],
    ['a small picture', 'data:image/png;base64,iVBORw0KGgo=', 'lane'],
    ['an address', 'https://example.com/cat.png', 'lone'],
    [
      'text that says it is a picture',
      `data:image/png;base64,${Buffer.from('Ana has SSN 078-05-1120. '.repeat(300)).toString('base64')}`,
      'lane',
    ],
    [
      'a picture with text behind its head',
      `data:image/png;base64,${Buffer.concat([png, Buffer.from('secret words '.repeat(900))]).toString('base64')}`,
      'lane',
    ],
    ['a plain data URL', 'data:text/plain,hello', 'lane'],
    ['an SVG, which is text', `data:image/svg+xml;base64,${'A'.repeat(5000)}`, 'lane'],
    ['what is not base64', `data:image/png;base64,${'not base64! '.repeat(900)}`, 'lane'],
  ])('knows %s', (_, url, where) => {
    const view = read(
      'chat',
      chat({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] }),
    );
    const id = 'messages[0].content[0].image_url.url';
    expect(
      [
        view.opaque.some((node) => node.text === url) ? 'opaque' : '',
        view.lanes.some((lane) => lane.id === id) ? 'lane' : '',
        view.loneValues.some((value) => value.node.text === url) ? 'lone' : '',
      ].join(''),
    ).toBe(where);
  });
});

describe('prompts of completions and embeddings', () => {
  it.each([
    ['a string', 'words', ['words'], false],
    ['strings', ['a', 'b'], ['a', 'b'], false],
    ['token ids', [1, 2], [], true],
    ['a single token id', [9906], [], true],
    ['lists of token ids', [[1, 2], [3]], [], true],
  ])('are read from %s', (_, prompt, texts, tokenInput) => {
    for (const view of [
      read('completions', { model: 'm', prompt }),
      read('embeddings', { model: 'm', input: prompt }),
    ]) {
      expect(view.lanes.map((lane) => lane.node.text)).toEqual(texts);
      expect(view.tokenInput).toBe(tokenInput);
    }
  });

  it.each([
    ['prompt_embeds', { model: 'm', prompt_embeds: 'AAAA' }],
    ['prompt_token_ids', { model: 'm', prompt_token_ids: [5] }],
    ['an unknown field of eight integers', { model: 'm', prompt: 'a', fresh: [1, 2, 3, 4, 5, 6, 7, 8] }],
  ])('cannot be read from %s', (_, body) => {
    expect(read('completions', body).tokenInput).toBe(true);
  });

  it('may hold integers in schemas and in lists that only steer sampling', () => {
    const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const tools = [{ type: 'function', function: { name: 'f', parameters: { enum: ids } } }];
    expect(read('chat', chat({ tools, stop_token_ids: ids, allowed_token_ids: ids })).tokenInput).toBe(false);
    expect(read('chat', chat({ metadata: { input: [5], tokens: [6] } })).tokenInput).toBe(false);
    expect(read('chat', chat({ token_ids: [5] })).tokenInput).toBe(true);
  });

  it('include the suffix', () => {
    expect(lanes(read('completions', { model: 'm', prompt: 'a', suffix: 'z' }))).toEqual(['prompt=a', 'suffix=z']);
  });
});

describe('requests that are refused', () => {
  const json = JSON.stringify;
  it.each<[string, keyof typeof paths, string, string]>([
    ['no object', 'chat', '[]', 'body'],
    ['no model', 'chat', json({ messages: [user] }), 'model'],
    ['an empty model', 'chat', json({ model: '', messages: [user] }), 'model'],
    ['a model that is no string', 'chat', json({ model: ['m'], messages: [user] }), 'model'],
    ['no messages', 'chat', json({ model: 'm' }), 'messages'],
    ['empty messages', 'chat', json({ model: 'm', messages: [] }), 'messages'],
    ['messages of another kind', 'chat', json({ model: 'm', messages: 'hi' }), 'messages'],
    ['a message that is a string', 'chat', json({ model: 'm', messages: [user, 'hi'] }), 'messages[1]'],
    ['a message that is null', 'chat', json({ model: 'm', messages: [null] }), 'messages[0]'],
    ['a message without role', 'chat', json({ model: 'm', messages: [{ content: 'a' }] }), 'messages[0].role'],
    [
      'content that is an object',
      'chat',
      json({ model: 'm', messages: [{ role: 'user', content: {} }] }),
      'messages[0].content',
    ],
    [
      'a number as content',
      'chat',
      json({ model: 'm', messages: [{ role: 'user', content: 4 }] }),
      'messages[0].content',
    ],
    ['Model, which Go reads as model', 'chat', json(chat({ Model: 'other' })), 'model'],
    ['MESSAGES', 'chat', json(chat({ MESSAGES: [] })), 'messages'],
    ['the long s in meſſages', 'chat', json(chat({ meſſages: [] })), 'messages'],
    ['the Kelvin sign in max_toKens', 'chat', json(chat({ 'max_to\u212aens': 9 })), 'max_tokens'],
    [
      'Content in a message',
      'chat',
      json({ model: 'm', messages: [{ ...user, Content: 'x' }] }),
      'messages[0].content',
    ],
    [
      'Arguments in a call',
      'chat',
      json({ model: 'm', messages: [{ role: 'assistant', tool_calls: [{ function: { Arguments: '{}' } }] }] }),
      'messages[0].tool_calls[0].function.arguments',
    ],
    ['stream as a string', 'chat', json(chat({ stream: 'true' })), 'stream'],
    [
      'stream_options without stream',
      'chat',
      json(chat({ stream_options: { include_usage: true } })),
      'stream_options',
    ],
    ['stream_options that are no object', 'chat', json(chat({ stream: true, stream_options: true })), 'stream_options'],
    [
      'include_usage as a number',
      'chat',
      json(chat({ stream: true, stream_options: { include_usage: 1 } })),
      'stream_options.include_usage',
    ],
    ['n of 0', 'chat', json(chat({ n: 0 })), 'n'],
    ['n of 129', 'chat', json(chat({ n: 129 })), 'n'],
    ['n of 1.5', 'chat', json(chat({ n: 1.5 })), 'n'],
    ['n as a string', 'chat', json(chat({ n: '2' })), 'n'],
    ['best_of of 1000', 'completions', json({ model: 'm', prompt: 'a', best_of: 1000 }), 'best_of'],
    ['max_tokens of 0, which Ollama takes for no limit', 'chat', json(chat({ max_tokens: 0 })), 'max_tokens'],
    ['max_tokens of -1, which llama.cpp takes for no limit', 'chat', json(chat({ max_tokens: -1 })), 'max_tokens'],
    ['n_predict of -1', 'chat', json(chat({ max_tokens: 5, n_predict: -1 })), 'n_predict'],
    [
      'max_tokens in exponent form',
      'chat',
      '{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":1e3}',
      'max_tokens',
    ],
    [
      'max_tokens beyond any integer',
      'chat',
      '{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":1e999}',
      'max_tokens',
    ],
    ['a chat template of the caller', 'chat', json(chat({ chat_template: '{{ x }}' })), 'chat_template'],
    [
      'a chat template inside of its arguments',
      'chat',
      json(chat({ chat_template_kwargs: { chat_template: 'x' } })),
      'chat_template_kwargs.chat_template',
    ],
    ['a template under another name', 'chat', json(chat({ instruction_template_str: '{{ x }}' })), 'template'],
    ['headers for the provider', 'chat', json(chat({ headers: { authorization: 'x' } })), 'headers'],
    ['a cloud’s endpoint', 'chat', json(chat({ aws_bedrock_runtime_endpoint: 'http://x' })), 'aws'],
    ['a cloud’s account', 'chat', json(chat({ aws_role_name: 'x' })), 'aws'],
    ['credentials', 'completions', json({ model: 'm', prompt: 'a', vertexCredentials: 'x' }), 'vertex'],
    [
      'fields that are left out',
      'chat',
      json(chat({ additional_drop_params: ['max_tokens'] })),
      'additional_drop_params',
    ],
    ['a gateway’s own fields', 'chat', json(chat({ litellm_metadata: {} })), 'litellm'],
    ['a stored prompt', 'chat', json(chat({ prompt_id: 'x' })), 'prompt_id'],
    ['a move to another server', 'chat', json(chat({ migration_request: {} })), 'migration_request'],
    ['other models to fall back to', 'chat', json(chat({ models: ['gpt-4'] })), 'models'],
    ['another adapter', 'completions', json({ model: 'm', prompt: 'a', lora_path: 'b' }), 'lora_path'],
    ['another server', 'chat', json(chat({ api_base: 'http://evil' })), 'api_base'],
    ['several models', 'chat', json(chat({ model: 'llama-3-none,gpt-4o' })), 'model'],
    ['the first of several models to answer', 'chat', json(chat({ fastest_response: true })), 'fastest_response'],
    [
      'settings of the router',
      'chat',
      json(chat({ router_settings_override: { fallbacks: [{ m: ['gpt-4o'] }] } })),
      'router_settings_override',
    ],
    ['a router of the caller', 'embeddings', json({ model: 'm', input: 'a', user_config: {} }), 'user_config'],
    ['fields over those that were read', 'chat', json(chat({ extra_body: { model: 'gpt-4o' } })), 'extra_body'],
    ['a deployment', 'completions', json({ model: 'm', prompt: 'a', deployment_id: 'b' }), 'deployment_id'],
    [
      'a cache of another server',
      'completions',
      json({ model: 'm', prompt: 'a', kv_transfer_params: { remote_host: 'b' } }),
      'kv_transfer_params',
    ],
    ['where the cache goes', 'chat', json(chat({ bootstrap_host: 'evil' })), 'bootstrap_host'],
    ["another's session", 'chat', json(chat({ session_params: { id: 'a' } })), 'session_params'],
    ['code for the server to run', 'chat', json(chat({ custom_logit_processor: 'x' })), 'custom_logit_processor'],
    ['no prompt', 'completions', json({ model: 'm' }), 'prompt'],
    ['a prompt of mixed kinds', 'completions', json({ model: 'm', prompt: ['a', 1] }), 'prompt[1]'],
    ['a prompt of fractions', 'completions', json({ model: 'm', prompt: [1.5] }), 'prompt'],
    ['a prompt nested too deeply', 'completions', json({ model: 'm', prompt: [[['a']]] }), 'prompt[0]'],
    ['no input', 'embeddings', json({ model: 'm' }), 'input'],
    ['a number as input', 'embeddings', json({ model: 'm', input: 4 }), 'input'],
    [
      'logit_bias of strings, without naming the key',
      'chat',
      json(chat({ logit_bias: { ana_smith: 'x' } })),
      'logit_bias',
    ],
  ])('%s', (_, kind, text, detail) => {
    expect(refused(kind, text)).toBe(detail);
  });

  it.each([0, '0s'])('that would unload the model for everybody is refused (keep_alive: %j)', (keep_alive) => {
    expect(
      refused('chat', JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'a' }], keep_alive })),
    ).toBe('keep_alive');
  });

  it.each([['a'], 7, { a: 'b' }, [5, 'a'], [[5], ['a']]])('whose token ids are %j, and none, is refused', (ids) => {
    expect(refused('completions', JSON.stringify({ model: 'm', prompt: 'a', prompt_token_ids: ids }))).toBe(
      'prompt_token_ids',
    );
  });

  it.each([
    [
      'null for what is not given',
      chat({ max_tokens: null, n: null, stream: null, stop: null, tools: null, stream_options: null }),
    ],
    ['chat template arguments', chat({ chat_template_kwargs: { enable_thinking: false } })],
    [
      'arguments as an object',
      chat({ messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: { a: 'b' } } }] }] }),
    ],
  ])('but not %s', (_, body) => {
    expect(refused('chat', JSON.stringify(body))).toBeUndefined();
  });
});

describe('an end that the caller chose', () => {
  it.each([
    ['stop', { stop: ['x'] }],
    ['a stop that another server knows', { stop_regex: 'x' }],
    ['tokens that end it', { stop_token_ids: [7] }],
    ['a token that is made likely', { logit_bias: { 128009: 20 } }],
    ['the same as a list', { logit_bias: [[128009, 20]] }],
    ['the only tokens that may come', { allowed_token_ids: [1, 2] }],
    ['words that may not come', { bad_words: ['6'] }],
    ['any field that the dialect does not have', { new_field: 1 }],
    ['a form that is no JSON', { response_format: { type: 'regex_schema' } }],
  ])('may cut a value: %s', (_, more) => {
    expect(read('chat', chat(more)).stops).toBe(true);
  });

  it.each([
    ['nothing', {}],
    ['an empty stop', { stop: [] }],
    ['no bias', { logit_bias: {}, allowed_token_ids: [], bad_words: null }],
    ['JSON', { response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {} } } }],
  ])('is none: %s', (_, more) => {
    expect(read('chat', chat(more)).stops).toBe(false);
  });
});

describe('the query of a request', () => {
  const judge = (kind: keyof typeof paths, query: string): (() => unknown) => {
    const route = recognise('POST', paths[kind]);
    const body = { chat: chat({}), completions: { model: 'm', prompt: 'a' }, embeddings: { model: 'm', input: 'a' } };
    const root = parseJson(JSON.stringify(body[kind]));
    return () => route.dialect.request(route, root, query);
  };
  const kinds = ['chat', 'completions', 'embeddings'] as const;

  it.each([
    'model=gpt-4o',
    '%6dodel=gpt-4o',
    'MODEL=gpt-4o',
    'api-version=1&model=gpt-4o',
    'api-version=1;model=gpt-4o',
    'api-version=1%26model=gpt-4o',
    'api%2Dversion=1',
    'api-version=1&api-version=2',
    'api-version',
    'api-version=',
    '&',
    'a=1',
    'stream=true',
  ])('%s is refused', (query) => {
    for (const kind of kinds)
      expect(judge(kind, query)).toThrow(
        expect.objectContaining({ code: 'invalid_request', detail: 'query' }) as unknown as Error,
      );
  });

  it.each(['', 'api-version=2024-10-21', 'api-version=2025-01-01-preview'])('but not "%s"', (query) => {
    for (const kind of kinds) expect(judge(kind, query)).not.toThrow();
  });
});

describe('limits of the output', () => {
  const limited = (text: string, limit: number): string => applyEdits(text, readText('chat', text).limitOutput(limit));
  const start = '{"model":"m", "messages":[{"role":"user","content":"a"}]';

  it.each([
    ['nothing given', `${start}}`, `{"max_tokens":100,${start.slice(1)}}`, undefined],
    ['null', `${start},"max_tokens" : null}`, `${start},"max_tokens" : 100}`, undefined],
    ['a small limit', `${start},"max_tokens":99}`, `${start},"max_tokens":99}`, 99],
    ['a large limit', `${start},"max_tokens": 101 }`, `${start},"max_tokens": 100 }`, 101],
    ['the newer field', `${start},"max_completion_tokens":5000}`, `${start},"max_completion_tokens":100}`, 5000],
    [
      'both, one small',
      `${start},"max_tokens":7,"max_completion_tokens":5000}`,
      `${start},"max_tokens":7,"max_completion_tokens":100}`,
      5000,
    ],
    [
      "llama.cpp's own, which wins there",
      `${start},"max_tokens":7,"n_predict":900}`,
      `${start},"max_tokens":7,"n_predict":100}`,
      900,
    ],
    [
      'the newer field beside null',
      `${start},"max_tokens":null,"max_completion_tokens":7}`,
      `${start},"max_tokens":null,"max_completion_tokens":7}`,
      7,
    ],
  ])('are set for %s, and every other byte stays', (_, text, expected, given) => {
    expect(limited(text, 100)).toBe(expected);
    expect(readText('chat', text).maxOutputTokens).toBe(given);
    expect(readText('chat', text).outputBound).toBe(given);
  });

  it.each([
    ...['n_predict', 'num_predict', 'max_new_tokens', 'max_output_tokens'],
    ...['max_tokens_to_sample', 'max_length', 'max_gen_len', 'maxTokens'],
  ])('are set beside %s, which another server ignores: it bounds nothing', (name) => {
    const first = `{"max_tokens":100,${start.slice(1)}`;
    expect(limited(`${start},"${name}":1}`, 100)).toBe(`${first},"${name}":1}`);
    expect(limited(`${start},"${name}":900}`, 100)).toBe(`${first},"${name}":100}`);
    expect(limited(`${start},"max_tokens":null,"${name}":1}`, 100)).toBe(`${start},"max_tokens":100,"${name}":1}`);
    const view = readText('chat', `${start},"${name}":900}`);
    expect([view.maxOutputTokens, view.outputBound]).toEqual([900, undefined]);
  });

  it('do not exist for embeddings', () => {
    const view = read('embeddings', { model: 'm', input: 'a' });
    expect(view.limitOutput(5)).toEqual([]);
    expect(view.askUsage()).toEqual([]);
  });

  it('count every answer that the model makes', () => {
    expect(read('completions', { model: 'm', prompt: 'a', n: 2, best_of: 5 }).count).toBe(5);
    expect(read('chat', chat({})).count).toBe(1);
  });

  it.each([
    ['a text', { prompt: 'a' }, 1],
    ['texts', { prompt: ['a', 'b', 'c'] }, 3],
    ['no text', { prompt: [] }, 1],
    ['token ids', { prompt: [1, 2, 3] }, 1],
    ['lists of token ids', { prompt: [[1, 2], [3]] }, 2],
    ['lists of token ids beside the prompt', { prompt: ['a'], prompt_token_ids: [[1], [2]] }, 3],
    ['embeddings', { prompt_embeds: ['AAAA', 'AAAA'] }, 2],
    ['several answers to each', { prompt: ['a', 'b', 'c'], n: 2, best_of: 4 }, 12],
    ['several by other names', { prompt: ['a', 'b'], num_return_sequences: 3, num_beams: 5 }, 10],
    ['very many', { prompt: Array.from({ length: 10_000 }, () => 'a'), n: 128, max_tokens: 4096 }, 1_280_000],
  ])('count every prompt of a completion: %s', (_, body, count) => {
    const view = read('completions', { model: 'm', ...body });
    expect(view.count).toBe(count);
  });

  it('stay those of one answer, however many prompts there are', () => {
    expect(read('completions', { model: 'm', prompt: ['a', 'b'], n: 2, max_tokens: 50 }).maxOutputTokens).toBe(50);
  });

  it('take one answer for embeddings and chats, which have one prompt or none', () => {
    expect(read('embeddings', { model: 'm', input: ['a', 'b'] }).count).toBe(1);
    expect(read('chat', chat({ prompt: ['a', 'b'] })).count).toBe(1);
  });
});

describe('usage at the end of a stream', () => {
  const start = '{"model":"m","messages":[{"role":"user","content":"a"}],"stream":true';
  const asked = (text: string): string => applyEdits(text, readText('chat', text).askUsage());

  it.each([
    ['no options', `${start}}`, `{"stream_options":{"include_usage":true},${start.slice(1)}}`, false],
    ['null options', `${start},"stream_options":null}`, `${start},"stream_options":{"include_usage":true}}`, false],
    ['empty options', `${start},"stream_options":{ }}`, `${start},"stream_options":{"include_usage":true }}`, false],
    [
      'other options',
      `${start},"stream_options":{"x":1}}`,
      `${start},"stream_options":{"include_usage":true,"x":1}}`,
      false,
    ],
    [
      'false',
      `${start},"stream_options":{"include_usage": false}}`,
      `${start},"stream_options":{"include_usage": true}}`,
      false,
    ],
    [
      'true',
      `${start},"stream_options":{"include_usage":true}}`,
      `${start},"stream_options":{"include_usage":true}}`,
      true,
    ],
  ])('is asked for with %s', (_, text, expected, usageAsked) => {
    expect(asked(text)).toBe(expected);
    expect(readText('chat', text).usageAsked).toBe(usageAsked);
    expect(readText('chat', expected).usageAsked).toBe(true);
  });

  it('is not asked for where nothing streams', () => {
    expect(read('chat', chat({})).askUsage()).toEqual([]);
  });

  it('and the output limit go into one request together', () => {
    const view = readText('chat', `${start}}`);
    expect(applyEdits(`${start}}`, [...view.limitOutput(5), ...view.askUsage()])).toBe(
      `{"max_tokens":5,"stream_options":{"include_usage":true},${start.slice(1)}}`,
    );
  });
});

describe('a request with a flood of fields', () => {
  it('is refused instead of stalling everybody else', () => {
    const many = Object.fromEntries(Array.from({ length: 250_000 }, (_, at) => [`k${at}`, 0]));
    expect(refused('chat', JSON.stringify(chat(many)))).toBe('body');
  });
});

describe('Azure’s routes name the model in the path', () => {
  const at = (path: string, body: object): RequestView => {
    const route = recognise('POST', path);
    return route.dialect.request(route, parseJson(JSON.stringify(body)), 'api-version=2026-02-01');
  };
  const path = '/openai/deployments/gpt-large/chat/completions';

  it('and the body may name it again', () => {
    expect(recognise('POST', path)).toMatchObject({ operation: 'Chat', model: 'gpt-large', generates: true });
    expect(at(path, { messages: [user] }).model).toBe('gpt-large');
    expect(at(path, chat({ model: 'gpt-large' })).model).toBe('gpt-large');
    expect(at(path, chat({ model: null })).model).toBe('gpt-large');
    expect(lanes(at(path, { messages: [user] }))).toEqual(['messages[0].content=hi']);
  });

  it('but no other', () => {
    for (const model of ['gpt-small', 'GPT-large', '', ['gpt-large'], 'gpt-large,gpt-small'])
      expect(() => at(path, chat({ model }))).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it.each([
    ['POST', '/openai/deployments/a/completions', 'Completions', 'a'],
    ['POST', '/openai/deployments/a%2Eb/embeddings', 'Embeddings', 'a.b'],
    ['GET', '/openai/deployments/a/chat/completions', 'Other', undefined],
    ['POST', '/openai/deployments/a/chat', 'Other', undefined],
    ['POST', '/openai/deployments//chat/completions', 'Other', undefined],
    ['POST', '/openai/deployments/a/b/chat/completions', 'Other', undefined],
    ['POST', '/openai/deployments/../chat/completions', 'Other', undefined],
    ['POST', '/openai/Deployments/a/chat/completions', 'Other', undefined],
    ['POST', '/openai/deployments/a/chat/completions/', 'Other', undefined],
  ])('%s %s is %s of %s', (method, of, operation, model) => {
    expect(recognise(method, of)).toMatchObject({ operation, model });
  });
});
