import { embeddingValue, mediaBytes } from '../media.ts';
import { readTokenEntries } from '../openai/logprobs.ts';
import { boolean, free, list, lone, named, number, object, text, toolInput } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** Fields of Ollama's answers, whole or by lines (api/types.go). Anything else is unknown: its strings are lanes by their path. */

/** What an earlier part of a conversation was, in tokens: removed where a rule looks for anything. */
const tokenIds: Shape = {
  items: number,
  read(reader, node) {
    if (node.kind !== 'array') return false;
    reader.tokens(node);
    return true;
  },
};

const call = object({
  id: lone,
  type: lone,
  function: object({ index: number, name: lone, description: text, arguments: toolInput }),
});

export const generated = object({
  ...named('model created_at done_reason remote_model remote_host'.split(' '), lone),
  done: boolean,
  ...named(
    ['total_duration load_duration prompt_eval_count prompt_eval_duration eval_count eval_duration completed total']
      .join(' ')
      .split(' '),
    number,
  ),
  message: object({
    role: lone,
    content: text,
    thinking: text,
    images: list({ read: mediaBytes }),
    tool_calls: list(call),
    tool_name: lone,
  }),
  response: text,
  thinking: text,
  tool_calls: list(call),
  context: tokenIds,
  image: { read: mediaBytes },
  logprobs: { items: free, read: readTokenEntries },
  error: text,
});

const vector: Shape = { items: free, read: embeddingValue };
export const embedded = object({
  model: lone,
  ...named(['total_duration', 'load_duration', 'prompt_eval_count'], number),
  embeddings: list(vector, { strict: true }),
  embedding: vector,
  error: text,
});
