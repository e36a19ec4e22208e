import { embeddingValue } from '../media.ts';
import { either, free, json, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** Fields of Cohere's answers and of its stream's events. Anything else is unknown: its strings are lanes by their path. */

export const tokens = object(
  named(['input_tokens', 'output_tokens', 'search_units', 'classifications', 'images'], number),
);
export const usage = object({ billed_units: tokens, tokens, cached_tokens: number });

/** The answer again, by the ids and spellings of its tokens: one chunk of it, or a list of them. */
export const probabilities: Shape = {
  items: free,
  fields: new Map(),
  read(reader, node) {
    if (node.kind !== 'object' && (node.kind !== 'array' || node.items.length + node.numberCount === 0)) return false;
    reader.tokens(node);
    return true;
  },
};

const block = object({ type: lone, text, thinking: text, image_url: free, document: free });

const call = object({ id: lone, type: lone, function: object({ name: lone, arguments: json }) });

const source = object({ type: lone, id: lone, document: free, tool_output: free });
const citation = object({
  ...named(['start', 'end', 'content_index'], number),
  ...named(['text', 'type'], lone),
  sources: list(source),
});

const parts: Record<string, Shape> = {
  content: list(block, { strict: true }),
  tool_calls: list(call, { strict: true }),
  citations: list(citation, { strict: true }),
};

/** The message, also as a stream's clients put it together: every piece is read at its place in it. */
export const message = object({ role: lone, tool_plan: text, ...parts });

const ending: Record<string, Shape> = { finish_reason: lone, error: text, usage };

/** Cohere's errors: a message alone. */
const failure: Record<string, Shape> = { id: lone, message: text };

export const chatAnswer = object({
  id: lone,
  ...ending,
  message: either(message, text),
  logprobs: probabilities,
  meta: free,
});

/** Read at another place, by {@link message}. */
const elsewhere: Shape = { read: () => true };

/** An event around the piece that it carries. */
export const event = object({
  type: lone,
  id: lone,
  index: number,
  delta: object({
    ...ending,
    message: object({ role: lone, tool_plan: text, ...named(['content', 'tool_calls', 'citations'], elsewhere) }),
  }),
  logprobs: probabilities,
  prompt: text,
  message: text,
});

const vectors = list({ items: free, read: embeddingValue });
const image = object({ ...named(['width', 'height', 'bit_depth'], number), format: lone });
export const embedAnswer = object({
  ...failure,
  response_type: lone,
  embeddings: either(vectors, object(named('float int8 uint8 binary ubinary base64'.split(' '), vectors))),
  texts: list(text),
  images: list(image),
  meta: object({ api_version: free, billed_units: tokens, tokens, cached_tokens: number, warnings: list(text) }),
});
