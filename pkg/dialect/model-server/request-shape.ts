import { prompt as llamaPrompt } from '../llamacpp/request-shape.ts';
import { common, isNumeric, message, part, tokenIds, tool, withMedia } from '../openai/request-shape.ts';
import { refused } from '../refused-fields.ts';
import { boolean, either, list, lone, named, number, numbers, object, text, unlisted } from '../shape.ts';
import type { Shape } from '../shape.ts';

/**
 * Fields of requests that read texts and have nothing written, of several servers at once. A field that is not here passes as unknown.
 * Sources: vLLM `entrypoints/serve/tokenize/protocol.py`, `entrypoints/pooling/*`; SGLang `entrypoints/openai/protocol.py`; llama.cpp
 * `tools/server/README.md`; TGI `router/src/lib.rs`; text-embeddings-inference `docs/openapi.json`.
 */

const texts: Shape = either(text, list(text));
/** A text, or parts of one with pictures. */
const scored: Shape = either(
  text,
  object({ content: list(part), text }),
  list(either(text, object({ content: list(part), text }))),
);

const conversation: Readonly<Record<string, Shape>> = { messages: list(message), tools: list(tool) };

const flags = named(
  [
    'add_special_tokens add_special parse_special with_pieces return_token_strs add_generation_prompt continue_final_message',
    'skip_special_tokens return_documents return_text raw_scores truncate normalize apply_softmax item_first softmax activation use_activation',
    'return_pooled_hidden_states',
  ]
    .join(' ')
    .split(' '),
  boolean,
);

const base: Readonly<Record<string, Shape>> = { ...common, ...flags };

export const tokenizeRequest = object({
  ...base,
  ...conversation,
  prompt: texts,
  content: llamaPrompt,
  inputs: text,
  // TGI's, which has no meaning here and names an adapter.
  parameters: refused,
});

export const detokenizeRequest = object({ ...base, tokens: tokenIds });

export const templateRequest = object({
  ...base,
  ...conversation,
  reasoning_format: lone,
  tool_choice: either(lone, unlisted),
});

export const rerankRequest = object({
  ...base,
  query: scored,
  documents: either(list(either(text, object({ ...withMedia, content: list(part) }))), object({ content: list(part) })),
  texts: list(text),
  instruct: text,
  instruction: text,
  ...named(['top_n', 'top_k', 'max_tokens_per_doc', 'max_chunks_per_doc'], number),
  truncation_direction: lone,
  rank_fields: list(lone),
});

export const scoreRequest = object({
  ...base,
  ...named(['text_1', 'text_2', 'data_1', 'data_2', 'queries', 'documents'], scored),
  // SGLang takes token ids for either.
  ...named(['query', 'items'], {
    ...scored,
    read: (reader, node, place) => isNumeric(node) && tokenIds.read?.(reader, node, place) === true,
  }),
  label_token_ids: numbers,
  instruction: text,
});

const pooled: Readonly<Record<string, Shape>> = {
  ...base,
  ...conversation,
  ...named(['task', 'embed_dtype', 'endianness'], lone),
  dimensions: number,
};

// What vLLM's plugins are asked with: by words of each plugin's own the server fetches an address, reads a file or writes one.
export const poolingRequest = object({ ...pooled, input: llamaPrompt, data: refused });
export const classifyRequest = object({ ...pooled, input: llamaPrompt });
