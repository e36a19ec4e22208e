/**
 * The little of DER (ITU-T X.690) that certificates need: writing values, and walking them within bounds. Own code because
 * node-forge knows no elliptic curves and takes 65 ms and 12 MB to load, where these are a few lines.
 */

const encode = (tag: number, body: Buffer): Buffer => {
  const size = body.length;
  if (size < 0x80) return Buffer.concat([Buffer.from([tag, size]), body]);
  const bytes: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length, ...bytes]), body]);
};

export const sequence = (...items: readonly Buffer[]): Buffer => encode(0x30, Buffer.concat(items));
export const set = (...items: readonly Buffer[]): Buffer => encode(0x31, Buffer.concat(items));
/** From big-endian bytes of a number that is not negative. */
export const integer = (bytes: Uint8Array): Buffer => {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const body = Buffer.from(bytes.subarray(from));
  return encode(0x02, (body[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), body]) : body);
};
export const boolean = (value: boolean): Buffer => encode(0x01, Buffer.of(value ? 0xff : 0));
export const octets = (body: Uint8Array): Buffer => encode(0x04, Buffer.from(body));
export const utf8 = (text: string): Buffer => encode(0x0c, Buffer.from(text));
/** `unused`: bits of the last byte that do not count. */
export const bits = (body: Uint8Array, unused = 0): Buffer => encode(0x03, Buffer.concat([Buffer.of(unused), body]));
/** Context-specific, constructed where its content is DER (`explicit`), else primitive. */
export const context = (number: number, body: Buffer, constructed: boolean): Buffer =>
  encode(0x80 | number | (constructed ? 0x20 : 0), body);

export const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const group = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) group.unshift((left & 0x7f) | 0x80);
    bytes.push(...group);
  }
  return encode(0x06, Buffer.from(bytes));
};

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime after. */
export const time = (epochMs: number): Buffer => {
  const text = `${new Date(epochMs).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return text < '2050' ? encode(0x17, Buffer.from(text.slice(2))) : encode(0x18, Buffer.from(text));
};

/** One value: its tag and content, and where the next one begins. */
export interface DerValue {
  readonly tag: number;
  readonly body: Buffer;
  readonly end: number;
}

/** @throws RangeError where the bytes are not definite-length DER within their bounds. */
export function readDer(bytes: Buffer, at = 0): DerValue {
  const tag = bytes.readUInt8(at);
  const first = bytes.readUInt8(at + 1);
  const width = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || width > 4) throw new RangeError('length is not definite');
  const size = width === 0 ? first : bytes.readUIntBE(at + 2, width);
  const start = at + 2 + width;
  if (start + size > bytes.length) throw new RangeError('length is past the end');
  return { tag, body: bytes.subarray(start, start + size), end: start + size };
}

/** The values inside of a constructed one. @throws RangeError */
export function readAll(body: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < body.length;) {
    const value = readDer(body, at);
    values.push(value);
    at = value.end;
  }
  return values;
}
