import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DetectorName } from '../../core/index.ts';
import type { Detector } from '../detector.ts';
import { certainAsTold, certainByFormat, likelyBySpelling, possiblyAnother, verdict } from '../verdict.ts';
import { foldCodePoint } from '../fold/index.ts';
import type { LaneEnd, LaneScanner, Scanner, View } from '../scanner.ts';
import { sketchRules, sketchView } from '../testing/rules.ts';
import type { RuleSketch } from '../testing/rules.ts';
import { SlowMasker, shortestSamples } from '../testing/slow-mask.ts';
import { compileWith } from './compile.ts';

const hashKey = new Uint8Array(32).fill(7);
const digit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/** Small detectors with every feature of the interface: texts that a test can enumerate reach all of them. */
const small: Readonly<Partial<Record<DetectorName, Detector>>> = {
  // Digits whose sum is a multiple of ten, like Luhn: a shorter end may be the accepted one. No digit beside it.
  CreditCard: {
    name: 'CreditCard',
    pattern: '[0-9](?:[ -]?[0-9]){3,5}',
    maxLength: 11,
    left: 1,
    right: 1,
    accept: (text, start, end) =>
      !digit(text.charCodeAt(start - 1)) &&
      !digit(text.charCodeAt(end)) &&
      Array.from(text.slice(start, end)).reduce((sum, char) => sum + (Number(char) || 0), 0) % 10 === 0,
    significant: digit,
    leastSignificant: 4,
  },
  Email: {
    name: 'Email',
    pattern: '[a-z]{1,4}@[a-z]{1,4}\\.[a-z]{2,3}',
    maxLength: 13,
    left: 1,
    right: 0,
    accept: (text, start) => !/[a-z]/.test(text.charAt(start - 1)),
    significant: (code) => code === 0x40,
    leastSignificant: 1,
  },
  PrivateKey: {
    name: 'PrivateKey',
    pattern: '-+BEGIN',
    maxLength: 9,
    left: 0,
    right: 0,
    significant: (code) => code > 0x20,
    leastSignificant: 6,
    open: { until: 'END-{1,2}x', untilMaxLength: 6 },
  },
  Jwt: {
    name: 'Jwt',
    pattern: 'eyJ',
    maxLength: 3,
    left: 0,
    right: 0,
    significant: () => true,
    leastSignificant: 3,
    open: { whileClass: (code) => /[a-zA-Z0-9.]/.test(String.fromCodePoint(code)) },
  },
  // How certain it is, what stands on either side says; a shorter end may be more certain than a longer one.
  Phone: {
    name: 'Phone',
    pattern: '[0-9]{2,4}',
    maxLength: 4,
    left: 1,
    right: 2,
    accept: (text, start, end) =>
      text.charAt(start - 1) === 'a'
        ? certainAsTold
        : text.startsWith('!', end) || text.startsWith(' !', end)
          ? possiblyAnother
          : end - start === 2
            ? certainByFormat
            : likelyBySpelling,
    significant: digit,
    leastSignificant: 3,
  },
  UsSsn: {
    name: 'UsSsn',
    pattern: 'b[0-9]{1,2}',
    maxLength: 3,
    left: 0,
    right: 0,
    verdict: verdict('Certain', 'Prefix'),
    significant: () => true,
    leastSignificant: 2,
    open: { whileClass: digit },
  },
  GenericApiKey: {
    name: 'GenericApiKey',
    pattern: 'key[=:][a-z0-9]{3}',
    maxLength: 7,
    left: 0,
    right: 2,
    accept: (text, _start, end) => !text.startsWith('()', end),
    from: (_text, start) => start + 4,
    significant: () => true,
    leastSignificant: 7,
    open: { whileClass: (code) => /[a-z0-9]/.test(String.fromCodePoint(code)) },
  },
};

const shortest = ['AB', 'ab', 'abc', 'x1', '42', 'EMP-12', 'aab', 'é', 'ö ', 'ßa', 'а1', 'b!', '\u0301'];
shortestSamples.push(...shortest);

