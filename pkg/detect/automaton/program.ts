import { buildClasses } from './char-classes.ts';
import type { CharClasses, Ranges } from './char-classes.ts';
import type { Pattern } from './pattern.ts';

/**
 * Many patterns as one nondeterministic program over code points, in flat arrays. After a pattern's match stand R
 * instructions that take any character: while a thread stands there, the match still waits for its right context.
 */
export interface Program {
  readonly size: number;
  readonly op: Uint8Array;
  readonly out: Int32Array;
  /** alt: the other way; assert: flags; char: charset; match: unit. */
  readonly arg: Int32Array;
  /** Unit that an instruction belongs to. */
  readonly unit: Int32Array;
  readonly starts: Int32Array;
  /** By unit: 1 where it begins only at a word's edge. */
  readonly atWord: Uint8Array;
  /** By class: 1 where its characters are of a word. Nothing where no unit begins at a word's edge: classes may hold both kinds then. */
  readonly ofWord: Uint8Array;
  readonly classes: CharClasses;
  /** member[charset * classes.count + class]. */
  readonly member: Uint8Array;
  /** Reversed edges, compressed: those that consume a character, and those that do not. */
  readonly charInto: Edges;
  readonly freeInto: Edges;
  /** Which instructions were seen while a set is built; sets are built one at a time, so all automata share it. */
  readonly marks: Marks;
}

/** An instruction is marked when its entry is the stamp: unmarking all is counting up. */
export class Marks {
  readonly seen: Uint32Array;
  readonly passed: Uint32Array;
  stamp = 0;

  constructor(size: number) {
    this.seen = new Uint32Array(size);
    this.passed = new Uint32Array(size);
  }

  clear(): void {
    if (++this.stamp <= 0xffffffff) return;
    this.seen.fill(0);
    this.passed.fill(0);
    this.stamp = 1;
  }
}

export interface Edges {
  readonly first: Int32Array;
  readonly to: Int32Array;
}

export const op = { char: 0, alt: 1, assert: 2, jump: 3, match: 4, fail: 5 } as const;

export interface ProgramPart {
  readonly pattern: Pattern;
  /** R: characters of right context, waited for after the match. */
  readonly right: number;
  /** It begins only where no letter (A-Z), digit or `_` stands before it. */
  readonly atWord?: boolean;
}

/** A letter (A-Z), a digit or `_`: of a word, as RE2 has it. */
const wordCharacters: Ranges = [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a];
const anyCharacter: Ranges = [0, 0x10ffff];

export function buildProgram(parts: readonly ProgramPart[]): Program {
  // Instruction 0 fails: where tails end.
  const size = parts.reduce((sum, part) => sum + part.pattern.size + part.right, 1);
  const ops = new Uint8Array(size);
  const out = new Int32Array(size);
  const arg = new Int32Array(size);
  const unit = new Int32Array(size);
  const starts = new Int32Array(parts.length);
  const atWord = Uint8Array.from(parts, (part) => (part.atWord === true ? 1 : 0));
  const sets: Ranges[] = [];
  const setIds = new Map<string, number>();
  const known = new Map<Ranges, number>();
  const setOf = (ranges: Ranges): number => {
    // Large classes are one shared array in many places.
    let same = known.get(ranges);
    if (same === undefined) known.set(ranges, (same = setOfContent(ranges)));
    return same;
  };
  const setOfContent = (ranges: Ranges): number => {
    const key = ranges.join();
    let id = setIds.get(key);
    if (id === undefined) {
      setIds.set(key, (id = sets.length));
      sets.push(ranges);
    }
    return id;
  };
  ops[0] = op.fail;
  let base = 1;
  parts.forEach(({ pattern, right }, index) => {
    const tail = base + pattern.size;
    unit.fill(index, base, tail + right);
    starts[index] = base + pattern.start;
    pattern.instructions.forEach((one, at) => {
      const pc = base + at;
      ops[pc] = op[one.op];
      out[pc] = 'out' in one ? base + one.out : 0;
      if (one.op === 'char') arg[pc] = setOf(one.ranges);
      else if (one.op === 'alt') arg[pc] = base + one.other;
      else if (one.op === 'assert') arg[pc] = one.flags;
      else if (one.op === 'match') {
        arg[pc] = index;
        out[pc] = right > 0 ? tail : 0;
      }
    });
    for (let at = 0; at < right; at++) {
      ops[tail + at] = op.char;
      arg[tail + at] = setOf(anyCharacter);
      out[tail + at] = at + 1 < right ? tail + at + 1 : 0;
    }
    base = tail + right;
  });
  const hasEdges = atWord.includes(1);
  const word = hasEdges ? setOf(wordCharacters) : 0;
  const classes = buildClasses(sets);
  const member = new Uint8Array(sets.length * classes.count);
  sets.forEach((ranges, set) => {
    for (const one of classesIn(ranges, classes)) member[set * classes.count + one] = 1;
  });
  const ofWord = Uint8Array.from({ length: classes.count }, (_, one) =>
    hasEdges ? (member[word * classes.count + one] as number) : 0,
  );
  const edges = (consuming: boolean, each: (into: number, from: number) => void): void => {
    for (let pc = 1; pc < size; pc++) {
      const kind = ops[pc];
      if (kind === op.fail || (kind === op.match && out[pc] === 0) || (kind === op.char) !== consuming) continue;
      each(out[pc] as number, pc);
      if (kind === op.alt) each(arg[pc] as number, pc);
    }
  };
  return {
    size,
    op: ops,
    out,
    arg,
    unit,
    starts,
    atWord,
    ofWord,
    classes,
    member,
    charInto: compress((each) => edges(true, each), size),
    freeInto: compress((each) => edges(false, each), size),
    marks: new Marks(size),
  };
}

/** Classes never straddle a set, so the first character of each stretch tells all. */
function classesIn(ranges: Ranges, classes: CharClasses): Set<number> {
  const found = new Set<number>();
  for (let at = 0; at < ranges.length; at += 2) {
    const low = ranges[at] as number;
    const high = ranges[at + 1] as number;
    for (let code = low; code <= high && found.size < classes.count; code = classes.nextCut(code)) {
      found.add(classes.of(code));
    }
  }
  return found;
}

/** @param edges gives all, in the same order each time */
function compress(edges: (each: (into: number, from: number) => void) => void, size: number): Edges {
  const first = new Int32Array(size + 1);
  edges((into) => {
    first[into + 1] = (first[into + 1] as number) + 1;
  });
  for (let at = 0; at < size; at++) first[at + 1] = (first[at + 1] as number) + (first[at] as number);
  const fill = first.slice();
  const to = new Int32Array(first[size] as number);
  edges((into, from) => {
    const at = fill[into] as number;
    to[at] = from;
    fill[into] = at + 1;
  });
  return { first, to };
}
