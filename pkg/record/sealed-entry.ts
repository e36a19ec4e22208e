import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { keyName, logKeyOf } from './head.ts';
import type { LogKeys } from './head.ts';
import { entryText } from './log-entry.ts';
import type { LogEntry } from './log-entry.ts';

/**
 * What the recorder writes of itself is sealed: every entry but one of lines (`block`), which the chain of its sidecar binds, ends with its own
 * place in the log, the name of the log's key and its signature (Ed25519) over the entry's bytes up to and without `,"signature"`. So whoever
 * can write the store, and has not the key, adds none, moves none, and puts none in the place of another:
 *
 *     {"v":1,"type":"deleted","at":1764158400000,"entry":7,"why":"retention","index":12,"key":"<64 hex>","signature":"<base64>"}
 *
 * Recorders from before sealed nothing, or decisions alone, and these without their place; which is so from where on, entries of type
 * `retention` say ({@link sealing}).
 */
export type Seal = (entry: LogEntry, index: number) => string;

/** What is sealed behind an entry of type `retention`: the recorder's decisions alone, or all that is no lines. */
export type Sealing = 'decisions' | 'all';

const decisions: ReadonlySet<string> = new Set<LogEntry['type']>(['deleted', 'hold', 'retention']);
/** An entry as it was read. */
type Fields = Readonly<Record<string, unknown>>;

const shape = /^(\{"v":1,"type":"[a-z]+",.*,"key":"([0-9a-f]{64})"),"signature":"([A-Za-z0-9+/=]{1,200})"\}$/s;

/** Whether entries of this type are what the recorder decided. */
export const isDecision = (type: unknown): boolean => typeof type === 'string' && decisions.has(type);

/** Whether entries of this type, also one that nobody knows, have to be sealed. */
export const isSealedType = (type: unknown): boolean => type !== 'block';

/** What is sealed behind this entry of type `retention`. */
export const sealingOf = (fields: { readonly seals?: unknown }): Sealing =>
  fields.seals === 'all' ? 'all' : 'decisions';

/**
 * Whether an entry without a good seal is one of a recorder that did not seal its type.
 * @param sealing What is sealed where it stands; undefined: nothing is
 */
export const isOfOlder = (fields: Fields, sealing: Sealing | undefined): boolean =>
  sealing !== 'all' &&
  fields['type'] !== 'retention' &&
  fields['signature'] === undefined &&
  (sealing === undefined || !isDecision(fields['type']));

/** Spells entries as {@link entryText} does, with a seal where one belongs. */
export function sealBy(key: KeyObject): Seal {
  const name = keyName(key);
  return (entry, index) => {
    const text = entryText(entry);
    if (!isSealedType(entry.type)) return text;
    const body = `${text.slice(0, -1)},"index":${index},"key":"${name}"`;
    return `${body},"signature":"${sign(null, Buffer.from(body), key).toString('base64')}"}`;
  };
}

/** Whether a sealed entry stands where it was sealed for: older ones do not say. */
export const isInPlace = (fields: Fields, index: number, sealing: Sealing | undefined): boolean =>
  fields['index'] === undefined ? sealing !== 'all' : fields['index'] === index;

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
