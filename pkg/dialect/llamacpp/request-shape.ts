import type { JsonNode } from '../../base/index.ts';
import { mediaBytes } from '../media.ts';
import { common, sampling } from '../openai/request-shape.ts';
import { refused } from '../refused-fields.ts';
import { boolean, either, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** Fields of llama.cpp's own requests (`tools/server/README.md`, `server-task.cpp`). A field that is not here passes as unknown. */

const media = object({ prompt_string: text, multimodal_data: list({ read: mediaBytes }) });

/** Pictures as servers took them before 2024 (LLaVA), and those that are built of it. */
const imageData = list(object({ data: { read: mediaBytes }, id: number }));

const hasNumbers = (node: JsonNode): boolean => node.items.some((item) => item.kind === 'number');

/** One prompt of texts and tokens in turn: of tokens nobody can read what they say. */
const mixed: Shape = {
  items: either(text, number),
  read(reader, node) {
    if (node.kind === 'array' && (node.numbers !== undefined || hasNumbers(node))) reader.tokens();
    return false;
  },
};

/** A text, tokens, both in turn, a text with pictures; or a list of such. */
export const prompt: Shape = {
  ...text,
  ...media,
  items: { ...either(text, number), ...media, ...mixed },
  ...(mixed.read !== undefined && { read: mixed.read }),
};

const numbers =
  'n_indent n_keep n_discard n_cache_reuse n_probs min_keep t_max_predict_ms top_n_sigma sse_ping_interval'.split(' ');

const options: Readonly<Record<string, Shape>> = {
  ...common,
  ...sampling,
  ...named(numbers, number),
  ...named(['return_tokens', 'post_sampling_probs', 'return_progress'], boolean),
  image_data: imageData,
  samplers: either(lone, list(lone)),
  dry_sequence_breakers: list(text),
  // It names the fields of the answer anew.
  response_fields: refused,
};

export const completionRequest = object({ ...options, prompt });

export const infillRequest = object({
  ...options,
  prompt,
  ...named(['input_prefix', 'input_suffix'], text),
  input_extra: list(object({ filename: text, text })),
});

export const embeddingRequest = object({
  ...common,
  content: prompt,
  input: prompt,
  embd_normalize: number,
  image_data: imageData,
});
