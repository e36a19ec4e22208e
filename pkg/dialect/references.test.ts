import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise } from './index.ts';
import { itemTypes } from './responses/request-shape.ts';

/**
 * What a request refers to and does not hold: what the server keeps (for whom, nobody knows: all callers have one credential there), another model,
 * another server, input of the model's that nobody can read. It is refused wherever it stands, and what clients send every day is not.
 */

/** Where the body is refused; undefined: it passes. */
function refusedAt(path: string, body: unknown): string | undefined {
  const route = recognise('POST', path);
  try {
    route.dialect.request(route, parseJson(JSON.stringify(body)), '');
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError && error.code === 'invalid_request') return error.detail;
    throw error;
  }
}

const user = (content: unknown): object[] => [{ role: 'user', content }];
const mcp = { type: 'mcp', server_label: 'x', server_url: 'https://evil.example/mcp', require_approval: 'never' };
const advisor = { type: 'advisor_20260301', name: 'advisor', model: 'other' };
const addition = { type: 'tool_addition', tool: { type: 'tool_definition', definition: advisor } };

const responses = (more: object): [string, object] => ['/v1/responses', { model: 'm', input: 'hi', ...more }];
const item = (one: object): [string, object] => responses({ input: [one, { role: 'user', content: 'go on' }] });
const shell = (environment: object): [string, object] => responses({ tools: [{ type: 'shell', environment }] });
const chat = (content: unknown, more: object = {}): [string, object] => [
  '/v1/chat/completions',
  { model: 'm', messages: user(content), ...more },
];
const part = (one: object): [string, object] => chat([one, { type: 'text', text: 'describe' }]);
const messages = (content: unknown, more: object = {}): [string, object] => [
  '/v1/messages',
  { model: 'm', max_tokens: 9, messages: user(content), ...more },
];
const gemini = (more: object): [string, object] => [
  '/v1beta/models/m:generateContent',
  { contents: [{ role: 'user', parts: [{ text: 'a' }] }], ...more },
];
const converse = (more: object, content: object[] = [{ text: 'a' }]): [string, object] => [
  '/model/m/converse',
  { messages: [{ role: 'user', content }], ...more },
];
const picture = `data:image/png;base64,${Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(30, 0x9c)]).toString('base64')}`;

