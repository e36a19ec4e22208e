import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { detectors } from '../detectors/index.ts';
import { foldCodePoint } from '../fold/index.ts';
import { compileScanner } from '../index.ts';
import type { LaneEnd } from '../scanner.ts';
import { sketchRules, sketchView } from '../testing/rules.ts';
import { slowDecodedMask } from '../testing/slow-decode.ts';
import { SlowMasker } from '../testing/slow-mask.ts';

// The guarantee on streams with what a policy really names: all built-in detectors, words, and values in disguise, beside the slow and obvious mask.

const hashKey = new Uint8Array(32).fill(7);
const rules = sketchRules(
  { label: 'pii', detectors: ['Pii'] },
  { label: 'secret', detectors: ['Secrets'], words: ['project falcon'] },
);
const spec = sketchView('rr');
const view = compileScanner(rules, { hashKey }).view(spec);
const slow = new SlowMasker(
  { rules, detectors: Object.fromEntries(detectors.map((one) => [one.name, one])), fold: foldCodePoint, hashKey },
  spec,
);

const values = [
  '4111 1111 1111 1111',
  '378282246310005',
  'ana@example.com',
  '536-22-8841',
  '+1 (415) 555-2671',
  '10.0.0.1',
  '2001:db8::1',
  '00:1a:2b:3c:4d:5e',
  'GB82 WEST 1234 5698 7654 32',
  'AKIAIOSFODNN7EXAMPLE',
  'ghp_0123456789abcdefghijABCDEFGHIJ012345',
  'api_key = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"',
  '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln',
  `glpat-${'aB3dE5gH7jK9mN1pQ3sT'}`,
  `SG.${'aB3dE5gH7jK9mN1pQ3sT5v'}.${'W7yZ9bC1dE3fG5aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC'}`,
  `datadog_app="${'0a1b2c3d4e5f6789'.repeat(2)}"`,
  'postgres://bob:s3cr3t@db.example.org/x',
  '{"password": "let,me(in"}',
  'DB_PASSWORD=correcthorse',
  'Authorization: Basic Ym9iOmh1bnRlcg==',
  'project falcon',
  // Some that words tell of, and some that need none.
  'NHS number: 943 476 5919',
  'my BSN is 111222333',
  'passport_no=A12345678',
  '529.982.247-25',
  'S1234567D',
  '51 824 753 556',
  '2341 2341 2346',
  '_S1234567D_',
  'Born: __12/03/1984__',
  '_123-45-6789_',
];
const fullWidth = (text: string): string =>
  text.replace(/[!-~]/g, (char) => String.fromCodePoint(char.charCodeAt(0) + 0xfee0));
const strewn = (text: string): string => [...text].join('\u200b');
const disguises: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text,
  (text) => text.slice(0, -1),
  (text) => text.slice(0, Math.ceil(text.length / 2)),
  (text) => text.toUpperCase(),
  fullWidth,
  strewn,
  (text) => Buffer.from(text).toString('base64'),
  (text) => Buffer.from(`see ${text} `).toString('base64url'),
  (text) => Buffer.from(text).toString('hex'),
  (text) => text.replace(/[^ ]/g, (char) => `%${Buffer.from(char).toString('hex')}`),
  (text) => text.replace(/[0-9@]/g, (char) => `&#${char.charCodeAt(0)};`),
  (text) => text.replace(/[0-9@]/g, (char) => `\\u00${Buffer.from(char).toString('hex')}`),
];
const between = ['', '', ' ', ', ', '\n', '. The quick brown fox. ', 'a', '7', '=', '\u200b', 'é', '😀', ' and then '];
const part = fc
  .tuple(fc.constantFrom(...values), fc.constantFrom(...disguises), fc.constantFrom(...between))
  .map(([value, disguise, after]) => disguise(value) + after);
const texts = fc
  .tuple(fc.constantFrom(...between), fc.array(part, { minLength: 1, maxLength: 3 }))
  .map(([before, parts]) => before + parts.join(''));
