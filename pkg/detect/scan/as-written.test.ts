import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { checkPattern } from '../automaton/pattern.ts';
import { compileScanner } from '../compile-scanner.ts';
import type { Edit, View } from '../scanner.ts';
import { sketchRules, sketchView } from '../testing/rules.ts';
import type { RuleSketch } from '../testing/rules.ts';

/**
 * What RE2 itself finds in a text as it is written is found, whatever reading it as a reader does makes of its characters: the oracle is
 * RE2, which knows nothing of folding. And what a reader takes for the words of a pattern is found, too.
 */
const runs = Number(process.env['FC_RUNS'] ?? 400);

const viewOf = (rule: RuleSketch): View =>
  compileScanner(sketchRules(rule), { hashKey: new Uint8Array(32) }).view(sketchView('r'));
const editsOf = (pattern: string, text: string): readonly Edit[] =>
  viewOf({ patterns: [pattern] }).mask(text, 'prose', 'complete').edits;
const finds = (pattern: string, text: string): boolean => editsOf(pattern, text).length > 0;

/** RE2's matches that are not empty and no longer than a pattern may find, in UTF-16 units. */
function matchesOf(pattern: string, text: string): { start: number; end: number }[] {
  const matcher = RE2JS.compile(pattern).matcher(text);
  const found = [];
  while (matcher.find()) found.push({ start: matcher.start(), end: matcher.end() });
  return found.filter(({ start, end }) => end > start && Array.from(text.slice(start, end)).length <= 256);
}

const letters = [
  ...['a', 'e', 'o', 'B', '1', ' ', '-', '.', '_', '\n', '"', '!', 's', 'k'],
  // Folded to one character, to several, to nothing, to themselves.
  ...['é', 'É', 'ö', 'а', 'Р', 'ф', 'α', 'σ', 'ς', '’', '“', '–', '\u00a0', '\u2028', '４', '٤', '！', '𝐚', 'K', 'ſ'],
  ...['ß', 'ẞ', 'ﬃ', '½', '№', 'æ', '㎏', '\u0301', '\u200b', '\u200d', '\ufe0f', '\u{e0061}'],
  ...['機', '密', '한', 'ก', '\u0e33', 'ह', '\u093f', '\u094d', '😀', 'ꓮ', 'ע', 'ب'],
];
const literal = (char: string): string => `\\x{${(char.codePointAt(0) ?? 0).toString(16)}}`;
const character = fc.constantFrom(...letters);
const classes = fc
  .tuple(
    fc.boolean(),
    fc.array(
      fc.oneof(
        character.map(literal),
        fc.tuple(character, character).map(([a, b]) => {
          const [low, high] = [a, b].sort((x, y) => (x.codePointAt(0) ?? 0) - (y.codePointAt(0) ?? 0));
          return `${literal(low ?? a)}-${literal(high ?? b)}`;
        }),
        fc.constantFrom('\\w', '\\s', '\\D', '\\pL', '\\p{Cyrillic}', '\\p{Greek}', '\\pN', '\\PM', '[:alpha:]'),
      ),
      { minLength: 1, maxLength: 3 },
    ),
  )
  .map(([negated, members]) => `[${negated ? '^' : ''}${members.join('')}]`);
const patterns = fc
  .letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 3 },
      character.map(literal),
      fc.array(character, { minLength: 2, maxLength: 3 }).map((some) => some.map(literal).join('')),
      classes,
      fc.constantFrom('.', '\\b', '\\B', '^', '$', '(?s:.)', '\\W', '\\S', '\\pL', '\\PL', '\\p{Han}'),
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
      fc.tuple(fc.constantFrom('i', 's', 'm'), tie('node')).map(([flag, a]) => `(?${flag}:${a})`),
      fc
        .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '*?', '{0,2}'))
        .map(([a, times]) => `(?:${a})${times}`),
    ),
  }))
  .node.filter((pattern) => checkPattern(pattern, 256) === undefined);
const texts = fc.array(character, { maxLength: 16 }).map((some) => some.join(''));