test.each<[string, [string, object], string]>([
  // Another server.
  ['an MCP server among the tools', responses({ tools: [mcp] }), 'tools[0].type'],
  ['one without a type', responses({ tools: [{ server_url: 'https://evil.example' }] }), 'tools[0].server_url'],
  [
    'one in additional tools',
    item({ type: 'additional_tools', role: 'developer', tools: [mcp] }),
    'input[0].tools[0].type',
  ],
  ['one in what a search of tools gave', item({ type: 'tool_search_output', tools: [mcp] }), 'input[0].tools[0].type'],
  [
    'one in a namespace',
    responses({ tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'namespace', tools: [mcp] }] }] }),
    'tools[0].tools[0].tools[0].type',
  ],
  ['one of Chat', chat('a', { tools: [mcp] }), 'tools[0].type'],
  [
    'a store of Azure',
    [
      '/openai/deployments/m/chat/completions',
      {
        messages: user('a'),
        data_sources: [{ type: 'azure_search', parameters: { endpoint: 'https://evil.example' } }],
      },
    ],
    'data_sources',
  ],
  [
    'an address below a new field',
    chat('a', { new_field: [{ deep: { searchEndpoint: 'https://evil.example' } }] }),
    'endpoint',
  ],
  ['a key below a new field', chat('a', { new_field: { apiKey: 'k' } }), 'api_key'],
  [
    'a feed',
    chat('a', { search_parameters: { sources: [{ type: 'rss', links: ['https://a'] }] } }),
    'search_parameters.sources[0].links',
  ],
  ['a provider', chat('a', { provider: { only: ['x'] } }), 'provider'],
  ['a preset', chat('a', { preset: 'p' }), 'preset'],
  ['plugins', chat('a', { plugins: [{ id: 'web' }] }), 'plugins'],
  ['a deployment by tags', chat('a', { metadata: { tags: ['paid'] } }), 'metadata.tags'],
  [
    'a document by its address in Chat',
    part({ type: 'document_url', document_url: 'https://a' }),
    'messages[0].content[0].type',
  ],
  [
    'a document by its address',
    messages([{ type: 'document', source: { type: 'url', url: 'https://evil.example/a.pdf' } }]),
    'messages[0].content[0].source.url',
  ],
  [
    'one without a type of its source',
    messages([{ type: 'document', source: { url: 'https://evil.example/a.pdf' } }]),
    'messages[0].content[0].source.url',
  ],
  ["Gemini's search by a key", gemini({ tools: [{ exaAiSearch: { apiKey: 'k' } }] }), 'tools[0].exaAiSearch'],
  [
    'a key for maps',
    gemini({ tools: [{ googleMaps: { authConfig: { apiKeyConfig: {} } } }] }),
    'tools[0].googleMaps.auth',
  ],
  // Another model.
  ['an adviser', messages('a', { tools: [advisor] }), 'tools[0].model'],
  ['one that is added', messages([addition]), 'messages[0].content[0].tool.definition.model'],
  [
    'one that a compaction adds',
    messages([{ type: 'compaction', content: 'x', tool_changes: [addition] }]),
    'messages[0].content[0].tool_changes[0].tool.definition.model',
  ],
  [
    'one in what a tool gave',
    messages([{ type: 'tool_result', tool_use_id: 't', content: [addition] }]),
    'messages[0].content[0].content[0].tool.definition.model',
  ],
  [
    'one beside a Converse request',
    converse({ additionalModelRequestFields: { tools: [advisor] } }),
    'additionalModelRequestFields.tools[0].model',
  ],
  [
    'a model of pictures',
    item({ type: 'additional_tools', tools: [{ type: 'image_generation', model: 'o' }] }),
    'input[0].tools[0].model',
  ],
  ['a model of moderation', responses({ moderation: { model: 'o' } }), 'moderation.model'],
  ['a model below a new field', messages('a', { helper: { settings: { draftModel: 'o' } } }), 'model'],
  ['an adapter below a new field', chat('a', { extension: { lora_request: { id: 1 } } }), 'lora'],
  ['how a model lies in memory, through a gateway', chat('a', { num_ctx: 4096 }), 'num_ctx'],
  ['the same in an object', chat('a', { options: { num_gpu: 0 } }), 'num_gpu'],
  ['the same to Anthropic', messages('a', { options: { num_thread: 1 } }), 'num_thread'],
  ['an adapter by its path', chat('a', { adapters: 'finance/adapter' }), 'adapters'],
  ['an adapter of mlx-omni-server', messages('a', { adapter_path: 'finance/adapter' }), 'adapter_path'],
  ['an adapter of LoRAX', responses({ adapter_id: 'x', adapter_source: 'hub' }), 'adapter_id'],
  ['one of any other name', chat('a', { peft_path: 'x' }), 'peft'],
  ['adapters below a new field', chat('a', { extension: { activeAdapters: ['x'] } }), 'adapters'],
  // A request's own name, by which a server tells those that are at work apart.
  ["SGLang's name of a request", chat('a', { rid: 'of-another' }), 'rid'],
  [
    'pictures as texts of embeddings',
    ['/v1/embeddings', { model: 'm', input: 'https://evil.example/x.png', modality: 'image' }],
    'modality',
  ],
  ["vLLM's name of a request", chat('a', { request_id: 'of-another' }), 'request_id'],
  ['one of /generate', ['/generate', { text: 'a', rid: ['of-another'] }], 'rid'],
  ['one below a new field', messages('a', { extension: { request_id: 'of-another' } }), 'request_id'],
  // Pages that the server fetches and nobody here sees.
  [
    'a tool that fetches pages',
    messages('a', { tools: [{ type: 'web_fetch_20250910', name: 'web_fetch' }] }),
    'tools[0].type',
  ],
  ["Gemini's", gemini({ tools: [{ urlContext: {} }] }), 'tools[0].urlContext'],
  ['the same by its other name', gemini({ tools: [{ url_context: {} }] }), 'tools[0].url_context'],
  // What the server keeps.
  [
    'a container of another',
    shell({ type: 'container_reference', container_id: 'cntr_1' }),
    'tools[0].environment.type',
  ],
  ['one by its id alone', shell({ container_id: 'cntr_1' }), 'tools[0].environment.container_id'],
  ['files of a container', shell({ type: 'container_auto', file_ids: ['f'] }), 'tools[0].environment.file_ids'],
  [
    'a way out of a container',
    shell({ type: 'container_auto', network_policy: { type: 'allowlist' } }),
    'tools[0].environment.network_policy',
  ],
  [
    'skills',
    shell({ type: 'container_auto', skills: [{ type: 'skill_reference', skill_id: 's' }] }),
    'tools[0].environment.skills[0].type',
  ],
  ['skills without a type', shell({ skills: [{ skill_id: 's' }] }), 'tools[0].environment.skills[0].skill_id'],
  [
    'a container of a call',
    item({ type: 'shell_call', call_id: 'c', action: {}, environment: { container_id: 'c' } }),
    'input[0].environment.container_id',
  ],
  [
    'a store of vectors',
    item({ type: 'tool_search_output', tools: [{ vector_store_ids: ['v'] }] }),
    'input[0].tools[0].vector_store_ids',
  ],
  ['an item', item({ type: 'item_reference', id: 'i' }), 'input[0].id'],
  ['an item whose type is left out', item({ id: 'i' }), 'input[0].id'],
  ['a reasoning', item({ type: 'reasoning', id: 'rs_1', summary: [] }), 'input[0].id'],
  [
    'a reasoning by a summary',
    item({
      type: 'reasoning',
      id: 'rs_1',
      summary: [{ type: 'summary_text', text: 's' }],
      content: [],
      encrypted_content: null,
    }),
    'input[0].id',
  ],
  ['a picture', item({ type: 'image_generation_call', id: 'ig_1', status: 'completed', result: null }), 'input[0].id'],
  [
    'results of files',
    item({ type: 'file_search_call', id: 'fs_1', queries: ['q'], status: 'completed' }),
    'input[0].id',
  ],
  ['a search by its id', item({ type: 'web_search_call', id: 'ws_1', status: 'completed' }), 'input[0].id'],
  ['a list of tools', item({ type: 'mcp_list_tools', id: 'mcpl_1', server_label: 'x', tools: [] }), 'input[0].id'],
  [
    'a list of tools that say nothing',
    item({ type: 'tool_search_output', id: 'ts_1', tools: [{ type: 'function' }] }),
    'input[0].id',
  ],
  [
    'an approval of what another asked for',
    item({ type: 'mcp_approval_response', approval_request_id: 'mcpr_1', approve: true }),
    'input[0].approval_request_id',
  ],
  [
    'a reasoning that says nothing',
    item({ type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: '' }] }),
    'input[0].id',
  ],
  [
    'a message that says nothing',
    item({ id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: '', annotations: [] }] }),
    'input[0].id',
  ],
  ['a call by its id', item({ type: 'function_call', id: 'fc_1', call_id: 'c', name: 'f' }), 'input[0].id'],
  ['a screen', item({ type: 'computer_call_output', id: 'c_1', call_id: 'c', output: {} }), 'input[0].id'],
  ...itemTypes.map((type): [string, [string, object], string] => [
    `${type} by its id`,
    item({ type, id: 'x_1', status: 'completed', name: 'f', server_label: 's', summary: [] }),
    'input[0].id',
  ]),
  ['an item of a type that nobody knows', item({ type: 'memory', name: 'x' }), 'input[0].type'],
  ['a part of such a type', item({ role: 'user', content: [{ type: 'input_memory' }] }), 'input[0].content[0].type'],
  ['a file of Chat', part({ type: 'file', file: { file_id: 'f' } }), 'messages[0].content[0].file.file_id'],
  ['a spoken answer', chat('a', { messages: [{ role: 'assistant', audio: { id: 'a' } }] }), 'messages[0].audio.id'],
  ['a voice', chat('a', { audio: { voice: { id: 'v' }, format: 'wav' } }), 'audio.voice'],
  ["vLLM's picture", part({ type: 'image_url', image_url: null, uuid: 'img-1' }), 'messages[0].content[0].uuid'],
  [
    'the same to be embedded',
    ['/v1/embeddings', { model: 'm', messages: user([{ type: 'image_url', image_url: null, uuid: 'u' }]) }],
    'messages[0].content[0].uuid',
  ],
  [
    'the same to be scored',
    ['/score', { model: 'm', data_1: { content: [{ type: 'image_url', uuid: 'u' }] }, data_2: 'a' }],
    'data_1.content[0].uuid',
  ],
  ['pictures by their names', chat('a', { multi_modal_uuids: { image: ['u'] } }), 'multi_modal_uuids'],
  [
    'a file in a document',
    messages([{ type: 'document', source: { type: 'file', file_id: 'f' } }]),
    'messages[0].content[0].source.type',
  ],
  [
    'a file by its id alone',
    messages([{ type: 'document', source: { file_id: 'f' } }]),
    'messages[0].content[0].source.file_id',
  ],
  ['a file for a container', messages([{ type: 'container_upload', file_id: 'f' }]), 'messages[0].content[0].type'],
  [
    'a block of a type that nobody knows',
    messages([{ type: 'memory_load', name: 'x' }]),
    'messages[0].content[0].type',
  ],
  ['another answer', messages('a', { diagnostics: { previous_message_id: 'm' } }), 'diagnostics.previous_message_id'],
  [
    'a file of Bedrock',
    [
      '/model/m/invoke',
      {
        ...{ anthropic_version: 'bedrock-2023-05-31', max_tokens: 9 },
        messages: user([{ type: 'document', source: { file_id: 'f' } }]),
      },
    ],
    'messages[0].content[0].source.file_id',
  ],
  ['a kind of content that nobody knows', converse({}, [{ stored: { id: 'x' } }]), 'messages[0].content[0]'],
  ['what goes on from before', gemini({ continuationToken: 'AAAA' }), 'continuationToken'],
  [
    'a kind of part that nobody knows',
    gemini({ contents: [{ parts: [{ storedData: { id: 'x' } }] }] }),
    'contents[0].parts[0]',
  ],
  ...'conversation_id thread_id session_id sessionId chat_id assistant_id agent_ids cache_id slot_id parent_session_id threadid'
    .split(' ')
    .flatMap((name): [string, [string, object], string][] => {
      const word = name === 'sessionId' ? 'session_id' : name.replace('parent_', '');
      return [
        [`${name} of Chat`, chat('a', { [name]: 'x' }), word],
        [
          `${name} of a message`,
          chat('a', { messages: [{ role: 'user', content: 'a', [name]: 'x' }] }),
          `messages[0].${word}`,
        ],
        [`${name} below a new field of Responses`, responses({ extension: [{ [name]: 'x' }] }), word],
        [`${name} of Anthropic`, messages('a', { [name]: 7 }), word],
        [`${name} of Gemini`, gemini({ [name]: 'x' }), word],
        [
          `${name} of Converse`,
          converse({ additionalModelRequestFields: { [name]: 'x' } }),
          `additionalModelRequestFields.${word}`,
        ],
        [`${name} of Ollama`, ['/api/generate', { model: 'm', prompt: 'a', [name]: 'x' }], word],
        [`${name} of /generate`, ['/generate', { text: 'a', [name]: 'x' }], word],
        [`${name} of TGI`, ['/generate', { inputs: 'a', parameters: { [name]: 'x' } }], `parameters.${word}`],
        [`${name} of llama.cpp`, ['/completion', { prompt: 'a', [name]: 'x' }], word],
        [`${name} to rank`, ['/rerank', { query: 'a', documents: ['b'], [name]: 'x' }], word],
        [`${name} of speech`, ['/v1/audio/speech', { model: 'm', input: 'a', voice: 'v', [name]: 'x' }], word],
        [
          `${name} of KServe`,
          ['/v2/models/m/infer', { inputs: [], parameters: { [name]: 'x' } }],
          `parameters.${word}`,
        ],
      ];
    }),
  ...['num_retries', 'max_retries', 'guardrails', 'mock_response'].flatMap(
    (name): [string, [string, object], string][] => [
      [`${name} of LiteLLM in Chat`, chat('a', { [name]: 3 }), name],
      [`${name} of LiteLLM in Responses`, responses({ [name]: ['x'] }), name],
      [`${name} of LiteLLM in Anthropic`, messages('a', { [name]: 'x' }), name],
    ],
  ),
  ["another's cache", chat('a', { cache: { namespace: 'n' } }), 'cache.namespace'],
  ['guardrails by metadata', chat('a', { metadata: { guardrails: ['x'] } }), 'metadata.guardrails'],
  ['a server by metadata', messages('a', { metadata: { api_base: 'x' } }), 'metadata.api_base'],
  ['a place before everybody', chat('a', { priority: -1 }), 'priority'],
  ['the same, where more is sooner', ['/generate', { text: 'a', priority: 9 }], 'priority'],
  ['the same in words', ['/v1/embeddings', { model: 'm', input: 'a', priority: '9' }], 'priority'],
  ['the same in Responses', responses({ priority: -1 }), 'priority'],
  ['the same in Anthropic', messages('a', { priority: -1 }), 'priority'],
  [
    'the same of Cohere',
    ['/v2/chat', { model: 'm', messages: [{ role: 'user', content: 'a' }], priority: 9 }],
    'priority',
  ],
  ['the same of its embeddings', ['/v2/embed', { model: 'm', texts: ['a'], priority: 9 }], 'priority'],
  [
    'the same of Triton',
    ['/v2/models/m/generate', { text_input: 'a', parameters: { priority: 1 } }],
    'parameters.priority',
  ],
  [
    'the same of tensors',
    [
      '/v2/models/m/infer',
      { inputs: [{ name: 'a', shape: [1], datatype: 'FP32', data: [1] }], parameters: { priority: 1 } },
    ],
    'parameters.priority',
  ],
  ["llama.cpp's slot", ['/completion', { prompt: 'a', id_slot: 3 }], 'id_slot'],
  ['the same of Chat', chat('a', { id_slot: 0 }), 'id_slot'],
  ['the same in words', chat('a', { id_slot: '3' }), 'id_slot'],
  ['a file below a new field', chat('a', { attachments: [{ fileId: 'f' }] }), 'file_id'],
])('%s is refused', (_, [path, body], at) => {
  expect(refusedAt(path, body)).toBe(at);
});

