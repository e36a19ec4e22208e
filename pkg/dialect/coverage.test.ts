import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonNode } from '../base/index.ts';
import { parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { describedRoutes, recognise, recogniseSocket } from './index.ts';
import type { AnswerView, RequestView, Route } from './index.ts';

/** The promise that everything rests on: nothing in a body is unseen, and nothing is seen twice. */

/** Keys that are not reported because they are the dialects' own words: learnt here by their spelling alone. */
const strange = /ZZ/;

interface Seen {
  readonly strings: Map<string, number>;
  readonly keys: Map<string, number>;
}

function count(map: Map<string, number>, text: string): void {
  map.set(text, (map.get(text) ?? 0) + 1);
}

/** All strings and keys below a node. */
function collect(node: JsonNode, into: Seen): Seen {
  if (node.kind === 'string') count(into.strings, node.text);
  if (node.kind !== 'object' && node.kind !== 'array') return into;
  node.keys.forEach((key) => count(into.keys, key.text));
  node.items.forEach((item) => collect(item, into));
  return into;
}

const nothing = (): Seen => ({ strings: new Map(), keys: new Map() });

/** Of log-probabilities a token lane stands for the tokens alone. */
function countTokens(entry: JsonNode, into: Seen): void {
  const token = entry.get('token');
  if (token !== undefined) count(into.strings, token.text);
  for (const other of entry.get('top_logprobs')?.items ?? []) countTokens(other, into);
}

function seenBy(view: RequestView | AnswerView): Seen {
  const seen = nothing();
  for (const lane of view.lanes) count(seen.strings, lane.node.text);
  for (const value of view.loneValues) count(value.key ? seen.keys : seen.strings, value.node.text);
  for (const node of view.opaque) count(seen.strings, node.text);
  if ('tokenLanes' in view) {
    for (const { nodes } of view.joined ?? []) for (const node of nodes) count(seen.strings, node.text);
    for (const node of view.integerArrays) collect(node, seen);
    for (const { node, shape } of view.tokenLanes)
      if (shape === 'entries') for (const entry of node.items) countTokens(entry, seen);
  }
  return seen;
}

/** Words that say what stands beside them. */
const telling = new Set([
  '',
  ...[
    'BYTES INT64 FP32 BOOL input_ids output_ids function text image_url tool_use tool_result thinking document image base64 url',
    'input_text output_text input_image refusal message reasoning function_call function_call_output web_search_call image/png application/pdf',
  ]
    .join(' ')
    .split(' '),
]);

/** Strings are made unique, so that each is found or missed by itself. */
function unique(value: unknown, next: { at: number }): unknown {
  if (typeof value === 'string') return telling.has(value) ? value : `${value}~${next.at++}`;
  if (Array.isArray(value)) return value.map((one) => unique(one, next));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, unique(one, next)]));
}

function expectAllSeen(body: unknown, view: (root: JsonNode) => RequestView | AnswerView): boolean {
  const root = parseJson(JSON.stringify(body));
  let found: RequestView | AnswerView;
  try {
    found = view(root);
  } catch (error) {
    // Refused as a whole is seen, too.
    if (error instanceof RefusedError) return false;
    throw error;
  }
  const all = collect(root, nothing());
  const seen = seenBy(found);
  for (const [text, times] of all.strings) {
    if (text !== '' && seen.strings.get(text) !== times) throw new Error(`${text}: ${seen.strings.get(text)} times`);
  }
  for (const [key, times] of all.keys) {
    if (strange.test(key) && seen.keys.get(key) !== times) throw new Error(`${key}: ${seen.keys.get(key)} times`);
  }
  return true;
}

/** None by which a request is refused wherever it is a stranger (references.test.ts): most would be. */
const words = (
  'id object choices index delta message content role text refusal reasoning reasoning_content reasoning_details tool_calls ' +
  'function name arguments custom input function_call audio data transcript annotations finish_reason stop_reason usage ' +
  'error type param code details metadata system_fingerprint parts messages prompt stop tools parameters description ' +
  'properties response_format json_schema schema file file_data input_audio documents prediction user tool_call_id token_ids ' +
  'prompt_logprobs x extra ZZsecret ZZother embedding'
).split(' ');

const key = fc.constantFrom(...words);
const leaf = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom('a', 'text', 'stop', 'data:image/png;base64,AAAA', 'data:text/plain,hi', 'ZZ', ''),
  },
  fc.integer({ min: -2, max: 9 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 10 }),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
  ),
}));
const dictionary = fc.dictionary(key, tree, { maxKeys: 5 });

/** Likely shapes with random things in likely places: purely random bodies would mostly be refused. */
const delta = fc.record(
  {
    role: fc.constant('assistant'),
    content: fc.oneof(fc.constant('hi'), tree),
    refusal: tree,
    reasoning_content: tree,
    reasoning_details: fc.array(dictionary, { maxLength: 2 }),
    tool_calls: fc.array(
      fc.oneof(dictionary, fc.record({ index: fc.nat({ max: 3 }), function: dictionary, ZZcall: tree })),
      { maxLength: 3 },
    ),
    audio: dictionary,
    annotations: fc.array(dictionary, { maxLength: 2 }),
    ZZfield: tree,
  },
  { requiredKeys: [] },
);
const choice = fc.record(
  {
    index: fc.nat({ max: 3 }),
    delta,
    message: delta,
    text: tree,
    finish_reason: fc.constantFrom('stop', 'length', null),
    logprobs: fc.oneof(fc.constant(null), dictionary),
    prompt_logprobs: fc.array(tree, { maxLength: 3 }),
    token_ids: fc.array(fc.nat(), { maxLength: 3 }),
    ZZchoice: tree,
  },
  { requiredKeys: [] },
);
const answer = fc.record(
  {
    id: fc.constant('c'),
    choices: fc.array(choice, { minLength: 1, maxLength: 3 }),
    error: tree,
    usage: fc.oneof(fc.constant({ prompt_tokens: 1, completion_tokens: 2 }), tree),
    ZZtop: tree,
  },
  { requiredKeys: ['choices'] },
);
const part = fc.oneof(
  dictionary,
  fc.record({ type: fc.constant('text'), text: fc.constant('words'), ZZpart: tree }),
  fc.record({ type: fc.constant('image_url'), image_url: fc.record({ url: leaf, ZZimage: tree }) }),
);
const message = fc.record(
  {
    role: fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool', 'function', 'ZZrole'),
    content: fc.oneof(fc.constant('hi'), fc.array(part, { maxLength: 3 })),
    name: fc.constant('n'),
    tool_call_id: fc.constant('t'),
    tool_calls: fc.array(
      fc.record({ id: fc.constant('i'), function: fc.record({ name: fc.constant('f'), arguments: tree }) }),
      {
        maxLength: 2,
      },
    ),
    ZZmessage: tree,
  },
  { requiredKeys: ['role'] },
);
const request = fc.record(
  {
    model: fc.constant('m'),
    messages: fc.array(message, { minLength: 1, maxLength: 3 }),
    tools: fc.array(
      fc.record({
        type: fc.constant('function'),
        function: fc.record({ name: fc.constant('f'), parameters: tree }),
        ZZtool: tree,
      }),
      { maxLength: 2 },
    ),
    response_format: fc.record({ type: fc.constant('json_schema'), json_schema: fc.record({ schema: tree }) }),
    metadata: dictionary,
    stop: fc.array(fc.constant('halt'), { maxLength: 2 }),
    documents: fc.array(tree, { maxLength: 2 }),
    guided_json: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['model', 'messages'] },
);

const block = fc.oneof(
  dictionary,
  fc.record(
    {
      type: fc.constantFrom('text', 'tool_use', 'tool_result', 'thinking', 'document', 'image', 'ZZtype'),
      text: fc.constant('words'),
      input: tree,
      content: tree,
      citations: fc.oneof(dictionary, fc.array(dictionary, { maxLength: 2 })),
      source: fc.oneof(
        tree,
        fc.record({
          type: fc.constantFrom('base64', 'text', 'url'),
          media_type: fc.constantFrom('image/png', 'text/plain'),
          data: leaf,
          url: leaf,
        }),
      ),
      ZZblock: tree,
    },
    { requiredKeys: ['type'] },
  ),
);
const messages = fc.record(
  {
    model: fc.constant('m'),
    messages: fc.array(
      fc.record({ role: fc.constant('user'), content: fc.oneof(fc.constant('hi'), fc.array(block, { maxLength: 3 })) }),
      { minLength: 1, maxLength: 2 },
    ),
    system: fc.oneof(fc.constant('s'), fc.array(block, { maxLength: 2 })),
    tools: fc.array(fc.record({ name: fc.constant('f'), input_schema: tree, ZZtool: tree }), { maxLength: 2 }),
    metadata: dictionary,
    ZZtop: tree,
  },
  { requiredKeys: ['model', 'messages'] },
);
const anthropicAnswer = fc.record(
  {
    type: fc.constant('message'),
    content: fc.array(block, { maxLength: 3 }),
    stop_reason: fc.constantFrom('end_turn', 'max_tokens', null),
    usage: tree,
    error: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['content'] },
);
const anthropicEvent = fc.record(
  {
    type: fc.constantFrom(
      'message_start',
      'content_block_start',
      'content_block_delta',
      'message_delta',
      'ping',
      'error',
    ),
    index: fc.nat({ max: 3 }),
    message: fc.oneof(anthropicAnswer, tree),
    content_block: block,
    delta: fc.oneof(block, fc.record({ partial_json: fc.constant('{"a'), citation: dictionary }), tree),
    usage: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['type'] },
);

