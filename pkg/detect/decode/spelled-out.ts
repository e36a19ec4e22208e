/**
 * Characters spelled out in ASCII: `%40` (RFC 3986, UTF-8), and as one kind `\u0040`, `\u{40}`, `\x40`, `&#64;`, `&#x40;` and the named
 * entities of HTML for ASCII. They hide one character of many, so what is decoded is their surroundings as well, {@link surroundings}
 * characters on either side or as many as a finding may have, in which spelled-out characters are read and all others stand for themselves.
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

/** Escapes read at once (both patterns): no more than a step's work, and more than a window of an answer's text holds. */
const mostInRow = 4_096;
const percent = /(?:%[0-9a-f]{2}){1,4096}/iy;
const escapes =
  /(?:\\u[0-9a-f]{4}){1,4096}|\\u\{([0-9a-f]{1,6})\}|\\x([0-9a-f]{2})|&#([0-9]{1,7});|&#x([0-9a-f]{1,6});|&([a-z]{2,6});/iy;

function character(code: number): string | undefined {
  return code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || code < 0x09 ? undefined : String.fromCodePoint(code);
}

/** Bytes that are no UTF-8 read as U+FFFD: they break a text, and hide nothing. */
function utf8(spelled: string): string {
  let text = '';
  for (let at = 1; at < spelled.length; at += 3) {
    const byte = parseInt(spelled.slice(at, at + 2), 16);
    if (byte > 0x7f) return Buffer.from(spelled.replaceAll('%', ''), 'hex').toString('utf8');
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Escapes at the end that begin a character whose rest follows: they are read with it. */
function begun(spelled: string, kind: SpelledKind): string {
  if (kind === 'escape') return isHigh(parseInt(spelled.slice(-4), 16)) ? spelled.slice(-6) : '';
  for (const [before, longer] of leads.entries()) {
    const tail = spelled.slice(-3 * (before + 1));
    const byte = parseInt(tail.slice(1, 3), 16);
    if (byte < 0x80) return '';
    if (byte >= 0xc0) return byte >= longer ? tail : '';
  }
  return '';
}

/** The least byte that leads more than one byte, more than two, more than three. */
const leads = [0xc0, 0xe0, 0xf0];

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
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

/** Source between two pauses: each of its characters may begin an escape. */
const stepUnits = 16 * 1024;

/** Every spelled-out character or sequence of them, in order; undefined from time to time, for a pause. */
export function* spelledOut(text: string, kind: SpelledKind): Generator<Spelled | undefined, void, void> {
  const starts = new Leads(text, kind === 'url' ? ['%'] : ['\\', '&']);
  const pattern = kind === 'url' ? percent : escapes;
  let paused = 0;
  for (let at = starts.from(0); at < text.length;) {
    if (at - paused >= stepUnits) {
      paused = at;
      yield;
    }
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) {
      at = starts.from(at + 1);
      continue;
    }
    const one = spelledAt(match, kind);
    if (one.text !== undefined) yield { start: at, end: one.end, text: one.text };
    at = starts.from(one.end);
  }
}

function spelledAt(
  match: RegExpExecArray,
  kind: SpelledKind,
): { readonly text: string | undefined; readonly end: number } {
  const { 0: whole, index } = match;
  const isFull = whole.length === mostInRow * (kind === 'url' ? 3 : 6);
  const row = isFull ? whole.slice(0, whole.length - begun(whole, kind).length) : whole;
  const text = kind === 'url' ? utf8(row) : isFull ? utf16(row) : read(match);
  return { text, end: index + row.length };
}

/** Where escapes may begin. Each character is looked for once. */
class Leads {
  readonly #text: string;
  readonly #all: { readonly lead: string; at: number }[];

  constructor(text: string, leads: readonly string[]) {
    this.#text = text;
    this.#all = leads.map((lead) => ({ lead, at: -1 }));
  }

  /** The first at or after `from`, which never goes back; the text's length where there is none. */
  from(from: number): number {
    let first = this.#text.length;
    for (const one of this.#all) {
      if (one.at < from) {
        const next = this.#text.indexOf(one.lead, from);
        one.at = next < 0 ? this.#text.length : next;
      }
      first = Math.min(first, one.at);
    }
    return first;
  }
}
