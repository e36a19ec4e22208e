import type { Instruction } from './instruction.ts';
import { preparedPrograms, preparedRanges } from './prepared-programs.ts';

/**
 * Patterns that are known before anybody asks, as RE2 compiled them when the generated file was written: compiling them again
 * at every start cost 60 ms. What is not in the file is compiled when it is asked for.
 */

/** The start, and then for each instruction its kind and two numbers, 0 where it takes fewer. */
export type PreparedProgram = readonly number[];

/** Kinds by their number in a prepared program. */
const kinds = ['char', 'alt', 'assert', 'jump', 'match', 'fail'] as const;

export interface Instructions {
  readonly instructions: readonly Instruction[];
  readonly start: number;
}

/** The instructions of a prepared pattern; undefined where it is not one. */
export function preparedPattern(source: string): Instructions | undefined {
  return Object.hasOwn(preparedPrograms, source)
    ? decodeProgram(preparedPrograms[source] as PreparedProgram, preparedRanges)
    : undefined;
}

/** @param ranges takes the classes of the instructions, each once; programs of one file share it */
export function encodeProgram({ instructions, start }: Instructions, ranges: (readonly number[])[]): PreparedProgram {
  const place = (wanted: readonly number[]): number => {
    const known = ranges.findIndex((one) => one.join() === wanted.join());
    return known >= 0 ? known : ranges.push(wanted) - 1;
  };
  const program = [start];
  for (const one of instructions) {
    const out = 'out' in one ? one.out : 0;
    const argument =
      one.op === 'char' ? place(one.ranges) : one.op === 'alt' ? one.other : one.op === 'assert' ? one.flags : 0;
    program.push(kinds.indexOf(one.op), out, argument);
  }
  return program;
}

/** @throws TypeError when the program is none that {@link encodeProgram} gives. */
export function decodeProgram(program: PreparedProgram, ranges: readonly (readonly number[])[]): Instructions {
  const [start = 0] = program;
  const instructions: Instruction[] = [];
  for (let at = 1; at < program.length; at += 3) {
    const [kind = -1, out = 0, argument = 0] = program.slice(at, at + 3);
    instructions.push(instruction(kinds[kind], out, argument, ranges));
  }
  return { instructions, start };
}

function instruction(
  kind: Instruction['op'] | undefined,
  out: number,
  argument: number,
  ranges: readonly (readonly number[])[],
): Instruction {
  switch (kind) {
    case 'char': {
      const own = ranges[argument];
      if (own === undefined) throw new TypeError('a prepared program names ranges that are not there');
      return { op: kind, out, ranges: own };
    }
    case 'alt':
      return { op: kind, out, other: argument };
    case 'assert':
      return { op: kind, out, flags: argument };
    case 'jump':
      return { op: kind, out };
    case 'match':
    case 'fail':
      return { op: kind };
    case undefined:
      throw new TypeError('a prepared program has an instruction that is not known');
  }
}
