import { mediaUrlValue } from '../media.ts';
import { outputLimits } from '../openai/request-shape.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { boolean, either, free, list, lone, named, number, object, schema, text, typed } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** Fields of Cohere's requests (docs.cohere.com/reference/chat, embed). A field that is not here passes as unknown. */

/** OpenAI's names of what is `max_tokens` here, and of how many answers are asked for: gateways obey them. */
export const otherLimits = [...outputLimits.filter((name) => name !== 'max_tokens'), 'n', 'best_of', 'num_generations'];

/** What an answer rests on, and what a tool found: a text, or fields of the caller's own. */
const document = either(text, object({ id: lone, data: either(text, free) }));

const imageUrl = object({ url: { read: mediaUrlValue }, detail: lone });

const part = typed(
  ['text', 'thinking', 'image_url', 'document'],
  object({ type: lone, text, thinking: text, image_url: imageUrl, document }),
);
const content: Shape = either(text, list(part));

const call = object({ id: lone, type: lone, function: object({ name: lone, arguments: { string: 'json' } }) });

/** What an earlier answer said of its sources. */
const citation = object({
  ...named(['start', 'end', 'content_index'], number),
  ...named(['text', 'type'], lone),
  sources: list(free),
});

const message = object({
  role: lone,
  content,
  tool_calls: list(call),
  tool_plan: text,
  tool_call_id: lone,
  citations: list(citation),
});

const tool = typed(
  ['function'],
  object({
    type: lone,
    function: object({ name: lone, description: text, parameters: schema, strict: boolean }),
  }),
);

export const chatRequest = object({
  ...refusedFields,
  // Of the first API: a conversation that the server keeps, and sources that it asks itself.
  ...named(['conversation_id', 'connectors', 'message', 'chat_history'], refused),
  ...named(otherLimits, refused),
  model: lone,
  messages: list(message),
  tools: list(tool),
  documents: list(document),
  citation_options: object({ mode: lone, enabled: boolean }),
  response_format: object({ type: lone, json_schema: schema, schema }),
  ...named(['safety_mode', 'tool_choice', 'reasoning_effort'], lone),
  ...named('max_tokens temperature seed frequency_penalty presence_penalty k p'.split(' '), number),
  stop_sequences: list(text),
  ...named(['stream', 'strict_tools', 'logprobs', 'raw_prompting', 'return_prompt'], boolean),
  thinking: object({ type: lone, token_budget: number }),
});

const input = object({ content: either(text, list(part)) });

export const embedRequest = object({
  ...refusedFields,
  model: lone,
  texts: list(text),
  images: list({ read: mediaUrlValue }),
  inputs: list(input),
  ...named(['input_type', 'truncate'], lone),
  embedding_types: list(lone),
  ...named(['output_dimension', 'max_tokens'], number),
});
