import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ScanRule } from '../../core/index.ts';
import { cpuMs } from '../../../test/support/cost.ts';
import { compileScanner } from '../index.ts';
import type { LaneEnd, View } from '../scanner.ts';

const rule = (index: number, more: Partial<ScanRule>): ScanRule => ({
  index,
  id: `rule-${index}`,
  label: `r${index}`,
  on: 'Response',
  action: 'Mask',
  enforce: true,
  match: { detectors: ['CreditCard', 'Email', 'UsSsn'], patterns: [], words: ['top secret'] },
  fields: [],
  replacement: { style: 'Label' },
  ...more,
});
const scanner = compileScanner([rule(0, {})], { hashKey: Buffer.alloc(32, 1) });
const replacing = scanner.view({ replace: Uint8Array.of(1), stop: Uint8Array.of(0), note: Uint8Array.of(0) });
const stopping = scanner.view({ replace: Uint8Array.of(0), stop: Uint8Array.of(1), note: Uint8Array.of(0) });

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const hex = (text: string): string => Buffer.from(text).toString('hex');
const url = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

/** What comes out when the text arrives in these pieces, taken as soon as it is decided. */
function streamed(view: View, pieces: readonly string[], end: LaneEnd = 'complete'): string {
  const lane = view.open('text');
  let text = '';
  for (const piece of pieces) {
    lane.push(piece);
    text += lane.take(lane.decided);
  }
  lane.end(end);
  return text + lane.take(lane.decided);
}

const secret = 'card 4111 1111 1111 1111 of ana@example.com';

describe('encoded text', () => {
  test.each([
    ['base64', base64(secret)],
    ['base64url', Buffer.from(secret).toString('base64url')],
    ['hex', hex(secret)],
    ['URL encoding', url(secret)],
    ['base64 of base64', base64(base64(secret))],
  ])('in %s is masked where it spells a finding, and the rest of the sentence stays', (_, encoded) => {
    const result = replacing.mask(`Here: ${encoded} and that is all.`, 'text', 'complete');
    expect(result.text).toMatch(/^Here: .*\[r0\].* and that is all\.$/);
    const left = result.text.slice(6, -' and that is all.'.length);
    for (const piece of left.split('[r0]')) {
      const decoded = Buffer.from(piece, 'base64').toString('latin1') + Buffer.from(piece, 'hex').toString('latin1');
      expect(decoded).not.toContain('4111 1111 1111');
      expect(decoded).not.toContain('ana@example');
    }
    expect(result.hits.map((hit) => hit.by)).toContain('CreditCard');
  });

  test('gives the same at every split, and at one character a piece', () => {
    const text = `a ${base64(secret)} b ${hex('ana@example.com')} c ana@example.com, ${url('536-22-8841')}! 4111 1111 1111 1111`;
    const whole = replacing.mask(text, 'text', 'complete').text;
    expect(streamed(replacing, [...text])).toBe(whole);
    for (let cut = 1; cut < text.length; cut++)
      expect(streamed(replacing, [text.slice(0, cut), text.slice(cut)])).toBe(whole);
  });

  test('at random: what was given out is always a prefix of what the whole gives', () => {
    const part = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom('ana@example.com', '4111 1111 1111 1111', secret, ' ', 'top secret', 'x'.repeat(20)),
    );
    const encoded = fc
      .tuple(
        fc.constantFrom(base64, hex, url, (text: string) => text),
        part,
      )
      .map(([code, text]) => code(text));
    fc.assert(
      fc.property(fc.array(encoded, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 12 }), (parts, cuts) => {
        const text = parts.join('');
        const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length])].sort(
          (a, b) => a - b,
        );
        const pieces = at.slice(1).map((to, index) => text.slice(at[index], to));
        expect(streamed(replacing, pieces)).toBe(replacing.mask(text, 'text', 'complete').text);
      }),
      { numRuns: 500 },
    );
  });

  test('of any length is read in windows', () => {
    const filler = base64('The quick brown fox jumps over the lazy dog. '.repeat(400));
    for (const before of [0, 3_000, 4_080, 4_092, 8_000]) {
      const text = filler.slice(0, before) + base64(`-- ${secret} --`) + filler.slice(0, 5_000);
      const whole = replacing.mask(text, 'text', 'complete').text;
      expect(whole).toContain('[r0]');
      expect(streamed(replacing, text.match(/.{1,97}/g) ?? [])).toBe(whole);
    }
  });

  test('ends a lane that a stop rule guards, with nothing of the run given out', () => {
    const text = `fine so far ${base64(secret)} more`;
    const lane = stopping.open('text');
    let given = '';
    for (const char of text) {
      if (lane.stopped !== undefined) break;
      lane.push(char);
      given += lane.take(lane.decided);
    }
    expect(lane.stopped?.by).toBe('CreditCard');
    expect('fine so far '.concat(base64('card ')).startsWith(given.slice(0, 12))).toBe(true);
    expect(given.length).toBeLessThanOrEqual(12 + 8);
  });

  test('that spells nothing passes as it came', () => {
    for (const text of [
      base64('just an ordinary sentence here'),
      'internationalization of configurationManagerFactory',
      hex('hello world, hello'),
      'https://example.org/a/very/long/path/to/something?x=1',
    ])
      expect(replacing.mask(text, 'text', 'complete').text).toBe(text);
  });

  test('right behind a finding that has ended, and whose end is not settled yet, is hidden as well', () => {
    const own = compileScanner(
      [
        rule(0, { match: { detectors: ['Email', 'GenericApiKey'], patterns: [], words: [] } }),
        rule(1, { match: { detectors: [], patterns: [], words: [] }, fields: ['**.ssn'] }),
      ],
      { hashKey: Buffer.alloc(32, 1) },
    );
    const view = own.view({ replace: Uint8Array.of(1, 1), stop: Uint8Array.of(0, 0), note: Uint8Array.of(0, 0) });
    const text = `"ssn": "078-05-1120"${hex('ana@example.com')}lorem ipsum dolor sit amet`;
    const read = (pieces: readonly string[]): string => {
      const lane = view.open('prose');
      let out = '';
      for (const piece of pieces) {
        lane.push(piece);
        out += lane.take(lane.decided);
      }
      lane.end('complete');
      return out + lane.take(lane.decided);
    };
    const whole = view.mask(text, 'prose', 'complete').text;
    expect(whole).toBe('"ssn": "[r1]"[r0]lorem ipsum dolor sit amet');
    for (let first = 1; first < text.length; first++)
      for (let second = first + 1; second < text.length; second++)
        expect(read([text.slice(0, first), text.slice(first, second), text.slice(second)])).toBe(whole);
  });

  test('behind a finding that stops the lane is not named instead of it', () => {
    const text = `write to ana@example.com or ${base64(secret)} today`;
    const first = text.indexOf('ana@');
    expect(stopping.mask(text, 'prose', 'complete').stopped?.start).toBe(first);
    const lane = stopping.open('prose');
    lane.push(text);
    lane.end('complete');
    expect(lane.stopped?.start).toBe(first);
  });
});

