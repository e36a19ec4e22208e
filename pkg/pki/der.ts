import { PkiError } from './pki-error.ts';

/** The little of DER (X.690) that a certificate request is made of. */

export const tags = { integer: 0x02, bitString: 0x03, oid: 0x06, sequence: 0x30, attributes: 0xa0 } as const;

/** One element. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length.toString(16);
  const long = Buffer.from(size.padStart(size.length + (size.length % 2), '0'), 'hex');
  const head = body.length < 128 ? [tag, body.length] : [tag, 0x80 | long.length, ...long];
  return Buffer.concat([Buffer.from(head), body]);
}

export interface Element {
  readonly tag: number;
  /** With its head. */
  readonly whole: Buffer;
  readonly body: Buffer;
}

/** The elements that stand side by side in `bytes`, nothing after them. @throws PkiError request_invalid */
export function readElements(bytes: Buffer, atMost: number): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    if (found.length === atMost) throw malformed();
    const one = readElement(bytes, at);
    found.push(one);
    at += one.whole.length;
  }
  return found;
}

function readElement(bytes: Buffer, at: number): Element {
  const tag = bytes[at] ?? 0;
  const first = bytes[at + 1];
  // Tags of several bytes and lengths without end are no part of what is read here.
  if (first === undefined || (tag & 0x1f) === 0x1f) throw malformed();
  const digits = first < 0x80 ? 0 : first & 0x7f;
  if (first >= 0x80 && (digits === 0 || digits > 3 || at + 2 + digits > bytes.length)) throw malformed();
  const size = digits === 0 ? first : bytes.readUIntBE(at + 2, digits);
  const start = at + 2 + digits;
  // Shortest form only, so that one request has one spelling.
  if (digits > 0 && (size < 0x80 || bytes[at + 2] === 0)) throw malformed();
  if (start + size > bytes.length) throw malformed();
  return { tag, whole: bytes.subarray(at, start + size), body: bytes.subarray(start, start + size) };
}

function malformed(): PkiError {
  return new PkiError('request_invalid', 'the certificate request is not DER that can be read');
}
