import type { JsonNode } from '../base/index.ts';

/**
 * Text told by the numbers of its tokens, in places that no dialect knows: seen by the names that model servers give to it. Sources:
 * vLLM `entrypoints/openai/protocol.py`; TGI `openapi.json` (`Token`); SGLang `io_struct.py`; llama.cpp `tools/server/README.md`.
 */

/** A token by its id, as vLLM spells it for `return_tokens_as_token_ids` and for its server's flag of that name: no text that a rule can read. */
const spelled = /^token_id:\d+$/;

export function isSpelledId(text: string): boolean {
  return text.startsWith('token_id:') && spelled.test(text);
}

/** Whether an object has tokens spelled by their ids for keys: `top_logprobs` of completions. */
export function hasSpelledIds({ keys }: JsonNode): boolean {
  return keys.some((key) => isSpelledId(key.text));
}

/** Names as {@link plain} has them: servers write `input_ids`, clients of theirs `inputIds`. */
const plain = (name: string): string => name.replaceAll('_', '').toLowerCase();

/** Lists of ids, or of such lists. */
const lists = new Set(['tokenids', 'prompttokenids', 'outputtokenids', 'inputids', 'outputids', 'tokens']);
/** Beside them in requests: of numbers they are a prompt that cannot be read. */
const prompts = new Set(['prompt', 'input', 'inputs', ...lists]);
/** Embeddings of a prompt, however they are spelled. */
const embeddings = new Set(['promptembeds', 'inputembeds']);
/** Beside the lists in answers: one id, or the bytes of one token. */
const single = new Set(['tokenid', 'token']);
const bytes = new Set(['bytes', ...lists]);
/** Of these whatever is an array: ids beside probabilities. */
const probabilities = new Set([
  'promptlogprobs',
  'inputtokenlogprobs',
  'outputtokenlogprobs',
  'inputtoplogprobs',
  'outputtoplogprobs',
  'inputtokenidslogprobs',
  'outputtokenidslogprobs',
]);
/** What stands beside the `id` of a token, and of nothing else. */
const besideId = ['logprob', 'piece', 'special'];

/** Whether numbers of this name are the ids of tokens, however few. */
export const namesIds = (name: string): boolean => lists.has(plain(name));

/** Whether a number of this name is the id of one token. */
export const namesId = (name: string): boolean => single.has(plain(name));

/** Whether a list of numbers of this name may be a prompt in a request. */
export const namesPrompt = (name: string): boolean => prompts.has(plain(name));

/** A list of whole numbers, or of such lists. */
export function areIds(node: JsonNode): boolean {
  if (node.kind !== 'array') return false;
  return node.numbers === undefined ? node.items.length > 0 && node.items.every(areIds) : node.numbers === 'integers';
}

/** Whether a field of a request is a prompt of numbers. */
export function asksByIds(name: string, value: JsonNode): boolean {
  if (value.kind === 'array' && areIds(value)) return prompts.has(plain(name));
  return (value.kind === 'array' || value.kind === 'string') && embeddings.has(plain(name));
}

/** Whether a field of an answer tells text by numbers. */
export function tellsByIds(name: string, value: JsonNode, object: JsonNode): boolean {
  if (value.kind === 'number')
    return single.has(plain(name)) || (name === 'id' && besideId.some((other) => object.get(other) !== undefined));
  if (value.kind !== 'array') return false;
  return probabilities.has(plain(name)) || (areIds(value) && bytes.has(plain(name)));
}
