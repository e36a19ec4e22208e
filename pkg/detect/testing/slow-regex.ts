/* eslint-disable @typescript-eslint/no-non-null-assertion, complexity -- a test oracle: plain over safe */
/**
 * A slow and obvious matcher for the tests alone: a recursive reading of the pattern that returns every end, written apart from
 * the automata. Knows what detectors and test patterns use of RE2: classes, escapes, groups, alternation, repetition,
 * `(?i)` at the front, and the assertions ^ $ \A \z \b \B.
 */
export interface SlowEnds {
  readonly ends: readonly number[];
  /** Some way through the pattern wanted another character than there was. */
  readonly ranOut: boolean;
}

type Node =
  | { readonly kind: 'set'; readonly has: (code: number) => boolean }
  | { readonly kind: 'seq'; readonly parts: readonly Node[] }
  | { readonly kind: 'alt'; readonly parts: readonly Node[] }
  | { readonly kind: 'rep'; readonly of: Node; readonly least: number; readonly most: number }
  | { readonly kind: 'assert'; readonly name: string };

export class SlowRegex {
  readonly #root: Node;
  readonly asserted: boolean;

  /** @param fold by which a letter that the pattern names is found as what a reader takes it for, too */
  constructor(source: string, fold?: (code: number) => string) {
    const parser = new Parser(source, fold);
    this.#root = parser.parse();
    this.asserted = parser.asserted;
  }

