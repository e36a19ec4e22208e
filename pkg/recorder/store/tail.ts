import { unpacked } from './compress.ts';

/** The last lines of a block: what its sidecar wrote last, and the signature behind it, are a part of that. */
const mostBytes = 4 * 1024;

/**
 * The last whole lines of a block, few however long it is: many are looked at together.
 *
 * @param row Columns `data`, compressed, and `size`
 * @returns undefined: there is no such block; empty: it is damaged
 */
export function tailOf({ data, size }: Readonly<Record<string, unknown>>): string | undefined {
  if (!(data instanceof Uint8Array)) return undefined;
  const bytes = unpacked(data, Number(size));
  if (bytes === undefined) return '';
  if (bytes.length <= mostBytes) return bytes.toString('utf8');
  // Of a line of which only a part is there nothing is said.
  const from = bytes.indexOf(0x0a, bytes.length - mostBytes) + 1;
  return from === 0 ? '' : bytes.toString('utf8', from);
}