const ollamaMessage = fc.record(
  {
    role: fc.constant('assistant'),
    content: fc.oneof(fc.constant('hi'), tree),
    thinking: tree,
    images: fc.array(leaf, { maxLength: 2 }),
    tool_calls: fc.array(
      fc.record({ function: fc.record({ name: fc.constant('f'), arguments: tree, index: fc.nat() }), ZZcall: tree }),
      { maxLength: 2 },
    ),
    ZZmessage: tree,
  },
  { requiredKeys: ['role'] },
);
const ollamaRequest = fc.record(
  {
    model: fc.constant('m'),
    messages: fc.array(ollamaMessage, { minLength: 1, maxLength: 2 }),
    tools: fc.array(fc.record({ function: fc.record({ name: fc.constant('f'), parameters: tree }), ZZtool: tree }), {
      maxLength: 2,
    }),
    format: tree,
    options: fc.record({ stop: fc.array(fc.constant('halt'), { maxLength: 2 }), ZZoption: tree }, { requiredKeys: [] }),
    keep_alive: fc.constantFrom('5m', 3),
    ZZtop: tree,
  },
  { requiredKeys: ['model', 'messages', 'keep_alive'] },
);
const ollamaAnswer = fc.record(
  {
    model: fc.constant('m'),
    message: ollamaMessage,
    response: fc.constant('hi'),
    thinking: tree,
    tool_calls: fc.array(dictionary, { maxLength: 2 }),
    context: fc.array(fc.nat(), { maxLength: 10 }),
    done: fc.boolean(),
    done_reason: fc.constantFrom('stop', 'length'),
    error: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['message', 'response'] },
);
const ollamaList = fc.record({
  models: fc.array(fc.record({ name: fc.constant('m'), details: tree, ZZmodel: tree }), { maxLength: 3 }),
  ZZtop: tree,
});

const responsesPart = fc.oneof(
  dictionary,
  fc.record(
    {
      type: fc.constantFrom('input_text', 'output_text', 'input_image', 'refusal'),
      text: fc.constant('words'),
      annotations: fc.array(dictionary, { maxLength: 2 }),
      image_url: leaf,
      ZZpart: tree,
    },
    { requiredKeys: ['type'] },
  ),
);
const responsesItem = fc.record(
  {
    type: fc.constantFrom('message', 'reasoning', 'function_call', 'function_call_output', 'web_search_call', 'ZZtype'),
    role: fc.constant('user'),
    content: fc.oneof(fc.constant('hi'), fc.array(responsesPart, { maxLength: 2 })),
    summary: fc.array(fc.record({ type: fc.constant('summary_text'), text: fc.constant('s') }), { maxLength: 2 }),
    arguments: fc.constant('{"a":1}'),
    output: fc.oneof(fc.constant('o'), fc.array(responsesPart, { maxLength: 2 })),
    action: dictionary,
    result: leaf,
    tools: fc.array(dictionary, { maxLength: 2 }),
    ZZitem: tree,
  },
  { requiredKeys: ['type', 'content'] },
);
const realtimeItem = fc.record(
  {
    id: fc.constant('i'),
    type: fc.constantFrom('message', 'function_call', 'function_call_output', 'ZZtype'),
    role: fc.constantFrom('user', 'assistant', 'system'),
    status: fc.constantFrom('completed', 'in_progress', 'incomplete'),
    content: fc.array(
      fc.record(
        {
          ...{ type: fc.constant('input_text'), text: fc.constant('words'), transcript: fc.constantFrom('', 'heard') },
          ...{ audio: fc.constantFrom('nJyc', 'aGVsbG8gd29ybGQ='), image_url: leaf, ZZpart: tree },
        },
        { requiredKeys: ['type'] },
      ),
      { maxLength: 2 },
    ),
    arguments: fc.constant('{"a":1}'),
    output: fc.constant('o'),
    ZZitem: tree,
  },
  { requiredKeys: ['id', 'type'] },
);
const realtimeSession = fc.record(
  {
    type: fc.constant('realtime'),
    instructions: fc.constant('do'),
    audio: fc.record({ input: fc.record({ transcription: fc.record({ prompt: fc.constant('p') }) }) }),
    tools: fc.array(dictionary, { maxLength: 2 }),
    tool_choice: fc.constant('auto'),
    max_output_tokens: fc.constant(9),
    ZZsession: tree,
  },
  { requiredKeys: [] },
);
const realtimeRequest = fc.record(
  {
    type: fc.constantFrom(
      ...['session.update', 'conversation.item.create', 'input_audio_buffer.append', 'response.create'],
      ...['response.cancel', 'conversation.item.truncate'],
    ),
    session: realtimeSession,
    item: realtimeItem,
    audio: fc.constantFrom('nJyc', 'aGVsbG8gd29ybGQ='),
    response: fc.record({ input: fc.array(realtimeItem, { maxLength: 2 }), metadata: tree, ZZresponse: tree }),
    item_id: leaf,
    ZZtop: tree,
  },
  { requiredKeys: ['type', 'session'] },
);
const realtimeEvent = fc.record(
  {
    type: fc.constantFrom(
      ...['response.output_text.delta', 'response.output_text.done', 'response.output_audio_transcript.delta'],
      ...['response.output_audio.delta', 'response.output_item.added', 'conversation.item.done', 'session.updated'],
      ...['response.content_part.added', 'response.content_part.done', 'response.created', 'response.done', 'error'],
      ...['conversation.item.input_audio_transcription.completed', 'rate_limits.updated', 'ZZtype'],
    ),
    item_id: fc.constant('i'),
    response_id: fc.constant('r'),
    delta: fc.oneof(fc.constant('words'), leaf),
    text: fc.constant('said'),
    transcript: fc.constant('heard'),
    item: realtimeItem,
    part: fc.oneof(dictionary, fc.record({ type: fc.constant('text'), text: fc.constant('t'), ZZpart: tree })),
    session: fc.oneof(realtimeSession, dictionary),
    response: fc.record(
      {
        ...{ id: fc.constant('r'), status: fc.constant('completed'), output: fc.array(realtimeItem, { maxLength: 2 }) },
        ...{ metadata: tree, ZZresponse: tree },
      },
      { requiredKeys: ['id'] },
    ),
    error: fc.oneof(fc.constant(null), dictionary),
    ZZtop: tree,
  },
  { requiredKeys: ['type', 'item_id'] },
);
const responsesRequest = fc.record(
  {
    model: fc.constant('m'),
    input: fc.oneof(fc.constant('hi'), fc.array(responsesItem, { minLength: 1, maxLength: 2 })),
    instructions: fc.constant('be kind'),
    tools: fc.array(
      fc.record({ type: fc.constant('function'), name: fc.constant('f'), parameters: tree, ZZtool: tree }),
      {
        maxLength: 2,
      },
    ),
    metadata: dictionary,
    ZZtop: tree,
  },
  { requiredKeys: ['model', 'input'] },
);
const responsesAnswer = fc.record(
  {
    object: fc.constant('response'),
    status: fc.constantFrom('completed', 'incomplete'),
    output: fc.array(responsesItem, { maxLength: 3 }),
    instructions: tree,
    tools: fc.array(tree, { maxLength: 2 }),
    metadata: dictionary,
    error: tree,
    usage: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['output'] },
);
const responsesEvent = fc.record(
  {
    type: fc.constantFrom(
      ...['created', 'completed', 'incomplete', 'failed', 'output_item.added', 'output_item.done', 'content_part.done'],
      ...['output_text.delta', 'output_text.done', 'function_call_arguments.done', 'output_text.annotation.added'],
      ...['shell_call_output_content.delta', 'web_search_call.searching', 'image_generation_call.partial_image'],
    ),
    output_index: fc.nat({ max: 3 }),
    content_index: fc.nat({ max: 3 }),
    response: responsesAnswer,
    item: responsesItem,
    part: responsesPart,
    delta: fc.oneof(fc.constant('hi'), tree),
    text: fc.constant('hi'),
    arguments: fc.constant('{}'),
    annotation: dictionary,
    partial_image_b64: leaf,
    logprobs: fc.constantFrom([], [{ token: 'a', logprob: -1 }]),
    ZZtop: tree,
  },
  { requiredKeys: ['type', 'response'] },
);