describe('embeddings in the place of a picture are a prompt that cannot be read', () => {
  const tensor = Buffer.alloc(64, 7).toString('base64');
  test.each<[string, [string, object]]>([
    ['of a picture', part({ type: 'image_embeds', image_embeds: tensor })],
    ['of a picture, by names', part({ type: 'image_embeds', image_embeds: { image_embeds: tensor, grid: tensor } })],
    ['of a sound', part({ type: 'audio_embeds', audio_embeds: tensor })],
    ['of several', part({ type: 'image_embeds', image_embeds: [tensor] })],
    [
      'that SGLang takes',
      ['/generate', { text: 'a', image_data: [{ format: 'precomputed_embedding', feature: [[0.5, 1]] }] }],
    ],
  ])('%s', (_, [path, body]) => {
    const route = recognise('POST', path);
    expect(route.dialect.request(route, parseJson(JSON.stringify(body)), '').tokenInput).toBe(true);
  });
});

describe('a sound of which a format is said begins so, or is a text', () => {
  const sent = (format: string | undefined, data: Buffer): number => {
    const [path, body] = part({ type: 'input_audio', input_audio: { data: data.toString('base64'), format } });
    const route = recognise('POST', path);
    return route.dialect.request(route, parseJson(JSON.stringify(body)), '').opaque.length;
  };
  const noise = Buffer.from(Array.from({ length: 6000 }, (_, at) => (at * 7919 + (at >> 3)) % 251));
  const wav = Buffer.concat([Buffer.from('RIFF\x00\x10\x00\x00WAVEfmt ', 'latin1'), noise]);
  test.each<[string, string | undefined, Buffer, number]>([
    ['wav', 'wav', wav, 1],
    ['in capitals', 'WAV', wav, 1],
    ['bytes of nothing', 'wav', noise, 0],
    ['another format', 'mp3', wav, 0],
    ['no format', undefined, noise, 1],
  ])('%s', (_, format, data, opaque) => {
    expect(sent(format, data)).toBe(opaque);
  });
});

