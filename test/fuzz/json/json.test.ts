import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JsonError, JsonParser, applyEdits, jsonValue, parseJson } from '../../../pkg/base/index.ts';
import type { JsonNode } from '../../../pkg/base/index.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 4_000);

/** JSON.parse takes duplicate keys and lone surrogates; apart from them both must agree on any text. */
function native(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

function ours(text: string): { readonly node: JsonNode } | { readonly error: JsonError } {
  try {
    return { node: parseJson(text, { loneSurrogates: true, maxDepth: 10_000 }) };
  } catch (error) {
    if (error instanceof JsonError) return { error };
    throw error;
  }
}

function agree(text: string): void {
  const theirs = native(text);
  const mine = ours(text);
  if ('error' in mine) {
    if (mine.error.code === 'duplicate_key') return;
    expect([text, theirs]).toEqual([text, undefined]);
    return;
  }
  expect(theirs === undefined ? ['refused by JSON.parse', text] : []).toEqual([]);
  expect(JSON.stringify(jsonValue(mine.node))).toBe(JSON.stringify(plain(theirs?.value)));
}

/** As jsonValue makes it: `__proto__` is only a key, key order is that of the source but for integer-like keys, in both. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [key, one] of Object.entries(value)) copy[key] = plain(one);
  return copy;
}

/** White space of JSON anywhere between tokens. */
const spaced = (value: unknown, spaces: readonly string[]): string => {
  let at = 0;
  const space = (): string => spaces[at++ % spaces.length] ?? '';
  const write = (one: unknown): string => {
    if (Array.isArray(one)) return `[${space()}${one.map((item) => write(item) + space()).join(`,${space()}`)}]`;
    if (typeof one !== 'object' || one === null) return JSON.stringify(one);
    const members = Object.entries(one).map(
      ([key, item]) => `${JSON.stringify(key)}${space()}:${space()}${write(item)}${space()}`,
    );
    return `{${space()}${members.join(`,${space()}`)}}`;
  };
  return space() + write(value) + space();
};

const spaces = fc.array(fc.constantFrom('', ' ', '\n', '\t\r ', ''), { minLength: 1, maxLength: 7 });
const fragments = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u',
    '\\ud83d',
    '\\ude00',
    '\\u00e9',
    '\ud83d',
    '\ude00',
    '"a"',
    '"b":',
    '""',
  ],
  ...[
    '0',
    '-',
    '1',
    '.',
    'e',
    'E+',
    '00',
    'true',
    'false',
    'null',
    'nul',
    ' ',
    '\n',
    '\t',
    '\u0000',
    '\ufeff',
    '/**/',
    "'",
    'NaN',
  ],
];

describe('the JSON parser, against JSON.parse', () => {
  it('reads every value that can be written, however it is spaced', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), spaces, (value, gaps) => agree(spaced(value, gaps))),
      { numRuns: runs },
    );
  });

  it('accepts and refuses the same texts made of pieces of JSON', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...fragments), { maxLength: 14 }), (parts) => agree(parts.join(''))),
      { numRuns: runs * 5 },
    );
  });

  it('accepts and refuses the same texts after one change to a good one', () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.nat(),
        fc.nat({ max: 3 }),
        fc.constantFrom('', ...fragments),
        (text, where, cut, piece) => {
          const at = where % (text.length + 1);
          agree(text.slice(0, at) + piece + text.slice(at + cut));
        },
      ),
      { numRuns: runs * 5 },
    );
  });

  it('never gives anything but a tree or a coded error, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => agree(text)),
      { numRuns: runs },
    );
  });

  it('gives one tree in steps of any size, and fails at the same place', () => {
    const outcome = (text: string, steps: readonly number[]): unknown => {
      const parser = new JsonParser(text);
      try {
        for (let at = 0; ; at++) {
          const root = parser.run(steps[at % steps.length] ?? 1);
          if (root !== undefined) return describeTree(root);
        }
      } catch (error) {
        if (error instanceof JsonError) return [error.code, error.offset];
        throw error;
      }
    };
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json({ maxDepth: 4 }),
          fc.array(fc.constantFrom(...fragments), { maxLength: 14 }).map((parts) => parts.join('')),
        ),
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 }),
        (text, steps) => expect(outcome(text, steps)).toEqual(outcome(text, [Number.POSITIVE_INFINITY])),
      ),
      { numRuns: runs },
    );
  });

  it('gives spans that spell the values', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), spaces, (value, gaps) => {
        const text = spaced(value, gaps);
        const parsed = ours(text);
        if ('error' in parsed) return;
        const check = (node: JsonNode): void => {
          expect(JSON.stringify(plain(JSON.parse(text.slice(node.start, node.end))))).toBe(
            JSON.stringify(jsonValue(node)),
          );
          for (const key of node.keys) expect(JSON.parse(text.slice(key.start, key.end))).toBe(key.text);
          node.items.forEach(check);
        };
        check(parsed.node);
      }),
      { numRuns: runs / 4 },
    );
  });

  it('gives spans by which an edit changes one value and nothing else', () => {
    const leaves = (node: JsonNode): JsonNode[] =>
      node.kind === 'object' || node.kind === 'array' ? node.items.flatMap(leaves) : [node];
    fc.assert(
      fc.property(fc.jsonValue(), spaces, fc.nat(), (value, gaps, which) => {
        const text = spaced(value, gaps);
        const parsed = ours(text);
        if ('error' in parsed) return;
        const all = leaves(parsed.node);
        const chosen = all[which % Math.max(1, all.length)];
        if (chosen === undefined) return;
        const edited = applyEdits(text, [{ start: chosen.start, end: chosen.end, text: '"edited"' }]);
        const again = leaves(parseJson(edited, { loneSurrogates: true }));
        expect(again.map((node) => node.text)).toEqual(all.map((node) => (node === chosen ? 'edited' : node.text)));
      }),
      { numRuns: runs / 4 },
    );
  });
});

function describeTree(node: JsonNode): unknown {
  return [
    node.kind,
    node.start,
    node.end,
    node.numbers,
    node.numberCount,
    node.keys.map((key) => key.text),
    node.items.map(describeTree),
  ];
}
