/**
 * The events of a Response's stream as data (openai-node `ResponseStreamEvent`; vLLM's `reasoning_part`): which field carries what, and where that
 * stands in an item of the output.
 */
export interface Carried {
  readonly field: string;
  /** Steps from the item; `content` and its like are followed by the index that the event names. Empty: the item itself. */
  readonly at: readonly (string | { readonly index: string })[];
  /** Clients join it with what came before; else it says again what they have, so far. */
  readonly says: 'more' | 'text_done' | 'part_done' | 'item_done';
}

const content = [{ index: 'content_index' }];
const summary = [{ index: 'summary_index' }];
const command = [{ index: 'command_index' }];

const piece = (at: Carried['at'], field: string, name: string): Record<string, Carried> => ({
  [`response.${name}.delta`]: { field: 'delta', at, says: 'more' },
  [`response.${name}.done`]: { field, at, says: 'text_done' },
});
const whole = (at: Carried['at'], field: string, name: string): Record<string, Carried> => ({
  [`response.${name}.added`]: { field, at, says: 'more' },
  [`response.${name}.done`]: { field, at, says: at.length === 0 ? 'item_done' : 'part_done' },
});

export const carried: ReadonlyMap<string, Carried> = new Map(
  Object.entries({
    ...whole([], 'item', 'output_item'),
    ...whole(['content', ...content], 'part', 'content_part'),
    ...whole(['content', ...content], 'part', 'reasoning_part'),
    ...whole(['summary', ...summary], 'part', 'reasoning_summary_part'),
    ...piece(['content', ...content, 'text'], 'text', 'output_text'),
    ...piece(['content', ...content, 'text'], 'text', 'reasoning_text'),
    ...piece(['content', ...content, 'refusal'], 'refusal', 'refusal'),
    ...piece(['summary', ...summary, 'text'], 'text', 'reasoning_summary_text'),
    ...piece(['arguments'], 'arguments', 'function_call_arguments'),
    ...piece(['arguments'], 'arguments', 'mcp_call_arguments'),
    ...piece(['input'], 'input', 'custom_tool_call_input'),
    ...piece(['code'], 'code', 'code_interpreter_call_code'),
    ...piece(['action', 'commands', ...command], 'command', 'shell_call_command'),
    'response.shell_call_command.added': { field: 'command', at: ['action', 'commands', ...command], says: 'more' },
    'response.shell_call_output_content.delta': { field: 'delta', at: ['output', ...command], says: 'more' },
    'response.shell_call_output_content.done': { field: 'output', at: ['output'], says: 'text_done' },
    'response.output_text.annotation.added': {
      field: 'annotation',
      at: ['content', ...content, 'annotations', { index: 'annotation_index' }],
      says: 'more',
    },
  } satisfies Record<string, Carried>),
);

/** Events that carry the Response itself, as far as it is; the last three end the stream. */
export const around: ReadonlySet<string> = new Set(
  ['created', 'queued', 'in_progress', 'completed', 'incomplete', 'failed'].map((name) => `response.${name}`),
);

/** The next piece of what is spoken, and of its transcript: neither event says of which item. */
export const sound = 'response.audio.delta';
export const transcript = 'response.audio.transcript.delta';

/** Events that carry nothing but themselves: how far a tool is. */
export const bare: ReadonlySet<string> = new Set([
  'error',
  'keepalive',
  'response.audio.done',
  'response.audio.transcript.done',
  ...Object.entries({
    code_interpreter_call: 'in_progress interpreting completed',
    file_search_call: 'in_progress searching completed',
    web_search_call: 'in_progress searching completed',
    image_generation_call: 'in_progress generating partial_image completed',
    mcp_call: 'in_progress completed failed',
    mcp_list_tools: 'in_progress completed failed',
    compaction: 'compacting',
  }).flatMap(([tool, steps]) => steps.split(' ').map((step) => `response.${tool}.${step}`)),
]);
