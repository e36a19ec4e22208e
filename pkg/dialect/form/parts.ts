import { isUtf8 } from 'node:buffer';
import { RefusedError } from '../../core/index.ts';

/**
 * The parts of a form (RFC 7578, RFC 2046 section 5.1), read so that every server takes them for the same.
 *
 * Promise: the parts, with their delimiters and heads, are the whole body. What readers are lenient about, each in its own way, is refused:
 * something before the first delimiter or behind the last, a delimiter anywhere but at the beginning of a line that CRLF ended, white space behind
 * it, a line that ends in CR or LF alone, a head with other fields than these, fields or parameters twice, escapes and encodings of names.
 */
export interface FormPart {
  readonly name: string;
  /** Undefined: it is a field, not a file. */
  readonly filename: string | undefined;
  /** Its `Content-Type` as it came; `''`: none. */
  readonly type: string;
  /** Of the body, no copy. */
  readonly content: Buffer;
}

/** Parts of a form: OpenAI takes 16 pictures, and some 20 fields beside them. */
const mostParts = 64;
/** Bytes of a part's head. */
const mostHeadBytes = 2_048;

const lineEnd = Buffer.from('\r\n');
const headEnd = Buffer.from('\r\n\r\n');
const dashes = Buffer.from('--');

function refuse(detail: string): never {
  throw new RefusedError('invalid_request', { detail });
}

const isAt = (body: Buffer, at: number, bytes: Buffer): boolean =>
  at >= 0 && body.subarray(at, at + bytes.length).equals(bytes);

/** @throws RefusedError invalid_request */
export function readParts(body: Buffer, boundary: string): readonly FormPart[] {
  const delimiter = Buffer.from(`--${boundary}`);
  if (!isAt(body, 0, delimiter)) refuse('boundary');
  const parts: FormPart[] = [];
  let at = delimiter.length;
  for (;;) {
    if (isAt(body, at, dashes)) break;
    if (!isAt(body, at, lineEnd)) refuse('boundary');
    if (parts.length >= mostParts) refuse('parts');
    const from = at + lineEnd.length;
    // Wherever the delimiter stands, some reader takes it for one.
    const next = body.indexOf(delimiter, from);
    const to = next - lineEnd.length;
    if (next < 0 || to < from || !isAt(body, to, lineEnd)) refuse('boundary');
    parts.push(readPart(body.subarray(from, to)));
    at = next + delimiter.length;
  }
  const rest = body.subarray(at + dashes.length);
  if (rest.length > 0 && !rest.equals(lineEnd)) refuse('epilogue');
  return parts;
}

function readPart(part: Buffer): FormPart {
  const end = part.subarray(0, mostHeadBytes + headEnd.length).indexOf(headEnd);
  if (end < 0) refuse('part');
  const head = part.subarray(0, end);
  if (!isUtf8(head)) refuse('part');
  const fields = readHead(head.toString('utf8'));
  const content = part.subarray(end + headEnd.length);
  const length = fields.get('content-length');
  if (length !== undefined && length !== String(content.length)) refuse('part');
  return {
    ...readDisposition(fields.get('content-disposition') ?? ''),
    type: fields.get('content-type') ?? '',
    content,
  };
}

/** What a part may say of itself. An encoding (`Content-Transfer-Encoding`) some servers undo, and others do not. */
const known: ReadonlySet<string> = new Set(['content-disposition', 'content-type', 'content-length']);

/** Without blanks around it. No pattern: one with blanks on both sides of what may hold blanks takes time that grows as their cube. */
function trimmed(text: string): string {
  const isBlank = (at: number): boolean => text[at] === ' ' || text[at] === '\t';
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(from)) from++;
  while (to > from && isBlank(to - 1)) to--;
  return text.slice(from, to);
}

function readHead(head: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of head.split('\r\n')) {
    // No other line ends, no folded lines, no NUL.
    const [, name, rest] = /^([A-Za-z-]{1,64}):((?:[^\p{Cc}\p{Zl}\p{Zp}]|\t)*)$/u.exec(line) ?? [];
    if (name === undefined || rest === undefined) refuse('part');
    const value = trimmed(rest);
    const lower = name.toLowerCase();
    if (!known.has(lower) || fields.has(lower)) refuse('part');
    fields.set(lower, value);
  }
  return fields;
}

/** Spelled so that escapes, percent signs and quotes have no two readings. */
const plainName = /^[A-Za-z0-9_.-]{1,64}(?:\[[A-Za-z0-9_-]{0,64}\])?$/;
const longestFilename = 255;
const parameter = /(name|filename)=(?:"([^"\\]*)"|([A-Za-z0-9_.-]+))/g;

/** `form-data; name="…"; filename="…"`, in lower case, as clients write it, a plain word without quotes as well (.NET); `filename*` is refused as RFC 7578 section 4.2 wants. */
function readDisposition(value: string): Pick<FormPart, 'name' | 'filename'> {
  const parameters = /^form-data((?:[ \t]*;[ \t]*(?:name|filename)=(?:"[^"\\]*"|[A-Za-z0-9_.-]+))+)$/.exec(value)?.[1];
  if (parameters === undefined) refuse('part');
  const found = new Map<string, string>();
  for (const [, name = '', quoted, word = ''] of parameters.matchAll(parameter)) {
    if (found.has(name)) refuse('part');
    found.set(name, quoted ?? word);
  }
  const name = found.get('name') ?? '';
  const filename = found.get('filename');
  if (!plainName.test(name)) refuse('part');
  if (filename !== undefined && !isPlainFilename(filename)) refuse('filename');
  return { name, filename };
}

/** One step of a path. */
function isPlainFilename(name: string): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && !name.includes('/') && Buffer.byteLength(name) <= longestFilename
  );
}
