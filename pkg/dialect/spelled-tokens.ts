import { free } from './shape.ts';
import type { Shape } from './shape.ts';

/**
 * A text token by token, in an answer: lists of ids, or of objects and strings that spell it in pieces too short for any rule. It is removed
 * where a rule looks for anything.
 */
export const spelledTokens: Shape = {
  items: free,
  read(reader, node) {
    if (node.kind !== 'array') return false;
    if (node.items.length > 0 || node.numberCount > 0) reader.tokens(node);
    return true;
  },
};

/** The id of one token. */
export const tokenId: Shape = {
  number: true,
  read(reader, node) {
    if (node.kind !== 'number') return false;
    reader.tokens(node);
    return true;
  },
};
