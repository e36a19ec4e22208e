import { RefusedError } from '../core/index.ts';

/**
 * Decides once what path a request names.
 *
 * Guarantee: a path that passes has one reading. Servers differ on encoded slashes, dot segments, doubled slashes,
 * `;parameters`, back slashes, NUL and non-ASCII; every target that holds one is refused, so that a rule cannot be
 * passed by spelling. Percent escapes of unreserved characters are undone and hex digits made upper case (RFC 3986 section 6.2.2),
 * and this form is what is decided on and what is forwarded. One encoded slash has one reading: that in the ARN of a model at Bedrock, whose
 * clients encode it and whose server takes it for a part of the name. Limit: the query is kept as it came;
 * what a route's may say is its dialect's to judge.
 */
export interface NormalisedTarget {
  /** Begins with `/`. */
  readonly path: string;
  /** Without `?`; empty where there is none. */
  readonly query: string;
}

/** Nothing to decide about: the usual spelling of routes. */
const plain = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~:@-]*)+\/?$|^\/$/;
/** pchar of RFC 3986 section 3.3 without `;`, and without what some server reads otherwise. */
const allowed = /^(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})+$/;
const queryAllowed = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@/?[\]|{}^`"<>-]|%[0-9A-Fa-f]{2})*$/;
/** See {@link normaliseTarget}: its other readings are no path of any server either, since nothing else begins so. */
const arnOfModel =
  /^\/model\/arn(?::|%3A)aws[a-z-]{0,24}(?::|%3A)bedrock(?::|%3A)[a-z0-9-]{1,32}(?::|%3A)[0-9]{0,12}(?::|%3A)[a-z-]{1,40}%2F[A-Za-z0-9](?:[A-Za-z0-9._:-]|%3A){0,200}\/[a-z-]{1,40}$/i;
const longest = 8192;

/**
 * @param target origin form (RFC 9112 section 3.2.1).
 * @throws RefusedError invalid_path
 */
export function normaliseTarget(target: string): NormalisedTarget {
  if (target.length > longest) throw refused('length');
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark + 1);
  if (query !== '' && !queryAllowed.test(query)) throw refused('query');
  if (plain.test(raw)) return { path: raw, query };
  if (!raw.startsWith('/')) throw refused('form');
  if (!allowed.test(raw)) throw refused('character');
  const takesSlash = raw.startsWith('/model/arn') && arnOfModel.test(raw);
  const path = raw.includes('%')
    ? raw.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => unescape(escape, hex, takesSlash))
    : raw;
  const segments = path.slice(1).split('/');
  for (const [at, segment] of segments.entries()) {
    if (segment === '.' || segment === '..') throw refused('dot_segment');
    // Only the last segment may be empty: a trailing slash, or the root.
    if (segment === '' && at < segments.length - 1) throw refused('empty_segment');
  }
  return { path, query };
}

/** Escapes that decode to something a server may act on are refused; unreserved ones are undone. */
function unescape(escape: string, hex: string, takesSlash: boolean): string {
  const code = Number.parseInt(hex, 16);
  const char = String.fromCharCode(code);
  if (/[A-Za-z0-9._~-]/.test(char)) return char;
  if (char === '/' && takesSlash) return escape.toUpperCase();
  // `/`, `\`, `%` (decoded twice by some), `;`, `?`, `#`, controls and non-ASCII.
  if (code < 0x20 || code >= 0x7f || char === '/' || char === '\\' || char === '%') throw refused('escape');
  if (char === ';' || char === '?' || char === '#') throw refused('escape');
  return escape.toUpperCase();
}

function refused(detail: string): RefusedError {
  return new RefusedError('invalid_path', { detail });
}
