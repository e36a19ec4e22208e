import { either, list, lone, number, object } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { scalar } from './registry.ts';
import type { FieldType, MessageType } from './registry.ts';

/**
 * Shapes of messages that hold names, settings and counts, made from their descriptors: each string is read by itself, and joined with no other.
 * Fields are the dialect's own words; keys of maps are the caller's or the model's.
 */

/** What nobody can read shows as numbers. */
const unread: Shape = list(number);
const bytes: Shape = either(lone, unread);
const flag: Shape = { boolean: true };

const known = new WeakMap<MessageType, Shape>();

/** @param type one that does not hold itself: of such a shape places without end would be kept. */
export function pageShape(type: MessageType): Shape {
  const made = known.get(type);
  if (made !== undefined) return made;
  const fields = [...type.fields.values()].map((field): [string, Shape] => [field.name, fieldShape(field)]);
  const shape = object(Object.fromEntries(fields));
  known.set(type, shape);
  return shape;
}

function fieldShape({ kind, holds }: FieldType): Shape {
  const one = typeof holds === 'object' ? pageShape(holds) : scalarShape(holds);
  if (kind === 'map') return object({}, { rest: one });
  if (kind === 'one') return one;
  return typeof holds === 'object' || holds === scalar.string || holds === scalar.bytes ? list(one) : unread;
}

function scalarShape(holds: number): Shape {
  if (holds === scalar.string) return lone;
  if (holds === scalar.bytes) return bytes;
  return holds === scalar.bool ? flag : number;
}
