/**
 * Characters spelled out in ASCII: `%40` (RFC 3986, UTF-8), and as one kind `\u0040`, `\u{40}`, `\x40`, `&#64;`, `&#x40;` and the named
 * entities of HTML for ASCII. They hide one character of many, so what is decoded is their surroundings as well: up to
 * {@link surroundings} characters on either side on the same line, in which spelled-out characters are read and all others stand for
 * themselves.
 */
export type SpelledKind = 'url' | 'escape';

/** Longer than half of any built-in detector's span but that of an e-mail address. */
export const surroundings = 128;

export interface Spelled {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const named: Readonly<Record<string, string>> = {
  amp: '&',
  apos: "'",
  ast: '*',
  bsol: '\\',
  colon: ':',
  comma: ',',
  commat: '@',
  dash: '-',
  dollar: '$',
  equals: '=',
  excl: '!',
  gt: '>',
  hyphen: '-',
  lowbar: '_',
  lpar: '(',
  lt: '<',
  nbsp: ' ',
  num: '#',
  percnt: '%',
  period: '.',
  plus: '+',
  quest: '?',
  quot: '"',
  rpar: ')',
  semi: ';',
  shy: '',
  sol: '/',
  zwj: '',
  zwnj: '',
};

const percent = /(?:%[0-9a-f]{2})+/gi;
const escapes =
  /(?:\\u[0-9a-f]{4})+|\\u\{([0-9a-f]{1,6})\}|\\x([0-9a-f]{2})|&#([0-9]{1,7});|&#x([0-9a-f]{1,6});|&([a-z]{2,6});/gi;

function character(code: number): string | undefined {
  return code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || code < 0x09 ? undefined : String.fromCodePoint(code);
}

/** Bytes that are no UTF-8 read as U+FFFD: they break a text, and hide nothing. */
function utf8(spelled: string): string {
  return Buffer.from(spelled.replaceAll('%', ''), 'hex').toString('utf8');
}

function utf16(spelled: string): string {
  let text = '';
  for (let at = 2; at < spelled.length; at += 6) text += String.fromCharCode(parseInt(spelled.slice(at, at + 4), 16));
  return text;
}

function read(match: RegExpExecArray): string | undefined {
  const [whole, braced, byte, decimal, hex, name] = match;
  const digits = braced ?? byte ?? hex;
  if (digits !== undefined) return character(parseInt(digits, 16));
  if (decimal !== undefined) return character(parseInt(decimal, 10));
  return name === undefined ? utf16(whole) : named[name.toLowerCase()];
}

/** Every spelled-out character or sequence of them, in order. */
export function spelledOut(text: string, kind: SpelledKind): Spelled[] {
  const found: Spelled[] = [];
  if (!text.includes(kind === 'url' ? '%' : '\\') && (kind === 'url' || !text.includes('&'))) return found;
  for (const match of text.matchAll(kind === 'url' ? percent : escapes)) {
    const spelled = kind === 'url' ? utf8(match[0]) : read(match);
    if (spelled !== undefined) found.push({ start: match.index, end: match.index + match[0].length, text: spelled });
  }
  return found;
}
