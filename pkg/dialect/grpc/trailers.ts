/**
 * How a call ended, as a frame among its messages: flagged 0x80, its length, then a field a line. So do gRPC-Web's responses end; here it never
 * leaves in this form: it carries the trailers of HTTP/2 through what knows only streams of bytes.
 */

/** The flag of such a frame. */
export const trailerFlag = 0x80;
/** Flag and length (gRPC over HTTP/2, Length-Prefixed-Message). */
export const prefixBytes = 5;

export type Trailers = Readonly<Record<string, string>>;

export function trailerFrame(trailers: Trailers): Buffer {
  const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = Buffer.from(lines.join(''), 'latin1');
  const prefix = Buffer.alloc(prefixBytes);
  prefix[0] = trailerFlag;
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, text]);
}

/** Fields that say how a call ended, and what their values may be: a model's own end may say anything. */
const fields: ReadonlyMap<string, RegExp> = new Map([
  ['grpc-status', /^\d{1,2}$/],
  ['grpc-message', /^[ -~\x80-\xff]*$/],
  ['grpc-status-details-bin', /^[A-Za-z0-9+/=]*$/],
]);

/** Fields of other names, and values that cannot be, are left out. @param text of the frame, without its prefix. */
export function readTrailers(text: string): Trailers {
  const trailers: Record<string, string> = {};
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(': ');
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(colon + 2);
    if (fields.get(name)?.test(value) === true) trailers[name] = value;
  }
  return trailers;
}

/** Status-Message: UTF-8, of which what is no printable ASCII is percent-encoded. */
export function encodeMessage(message: string): string {
  let text = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    text +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** Never fails, as the protocol wants: what is no escape stands for itself. */
export function decodeMessage(message: string): string {
  const bytes: number[] = [];
  for (let at = 0; at < message.length; at++) {
    const escape = message[at] === '%' ? /^[0-9a-fA-F]{2}/.exec(message.slice(at + 1, at + 3))?.[0] : undefined;
    if (escape === undefined) bytes.push(message.charCodeAt(at) & 0xff);
    else {
      bytes.push(Number.parseInt(escape, 16));
      at += 2;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}
