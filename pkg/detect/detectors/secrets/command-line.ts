import type { Detector } from '../../detector.ts';
import { isDigit } from '../characters.ts';
import { isFiller } from './fillers.ts';
import { count } from './randomness.ts';

// Passwords where a name and a value stand side by side without a sign of assignment.

const longest = 100;
const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;

/** Behind the last white space. */
function lastWord(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && !isSpace(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

/** `machine host login name password value` of a .netrc, on one line or on several. */
export const netrc: Detector = {
  name: 'Credential',
  pattern:
    '(?i:login)[ \\t\\r\\n]{1,8}[^\\x00-\\x20]{1,64}[ \\t\\r\\n]{1,8}(?i:password)[ \\t\\r\\n]{1,8}' +
    `[^\\x00-\\x20"'\`]{1,${longest}}`,
  maxLength: 5 + 8 + 64 + 8 + 8 + 8 + longest,
  left: 1,
  right: 1,
  accept(text, start, end) {
    const after = text.charCodeAt(end);
    if (after > 0x20 || text.charCodeAt(start - 1) > 0x20) return false;
    const from = lastWord(text, start, end);
    const { length, digits, others, uppers } = count(text, from, end);
    // `login or password is`: a word of prose is none.
    return length >= 4 && (digits > 0 || others > 0 || uppers > 1 || length > 12) && !isFiller(text, from, end);
  },
  from: lastWord,
  significant: isDigit,
  leastSignificant: 2,
};

/** `curl -u name:value`, `--user name:value`. */
export const commandLine: Detector = {
  name: 'Credential',
  pattern: `(?:-u|--user|--proxy-user)[ =]{1,2}["']?[^\\x00-\\x20"'\`:/]{1,64}:[^\\x00-\\x20"'\`]{1,${longest}}`,
  maxLength: 12 + 2 + 1 + 64 + 1 + longest,
  left: 1,
  right: 1,
  accept(text, start, end) {
    const after = text.charCodeAt(end);
    if (!(
      isSpace(text.charCodeAt(start - 1)) &&
      (Number.isNaN(after) || isSpace(after) || after === 0x22 || after === 0x27 || after === 0x60)
    ))
      return false;
    const from = afterColon(text, start, end);
    // `docker run -u 1000:1000` names no password.
    const { length, digits } = count(text, from, end);
    return length >= 3 && digits < length && !isFiller(text, from, end);
  },
  from: afterColon,
  significant: (code) => code === 0x3a || isDigit(code),
  leastSignificant: 2,
};

function afterColon(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && text.charCodeAt(at) !== 0x3a) at += 1;
  return at + 1;
}
