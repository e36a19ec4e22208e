import { free, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { saidBlock, streamedBlock } from './block-shape.ts';

/** Fields of Converse's answers and events. Anything else is unknown: its strings are lanes by their path. */

const usage = object({
  ...named('inputTokens outputTokens totalTokens cacheReadInputTokens cacheWriteInputTokens'.split(' '), number),
  cacheDetails: free,
});

const envelope: Record<string, Shape> = {
  stopReason: lone,
  additionalModelResponseFields: free,
  usage,
  metrics: object({ latencyMs: number }),
  trace: free,
  performanceConfig: object({ latency: lone }),
  serviceTier: object({ type: lone }),
};

/** An error, whole or as an exception of a stream. */
const failure: Record<string, Shape> = {
  message: text,
  Message: text,
  __type: lone,
  ...named(['originalStatusCode'], number),
  originalMessage: text,
  ...named(['resourceName'], lone),
};
export const fault = object(failure);

/** How many tokens a prompt has. */
export const countAnswer = object({ ...failure, inputTokens: number });

export const converseAnswer = object({
  ...envelope,
  ...failure,
  output: object({ message: object({ role: lone, content: list(saidBlock, { strict: true }) }) }),
});

/** The message as the stream's clients put it together: every piece of a block is read at the place of the block. */
export const streamedMessage = object({ content: list(streamedBlock, { strict: true }) });

/** Read at another place, by {@link streamedMessage}. */
const elsewhere: Shape = { read: () => true };

export const event = object({
  ...envelope,
  ...failure,
  role: lone,
  contentBlockIndex: number,
  ...named(['start', 'delta'], elsewhere),
  // Letters that hide how long the rest is.
  p: lone,
});
