import type { JsonNode } from '../../base/index.ts';
import { outputLimits } from '../openai/request-shape.ts';
import { namedFile } from '../pdf.ts';
import { metadataWith, refused, refusedFields, saysNothing } from '../refused-fields.ts';
import { boolean, either, list, lone, named, number, object, schema, text, typed, unlisted } from '../shape.ts';
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

const inputPart: Shape = typed(
  [
    'input_text output_text text input_image input_file input_audio refusal summary_text reasoning_text',
    'computer_screenshot output_audio encrypted_content',
  ]
    .join(' ')
    .split(' '),
  namedFile(object({ ...Object.fromEntries(part.fields ?? []), ...unseen })),
);

/** Where a tool works: on the caller's side, or in a container of its own with nothing in it and no way out. */
const environment = typed(
  ['local', 'container_auto', 'auto'],
  object({
    type: lone,
    memory_limit: lone,
    ...unseen,
    network_policy: refused,
    // Those of the caller's own side have no type: their names and what they are for. Others are kept by the server, or come as an archive.
    skills: list(typed([], object({ name: lone, description: text, path: text }))),
  }),
);

const toolFields = new Map<string, Shape>(
  Object.entries({
    ...Object.fromEntries(tool.fields ?? []),
    ...unseen,
    // Another server is told to take part, with the caller's or our credentials; another model answers.
    ...named('server_url connector_id tunnel_id authorization headers model svg input_image_mask'.split(' '), refused),
    container: environment,
    // Of a computer it is a word.
    environment: either(environment, lone),
  }),
);

/** A tool wherever a request may have one. */
export const requestTool: Shape = typed(
  [
    'function custom namespace tool_search web_search web_search_2025_08_26 web_search_preview web_search_preview_2025_03_11',
    'computer computer_use computer_use_preview code_interpreter image_generation local_shell shell apply_patch programmatic_tool_calling',
  ]
    .join(' ')
    .split(' '),
  { fields: toolFields },
);
// A namespace has tools of its own.
toolFields.set('tools', list({ ...requestTool, nests: true }));

/** Of these the server looks up by the id what the caller does not say. */
const saidIn: ReadonlyMap<string, readonly string[]> = new Map([
  ['message', ['content']],
  ['reasoning', ['encrypted_content', 'content']],
  ['compaction', ['encrypted_content']],
  ['image_generation_call', ['result']],
  ['file_search_call', ['results']],
  ['function_call', ['arguments']],
  ['custom_tool_call', ['input']],
  ['mcp_call', ['arguments']],
  ['program', ['code']],
]);

/** Whether the item is one that the server keeps: by its `id` alone, whose type may be left out, or without what it says. */
function isStored(node: JsonNode): boolean {
  if (node.get('type')?.string === 'item_reference') return true;
  if (node.keys.length > 0 && node.keys.every(({ text: key }) => key === 'id' || key === 'type')) return true;
  if ((node.get('id')?.string ?? '') === '') return false;
  const fields = saidIn.get(node.get('type')?.string ?? '');
  return fields?.every((name) => isEmpty(node.get(name))) === true;
}

const isEmpty = (node: JsonNode | undefined): boolean => node === undefined || node.text === '' || saysNothing(node);

const inputItem: Shape = typed(
  [
    'message function_call function_call_output custom_tool_call custom_tool_call_output reasoning compaction compaction_trigger',
    'file_search_call web_search_call computer_call computer_call_output image_generation_call code_interpreter_call',
    'local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call apply_patch_call_output',
    'tool_search_call tool_search_output additional_tools configuration_update program program_output',
    'mcp_list_tools mcp_call mcp_approval_request mcp_approval_response item_reference',
  ]
    .join(' ')
    .split(' '),
  object(
    {
      ...itemFields,
      ...unseen,
      content: either(text, list(either(inputPart, text))),
      output: either(text, list(inputPart), inputPart),
      tools: list(requestTool),
      environment,
    },
    {
      read(reader, node, place) {
        if (node.kind === 'object' && isStored(node)) reader.refuse(place, 'id');
        return false;
      },
    },
  ),
);

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
  metadata: metadataWith(),
  reasoning: object(named(['effort', 'summary', 'generate_summary'], lone)),
  text: object({
    format: object({ type: lone, name: lone, description: text, schema, strict: boolean }),
    verbosity: lone,
  }),
  tools: list(requestTool),
  tool_choice: toolChoice,
  truncation: lone,
  ...named(['user', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'service_tier'], lone),
  ...named(['context_management', 'moderation'], unlisted),
});
