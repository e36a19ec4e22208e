import { parseWithRe2 } from './automaton/pattern.ts';
import { encodeProgram } from './automaton/prepared.ts';
import { formsOf } from './detector.ts';
import { detectors } from './detectors/index.ts';
import { separatorPattern } from './scan/word.ts';

/** Every pattern that is the product's own: those of the detectors, and what may stand between the letters of a word. */
export const ownPatterns: readonly string[] = [
  ...new Set(
    detectors
      .flatMap(formsOf)
      .flatMap(({ pattern, open }) => (open !== undefined && 'until' in open ? [pattern, open.until] : [pattern])),
  ),
  separatorPattern,
];

/** The text of automaton/prepared-programs.ts, from RE2 itself. */
export function preparedProgramsText(): string {
  const ranges: (readonly number[])[] = [];
  const programs = ownPatterns.map((source) => [source, encodeProgram(parseWithRe2(source), ranges)] as const);
  const lines = (all: readonly string[]): string => all.map((one) => `  ${one},\n`).join('');
  return `// Written by make gen: the patterns of our own as RE2 compiles them (prepared.ts says why). Do not edit.
export const preparedRanges: readonly (readonly number[])[] = [
${lines(ranges.map((one) => `[${one.join(',')}]`))}];

/** By source. */
export const preparedPrograms: Readonly<Record<string, readonly number[]>> = {
${lines(programs.map(([source, program]) => `${JSON.stringify(source)}: [${program.join(',')}]`))}};
`;
}
