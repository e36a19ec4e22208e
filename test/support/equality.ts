import { expect } from '@jest/globals';

/** Bytes are compared as bytes: Jest compares them as objects, by the name of each index, which takes a second for a megabyte. */
function sameBytes(one: unknown, other: unknown): boolean | undefined {
  if (!(one instanceof Uint8Array && other instanceof Uint8Array)) return undefined;
  // Of two kinds, the matcher decides.
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return undefined;
  return Buffer.compare(one, other) === 0;
}

expect.addEqualityTesters([sameBytes]);
