import { refused, refusedFields } from '../refused-fields.ts';
import { boolean, free, json, list, lone, named, number, object, schema, text, toolInput } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { probabilities, tokens } from './answer-shape.ts';
import { otherLimits } from './request-shape.ts';

/** Fields of Cohere's first chat (docs.cohere.com/v1/reference/chat), its answers and its events. A field that is not here passes as unknown. */

const call = object({ ...named(['name', 'generation_id'], lone), parameters: toolInput });
/** What tools found: of the caller's own. */
const results = list(object({ call, outputs: list(free) }));

const turn = object({ role: lone, message: text, tool_calls: list(call), tool_results: results });

/** But for the model and whether it streams, which a path may say. */
export const firstChatFields: Readonly<Record<string, Shape>> = {
  ...refusedFields,
  // A conversation that the server keeps, and sources that it asks itself; what the second chat calls the message.
  ...named(['conversation_id', 'connectors', 'messages'], refused),
  ...named(otherLimits, refused),
  message: text,
  preamble: text,
  chat_history: list(turn),
  documents: list(free),
  tools: list(object({ name: lone, description: text, parameter_definitions: schema })),
  tool_results: results,
  response_format: object({ type: lone, json_schema: schema, schema }),
  ...named(['prompt_truncation', 'citation_quality', 'safety_mode', 'preamble_override'], lone),
  ...named('max_tokens max_input_tokens temperature seed frequency_penalty presence_penalty k p'.split(' '), number),
  stop_sequences: list(text),
  ...named(
    'search_queries_only raw_prompting return_prompt return_prompts force_single_step logprobs'.split(' '),
    boolean,
  ),
};

/** In which the model reads them. */
export const firstChatOrder: readonly string[] = ['preamble', 'chat_history', 'message'];
export const firstChatRequest = object({ ...firstChatFields, model: lone, stream: boolean }, { order: firstChatOrder });

const answerFields: Readonly<Record<string, Shape>> = {
  ...named(['response_id', 'generation_id', 'id', 'finish_reason'], lone),
  ...named(['text', 'message', 'prompt'], text),
  is_search_required: boolean,
  citations: list(
    object({ ...named(['start', 'end'], number), ...named(['text', 'type'], lone), document_ids: list(lone) }),
  ),
  documents: list(free),
  search_queries: list(object({ text, generation_id: lone })),
  search_results: list(free),
  tool_calls: list(call),
  chat_history: list(turn),
  logprobs: probabilities,
  meta: object({ api_version: free, billed_units: tokens, tokens, cached_tokens: number, warnings: list(text) }),
};

export const firstChatAnswer = object(answerFields);

const eventFields: Readonly<Record<string, Shape>> = {
  ...answerFields,
  event_type: lone,
  is_finished: boolean,
  response: object(answerFields),
};

/** The event that brings a piece of the text. */
export const pieceEvent = object(eventFields);

/** Read at another place. */
const elsewhere: Shape = { read: () => true };

/** Other events, beside that text; and what is joined of calls over events: what the model says of them, and each by its index. */
export const besideText = object({
  event: object(eventFields),
  chunk: object({ ...eventFields, ...named(['text', 'tool_call_delta'], elsewhere) }),
  plan: text,
  calls: list(object({ name: lone, index: number, parameters: json, text }), { strict: true }),
});
