/** Which of the names with the numbers up to one are in use: a bit each. */
export interface NameMarks {
  readonly upTo: number;
  add(number: number): void;
  has(number: number): boolean;
}

export function createNameMarks(upTo: number): NameMarks {
  const bits = new Uint8Array((upTo >>> 3) + 1);
  return {
    upTo,
    add(number) {
      if (number <= upTo) bits[number >>> 3] = (bits[number >>> 3] ?? 0) | (1 << (number & 7));
    },
    has: (number) => ((bits[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0,
  };
}
