import { error, usage } from '../openai/answer-shape.ts';
import { mediaBytes } from '../media.ts';
import { boolean, either, free, list, lone, named, number, object, schema, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { item, itemFields } from './item-shape.ts';

/** Fields of a Response and of its stream's events. Anything else is unknown: its strings are lanes by their path. */

const responseFields: Record<string, Shape> = {
  ...named(
    [
      'id object status model previous_response_id prompt_cache_key prompt_cache_retention safety_identifier service_tier truncation user',
      'type code param message_id',
    ]
      .join(' ')
      .split(' '),
    lone,
  ),
  ...named(
    'created_at completed_at max_output_tokens max_tool_calls temperature top_p top_logprobs'.split(' '),
    number,
  ),
  ...named(['background', 'parallel_tool_calls', 'store'], boolean),
  error,
  message: text,
  incomplete_details: object({ reason: lone }),
  // What the caller said comes back.
  instructions: either(text, list(item)),
  tools: list(schema),
  tool_choice: either(lone, schema),
  text: schema,
  reasoning: object(named(['effort', 'summary', 'generate_summary'], either(lone, free))),
  metadata: free,
  output: list(item, { strict: true }),
  output_text: text,
  usage,
};
export const response = object(responseFields);

/** How many tokens a prompt has. */
export const inputTokens = object({ object: lone, input_tokens: number, error });

/** The same around what an event carries. */
export const eventAround = object({ response: object(responseFields) });

/**
 * The output as the stream's clients put it together: what they join of an item is read at the place of the item, whichever event brings it. What says
 * it again, whole, stands beside it under the name of how much it says.
 */
export const streamed = object({
  output: list(object({ ...itemFields, ...named(['text_done', 'part_done', 'item_done'], item) }), { strict: true }),
});

/** Of an event itself; what it carries is read elsewhere. */
export const eventFields: Record<string, Shape> = {
  ...named(['type', 'item_id', 'obfuscation', 'name', 'status', 'stream_id'], lone),
  ...named(
    [
      'sequence_number output_index content_index summary_index annotation_index command_index partial_image_index created_at',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
  ...named(['background', 'output_format', 'quality', 'size'], lone),
  partial_image_b64: { read: mediaBytes },
  message: text,
  ...named(['code', 'param'], either(lone, number)),
  error,
  usage,
};
