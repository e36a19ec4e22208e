import { either, free, json, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { citation, said } from './block-shape.ts';

/** Fields of a Messages answer and of its stream's events. Anything else is unknown: its strings are lanes by their path. */

const usage: Shape = object({
  ...named('input_tokens output_tokens cache_creation_input_tokens cache_read_input_tokens'.split(' '), number),
  cache_creation: object(named(['ephemeral_1h_input_tokens', 'ephemeral_5m_input_tokens'], number)),
  server_tool_use: object(named(['web_search_requests', 'web_fetch_requests'], number)),
  service_tier: lone,
  inference_geo: lone,
});

const error = either(text, object({ type: lone, message: text }));

/** How an answer ended; in a stream it comes by itself, behind the content. */
const ending: Record<string, Shape> = {
  stop_reason: lone,
  stop_sequence: lone,
  container: object({ id: lone, expires_at: lone }),
  context_management: free,
};

const envelope: Record<string, Shape> = {
  id: lone,
  type: lone,
  role: lone,
  model: lone,
  usage,
  error,
  request_id: lone,
  ...ending,
};

export const messageAnswer = object({ ...envelope, content: list(said.block, { strict: true }) });

/** Tokens of a prompt. */
export const countAnswer = object({ ...envelope, input_tokens: number, context_management: free });

/** What a stream says of a block: its beginning, and the pieces that clients add to it. */
const streamedBlock = object({ ...said.fields, partial_json: json, citation });

/** The message as the stream's clients put it together: every piece of a block is read at the place of the block. */
export const streamedMessage = object({ ...envelope, content: list(streamedBlock, { strict: true }) });

/** Read at another place, by {@link streamedMessage}. */
const elsewhere: Shape = { read: () => true };

/** An event around the message or the piece that it carries. */
export const event = object({
  type: lone,
  index: number,
  usage,
  error,
  request_id: lone,
  context_management: free,
  ...named(['message', 'content_block', 'delta'], elsewhere),
});
