import { outputLimits, tokenIds } from '../openai/request-shape.ts';
import { keepAlive } from '../keep-alive.ts';
import { mediaBytes } from '../media.ts';
import { refused, refusedFields, runnerOptions } from '../refused-fields.ts';
import { boolean, either, free, list, lone, named, number, object, schema, text, toolInput, typed } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** Fields of Ollama's requests (api/types.go). A field that is not here passes as unknown. */

const images = list({ read: mediaBytes });

/** What a runner is told of one answer (`api.Options`); not how it has its model in memory. */
const options = object({
  ...named(
    [
      'num_predict num_keep seed top_k top_p min_p typical_p tfs_z repeat_last_n temperature repeat_penalty presence_penalty',
      'frequency_penalty mirostat mirostat_tau mirostat_eta',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
  penalize_newline: boolean,
  stop: either(list(text), text),
  ...named(runnerOptions, refused),
});

const common: Record<string, Shape> = {
  ...refusedFields,
  // Here the limit stands in `options`; gateways obey OpenAI's names as well.
  ...named([...outputLimits, 'n', 'best_of'], refused),
  // `name` is an older word for `model`, a template of the caller's makes any prompt of any text.
  ...named(['name', 'template', 'modelfile', 'adapters', 'from', 'insecure'], refused),
  model: lone,
  options,
  keep_alive: keepAlive,
  ...named(['truncate', 'shift', 'stream', 'raw', 'logprobs', '_debug_render_only'], boolean),
  top_logprobs: number,
  think: either(boolean, lone),
  format: either(lone, schema),
};

const call = object({
  id: lone,
  type: lone,
  function: object({ index: number, name: lone, description: text, arguments: toolInput }),
});

const tool = typed(
  ['function'],
  object({
    type: lone,
    function: object({ name: lone, description: text, parameters: schema }),
    items: free,
  }),
);

export const chatRequest = object({
  ...common,
  messages: list(
    object({
      role: lone,
      content: text,
      thinking: text,
      images,
      tool_calls: list(call),
      tool_name: lone,
      tool_call_id: lone,
    }),
  ),
  tools: list(tool),
});

/** What an earlier answer told in tokens; of nothing it is no prompt. */
const context: Shape = {
  items: number,
  read: (reader, node, place) =>
    node.kind === 'array' && node.numberCount > 0 && tokenIds.read?.(reader, node, place) === true,
};

export const generateRequest = object(
  {
    ...common,
    prompt: text,
    suffix: text,
    system: text,
    context,
    images,
    ...named(['width', 'height', 'steps'], number),
  },
  { order: ['system', 'prompt', 'suffix'] },
);

const texts = either(text, list(text));
export const embedRequest = object({ ...common, input: texts, prompt: texts, dimensions: number });

export const showRequest = object({ ...common, verbose: boolean });
