import type { JsonNode } from '../base/index.ts';
import type { Joining } from '../core/index.ts';
import { maxIndex } from './reader.ts';
import type { ElementNames } from './shape.ts';

/**
 * What the elements of a list are called on the way to a text that a policy describes: elements of one name, over the messages of a stream, are one text.
 *
 * Promise: a list whose elements clients could join in another way than the policy says, or without its saying, is refused.
 */

/** Names of the own field by which servers number what they send in pieces. */
const numbering = /(?:index|idx)$/i;

/** Characters of a name that is no number. */
const longestName = 128;

const isNothing = (node: JsonNode | undefined): boolean => node === undefined || node.kind === 'null';

/** All are one text. */
const joined: ElementNames = (_reader, { items }) => items.map(() => 0);

/** Where every way to join them is the same: there is one, and it is the first. */
const only: ElementNames = (reader, { items }, place) => {
  const [item, ...more] = items;
  if (more.length > 0) reader.refuse(place);
  item?.keys.forEach(({ text }, at) => {
    const value = item.items[at];
    if (numbering.test(text) && !isNothing(value) && value?.number !== 0) reader.refuse(place, 'index');
  });
  return [0];
};

/**
 * By their position, where every way to join them keeps that order: what numbers them goes up from each to the next. Servers that leave zeros out mean one by
 * what is missing.
 */
const inOrder: ElementNames = (reader, { items }, place) => {
  const last = new Map<string, { readonly at: number; readonly number: number }>();
  items.forEach(({ keys, items: values }, at) => {
    keys.forEach(({ text }, nth) => {
      const value = values[nth];
      if (value === undefined || isNothing(value) || !numbering.test(text)) return;
      // The first alone may leave out its zero.
      const before = last.get(text) ?? (at === 1 ? { at: 0, number: 0 } : { at: -1, number: -1 });
      const { number } = value;
      if (number === undefined || number <= before.number || before.at !== at - 1) reader.refuse(place, 'index');
      else last.set(text, { at, number });
    });
  });
  for (const { at } of last.values()) if (at < items.length - 1) reader.refuse(place, 'index');
  return items.map((_, at) => at);
};

/** By a field of their own. Servers that leave zeros out mean one by what is missing. */
const byField =
  (field: string): ElementNames =>
  (reader, node, place) => {
    const names = node.items.map((item) => item.get(field));
    // Nothing says which is which.
    if (names.length > 1 && names.every(isNothing)) reader.refuse(place, 'index');
    return names.map((name): number | string => {
      if (name === undefined || name.kind === 'null') return 0;
      const { string, number } = name;
      if (string !== undefined && string.length <= longestName) return string;
      if (number === undefined || !Number.isInteger(number) || number < 0 || number > maxIndex)
        return reader.refuse(place, 'index');
      return number;
    });
  };

/** In a message that is read as a whole: they are pieces of one text, and where nobody says so texts of their own as well. Undefined: they are not. */
export const piecesOf = ({ elements }: Pick<Joining, 'elements'>): { readonly each: boolean } | undefined =>
  elements === 'Position' ? undefined : { each: elements === undefined };

/**
 * How elements are named. Undefined: by their position.
 *
 * @param streamed what a text says goes on in the next message; else each message is read as a whole, where what nobody says how to join is read in every way that keeps its order.
 */
export function elementNames({ elements }: Pick<Joining, 'elements'>, streamed: boolean): ElementNames | undefined {
  if (elements?.startsWith('.') === true) return byField(elements.slice(1));
  if (elements === 'Position') return undefined;
  if (elements === 'Joined') return streamed ? joined : undefined;
  return streamed ? only : inOrder;
}
