import type { JsonNode } from '../../base/index.ts';
import { free } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** How many numbers there are that may together be the ids of tokens, however the lists are nested that hold them. */

/** Whole numbers in a body from which on they may be a text. */
export const tokenRun = 8;

/** Numbers, whatever their spelling. */
export function numbersIn(node: JsonNode | undefined): number {
  if (node?.kind === 'number') return 1;
  if (node?.kind !== 'array') return 0;
  if (node.numbers !== undefined) return node.numberCount;
  let count = 0;
  for (const item of node.items) count += numbersIn(item);
  return count;
}

const isInteger = (node: JsonNode): boolean => node.kind === 'number' && /^-?[0-9]+$/.test(node.text);

/** Of a list of numbers, those without a fraction and exponent. */
function integersOf(list: JsonNode): number {
  if (list.numbers === 'integers') return list.numberCount;
  const element = /[[,]\s*-?[0-9]+(?=\s*[,\]])/g;
  let count = 0;
  while (count < tokenRun && element.test(list.text)) count++;
  return count;
}

/** Elements of lists that are spelled as integers, anywhere; of a list that has others, {@link tokenRun} at most are counted. */
export function integersIn(node: JsonNode): number {
  if (node.kind === 'array' && node.numbers !== undefined) return integersOf(node);
  if (node.kind !== 'array' && node.kind !== 'object') return 0;
  let count = 0;
  for (const item of node.items) count += node.kind === 'array' && isInteger(item) ? 1 : integersIn(item);
  return count;
}

/** Anything, of which lists with integers tell text by numbers. */
export const hiddenLists: Shape = {
  ...free,
  get items() {
    return hiddenElements;
  },
  get rest() {
    return hiddenLists;
  },
  read(reader, node) {
    if (node.kind !== 'array' || node.numbers === undefined || integersOf(node) === 0) return false;
    reader.tokens(node);
    return true;
  },
};
const hiddenElements: Shape = {
  ...free,
  noTokens: true,
  get items() {
    return hiddenElements;
  },
  get rest() {
    return hiddenLists;
  },
  read(reader, node, place) {
    if (!isInteger(node)) return hiddenLists.read?.(reader, node, place) === true;
    reader.tokens(node);
    return true;
  },
};
