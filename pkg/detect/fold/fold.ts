import { lookAlikes } from './look-alikes.ts';

// Text as a reader would see it, code point by code point and free of context: the fold of a text is the concatenation of the folds of its
// code points, so a stream folds as it comes and spans map back.
//   ASCII                       itself, case kept
//   what shows nothing          '': Default_Ignorable_Code_Point (zero width, joiners, bidi controls, soft hyphen, variation selectors,
//                               fillers), combining marks (Mn, Me), C1 controls, interlinear annotation marks
//   tag characters              U+E0020-E007E are invisible ASCII that models read: folded to it, so that hidden text is found
//   look-alikes                 Unicode TR39 as far as look-alikes.ts has it
//   compatibility forms         NFKD, marks stripped (full width, mathematical, circled, superscript, ligatures, accents), at most
//                               four characters
//   other scripts' digits       \p{Nd} to ASCII digits; spaces (\p{Zs}) to ' ', line and paragraph separators to '\n', dashes (\p{Pd}) to '-'
//   everything else             itself; lone surrogates, too
// Limits: see look-alikes.ts; kana keep their voicing marks; nothing is read from context (leet, rot13, spelled-out digits), nor bytes
// hidden in variation selectors.

const ascii: readonly string[] = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));

/** A page of 256 code points: the fold, or undefined where it is the code point itself. */
type Page = readonly (string | undefined)[];

const unchanged: Page = [];
const pages = new Array<Page | undefined>(0x1100);
let known: ReadonlyMap<number, string> | undefined;

const ignorable = /^[\p{Default_Ignorable_Code_Point}\p{Mn}\p{Me}\u0080-\u0084\u0086-\u009f\ufff9-\ufffb]$/u;
const digit = /^\p{Nd}$/u;
const space = /^\p{Zs}$/u;
const dash = /^\p{Pd}$/u;
const mark = /\p{M}/gu;
/** What changes although it does not decompose. */
const special =
  /[\p{Default_Ignorable_Code_Point}\p{Mn}\p{Me}\p{Nd}\p{Zs}\p{Pd}\u0080-\u009f\u2028\u2029\u2800\ufff9-\ufffb]/u;
/** Decomposition is not how these are read: syllables and voiced kana. */
const composed = /^[\u3040-\u30ff\uac00-\ud7a3]$/u;
const notAscii = /[^\0-\x7f]/;

/** Digits of a script stand in tens, without a gap before the zero of the first. */
function digitValue(code: number): string {
  let first = code;
  while (digit.test(String.fromCodePoint(first - 1))) first -= 1;
  return String((code - first) % 10);
}

function simple(code: number, character: string): string | undefined {
  if (code >= 0xe0020 && code <= 0xe007e) return ascii[code - 0xe0000];
  const likeness = known?.get(code);
  if (likeness !== undefined) return likeness;
  if (ignorable.test(character)) return '';
  if (code === 0x85 || code === 0x2028 || code === 0x2029) return '\n';
  if (space.test(character) || code === 0x2800) return ' ';
  if (dash.test(character)) return '-';
  return undefined;
}

/** The fold of one code point, worked out; only ever asked once for each. */
function workOut(code: number): string {
  const character = String.fromCodePoint(code);
  if (code < 0x80 || (code >= 0xd800 && code <= 0xdfff)) return character;
  const plain = simple(code, character);
  if (plain !== undefined) return plain;
  if (composed.test(character)) return character;
  const parts = character.normalize('NFKD').replace(mark, '');
  if (parts === character || parts === '') return digit.test(character) ? digitValue(code) : character;
  let folded = '';
  for (const part of parts) {
    const point = part.codePointAt(0) ?? 0;
    folded += simple(point, part) ?? (digit.test(part) && point > 0x7f ? digitValue(point) : part);
  }
  return Array.from(folded).length > 4 ? character : folded;
}

/**
 * Does nothing of a page fold? Asked of all its characters at once: a text of one character from every page would otherwise work out all
 * of Unicode one by one (half a second). Hangul syllables are passed over by their range, since they decompose.
 */
function isPlain(index: number): boolean {
  if (index >= 0xac && index < 0xd7) return true;
  let all = '';
  for (let code = index * 256; code < index * 256 + 256; code += 1) {
    if (known?.has(code) === true) return false;
    all += String.fromCodePoint(code);
  }
  return !special.test(all) && all.normalize('NFKD') === all;
}

function buildPage(index: number): Page {
  known ??= lookAlikes();
  if (isPlain(index)) return unchanged;
  const page = new Array<string | undefined>(256);
  let changes = false;
  for (let low = 0; low < 256; low += 1) {
    const code = index * 256 + low;
    const folded = workOut(code);
    if (folded === String.fromCodePoint(code)) continue;
    page[low] = folded;
    changes = true;
  }
  return changes ? page : unchanged;
}

function changed(code: number): string | undefined {
  const index = code >> 8;
  let page = pages[index];
  if (page === undefined) {
    page = buildPage(index);
    pages[index] = page;
  }
  return page === unchanged ? undefined : page[code & 0xff];
}

/**
 * What a code point reads as: '' for one that shows nothing, else one to four characters.
 * Never throws for 0 to 0x10FFFF; lone surrogates are themselves.
 */
export function foldCodePoint(code: number): string {
  if (code < 0x80) return ascii[code] ?? '';
  return changed(code) ?? String.fromCodePoint(code);
}

/** `map[i]`: UTF-16 offset in the source of the code point that gave folded unit i; one entry more for the end. Undefined: text is ASCII, unchanged. */
export interface Folded {
  readonly text: string;
  readonly map: Uint32Array | undefined;
}

/** The fold of a whole text. Linear. */
export function fold(text: string): Folded {
  if (!notAscii.test(text)) return { text, map: undefined };
  let map = new Uint32Array(text.length + 64);
  let units = new Uint16Array(map.length);
  let length = 0;
  for (let at = 0; at < text.length;) {
    if (length + 8 > map.length) {
      map = grown(map, new Uint32Array(map.length * 2));
      units = grown(units, new Uint16Array(map.length));
    }
    const code = text.codePointAt(at) ?? 0;
    const next = code > 0xffff ? at + 2 : at + 1;
    const replacement = code < 0x80 ? undefined : changed(code);
    const from = replacement ?? text;
    const first = replacement === undefined ? at : 0;
    const past = replacement === undefined ? next : replacement.length;
    for (let unit = first; unit < past; unit += 1) {
      units[length] = from.charCodeAt(unit);
      map[length] = at;
      length += 1;
    }
    at = next;
  }
  map[length] = text.length;
  const folded = Buffer.from(units.buffer, 0, length * 2).toString('utf16le');
  return { text: folded, map: map.subarray(0, length + 1) };
}

function grown<A extends Uint32Array | Uint16Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
