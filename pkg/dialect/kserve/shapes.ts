import type { JsonNode } from '../../base/index.ts';
import { isNumeric } from '../openai/request-shape.ts';
import { tokenRun } from '../number-tally.ts';
import { refused } from '../refused-fields.ts';
import { boolean, either, free, list, lone, named, number, numbers, object, text } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';
import { namesIds } from '../token-ids.ts';
import { floatTypes, wholeBytes } from './datatypes.ts';
import { hiddenLists, integersIn, numbersIn } from './number-runs.ts';
import { parametersTensor, refuseChoice, refuseReferring, refusedParameters } from './tensor-rules.ts';

/**
 * KServe v1 and v2 as JSON, and Triton's `generate`. Sources: KServe `docs/predict-api`; Triton `docs/protocol`. A field that is not here passes as
 * unknown.
 *
 * Of a tensor's contents the data type says what they are: BYTES are texts, floating-point numbers are not looked at, whole numbers may be token ids:
 * from eight on over all tensors of a body, however they are nested and spelled (servers flatten lists, and cut fractions off), and fewer where
 * the tensor is named as those are. Of v1 and of `generate` only the spelling says what is a whole number.
 */

/** Lists as deep as the tensor's shape. Places in them are not kept, however deep they are ({@link Shape.unknown}). */
const texts: Shape = {
  string: 'text',
  unknown: true,
  get items() {
    return texts;
  },
  read(reader, node, place) {
    // Among texts numbers are none of their kind.
    if (node.kind === 'number') reader.refuse(place);
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
/** As many as may be a text. */
const manyElements: Shape = {
  ...wholeNumbers,
  noTokens: true,
  strict: true,
  get items() {
    return manyElements;
  },
};
const manyNumbers: Shape = {
  read(reader, node, place) {
    if (numbersIn(node) > 0) reader.tokens(node);
    reader.read(node, place.as(manyElements));
    return true;
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
    if (node.kind === 'number') reader.refuse(place);
    return isNumeric(node) && ids.read?.(reader, node, place) === true;
  },
};

const value: Shape = { string: 'text', number: true, boolean: true };
const askedParameters: Shape = {
  ...object(
    { ...refusedParameters, ...named(['binary_data_output', 'binary_data'], boolean), binary_data_size: refused },
    { rest: value },
  ),
  read: refuseReferring,
};
const answeredParameters: Shape = object({}, { rest: value });

/** The shapes of a tensor, by what its contents are. */
function tensors(parameters: Shape, wholes: Shape): (node: JsonNode) => Shape {
  const holding = (data: Shape): Shape =>
    object({ name: lone, datatype: lone, shape: numbers, parameters, data }, { strict: true });
  const byKind = {
    texts: holding(texts),
    floats: holding(floatNumbers),
    wholes: holding(wholes),
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

/** The texts of contents, however deep; undefined: something else is among them. */
function textsOf(data: JsonNode | undefined): readonly string[] | undefined {
  if (data?.kind === 'string') return [data.text];
  if (data?.kind !== 'array' || data.numbers !== undefined) return undefined;
  const found = data.items.map(textsOf);
  return found.every((one) => one !== undefined) ? found.flat() : undefined;
}

/** Of a data type of whole numbers, and of a name that says nothing. */
const isWhole = (tensor: JsonNode): boolean =>
  wholeBytes.has(tensor.get('datatype')?.string ?? '') && !namesIds(tensor.get('name')?.string ?? '');

/** @param check what is refused of a tensor. */
function tensorList(
  parameters: Shape,
  check?: (reader: ShapeReader, node: JsonNode, place: ShapePlace) => void,
): Shape {
  const tensorOf = (shapeOf: (node: JsonNode) => Shape): Shape => ({
    read(reader, node, place) {
      if (node.kind !== 'object') reader.refuse(place);
      check?.(reader, node, place);
      reader.read(node, place.as(shapeOf(node)));
      return true;
    },
  });
  const few: Shape = list(tensorOf(tensors(parameters, wholeNumbers)), { strict: true });
  const many: Shape = list(tensorOf(tensors(parameters, manyNumbers)), { strict: true });
  return {
    read(reader, node, place) {
      const wholes = node.kind === 'array' && node.numbers === undefined ? node.items.filter(isWhole) : [];
      const count = wholes.reduce((sum, tensor) => sum + numbersIn(tensor.get('data')), 0);
      reader.read(node, place.as(count < tokenRun ? few : many));
      return true;
    },
  };
}

const inputs = tensorList(askedParameters, (reader, node, place) =>
  refuseChoice(reader, place, node.get('name')?.string ?? '', textsOf(node.get('data'))),
);
const outputs = tensorList(answeredParameters);

export const inferRequest = object({
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: askedParameters,
  inputs,
  outputs: list(object({ name: lone, parameters: askedParameters })),
});

const error: Shape = either(text, free);

export const inferAnswer = object({
  error,
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: answeredParameters,
  outputs,
});

/** What MLServer puts beside the tensors of each event, in its own words (CloudEvents): nobody joins them from event to event. */
const cloudEvent = 'Specversion Source Type Modelid Inferenceservicename Endpoint Id Requestid'.split(' ');
const eventParameters: Shape = object(
  {
    content_type: lone,
    headers: object(
      named(
        cloudEvent.map((name) => `Ce-${name}`),
        lone,
      ),
    ),
  },
  { rest: value },
);

/** An event of MLServer's streams: each is an answer to `infer`. */
export const inferEvent = object({
  error,
  ...named(['model_name', 'model_version', 'id'], lone),
  parameters: eventParameters,
  outputs: tensorList(eventParameters),
});

/** Where anything may be a tensor. */
const countingAsked = (shape: Shape): Shape => ({
  ...shape,
  read(reader, node, place) {
    if (integersIn(node) >= tokenRun) reader.tokens();
    return shape.read?.(reader, node, place) === true;
  },
});

function countingAnswered(fields: Readonly<Record<string, Shape>>): Shape {
  const few = object(fields);
  const hiding = Object.entries(fields).map(([name, shape]) => [name, shape === free ? hiddenLists : shape] as const);
  const many = object(Object.fromEntries(hiding), { rest: hiddenLists });
  return {
    read(reader, node, place) {
      reader.read(node, place.as(integersIn(node) < tokenRun ? few : many));
      return true;
    },
  };
}

/** v1: whatever the model takes and gives. */
export const predictRequest = countingAsked(
  object({
    ...refusedParameters,
    ...named(['instances', 'inputs'], free),
    parameters: { ...object(refusedParameters), read: refuseReferring },
    signature_name: lone,
  }),
);
export const predictAnswer = countingAnswered({ error, ...named(['predictions', 'explanations', 'outputs'], free) });

/** What chooses an adapter, wherever it stands. */
function refuseTextChoice(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  node.keys.forEach(({ text: name }, at) => refuseChoice(reader, place, name, textsOf(node.items[at])));
  return false;
}

/** Texts that repeat what came before are no pieces of one. */
const generateRefused: Readonly<Record<string, Shape>> = { ...refusedParameters, accumulate_tokens: refused };

export const generateRequest: Shape = countingAsked({
  ...object({
    ...generateRefused,
    model_name: lone,
    model_version: lone,
    id: lone,
    text_input: either(text, list(text)),
    [parametersTensor]: text,
    parameters: {
      ...object(generateRefused, { rest: value }),
      read: (reader, node, place) => refuseReferring(reader, node, place) || refuseTextChoice(reader, node, place),
    },
    stream: boolean,
  }),
  read: refuseTextChoice,
});

/** Numbers that Triton says of each of its answers. */
export const eventNumbers = ['sequence_id', 'sequence_index', 'batch_index'] as const;

export const generateAnswer = countingAnswered({
  error,
  ...named(['model_name', 'model_version', 'id'], lone),
  text_output: either(text, list(text)),
  finish_reason: lone,
  ...named(eventNumbers, number),
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
