import type { JsonNode } from '../../base/index.ts';
import { keepAlive } from '../keep-alive.ts';
import { bytesOfFormat, mediaBytes, mediaUrlValue, promptTensor } from '../media.ts';
import { fileUrlValue, namedFile } from '../sent-file.ts';
import { metadataWith, refused, refusedFields, saysNothing } from '../refused-fields.ts';
import {
  boolean,
  either,
  free,
  json,
  list,
  lone,
  named,
  number,
  numbers,
  object,
  schema,
  text,
  toolInput,
  typed,
  unlisted,
} from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';

/**
 * Fields of OpenAI's requests, and of what vLLM, SGLang, llama.cpp, Ollama and LiteLLM add to them. A field that is not here
 * passes as unknown: its strings are read, its keys too. Sources: OpenAI API reference; vLLM
 * `entrypoints/openai/protocol.py`; SGLang `openai/protocol.py`; llama.cpp `tools/server/README.md`; Ollama `openai/openai.go`.
 */

const mediaUrl: Shape = { read: mediaUrlValue };
const bytes: Shape = { read: mediaBytes };

/** Numbers, or lists of such lists; an empty one says nothing. */
export const isNumeric = (node: JsonNode): boolean =>
  node.kind === 'array' && (node.numbers !== undefined || node.items.every(isNumeric));

/** A list of token ids, or of such lists: cannot be read. Anything else there is none. */
export const tokenIds: Shape = {
  read(reader, node, place) {
    if (node.kind === 'null') return true;
    if (!isNumeric(node)) reader.refuse(place);
    reader.tokens(node);
    return true;
  },
};

/** The kinds that elements of a prompt list may have: all of one. */
type Element = 'string' | 'tokens' | 'lists' | 'objects';

function elementOf(node: JsonNode): Element | undefined {
  if (node.kind === 'string') return 'string';
  if (node.kind === 'number') return 'tokens';
  if (node.kind === 'object') return 'objects';
  return node.kind === 'array' && node.numbers === 'integers' ? 'lists' : undefined;
}

function promptList(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind !== 'array') return false;
  if (node.numbers !== undefined) {
    if (node.numbers !== 'integers') reader.refuse(place);
    reader.tokens(node);
    return true;
  }
  const first = node.items[0] === undefined ? undefined : elementOf(node.items[0]);
  node.items.forEach((item, at) => {
    const element = place.element(at);
    const kind = elementOf(item);
    if (kind === undefined || kind !== first) reader.refuse(element);
    if (kind === 'lists') reader.tokens(item);
    else reader.read(item, element);
  });
  return true;
}

/** A text, and a picture beside it or in place of it, as Jina's, Mixedbread's and SGLang's servers take them. */
export const withMedia: Readonly<Record<string, Shape>> = {
  text,
  type: lone,
  ...named(['image', 'audio', 'video'], mediaUrl),
  ...named(['image_url', 'audio_url', 'video_url'], either(mediaUrl, object({ url: mediaUrl }))),
};

/** infinity's, which takes texts of `input` for addresses of pictures and sound by it. */
const ofTexts: Shape = {
  read(reader, node, place) {
    if (!saysNothing(node) && node.string !== 'text') reader.refuse(place);
    return true;
  },
};

/** Text, texts, token ids, lists of token ids (OpenAI); texts with media (embeddings of several servers). */
const prompt: Shape = {
  string: 'text',
  items: either(text, object(withMedia)),
  read: promptList,
};

const media = (field: string): Shape => ({
  fields: new Map([
    [field, mediaUrl],
    ['detail', lone],
    ['format', lone],
  ]),
  ...mediaUrl,
  read(reader, node, place) {
    return node.kind === 'string' && mediaUrlValue(reader, node, place);
  },
  string: 'lone',
});

/** Sound of a format that is said: it begins so. */
const sound: Shape = {
  fields: new Map([
    ['data', bytes],
    ['format', lone],
  ]),
  read(reader, node, place) {
    const format = node.kind === 'object' ? node.get('format')?.string : undefined;
    if (format === undefined) return false;
    reader.read(node, place.as(object({ data: { read: bytesOfFormat(format.toLowerCase()) }, format: lone })));
    return true;
  },
};