/** Values that are no strings where a number is expected, and now and then something else. */
const mostly = (usual: unknown): fc.Arbitrary<unknown> => fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, tree);

const tgiRequest = fc.record(
  {
    inputs: fc.constant('hi'),
    parameters: fc.record(
      {
        stop: fc.array(fc.constant('halt'), { maxLength: 2 }),
        grammar: fc.record({ type: fc.constant('json'), value: tree }),
        best_of: fc.constant(2),
        ZZparameter: tree,
      },
      { requiredKeys: [] },
    ),
    ZZtop: tree,
  },
  { requiredKeys: ['inputs'] },
);
const sglangRequest = fc.record(
  {
    text: fc.oneof(fc.constant('hi'), fc.array(fc.constant('hi'), { maxLength: 3 })),
    sampling_params: fc.record(
      { stop: fc.constant('halt'), json_schema: tree, custom_params: tree, ZZparameter: tree },
      { requiredKeys: [] },
    ),
    image_data: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['text'] },
);
const tgiToken = fc.record(
  { id: mostly(5), text: fc.constant('hi'), logprob: mostly(-0.5), special: fc.boolean(), ZZtoken: tree },
  { requiredKeys: ['text'] },
);
const tgiDetails = fc.record(
  {
    finish_reason: fc.constantFrom('eos_token', 'length'),
    generated_tokens: mostly(3),
    prefill: fc.array(tgiToken, { maxLength: 2 }),
    tokens: fc.oneof(fc.array(tgiToken, { maxLength: 3 }), tree),
    top_tokens: fc.array(fc.array(tgiToken, { maxLength: 2 }), { maxLength: 2 }),
    best_of_sequences: fc.oneof(
      fc.constant(null),
      fc.array(fc.record({ generated_text: fc.constant('hi'), tokens: tree, ZZsequence: tree }), { maxLength: 2 }),
      tree,
    ),
    ZZdetail: tree,
  },
  { requiredKeys: [] },
);
const tgiAnswer = fc.record(
  { generated_text: fc.constant('hi'), details: fc.oneof(tgiDetails, tree), error: mostly(null), ZZtop: tree },
  { requiredKeys: ['generated_text'] },
);
const tgiEvent = fc.record(
  {
    token: fc.oneof({ weight: 6, arbitrary: tgiToken }, tree),
    top_tokens: fc.oneof(fc.array(tgiToken, { maxLength: 2 }), tree),
    generated_text: fc.oneof(fc.constant(null), fc.constant('hi'), tree),
    details: fc.oneof(fc.constant(null), tgiDetails),
    error: mostly(null),
    ZZtop: tree,
  },
  { requiredKeys: ['token'] },
);
const sglangAnswer = fc.record(
  {
    text: fc.constant('hi'),
    output_ids: fc.oneof(fc.array(fc.nat(), { maxLength: 3 }), tree),
    meta_info: fc.record(
      {
        finish_reason: fc.oneof(fc.record({ type: fc.constant('stop'), matched: tree, ZZreason: tree }), tree),
        output_token_logprobs: tree,
        hidden_states: tree,
        ZZmeta: tree,
      },
      { requiredKeys: [] },
    ),
    ZZtop: tree,
  },
  { requiredKeys: ['text', 'meta_info'] },
);

const llamaPrompt = fc.oneof(
  fc.constant('hi'),
  fc.array(
    fc.oneof(
      fc.constant('hi'),
      fc.nat(),
      fc.record({ prompt_string: fc.constant('hi'), multimodal_data: fc.array(leaf, { maxLength: 1 }) }),
    ),
    {
      maxLength: 3,
    },
  ),
  tree,
);
const llamaRequest = fc.record(
  {
    prompt: llamaPrompt,
    input_prefix: fc.constant('hi'),
    input_suffix: fc.constant('hi'),
    input_extra: fc.array(fc.record({ filename: fc.constant('f'), text: fc.constant('t'), ZZextra: tree }), {
      maxLength: 2,
    }),
    stop: fc.array(fc.constant('halt'), { maxLength: 2 }),
    json_schema: tree,
    samplers: fc.constant(['top_k']),
    ZZtop: tree,
  },
  { requiredKeys: ['prompt', 'input_prefix', 'input_suffix'] },
);
const llamaAnswer = fc.record(
  {
    index: fc.nat({ max: 3 }),
    content: fc.constant('hi'),
    tokens: fc.oneof(fc.array(fc.nat(), { maxLength: 3 }), tree),
    stop: fc.boolean(),
    stop_type: fc.constantFrom('eos', 'limit', 'none'),
    stopping_word: fc.constant('halt'),
    prompt: tree,
    generation_settings: fc.oneof(
      dictionary,
      fc.record({ stop: tree, samplers: tree, grammar: tree, ZZsetting: tree }),
    ),
    completion_probabilities: fc.oneof(
      fc.array(
        fc.record({ token: fc.constant('hi'), logprob: fc.constant(-1), top_logprobs: fc.constant([]), ZZentry: tree }),
        { maxLength: 2 },
      ),
      fc.array(fc.record({ token: fc.constant('hi'), prob: fc.constant(1), top_probs: tree }), { maxLength: 2 }),
      tree,
    ),
    timings: tree,
    error: mostly(null),
    ZZtop: tree,
  },
  { requiredKeys: ['content'] },
);

const scoredText = fc.oneof(fc.constant('hi'), fc.array(fc.constant('hi'), { maxLength: 2 }), tree);
const serverRequests: readonly (readonly [string, fc.Arbitrary<unknown>])[] = [
  ['/tokenize', fc.record({ prompt: fc.constant('hi'), tools: fc.array(dictionary, { maxLength: 1 }), ZZtop: tree })],
  ['/tokenize', fc.record({ content: llamaPrompt, ZZtop: tree })],
  ['/apply-template', fc.record({ messages: fc.array(message, { minLength: 1, maxLength: 2 }), ZZtop: tree })],
  [
    '/v1/rerank',
    fc.record({
      query: scoredText,
      documents: fc.array(fc.oneof(fc.constant('hi'), fc.record({ text: fc.constant('hi'), ZZdocument: tree })), {
        maxLength: 3,
      }),
      ZZtop: tree,
    }),
  ],
  ['/score', fc.record({ text_1: scoredText, text_2: scoredText, ZZtop: tree })],
  ['/v1/score', fc.record({ query: scoredText, items: scoredText, ZZtop: tree })],
  ['/pooling', fc.record({ input: llamaPrompt, ZZtop: tree })],
  ['/classify', fc.record({ input: llamaPrompt, ZZtop: tree })],
];
const serverAnswers: readonly (readonly [string, fc.Arbitrary<unknown>])[] = [
  ['/tokenize', fc.record({ tokens: tree, token_strs: tree, count: tree, ZZtop: tree })],
  ['/tokenize', fc.array(fc.record({ id: fc.nat(), text: fc.constant('hi'), ZZtoken: tree }), { maxLength: 3 })],
  ['/detokenize', fc.record({ prompt: tree, ZZtop: tree })],
  [
    '/v1/rerank',
    fc.record({
      results: fc.array(fc.record({ index: fc.nat(), document: tree, relevance_score: tree, ZZresult: tree }), {
        maxLength: 2,
      }),
      usage: tree,
      ZZtop: tree,
    }),
  ],
  ['/v1/rerank', fc.array(fc.record({ score: tree, document: tree, ZZresult: tree }), { maxLength: 2 })],
  [
    '/score',
    fc.record({
      data: fc.array(fc.record({ score: tree, ZZscore: tree }), { maxLength: 2 }),
      scores: tree,
      ZZtop: tree,
    }),
  ],
  [
    '/pooling',
    fc.record({
      data: fc.array(fc.record({ data: fc.constant([0.5]), ZZpooled: tree }), { maxLength: 2 }),
      ZZtop: tree,
    }),
  ],
  [
    '/classify',
    fc.record({
      data: fc.array(fc.record({ label: tree, probs: tree, ZZclass: tree }), { maxLength: 2 }),
      ZZtop: tree,
    }),
  ],
];

