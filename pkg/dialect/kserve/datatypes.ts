/** Data types of KServe v2 that are numbers, with the bytes of each. BYTES are texts; anything else nobody can read. */

/** Whole numbers, which may be the ids of tokens. */
export const wholeBytes: ReadonlyMap<string, number> = new Map([
  ...['BOOL', 'INT8', 'UINT8'].map((name) => [name, 1] as const),
  ...['INT16', 'UINT16'].map((name) => [name, 2] as const),
  ...['INT32', 'UINT32'].map((name) => [name, 4] as const),
  ...['INT64', 'UINT64'].map((name) => [name, 8] as const),
]);

/** Floating-point numbers: not looked at. */
export const floatTypes: ReadonlyMap<string, number> = new Map([
  ['FP16', 2],
  ['BF16', 2],
  ['FP32', 4],
  ['FP64', 8],
]);
