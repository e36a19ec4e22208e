import { boolean, either, free, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { spelledTokens, tokenId } from '../spelled-tokens.ts';

/** Fields of TGI's answers and events (`router/src/lib.rs`), and of SGLang's own. Anything else is unknown: its strings are lanes by their path. */

const common: Record<string, Shape> = {
  finish_reason: lone,
  ...named(['generated_tokens', 'seed', 'input_length'], number),
  ...named(['prefill', 'tokens', 'top_tokens'], spelledTokens),
};

const details = object({ ...common, best_of_sequences: list(object({ ...common, generated_text: text })) });

const failure: Record<string, Shape> = { error: either(text, free), error_type: lone };

export const generation = object({ ...failure, generated_text: text, details });

/** An event: one token, the likeliest beside it, and with the last one the whole text again. */
export const event = object({
  ...failure,
  index: number,
  token: object({ id: tokenId, text, logprob: number, special: boolean }, { strict: true }),
  top_tokens: spelledTokens,
  generated_text: text,
  details,
});

export const page = object({
  ...failure,
  ...named(
    'model_id model_sha model_dtype model_device_type model_pipeline_tag router version sha docker_label'.split(' '),
    lone,
  ),
});

const probabilities = named(
  [
    'input_token_logprobs output_token_logprobs input_top_logprobs output_top_logprobs input_token_ids_logprobs',
    'output_token_ids_logprobs hidden_states',
  ]
    .join(' ')
    .split(' '),
  spelledTokens,
);

const sglangFields: Readonly<Record<string, Shape>> = {
  error: either(text, object({ message: text, type: lone, code: either(lone, number) })),
  text,
  output_ids: spelledTokens,
  index: number,
  meta_info: object({
    id: lone,
    finish_reason: either(
      object({
        type: lone,
        length: number,
        matched: either(text, number),
        message: text,
        status_code: number,
        err_type: lone,
      }),
      lone,
    ),
    weight_version: lone,
    ...named(
      'prompt_tokens completion_tokens cached_tokens e2e_latency queue_time reasoning_tokens spec_verify_ct'.split(' '),
      number,
    ),
    ...probabilities,
  }),
};

/** SGLang's `/generate`. */
export const sglangAnswer = object(sglangFields);

/** Of its stream: each event says all of the text so far. */
export const sglangEvent = object({ ...sglangFields, text: { ...text, grows: true } });