const datatype = fc.constantFrom('BYTES', 'INT64', 'FP32', 'BOOL', 'STRANGE');
const kserveTensor = fc.record(
  {
    name: fc.constantFrom('x', 'input_ids', 'output_ids'),
    datatype,
    shape: fc.constant([1]),
    data: fc.oneof(fc.array(fc.constant('hi'), { maxLength: 3 }), fc.array(fc.nat(), { maxLength: 9 }), tree),
    parameters: fc.oneof(dictionary, fc.record({ content_type: fc.constant('str'), ZZparameter: leaf })),
    ZZtensor: tree,
  },
  { requiredKeys: ['name', 'datatype', 'data'] },
);
/** Of a data type that says what its contents are. */
const kserveInput = fc.oneof(
  fc.record({
    name: fc.constant('x'),
    datatype: fc.constant('BYTES'),
    data: fc.array(fc.constant('hi'), { maxLength: 3 }),
    ZZtensor: tree,
  }),
  fc.record({
    name: fc.constant('y'),
    datatype: fc.constantFrom('INT64', 'FP32'),
    data: fc.array(fc.nat(), { maxLength: 9 }),
  }),
  kserveTensor,
);
const inferRequest = fc.record({
  inputs: fc.array(kserveInput, { maxLength: 2 }),
  parameters: fc.record({ ZZparameter: leaf }),
  ZZtop: tree,
});
const inferAnswer = fc.record({
  outputs: fc.array(kserveTensor, { maxLength: 2 }),
  parameters: tree,
  error: mostly(null),
  ZZtop: tree,
});
const predictRequest = fc.record({ instances: tree, parameters: dictionary, ZZtop: tree });
const predictAnswer = fc.record({ predictions: tree, explanations: tree, ZZtop: tree });
const generateRequest = fc.record({
  text_input: fc.constant('hi'),
  parameters: fc.record({ ZZparameter: leaf }),
  ZZtop: tree,
});
const generateAnswer = fc.record({
  model_name: fc.constant('m'),
  text_output: tree,
  finish_reason: tree,
  error: mostly(null),
  ZZtop: tree,
});

const blob = fc.record(
  { mimeType: fc.constantFrom('image/png', 'application/pdf', 'text/plain'), data: leaf, ZZblob: tree },
  { requiredKeys: ['mimeType'] },
);
const geminiPartFields = {
  text: fc.constant('words'),
  thought: fc.boolean(),
  thoughtSignature: leaf,
  inlineData: blob,
  functionCall: fc.record({ name: fc.constant('f'), args: tree, ZZcall: tree }),
  functionResponse: fc.record({ name: fc.constant('f'), response: tree, ZZresponse: tree }),
  executableCode: fc.record({ code: fc.constant('1') }),
  codeExecutionResult: fc.record({ output: fc.constant('1'), ZZresult: tree }),
};
// What is of no known kind is refused in a request.
const sentGeminiPart = fc.record(geminiPartFields, { requiredKeys: [] });
const geminiPart = fc.oneof(dictionary, fc.record({ ...geminiPartFields, ZZpart: tree }, { requiredKeys: [] }));
const geminiContent = fc.record({
  role: fc.constant('user'),
  parts: fc.oneof(sentGeminiPart, fc.array(sentGeminiPart, { maxLength: 3 })),
});
const geminiRequest = fc.record(
  {
    contents: fc.oneof(geminiContent, fc.array(geminiContent, { minLength: 1, maxLength: 2 })),
    system_instruction: fc.oneof(fc.constant('s'), geminiContent),
    tools: fc.array(
      fc.record({
        functionDeclarations: fc.array(fc.record({ name: fc.constant('f'), parameters: tree, ZZdeclaration: tree }), {
          maxLength: 2,
        }),
        googleSearch: dictionary,
      }),
      { maxLength: 2 },
    ),
    generationConfig: fc.record(
      { stopSequences: fc.constant(['halt']), responseSchema: tree, speechConfig: tree, ZZconfig: tree },
      { requiredKeys: [] },
    ),
    safetySettings: fc.array(fc.record({ category: fc.constant('c'), ZZsetting: tree }), { maxLength: 2 }),
    labels: dictionary,
    ZZtop: tree,
  },
  { requiredKeys: ['contents'] },
);
const geminiCandidate = fc.record(
  {
    index: fc.nat({ max: 3 }),
    content: fc.record({ role: fc.constant('model'), parts: fc.array(geminiPart, { maxLength: 3 }) }),
    finishReason: fc.constantFrom('STOP', 'MAX_TOKENS', null),
    finishMessage: fc.constant('m'),
    citationMetadata: fc.record({ citationSources: fc.array(dictionary, { maxLength: 2 }), ZZcitations: tree }),
    groundingMetadata: fc.record(
      {
        groundingChunks: fc.array(fc.record({ web: fc.record({ uri: leaf, title: leaf, ZZweb: tree }) }), {
          maxLength: 2,
        }),
        groundingSupports: fc.array(
          fc.record({ segment: fc.record({ text: leaf, ZZsegment: tree }), groundingChunkIndices: fc.constant([0]) }),
          { maxLength: 2 },
        ),
        webSearchQueries: fc.array(leaf, { maxLength: 2 }),
        searchEntryPoint: dictionary,
        ZZgrounding: tree,
      },
      { requiredKeys: [] },
    ),
    logprobsResult: fc.record(
      { chosenCandidates: fc.array(fc.record({ token: leaf, ZZentry: tree }), { maxLength: 2 }), ZZlogprobs: tree },
      { requiredKeys: [] },
    ),
    ZZcandidate: tree,
  },
  { requiredKeys: [] },
);
const geminiAnswer = fc.record(
  {
    candidates: fc.array(geminiCandidate, { maxLength: 2 }),
    promptFeedback: dictionary,
    usageMetadata: tree,
    error: mostly(null),
    ZZtop: tree,
  },
  { requiredKeys: ['candidates'] },
);
const geminiEmbedding = fc.record({ values: fc.constant([0.5, 1]), ZZvector: tree });

const cohereContent = fc.oneof(
  fc.constant('hi'),
  fc.array(
    fc.oneof(
      dictionary,
      fc.record(
        {
          type: fc.constantFrom('text', 'thinking', 'image_url', 'document'),
          text: fc.constant('words'),
          thinking: fc.constant('words'),
          image_url: fc.record({ url: leaf, ZZimage: tree }),
          document: fc.oneof(fc.constant('d'), fc.record({ id: leaf, data: tree, ZZdocument: tree })),
          ZZpart: tree,
        },
        { requiredKeys: ['type'] },
      ),
    ),
    { maxLength: 3 },
  ),
);
const cohereCall = fc.record(
  {
    id: fc.constant('t'),
    type: fc.constant('function'),
    function: fc.record({ name: fc.constant('f'), arguments: fc.constant('{"a":1}'), ZZfunction: tree }),
    ZZcall: tree,
  },
  { requiredKeys: ['function'] },
);
const cohereMessage = fc.record(
  {
    role: fc.constantFrom('user', 'assistant', 'tool'),
    content: cohereContent,
    tool_plan: fc.constant('plan'),
    tool_calls: fc.array(cohereCall, { maxLength: 2 }),
    citations: fc.array(fc.record({ text: leaf, sources: fc.array(tree, { maxLength: 2 }), ZZcitation: tree }), {
      maxLength: 2,
    }),
    ZZmessage: tree,
  },
  { requiredKeys: ['role', 'content'] },
);
const cohereRequest = fc.record(
  {
    model: fc.constant('m'),
    messages: fc.array(cohereMessage, { minLength: 1, maxLength: 2 }),
    documents: fc.array(fc.oneof(fc.constant('d'), fc.record({ data: tree, ZZdocument: tree })), { maxLength: 2 }),
    tools: fc.array(fc.record({ function: fc.record({ name: fc.constant('f'), parameters: tree }), ZZtool: tree }), {
      maxLength: 2,
    }),
    response_format: fc.record({ type: fc.constant('json_object'), json_schema: tree }),
    stop_sequences: fc.array(fc.constant('halt'), { maxLength: 2 }),
    ZZtop: tree,
  },
  { requiredKeys: ['model', 'messages'] },
);
const cohereAnswer = fc.record(
  {
    id: fc.constant('i'),
    finish_reason: fc.constantFrom('COMPLETE', 'MAX_TOKENS', null),
    message: cohereMessage,
    usage: tree,
    logprobs: fc.oneof(
      fc.array(fc.record({ token_ids: fc.constant([1]), text: leaf, ZZlogprob: tree }), { maxLength: 2 }),
      tree,
    ),
    ZZtop: tree,
  },
  { requiredKeys: ['message'] },
);
const coherePiece = fc.record(
  {
    content: fc.oneof(
      fc.record({ text: fc.constant('a'), ZZpiece: tree }),
      fc.array(dictionary, { maxLength: 2 }),
      tree,
    ),
    tool_plan: tree,
    tool_calls: fc.oneof(cohereCall, fc.array(cohereCall, { maxLength: 2 }), tree),
    citations: fc.oneof(fc.record({ text: leaf, sources: tree, ZZcitation: tree }), tree),
    ZZmessage: tree,
  },
  { requiredKeys: [] },
);
const cohereEvent = fc.record(
  {
    type: fc.constantFrom(
      ...['message-start', 'content-start', 'content-delta', 'tool-plan-delta', 'tool-call-start', 'tool-call-delta'],
      ...['citation-start', 'message-end', 'debug'],
    ),
    index: fc.nat({ max: 3 }),
    delta: fc.oneof(
      fc.record(
        {
          message: coherePiece,
          finish_reason: fc.constant('COMPLETE'),
          error: mostly(null),
          usage: tree,
          ZZdelta: tree,
        },
        { requiredKeys: ['message'] },
      ),
      dictionary,
    ),
    logprobs: tree,
    prompt: leaf,
    ZZtop: tree,
  },
  { requiredKeys: ['type', 'index'] },
);

