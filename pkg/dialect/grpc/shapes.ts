import type { JsonNode } from '../../base/index.ts';
import { refuseChoice, refuseTelling, refusedParameters } from '../kserve/tensor-rules.ts';
import { either, list, lone, named, number, numbers, object } from '../shape.ts';
import type { Shape } from '../shape.ts';

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

const askedParameters: Shape = { ...object(refusedParameters, { rest: parameter }), read: refuseTelling };
const answeredParameters: Shape = object({}, { rest: parameter });

const contents = object({
  ...named(['bool_contents', 'int_contents', 'int64_contents', 'uint_contents', 'uint64_contents'], opaque),
  ...named(['fp32_contents', 'fp64_contents'], numbers),
  bytes_contents: list(content),
});

const tensor = (parameters: Shape): Shape =>
  object({ name: lone, datatype: lone, shape: opaque, parameters, contents, raw });

/** Texts of a tensor, wherever they stand. */
function textsOf(node: JsonNode): readonly (string | undefined)[] | undefined {
  const texts = node.get('raw') ?? node.get('contents')?.get('bytes_contents');
  return texts?.kind !== 'array' || texts.numbers !== undefined ? undefined : texts.items.map((one) => one.string);
}

const input: Shape = {
  ...tensor(askedParameters),
  read(reader, node, place) {
    refuseChoice(reader, place, node.get('name')?.string ?? '', textsOf(node));
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
