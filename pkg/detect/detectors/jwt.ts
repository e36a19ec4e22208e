import type { Detector } from '../detector.ts';
import { certainByPrefix } from '../verdict.ts';
import { isDigit, isLower, isUpper, isWordCharacter } from './characters.ts';

// A JSON Web Token, signed or encrypted (RFC 7519, 7515, 7516): base64url of `{` and a header parameter's name that the registries know,
// with white space where a serialiser puts it. From there on everything of base64url and dots is covered, however long.
// A token whose header begins with an unknown name is covered from its second part on (`.eyJ`): claims and signature, not the header.
// Other base64 of JSON (source maps, cursors) is no finding.

/** As in the IANA registry "JSON Web Signature and Encryption Header Parameters". */
const parameters = [
  'alg',
  'typ',
  'kid',
  'enc',
  'cty',
  'jku',
  'jwk',
  'x5u',
  'x5c',
  'x5t',
  'zip',
  'crit',
  'epk',
  'apu',
  'apv',
  'b64',
  'p2s',
  'p2c',
  'iv',
  'tag',
];

/** Six bits of a base64url character. */
function sextet(code: number): number {
  if (isUpper(code)) return code - 0x41;
  if (isLower(code)) return code - 0x61 + 26;
  if (isDigit(code)) return code - 0x30 + 52;
  return code === 0x2d ? 62 : 63;
}

/** Byte `index` of what `[start, ...)` encodes. */
function byteAt(text: string, start: number, index: number): number {
  const at = start + Math.floor(index / 3) * 4;
  const bits =
    (sextet(text.charCodeAt(at)) << 18) |
    (sextet(text.charCodeAt(at + 1)) << 12) |
    (sextet(text.charCodeAt(at + 2)) << 6) |
    sextet(text.charCodeAt(at + 3));
  return (bits >> (16 - 8 * (index % 3))) & 0xff;
}

/** Twelve characters are nine bytes: `{`, white space, `"`, the name (compared as far as it reaches). */
function headerBegins(text: string, start: number): boolean {
  let index = 1;
  while (index < 9 && isSpace(byteAt(text, start, index))) index += 1;
  if (byteAt(text, start, 0) !== 0x7b || index > 5 || byteAt(text, start, index) !== 0x22) return false;
  for (const name of parameters) if (namedAt(text, start, index + 1, name)) return true;
  return false;
}

function namedAt(text: string, start: number, index: number, name: string): boolean {
  for (let offset = 0; offset < name.length && index + offset < 9; offset += 1) {
    if (byteAt(text, start, index + offset) !== name.charCodeAt(offset)) return false;
  }
  return true;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

const inToken = (code: number): boolean => isWordCharacter(code) || code === 0x2d || code === 0x5f || code === 0x2e;

export const jwt: Detector = {
  name: 'Jwt',
  pattern: '(?:eyJ|eyA|ew[og]|ew0K)[A-Za-z0-9_-]{8,9}|\\.eyJ[A-Za-z0-9_-]{8}',
  maxLength: 13,
  left: 1,
  right: 0,
  verdict: certainByPrefix,
  accept(text, start, end) {
    if (text.charCodeAt(start) !== 0x2e) return end - start === 12 && headerBegins(text, start);
    const before = text.charCodeAt(start - 1);
    return inToken(before) && before !== 0x2e;
  },
  // In lower-case prose an opener never gets to six of these by chance.
  significant: (code) => isUpper(code) || isDigit(code),
  leastSignificant: 3,
  open: { whileClass: inToken },
};