  /**
   * @param to reading stops here; assertions look beyond
   * @param strict false: assertions are taken as passed
   */
  match(text: readonly number[], start: number, to: number, strict: boolean): SlowEnds {
    let ranOut = false;
    const step = (node: Node, from: ReadonlySet<number>): Set<number> => {
      const out = new Set<number>();
      switch (node.kind) {
        case 'set':
          for (const at of from) {
            if (at >= to) ranOut = true;
            else if (node.has(text[at]!)) out.add(at + 1);
          }
          return out;
        case 'seq':
          return node.parts.reduce<Set<number>>((sofar, part) => step(part, sofar), new Set(from));
        case 'alt':
          for (const part of node.parts) for (const at of step(part, from)) out.add(at);
          return out;
        case 'rep': {
          let now: Set<number> = new Set(from);
          if (node.least === 0) for (const at of now) out.add(at);
          for (let times = 1; times <= node.most && now.size > 0; times++) {
            now = step(node.of, now);
            if (times < node.least) continue;
            const fresh = [...now].filter((at) => !out.has(at));
            for (const at of fresh) out.add(at);
            if (node.most === Number.POSITIVE_INFINITY) now = new Set(fresh);
          }
          return out;
        }
        case 'assert':
          for (const at of from) if (!strict || holds(node.name, text, at)) out.add(at);
          return out;
      }
    };
    const ends = [...step(this.#root, new Set([start]))].filter((end) => end > start).sort((a, b) => a - b);
    return { ends, ranOut };
  }
}

function holds(name: string, text: readonly number[], at: number): boolean {
  const word = (code: number | undefined): boolean =>
    code !== undefined && /[0-9A-Za-z_]/.test(String.fromCodePoint(code));
  const boundary = word(text[at - 1]) !== word(text[at]);
  if (name === 'b') return boundary;
  if (name === 'B') return !boundary;
  return name === 'begin' ? at === 0 : at === text.length;
}

class Parser {
  readonly #chars: readonly string[];
  #at = 0;
  #fold = false;
  readonly #likeness: ((code: number) => string) | undefined;
  asserted = false;

  constructor(source: string, likeness: ((code: number) => string) | undefined) {
    this.#likeness = likeness;
    this.#fold = source.startsWith('(?i)');
    this.#chars = Array.from(this.#fold ? source.slice(4) : source);
  }

  parse(): Node {
    const node = this.#alt();
    if (this.#at < this.#chars.length) throw new Error(`slow regex: left over at ${this.#at}`);
    return node;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #eat(text: string): boolean {
    if (this.#chars.slice(this.#at, this.#at + text.length).join('') !== text) return false;
    this.#at += text.length;
    return true;
  }

  #alt(): Node {
    const parts = [this.#seq()];
    while (this.#eat('|')) parts.push(this.#seq());
    return parts.length === 1 ? parts[0]! : { kind: 'alt', parts };
  }

  #seq(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      parts.push(this.#repeated());
    }
    return { kind: 'seq', parts };
  }

  #repeated(): Node {
    let node = this.#atom();
    for (;;) {
      let least: number;
      let most: number;
      const counted = /^\{(\d+)(,(\d*))?\}/.exec(this.#chars.slice(this.#at, this.#at + 14).join(''));
      if (this.#eat('*')) [least, most] = [0, Number.POSITIVE_INFINITY];
      else if (this.#eat('+')) [least, most] = [1, Number.POSITIVE_INFINITY];
      else if (this.#eat('?')) [least, most] = [0, 1];
      else if (counted !== null) {
        this.#at += counted[0].length;
        least = Number(counted[1]);
        most = counted[2] === undefined ? least : counted[3] === '' ? Number.POSITIVE_INFINITY : Number(counted[3]);
      } else return node;
      this.#eat('?'); // greed means nothing for the set of ends
      node = { kind: 'rep', of: node, least, most };
    }
  }

  #atom(): Node {
    if (this.#eat('(?i:')) {
      const before = this.#fold;
      this.#fold = true;
      const node = this.#alt();
      this.#fold = before;
      if (!this.#eat(')')) throw new Error('slow regex: group');
      return node;
    }
    if (this.#eat('(?:') || this.#eat('(')) {
      const node = this.#alt();
      if (!this.#eat(')')) throw new Error('slow regex: group');
      return node;
    }
    if (this.#eat('[')) return this.#class();
    if (this.#eat('.')) return { kind: 'set', has: (code) => code !== 10 };
    for (const [text, name] of assertions) {
      if (!this.#eat(text)) continue;
      this.asserted = true;
      return { kind: 'assert', name };
    }
    return this.#named(this.#peek()!, { kind: 'set', has: this.#folded(this.#member()) });
  }

  /** A letter that stands there itself, or what it looks like, in each of its cases. */
  #named(char: string, own: Node): Node {
    const likeness = this.#likeness;
    if (likeness === undefined || char.codePointAt(0)! < 0x80) return own;
    const cases = this.#fold ? [char, char.toLowerCase(), char.toUpperCase()] : [char];
    const looks = cases.map((one) => likeness(one.codePointAt(0)!)).filter((one) => one !== '' || /\p{M}/u.test(char));
    const spelled = looks.map((one): Node => ({ kind: 'seq', parts: Array.from(one, only) }));
    return { kind: 'alt', parts: [own, ...spelled] };
  }

  #class(): Node {
    const negated = this.#eat('^');
    const members: ((code: number) => boolean)[] = [];
    while (!this.#eat(']')) {
      const from = this.#single();
      if (from !== undefined && this.#peek() === '-' && this.#chars[this.#at + 1] !== ']') {
        this.#at++;
        const to = this.#single() ?? 0;
        members.push(this.#folded((code) => code >= from && code <= to));
      } else if (from !== undefined) members.push(this.#folded((code) => code === from));
      else members.push(this.#member());
    }
    return { kind: 'set', has: (code) => members.some((one) => one(code)) !== negated };
  }

  /** One character, or undefined where a class escape stands. */
  #single(): number | undefined {
    if (this.#peek() === '\\' && /[dDwWsSpP]/.test(this.#chars[this.#at + 1] ?? '')) return undefined;
    return this.#character();
  }

  #character(): number {
    const char = this.#chars[this.#at++]!;
    if (char !== '\\') return char.codePointAt(0)!;
    const next = this.#chars[this.#at++]!;
    if (next === 'x') {
      const rest = this.#chars.slice(this.#at, this.#at + 10).join('');
      const hex = /^\{([0-9a-fA-F]+)\}|^([0-9a-fA-F]{2})/.exec(rest)!;
      this.#at += hex[0].length;
      return Number.parseInt(hex[1] ?? hex[2]!, 16);
    }
    const named: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11 };
    return named[next] ?? next.codePointAt(0)!;
  }

  #member(): (code: number) => boolean {
    if (this.#peek() !== '\\') return this.#is();
    const next = this.#chars[this.#at + 1]!;
    if (next === 'p') {
      const name = this.#chars[this.#at + 3]!;
      this.#at += 5;
      const letters = /\p{L}/u;
      const numbers = /\p{N}/u;
      return (code) => (name === 'L' ? letters : numbers).test(String.fromCodePoint(code));
    }
    const sets: Record<string, RegExp> = { d: /[0-9]/, w: /[0-9A-Za-z_]/, s: /[\t\n\f\r ]/ };
    const set = sets[next.toLowerCase()];
    if (set === undefined) return this.#is();
    this.#at += 2;
    const negated = next !== next.toLowerCase();
    return (code) => set.test(String.fromCodePoint(code)) !== negated;
  }

  #is(): (code: number) => boolean {
    const one = this.#character();
    return (code) => code === one;
  }

  #folded(has: (code: number) => boolean): (code: number) => boolean {
    // The flag of where it stands, not of when it is asked.
    if (!this.#fold) return has;
    return (code) => {
      const char = String.fromCodePoint(code);
      return [char, char.toLowerCase(), char.toUpperCase()].some((one) => has(one.codePointAt(0)!));
    };
  }
}

function only(char: string): Node {
  return { kind: 'set', has: (code) => code === char.codePointAt(0) };
}

const assertions: readonly (readonly [string, string])[] = [
  ['^', 'begin'],
  ['\\A', 'begin'],
  ['$', 'end'],
  ['\\z', 'end'],
  ['\\b', 'b'],
  ['\\B', 'B'],
];
