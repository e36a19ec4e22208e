import { readWorkloadId } from '../../pki/index.ts';

/**
 * What a block counts as of its namespace's part of a store: its lines as they are stored, and a quarter of them as they came for the rows and
 * words that they are found by.
 *
 * @param stored Bytes, compressed.
 * @param size Bytes of the lines.
 */
export const heldBytes = (stored: number, size: number): number => stored + Math.floor(size / 4);

/** By namespace. @param rows Columns `namespace` and `bytes`. */
export function sumOf(rows: readonly Readonly<Record<string, unknown>>[]): ReadonlyMap<string, number> {
  const held = new Map<string, number>();
  for (const row of rows) {
    const namespace = String(row['namespace']);
    held.set(namespace, (held.get(namespace) ?? 0) + Number(row['bytes']));
  }
  return held;
}

/** The namespace of a sidecar, by its SPIFFE id; empty: it is none. */
export const namespaceOf = (source: string): string => readWorkloadId(source, undefined)?.namespace ?? '';
