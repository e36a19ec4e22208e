import type { JsonNode } from '../base/index.ts';
import { headBytes, isMarkup, isOfFormat, isOfType, markupBytes, sniffedType, typeOfFormat } from './file-type.ts';
import { claimedPdf, isPdf, perhapsPdf } from './pdf.ts';
import type { MediaPart } from './dialect.ts';
import type { ShapePlace, ShapeReader } from './shape.ts';

/**
 * Strings that hold bytes. Promise: a string is opaque only when it is base64 by its alphabet and what it decodes to does
 * not look like text, and, where a type is declared, begins as a file of that type does; everything else is scanned as it stands. Limits: text inside
 * of an image, a sound or a PDF is not read.
 */

/** Media shorter than this is scanned like any other value: a picture is larger, and a sentence would fit. */
const smallUnits = 4_096;
const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const mediaUrl =
  /^data:((?:image|audio|video)\/[a-z0-9.-]{1,64}|application\/pdf)(?:;[a-z0-9=._-]{1,64}){0,4};base64,/i;

/** Bytes that print, tab and line ends. */
function printable(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes)
    if ((byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d) count++;
  return count;
}

/** Bytes of well-formed UTF-8 that is no control character, of any script. */
function written(bytes: Buffer): number {
  let count = printable(bytes);
  for (const letter of bytes.toString('utf8')) {
    const code = letter.codePointAt(0) ?? 0;
    if (code >= 0x80 && code !== 0xfffd) count += code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return count;
}

/** What is written in any script of UTF-16: its spaces, digits and marks. */
const isCommon = (unit: number): boolean =>
  (unit >= 0x20 && unit < 0x7f) ||
  [0x09, 0x0a, 0x0d].includes(unit) ||
  (unit >= 0x2000 && unit < 0x2070) ||
  (unit >= 0x3000 && unit < 0x3040);

/** First units of scripts that are not written in one text: of Latin to Armenian, of those up to the letters of Greek with marks, of Chinese and Japanese, of Korean. */
const scripts = [
  [0xa0, 0x590],
  [0x590, 0x2000],
  [0x2e80, 0xa000],
  [0xac00, 0xd7a4],
] as const;

/**
 * Seven of eight units are of one script: of bytes that are no text, fewer than a half, and of quiet samples half, since half of them are negative.
 * Nor is it a text where three of four are the same letter: silence is, in A-law a Korean one (ITU-T G.711: 0xD5).
 */
function looksLikeUtf16(bytes: Buffer, unitAt: (at: number) => number): boolean {
  const counts = [0, 0, 0, 0];
  const letters = new Map<number, number>();
  const units = bytes.length >> 1;
  for (let at = 0; at < units; at++) {
    const unit = unitAt(at * 2);
    const isAny = isCommon(unit);
    if (!isAny) letters.set(unit, (letters.get(unit) ?? 0) + 1);
    scripts.forEach(([from, to], script) => {
      if (isAny || (unit >= from && unit < to)) counts[script] = (counts[script] ?? 0) + 1;
    });
  }
  if (units === 0 || Math.max(...counts) * 8 < units * 7) return false;
  return Math.max(0, ...letters.values()) * 4 < units * 3;
}

/** Three quarters are letters of some script: of binary data, fewer than a half. */
function looksLikeText(bytes: Buffer): boolean {
  return (
    (bytes.length > 0 && written(bytes) * 4 >= bytes.length * 3) ||
    looksLikeUtf16(bytes, (at) => bytes.readUInt16LE(at)) ||
    looksLikeUtf16(bytes, (at) => bytes.readUInt16BE(at))
  );
}

/** Whether a file begins so. A byte order mark could be MPEG audio by its bits, and is a text in UTF-16. */
function begins(data: string, as: (head: Uint8Array) => boolean): boolean {
  const head = Buffer.from(data.slice(0, 16), 'base64').subarray(0, headBytes);
  return as(head) && !(head[0] === 0xff && head[1] === 0xfe);
}

export function isMedia(data: string, sample: boolean): boolean {
  if (!base64.test(data)) return false;
  // Taken from all over, so that a picture's head does not cover for a letter.
  for (let part = 0; sample && part < 4; part++) {
    const from = Math.floor((data.length * part) / 4 / 4) * 4;
    if (looksLikeText(Buffer.from(data.slice(from, from + 512), 'base64'))) return false;
  }
  return true;
}

/** What a request calls a file: a media type, '' where it calls it nothing. */
interface Claim {
  readonly declared: string;
  readonly pdf: boolean;
}

const unknownType = 'application/octet-stream';
const pdfType = 'application/pdf';
const svgType = 'image/svg+xml';
const pictureOrSound = /^(?:image|audio|video)\//;
/** Samples of sound by themselves begin with nothing that tells. */
const samples = /^audio\/(?:pcm|l16)$/;

/** What a file is, by what it is called and by its first bytes, as policies name types. */
function toldBy(head: Uint8Array, { declared, pdf }: Claim): Omit<MediaPart, 'bytes'> {
  const isCalledMedia = pictureOrSound.test(declared);
  if (pdf) return { types: [pdfType], ...(isCalledMedia && { disguised: true }) };
  // Before sound, whose first bits a mark of UTF-16 may be.
  if (isMarkup(head) && !declared.startsWith('text/'))
    return { types: [svgType], ...(isCalledMedia && declared !== svgType && { disguised: true }) };
  const sniffed = sniffedType(head);
  if (sniffed !== undefined) {
    if (isOfType(head, declared)) return { types: [declared === 'image/jpg' ? sniffed : declared] };
    return { types: declared === '' ? [sniffed] : [sniffed, declared] };
  }
  if (samples.test(declared) || declared.startsWith('text/')) return { types: [declared] };
  return { types: declared === '' ? [unknownType] : [unknownType, declared] };
}

/** @param data base64 */
function tell(reader: ShapeReader, data: string, claim: Claim): void {
  if (data === '') return;
  const head = Buffer.from(data.slice(0, 2 * markupBytes), 'base64').subarray(0, markupBytes);
  reader.medium({ ...toldBy(head, claim), bytes: Math.floor((data.length * 3) / 4) });
}

/** A URL, or base64. */
export function tellUrl(reader: ShapeReader, url: string, pdf = isPdf(url)): void {
  const declared = /^data:([^;,]*)/i.exec(url.slice(0, 512))?.[1]?.trim().toLowerCase();
  if (declared === undefined) {
    // Some servers take base64 by itself; what does not begin as a file may be a path.
    const isFile = pdf || sniffedType(Buffer.from(url.slice(0, 16), 'base64')) !== undefined;
    if (isFile && base64.test(url)) tell(reader, url, { declared: '', pdf });
    else if (url !== '') reader.link(url);
    return;
  }
  const comma = url.indexOf(',');
  const data = url.slice(comma + 1);
  if (/;\s*base64\s*$/i.test(url.slice(Math.max(0, comma - 64), Math.max(0, comma))))
    return tell(reader, data, { declared, pdf });
  const head = Buffer.from(data.slice(0, markupBytes));
  reader.medium({ ...toldBy(head, { declared, pdf }), bytes: data.length });
}

/** A picture, a sound or a file, by its URL, as a `data:` URL or in base64, where it is read as a text: policy says whether it passes. */
export function tellMedia(reader: ShapeReader, node: JsonNode): void {
  tellUrl(reader, node.text, perhapsPdf(reader, node));
}

/**
 * A URL of a picture, sound, film or file; `data:` URLs of media are opaque, other `data:` URLs are text. In a request policy says which of them pass, and
 * from where the server may fetch one.
 */
export function mediaUrlValue(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind !== 'string') return false;
  tellMedia(reader, node);
  const url = node.text;
  if (!/^data:/i.test(url)) reader.lone(node, place);
  else {
    const [head = '', declared = ''] = mediaUrl.exec(url.slice(0, 512)) ?? [];
    const data = url.slice(head.length);
    const type = declared.toLowerCase();
    const pdf = type === 'application/pdf';
    const right = pdf ? data.startsWith(pdfHead) : begins(data, (first) => isOfType(first, type));
    if (head !== '' && url.length > smallUnits && right && isMedia(data, !pdf)) reader.hide(node);
    else reader.lane(node, place, 'text');
  }
  return true;
}

