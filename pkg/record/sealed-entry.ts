import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { keyName, logKeyOf } from './head.ts';
import type { LogKeys } from './head.ts';
import { entryText } from './log-entry.ts';
import type { LogEntry } from './log-entry.ts';

/**
 * What only the recorder decides is sealed: an entry of type `deleted`, `hold` or `retention` ends with the name of the log's key and its
 * signature (Ed25519) over the entry's bytes up to and without `,"signature"`. So whoever can write the store, and has not the key, adds none:
 *
 *     {"v":1,"type":"deleted","at":1764158400000,"entry":7,"why":"retention","key":"<64 hex>","signature":"<base64>"}
 *
 * Recorders from before wrote none of them; the first entry of type `retention` says that all after it are sealed.
 */
export type Seal = (entry: LogEntry) => string;

const sealedTypes: ReadonlySet<string> = new Set<LogEntry['type']>(['deleted', 'hold', 'retention']);
const shape = /^(\{"v":1,"type":"[a-z]+",.*,"key":"([0-9a-f]{64})"),"signature":"([A-Za-z0-9+/=]{1,200})"\}$/s;

/** Whether entries of this type are sealed. */
export const isSealedType = (type: unknown): boolean => typeof type === 'string' && sealedTypes.has(type);

/** Spells entries as {@link entryText} does, with a seal where one belongs. */
export function sealBy(key: KeyObject): Seal {
  const name = keyName(key);
  return (entry) => {
    const text = entryText(entry);
    if (!isSealedType(entry.type)) return text;
    const body = `${text.slice(0, -1)},"key":"${name}"`;
    return `${body},"signature":"${sign(null, Buffer.from(body), key).toString('base64')}"}`;
  };
}

/** Name of the one of these keys that has sealed the entry, as it stands; undefined: none has. */
export function sealerOf(text: string, keys: LogKeys): string | undefined {
  const [, body, name, signature] = shape.exec(text) ?? [];
  if (body === undefined || name === undefined || signature === undefined) return undefined;
  const key = logKeyOf(keys, name);
  const good = key !== undefined && verify(null, Buffer.from(body), key, Buffer.from(signature, 'base64'));
  return good ? name : undefined;
}

/** That one of these keys has sealed the entry, as it stands. */
export const isSealed = (text: string, keys: LogKeys): boolean => sealerOf(text, keys) !== undefined;
