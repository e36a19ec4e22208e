import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, Lane, LaneEnds, Usage } from '../dialect.ts';
import { readAnswer as readList } from '../openai/answer.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { free } from '../shape.ts';
import { embedded, generated } from './answer-shape.ts';
import { plainModel } from './model-name.ts';
import type { OllamaRoute } from './routes.ts';

/**
 * Answers of Ollama's API, and the lines of its streams: each is an answer of its own, whose texts are the next pieces.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is none of the operation's answers is refused. A call
 * of a tool comes whole in its line, so its texts are not joined with those of the next call.
 */

const answers = Place.root(generated);
const vectors = Place.root(embedded);
const page = Place.root(free);
const noEnds: readonly LaneEnds[] = Object.freeze([]);
const noModels: AnswerView['models'] = Object.freeze([]);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

const isError = (root: JsonNode): boolean => (root.get('error')?.kind ?? 'null') !== 'null';

/** `stop` alone is an end of the model's own; one that is not told may have been a cut. */
function endsOf(root: JsonNode): readonly LaneEnds[] {
  if (root.get('done')?.kind !== 'true') return noEnds;
  return [{ prefix: '', end: root.get('done_reason')?.string === 'stop' ? 'complete' : 'cut' }];
}

function usageOf(root: JsonNode): Usage | undefined {
  const count = (name: string): number | undefined => {
    const value = root.get(name)?.number;
    return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  };
  const input = count('prompt_eval_count');
  const output = count('eval_count');
  return input === undefined && output === undefined ? undefined : { input: input ?? 0, output: output ?? 0 };
}

function viewOf(reader: Reader, root: JsonNode): Omit<AnswerView, 'ends'> {
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, models: noModels, usage: usageOf(root) };
}

/** Whether a text of the answer is here; which one, its operation says. */
function checkText(operation: OllamaRoute['operation'], root: JsonNode): void {
  const kind = operation === 'Chat' ? root.get('message')?.kind : root.get('response')?.kind;
  if (kind !== (operation === 'Chat' ? 'object' : 'string')) refuse(operation === 'Chat' ? 'message' : 'response');
}

/** A list of models, each to be shown or not, or the page of one. */
function readModels(root: JsonNode, status: number): AnswerView {
  if (root.get('models')?.kind === 'array') {
    const view = readList('ListModels', root, status);
    return { ...view, models: view.models.map(({ id, node }) => ({ id: plainModel(id), node })) };
  }
  const reader = new Reader('answer');
  reader.read(root, page);
  return { ...viewOf(reader, root), ends: noEnds };
}

/** @throws RefusedError `response_uninspectable` */
export function readAnswer(operation: OllamaRoute['operation'], root: JsonNode, status: number): AnswerView {
  if (root.kind !== 'object') refuse('body');
  if (operation === 'ListModels') return readModels(root, status);
  const embeds = operation === 'Embeddings';
  const reader = new Reader('answer');
  reader.read(root, embeds ? vectors : answers);
  if (status < 400 && !isError(root)) {
    if (!embeds) checkText(operation, root);
    else if (root.get('embeddings')?.kind !== 'array' && root.get('embedding')?.kind !== 'array') refuse('embeddings');
  }
  const ends = endsOf(root);
  return { ...viewOf(reader, root), ends: embeds || ends.length > 0 ? ends : [{ prefix: '', end: 'cut' }] };
}

const isCall = ({ id }: Lane): boolean => id.startsWith('message.tool_calls[') || id.startsWith('tool_calls[');

/** @throws RefusedError `response_uninspectable` */
export function readFrame(operation: OllamaRoute['operation'], root: JsonNode | undefined): FrameView {
  if (root?.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, answers);
  const failed = isError(root);
  if (!failed) checkText(operation, root);
  const view = viewOf(reader, root);
  const lanes = view.lanes.some(isCall)
    ? view.lanes.map((lane) => (isCall(lane) ? { ...lane, whole: 'complete' as const } : lane))
    : view.lanes;
  return { ...view, lanes, kind: failed ? 'error' : 'data', ends: failed ? noEnds : endsOf(root) };
}