test.each<[string, [string, object]]>([
  [
    'an approval of what the request asks for',
    responses({
      input: [
        { type: 'mcp_approval_request', id: 'r_1', arguments: '{}', name: 'f', server_label: 's' },
        { type: 'mcp_approval_response', id: 'a_1', approval_request_id: 'r_1', approve: false },
      ],
    }),
  ],
  ['what a tool gave, which was nothing', item({ type: 'function_call_output', id: 'o_1', call_id: 'c', output: '' })],
  [
    'a screen that was asked for',
    item({ type: 'computer_call', id: 'c_1', call_id: 'c', action: { type: 'screenshot' } }),
  ],
  ['the usual place of Cohere', ['/v2/chat', { model: 'm', messages: [{ role: 'user', content: 'a' }], priority: 0 }]],
  ['how long it waits in a queue', ['/v2/models/m/generate', { text_input: 'a', parameters: { timeout: 1_000 } }]],
  ['the usual place', chat('a', { priority: 0, cache: { 'no-cache': true } })],
  ['any slot', ['/completion', { prompt: 'a', id_slot: -1 }]],
  ['labels of the caller’s own', chat('a', { metadata: { session_id: 's', conversation_id: 'c' } })],
  ['what a tool is called with', messages([{ type: 'tool_use', id: 't', name: 'f', input: { thread_id: 't' } }])],
  [
    'a tool with an address in its schema',
    chat('a', {
      tools: [
        {
          type: 'function',
          function: {
            name: 'f',
            parameters: { type: 'object', properties: { url: { type: 'string' }, model: {}, file_id: {} } },
          },
        },
      ],
    }),
  ],
  [
    'its call',
    chat('a', {
      messages: [
        {
          role: 'assistant',
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"url":"x"}' } }],
        },
        { role: 'tool', tool_call_id: 'c', content: 'ok' },
      ],
    }),
  ],
  ['a schema of an extension', chat('a', { nvext: { guided_json: { properties: { endpoint: {}, model: {} } } } })],
  ["TGI's schema", chat('a', { response_format: { type: 'json', value: { properties: { url: {} } } } })],
  ['metadata', chat('a', { metadata: { url: 'https://a', model: 'x', file_id: 'y' } })],
  [
    'what an answer rested on',
    chat('a', {
      messages: [
        {
          role: 'assistant',
          content: 'b',
          annotations: [
            { type: 'url_citation', url_citation: { url: 'https://a', title: 't', start_index: 0, end_index: 1 } },
          ],
        },
        ...user('c'),
      ],
    }),
  ],
  ['a picture by its address', part({ type: 'image_url', image_url: { url: 'https://a/b.png', detail: 'low' } })],
  ['a picture', part({ type: 'image_url', image_url: { url: picture } })],
  ['a file by its bytes', part({ type: 'file', file: { filename: 'a.png', file_data: picture } })],
  [
    'thinking that is switched off',
    chat('a', { chat_template_kwargs: { enable_thinking: false }, reasoning: { effort: 'low' } }),
  ],
  [
    'a search',
    chat('a', { web_search_options: { user_location: { type: 'approximate', approximate: { city: 'x' } } } }),
  ],
  ['a search of xAI', chat('a', { search_parameters: { mode: 'auto', sources: [{ type: 'web' }] } })],
  ['fields that say nothing', chat('a', { data_sources: null, new_field: { file_id: null, model: null } })],
  ['a part of Mistral', part({ type: 'reference', reference_ids: [1] })],
  [
    'a search of Responses',
    responses({
      tools: [
        { type: 'web_search', filters: { allowed_domains: ['a'] }, user_location: { type: 'approximate', city: 'x' } },
      ],
    }),
  ],
  [
    'a shell of the caller',
    responses({
      tools: [{ type: 'shell', environment: { type: 'local', skills: [{ name: 's', description: 'd', path: '/a' }] } }],
    }),
  ],
  [
    'a computer',
    responses({
      tools: [{ type: 'computer_use_preview', display_width: 1, display_height: 1, environment: 'browser' }],
    }),
  ],
  [
    'code in a container of its own',
    responses({ tools: [{ type: 'code_interpreter', container: { type: 'auto', memory_limit: '1g' } }] }),
  ],
  [
    'a namespace',
    responses({
      tools: [
        { type: 'namespace', name: 'n', description: 'd', tools: [{ type: 'function', name: 'f', parameters: {} }] },
      ],
    }),
  ],
  ['reasoning that is encrypted', item({ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA' })],
  [
    'reasoning of an open model',
    item({ type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'a' }] }),
  ],
  [
    'an earlier answer',
    item({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [
        {
          type: 'output_text',
          text: 'a',
          annotations: [{ type: 'url_citation', url: 'https://a', title: 't', start_index: 0, end_index: 1 }],
          logprobs: [],
        },
      ],
    }),
  ],
  ['an earlier call', item({ id: 'fc_1', type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' })],
  [
    'an earlier search',
    item({ id: 'ws_1', type: 'web_search_call', status: 'completed', action: { type: 'open_page', url: 'https://a' } }),
  ],
  ['a search of tools', item({ type: 'tool_search_call', arguments: { query: 'x' }, execution: 'client' })],
  [
    'a picture of Responses by its address',
    item({ role: 'user', content: [{ type: 'input_image', image_url: 'https://a/b.png', detail: 'auto' }] }),
  ],
  [
    'tools of Anthropic',
    messages('a', {
      tools: [
        { name: 'f', input_schema: { properties: { url: {} } } },
        {
          type: 'web_search_20250305',
          name: 'web_search',
          max_uses: 2,
          user_location: { type: 'approximate', city: 'x' },
        },
        { type: 'bash_20250124', name: 'bash' },
        { type: 'tool_search_tool_regex', name: 't' },
      ],
    }),
  ],
  [
    'what a search found',
    messages([
      {
        type: 'web_search_tool_result',
        tool_use_id: 't',
        content: [{ type: 'web_search_result', url: 'https://a', title: 't', encrypted_content: 'x', page_age: null }],
      },
    ]),
  ],
  [
    'what a page held',
    messages([
      {
        type: 'web_fetch_tool_result',
        tool_use_id: 't',
        content: {
          type: 'web_fetch_result',
          url: 'https://a',
          content: { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'a' } },
        },
      },
    ]),
  ],
  [
    'what code made',
    messages([
      {
        type: 'bash_code_execution_tool_result',
        tool_use_id: 't',
        content: {
          type: 'bash_code_execution_result',
          stdout: '',
          stderr: '',
          return_code: 0,
          content: [{ type: 'bash_code_execution_output', file_id: 'f' }],
        },
      },
    ]),
  ],
  [
    'a picture of Anthropic by its address',
    messages([{ type: 'image', source: { type: 'url', url: 'https://a/b.png' } }]),
  ],
  [
    'a search result of the caller',
    messages([{ type: 'search_result', source: 'https://a', title: 't', content: [{ type: 'text', text: 'a' }] }]),
  ],
  [
    'the input of a tool',
    messages([{ type: 'tool_use', id: 't', name: 'f', input: { url: 'x', model: 'y', file_id: 'z' } }]),
  ],
  [
    'a tool that is added',
    messages([
      { type: 'tool_addition', tool: { type: 'tool_definition', definition: { name: 'f', input_schema: {} } } },
    ]),
  ],
  [
    'tools of Gemini',
    gemini({
      tools: [
        { googleSearch: {} },
        { codeExecution: {} },
        { functionDeclarations: [{ name: 'f', parameters: { properties: { url: {} } } }] },
      ],
      generationConfig: { speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: 'Kore' } } } },
    }),
  ],
  [
    'what a tool gave to Gemini',
    gemini({ contents: [{ parts: [{ functionResponse: { name: 'f', response: { url: 'x', model: 'y' } } }] }] }),
  ],
  [
    'thinking beside a Converse request',
    converse({
      additionalModelRequestFields: {
        thinking: { type: 'enabled', budget_tokens: 1024 },
        tools: [{ type: 'bash_20250124', name: 'bash' }],
      },
    }),
  ],
  [
    'a document of Cohere',
    ['/v2/chat', { model: 'm', messages: user('a'), documents: [{ data: { url: 'https://a', title: 't' } }] }],
  ],
  ['the same of Chat', chat('a', { documents: [{ url: 'https://a', text: 'b' }] })],
  ['instances of KServe', ['/v1/models/m:predict', { instances: [{ url: 'x', model: 'y' }] }]],
  ['their columns', ['/v1/models/m:predict', { inputs: { url: ['x'], model: ['y'] } }]],
  ['a picture of SGLang', ['/generate', { text: 'a', image_data: [{ url: 'https://a/b.png' }, 'https://a/c.png'] }]],
])('%s passes', (_, [path, body]) => {
  expect(refusedAt(path, body)).toBeUndefined();
});

test.each([
  '/v1/realtime/client_secrets',
  '/openai/v1/realtime/calls',
  '/v1/realtime/sessions',
  '/v1/realtime/transcription_sessions',
  '/openai/realtimeapi/sessions',
  '/v1/chatkit/sessions',
  '/v1alpha/auth_tokens',
  '/sts/v1.0/issueToken',
])('a key of minutes, or a call past the sidecar, is for those who manage the server: %s', (path) => {
  expect(recognise('POST', path).operation).toBe('Admin');
});