/** Tensors that go where the model's own embeddings would: nobody can tell what they say. */
const embeds: Shape = {
  read: promptTensor,
  fields: new Map(),
  rest: { read: promptTensor },
  items: { read: promptTensor },
};

/** OpenAI's, and those of vLLM, SGLang and Mistral. */
const partTypes = [
  'text input_text output_text refusal thinking reasoning image_url input_image video_url audio_url input_audio file',
  'image_embeds audio_embeds video_embeds prompt_embeds tool_reference reference',
]
  .join(' ')
  .split(' ');

export const part = typed(
  partTypes,
  object({
    type: lone,
    text,
    refusal: text,
    thinking: either(text, free),
    image_url: media('url'),
    video_url: media('url'),
    audio_url: media('url'),
    input_audio: sound,
    // What the server keeps may be another caller's, and nobody has looked at it.
    file: namedFile(object({ file_data: { read: fileUrlValue }, file_id: refused, filename: text })),
    ...named(['image_embeds', 'audio_embeds', 'video_embeds', 'prompt_embeds'], embeds),
    // vLLM takes for it the picture that whoever came first sent under this name.
    uuid: refused,
    cache_control: object({ type: lone, ttl: lone }),
  }),
);

/** What an earlier answer rested on, as it comes back. */
const annotation = object({
  type: lone,
  url_citation: object({
    ...named(['url', 'title', 'content', 'type'], lone),
    ...named(['start_index', 'end_index'], number),
  }),
});

const content: Shape = { string: 'text', items: either(part, text) };

/** Arguments are JSON in a string; Ollama's own clients send the object itself. */
const callArguments = either(json, toolInput);

const call = object({
  id: lone,
  type: lone,
  index: number,
  function: object({ name: lone, arguments: callArguments }),
  custom: object({ name: lone, input: text }),
});

export const message = object({
  role: lone,
  name: lone,
  content,
  refusal: text,
  reasoning: text,
  reasoning_content: text,
  thinking: text,
  tool_calls: list(call),
  tool_call_id: lone,
  function_call: object({ name: lone, arguments: callArguments }),
  // An earlier answer that was spoken, by its name: the server has it, and it may be another caller's.
  audio: object({ id: refused }),
  annotations: list(annotation),
  images: list(part),
  prefix: boolean,
});

const toolFunction = object({ name: lone, description: text, parameters: schema, strict: boolean });

/** Of an MCP server or a store of documents the API would fetch what nobody has seen; of the others nothing is said but their names. */
export const tool = typed(
  ['function', 'custom', 'builtin_function', 'web_search', 'web_search_preview', 'browser_search'],
  object({
    type: lone,
    function: toolFunction,
    custom: object({ name: lone, description: text, format: schema }),
  }),
);

const nameOnly = object({ name: lone });
const toolChoice = either(
  lone,
  object({
    type: lone,
    function: nameOnly,
    custom: nameOnly,
    allowed_tools: object({ mode: lone, tools: list(tool) }),
    name: lone,
  }),
);

const responseFormat = object({
  type: lone,
  json_schema: object({ name: lone, description: text, schema, strict: boolean }),
  schema,
  structures: schema,
  triggers: list(text),
  // TGI's and vLLM's.
  ...named(['value', 'format'], schema),
});

/** What all three operations may carry. */
export const common: Readonly<Record<string, Shape>> = {
  model: lone,
  user: lone,
  safety_identifier: lone,
  prompt_cache_key: lone,
  prompt_cache_retention: lone,
  service_tier: lone,
  cache_salt: lone,
  encoding_format: lone,
  metadata: metadataWith(),
  truncate_prompt_tokens: number,
  add_special_tokens: boolean,
  mm_processor_kwargs: unlisted,
  // As the `uuid` of a part.
  multi_modal_uuids: refused,
  keep_alive: keepAlive,
  ...named(['prompt_token_ids', 'input_ids'], tokenIds),
  prompt_embeds: { read: promptTensor, items: { read: promptTensor } },
  ...refusedFields,
};

