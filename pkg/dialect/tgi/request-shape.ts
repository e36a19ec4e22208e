import { tokenIds } from '../openai/request-shape.ts';
import { mediaUrlValue, promptTensor, tellMedia, tellUrl } from '../media.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { boolean, either, free, list, lone, named, number, numbers, object, schema, text, unlisted } from '../shape.ts';
import type { Shape } from '../shape.ts';

/**
 * Fields of TGI's requests (`router/src/lib.rs`, `GenerateRequest`) and of SGLang's own (`managers/io_struct.py`, `GenerateReqInput`;
 * `sampling/sampling_params.py`). A field that is not here passes as unknown.
 */

/** OpenAI's names of what these servers have under others: a gateway in front might obey them. */
const others = named(
  [
    'max_tokens',
    'max_completion_tokens',
    'max_output_tokens',
    'n_predict',
    'num_predict',
    'model',
    'prompt',
    'messages',
  ],
  refused,
);

const grammar = object({ type: lone, value: either(schema, { string: 'text' }) });

export const tgiParameters = object({
  ...refusedFields,
  // The adapter is another model than the one that access was decided for.
  adapter_id: refused,
  ...others,
  ...named(
    [
      'best_of temperature repetition_penalty frequency_penalty presence_penalty top_k top_p typical_p max_new_tokens truncate seed',
      'top_n_tokens',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
  ...named(['do_sample', 'return_full_text', 'watermark', 'details', 'decoder_input_details'], boolean),
  stop: list(text),
  grammar,
});

/** What SGLang reads on the path that is both's: a prompt, a limit or an adapter beside those that were looked at. */
const ofSglang = named(
  'text input_ids input_embeds prompt_embeds image_data video_data audio_data sampling_params lora_id'.split(' '),
  refused,
);

/** A model that sees has its server fetch what the prompt names so (`router/src/validation.rs`), and take a `data:` URL for a picture. */
const pictures = /!\[\]\(((?:https?:|data:)[^)]*)\)/g;
const prompt: Shape = {
  ...text,
  read(reader, node) {
    if (node.kind === 'string') for (const [, url = ''] of node.text.matchAll(pictures)) tellUrl(reader, url);
    return false;
  },
};

export const tgiRequest = object({
  ...refusedFields,
  ...others,
  ...ofSglang,
  inputs: prompt,
  parameters: tgiParameters,
  ...named(['stream', 'add_special_tokens'], boolean),
});

export const samplingParams = object({
  ...refusedFields,
  ...others,
  ...named(
    [
      'max_new_tokens min_new_tokens n temperature top_p top_k min_p frequency_penalty presence_penalty repetition_penalty',
      'sampling_seed stream_interval',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
  ...named(['ignore_eos', 'skip_special_tokens', 'spaces_between_special_tokens', 'no_stop_trim'], boolean),
  ...named(['stop', 'stop_regex'], either(text, list(text))),
  stop_token_ids: numbers,
  json_schema: either(text, schema),
  ...named(['regex', 'ebnf'], text),
  structural_tag: either(text, schema),
  logit_bias: object({}, { rest: number }),
  custom_params: free,
});

const texts: Shape = either(text, list(text));

/** Features of a picture that the caller computed, in tensors of which nobody can tell what they say. */
const feature: Shape = {
  ...unlisted,
  fields: new Map(Object.entries({ url: { read: mediaUrlValue }, detail: lone })),
  read(reader, node) {
    if (node.numbers === undefined || node.numberCount === 0) return false;
    reader.tokens();
    return true;
  },
  get items() {
    return feature;
  },
  get rest() {
    return feature;
  },
};

/** Pictures, films and sound: addresses or base64, or their features. */
const media: Shape = {
  ...feature,
  read(reader, node, place) {
    if (node.kind === 'string') tellMedia(reader, node);
    return feature.read?.(reader, node, place) === true;
  },
  get items() {
    return media;
  },
  rest: feature,
};

export const sglangRequest = object({
  ...refusedFields,
  ...others,
  // TGI's.
  ...named(['inputs', 'parameters'], refused),
  text: texts,
  ...named(['input_ids', 'input_embeds'], tokenIds),
  prompt_embeds: { read: promptTensor, items: { read: promptTensor } },
  ...named(['image_data', 'video_data', 'audio_data'], media),
  sampling_params: samplingParams,
  ...named(['return_logprob', 'logprob_start_len', 'top_logprobs_num'], {
    boolean: true,
    number: true,
    items: { boolean: true, number: true },
    noTokens: true,
  }),
  token_ids_logprob: numbers,
  ...named(
    ['stream', 'return_text_in_logprobs', 'return_hidden_states', 'log_metrics', 'background', 'no_logs'],
    boolean,
  ),
  modalities: list(lone),
  lora_id: refused,
  data_parallel_rank: number,
  extra_key: lone,
});