const bedrockMedia = fc.record({
  format: fc.constantFrom('png', 'pdf', 'txt'),
  source: fc.record({ bytes: leaf, ZZsource: tree }),
  ZZmedia: tree,
});
const bedrockFields = {
  text: fc.constant('words'),
  image: bedrockMedia,
  document: fc.oneof(
    bedrockMedia,
    fc.record({ format: fc.constant('txt'), name: leaf, source: fc.record({ text: leaf, ZZsource: tree }) }),
  ),
  toolUse: fc.record({ toolUseId: fc.constant('t'), name: fc.constant('f'), input: tree, ZZuse: tree }),
  toolResult: fc.record({
    toolUseId: fc.constant('t'),
    content: fc.array(fc.record({ text: leaf, json: tree, ZZresult: tree }, { requiredKeys: [] }), {
      maxLength: 2,
    }),
  }),
  reasoningContent: fc.record({ reasoningText: fc.record({ text: leaf, ZZreasoning: tree }), ZZcontent: tree }),
  citationsContent: fc.record({ content: fc.array(fc.record({ text: leaf })), citations: fc.array(dictionary) }),
};
const bedrockMessages = (block: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.record({ role: fc.constantFrom('user', 'assistant'), content: fc.array(block, { maxLength: 3 }) });
// What is of no known kind is refused in a request.
const sentBedrockFields = {
  ...bedrockFields,
  toolResult: fc.record({
    toolUseId: fc.constant('t'),
    content: fc.array(fc.record({ text: leaf, json: tree }, { requiredKeys: [] }), { maxLength: 2 }),
    ZZresult: tree,
  }),
};
const sentBedrockMessage = bedrockMessages(fc.record(sentBedrockFields, { requiredKeys: [] }));
const bedrockMessage = bedrockMessages(
  fc.oneof(dictionary, fc.record({ ...bedrockFields, ZZblock: tree }, { requiredKeys: [] })),
);
const converseRequest = fc.record(
  {
    messages: fc.array(sentBedrockMessage, { minLength: 1, maxLength: 2 }),
    system: fc.array(fc.record({ text: leaf }), { maxLength: 2 }),
    inferenceConfig: fc.record({ stopSequences: fc.constant(['halt']), ZZconfig: tree }, { requiredKeys: [] }),
    toolConfig: fc.record({
      tools: fc.array(
        fc.record({ toolSpec: fc.record({ name: leaf, inputSchema: fc.record({ json: tree }), ZZspec: tree }) }),
        { maxLength: 2 },
      ),
      ZZtools: tree,
    }),
    additionalModelRequestFields: fc.record({ thinking: tree, ZZfield: tree }, { requiredKeys: [] }),
    requestMetadata: dictionary,
    ZZtop: tree,
  },
  { requiredKeys: ['messages'] },
);
const converseAnswer = fc.record(
  {
    output: fc.record({ message: bedrockMessage, ZZoutput: tree }),
    stopReason: fc.constantFrom('end_turn', 'max_tokens', null),
    usage: tree,
    trace: tree,
    additionalModelResponseFields: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['output'] },
);
const firstCall = fc.record({ name: leaf, parameters: tree, ZZcall: tree }, { requiredKeys: [] });
const firstFields = {
  preamble: fc.constant('be kind'),
  chat_history: fc.array(
    fc.record(
      { role: leaf, message: leaf, tool_calls: fc.array(firstCall, { maxLength: 2 }), ZZturn: tree },
      { requiredKeys: [] },
    ),
    { maxLength: 2 },
  ),
  documents: fc.array(tree, { maxLength: 2 }),
  tools: fc.array(fc.record({ name: leaf, description: leaf, parameter_definitions: tree, ZZtool: tree }), {
    maxLength: 2,
  }),
  tool_results: fc.array(fc.record({ call: firstCall, outputs: fc.array(tree, { maxLength: 2 }), ZZresult: tree }), {
    maxLength: 2,
  }),
  stop_sequences: fc.constant(['halt']),
  ZZtop: tree,
};
const firstChatRequest = fc.record(
  { model: fc.constant('m'), message: fc.constant('hi'), ...firstFields },
  { requiredKeys: ['model', 'message'] },
);
const firstChatAnswer = fc.record(
  {
    text: fc.constant('hello'),
    finish_reason: fc.constantFrom('COMPLETE', 'MAX_TOKENS', null),
    citations: fc.array(fc.record({ text: leaf, document_ids: tree, ZZcitation: tree }), { maxLength: 2 }),
    documents: fc.array(tree, { maxLength: 2 }),
    search_queries: fc.array(fc.record({ text: leaf, ZZquery: tree }), { maxLength: 2 }),
    tool_calls: fc.array(firstCall, { maxLength: 2 }),
    chat_history: firstFields.chat_history,
    logprobs: tree,
    meta: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['text'] },
);
const firstChatEvent = fc.record(
  {
    event_type: fc.constantFrom(
      ...['text-generation', 'tool-calls-chunk', 'tool-calls-generation', 'stream-end', 'search-results', 'ZZtype'],
    ),
    text: fc.oneof(fc.constant('a'), tree),
    tool_call_delta: fc.oneof(
      fc.record({ index: fc.nat({ max: 3 }), name: leaf, parameters: fc.constant('{"a'), ZZdelta: tree }),
      tree,
    ),
    tool_calls: fc.array(firstCall, { maxLength: 2 }),
    response: fc.oneof(firstChatAnswer, tree),
    finish_reason: leaf,
    ZZtop: tree,
  },
  { requiredKeys: ['event_type'] },
);

const invokedMetrics = fc.record({ inputTokenCount: fc.nat(), ZZmetric: tree });
const bedrockMetrics = 'amazon-bedrock-invocationMetrics';
const llamaSaid = fc.record(
  {
    generation: fc.constant('a'),
    prompt_token_count: fc.nat(),
    stop_reason: fc.constantFrom('stop', 'length', null),
    [bedrockMetrics]: invokedMetrics,
    ZZtop: tree,
  },
  { requiredKeys: ['generation'] },
);
const mistralSaid = fc.record(
  {
    outputs: fc.array(fc.record({ text: fc.constant('a'), stop_reason: leaf, ZZoutput: tree }), { maxLength: 2 }),
    [bedrockMetrics]: invokedMetrics,
    ZZtop: tree,
  },
  { requiredKeys: ['outputs'] },
);
interface Invoked {
  readonly model: string;
  readonly request: fc.Arbitrary<unknown>;
  readonly answer: fc.Arbitrary<unknown>;
  readonly chunk: fc.Arbitrary<unknown>;
}
/** Of each vendor what its models are asked, and what they answer. */
const invokedTexts: readonly Invoked[] = [
  {
    model: 'us.meta.llama3-1-70b-instruct-v1:0',
    request: fc.record(
      { prompt: fc.constant('hi'), images: fc.array(leaf, { maxLength: 2 }), ZZtop: tree },
      { requiredKeys: ['prompt'] },
    ),
    ...{ answer: llamaSaid, chunk: llamaSaid },
  },
  {
    model: 'mistral.mistral-7b-instruct-v0:2',
    request: fc.record({ prompt: fc.constant('hi'), stop: fc.constant(['halt']), ZZtop: tree }),
    ...{ answer: mistralSaid, chunk: mistralSaid },
  },
  {
    model: 'amazon.titan-text-express-v1',
    request: fc.record(
      {
        inputText: fc.constant('hi'),
        textGenerationConfig: fc.record({ stopSequences: fc.constant(['halt']), ZZconfig: tree }, { requiredKeys: [] }),
        ZZtop: tree,
      },
      { requiredKeys: ['inputText'] },
    ),
    answer: fc.record({
      results: fc.array(fc.record({ outputText: fc.constant('a'), completionReason: leaf, ZZresult: tree }), {
        maxLength: 2,
      }),
      ZZtop: tree,
    }),
    chunk: fc.record({ outputText: fc.constant('a'), completionReason: leaf, ZZtop: tree }),
  },
];

const converseEvent = fc.record(
  {
    contentBlockIndex: fc.nat({ max: 3 }),
    start: fc.oneof(fc.record({ toolUse: fc.record({ name: leaf, ZZuse: tree }), ZZstart: tree }), dictionary),
    delta: fc.oneof(
      fc.record({ text: fc.constant('a'), ZZdelta: tree }),
      fc.record({ toolUse: fc.record({ input: fc.constant('{"a'), ZZuse: tree }) }),
      fc.record({ reasoningContent: fc.record({ text: leaf, signature: leaf, ZZreasoning: tree }) }),
      fc.record({ citation: fc.record({ title: leaf, location: tree, ZZcitation: tree }) }),
      fc.record({ toolResult: fc.array(fc.record({ text: leaf, ZZresult: tree }), { maxLength: 2 }) }),
      tree,
    ),
    stopReason: fc.constant('end_turn'),
    usage: tree,
    trace: tree,
    p: leaf,
    ZZtop: tree,
  },
  { requiredKeys: ['contentBlockIndex'] },
);

const tgi = recognise('POST', '/generate');
const tgiStream = recognise('POST', '/generate_stream');
const tgiListed = recognise('POST', '/');
const tgiInfo = recognise('GET', '/info');
const llama = recognise('POST', '/completion');
const llamaInfill = recognise('POST', '/infill');
const bareCompletions = recognise('POST', '/completions');
const bareEmbeddings = recognise('POST', '/embeddings');
const infer = recognise('POST', '/v2/models/m/infer');
const predict = recognise('POST', '/v1/models/m:predict');
const generate = recognise('POST', '/v2/models/m/generate');
const generateStream = recognise('POST', '/v2/models/m/generate_stream');
const invoked: readonly Invoked[] = [
  ...invokedTexts,
  {
    model: 'cohere.command-r-v1:0',
    request: fc.record({ message: fc.constant('hi'), ...firstFields }, { requiredKeys: ['message'] }),
    ...{ answer: firstChatAnswer, chunk: firstChatEvent },
  },
  {
    model: 'ai21.jamba-1-5-mini-v1:0',
    request: request.map(({ model: _, stop: _stop, ...rest }) => rest),
    ...{ answer, chunk: answer },
  },
  {
    model: 'eu.amazon.nova-lite-v1:0',
    request: converseRequest.map(({ messages: of, system, ZZtop }) => ({
      ...{ schemaVersion: 'messages-v1', messages: of },
      ...(system !== undefined && { system }),
      ...(ZZtop !== undefined && { ZZtop }),
    })),
    answer: converseAnswer,
    chunk: fc.oneof(
      fc.record({ contentBlockDelta: converseEvent, ZZtop: tree }),
      fc.record({ messageStop: converseEvent, [bedrockMetrics]: invokedMetrics }),
      fc.record({ [bedrockMetrics]: invokedMetrics, ZZtop: tree }),
    ),
  },
];

const responses = recognise('POST', '/v1/responses');
const ollama = recognise('POST', '/api/chat');
const ollamaGenerate = recognise('POST', '/api/generate');
const ollamaTags = recognise('GET', '/api/tags');
const ollamaShow = recognise('POST', '/api/show');
const socket = recogniseSocket('/ws');
const chat = recognise('POST', '/v1/chat/completions');
const anthropic = recognise('POST', '/v1/messages');
const completions = recognise('POST', '/v1/completions');
const other = recognise('POST', '/anything');

const ownRequest = (route: ReturnType<typeof recogniseSocket>, root: JsonNode): RequestView =>
  route.dialect.request(route, root);
const ownFrame = (route: ReturnType<typeof recogniseSocket>, root: JsonNode): AnswerView =>
  route.dialect.frame(route, undefined, '', root);

/** @param as the field whose words alone are taken stays as it is. */
const transcription = recognise('POST', '/v1/audio/transcriptions');
const generation = recognise('POST', '/v1/images/generations');
const speech = recognise('POST', '/v1/audio/speech');
/** The JSON that says the same as a form. */
const transcriptionForm = fc.record(
  {
    file: fc.record({ filename: fc.constant('a'), type: fc.constant('audio/mpeg'), bytes: fc.nat() }),
    model: fc.constant('m'),
    prompt: fc.constant('words'),
    'keywords[]': fc.array(fc.constant('k'), { maxLength: 2 }),
    'known_speaker_names[]': fc.array(fc.constant('n'), { maxLength: 2 }),
    ZZfield: tree,
  },
  { requiredKeys: ['file', 'model'] },
);
const speechRequest = fc.record(
  {
    model: fc.constant('m'),
    input: fc.constant('hi'),
    instructions: fc.constant('slowly'),
    voice: fc.constant('v'),
    metadata: dictionary,
    ZZtop: tree,
  },
  { requiredKeys: ['model', 'input'] },
);
const pictureRequest = fc.record(
  { model: fc.constant('m'), prompt: fc.constant('hi'), user: fc.constant('u'), style: fc.constant('s'), ZZtop: tree },
  { requiredKeys: ['prompt'] },
);
const transcriptPiece = fc.record(
  {
    id: fc.oneof(fc.nat(), fc.constant('s')),
    text: fc.oneof({ weight: 4, arbitrary: fc.constant('hi') }, tree),
    word: fc.oneof({ weight: 4, arbitrary: fc.constant('hi') }, tree),
    speaker: fc.constant('Ana'),
    tokens: fc.oneof(fc.array(fc.nat(), { maxLength: 3 }), tree),
    words: fc.oneof(fc.array(fc.record({ word: fc.constant('hi'), text: tree }), { maxLength: 3 }), tree),
    chars: fc.oneof(fc.array(fc.record({ char: tree }), { maxLength: 3 }), tree),
    ZZpiece: tree,
  },
  { requiredKeys: [] },
);
const transcriptAnswer = fc.record(
  {
    text: fc.constant('hi'),
    language: fc.constant('english'),
    duration: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant('1')),
    segments: fc.array(transcriptPiece, { maxLength: 3 }),
    words: fc.oneof(fc.array(transcriptPiece, { maxLength: 3 }), tree),
    languages: fc.array(dictionary, { maxLength: 2 }),
    usage: tree,
    error: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['text'] },
);
const pictureAnswer = fc.record(
  {
    created: fc.nat(),
    data: fc.array(fc.record({ url: fc.constant('u'), revised_prompt: tree, ZZpicture: tree }, { requiredKeys: [] }), {
      maxLength: 3,
    }),
    background: tree,
    usage: tree,
    ZZtop: tree,
  },
  { requiredKeys: ['data'] },
);
const transcriptEvent = fc.record(
  {
    type: fc.constantFrom('transcript.text.delta', 'transcript.text.segment', 'transcript.text.done', 'error'),
    delta: fc.constant('hi'),
    text: tree,
    segment_id: fc.constant('s'),
    usage: tree,
    ZZevent: tree,
  },
  { requiredKeys: ['type'] },
);
const speechEvent = fc.record(
  {
    type: fc.constantFrom('speech.audio.delta', 'speech.audio.done'),
    audio: fc.constant('aGk='),
    usage: tree,
    ZZ: tree,
  },
  { requiredKeys: ['type'] },
);