describe('patterns', () => {
  it('find whatever RE2 finds in the text as it is written', () => {
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        const edits = editsOf(pattern, text);
        for (const { start, end } of matchesOf(pattern, text)) {
          const covered = edits.some((edit) => edit.start <= start && end <= edit.end);
          if (!covered) expect({ edits, text }).toEqual(`${text.slice(start, end)} at ${start}`);
        }
      }),
      { numRuns: runs },
    );
  });

  it.each([
    ['German', '(?i)geschäftsgeheimnis', 'Das Geschäftsgeheimnis'],
    ['Spanish', 'señor', 'el señor'],
    ['French', 'numéro de sécurité', 'un numéro de sécurité sociale'],
    ['Polish', 'Łódź', 'w Łódź jest'],
    ['Vietnamese', 'Đà Nẵng', 'ở Đà Nẵng'],
    ['Turkish', '(?i)gizli İŞ', 'çok gizli İş'],
    ['Russian', '(?i)пароль', 'мой Пароль: 1'],
    ['Russian, by its script', '\\p{Cyrillic}{4,}', 'my пароль is'],
    ['Ukrainian', 'таємно', 'цілком таємно'],
    ['Greek', 'Αθήνα', 'στην Αθήνα'],
    ['Armenian', 'գաղտնի', 'շատ գաղտնի է'],
    ['Hebrew', 'סודי', 'סודי ביותר'],
    ['Arabic', 'سِرّي', 'ملف سِرّي'],
    ['Persian', 'می‌خواهم', 'من می‌خواهم'],
    ['Hindi', 'हिन्दी', 'यह हिन्दी है'],
    ['Bengali', 'গোপনীয়', 'এটি গোপনীয়'],
    ['Tamil', 'ரகசியம்', 'இது ரகசியம்'],
    ['Thai', 'ความลับ', 'นี่คือความลับมาก'],
    ['Korean', '비밀', '이것은비밀입니다'],
    ['Japanese', '社外秘|ガイド', '資料は社外秘です'],
    ['Chinese', '机密', '这是机密文件'],
    ['Georgian', 'საიდუმლო', 'ეს საიდუმლოა'],
    ['Cherokee', 'ᎠᏂᏴᏫᏯ', 'ᎠᏂᏴᏫᏯ'],
    ['quotes', 'don’t tell', 'I don’t tell'],
    ['a dash', '2024–25', 'in 2024–25'],
    ['a sign', '№ ?[0-9]+', 'dossier № 17'],
    ['half', '½ price', 'at ½ price'],
    ['a space', 'a\u00a0b', 'a\u00a0b'],
    ['what shows nothing', 'a\u200b{2}b', 'a\u200b\u200bb'],
    ['a mark alone', '\\x{301}', 'e\u0301'],
    ['an emoji and its selector', '❤️', 'I ❤️ it'],
    ['a flag', '🇩🇪', 'in 🇩🇪 today'],
  ])('find words of every script: %s', (_, pattern, text) => {
    expect(matchesOf(pattern, text)).not.toEqual([]);
    expect(finds(pattern, text)).toBe(true);
  });

  it.each([
    ['marks apart', 'Geschäft', 'Gescha\u0308ft'],
    ['marks apart in the pattern', 'Gescha\u0308ft', 'Geschäft'],
    ['no marks', '(?i)GESCHÄFT', 'geschaft'],
    ['look-alikes', 'пароль', 'пapoль'],
    ['ligatures and what they stand for', 'Straße', 'Strasse'],
    ['quotes of another kind', 'don’t', "don't"],
    ['what shows nothing between letters', 'пароль', 'пар\u200bоль'],
    ['full width', 'Łódź 1', 'Łódź\u3000１'],
    ['marks that show, beneath others', 'हिन्दी', 'हि\u200bन्दी'],
  ])('find what a reader takes for their words: %s', (_, pattern, text) => {
    expect(matchesOf(pattern, text)).toEqual([]);
    expect(finds(pattern, text)).toBe(true);
  });

  it.each([
    ['what is not named', 'BEGIN[^!]+END', 'BEGIN! END'],
    ['a class with spaces of other kinds in it', '[^ ]{5}', 'abc def'],
    ['a script that looks like another', '\\p{Cyrillic}{4,}', 'make some space'],
    ['a range of letters that look like others', '[а-я]{4,}', 'make some space'],
    ['no digits', '\\D{6}', 'abc123'],
    ['what shows nothing, where it is named', 'a\u200bb', 'ab'],
  ])('find no more in plain text than RE2 does: %s', (_, pattern, text) => {
    expect(matchesOf(pattern, text)).toEqual([]);
    expect(finds(pattern, text)).toBe(false);
  });

  it('print the same value, however it was found', () => {
    const view = viewOf({ patterns: ['пароль'], replacement: { style: 'Hash' } });
    const [written, disguised] = ['пароль', 'пapoль'].map((text) => view.mask(text, 'prose', 'complete').text);
    expect(disguised).toBe(written);
  });
});

it.each([
  ['паспорт', '{"паспорт": "1234"}'],
  ['numéro', 'see {"numéro": 17} there'],
  ['numéro', 'see {"nume\u0301ro": 17} there'],
])('fields of every script are found in prose: %s in %s', (name, text) => {
  const [edit] = viewOf({ fields: [`**.${name}`] }).mask(`see ${text}`, 'prose', 'complete').edits;
  expect(edit?.text).toBe('"[label-0]"');
});