/** Bare base64 of a file that is declared to be something: it must begin so. */
const declaredBytes =
  (declared: string, as: (head: Uint8Array) => boolean) =>
  (reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean => {
    if (node.kind !== 'string') return false;
    tell(reader, node.text, { declared, pdf: perhapsPdf(reader, node) });
    if (node.text.length > smallUnits && begins(node.text, as) && isMedia(node.text, true)) reader.hide(node);
    else reader.lane(node, place, 'text');
    return true;
  };

/** @param type lower case, without parameters */
export const bytesOfType = (type: string): ReturnType<typeof declaredBytes> =>
  declaredBytes(type, (head) => isOfType(head, type));

/** @param format the end of a file's name, or a media type without what stands before its slash */
export const bytesOfFormat = (format: string): ReturnType<typeof declaredBytes> =>
  declaredBytes(typeOfFormat(format) ?? otherFormats.get(format) ?? unknownType, (head) => isOfFormat(head, format));

const otherFormats: ReadonlyMap<string, string> = new Map([
  ['pcm', 'audio/pcm'],
  ['pcm16', 'audio/pcm'],
  ['three_gp', 'video/3gpp'],
]);

/** Bare base64 of media of which nothing is declared. */
export function mediaBytes(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind !== 'string') return false;
  tell(reader, node.text, { declared: '', pdf: perhapsPdf(reader, node) });
  if (node.text.length > smallUnits && isMedia(node.text, true)) reader.hide(node);
  else reader.lane(node, place, 'text');
  return true;
}

