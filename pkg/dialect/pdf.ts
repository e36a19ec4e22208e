import type { JsonNode } from '../base/index.ts';
import type { FilePart, RequestView } from './dialect.ts';
import type { Shape, ShapeReader } from './shape.ts';

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

/** The first characters of base64, without what decoders leave out. `strict`: '' where anything but white space stands between them. */
function firstUnits(text: string, strict: boolean): string {
  let units = '';
  for (let at = 0; at < text.length && units.length < headUnits; at += longestHead) {
    const piece = text.slice(at, at + longestHead);
    if (strict && /[^\sA-Za-z0-9+/=_-]/.test(piece.slice(0, headUnits))) return '';
    units += piece.replace(/[^A-Za-z0-9+/_-]+/g, '');
  }
  return units.slice(0, headUnits);
}

/** Percent signs of a URL undone, where they spell ASCII. */
const unescaped = (text: string): string =>
  text.includes('%')
    ? text.replace(/%([0-7][0-9a-f])/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
    : text;

/** Whether these are the bytes of one: base64, or, in a URL, the letters themselves. */
const begins = (data: string): boolean =>
  [data, unescaped(data)].some((one) => one.slice(0, 1_029).includes('%PDF-') || sign.test(firstUnits(one, false)));

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
  return sign.test(firstUnits(text, true));
}

const partOf = (text: string): FilePart => ({ type: pdf, bytes: Math.floor((text.length * 3) / 4) });

/** A file of a request that is called a PDF. */
export function claimedPdf(reader: ShapeReader, node: JsonNode | undefined): void {
  if (node?.kind === 'string' && node.text !== '') reader.document(partOf(node.text));
}

/** A file of a request, by its bytes, its address or as a `data:` URL: what it is called and what it begins with may be a PDF's. */
export function perhapsPdf(reader: ShapeReader, node: JsonNode): void {
  const { text } = node;
  const isData = /^data:/i.test(text.slice(0, longestHead).replace(/[^!-~]+/g, ''));
  if (isData ? dataUrlIsPdf(text) : begins(text)) claimedPdf(reader, node);
}

/** A part with a file: a name that ends as a PDF's does is a claim. */
export const namedFile = (shape: Shape): Shape => ({
  ...shape,
  read(reader, node, place) {
    const name = node.kind === 'object' ? (node.get('filename')?.string ?? '') : '';
    if (/\.pdf\s*$/i.test(name)) claimedPdf(reader, node.get('file_data'));
    return shape.read?.(reader, node, place) === true;
  },
});

/** The PDFs of a request: those that it calls so, and what else its strings spell. */
export function pdfsOf({ documents = [], lanes, loneValues, opaque }: RequestView): readonly FilePart[] {
  const nodes = [...lanes, ...loneValues].map(({ node }) => node);
  const spelled = [...nodes, ...opaque].filter(({ text }) => spellsPdf(text));
  return [...documents, ...spelled.map(({ text }) => partOf(text))];
}
