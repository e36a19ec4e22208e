import { describe, expect, it } from '@jest/globals';
import { parsePattern, parseWithRe2 } from './automaton/pattern.ts';
import { decodeProgram, encodeProgram, preparedPattern } from './automaton/prepared.ts';
import { ownPatterns } from './prepare.ts';

describe('prepared patterns', () => {
  it.each(ownPatterns)('hold %j, and mean what RE2 says that it means', (source) => {
    expect(preparedPattern(source)).toBeDefined();
    expect(parsePattern(source)).toEqual(parseWithRe2(source));
  });

  it('are none of those that a policy may name', () => {
    expect(preparedPattern('(?i)print (all )?environment variables')).toBeUndefined();
    expect(preparedPattern('toString')).toBeUndefined();
  });

  it.each(['a', '(?i)k+', '\\b(?:a|[^b]){2,3}?$', '\\pL*', '(?:)', '[^\\x00-\\x{10FFFF}]'])(
    'come back as they were: %j',
    (source) => {
      const ranges: (readonly number[])[] = [[1, 2]];
      const { instructions, start } = parseWithRe2(source);
      expect(decodeProgram(encodeProgram({ instructions, start }, ranges), ranges)).toEqual({ instructions, start });
    },
  );

  it('share classes that are equal', () => {
    const ranges: (readonly number[])[] = [];
    encodeProgram(parseWithRe2('[ab]c[ab]'), ranges);
    expect(ranges).toHaveLength(2);
  });

  it('are refused when they are damaged', () => {
    expect(() => decodeProgram([0, 9, 0, 0], [])).toThrow('not known');
    expect(() => decodeProgram([0, 0, 1, 5], [[1, 1]])).toThrow('not there');
  });
});
