import type { Detector } from '../../detector.ts';
import { isDigit, isLower, isUpper, isWordCharacter } from '../characters.ts';

// A name and a password in base64: `Authorization: Basic ...` (RFC 7617), `"auth": "..."` of Docker's settings, `_auth=...` of npm's.
// Told from a word by what it decodes to: printable characters with a `:` among them.
// Coverage: the base64. Limit: other charsets than ASCII in it.

const longest = 120;

function sextet(code: number): number {
  if (isUpper(code)) return code - 0x41;
  if (isLower(code)) return code - 0x61 + 26;
  if (isDigit(code)) return code - 0x30 + 52;
  return code === 0x2b || code === 0x2d ? 62 : code === 0x2f || code === 0x5f ? 63 : -1;
}

/** Printable ASCII with a colon that something stands before and behind. */
function isPair(text: string, from: number, to: number): boolean {
  let bits = 0;
  let held = 0;
  let bytes = 0;
  let colon = -1;
  for (let at = from; at < to; at += 1) {
    const six = sextet(text.charCodeAt(at));
    if (six < 0) break;
    bits = (bits << 6) | six;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    const byte = (bits >> held) & 0xff;
    bits &= (1 << held) - 1;
    if (byte < 0x20 || byte > 0x7e) return false;
    if (byte === 0x3a && colon < 0) colon = bytes;
    bytes += 1;
  }
  return colon >= 0 && bytes - colon > 1 && bytes > 4;
}

function valueFrom(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && text.charCodeAt(at - 1) === 0x3d) at -= 1;
  while (at > start && sextet(text.charCodeAt(at - 1)) >= 0) at -= 1;
  return at;
}

export const basicCredentials: Detector = {
  name: 'Credential',
  pattern:
    '(?i:basic[ \\t]{1,2}|auth(?:\\\\?["\'])?[ \\t]{0,2}[:=][ \\t]{0,2}(?:\\\\?["\'])?)' +
    `[0-9A-Za-z+/]{8,${longest}}={0,2}`,
  maxLength: 4 + 2 + 2 + 1 + 2 + 2 + longest + 2,
  left: 1,
  right: 1,
  accept(text, start, end) {
    if (isWordCharacter(text.charCodeAt(start - 1))) return false;
    const after = text.charCodeAt(end);
    if (sextet(after) >= 0 || after === 0x3d) return false;
    return isPair(text, valueFrom(text, start, end), end);
  },
  from: valueFrom,
  significant: (code) => isUpper(code) || isDigit(code) || code === 0x3d,
  leastSignificant: 4,
};
