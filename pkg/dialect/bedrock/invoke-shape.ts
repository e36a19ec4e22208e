import type { JsonNode } from '../../base/index.ts';
import { tool } from '../anthropic/request-block-shape.ts';
import { messagesRequest, promptOrder } from '../anthropic/request-shape.ts';
import { firstChatFields, firstChatOrder } from '../cohere/first-chat-shape.ts';
import { outputLimits } from '../openai/request-shape.ts';
import { refuse } from '../request-fields.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { list, lone, named, object } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** What a body for `invoke` may not say, and no field that goes on to the model beside a Converse request. */
const ownLimits: readonly string[] = [
  'max_gen_len',
  'maxTokenCount',
  'maxTokens',
  'max_tokens_to_sample',
  'textGenerationConfig',
  'inferenceConfig',
];
export const blockedInvoke: Readonly<Record<string, Shape>> = {
  ...refusedFields,
  ...named([...outputLimits, ...ownLimits, 'n', 'best_of', 'num_generations'], refused),
  ...named(['model', 'modelId', 'mcp_servers', 'container', 'thread'], refused),
  tools: list(tool),
  ...named(['messages', 'prompt', 'system', 'inputText', 'stop_sequences', 'stopSequences', 'stop'], refused),
};

/** What chooses a model, says how long an answer is, or what is asked, by the names of any vendor: a body has its own vendor's alone. */
const decides: readonly string[] = [
  ...[...outputLimits, ...ownLimits, 'n', 'best_of', 'num_generations', 'numResults'],
  ...['model', 'modelId', 'model_id', 'stream', 'anthropic_version', 'schemaVersion'],
  ...['messages', 'message', 'prompt', 'inputText', 'stop', 'stop_sequences', 'stopSequences'],
];
/** @param own names that the vendor's bodies have. */
export const blocked = (own: readonly string[]): Readonly<Record<string, Shape>> =>
  named(
    decides.filter((name) => !own.includes(name)),
    refused,
  );

/**
 * The same where the body's shape is another API's.
 *
 * @throws RefusedError `invalid_request`
 */
export function refuseOthers(root: JsonNode, own: readonly string[]): void {
  for (const { text: name } of root.keys) if (decides.includes(name) && !own.includes(name)) refuse(name);
}

/** A body for Cohere's models: that of its first chat. */
export const cohereRequest = object(
  {
    ...blocked(['message', 'max_tokens', 'stop_sequences']),
    ...firstChatFields,
  },
  { order: firstChatOrder },
);

const { model: _model, stream: _stream, ...shared } = Object.fromEntries(messagesRequest.fields ?? []);

/** A body for Anthropic's models: the path says which, and whether it streams. */
export const invokeRequest = object(
  {
    ...shared,
    ...named(ownLimits, refused),
    ...named(['model', 'modelId', 'model_id', 'stream'], refused),
    anthropic_version: lone,
    anthropic_beta: list(lone),
  },
  { order: promptOrder },
);
