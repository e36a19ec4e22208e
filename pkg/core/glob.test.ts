import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileGlob, globCovers } from './glob.ts';

/** Slow and obvious: tries every length for every star. */
function obviously(glob: string, text: string): boolean {
  if (glob === '') return text === '';
  if (glob[0] !== '*') return glob[0] === text[0] && text !== '' && obviously(glob.slice(1), text.slice(1));
  for (let length = 0; length <= text.length; length++) if (obviously(glob.slice(1), text.slice(length))) return true;
  return false;
}

const letters = (most: number) => fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: most });

describe('a glob', () => {
  test('matches what trying everything matches', () => {
    fc.assert(
      fc.property(letters(7), letters(9), (glob, text) => {
        expect(compileGlob(glob).matches(text)).toBe(obviously(glob, text));
      }),
      { numRuns: 3000 },
    );
  });

  test('that covers another matches whatever that matches', () => {
    fc.assert(
      fc.property(letters(5), letters(5), letters(7), (outer, inner, text) => {
        const [a, b] = [compileGlob(outer), compileGlob(inner)];
        if (globCovers(a, b) && b.matches(text)) expect(a.matches(text)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  test('with many stars takes no more time than the text is long', () => {
    expect(compileGlob(`${'*a'.repeat(60)}*b`).matches('a'.repeat(200_000))).toBe(false);
  });
});
