import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { fold, foldCodePoint } from './index.ts';
import { cpuMs } from '../../../test/support/cost.ts';

describe('fold', () => {
  test('for one character of every page, before any was seen, not all of Unicode is worked out, and ideographs and syllables are themselves', () => {
    const decompose = jest.spyOn(String.prototype, 'normalize');
    for (let code = 0; code <= 0x10ffff; code += 256) foldCodePoint(code);
    // Of a million characters: 300 ms.
    expect(decompose.mock.calls.length).toBeLessThan(100_000);
    decompose.mockRestore();
    expect(fold('中國\u3400한글\ue000\u{20000}\u{30000}').text).toBe('中國\u3400한글\ue000\u{20000}\u{30000}');
  });

  test.each([
    ['full-width digits', '４１１１ １１１１', '4111 1111'],
    ['mathematical letters and digits', '𝕒𝓫𝐜𝒅𝖊 𝟙𝟚𝟛', 'abcde 123'],
    ['Cyrillic letters in a Latin word', 'аnа@ехаmрlе.оrg', 'ana@example.org'],
    ['Greek letters in a Latin word', 'ΑΚΙΑ ραssωοrd', 'AKIA password'],
    ['Armenian, Cherokee and Lisu letters', 'հօսsе ᎪᏴᏟ ꓮꓐꓚ', 'house ABC ABC'],
    ['small capitals', 'ᴘᴀꜱꜱᴡᴏʀᴅ', 'password'],
    ['squared, circled and regional letters', '🅰🅱 ⓐⓑ 🇦🇧', 'AB ab AB'],
    ['circled digits of every kind', '①⑨ ❶❾ ➀ ➊ ⓵ ⓿ ⑩', '19 19 1 1 1 0 10'],
    ['keycaps', '4️⃣1️⃣', '41'],
    ['superscripts and subscripts', '⁴₁¹', '411'],
    ['digits of other scripts', '٤١١١ ४१११ ໔ ᠔ 𞥐', '4111 4111 4 4 0'],
    ['roman numerals and ligatures', 'Ⅻ ﬁ ﬄ', 'XII fi ffl'],
    ['accents, composed and combining', 'é e\u0301 ñ Å', 'e e n A'],
    ['letters without a decomposition', 'Straße Łódź Ørsted æ', 'Strasse Lodz Orsted ae'],
    ['zero width, joiners, soft hyphens and bidi controls', 'p\u200ba\u200d\u2060s\u00ads\u202e\ufeff', 'pass'],
    ['variation selectors', 'a\ufe0fb\u{e0101}c', 'abc'],
    ['hidden text in tag characters', 'x\u{e0001}\u{e0041}\u{e0042}\u{e007f}', 'xAB'],
    ['dashes', '1‐2‑3‒4–5—6−7', '1-2-3-4-5-6-7'],
    ['spaces and line separators', 'a\u00a0b\u2003c\u3000d\u2028e', 'a b c d\ne'],
    ['quotes', '“a” ‘b’ «c» ′', '"a" \'b\' "c" \''],
    ['dots, at signs, slashes and colons', 'ana＠x。org 10·0 a⁄b ∶', 'ana@x.org 10.0 a/b :'],
    ['what has no ASCII likeness', '日本語がガ 한국어 שלום', '日本語がガ 한국어 שלום'],
    ['lone surrogates', 'a\ud800b\udc00', 'a\ud800b\udc00'],
    ['control characters of ASCII', 'a\0\tb\n', 'a\0\tb\n'],
  ])('reads %s', (_what, text, expected) => {
    expect(fold(text).text).toBe(expected);
  });

  test('ASCII comes back as the same string without a map', () => {
    const text = 'Plain text, 4111-1111.';
    expect(fold(text)).toEqual({ text, map: undefined });
  });

  test('maps every folded unit to the code point that it came from', () => {
    const folded = fold('a😀ﬁ\u200bx');
    expect(folded.text).toBe('a😀fix');
    expect([...(folded.map ?? [])]).toEqual([0, 1, 1, 3, 3, 5, 6]);
  });

  test('every code point folds to at most four characters, and ASCII only to itself', () => {
    for (let code = 0; code <= 0x10ffff; code += 1) {
      const folded = foldCodePoint(code);
      if (code < 0x80 && folded !== String.fromCharCode(code)) throw new Error(`U+${code.toString(16)} changed`);
      if (folded.length > 4 && Array.from(folded).length > 4) throw new Error(`U+${code.toString(16)} is too long`);
    }
  });

  test('a fold is stable: folding again changes nothing', () => {
    for (let code = 0; code <= 0x10ffff; code += 1) {
      const once = foldCodePoint(code);
      if (once.length > 0 && once !== String.fromCodePoint(code) && fold(once).text !== once) {
        throw new Error(`U+${code.toString(16)}: ${once} then ${fold(once).text}`);
      }
    }
  });

  test('a text folds as the concatenation of its code points, with a rising map', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const folded = fold(text);
        expect(folded.text).toBe(Array.from(text, (part) => foldCodePoint(part.codePointAt(0) ?? 0)).join(''));
        if (folded.map === undefined) return;
        expect(folded.map.length).toBe(folded.text.length + 1);
        expect(folded.map.at(-1)).toBe(text.length);
        for (let at = 1; at < folded.map.length; at += 1)
          expect(folded.map[at]).toBeGreaterThanOrEqual(folded.map[at - 1]!);
      }),
    );
  });

  test('cost grows with the text', () => {
    const time = (text: string): number => cpuMs(() => fold(text));
    const piece = 'Привет, мир! ﬁ 日本 ';
    const small = Math.max(1, time(piece.repeat(5_000)));
    // Twenty times the text: quadratic would be 400.
    expect(time(piece.repeat(100_000))).toBeLessThan(small * 120);
  });
});
