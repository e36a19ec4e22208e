import { refused } from '../refused-fields.ts';
import { boolean, list, lone, named, number, object, schema, text, toolInput, typed, unlisted } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { blocksOf, cacheControl } from './block-shape.ts';
import type { Blocks } from './block-shape.ts';

/** Tools and blocks of requests: what a server would take from its own store, another model and another server are refused in them. */

export const tool: Shape = typed(
  [
    // Without `web_fetch`: the server would fetch whatever address stands in the prompt, whatever hosts a policy names, and no guard reads the page.
    'custom',
    /^(?:advisor|bash|code_execution|computer|computer_toolset|browser_toolset|memory|text_editor|web_search)(?:_\d{8})?$/,
    /^tool_search_tool_(?:bm25|regex)(?:_\d{8})?$/,
  ],
  object({
    type: lone,
    name: lone,
    description: text,
    input_schema: schema,
    input_examples: list(toolInput),
    cache_control: cacheControl,
    citations: object({ enabled: boolean }),
    ...named(['strict', 'eager_input_streaming', 'defer_loading'], boolean),
    ...named(['allowed_callers', 'allowed_domains', 'blocked_domains'], list(lone)),
    ...named(['max_uses', 'max_characters', 'max_content_tokens', 'display_width_px', 'display_height_px'], number),
    display_number: number,
    user_location: unlisted,
    // An adviser is another model.
    model: refused,
  }),
);

/** What is added to the tools in the middle of a conversation, or taken from them. */
const changedTool = object({ ...named(['type', 'name', 'server_name'], lone), definition: tool });

const blockTypes = [
  ...[
    'text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use mcp_tool_use mcp_tool_result',
    'web_search_tool_result web_search_result web_fetch_tool_result web_fetch_result advisor_tool_result advisor_result',
    'advisor_redacted_result code_execution_tool_result code_execution_result encrypted_code_execution_result code_execution_output',
    'bash_code_execution_tool_result bash_code_execution_result bash_code_execution_output text_editor_code_execution_tool_result',
    'tool_search_tool_result tool_search_tool_search_result tool_reference tool_addition tool_removal compaction mcp_tool_listing',
    'browser_state',
  ]
    .join(' ')
    .split(' '),
  /^text_editor_code_execution_(?:view|create|str_replace)_result$/,
  /^[a-z_]{1,64}_tool_result_error$/,
];

/** What an earlier run of code made: its name comes back, and nothing is taken by it. */
const madeFile = /^(?:bash_)?code_execution_output$/;
const made = object({ type: lone, file_id: lone });

const tab = object(named(['tab_id', 'download_id', 'type', 'title', 'url', 'path', 'error'], lone));

/** Of anything but a document: servers (vLLM's `/v1/messages`) take bytes of which the source says something else, or nothing, for a picture. */
const pictureSource = /^(?:base64|url)$/;

/** What a server takes bytes for of which nothing is said nobody here knows. */
function checkedSource(shape: Shape): Shape {
  const known = typed(['base64', 'text', 'content', 'url'], shape);
  return {
    ...known,
    read(reader, node, place) {
      const data = node.get('data');
      const isBare = node.kind === 'object' && node.get('type')?.string === undefined;
      if (isBare && data !== undefined && data.kind !== 'null') reader.refuse(place, 'type');
      return known.read?.(reader, node, place) === true;
    },
  };
}

function checkedBlock(shape: Shape): Shape {
  const known = typed(blockTypes, shape);
  return {
    ...known,
    read(reader, node, place) {
      if (node.kind !== 'object') return false;
      const type = node.get('type')?.string ?? '';
      if (madeFile.test(type)) {
        reader.read(node, place.as(made));
        return true;
      }
      // A document that the server would fetch is one that the model reads and no guard does; so are a picture's address and its words.
      const source = node.get('source');
      const url = source?.get('url');
      if (type !== 'image' && url !== undefined && url.kind !== 'null') reader.refuse(place, 'source.url');
      if (type !== 'document' && source?.kind === 'object' && !pictureSource.test(source.get('type')?.string ?? ''))
        reader.refuse(place, 'source.type');
      return known.read?.(reader, node, place) === true;
    },
  };
}

export const sent: Blocks = blocksOf({
  file: refused,
  more: (block) => ({
    tool: changedTool,
    tools: list(tool),
    tool_changes: list(block),
    ...named(['tabs', 'state_changes'], list(tab)),
  }),
  block: checkedBlock,
  source: checkedSource,
});