/** Fields that limit the output, whichever server or vendor behind a gateway reads them; the first two are OpenAI's. */
export const outputLimits = [
  'max_completion_tokens',
  'max_tokens',
  'n_predict',
  'num_predict',
  'max_new_tokens',
  'max_output_tokens',
  'max_tokens_to_sample',
  'max_length',
  'max_gen_len',
  'maxTokens',
];

/** llama.cpp: the slot that answers, and with it the prompt that the slot has of whoever came before; -1: any. */
const anySlot: Shape = {
  read(reader, node, place) {
    if (!saysNothing(node) && node.number !== -1) reader.refuse(place);
    return true;
  },
};

export const sampling: Readonly<Record<string, Shape>> = {
  id_slot: anySlot,
  ...named(outputLimits, number),
  ...named(
    [
      'n best_of n_cmpl num_return_sequences num_beams temperature top_p top_k min_p typical_p frequency_penalty presence_penalty repetition_penalty seed min_tokens',
      'length_penalty mirostat mirostat_tau mirostat_eta dynatemp_range dynatemp_exponent repeat_penalty repeat_last_n',
      'prompt_logprobs top_logprobs xtc_probability xtc_threshold dry_multiplier dry_base dry_allowed_length dry_penalty_last_n',
      'thinking_budget no_repeat_ngram_size',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
  ...named(
    [
      'stream store parallel_tool_calls echo ignore_eos use_beam_search skip_special_tokens spaces_between_special_tokens',
      'include_stop_str_in_output add_generation_prompt continue_final_message include_reasoning separate_reasoning',
      'stream_reasoning return_token_ids return_tokens_as_token_ids cache_prompt timings_per_token no_stop_trim',
      'return_hidden_states do_sample',
    ]
      .join(' ')
      .split(' '),
    boolean,
  ),
  logprobs: either(boolean, number),
  stop: either(text, list(text)),
  bad_words: list(text),
  ...named(['stop_token_ids', 'allowed_token_ids'], numbers),
  logit_bias: either(object({}, { rest: either(number, boolean) }), list(free, { noTokens: true })),
  stream_options: object({ include_usage: boolean, continuous_usage_stats: boolean, include_obfuscation: boolean }),
  response_format: responseFormat,
  guided_json: either(text, schema),
  guided_regex: text,
  guided_choice: list(text),
  guided_grammar: text,
  guided_decoding_backend: lone,
  guided_whitespace_pattern: text,
  structural_tag: either(text, schema),
  structured_outputs: object({
    json: either(text, schema),
    regex: text,
    choice: list(text),
    grammar: text,
    structural_tag: either(text, schema),
    json_object: boolean,
  }),
  regex: text,
  ebnf: text,
  grammar: text,
  json_schema: either(text, schema),
};

const promptRequest = { ...common, ...sampling, prompt, suffix: text };

export const completionsRequest = object(promptRequest, { order: ['prompt', 'suffix'] });

export const chatRequest = object({
  ...common,
  ...sampling,
  messages: list(message),
  tools: list(tool),
  functions: list(toolFunction),
  tool_choice: toolChoice,
  function_call: toolChoice,
  prediction: object({ type: lone, content }),
  modalities: list(lone),
  // A voice by its id is one that an account keeps.
  audio: object({ voice: lone, format: lone }),
  documents: list(free),
  reasoning_effort: lone,
  verbosity: lone,
  reasoning_format: lone,
  web_search_options: unlisted,
  // xAI's: among its sources are addresses that the server would fetch.
  search_parameters: object({ sources: list(object({ links: refused })) }),
  // TGI: what it writes before the tools, and around the conversation.
  tool_prompt: text,
  guideline: text,
});

export const embeddingsRequest = object({
  ...common,
  input: prompt,
  messages: list(message),
  dimensions: number,
  input_type: lone,
  modality: ofTexts,
  instruction: text,
});
