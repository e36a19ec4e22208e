import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { SlowRegex } from '../testing/slow-regex.ts';
import { AnchoredMatcher } from './anchored.ts';
import { ForwardAutomaton } from './forward.ts';
import { MatchStarts } from './match-starts.ts';
import { checkPattern, parsePattern } from './pattern.ts';
import { buildProgram } from './program.ts';
import { ReverseAutomaton } from './reverse.ts';

/** Patterns in RE2 syntax that the slow reader knows, too. */
const patterns = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom('a', 'b', '[ab]', '[^a]', '.', '\\d', '\\w', '1', 'é', '😀', '[a-c]', ' '),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '*?', '{0,2}'))
      .map(([a, times]) => `(?:${a})${times}`),
  ),
})).node;
const asserted = fc
  .tuple(fc.constantFrom('', '\\b', '^', '\\B'), patterns, fc.constantFrom('', '\\b', '$', '\\B'), patterns)
  .map(([before, a, after, b]) => `${before}${a}${after}(?:${b})?`);
const letters = fc
  .array(fc.constantFrom('a', 'b', 'c', '1', ' ', 'é', '😀', '\n', '\ud83d'), { maxLength: 12 })
  .map((some) => some.join(''));
const runs = Number(process.env['FC_RUNS'] ?? 300);

const codesOf = (text: string): number[] => Array.from(text, (char) => char.codePointAt(0)!);
/** Index in code points to index in units. */
const unitsOf = (text: string): number[] =>
  Array.from(text).reduce<number[]>((all, char) => [...all, all.at(-1)! + char.length], [0]);

describe('automata', () => {
  it('give every end of a match that the slow reading gives, from every start', () => {
    fc.assert(
      fc.property(fc.oneof(patterns, asserted), letters, (source, text) => {
        const pattern = parsePattern(source);
        const matcher = new AnchoredMatcher(buildProgram([{ pattern, right: 0 }]), 0, pattern.asserted);
        const slow = new SlowRegex(source);
        const units = unitsOf(text);
        const codes = codesOf(text);
        for (let at = 0; at < codes.length; at++) {
          const { ends } = matcher.match(text, units[at]!, text.length, 8);
          const wanted = slow.match(codes, at, codes.length, true).ends.filter((end) => end - at <= 8);
          expect([...ends]).toEqual(wanted.map((end) => units[end]));
        }
      }),
      { numRuns: runs },
    );
  });

  it('agree with RE2 on what matches as a whole', () => {
    const more = fc.constantFrom(
      '(?i)straße|k',
      '(?i)[a-z]+',
      '(?s).+',
      '\\pL+',
      '\\p{Greek}+',
      '[[:alpha:]]+',
      '[^[:space:]]+',
      '(?i)ſ',
      '\\x{1f600}|x',
      '(?U)a+b??',
      '(?P<n>ab)+',
    );
    const texts = fc.oneof(
      letters,
      fc
        .array(fc.constantFrom('K', 'ſ', 'S', 'ß', 'σ', 'ς', 'Σ', 'α', 'K', 'k', 'n', '\n', '_'), { maxLength: 3 })
        .map((some) => some.join('')),
    );
    fc.assert(
      fc.property(
        fc.oneof(more, patterns),
        texts.filter((text) => text.length > 0),
        (source, text) => {
          const pattern = parsePattern(source);
          const matcher = new AnchoredMatcher(buildProgram([{ pattern, right: 0 }]), 0, pattern.asserted);
          const { ends } = matcher.match(text, 0, text.length, 100);
          expect(ends.includes(text.length)).toBe(RE2JS.compile(source).matches(text));
        },
      ),
      { numRuns: runs * 3 },
    );
  });

  it('name every place where something ends and every start of it, also when the state table overflows', () => {
    fc.assert(
      fc.property(
        fc.array(asserted, { minLength: 1, maxLength: 3 }),
        letters,
        fc.constantFrom(2, 3, 1000),
        (sources, text, maxStates) => {
          const parsed = sources.map((source) => parsePattern(source));
          const program = buildProgram(parsed.map((pattern) => ({ pattern, right: 1 })));
          const forward = new ForwardAutomaton(
            program,
            parsed.map((_, unit) => unit),
            { anywhere: true, tails: true, maxStates },
          );
          const named = new Set<string>();
          const byUnit = parsed.map((): number[] => []);
          const standing = forward.begin();
          const note = (end: number, units: readonly number[]): void => {
            for (const unit of units) {
              named.add(`${unit} ${end}`);
              byUnit[unit]!.push(end);
            }
          };
          // In two calls: what stands between them must survive an emptied table.
          let half = text.length >> 1;
          if (half > 0 && half < text.length && text.codePointAt(half - 1)! > 0xffff) half++;
          forward.run(standing, text, 0, half, note);
          new ForwardAutomaton(program, [0], { anywhere: true, tails: true }).begin();
          forward.run(standing, text, half, text.length, note);
          const units = unitsOf(text);
          sources.forEach((source, unit) => {
            const slow = new SlowRegex(source);
            const starts = new Set<number>();
            new MatchStarts(program, unit).find(text, byUnit[unit]!, 0, text.length, (start) => starts.add(start));
            codesOf(text).forEach((_, at) => {
              const { ends } = slow.match(codesOf(text), at, units.length - 1, true);
              for (const end of ends) expect(named).toContain(`${unit} ${units[end]}`);
              if (ends.length > 0) expect(starts).toContain(units[at]);
            });
          });
        },
      ),
      { numRuns: runs },
    );
  });

  it('never call a start decided that is not', () => {
    fc.assert(
      fc.property(
        fc.array(patterns, { minLength: 1, maxLength: 3 }),
        letters,
        fc.constantFrom(0, 1, 2),
        (sources, text, right) => {
          const longest = 6;
          const parsed = sources.map((source) => parsePattern(source));
          const program = buildProgram(parsed.map((pattern) => ({ pattern, right })));
          const all = parsed.map((_, unit) => unit);
          const reach = { reach: longest + right - 1, wordStart: false };
          const reverse = new ReverseAutomaton(
            program,
            all,
            parsed.map(() => reach),
            40,
          );
          const forward = new ForwardAutomaton(program, all, { anywhere: true, tails: true, maxStates: 40 });
          const at = forward.begin();
          forward.run(at, text, 0, text.length, () => undefined);
          const found = reverse.earliest(text, 0, text.length, at.set);
          const codes = codesOf(text);
          const units = unitsOf(text);
          const undecided = codes.findIndex((_, at) =>
            sources.some((source) => {
              const { ends, ranOut } = new SlowRegex(source).match(codes, at, codes.length, false);
              return (
                (ranOut && codes.length - at < longest) ||
                ends.some((end) => end - at <= longest && codes.length - end < right)
              );
            }),
          );
          if (undecided >= 0) expect(found).toBeLessThanOrEqual(units[undecided]!);
          // And it holds no more than what a match could still span.
          expect(codes.length - units.indexOf(found)).toBeLessThan(longest + right);
        },
      ),
      { numRuns: runs * 2 },
    );
  });
});

