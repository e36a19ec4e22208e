import { shape } from '../detectors/secrets/shape.ts';
import { endless, long, marked, prefixed, toldKinds } from '../detectors/secrets/token-kinds.ts';

/**
 * A token of each kind, drawn when a test runs: no secret, and nothing that a forge's scanner would find, stands in the repository.
 */

/** A row of numbers that is the same in each run. Mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const printable = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index));

/** What a shape describes, drawn. */
export function drawShape(text: string, random: () => number): string {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  return shape(text)
    .segments.map((segment) => {
      if ('literal' in segment) return segment.literal;
      // `=` ends base64 alone.
      const all = printable.filter((char) => segment.class(char.charCodeAt(0)) && char !== '=' && char !== '%');
      const length = segment.least + Math.floor(random() * (segment.most - segment.least + 1));
      return Array.from({ length }, () => pick(all)).join('');
    })
    .join('');
}

export interface SampleToken {
  readonly kind: string;
  readonly token: string;
  /** What is covered of it. */
  readonly covered: string;
}

/** Of each prefix of each kind one. */
export function sampleTokens(seed: number): readonly SampleToken[] {
  const random = randomNumbers(seed);
  return [
    ...prefixed.flatMap(({ kind, prefixes, body, keepsPrefix }) =>
      prefixes.map((prefix) => {
        const drawn = drawShape(body, random);
        return { kind, token: prefix + drawn, covered: keepsPrefix === true ? drawn : prefix + drawn };
      }),
    ),
    ...long.flatMap(({ kind, prefixes, body }) =>
      prefixes.map((prefix) => {
        const token = prefix + drawShape(`${body} ${body.charAt(0)}0-1000`, random);
        return { kind, token, covered: token };
      }),
    ),
    ...marked.map(({ kind, body }) => {
      const token = drawShape(body, random);
      return { kind, token, covered: token };
    }),
    ...endless.flatMap(({ kind, prefixes }) =>
      prefixes.map((prefix) => {
        const token = prefix + drawShape('t300', random);
        return { kind, token, covered: token };
      }),
    ),
  ];
}

/** Of each body of each kind that a name tells of: the name, and the value. */
export function sampleTold(
  seed: number,
): readonly { readonly kind: string; readonly name: string; readonly value: string }[] {
  const random = randomNumbers(seed);
  return toldKinds.flatMap(({ kind, names, bodies }) =>
    names.flatMap((name) => bodies.map((body) => ({ kind, name, value: drawShape(body, random) }))),
  );
}
