import type { JsonNode } from '../../base/index.ts';
import { isNumeric } from '../openai/request-shape.ts';
import { refused } from '../refused-fields.ts';
import { boolean, either, free, list, lone, named, number, numbers, object, text } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';
import { namesIds } from '../token-ids.ts';
import { floatTypes, wholeBytes } from './datatypes.ts';
import { parametersTensor, refuseChoice, refuseTelling, refusedParameters } from './tensor-rules.ts';

/**
 * KServe v1 and v2 as JSON, and Triton's `generate`. Sources: KServe `docs/predict-api`; Triton `docs/protocol`. A field that is not here passes as
 * unknown.
 *
 * Of a tensor's contents the data type says what they are: BYTES are texts, floating-point numbers are not looked at, whole numbers may be token ids:
 * from eight on as everywhere, and fewer where the tensor is named as those are.
 */

/** Whole numbers in a list from which on they may be a text: an element that is none shows so ({@link binaryTensors}). */
const tokenRun = 8;

/** Lists as deep as the tensor's shape. Places in them are not kept, however deep they are ({@link Shape.unknown}). */
const texts: Shape = {
  string: 'text',
  unknown: true,
  get items() {
    return texts;
  },
  read(reader, node) {
    if (node.numbers !== 'integers' || node.numberCount < tokenRun) return false;
    reader.tokens(node);
    return true;
  },
};
const wholeNumbers: Shape = {
  number: true,
  boolean: true,
  unknown: true,
  get items() {
    return wholeNumbers;
  },
};
const floatNumbers: Shape = { read: (_reader, node) => isNumeric(node) };
/** Of a name that token ids have. */
const ids: Shape = {
  read(reader, node, place) {
    if (!isNumeric(node)) reader.refuse(place);
    if (node.numberCount > 0 || node.items.length > 0) reader.tokens(node);
    return true;
  },
};
/** Of a data type that KServe does not have nobody knows what numbers say. */
const unknownKind: Shape = {
  string: 'text',
  unknown: true,
  items: texts,
  read(reader, node, place) {
    return isNumeric(node) && ids.read?.(reader, node, place) === true;
  },
};

const value: Shape = { string: 'text', number: true, boolean: true };
const askedParameters: Shape = {
  ...object(
    { ...refusedParameters, ...named(['binary_data_output', 'binary_data'], boolean), binary_data_size: refused },
    { rest: value },
  ),
  read: refuseTelling,
};
const answeredParameters: Shape = object({}, { rest: value });

/** The shapes of a tensor, by what its contents are. */
function tensors(parameters: Shape): (node: JsonNode) => Shape {
  const holding = (data: Shape): Shape =>
    object({ name: lone, datatype: lone, shape: numbers, parameters, data }, { strict: true });
  const byKind = {
    texts: holding(texts),
    floats: holding(floatNumbers),
    wholes: holding(wholeNumbers),
    ids: holding(ids),
  };
  const unknown = holding(unknownKind);
  return (node) => {
    const datatype = node.get('datatype')?.string ?? '';
    if (datatype === 'BYTES') return byKind.texts;
    if (floatTypes.has(datatype)) return byKind.floats;
    if (wholeBytes.has(datatype)) return namesIds(node.get('name')?.string ?? '') ? byKind.ids : byKind.wholes;
    return unknown;
  };
}

const askedTensor = tensors(askedParameters);
const answeredTensor = tensors(answeredParameters);

/** The texts of contents, however deep; undefined: something else is among them. */
function textsOf(data: JsonNode | undefined): readonly string[] | undefined {
  if (data?.kind === 'string') return [data.text];
  if (data?.kind !== 'array' || data.numbers !== undefined) return undefined;
  const found = data.items.map(textsOf);
  return found.every((one) => one !== undefined) ? found.flat() : undefined;
}

const input: Shape = {
  read(reader, node, place) {
    if (node.kind !== 'object') reader.refuse(place);
    refuseChoice(reader, place, node.get('name')?.string ?? '', textsOf(node.get('data')));
    reader.read(node, place.as(askedTensor(node)));
    return true;
  },
};

const output: Shape = {
  read(reader, node, place) {
    if (node.kind !== 'object') reader.refuse(place);
    reader.read(node, place.as(answeredTensor(node)));
    return true;
  },
};

export const inferRequest = object({
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: askedParameters,
  inputs: list(input),
  outputs: list(object({ name: lone, parameters: askedParameters })),
});

const error: Shape = either(text, free);

export const inferAnswer = object({
  error,
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: answeredParameters,
  outputs: list(output, { strict: true }),
});

/** v1: whatever the model takes and gives. */
export const predictRequest = object({
  ...refusedParameters,
  instances: free,
  parameters: { ...object(refusedParameters, { rest: free }), read: refuseTelling },
  signature_name: lone,
});
export const predictAnswer = object({ error, predictions: free, explanations: free, outputs: free });

/** What chooses an adapter, wherever it stands. */
function refuseTextChoice(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  node.keys.forEach(({ text: name }, at) => refuseChoice(reader, place, name, textsOf(node.items[at])));
  return false;
}

/** Texts that repeat what came before are no pieces of one. */
const generateRefused: Readonly<Record<string, Shape>> = { ...refusedParameters, accumulate_tokens: refused };

export const generateRequest: Shape = {
  ...object({
    ...generateRefused,
    model_name: lone,
    model_version: lone,
    id: lone,
    text_input: either(text, list(text)),
    [parametersTensor]: text,
    parameters: {
      ...object(generateRefused, { rest: value }),
      read: (reader, node, place) => refuseTelling(reader, node, place) || refuseTextChoice(reader, node, place),
    },
    stream: boolean,
  }),
  read: refuseTextChoice,
};

export const generateAnswer = object({
  error,
  ...named(['model_name', 'model_version', 'id'], lone),
  text_output: either(text, list(text)),
  finish_reason: lone,
  ...named(['sequence_id', 'sequence_index', 'batch_index'], number),
  ...named(['sequence_start', 'sequence_end'], boolean),
});

export const modelPage = object({
  error,
  ...named(['name', 'platform'], lone),
  versions: list(lone),
  ready: boolean,
  ...named(
    ['inputs', 'outputs'],
    list(object({ name: lone, datatype: lone, shape: numbers, parameters: answeredParameters })),
  ),
});