describe('parsePattern', () => {
  it('reads what somebody holds once, and only that', () => {
    const pattern = parsePattern('(?i)held[0-9]{2}');
    expect(parsePattern('(?i)held[0-9]{2}')).toBe(pattern);
    expect(parsePattern('(?i)held[0-9]{3}')).not.toBe(pattern);
    expect(() => parsePattern('(held')).toThrow('missing closing');
    expect(() => parsePattern('(held')).toThrow('missing closing');
  });
});

describe('checkPattern', () => {
  it.each([
    ['(?=a)', 256, 'invalid or unsupported Perl syntax'],
    ['(a', 256, 'missing closing'],
    ['(a)\\1', 256, 'invalid escape sequence'],
    ['a{1001}', 256, 'invalid repeat count'],
    ['(?:a{1000}){30}', 256, 'invalid repeat count'],
    ['abc', 2, 'no match is as short'],
    ['a', 0, 'maxLength'],
    ['a', 4097, 'maxLength'],
    ['a', 1.5, 'maxLength'],
  ])('refuses %s with maxLength %d and says why', (pattern, maxLength, message) => {
    const fault = checkPattern(pattern, maxLength);
    expect(fault?.pattern).toBe(pattern);
    expect(fault?.message).toContain(message);
  });

  it.each(['a', '(?i)x+', '\\bab\\b', '(?P<name>a|b)*?', '[[:digit:]]{3}', '\\p{Greek}', '(?s)a.b'])(
    'accepts %s',
    (pattern) => {
      expect(checkPattern(pattern, 256)).toBeUndefined();
    },
  );
});

/** The characters of a pattern in a row, each with the smallest of those that it is read as. */
function smallestFolds(source: string): readonly number[] {
  const { inst } = RE2JS.compile(source).re2().prog as {
    readonly inst: readonly { readonly op: number; readonly runes: ArrayLike<number> }[];
  };
  return inst.filter(({ op }) => op === 8 || op === 9).map(({ runes }) => runes[0]!);
}

it('reads every code point under (?i) as RE2 does: as each of those with the same smallest', () => {
  // Of those that mean nothing else in a pattern, and are characters.
  const spelt = (code: number): string =>
    code < 0x80 || (code >= 0xd800 && code < 0xe000) ? `\\x{${code.toString(16)}}` : String.fromCodePoint(code);
  const alike = new Map<number, number[]>();
  const block = 0x200;
  let read = 0;
  for (let from = 0; from < 0x110000; from += block) {
    const codes = Array.from({ length: block }, (_, at) => from + at);
    smallestFolds(`(?i)${codes.map(spelt).join('')}`).forEach((smallest, at) => {
      read++;
      const code = codes[at]!;
      if (smallest !== code) alike.set(smallest, [...(alike.get(smallest) ?? [smallest]), code]);
    });
  }
  const several = [...alike.values()];
  expect([read, several.length > 1_400]).toEqual([0x110000, true]);
  const wrong = several.flatMap((codes) =>
    codes.filter((code) => {
      const [one] = parsePattern(`(?i)${spelt(code)}`).instructions.filter(({ op }) => op === 'char');
      const ranges = one?.op === 'char' ? one.ranges : [];
      return `${ranges}` !== `${codes.flatMap((each) => [each, each])}`;
    }),
  );
  expect(wrong).toEqual([]);
});
