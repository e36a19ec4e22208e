import type { JsonNode } from '../../base/index.ts';
import { tokenRun } from '../number-tally.ts';
import type { StreamNumbers } from '../number-tally.ts';
import { free } from '../shape.ts';
import type { Shape } from '../shape.ts';

/** How many numbers there are that may together be the ids of tokens, however the lists are nested that hold them. */

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
  return list.numbers === 'integers' ? list.numberCount : firstIntegers(list).length;
}

/** The first {@link tokenRun} of them. */
function firstIntegers({ text }: JsonNode): readonly string[] {
  const element = /[[,]\s*(-?[0-9]+)(?=\s*[,\]])/g;
  const found: string[] = [];
  for (let next = element.exec(text); next !== null && found.length < tokenRun; next = element.exec(text))
    found.push(next[1] ?? '');
  return found;
}

/**
 * Whole numbers of a value that a message has under this name, alone or in lists, for who counts them over a stream.
 *
 * @param known what tells text by numbers already.
 * @param anySpelling it holds nothing but whole numbers, however they are spelled. Else they are those without a fraction and exponent.
 */
export function numbersOf(
  name: string,
  node: JsonNode,
  known: ReadonlySet<JsonNode>,
  anySpelling: boolean,
): readonly StreamNumbers[] {
  const nodes: JsonNode[] = [];
  let count = 0;
  let bytes = '';
  const put = (one: JsonNode, numbers: number, said: string): void => {
    if (numbers === 0) return;
    nodes.push(one);
    count += numbers;
    bytes += `${said},`;
  };
  const walk = (one: JsonNode): void => {
    if (known.has(one)) return;
    if (one.kind === 'number') return put(one, anySpelling || isInteger(one) ? 1 : 0, one.text);
    if (one.kind !== 'array' && one.kind !== 'object') return;
    if (one.numbers === undefined) return one.items.forEach(walk);
    if (anySpelling || one.numbers === 'integers') return put(one, one.numberCount, one.text);
    const integers = firstIntegers(one);
    put(one, integers.length, integers.join(','));
  };
  walk(node);
  return count === 0 ? none : [{ name, count, bytes, nodes }];
}
const none: readonly never[] = Object.freeze([]);

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
