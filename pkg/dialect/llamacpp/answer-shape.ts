import { embeddingValue } from '../media.ts';
import { error, timings, usage } from '../openai/answer-shape.ts';
import { readTokenEntries } from '../openai/logprobs.ts';
import { boolean, either, free, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';
import type { JsonNode } from '../../base/index.ts';
import { spelledTokens } from '../spelled-tokens.ts';

/** Fields of llama.cpp's own answers and events. Anything else is unknown: its strings are lanes by their path. */

/** OpenAI's entries are read as such; probabilities after sampling, and those of older servers, have other names. */
function readProbabilities(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind !== 'array' || node.numbers !== undefined) return false;
  const known = node.items.every(
    (entry) => entry.get('token')?.kind === 'string' && entry.get('top_probs') === undefined,
  );
  if (known) return readTokenEntries(reader, node, place);
  reader.tokens(node);
  return true;
}

/** What was asked, as the server read it. */
const settings = object(
  {
    ...named(
      [
        'n_predict seed temperature dynatemp_range dynatemp_exponent top_k top_p min_p top_n_sigma xtc_probability xtc_threshold',
        'typical_p repeat_last_n repeat_penalty presence_penalty frequency_penalty dry_multiplier dry_base dry_allowed_length',
        'dry_penalty_last_n mirostat mirostat_tau mirostat_eta max_tokens n_keep n_discard n_probs min_keep n_ctx id id_task',
        'n_cache_reuse n_indent t_max_predict_ms speculative.n_max speculative.n_min speculative.p_min',
      ]
        .join(' ')
        .split(' '),
      number,
    ),
    ...named(
      'ignore_eos stream timings_per_token post_sampling_probs grammar_lazy reasoning_in_content thinking_forced_open'.split(
        ' ',
      ),
      boolean,
    ),
    ...named(['chat_format', 'reasoning_format', 'model'], lone),
    ...named(['dry_sequence_breakers', 'stop', 'preserved_tokens', 'grammar_triggers', 'logit_bias', 'lora'], free),
    samplers: list(lone),
    ...named(['grammar', 'generation_prompt'], text),
  },
  { rest: free },
);

export const completion = object({
  error,
  index: number,
  content: text,
  tokens: spelledTokens,
  ...named('id_slot tokens_predicted tokens_evaluated tokens_cached'.split(' '), number),
  ...named('stop has_new_line truncated stopped_eos stopped_word stopped_limit multimodal'.split(' '), boolean),
  ...named(['model', 'stop_type'], lone),
  stopping_word: text,
  prompt: text,
  generation_settings: settings,
  timings,
  prompt_progress: object(named(['total', 'cache', 'processed', 'time_ms'], number)),
  completion_probabilities: { items: free, read: readProbabilities },
  ...named(['message', 'type'], text),
  code: either(lone, number),
});

const vector: Shape = { items: free, read: embeddingValue };
/** Of the text, or of each of its tokens. */
const vectors: Shape = { items: { items: vector, read: embeddingValue }, read: embeddingValue };

export const embedding = object({
  error,
  index: number,
  embedding: vectors,
  tokens_evaluated: number,
  usage,
  model: lone,
});
