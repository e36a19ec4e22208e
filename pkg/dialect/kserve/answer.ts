import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, FrameView, LaneEnds } from '../dialect.ts';
import type { StreamNumbers } from '../number-tally.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { floatTypes, wholeBytes } from './datatypes.ts';
import { numbersOf } from './number-runs.ts';
import type { KserveKind } from './routes.ts';
import { eventNumbers, generateAnswer, inferAnswer, inferEvent, modelPage, predictAnswer } from './shapes.ts';

/**
 * Answers of KServe's protocols, and the events of `generate_stream`: Triton's, and MLServer's, which are answers to `infer`.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a success that is none of the route's answers is refused. No model says
 * whether its answer was cut, so every end is treated as a cut. The texts of one field, event after event, are one text; so all events of a stream are of one kind.
 * Whole numbers of events are told to who counts them over the stream, since ids of tokens may come one by one.
 */

interface Kind {
  readonly place: Place;
  /** Of which an answer has one. */
  readonly names: readonly string[];
}

const generated: Kind = { place: Place.root(generateAnswer), names: ['model_name', 'text_output'] };
const inferred: Kind = { place: Place.root(inferEvent), names: ['outputs'] };
const kinds: Readonly<Record<KserveKind, Kind>> = {
  predict: { place: Place.root(predictAnswer), names: ['predictions', 'explanations', 'outputs'] },
  infer: { place: Place.root(inferAnswer), names: ['outputs'] },
  generate: generated,
  generate_stream: generated,
  page: { place: Place.root(modelPage), names: ['name', 'ready'] },
};

const none: readonly never[] = Object.freeze([]);
const cut: readonly LaneEnds[] = Object.freeze([{ prefix: '', end: 'cut' }]);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

const isThere = (node: JsonNode | undefined): boolean => node !== undefined && node.kind !== 'null';
const isError = (root: JsonNode): boolean => isThere(root.get('error'));

function read({ place, names }: Kind, root: JsonNode, failed: boolean): Omit<AnswerView, 'ends'> {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, place);
  if (!failed && !names.some((name) => isThere(root.get(name)))) refuse(names[0] ?? 'body');
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, usage: undefined, models: none };
}

/** @throws RefusedError `response_uninspectable` */
export const readAnswer = (kind: KserveKind, root: JsonNode, status: number): AnswerView => ({
  ...read(kinds[kind], root, status >= 400 || isError(root)),
  ends: cut,
});

/** Fields that the events of both kinds read alike. */
const ofBothKinds: ReadonlySet<string> = new Set(['error', 'model_name', 'model_version', 'id']);

/** A list of tensors, or an empty one. */
function areTensors(outputs: JsonNode | undefined): boolean {
  if (outputs?.kind !== 'array' || outputs.numbers !== undefined) return false;
  return outputs.items.length === 0 || outputs.items.some((one) => one.kind === 'object');
}

/** Of an event, its own words for numbers aside. */
function streamNumbers(root: JsonNode, tensors: boolean, known: ReadonlySet<JsonNode>): readonly StreamNumbers[] {
  const own: readonly string[] = tensors ? ['outputs'] : eventNumbers;
  const others = fieldsOf(root, own).flatMap(([name, node]) => numbersOf(name, node, known, false));
  const outputs = tensors ? (root.get('outputs')?.items ?? none) : none;
  return [...others, ...outputs.flatMap((one) => tensorNumbers(one, known))];
}

function tensorNumbers(tensor: JsonNode, known: ReadonlySet<JsonNode>): readonly StreamNumbers[] {
  const datatype = tensor.get('datatype')?.string ?? '';
  const tensorName = tensor.get('name')?.string ?? '';
  const isWhole = wholeBytes.has(datatype);
  const own = floatTypes.has(datatype) ? ['shape', 'data'] : ['shape'];
  return fieldsOf(tensor, own).flatMap(([name, node]) =>
    numbersOf(`${tensorName}.${name}`, node, known, name === 'data' && isWhole),
  );
}

/** Fields but for those of these names. */
const fieldsOf = (object: JsonNode, without: readonly string[]): (readonly [string, JsonNode])[] =>
  object.keys.flatMap(({ text }, at): (readonly [string, JsonNode])[] => {
    const item = object.items[at];
    return item === undefined || without.includes(text) ? [] : [[text, item]];
  });

/** @throws RefusedError `response_uninspectable` */
export function readFrame(root: JsonNode | undefined): FrameView {
  if (root === undefined) refuse('body');
  const failed = isError(root);
  const tensors = areTensors(root.get('outputs'));
  const view = { ...read(tensors ? inferred : generated, root, failed), ends: none };
  // Servers of both kinds say of an error nothing else, and both kinds name that alike.
  const ofBoth = failed && root.keys.every((key) => ofBothKinds.has(key.text));
  const numbers = streamNumbers(root, tensors, new Set(view.integerArrays));
  return {
    ...{ ...view, kind: failed ? 'error' : 'data' },
    ...(!ofBoth && { shape: tensors ? 'infer' : 'generate' }),
    ...(numbers.length > 0 && { numbers }),
  };
}
