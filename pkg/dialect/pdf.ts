import type { JsonNode } from '../base/index.ts';
import type { FilePart, RequestView } from './dialect.ts';
import type { ShapeReader } from './shape.ts';

/**
 * PDFs within the JSON of a request: a model reads the text of one, and no guard does. Promise: one is told by what the request calls it, whatever its
 * bytes are, and by its bytes, whatever it is called; readers of PDFs look for the beginning in the first 1,024 bytes. Limit: base64 that stands within a
 * text, or within base64, is not looked into.
 */

const pdf = 'application/pdf';
/** Characters of base64 that spell 1,024 bytes and the five of the sign behind them. */
const headUnits = 1_376;
/** `%PDF-` in base64, behind none, one and two bytes of a group of three. */
const sign = /JVBERi[0-3]|[CSiy]VQREYt|[048AEIMQUYcgkosw]lUERGL[Q-Za-f]/;
/** In less is no text that anybody would have to look for. */
const leastUnits = 64;
/** Longest that stands before the bytes of a `data:` URL. */
const longestHead = 4_096;

/** How a string is read: `strict` has nothing but white space between its base64, `url` undoes percent signs; decoders leave out all else. */
type Reading = 'strict' | 'lenient' | 'url';

/** The first characters of base64; '' where `strict` does not hold. */
function firstUnits(text: string, reading: Reading): string {
  let units = '';
  for (let at = 0; at < text.length && units.length < headUnits; at++) {
    let code = text.charCodeAt(at);
    if (code === 0x25 && reading === 'url' && escape.test(text.slice(at, at + 3))) {
      code = Number.parseInt(text.slice(at + 1, at + 3), 16);
      at += 2;
    }
    if (kinds[code] === isUnit) units += String.fromCharCode(code);
    else if (reading === 'strict' && kinds[code] !== isSpace) return '';
  }
  return units;
}
const escape = /^%[0-7][0-9a-f]$/i;
const [isUnit, isSpace] = [1, 2];
/** Of ASCII: characters of base64, and what may stand between them. */
const kinds = Uint8Array.from({ length: 128 }, (_, code) => {
  const letter = String.fromCharCode(code);
  return /[A-Za-z0-9+/_-]/.test(letter) ? isUnit : /[\s=]/.test(letter) ? isSpace : 0;
});

/** Percent signs of a URL undone, where they spell ASCII. */
export const unescaped = (text: string): string =>
  text.replace(/%([0-7][0-9a-f])/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));

/** Whether these are the bytes of one: base64, or, in a URL, the letters themselves. */
function begins(data: string): boolean {
  const start = data.slice(0, longestHead);
  if ([start, unescaped(start)].some((one) => one.slice(0, 1_029).includes('%PDF-'))) return true;
  return sign.test(firstUnits(data, 'lenient')) || sign.test(firstUnits(data, 'url'));
}

/** A `data:` URL, as parsers of URLs take it (WHATWG URL section 4.4: white space is left out). */
function dataUrlIsPdf(url: string): boolean {
  const comma = url.indexOf(',');
  // Where its bytes begin nobody knows.
  if (comma < 0 || comma > longestHead) return true;
  return /pdf/i.test(unescaped(url.slice(0, comma))) || begins(url.slice(comma + 1));
}

/** Of a string of which nobody says that it is a file. */
function spellsPdf(text: string): boolean {
  if (text.length < leastUnits) return false;
  if (/^\s*data:[^,]{0,256};\s*base64\s*,/i.test(text.slice(0, 512))) return dataUrlIsPdf(text);
  return sign.test(firstUnits(text, 'strict'));
}

const partOf = (text: string): FilePart => ({ type: pdf, bytes: Math.floor((text.length * 3) / 4) });

/** A file of a request that is called a PDF. */
export function claimedPdf(reader: ShapeReader, node: JsonNode | undefined): void {
  if (node?.kind === 'string' && node.text !== '') reader.document(partOf(node.text));
}

/** Base64, an address or a `data:` URL: what it is called and what it begins with may be a PDF's. */
export function isPdf(text: string): boolean {
  const isData = /^data:/i.test(text.slice(0, longestHead).replace(/[^!-~]+/g, ''));
  return isData ? dataUrlIsPdf(text) : begins(text);
}

/** A file of a request that may be a PDF. @returns whether it is */
export function perhapsPdf(reader: ShapeReader, node: JsonNode): boolean {
  const is = isPdf(node.text);
  if (is) claimedPdf(reader, node);
  return is;
}

/** The PDFs of a request: those that it calls so, and what else its strings spell. */
export function pdfsOf({ documents = [], lanes, loneValues, opaque }: RequestView): readonly FilePart[] {
  const nodes = [...lanes, ...loneValues].map(({ node }) => node);
  const spelled = [...nodes, ...opaque].filter(({ text }) => spellsPdf(text));
  return [...documents, ...spelled.map(({ text }) => partOf(text))];
}