/**
 * Sound in pieces, as a conversation sends it: a file of its own to the policy, however short. What decodes to letters is read as text beside.
 *
 * @param type as policies name it.
 */
export const soundBytes =
  (type: string) =>
  (reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean => {
    if (node.kind !== 'string') return false;
    const { text } = node;
    if (text === '') return true;
    reader.file({ type, bytes: Math.floor((text.length * 3) / 4) });
    if (isMedia(text, true)) reader.hide(node);
    else reader.lane(node, place, 'text');
    return true;
  };

/** Bare base64 of a PDF, whose own words look like text. */
export function pdfBytes(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind !== 'string') return false;
  claimedPdf(reader, node);
  tell(reader, node.text, { declared: '', pdf: true });
  if (node.text.length > smallUnits && node.text.startsWith(pdfHead) && isMedia(node.text, false)) reader.hide(node);
  else reader.lane(node, place, 'text');
  return true;
}

/** `%PDF-` in base64, but for the bits of the next byte. */
const pdfHead = 'JVBERi';

/** A prompt as a tensor: nobody can say what it means. */
export function promptTensor(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind === 'array') return false;
  if (node.kind !== 'string') return false;
  if (!base64.test(node.text)) reader.refuse(place);
  reader.tokens();
  reader.hide(node);
  return true;
}

/** Larger components do not occur: embeddings are normalised or nearly so. Letters read as float32 give 1e20 and more. */
const largest = 1e6;

/**
 * An embedding: numbers, or base64 of little-endian float32.
 *
 * A string counts only when it decodes to whole, finite floats of believable size that are not printable text: else anything
 * could pass unread under this name.
 */
export function embeddingValue(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.numbers !== undefined) return true;
  if (node.kind !== 'string') return false;
  if (!isFloats(node.text)) reader.refuse(place);
  reader.hide(node);
  return true;
}

function isFloats(data: string): boolean {
  if (data.length % 4 !== 0 || !base64.test(data)) return false;
  const bytes = Buffer.from(data, 'base64');
  if (bytes.length === 0 || bytes.length % 4 !== 0) return false;
  const letters = printable(bytes);
  if (bytes.length < 64 ? letters === bytes.length : letters * 4 >= bytes.length * 3) return false;
  for (let at = 0; at < bytes.length; at += 4) if (!(Math.abs(bytes.readFloatLE(at)) <= largest)) return false;
  return true;
}
