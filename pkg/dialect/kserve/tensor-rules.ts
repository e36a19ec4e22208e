import { JsonError, parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { referringWord, refused, refusedFields } from '../refused-fields.ts';
import { named } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';

/** What holds of KServe's tensors and parameters however they come: as JSON, or as messages of gRPC. */

/**
 * Parameters that make what was decided untrue: another adapter, a state that goes on from another request's, memory in which the server
 * reads its input or writes its answer past the sidecar.
 */
export const refusedParameters: Readonly<Record<string, Shape>> = {
  ...named(
    'lora_name sequence_id sequence_start sequence_end shared_memory_region shared_memory_offset shared_memory_byte_size'.split(
      ' ',
    ),
    refused,
  ),
  ...refusedFields,
};

/** @throws RefusedError where a parameter has a name that refers to what is not in the request: a server, a credential, a template, what the server keeps */
export function refuseReferring(reader: ShapeReader, node: JsonNode, place: ShapePlace): false {
  for (const key of node.keys) {
    const word = referringWord(key.text);
    if (word !== undefined) reader.refuse(place, word);
  }
  return false;
}

/** Parameters in a text: of vLLM's backend. */
export const parametersTensor = 'sampling_parameters';
/** Of a tensor, in small letters: what is asked is which adapter. */
const choosesAdapter = /^peft|(?:^|_)adapters?(?:_|$)/;
/** Letters of such a text. */
const longestParameters = 65_536;

/**
 * @param texts what the tensor of that name holds; undefined: no list of texts.
 * @throws RefusedError for what chooses an adapter, as a tensor of its own or among the parameters in a text, and for parameters that cannot be read.
 */
export function refuseChoice(
  reader: ShapeReader,
  place: ShapePlace,
  tensor: string,
  texts: readonly (string | undefined)[] | undefined,
): void {
  const name = tensor.toLowerCase();
  if (name.startsWith('lora')) reader.refuse(place, 'lora');
  if (choosesAdapter.test(name)) reader.refuse(place, 'adapter');
  if (name !== parametersTensor) return;
  if (texts === undefined || !texts.every(areHarmless)) reader.refuse(place, parametersTensor);
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
  !lower.startsWith('lora') && !Object.hasOwn(refusedParameters, lower) && referringWord(name) === undefined;
