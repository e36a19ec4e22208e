import { either, list } from '../shape.ts';
import type { Shape } from '../shape.ts';

/**
 * What Google's servers take beside the documented spelling: the names of a field in lowerCamelCase and in snake_case (protobuf's JSON mapping), and one
 * element where a list is meant.
 */

export const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The same fields by both of their names. */
export const bothNames = (fields: Readonly<Record<string, Shape>>): Record<string, Shape> => ({
  ...fields,
  ...Object.fromEntries(Object.entries(fields).map(([name, shape]) => [snake(name), shape])),
});

/** A list, or its only element by itself. */
export const some = (shape: Shape): Shape => either(shape, list(shape));