/** Rule sets with letters of a view: r replace, s stop, n note, - visible. */
const setups: { readonly name: string; readonly view: string; readonly rules: readonly RuleSketch[] }[] = [
  {
    name: 'detectors',
    view: 'r',
    rules: [{ detectors: ['CreditCard', 'Email', 'PrivateKey', 'Jwt', 'GenericApiKey'] }],
  },
  {
    name: 'styles',
    view: 'rrrr',
    rules: [
      { detectors: ['CreditCard'], replacement: { style: 'Partial', keep: 2 } },
      { detectors: ['Email'], replacement: { style: 'Hash' } },
      { detectors: ['PrivateKey', 'GenericApiKey'], replacement: { style: 'Constant', text: '<key>' } },
      { patterns: ['[0-9]{2,6}'], replacement: { style: 'Hash' }, detectors: ['Jwt'] },
    ],
  },
  {
    name: 'overlaps',
    view: 'r-rrn',
    rules: [
      { patterns: ['(?i)ab+c?'], replacement: { style: 'Partial', keep: 1 } },
      { patterns: ['b[0-9]', 'x1'] },
      { patterns: [{ pattern: '[a-z]+[0-9]+', maxLength: 5 }], replacement: { style: 'Constant', text: '#' } },
      { words: ['cab'], patterns: ['(?:a|ab)(?:c|bcd)?'] },
      { detectors: ['Email'], patterns: ['ab', 'x1'] },
    ],
  },
  {
    name: 'assertions',
    view: 'rrr',
    rules: [
      { patterns: ['\\bab\\b', '^x1', 'x1$'] },
      { patterns: ['\\Bab', 'a.b\\B'], replacement: { style: 'Partial', keep: 1 } },
      { patterns: ['\\b[0-9]{2}\\b', 'aab'] },
    ],
  },
  {
    name: 'characters that a reader takes for others',
    view: 'rrr',
    rules: [
      { patterns: ['é+', 'ö[^a]', '(?i)É\\b'] },
      { patterns: ['ßa', 'b[^b1-9]{1,3}', '\\x{0301}'], replacement: { style: 'Hash' } },
      { patterns: ['[^a-z]?а1', '(?:ab|é.)$'], words: ['cab'], replacement: { style: 'Partial', keep: 1 } },
    ],
  },
  {
    name: 'words and field names',
    view: 'rr',
    rules: [
      { words: ['leak', 'cab', 'ab cd'] },
      { fields: ['**.ssn', '**.k'], replacement: { style: 'Partial', keep: 2 } },
    ],
  },
  {
    name: 'stopping',
    view: 'rsn',
    rules: [
      { patterns: ['[a-z]+[0-9]', 'ab'], detectors: ['PrivateKey'] },
      { patterns: ['[0-9]{2}', 'x1'], detectors: ['Email'], words: ['leak'] },
      { detectors: ['CreditCard', 'Jwt'] },
    ],
  },
  {
    name: 'the same unit in several rules',
    view: 'nrsr',
    rules: [
      { detectors: ['Email'] },
      { detectors: ['Email'], patterns: ['ab'], replacement: { style: 'Hash' } },
      { patterns: ['x1'] },
      { detectors: ['Email', 'Jwt'], patterns: ['x1', 'ab', '[a-z]{2}'] },
    ],
  },
];

setups.push({
  name: 'certainties, and what is allowed',
  view: 'rrrnr',
  rules: [
    { detectors: ['Phone'], terms: { Phone: { from: 'Certain', allow: [{ sets: [], values: ['55'] }] } } },
    {
      detectors: ['Phone', 'Email'],
      terms: { Email: { from: 'Likely', allow: [{ sets: [], values: ['a@b.co', 'ab@cd.com'] }] } },
      replacement: { style: 'Hash' },
    },
    {
      detectors: ['Phone', 'UsSsn', 'CreditCard'],
      terms: {
        Phone: { from: 'Possible', allow: [] },
        UsSsn: { from: 'Certain', allow: [{ sets: [], values: ['b1'] }] },
        CreditCard: { from: 'Certain', allow: [] },
      },
      replacement: { style: 'Partial', keep: 2 },
    },
    {
      detectors: ['Phone', 'CreditCard'],
      terms: { Phone: { from: 'Likely', allow: [{ sets: [], values: ['1234', '42'] }] } },
    },
    { detectors: ['UsSsn'], words: ['cab'] },
  ],
});

const scenarios = setups.map(({ name, view, rules }) => {
  const scanRules = sketchRules(...rules);
  const scanner: Scanner = compileWith(scanRules, { hashKey }, { detectors: small, fold: foldCodePoint });
  const spec = sketchView(view);
  return {
    name,
    view: scanner.view(spec),
    slow: new SlowMasker({ rules: scanRules, detectors: small, fold: foldCodePoint, hashKey }, spec),
  };
});

