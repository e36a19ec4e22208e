import type { JsonValue } from '../base/index.ts';
import { anyObject } from './shape.ts';
import type { Reader } from './shape.ts';
import { WireError } from './wire-error.ts';

/** Reads by `type`. Undefined: a type that is not known and says that it need not be. */
export function readTagged<Message>(
  readers: Readonly<Record<string, Reader<Message>>>,
  value: JsonValue,
): Message | undefined {
  const object = anyObject(value, 'message');
  const type = object['type'];
  const reader = typeof type === 'string' && Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (reader !== undefined) return reader(value, String(type));
  if (typeof type === 'string' && object['optional'] === true) return undefined;
  throw new WireError('message_unknown', 'a message of a type that is not known here');
}
