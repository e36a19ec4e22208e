import type { JsonNode } from '../../base/index.ts';
import { outputLimits } from '../openai/request-shape.ts';
import { metadataWith, refused, refusedFields } from '../refused-fields.ts';
import { fileUrlValue, namedFile } from '../sent-file.ts';
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
  namedFile(object({ ...Object.fromEntries(part.fields ?? []), file_data: { read: fileUrlValue }, ...unseen })),
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

/**
 * What an item of each type says, by the types of OpenAI's own client: of each list one field at least. Where an item has an `id` and does not say it,
 * the server would look up by the id what it has kept, for whom nobody here knows.
 */
const saidIn: ReadonlyMap<string, readonly (readonly string[])[]> = new Map([
  ['message', [['content']]],
  ['reasoning', [['encrypted_content', 'content']]],
  ['compaction', [['encrypted_content']]],
  ['configuration_update', [['reasoning', 'text']]],
  ['additional_tools', [['tools']]],
  ['file_search_call', [['results']]],
  ['web_search_call', [['action']]],
  ['image_generation_call', [['result']]],
  ['code_interpreter_call', [['code']]],
  ['computer_call', [['action', 'actions']]],
  ['computer_call_output', [['output']]],
  ['function_call', [['arguments']]],
  ['function_call_output', [['output']]],
  ['custom_tool_call', [['input']]],
  ['custom_tool_call_output', [['output']]],
  ['local_shell_call', [['action']]],
  ['local_shell_call_output', [['output']]],
  ['shell_call', [['action']]],
  ['shell_call_output', [['output']]],
  ['apply_patch_call', [['operation']]],
  ['apply_patch_call_output', [['call_id'], ['status']]],
  ['tool_search_call', [['arguments']]],
  ['tool_search_output', [['tools']]],
  ['program', [['code']]],
  ['program_output', [['result']]],
  ['mcp_list_tools', [['tools']]],
  ['mcp_call', [['arguments']]],
  ['mcp_approval_request', [['arguments'], ['name']]],
  ['mcp_approval_response', [['approve']]],
]);
/** They say nothing, and what an item is that has no type its `role` tells. */
const speechless: readonly string[] = ['compaction_trigger', 'item_reference'];

/** Types of items that a request may have. */
export const itemTypes: readonly string[] = [...saidIn.keys(), ...speechless];

/** Whether the item is one that the server keeps: by its `id` alone, whose type may be left out, or without what it says. */
function isStored(node: JsonNode): boolean {
  const type = node.get('type')?.string ?? 'message';
  if (type === 'item_reference') return true;
  if (node.keys.length > 0 && node.keys.every(({ text: key }) => key === 'id' || key === 'type')) return true;
  if (isEmpty(node.get('id'))) return false;
  return saidIn.get(type)?.every((fields) => fields.some((name) => says(node, name))) !== true;
}

/** What a tool gave may be nothing: that is said, too. */
function says(item: JsonNode, name: string): boolean {
  const node = item.get(name);
  return name === 'output' && node?.kind === 'string' ? true : !isEmpty(node);
}

/** It says nothing: a list of what says nothing as well, and an object without fields, or with no more than its kind. */
function isEmpty(node: JsonNode | undefined): boolean {
  switch (node?.kind) {
    case undefined:
    case 'null':
      return true;
    case 'string':
      return node.text === '';
    case 'array':
      return node.numberCount === 0 && node.items.every(isHollow);
    case 'object':
      return node.keys.length === 0;
    default:
      return false;
  }
}

const isHollow = (node: JsonNode): boolean =>
  isEmpty(node) ||
  (node.kind === 'object' && node.keys.every(({ text: key }, at) => key === 'type' || isEmpty(node.items[at])));

const inputItem: Shape = typed(
  itemTypes,
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

/** What is approved is asked for in the same request: another's is one that the server keeps. */
const inputItems: Shape = list(inputItem, {
  read(reader, node, place) {
    if (node.kind !== 'array') return false;
    const of = (type: string, name: string): readonly (string | undefined)[] =>
      node.items.map((item) => (item.get('type')?.string === type ? item.get(name)?.string : undefined));
    const asked = new Set(of('mcp_approval_request', 'id'));
    of('mcp_approval_response', 'approval_request_id').forEach((id, at) => {
      if (id !== undefined && !asked.has(id)) reader.refuse(place.element(at), 'approval_request_id');
    });
    return false;
  },
});

export const toolChoice = either(
  lone,
  object({ type: lone, name: lone, mode: lone, server_label: lone, tools: list(object({ type: lone, name: lone })) }),
);

export const responsesRequest = object(
  {
    ...refusedFields,
    // What was said before is on the server: it cannot be inspected, and may be another caller's.
    ...named(['previous_response_id', 'conversation', 'prompt', 'access_programs'], refused),
    background: refusedIfTrue,
    // Chat's names: other servers obey them.
    ...named([...outputLimits.filter((name) => name !== 'max_output_tokens'), 'n', 'best_of', 'messages'], refused),
    model: lone,
    input: either(text, inputItems),
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
  },
  { order: ['instructions', 'input'] },
);