describe('a value that is encoded by itself', () => {
  const told = compileScanner(
    [rule(0, { match: { detectors: ['UkNhsNumber', 'GenericApiKey'], patterns: [], words: [] } })],
    { hashKey: Buffer.alloc(32, 1) },
  ).view({ replace: Uint8Array.of(1), stop: Uint8Array.of(0), note: Uint8Array.of(0) });
  const escapes = (text: string): string =>
    [...text].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
  const references = (text: string): string => [...text].map((one) => `&#${one.charCodeAt(0)};`).join('');
  const number = '943 476 5919';

  test.each([
    ['a plain word', `My NHS no is ${url(number)}, thanks`, 'My NHS no is [r0], thanks'],
    ['a word in full width', `ＮＨＳ no: ${url(number)}`, 'ＮＨＳ no: [r0]'],
    ['a word that is glued to it', `NHS=${url(number)}!`, 'NHS=[r0]!'],
    ['a word, in escapes of JSON', `NHS ${escapes(number)} ok`, 'NHS [r0] ok'],
    ['a word, in character references', `(NHS ${references(number)}) ok`, '(NHS [r0]) ok'],
    ['a word, in base64', `NHS ${base64(`-- ${number} --`)} ok`, `NHS ${base64('-- ')}[r0]${base64(' --')} ok`],
    ['a name of a secret', `client_secret: ${references('hp2HAEXR2kL3yI5VG55z')} ok`, 'client_secret: [r0] ok'],
    ['no word', `My case no is ${url(number)}, thanks`, `My case no is ${url(number)}, thanks`],
    ['a word too far away', `NHS ${' '.repeat(50)}${url(number)}`, `NHS ${' '.repeat(50)}${url(number)}`],
  ])('behind %s is judged as a plain one, at every split', (_what, text, masked) => {
    expect(told.mask(text, 'text', 'complete').text).toBe(masked);
    expect(streamed(told, [...text])).toBe(masked);
    for (let cut = 1; cut < text.length; cut++)
      expect(streamed(told, [text.slice(0, cut), text.slice(cut)])).toBe(masked);
  });

  test('in a string of JSON is told of by its key', () => {
    const text = JSON.stringify({ nhs_number: url(number), other: url(number) });
    expect(told.mask(text, 'json', 'complete').text).toBe(`{"nhs_number":"[r0]","other":"${url(number)}"}`);
  });

  test('over the seam of two texts is told of by a word before it', () => {
    const [left, right] = [url('94347'), url('65919')];
    expect(told.mayCross(`NHS no ${left}`, `${right} ok`)).toBe(true);
    expect(told.mayCross(`case no ${left}`, `${right} ok`)).toBe(false);
  });

  test('that is cut is hidden where half of it came', () => {
    expect(told.mask(`NHS no ${url('943 476')}`, 'text', 'cut').text).toBe('NHS no [r0]');
    expect(told.mask(`case no ${url('943 476')}`, 'text', 'cut').text).toBe(`case no ${url('943 476')}`);
  });
});

describe('a text with very many findings in encodings', () => {
  const codes: readonly (readonly [string, (text: string) => string])[] = [
    ['base64', base64],
    ['escapes', (text) => [...text].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')],
  ];

  test.each(codes)('in %s costs in proportion to its length', (_, code) => {
    const read = (findings: number) => () => replacing.mask(code('to a@bc.de. '.repeat(findings)), 'prose', 'complete');
    const [some, many] = [cpuMs(read(600)), cpuMs(read(4_800))];
    // Eight times as many; sixty-four times as dear where each looks at all others.
    expect(many).toBeLessThan(24 * some);
  });
});
