import type { JsonNode } from '../../base/index.ts';
import { refuseChoice, refuseReferring, refusedParameters } from '../kserve/tensor-rules.ts';
import { refused } from '../refused-fields.ts';
import { boolean, either, list, lone, named, number, numbers, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** KServe v2 (Triton) and TGI's batches as the projection shows them: which places hold texts that clients and models write, and which hold names. */

/** What stands where nobody can read it ({@link unread}). */
const opaque: Shape = list(number);
const content: Shape = either({ string: 'text' }, opaque);
/** A tensor's contents apart from it: texts, or the whole of it unread. */
const raw: Shape = list(either(content, number));

const parameter = object({
  bool_param: boolean,
  int64_param: either(number, { string: 'text' }),
  uint64_param: either(number, { string: 'text' }),
  double_param: number,
  string_param: { string: 'text' },
});

const askedParameters: Shape = { ...object(refusedParameters, { rest: parameter }), read: refuseReferring };
const answeredParameters: Shape = object({}, { rest: parameter });

const contents = object({
  ...named(['bool_contents', 'int_contents', 'int64_contents', 'uint_contents', 'uint64_contents'], opaque),
  ...named(['fp32_contents', 'fp64_contents'], numbers),
  bytes_contents: list(content),
});

const tensor = (parameters: Shape): Shape =>
  object({ name: lone, datatype: lone, shape: opaque, parameters, contents, raw });

/** Texts of a tensor, wherever they stand. */
function textsOf(node: JsonNode): readonly (string | undefined)[] | undefined {
  const texts = node.get('raw') ?? node.get('contents')?.get('bytes_contents');
  return texts?.kind !== 'array' || texts.numbers !== undefined ? undefined : texts.items.map((one) => one.string);
}

const input: Shape = {
  ...tensor(askedParameters),
  read(reader, node, place) {
    refuseChoice(reader, place, node.get('name')?.string ?? '', textsOf(node));
    return false;
  },
};

export const inferRequest: Shape = object({
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: askedParameters,
  inputs: list(input),
  outputs: list(object({ name: lone, parameters: askedParameters })),
});

/** Outputs go by their names: what clients join from the answers of a stream is the output of one name. */
const outputs: Shape = {
  ...object({}, { rest: tensor(answeredParameters) }),
  read(reader, node, place) {
    if (node.kind !== 'array') reader.refuse(place);
    for (const item of node.items) {
      const name = item.get('name')?.string ?? '';
      reader.read(item, place.stranger(name));
    }
    return true;
  },
};

export const inferResponse: Shape = object({
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: answeredParameters,
  outputs,
});

/** TGI's batches: texts that callers and the model write, beside numbers that say where they stand in the server's memory. */
const request = object({
  ...named(
    'id truncate top_n_tokens cache_len chunk_len prefill_logprobs add_special_tokens'.split(' '),
    either(number, boolean),
  ),
  inputs: text,
  input_chunks: object({ chunks: list(object({ text, image: object({ data: content, mimetype: lone }) })) }),
  parameters: object({
    ...named(
      'temperature top_k top_p typical_p do_sample seed repetition_penalty frequency_penalty watermark grammar_type'.split(
        ' ',
      ),
      either(number, boolean),
    ),
    grammar: text,
    logit_bias: object({}, { rest: number }),
  }),
  stopping_parameters: object({
    max_new_tokens: number,
    stop_sequences: list(text),
    ignore_eos_token: boolean,
  }),
  ...named(['blocks', 'slots'], opaque),
  // The adapter is another model than the one that access was decided for.
  adapter_id: refused,
});
const cachedBatch = object({
  ...named('id size max_tokens current_tokens'.split(' '), number),
  request_ids: opaque,
});
const tokens = object({ ids: opaque, logprobs: numbers, texts: list(text), is_special: opaque });
const generation = object({
  request_id: number,
  ...named(['tokens', 'prefill_tokens'], tokens),
  top_tokens: list(tokens),
  generated_text: object({ ...named(['generated_tokens', 'finish_reason', 'seed'], number), text }),
});

export const batchRequest: Shape = object({
  batch: object({ ...named('id size max_tokens max_blocks'.split(' '), number), requests: list(request) }),
  cached_batch: cachedBatch,
  batches: list(cachedBatch),
  ...named(['max_input_tokens', 'max_prefill_tokens', 'max_total_tokens'], number),
});
export const batchResponse: Shape = object({
  generations: list(generation),
  batch: cachedBatch,
  ...named('forward_ns decode_ns total_ns concat_ns'.split(' '), number),
});
