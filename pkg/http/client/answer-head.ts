import type { IncomingHttpHeaders } from 'node:http';

/**
 * What the head of an answer says, read strictly (RFC 9112): a head that two readers could read differently is none.
 *
 * Guarantee: a head that passes has one status, one framing of its body, and header values of visible characters, spaces, tabs
 * and obs-text only.
 */
export interface AnswerHead {
  readonly status: number;
  /** Names in lower case. Of a header that may come once the first counts, others are joined, as node:http does it. */
  readonly headers: IncomingHttpHeaders;
  readonly framing: Framing;
  /** The connection may carry another request. */
  readonly keepAlive: boolean;
  /** How long the server says that it keeps an idle connection, milliseconds. */
  readonly keepAliveMs: number | undefined;
}

/** A number is a length in bytes. `close`: the body ends with the connection. */
export type Framing = number | 'chunked' | 'close';

/** Status codes end at 599 (RFC 9110 section 15): others cannot be passed on in HTTP/2. */
const statusLine = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?$/;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const length = /^[0-9]{1,15}$/;

/** Those of which node:http keeps the first; a second one of the others is joined to it. */
const first: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
]);

/** Spellings of names met before: a server spells them alike each time. */
const spellings = new Map<string, string>();
const mostSpellings = 512;

function lowerName(name: string): string | undefined {
  const known = spellings.get(name);
  if (known !== undefined) return known;
  if (!token.test(name)) return undefined;
  const lower = name.toLowerCase();
  if (spellings.size < mostSpellings && name.length <= 64) spellings.set(name, lower);
  return lower;
}

/** Without a prototype: a header may be named as anything, `constructor` too. Made by `new`, so that V8 keeps it fast. */
const Table = function Table() {
  /* empty */
} as unknown as new () => IncomingHttpHeaders;
Table.prototype = Object.freeze(Object.create(null));

/** Status of the line, undefined where it is none. */
function statusOf(line: string): { readonly status: number; readonly minor: number } | undefined {
  const match = statusLine.exec(line);
  return match === null ? undefined : { status: Number(match[2]), minor: Number(match[1]) };
}

/**
 * @param text The lines of the head without the empty one, in latin1, free of control characters but for tab and CRLF.
 * @param ends Where each line ends.
 * @param bodiless The request was one whose answer has no body (HEAD).
 * @returns undefined where it is not to be trusted.
 */
export function readAnswerHead(text: string, ends: readonly number[], bodiless: boolean): AnswerHead | undefined {
  const line = statusOf(text.slice(0, ends[0]));
  if (line === undefined) return undefined;
  const headers = readFields(text, ends);
  if (headers === undefined) return undefined;
  const { status, minor } = line;
  const framing = framingOf(headers, minor);
  if (framing === undefined) return undefined;
  const keepAlive = staysOpen(headers.connection, minor);
  // An interim answer has no body and ends nothing (RFC 9110 section 15.2): whatever says otherwise hides something.
  if (status < 200 && (framing !== 'close' || !keepAlive)) return undefined;
  const bare = bodiless || status < 200 || status === 204 || status === 304;
  return {
    status,
    headers,
    framing: bare ? 0 : framing,
    keepAlive: keepAlive && !(bare && announcesBody(framing, bodiless)),
    keepAliveMs: announced(headers['keep-alive'] as string | undefined),
  };
}

/**
 * A server that sends a body where none may be would have it read as the next request's answer. To HEAD nothing but a length of 0
 * excludes that; 204 and 304 are said without a length by most.
 */
const announcesBody = (framing: Framing, bodiless: boolean): boolean =>
  framing !== 0 && (bodiless || framing !== 'close');

function readFields(text: string, ends: readonly number[]): IncomingHttpHeaders | undefined {
  const headers = new Table();
  for (let at = 1; at < ends.length; at++) {
    // A line ends with two characters that are not its own.
    const from = (ends[at - 1] ?? 0) + 2;
    const to = ends[at] ?? 0;
    const colon = text.indexOf(':', from);
    if (colon <= from || colon >= to) return undefined;
    // A folded line begins with a space, a name that ends with one is refused as well (RFC 9112 sections 5.1 and 5.2).
    const name = lowerName(text.slice(from, colon));
    if (name === undefined) return undefined;
    if (!addField(headers, name, valueBetween(text, colon + 1, to))) return undefined;
  }
  return headers;
}

function valueBetween(text: string, from: number, to: number): string {
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

const isBlank = (unit: number): boolean => unit === 0x20 || unit === 0x09;

/** False where the header may not come twice. */
function addField(headers: IncomingHttpHeaders, name: string, value: string): boolean {
  if (name === 'set-cookie') {
    (headers['set-cookie'] ??= []).push(value);
    return true;
  }
  const before = headers[name];
  if (before === undefined) headers[name] = value;
  else if (name === 'content-length' || name === 'transfer-encoding') return false;
  else if (!first.has(name)) headers[name] = `${before as string}, ${value}`;
  return true;
}

/** RFC 9112 section 6.3, without what it leaves to a guess. */
function framingOf(headers: IncomingHttpHeaders, minor: number): Framing | undefined {
  const coding = headers['transfer-encoding'];
  const bytes = headers['content-length'];
  if (coding !== undefined) {
    const plain = coding === 'chunked' || coding.toLowerCase() === 'chunked';
    return plain && bytes === undefined && minor === 1 ? 'chunked' : undefined;
  }
  if (bytes === undefined) return 'close';
  return length.test(bytes) ? Number(bytes) : undefined;
}

function staysOpen(connection: string | undefined, minor: number): boolean {
  if (connection === undefined) return minor === 1;
  if (connection === 'keep-alive') return true;
  const options = connection.split(',').map((option) => option.trim().toLowerCase());
  if (options.includes('close')) return false;
  return minor === 1 || options.includes('keep-alive');
}

function announced(keepAlive: string | undefined): number | undefined {
  if (keepAlive === undefined) return undefined;
  const seconds = /(?:^|[\s,;])timeout=(\d{1,9})/i.exec(keepAlive)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
