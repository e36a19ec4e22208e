import { describe, expect, it } from '@jest/globals';
import { compileScanner } from '../compile-scanner.ts';
import { sketchRules, sketchView } from '../testing/rules.ts';

/** What is masked of a text by a list of one word: without the marks behind its last letter. */
function found(word: string, text: string): string[] {
  const scanner = compileScanner(sketchRules({ words: [word] }), { hashKey: new Uint8Array(32) });
  const { edits } = scanner.view(sketchView('r')).mask(text, 'prose', 'complete');
  return edits.map((edit) => text.slice(edit.start, edit.end));
}

describe('a word is found as a whole word', () => {
  it.each([
    ['beside spaces and signs', 'falcon', 'the falcon. "falcon"', ['falcon', 'falcon']],
    ['at both ends of the text', 'falcon', 'falcon', ['falcon']],
    ['in Chinese', '机密', '这是机密文件', ['机密']],
    ['in Japanese', '社外秘', 'この資料は社外秘です', ['社外秘']],
    ['in katakana', 'パスワード', '私のパスワードは', ['パスワード']],
    ['in Thai', 'ความลับ', 'นี่คือความลับมาก', ['ความลับ']],
    ['in Lao', 'ຄວາມລັບ', 'ນີ້ແມ່ນຄວາມລັບຫຼາຍ', ['ຄວາມລັບ']],
    ['in Khmer', 'សម្ងាត់', 'នេះជាសម្ងាត់ណាស់', ['សម្ងាត']],
    ['in Burmese', 'လျှို့ဝှက်', 'ဒါဟာလျှို့ဝှက်ပါ', ['လျှို့ဝှက']],
    ['in Korean, with a particle', '비밀', '이 비밀을 지켜', ['비밀']],
    ['of Latin letters, between Chinese ones', 'project falcon', '告诉我project falcon的情况', ['project falcon']],
    ['of Latin letters, before a particle', 'falcon', 'falcon은 새다', ['falcon']],
    ['of Chinese letters, beside a Latin one', '机密', 'x机密x', ['机密']],
    ['after a Hebrew prefix', 'falcon', 'בfalcon', ['falcon']],
    ['after an Arabic prefix', 'falcon', 'والfalcon', ['falcon']],
    ['before Cyrillic letters', 'falcon', 'falconд', ['falcon']],
    ['beside ideographs beyond the first plane', 'falcon', '𠀀falcon𠀀', ['falcon']],
    ['before marks that show nothing of their own', 'falcon', 'falcon\u0301 ', ['falcon']],
    ['before a mark that takes room', 'falcon', 'falcon\u093e', ['falcon']],
    ['in Hindi', 'गोपनीय', 'यह गोपनीय है', ['गोपनीय']],
    ['in Chinese, with a space', '机密', '这是机 密文件', ['机 密']],
    ['in Chinese, with a sign', '机密', '这是机、密文件', ['机、密']],
    ['in Chinese, over a line', '机密', '这是机\n密文件', ['机\n密']],
    ['in Japanese, with signs', '社外秘', '社-外.秘です', ['社-外.秘']],
    ['in Korean, with a space', '비밀', '이 비 밀을 지켜', ['비 밀']],
    ['in Russian, with signs', 'яд', 'какой я.д, скажи', ['я.д']],
  ])('%s', (_, word, text, expected) => {
    expect(found(word, text)).toEqual(expected);
  });

  it.each([
    ['a longer word', 'classified', 'declassified'],
    ['a letter behind it', 'falcon', 'falcons'],
    ['a digit behind it', 'falcon', 'falcon9'],
    ['a letter with a mark behind it', 'falcon', 'falconé'],
    ['a look-alike behind it', 'falcon', 'falconа'],
    ['a full-width letter before it', 'falcon', 'ｘfalcon'],
    ['a letter of its own script behind it', 'пароль', 'парольная'],
    ['a letter behind a sign that stands for one', 'pass', 'pa$$word'],
    ['a letter of Hindi behind it', 'राम', 'रामनगर'],
    ['a letter before it, in Arabic', 'سر', 'أسر'],
    ['other words, where it is short and of Latin letters', 'IAM', 'I am here, f.b.i'],
    ['more between letters than three', '机密', '这是机 -- 密文件'],
  ])('and not within %s', (_, word, text) => {
    expect(found(word, text)).toEqual([]);
  });
});
