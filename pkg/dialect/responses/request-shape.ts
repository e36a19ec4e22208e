import { outputLimits } from '../openai/request-shape.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { boolean, either, free, list, lone, named, number, object, schema, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { itemFields, part, tool } from './item-shape.ts';

/** Fields of a request for a Response. A field that is not here passes as unknown. */

/** What is kept on the server for later is nobody's to read here; to say no is fine. */
const refusedIfTrue: Shape = {
  boolean: true,
  read(reader, node, place) {
    if (node.kind === 'true') reader.refuse(place);
    return false;
  },
};

/** By the name of a file, a container or an earlier item the server takes what nobody has seen here, and that may be another caller's. */
const unseen = named(['file_id', 'file_ids', 'file_url', 'vector_store_ids', 'container_id'], refused);

const inputPart: Shape = object({ ...Object.fromEntries(part.fields ?? []), ...unseen });

const inputItem: Shape = object(
  {
    ...itemFields,
    ...unseen,
    content: either(text, list(either(inputPart, text))),
    output: either(text, list(inputPart), inputPart),
  },
  {
    read(reader, node, place) {
      if (node.kind === 'object' && (node.get('type')?.string === 'item_reference' || isBareId(node.keys)))
        reader.refuse(place, 'id');
      return false;
    },
  },
);

/** An item by its `id` alone: its type may be left out. */
function isBareId(keys: readonly { readonly text: string }[]): boolean {
  return keys.length > 0 && keys.every(({ text: key }) => key === 'id' || key === 'type');
}

export const requestTool: Shape = object({
  ...Object.fromEntries(tool.fields ?? []),
  ...unseen,
  // Another server is told to take part, with the caller's or our credentials; another model answers.
  ...named('server_url connector_id tunnel_id authorization headers model svg input_image_mask'.split(' '), refused),
  container: object({ type: lone, memory_limit: lone, ...unseen, network_policy: refused }),
});

export const toolChoice = either(
  lone,
  object({ type: lone, name: lone, mode: lone, server_label: lone, tools: list(object({ type: lone, name: lone })) }),
);

export const responsesRequest = object({
  ...refusedFields,
  // What was said before is on the server: it cannot be inspected, and may be another caller's.
  ...named(['previous_response_id', 'conversation', 'prompt', 'access_programs'], refused),
  background: refusedIfTrue,
  // Chat's names: other servers obey them.
  ...named([...outputLimits.filter((name) => name !== 'max_output_tokens'), 'n', 'best_of', 'messages'], refused),
  model: lone,
  input: either(text, list(inputItem)),
  instructions: text,
  ...named(['max_output_tokens', 'max_tool_calls', 'temperature', 'top_p', 'top_logprobs'], number),
  ...named(['stream', 'store', 'parallel_tool_calls'], boolean),
  stream_options: object({ include_obfuscation: boolean }),
  include: list(lone),
  metadata: free,
  reasoning: object(named(['effort', 'summary', 'generate_summary'], lone)),
  text: object({
    format: object({ type: lone, name: lone, description: text, schema, strict: boolean }),
    verbosity: lone,
  }),
  tools: list(requestTool),
  tool_choice: toolChoice,
  truncation: lone,
  ...named(['user', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'service_tier'], lone),
  ...named(['context_management', 'moderation'], free),
});