const ends = fc.constantFrom<LaneEnd>('complete', 'cut');

/** Text that may follow: each would make something of what waits, or end it. */
const continuations = [
  '',
  ' ',
  '1',
  'a',
  '=',
  '.com',
  '@example.com ',
  '-8841 ',
  ' 1111 ',
  '-----END',
  'MTEx',
  '%31',
  '. And so on it goes. ',
];

function drive(pieces: readonly string[], end: LaneEnd, after?: (taken: string, received: string) => void): string {
  const lane = view.open('text');
  let taken = '';
  let received = '';
  for (const piece of pieces) {
    lane.push(piece);
    received += piece;
    const before = taken.length;
    taken += lane.take(lane.decided);
    if (taken.length > before) after?.(taken, received);
  }
  lane.end(end);
  return taken + lane.take(lane.decided);
}

function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set([0, ...places.map((place) => place % (text.length + 1)), text.length])].sort((a, b) => a - b);
  return at.slice(1).map((to, index) => text.slice(at[index], to));
}

const runs = Number(process.env['FC_RUNS'] ?? 60);

describe('all built-in detectors and their disguises', () => {
  it('mask what the slow and obvious mask masks, whole and however the text is cut', () => {
    let hidden = 0;
    fc.assert(
      fc.property(texts, ends, fc.array(fc.nat(), { maxLength: 6 }), (text, end, places) => {
        const expected = slowDecodedMask(slow, text, end);
        hidden += expected.edits.length;
        expect(view.mask(text, 'text', end).text).toBe(expected.text);
        expect(drive(cut(text, places), end)).toBe(expected.text);
        expect(drive(text.split(''), end)).toBe(expected.text);
      }),
      { numRuns: Math.ceil(runs / 2) },
    );
    expect(hidden).toBeGreaterThan(runs / 4);
  });

  it('mask the same at every single split of a text that holds them all', () => {
    const text = values.join(' | ');
    const whole = view.mask(text, 'text', 'complete');
    expect(whole.hits.length).toBeGreaterThanOrEqual(values.length);
    for (let at = 0; at <= text.length; at++)
      expect(drive([text.slice(0, at), text.slice(at)], 'complete')).toBe(whole.text);
  });

  it('have at all times sent a prefix of the mask of every continuation', () => {
    fc.assert(
      fc.property(texts, texts, ends, fc.nat(), (text, more, end, pick) => {
        drive(text.split(''), 'cut', (taken, received) => {
          const next = [more, ...continuations][(pick + received.length) % (continuations.length + 1)] ?? '';
          const { text: all } = slowDecodedMask(slow, received + next, end);
          if (!all.startsWith(taken)) expect({ received, next, taken }).toEqual(all);
        });
      }),
      { numRuns: Math.ceil(runs / 4) },
    );
  });

  it('are told of by words as a reader sees them', () => {
    for (const [text, masked] of [
      ['पैन abcpe1234f', 'पैन [pii]'],
      ['henkilötunnus 131052-308t', 'henkilötunnus [pii]'],
      ['ＮＨＳ number ９４３４７６５９１９', 'ＮＨＳ number [pii]'],
      ['주민등록번호: 9001011234567', '주민등록번호: [pii]'],
    ] as const)
      expect(view.mask(text, 'text', 'complete').text).toBe(masked);
  });

  it('hide at a cut what may go on, and of what cannot not a word behind it', () => {
    for (const [text, masked] of [
      ['Pay 4111 1111 1111 1111 now, dear', 'Pay [pii] now, dear'],
      ['Pay 4111 1111 1111', 'Pay [pii]'],
      ['Pay 4111 1111 1111 and', 'Pay 4111 1111 1111 and'],
    ] as const) {
      expect(view.mask(text, 'text', 'cut').text).toBe(masked);
      expect(drive([text], 'cut')).toBe(masked);
    }
  });
});
