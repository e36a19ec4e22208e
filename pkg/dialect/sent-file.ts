import { isUtf8 } from 'node:buffer';
import type { JsonNode } from '../base/index.ts';
import { headBytes, isOfType, sniffedType } from './file-type.ts';
import { mediaUrlValue } from './media.ts';
import { claimedPdf, isPdf, unescaped } from './pdf.ts';
import type { Shape, ShapePlace, ShapeReader } from './shape.ts';

/**
 * Files within the JSON of a request that a model may read: of OpenAI's parts. Promise: one is a document that nobody here reads, as a PDF is, unless its
 * bytes are a text from the first to the last, or it is a picture, a sound or a film by its first bytes and by what it is called.
 */

const unknownType = 'application/octet-stream';
/** Of bytes, so many tell of most files that they are no text; of the others all are looked at. */
const firstBytes = 768;
/** Longest that stands before the bytes of a `data:` URL. */
const longestHead = 4_096;
/** How names of documents end that are no PDF: archives and marked-up texts, whatever they begin with. */
const documentName =
  /\.(?:do[ct][xm]?|xl[st][xmb]?|pp[ts][xm]?|pot[xm]?|od[tspg]|rtf|epub|pages|numbers|key|hwpx?|zip)\s*$/i;

interface Sent {
  /** As it is declared, in small letters; '': it is not. */
  readonly declared: string;
  /** Its first bytes, or all. */
  readonly bytes: (all: boolean) => Buffer;
}

/** Undefined: it is an address. */
function sentIn(url: string): Sent | undefined {
  if (!/^\s*data:/i.test(url)) {
    if (!/^[\w+/=\s-]*$/.test(url)) return undefined;
    return { declared: '', bytes: (all) => Buffer.from(all ? url : url.slice(0, firstBytes), 'base64') };
  }
  const comma = url.indexOf(',');
  if (comma < 0 || comma > longestHead) return { declared: '', bytes: () => Buffer.alloc(0) };
  const head = unescaped(url.slice(0, comma)).toLowerCase();
  const encoding = /;\s*base64\s*$/.test(head) ? 'base64' : 'utf8';
  return {
    declared: (/^\s*data:([^;]*)/.exec(head)?.[1] ?? '').trim(),
    bytes: (all) => Buffer.from(unescaped(url.slice(comma + 1, all ? undefined : comma + 1 + firstBytes)), encoding),
  };
}

/** Of text there are tabs, line ends and page ends. */
const isControl = (code: number): boolean => (code < 0x20 && (code < 0x09 || code > 0x0d)) || code === 0x7f;

const isUtf16 = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

function isUtf16Text(bytes: Buffer): boolean {
  if (bytes.length % 2 !== 0) return false;
  const text = Buffer.from(bytes[0] === 0xfe ? Buffer.from(bytes).swap16() : bytes).toString('utf16le');
  if (!text.isWellFormed()) return false;
  for (let at = 0; at < text.length; at++) if (isControl(text.charCodeAt(at))) return false;
  return true;
}

/** From the first to the last byte; RTF spells letters with signs of its own. */
function isText(bytes: Buffer): boolean {
  if (isUtf16(bytes)) return isUtf16Text(bytes);
  return (
    isUtf8(bytes) && !bytes.some(isControl) && !/^(?:\xef\xbb\xbf)?\s*\{\\rt/i.test(bytes.toString('latin1', 0, 64))
  );
}

function isUnread({ declared, bytes }: Sent): boolean {
  const head = bytes(false);
  if (sniffedType(head.subarray(0, headBytes)) !== undefined && !isUtf16(head))
    return declared !== '' && declared !== unknownType && !isOfType(head, declared);
  // A letter may end behind them: all but its controls is judged of the whole.
  return (!isUtf16(head) && head.some(isControl)) || !isText(bytes(true));
}

function document(reader: ShapeReader, url: string, declared: string): void {
  reader.document({ type: declared === '' ? unknownType : declared, bytes: Math.floor((url.length * 3) / 4) });
}

/** As {@link mediaUrlValue}: `data:` URL, base64 or address of a file that a model may read. */
export function fileUrlValue(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind === 'string' && !isPdf(node.text)) {
    const sent = sentIn(node.text);
    if (sent !== undefined && isUnread(sent)) document(reader, node.text, sent.declared);
  }
  return mediaUrlValue(reader, node, place);
}

/** A part with a file: a name that ends as one of a PDF or another document does is a claim. */
export const namedFile = (shape: Shape): Shape => ({
  ...shape,
  read(reader, node, place) {
    const name = node.kind === 'object' ? (node.get('filename')?.string ?? '') : '';
    const data = name === '' ? undefined : node.get('file_data');
    if (/\.pdf\s*$/i.test(name)) claimedPdf(reader, data);
    else if (data?.kind === 'string' && /^\s*data:/i.test(data.text) && documentName.test(name))
      document(reader, data.text, sentIn(data.text)?.declared ?? '');
    return shape.read?.(reader, node, place) === true;
  },
});