/** As the answer of one request is read. */
const eventOf = (asked: RequestView, root: JsonNode): AnswerView => {
  const { answers } = asked;
  if (answers === undefined) throw new Error('no route');
  return answers.dialect.frame(answers, undefined, '', root);
};

/** How answers are read to the first of these bodies that is not refused. */
function answersOf(route: Route, bodies: readonly unknown[]): Route {
  for (const body of bodies) {
    try {
      const { answers } = route.dialect.request(route, parseJson(JSON.stringify(body)));
      if (answers !== undefined) return answers;
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }
  throw new Error('all are refused');
}

function attack(
  arbitrary: fc.Arbitrary<unknown>,
  view: (root: JsonNode) => RequestView | AnswerView,
  as?: string,
): void {
  let read = 0;
  fc.assert(
    fc.property(arbitrary, (body) => {
      const made = unique(body, { at: 0 }) as object;
      const kept = as === undefined ? made : { ...made, [as]: (body as Readonly<Record<string, unknown>>)[as] };
      if (expectAllSeen(kept, view)) read++;
    }),
    { numRuns: 300 },
  );
  // Refusing everything would pass the property.
  expect(read).toBeGreaterThan(20);
}

describe('every string and every unknown key', () => {
  it('of a chat request is seen exactly once', () => {
    attack(request, (root) => chat.dialect.request(chat, root));
  });

  it('of an answer is seen exactly once', () => {
    attack(answer, (root) => chat.dialect.answer(chat, root, 200));
    attack(answer, (root) => completions.dialect.answer(completions, root, 500));
  });

  it('of a frame is seen exactly once', () => {
    attack(answer, (root) => chat.dialect.frame(chat, undefined, '', root));
  });

  it("of Anthropic's requests, answers and events is seen exactly once", () => {
    attack(messages, (root) => anthropic.dialect.request(anthropic, root));
    attack(anthropicAnswer, (root) => anthropic.dialect.answer(anthropic, root, 200));
    attack(anthropicEvent, (root) => anthropic.dialect.frame(anthropic, undefined, '', root), 'type');
  });

  it("of OpenAI's Responses, and of the requests and events for them, is seen exactly once", () => {
    attack(responsesRequest, (root) => responses.dialect.request(responses, root));
    attack(responsesAnswer, (root) => responses.dialect.answer(responses, root, 200));
    const events = responsesEvent.map((event) => ({ ...event, type: `response.${event.type}` }));
    attack(events, (root) => responses.dialect.frame(responses, undefined, '', root), 'type');
  });

  it('of a count of the tokens of a Response, and of items that become fewer, is seen exactly once', () => {
    const compact = recognise('POST', '/v1/responses/compact');
    attack(responsesRequest, (root) => compact.dialect.request(compact, root));
    attack(responsesAnswer, (root) => compact.dialect.answer(compact, root, 200));
    const count = recognise('POST', '/v1/responses/input_tokens');
    attack(responsesRequest, (root) => count.dialect.request(count, root));
    attack(fc.record({ input_tokens: fc.nat(), object: leaf, ZZtop: tree }), (root) =>
      count.dialect.answer(count, root, 200),
    );
  });

  it("of Ollama's requests, answers and lines is seen exactly once", () => {
    attack(ollamaRequest, (root) => ollama.dialect.request(ollama, root), 'keep_alive');
    attack(ollamaAnswer, (root) => ollama.dialect.answer(ollama, root, 200));
    attack(ollamaAnswer, (root) => ollama.dialect.frame(ollama, undefined, '', root));
    attack(ollamaAnswer, (root) => ollamaGenerate.dialect.frame(ollamaGenerate, undefined, '', root));
    attack(ollamaList, (root) => ollamaTags.dialect.answer(ollamaTags, root, 200));
    attack(dictionary, (root) => ollamaShow.dialect.answer(ollamaShow, root, 200));
  });

  it("of OpenAI's Realtime events is seen exactly once, in both directions", () => {
    const realtime = (): ReturnType<typeof recogniseSocket> => recogniseSocket('/v1/realtime');
    attack(realtimeRequest, (root) => ownRequest(realtime(), root), 'type');
    attack(realtimeEvent, (root) => ownFrame(realtime(), root), 'type');
  });

  it('of any JSON on an unknown WebSocket is seen exactly once', () => {
    attack(tree, (root) => socket.dialect.request(socket, root));
    attack(tree, (root) => socket.dialect.frame(socket, undefined, '', root));
  });

  it("of TGI's and SGLang's requests, answers and events is seen exactly once", () => {
    attack(tgiRequest, (root) => tgi.dialect.request(tgi, root));
    attack(sglangRequest, (root) => tgi.dialect.request(tgi, root));
    attack(tgiAnswer, (root) => tgi.dialect.answer(tgi, root, 200));
    attack(fc.array(tgiAnswer, { maxLength: 2 }), (root) => tgiListed.dialect.answer(tgiListed, root, 200));
    attack(tgiEvent, (root) => tgiStream.dialect.frame(tgiStream, undefined, '', root));
    attack(sglangAnswer, (root) => tgi.dialect.answer(tgi, root, 200));
    const growing = tgi.dialect.request(tgi, parseJson('{"text":"a","stream":true}')).answers ?? tgi;
    attack(sglangAnswer, (root) => growing.dialect.frame(growing, undefined, '', root));
    attack(dictionary, (root) => tgiInfo.dialect.answer(tgiInfo, root, 400));
  });

  it("of llama.cpp's requests, answers and events is seen exactly once", () => {
    attack(llamaRequest, (root) => llama.dialect.request(llama, root));
    attack(llamaRequest, (root) => llamaInfill.dialect.request(llamaInfill, root));
    attack(llamaAnswer, (root) => llama.dialect.answer(llama, root, 200));
    attack(fc.array(llamaAnswer, { minLength: 1, maxLength: 2 }), (root) =>
      bareCompletions.dialect.answer(bareCompletions, root, 200),
    );
    attack(llamaAnswer, (root) => llama.dialect.frame(llama, undefined, '', root));
    attack(llamaAnswer, (root) => bareCompletions.dialect.frame(bareCompletions, undefined, '', root));
    const vectors = fc.array(fc.record({ embedding: fc.constant([[0.5]]), ZZvector: tree }), { maxLength: 2 });
    attack(vectors, (root) => bareEmbeddings.dialect.answer(bareEmbeddings, root, 200));
  });

  it('of requests that read texts and have none written, and of their answers, is seen exactly once', () => {
    for (const [path, arbitrary] of serverRequests) {
      const route = recognise('POST', path);
      attack(arbitrary, (root) => route.dialect.request(route, root));
    }
    for (const [path, arbitrary] of serverAnswers) {
      const route = recognise('POST', path);
      attack(arbitrary, (root) => route.dialect.answer(route, root, 200));
    }
  });

  it("of KServe's and Triton's requests, answers and events is seen exactly once", () => {
    attack(inferRequest, (root) => infer.dialect.request(infer, root));
    attack(inferAnswer, (root) => infer.dialect.answer(infer, root, 200));
    attack(predictRequest, (root) => predict.dialect.request(predict, root));
    attack(predictAnswer, (root) => predict.dialect.answer(predict, root, 200));
    attack(generateRequest, (root) => generate.dialect.request(generate, root));
    attack(generateAnswer, (root) => generate.dialect.answer(generate, root, 200));
    attack(generateAnswer, (root) => generateStream.dialect.frame(generateStream, undefined, '', root));
    attack(inferAnswer, (root) => generateStream.dialect.frame(generateStream, undefined, '', root));
  });

  it("of OpenAI's audio and image requests, answers and events is seen exactly once", () => {
    attack(transcriptionForm, (root) => transcription.dialect.request(transcription, root));
    attack(speechRequest, (root) => speech.dialect.request(speech, root));
    attack(pictureRequest, (root) => generation.dialect.request(generation, root));
    attack(transcriptAnswer, (root) => transcription.dialect.answer(transcription, root, 200));
    attack(pictureAnswer, (root) => generation.dialect.answer(generation, root, 200));
    attack(tree, (root) => speech.dialect.answer(speech, root, 500));
    const file = { filename: 'a.mp3', type: 'audio/mpeg', bytes: 1 };
    const asked = parseJson(JSON.stringify({ file, model: 'm', stream: 'true' }));
    const told = transcription.dialect.request(transcription, asked);
    attack(transcriptEvent, (root) => eventOf(told, root), 'type');
    const said = parseJson(JSON.stringify({ model: 'm', input: 'hi', stream_format: 'sse' }));
    const sound = speech.dialect.request(speech, said);
    attack(speechEvent, (root) => eventOf(sound, root), 'type');
  });

  it("of Gemini's requests, answers, lists and chunks is seen exactly once", () => {
    const at = (verb: string): ReturnType<typeof recognise> => recognise('POST', `/v1beta/models/m:${verb}`);
    const [whole, stream, count] = [at('generateContent'), at('streamGenerateContent'), at('countTokens')];
    const [embed, embedMany] = [at('embedContent'), at('batchEmbedContents')];
    const [list, page] = [recognise('GET', '/v1beta/models'), recognise('GET', '/v1beta/models/m')];
    attack(geminiRequest, (root) => whole.dialect.request(whole, root));
    attack(geminiRequest, (root) => count.dialect.request(count, root));
    const embeds = fc.record({ content: geminiContent, title: leaf, ZZembed: tree });
    attack(embeds, (root) => embed.dialect.request(embed, root));
    const many = fc.record({ requests: fc.array(embeds, { minLength: 1, maxLength: 2 }), ZZtop: tree });
    attack(many, (root) => embedMany.dialect.request(embedMany, root));
    attack(geminiAnswer, (root) => whole.dialect.answer(whole, root, 200));
    attack(fc.array(geminiAnswer, { maxLength: 2 }), (root) => stream.dialect.answer(stream, root, 200));
    attack(geminiAnswer, (root) => stream.dialect.frame(stream, undefined, '', root));
    attack(fc.record({ totalTokens: fc.nat(), ZZtop: tree }), (root) => count.dialect.answer(count, root, 200));
    attack(fc.record({ embedding: geminiEmbedding, ZZtop: tree }), (root) => embed.dialect.answer(embed, root, 200));
    const models = fc.record({
      models: fc.array(fc.record({ name: fc.constant('m'), description: leaf, ZZmodel: tree }), { maxLength: 2 }),
      ZZtop: tree,
    });
    attack(models, (root) => list.dialect.answer(list, root, 200));
    attack(fc.record({ name: fc.constant('m'), ZZtop: tree }), (root) => page.dialect.answer(page, root, 200));
  });

  it("of Cohere's requests, answers and events is seen exactly once", () => {
    const [cohere, embed] = [recognise('POST', '/v2/chat'), recognise('POST', '/v2/embed')];
    attack(cohereRequest, (root) => cohere.dialect.request(cohere, root));
    attack(cohereAnswer, (root) => cohere.dialect.answer(cohere, root, 200));
    attack(cohereEvent, (root) => cohere.dialect.frame(cohere, undefined, '', root), 'type');
    const inputs = fc.array(fc.record({ content: cohereContent, ZZinput: tree }), { minLength: 1, maxLength: 2 });
    const embeds = fc.record(
      {
        model: fc.constant('m'),
        texts: fc.constant(['a']),
        images: fc.array(leaf, { maxLength: 2 }),
        inputs,
        ZZtop: tree,
      },
      { requiredKeys: ['model', 'texts'] },
    );
    attack(embeds, (root) => embed.dialect.request(embed, root));
    const vectors = fc.record({ float: fc.constant([[0.5, 1]]), int8: fc.constant([[1, 2]]), ZZvector: tree });
    const embedded = fc.record({
      embeddings: fc.oneof(vectors, fc.constant([[0.5]])),
      texts: tree,
      meta: tree,
      ZZtop: tree,
    });
    attack(embedded, (root) => embed.dialect.answer(embed, root, 200));
  });

  it("of Cohere's first chat is seen exactly once", () => {
    const chat = recognise('POST', '/v1/chat');
    attack(firstChatRequest, (root) => chat.dialect.request(chat, root));
    attack(firstChatAnswer, (root) => chat.dialect.answer(chat, root, 200));
    attack(fc.record({ message: leaf, ZZtop: tree }), (root) => chat.dialect.answer(chat, root, 400));
    attack(firstChatEvent, (root) => chat.dialect.frame(chat, undefined, '', root), 'event_type');
  });

  it("of other vendors' bodies and chunks at Bedrock's invoke is seen exactly once", () => {
    for (const { model, request, answer: said, chunk } of invoked) {
      const route = recognise('POST', `/model/${model}/invoke-with-response-stream`);
      attack(request, (root) => route.dialect.request(route, root));
      const answers = answersOf(route, fc.sample(request, 50));
      attack(said, (root) => answers.dialect.answer(answers, root, 200));
      attack(chunk, (root) => answers.dialect.frame(answers, 'chunk', '', root), 'event_type');
    }
  });

  it("of Bedrock's requests, answers, events and exceptions is seen exactly once", () => {
    const counts = recognise('POST', '/model/m/count-tokens');
    attack(
      fc.record({ input: fc.record({ converse: converseRequest }), ZZtop: tree }, { requiredKeys: ['input'] }),
      (root) => counts.dialect.request(counts, root),
    );
    attack(fc.record({ inputTokens: fc.nat(), ZZtop: tree }), (root) => counts.dialect.answer(counts, root, 200));
    const at = (kind: string): ReturnType<typeof recognise> => recognise('POST', `/model/m/${kind}`);
    const [converse, stream] = [at('converse'), at('converse-stream')];
    const [invoke, chunks] = [at('invoke'), at('invoke-with-response-stream')];
    attack(converseRequest, (root) => converse.dialect.request(converse, root));
    attack(converseAnswer, (root) => converse.dialect.answer(converse, root, 200));
    attack(fc.record({ message: leaf, ZZtop: tree }), (root) => converse.dialect.answer(converse, root, 400));
    for (const name of ['messageStart', 'contentBlockStart', 'contentBlockDelta', 'messageStop', 'metadata'])
      attack(converseEvent, (root) => stream.dialect.frame(stream, name, '', root));
    for (const route of [stream, chunks])
      attack(fc.record({ message: leaf, ZZtop: tree }), (root) =>
        route.dialect.frame(route, 'throttlingException', '', root),
      );
    const invoked = messages.map(({ model: _, ...rest }) => ({ anthropic_version: 'bedrock-2023-05-31', ...rest }));
    attack(invoked, (root) => invoke.dialect.request(invoke, root));
    attack(anthropicAnswer, (root) => invoke.dialect.answer(invoke, root, 200));
    attack(anthropicEvent, (root) => chunks.dialect.frame(chunks, 'chunk', '', root), 'type');
  });

  it('of any JSON on an unknown route is seen exactly once', () => {
    attack(tree, (root) => other.dialect.request(other, root));
    attack(tree, (root) => other.dialect.answer(other, root, 200));
  });

  it('of a route that a policy describes is seen exactly once, whatever it says of the elements of lists', () => {
    const piece = fc.record({ text: tree, index: fc.constantFrom(0, 1, null), ZZmore: tree }, { requiredKeys: [] });
    const said = fc.record({ choices: fc.array(piece, { maxLength: 3 }), pieces: fc.array(leaf), ZZtop: tree });
    for (const elements of [undefined, 'Joined', 'Position', '.index'])
      for (const messages of ['Joined', 'Separate', 'Growing'] as const) {
        const body = {
          format: 'JSON',
          texts: ['$.choices[*].text', '$.pieces[*]'],
          values: [],
          others: 'Texts',
        } as const;
        const spec = { path: '/v1/tale', webSocket: false, operation: 'Completions', model: undefined } as const;
        const response = { ...body, messages, elements };
        const tale = recognise('POST', '/v1/tale', describedRoutes([{ ...spec, request: body, response }]));
        attack(said, (root) => tale.dialect.answer(tale, root, 200), 'choices');
        attack(said, (root) => tale.dialect.frame(tale, undefined, '', root), 'choices');
      }
  });

  it('is seen where log-probabilities carry more than is documented', () => {
    const body = {
      choices: [
        {
          finish_reason: 'stop',
          message: { content: 'a' },
          logprobs: {
            content: [
              {
                token: 't1',
                logprob: -1,
                bytes: [1],
                ZZa: 'u1',
                top_logprobs: [{ token: 't2', logprob: -2, bytes: null, ZZb: 'u2' }],
              },
            ],
            ZZc: 'u3',
          },
        },
      ],
    };
    const view = chat.dialect.answer(chat, parseJson(JSON.stringify(body)), 200);
    expect(view.lanes.map((lane) => lane.node.text)).toEqual(['a', 'u1', 'u2', 'u3']);
    expect(view.loneValues.filter((value) => value.key).map((value) => value.node.text)).toEqual(['ZZa', 'ZZb', 'ZZc']);
    expect(view.tokenLanes.map((lane) => [lane.id, lane.shape])).toEqual([['choices[0].logprobs.content', 'entries']]);
  });
});

/** What a server flattens, joins or rounds is one prompt, however its numbers are spread. */
describe('a prompt of numbers', () => {
  const ids = Array.from({ length: 14 }, (_, at) => 101 + at);
  const rows = [ids.slice(0, 7), ids.slice(7)];
  const spread: readonly (readonly [string, unknown])[] = [
    ['in a list', ids],
    ['in rows', rows],
    ['in rows of rows', [rows, rows]],
    ['in lists of one', ids.map((id) => [id])],
    ['with one that is not whole', [0.5, ...ids]],
    ['in rows with one that is not whole', [[0.5, ...ids.slice(0, 6)], ids.slice(7)]],
    ['beside a row', [...ids, [1]]],
    ['beside a text', ['a', ...ids]],
  ];
  const tensor = (data: unknown): object => ({ name: 'x', shape: [14], datatype: 'INT64', data });
  const placed: readonly (readonly [string, (numbers: unknown) => object])[] = [
    ['/v1/completions', (prompt) => ({ model: 'm', prompt })],
    ['/v1/embeddings', (input) => ({ model: 'm', input })],
    ['/generate', (input_ids) => ({ input_ids })],
    ['/completion', (prompt) => ({ prompt })],
    ['/embedding', (content) => ({ content })],
    ['/pooling', (input) => ({ input })],
    ['/classify', (input) => ({ input })],
    ['/detokenize', (tokens) => ({ tokens })],
    ['/v2/models/m/infer', (data) => ({ inputs: [tensor(data)] })],
    ['/v2/models/m/infer', (data) => ({ inputs: (Array.isArray(data) ? data : []).map(tensor) })],
    ['/v2/models/m/generate', (x) => ({ text_input: 'a', x })],
    ['/v1/models/m:predict', (instances) => ({ instances })],
    ['/v1/models/m:predict', (x) => ({ instances: [{ x }] })],
  ];
  const cases = placed.flatMap(([path, body]) =>
    spread.map(([how, numbers]): [string, string, object] => [path, how, body(numbers)]),
  );
  it.each(cases)('of %s, %s, is refused or told: %j', (path, _, body) => {
    const route = recognise('POST', path);
    let told: boolean;
    try {
      told = route.dialect.request(route, parseJson(JSON.stringify(body))).tokenInput;
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      told = true;
    }
    expect(told).toBe(true);
  });
});
