import type { JsonNode } from '../../base/index.ts';
import { embeddingValue, mediaBytes, mediaUrlValue } from '../media.ts';
import { boolean, either, free, json, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';
import { readTokenEntries, readTokenColumns } from './logprobs.ts';

/**
 * Fields of OpenAI's answers and stream frames, and of what vLLM, SGLang, llama.cpp, Ollama, OpenRouter, LiteLLM, Azure and DeepSeek
 * add to them. Anything else is unknown: its strings are lanes by their path.
 */

/** Token ids of known name tell text however few they are: a stream sends one in each frame. */
const tokenIds: Shape = {
  items: number,
  read(reader, node) {
    if (node.kind !== 'array') return false;
    reader.tokens(node);
    return true;
  },
};

/** vLLM: for each token of the prompt a map from token id to its text. SGLang: what a token is made of. */
const promptLogprobs: Shape = {
  items: free,
  read(reader, node) {
    if (node.kind !== 'array') return false;
    reader.tokens(node);
    return true;
  },
};

export const usage = object({
  ...named(
    [
      'prompt_tokens completion_tokens total_tokens cost reasoning_tokens prompt_cache_hit_tokens prompt_cache_miss_tokens',
      'queue_time prompt_time completion_time total_time input_tokens output_tokens num_search_queries',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
  is_byok: boolean,
  ...named(
    [
      'prompt_tokens_details',
      'completion_tokens_details',
      'input_tokens_details',
      'output_tokens_details',
      'cost_details',
    ],
    object(
      named(
        [
          'cached_tokens audio_tokens reasoning_tokens accepted_prediction_tokens rejected_prediction_tokens text_tokens image_tokens',
          'cache_write_tokens cache_creation_tokens multimodal_tokens upstream_inference_cost video_tokens',
        ]
          .join(' ')
          .split(' '),
        number,
      ),
    ),
  ),
});

export const error: Shape = either(
  text,
  object({
    message: text,
    type: lone,
    param: either(lone, number),
    code: either(lone, number),
    object: lone,
    status: either(lone, number),
  }),
);

const filterVerdict = object({ filtered: boolean, detected: boolean, severity: lone });
const filterResults = object(
  named(
    [
      'hate self_harm sexual violence jailbreak profanity indirect_attack protected_material_text protected_material_code',
      'custom_blocklists',
    ]
      .join(' ')
      .split(' '),
    filterVerdict,
  ),
);

const part = object({
  type: lone,
  text,
  refusal: text,
  thinking: either(text, list(object({ type: lone, text }))),
  image_url: object({ url: { read: mediaUrlValue } }),
});

/** OpenRouter: pieces of one summary or text share their `index`. */
const reasoningDetail = object({
  type: lone,
  index: number,
  id: lone,
  format: lone,
  text,
  summary: text,
  data: text,
  signature: lone,
});

const citation = object({ url: lone, title: lone, content: lone, start_index: number, end_index: number });

/** A name that clients join from the pieces of a stream; whole, it is a value of its own. */
const joinedName = (streamed: boolean): Shape => (streamed ? text : lone);

const message = (streamed: boolean): Shape =>
  object(
    {
      role: lone,
      name: joinedName(streamed),
      content: either(text, list(part)),
      refusal: text,
      reasoning: text,
      reasoning_content: text,
      reasoning_details: list(reasoningDetail, { byIndex: streamed }),
      thinking: text,
      tool_calls: list(
        object({
          index: number,
          id: lone,
          type: lone,
          function: object({ name: joinedName(streamed), arguments: json }),
          custom: object({ name: joinedName(streamed), input: text }),
        }),
        { byIndex: streamed },
      ),
      function_call: object({ name: joinedName(streamed), arguments: json }),
      audio: object({ id: lone, data: { read: mediaBytes }, transcript: text, expires_at: number }),
      annotations: list(object({ type: lone, url_citation: citation })),
    },
    { strict: true },
  );

const logprobs: Shape = object({
  content: { items: free, read: readTokenEntries },
  refusal: { items: free, read: readTokenEntries },
  ...named(['tokens', 'token_logprobs', 'top_logprobs', 'text_offset'], free),
});
const choiceLogprobs: Shape = { ...logprobs, read: readTokenColumns };

const choice = (streamed: boolean): Shape =>
  object(
    {
      index: number,
      [streamed ? 'delta' : 'message']: message(streamed),
      text,
      finish_reason: lone,
      native_finish_reason: lone,
      stop_reason: either(lone, number),
      matched_stop: either(lone, number),
      logprobs: choiceLogprobs,
      token_ids: tokenIds,
      prompt_token_ids: tokenIds,
      prompt_logprobs: promptLogprobs,
      content_filter_results: filterResults,
      // Its model's head makes the next token of them.
      hidden_states: promptLogprobs,
    },
    { strict: true },
  );

export const timings = object(
  named(
    [
      'cache_n prompt_n prompt_ms prompt_per_token_ms prompt_per_second predicted_n predicted_ms predicted_per_token_ms',
      'predicted_per_second draft_n draft_n_accepted',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
);

const envelope: Record<string, Shape> = {
  id: lone,
  object: lone,
  created: number,
  model: lone,
  provider: lone,
  system_fingerprint: lone,
  service_tier: lone,
  // Random letters that hide the length of a frame.
  obfuscation: lone,
  p: lone,
  // The same in each frame.
  ...named(['request_id', 'session_id'], lone),
  citations: list(lone),
  usage,
  error,
  timings,
};

const completion = (streamed: boolean): Shape =>
  object({
    ...envelope,
    choices: list(choice(streamed), { byIndex: streamed, strict: true }),
    prompt_logprobs: promptLogprobs,
    prompt_token_ids: tokenIds,
    prompt_filter_results: list(object({ prompt_index: number, content_filter_results: filterResults })),
    // Error bodies of vLLM and FastAPI have no `error` around them.
    message: text,
    type: lone,
    param: lone,
    code: either(lone, number),
  });

export const completionAnswer = completion(false);
export const completionFrame = completion(true);

export const embeddingsAnswer = object({
  ...envelope,
  data: list(object({ index: number, object: lone, embedding: { items: free, read: embeddingValue } }), {
    strict: true,
  }),
  message: text,
  type: lone,
  param: lone,
  code: either(lone, number),
});

/** How Google's API, which has these routes as well, says the name of a model; rules say it without. */
export const googleName = /^models\//;

/** @throws RefusedError where an entry does not say which model it is: it could not be filtered. */
function readModel(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind !== 'object') reader.refuse(place);
  const own = node.get('id') ?? node.get('model');
  const id = own ?? node.get('name');
  if (id?.kind !== 'string') reader.refuse(place);
  reader.model(own === undefined ? id.text.replace(googleName, '') : id.text, node);
  return false;
}

const modelFields: Record<string, Shape> = {
  ...named('id object owned_by root parent name model type modified_at digest display_name'.split(' '), lone),
  ...named('created max_model_len size created_at'.split(' '), number),
  // KServe
  ready: boolean,
};

const modelEntry: Shape = object(modelFields, { read: readModel });

/** KServe lists names. */
const namedModel: Shape = {
  ...modelEntry,
  read(reader, node, place) {
    if (node.kind !== 'string') return readModel(reader, node, place);
    reader.model(node.text, node);
    reader.lone(node, place);
    return true;
  },
};

/** The list (llama.cpp gives it twice: `data`, `models`), or one model's page. */
export const modelsAnswer = object({
  ...modelFields,
  error,
  message: text,
  data: list(modelEntry, { strict: true }),
  models: list(namedModel, { strict: true }),
});