/** Pieces that the rules above are made of, whole and in part. */
const pieces = [
  ...[
    'a',
    'b',
    'ab',
    'abc',
    'aab',
    'B',
    'x1',
    'c',
    'd',
    'l',
    'e',
    '1eak',
    'l e a k',
    'cab',
    'c4b',
    'ab  cd',
    ' ',
    ', ',
    '\n',
  ],
  ...[
    '1',
    '9',
    '5',
    '55',
    '1234',
    '1 2 3 4',
    '0-',
    '42',
    '!',
    ' !',
    'a4',
    'b1',
    '1999',
    'é',
    'ａ',
    '１',
    'ﬃ',
    'ö',
    '機',
    '한',
    'д',
    'ש',
    '𠀀',
    'ß',
    'É',
    'e\u0301',
  ],
  ...['\u200b', '\u200b\u200b\u200b', '\u{e0061}', '\u{e0031}', '😀', '𝐚', '𝟏', '\ud83d', '\ude00', 'а'],
  ...['@', '.', '.co', 'a@b.co', 'ab@cd.com', 'x@', '-', '--', '-BEGIN', '---BEGIN', 'END-', 'END-x', 'END--x', 'END'],
  ...[
    'eyJ',
    'ey',
    'eyJabc.1',
    'key=',
    'key=abc',
    'key:a1b2()',
    '()',
    '"ssn"',
    '"ssn":',
    '"ssn" : "',
    '"k":1',
    '"k": [1,{"k":2}]',
  ],
  ...['"', '\\"', '\\', '{', '}', '[', ']', 'true', '"x"'],
];
const texts = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(...pieces) },
      { weight: 1, arbitrary: fc.constant('\u200b'.repeat(40)) },
    ),
    {
      maxLength: 14,
    },
  )
  .map((parts) => parts.join(''))
  .filter((text) => !/^[ \t\r\n]*[{[]/.test(text));
const ends = fc.constantFrom<LaneEnd>('complete', 'cut');
const runs = Number(process.env['FC_RUNS'] ?? 60);

function drive(view: View, chunks: readonly string[], end: LaneEnd, seen?: (taken: string, received: string) => void) {
  const lane: LaneScanner = view.open('text');
  let taken = '';
  let received = '';
  let last = 0;
  const hits = [];
  for (const chunk of chunks) {
    lane.push(chunk);
    received += chunk;
    expect(lane.decided).toBeGreaterThanOrEqual(last);
    expect(lane.decided).toBeLessThanOrEqual(received.length);
    last = lane.decided;
    const before = taken.length;
    taken += lane.take(lane.decided);
    hits.push(...lane.drainHits());
    // What was true of less received is true of more.
    if (taken.length > before) seen?.(taken, received);
  }
  lane.end(end);
  taken += lane.take(lane.decided);
  hits.push(...lane.drainHits());
  return { taken, hits, stopped: lane.stopped, decided: lane.decided };
}

const byStart = (
  a: { start: number; rule: number; end: number },
  b: { start: number; rule: number; end: number },
): number => a.start - b.start || a.rule - b.rule || a.end - b.end;

function cutAt(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (text.length + 1)), text.length])].sort((a, b) => a - b);
  return places.slice(1).map((to, at) => text.slice(places[at], to));
}

describe.each(scenarios)('masking: $name', ({ view, slow }) => {
  it('gives what the slow and obvious mask gives', () => {
    fc.assert(
      fc.property(texts, ends, (text, end) => {
        const fast = view.mask(text, 'text', end);
        const obvious = slow.mask(text, end);
        expect({ text: fast.text, hits: fast.hits, stopped: fast.stopped }).toEqual({
          text: obvious.text,
          hits: [...obvious.hits].sort(byStart),
          stopped: obvious.stopped,
        });
        expect(fast.edits).toEqual(obvious.edits);
      }),
      { numRuns: runs * 3 },
    );
  });

  it('gives the same however the text is cut', () => {
    fc.assert(
      fc.property(texts, ends, fc.array(fc.nat(), { maxLength: 6 }), (text, end, cuts) => {
        const whole = view.mask(text, 'text', end);
        for (const chunks of [cutAt(text, cuts), text.split('')]) {
          const streamed = drive(view, chunks, end);
          expect(streamed.taken).toBe(whole.text);
          expect([...streamed.hits].sort(byStart)).toEqual(whole.hits);
          expect(streamed.stopped).toEqual(whole.stopped);
        }
      }),
      { numRuns: runs },
    );
  });

  it('has at all times sent a prefix of the mask of every continuation', () => {
    const continuations = [
      '',
      ' ',
      '1',
      '5',
      'b',
      'c',
      '@b.co',
      '.co',
      'END-x',
      '\u200b',
      'k',
      ' k',
      'é',
      '()',
      '2 3 4',
      '"',
      ':1 ',
    ];
    // Four of them each time, in turn: over many texts each comes behind everything.
    const some = (at: number): readonly string[] => continuations.filter((_, index) => (index + at) % 4 === 0);
    fc.assert(
      fc.property(texts, texts, ends, (text, more, end) => {
        drive(view, text.split(''), 'cut', (taken, received) => {
          for (const next of [more, ...some(received.length)]) {
            const all = slow.mask(received + next, end);
            if (!all.text.startsWith(taken)) expect({ received, next, taken }).toEqual(all.text);
          }
        });
      }),
      { numRuns: Math.ceil(runs / 2) },
    );
  });
});
