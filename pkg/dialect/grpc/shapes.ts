import { JsonError, parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { either, list, lone, number, numbers, object, named } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { tellingWord } from '../refused-fields.ts';

/** KServe v2 (Triton) as the projection shows it: which places hold texts that clients and models write, and which hold names. */

const boolean: Shape = { boolean: true };
/** What stands where nobody can read it ({@link unread}). */
const opaque: Shape = list(number);
const content: Shape = either({ string: 'text' }, opaque);
/** A tensor's contents apart from it: texts, or the whole of it unread. */
const raw: Shape = list(either(content, number));

const parameter = object({
  bool_param: boolean,
  int64_param: either(number, { string: 'text' }),
  uint64_param: either(number, { string: 'text' }),
  double_param: number,
  string_param: { string: 'text' },
});

/**
 * Parameters that make what was decided untrue: another adapter, a state that goes on from another request's, memory in which the server
 * reads its input or writes its answer past the sidecar.
 */
const refusedParameters: Readonly<Record<string, Shape>> = {
  ...named(
    'lora_name sequence_id sequence_start sequence_end shared_memory_region shared_memory_offset shared_memory_byte_size'.split(
      ' ',
    ),
    refused,
  ),
  ...refusedFields,
};

const askedParameters: Shape = {
  ...object(refusedParameters, { rest: parameter }),
  read(reader, node, place) {
    for (const key of node.keys) {
      const word = tellingWord(key.text);
      if (word !== undefined) reader.refuse(place, word);
    }
    return false;
  },
};
const answeredParameters: Shape = object({}, { rest: parameter });

const contents = object({
  ...named(['bool_contents', 'int_contents', 'int64_contents', 'uint_contents', 'uint64_contents'], opaque),
  ...named(['fp32_contents', 'fp64_contents'], numbers),
  bytes_contents: list(content),
});

const tensor = (parameters: Shape): Shape =>
  object({ name: lone, datatype: lone, shape: opaque, parameters, contents, raw });

/** Parameters in a text: of vLLM's backend. */
const parametersTensor = 'sampling_parameters';
/** Letters of such a text. */
const longestParameters = 65_536;

/** @throws RefusedError for what chooses an adapter, as a tensor of its own or among the parameters in a text, and for parameters that cannot be read. */
function refuseChoice(reader: ShapeReader, node: JsonNode, place: ShapePlace): void {
  const name = (node.get('name')?.string ?? '').toLowerCase();
  if (name.startsWith('lora')) reader.refuse(place, 'lora');
  if (name !== parametersTensor) return;
  const texts = node.get('raw') ?? node.get('contents')?.get('bytes_contents');
  if (texts?.kind !== 'array' || texts.numbers !== undefined || !texts.items.every((one) => areHarmless(one.string)))
    reader.refuse(place, parametersTensor);
}

function areHarmless(text: string | undefined): boolean {
  if (text === undefined || text.length > longestParameters) return false;
  try {
    const root = parseJson(text);
    return root.kind === 'object' && root.keys.every((key) => isHarmless(key.text.toLowerCase(), key.text));
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
}

const isHarmless = (lower: string, name: string): boolean =>
  !lower.startsWith('lora') && !Object.hasOwn(refusedParameters, lower) && tellingWord(name) === undefined;

const input: Shape = {
  ...tensor(askedParameters),
  read(reader, node, place) {
    refuseChoice(reader, node, place);
    return false;
  },
};

export const inferRequest: Shape = object({
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: askedParameters,
  inputs: list(input),
  outputs: list(object({ name: lone, parameters: askedParameters })),
});

/** Outputs go by their names: what clients join from the answers of a stream is the output of one name. */
const outputs: Shape = {
  ...object({}, { rest: tensor(answeredParameters) }),
  read(reader, node, place) {
    if (node.kind !== 'array') reader.refuse(place);
    for (const item of node.items) {
      const name = item.get('name')?.string ?? '';
      reader.read(item, place.stranger(name));
    }
    return true;
  },
};

export const inferResponse: Shape = object({
  model_name: lone,
  model_version: lone,
  id: lone,
  parameters: answeredParameters,
  outputs,
});

/** Anything else: names and words of the protocol, each string read by itself. */
export const plain: Shape = {
  string: 'lone',
  number: true,
  boolean: true,
  fields: new Map(),
  get items() {
    return plain;
  },
  get rest() {
    return plain;
  },
};
