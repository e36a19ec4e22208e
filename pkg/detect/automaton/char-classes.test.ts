import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { buildClasses } from './char-classes.ts';
import type { Ranges } from './char-classes.ts';

const isIn = (ranges: Ranges, code: number): boolean =>
  ranges.some((low, at) => at % 2 === 0 && low <= code && code <= (ranges[at + 1] as number));

/** Sorted ranges that do not touch, over few code points, the last ones of Unicode among them. */
const set: fc.Arbitrary<Ranges> = fc
  .uniqueArray(
    fc.oneof(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 0xfff0, max: 0x10010 }),
      fc.integer({ min: 0x10fff0, max: 0x10ffff }),
    ),
    {
      minLength: 2,
      maxLength: 8,
    },
  )
  .map((codes) => {
    const sorted = codes.sort((a, b) => a - b);
    return sorted.slice(0, sorted.length - (sorted.length % 2));
  });

const codes = [
  ...Array(44).keys(),
  ...Array.from({ length: 40 }, (_, at) => 0xffee + at),
  ...Array.from({ length: 18 }, (_, at) => 0x10ffee + at),
];

describe('classes of characters', () => {
  test('are one for two characters where each set has both or neither, and no more than that', () => {
    fc.assert(
      fc.property(fc.array(set, { maxLength: 6 }), (sets) => {
        const classes = buildClasses(sets);
        const byMembers = new Map<string, number>();
        for (const code of codes) {
          const members = sets.map((ranges) => isIn(ranges, code)).join();
          const one = classes.of(code);
          expect(byMembers.get(members) ?? one).toBe(one);
          byMembers.set(members, one);
          if (code < 128) expect(classes.ascii[code]).toBe(one);
        }
        expect(new Set(byMembers.values()).size).toBe(byMembers.size);
        expect(classes.count).toBeLessThanOrEqual(byMembers.size + 1);
      }),
    );
  });

  test('a set that is there twice splits nothing twice', () => {
    const one: Ranges = [97, 102, 104, 104];
    expect(buildClasses([one, one, [97, 99]]).count).toBe(3);
  });
});
