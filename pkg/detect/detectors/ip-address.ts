import type { Detector } from '../detector.ts';
import { certainByFormat, likelyByFormat, possiblyAnother } from '../verdict.ts';
import type { Verdict } from '../verdict.ts';
import {
  edgeReach,
  hexValue,
  holdsWord,
  isDigit,
  isHex,
  isWordCharacter,
  wordGoesOnAt,
  wordReachesTo,
} from './characters.ts';

// An IP address: four decimal octets (RFC 791), or the text forms of RFC 4291 2.2: eight groups, `::` once for at least one
// group of zeros, the last two groups as an IPv4 address. Zone, port and prefix length stay visible.
// Not an address: more than four parts (`1.2.3.4.5`, object identifiers), one glued to a `v`; a compressed form without a group of three hex digits or four groups (`a::b`, slices, scopes), but for `::1`
// where no name touches it. Small numbers after words such as `version` or `section` are possible, other version 4 is likely, version 6 certain.

/** Where such a word is looked for: as far as `version": "` reaches. */
const numberedWithin = 11;
const numberings = ['version', 'section', 'chapter', 'release', 'clause', 'ver.'];

/** Four octets in [start, end)? Gives the greatest, or -1. */
function greatestOctet(text: string, start: number, end: number): number {
  let octets = 0;
  let octet = -1;
  let digits = 0;
  let greatest = 0;
  for (let at = start; at <= end; at += 1) {
    const code = at < end ? text.charCodeAt(at) : 0x2e;
    if (isDigit(code)) {
      octet = Math.max(octet, 0) * 10 + code - 0x30;
      digits += 1;
      continue;
    }
    if (code !== 0x2e || octet < 0 || octet > 255 || digits > 3) return -1;
    if (octet > greatest) greatest = octet;
    octets += 1;
    octet = -1;
    digits = 0;
  }
  return octets === 4 ? greatest : -1;
}

function version4(text: string, start: number, end: number): Verdict | false {
  const greatest = greatestOctet(text, start, end);
  if (greatest < 0) return false;
  const before = text.charCodeAt(start - 1);
  const after = text.charCodeAt(end);
  if (isDigit(before) || isDigit(after) || (before | 0x20) === 0x76) return false;
  if (before === 0x2e && isWordCharacter(text.charCodeAt(start - 2))) return false;
  if (after === 0x2e && isDigit(text.charCodeAt(end + 1))) return false;
  return greatest <= 99 && holdsWord(text, start - numberedWithin, start, numberings)
    ? possiblyAnother
    : likelyByFormat;
}

/** What one pass over a version 6 candidate sees. */
interface Groups {
  count: number;
  longest: number;
  compressed: boolean;
  /** Where an IPv4 tail begins; -1 without. */
  tail: number;
}

// One object for all calls: accept functions allocate nothing, and nothing here is re-entered.
const seen: Groups = { count: 0, longest: 0, compressed: false, tail: -1 };

function endGroup(digits: number): void {
  if (digits === 0) return;
  seen.count += 1;
  if (digits > seen.longest) seen.longest = digits;
}

/** Reads groups into `seen`; false when the text is no sequence of groups. */
function readGroups(text: string, start: number, end: number): boolean {
  seen.count = 0;
  seen.longest = 0;
  seen.compressed = false;
  seen.tail = -1;
  let digits = 0;
  let group = start;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isHex(code)) {
      digits += 1;
      if (digits > 4) return false;
    } else if (code === 0x2e) {
      seen.tail = group;
      return at > start && greatestOctet(text, group, end) >= 0;
    } else {
      if (digits === 0 && !colonsAt(text, start, end, at)) return false;
      endGroup(digits);
      digits = 0;
      group = at + 1;
    }
  }
  endGroup(digits);
  return digits > 0 || (seen.compressed && text.charCodeAt(end - 2) === 0x3a);
}

/** A colon without a group before it: the first or second of the one `::`. */
function colonsAt(text: string, start: number, end: number, at: number): boolean {
  if (at === start) return end - start > 2 && text.charCodeAt(at + 1) === 0x3a;
  if (seen.compressed || text.charCodeAt(at - 1) !== 0x3a) return false;
  seen.compressed = true;
  return true;
}

function version6(text: string, start: number, end: number): boolean {
  if (!free(text, start, end) || !readGroups(text, start, end)) return false;
  const groups = seen.count + (seen.tail < 0 ? 0 : 2);
  if (!seen.compressed) return groups === 8 && text.charCodeAt(end - 1) !== 0x3a;
  if (groups > 7) return false;
  if (seen.longest >= 3 || seen.tail >= 0 || seen.count >= 4) return holdsDecimal(text, start, end);
  return end - start === 3 && hexValue(text.charCodeAt(end - 1)) === 1 && !named(text, start);
}

/** `a[::1]` is a slice, `name::1` a scope. */
function named(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 1);
  const name = before === 0x5b || before === 0x28 ? text.charCodeAt(start - 2) : before;
  return isWordCharacter(name) || name === 0x5f || name === 0x29 || name === 0x5d;
}

/** Names joined by `::` may be all hex letters (`face::bad`); an address of letters alone is not to be expected. */
function holdsDecimal(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (isDigit(text.charCodeAt(at))) return true;
  return false;
}

/** Does a group of the same address end at `last`? `node:` is a word although its last letters are hex digits. */
function groupBefore(text: string, last: number): boolean {
  if (text.charCodeAt(last) === 0x3a) return true;
  let at = last;
  while (at > last - 5 && isHex(text.charCodeAt(at))) at -= 1;
  const before = text.charCodeAt(at);
  return at < last && !isWordCharacter(before) && before !== 0x5f;
}

function free(text: string, start: number, end: number): boolean {
  const before = text.charCodeAt(start - 1);
  const after = text.charCodeAt(end);
  if (wordReachesTo(text, start) || wordGoesOnAt(text, end)) return false;
  if (before === 0x3a && (text.charCodeAt(start) === 0x3a || groupBefore(text, start - 2))) return false;
  if (before === 0x2e && isDigit(text.charCodeAt(start - 2))) return false;
  if (after === 0x2e && isDigit(text.charCodeAt(end + 1))) return false;
  return !(after === 0x3a && (isHex(text.charCodeAt(end + 1)) || text.charCodeAt(end + 1) === 0x3a));
}

export const ipAddress: Detector = {
  name: 'IpAddress',
  pattern:
    '[0-9]{1,3}(?:\\.[0-9]{1,3}){3}' +
    '|(?:[0-9A-Fa-f]{1,4}|:):(?:[0-9A-Fa-f]{0,4}:){0,7}(?:[0-9A-Fa-f]{1,4}|[0-9]{1,3}(?:\\.[0-9]{1,3}){3})?',
  maxLength: 55,
  left: numberedWithin,
  right: edgeReach,
  accept(text, start, end) {
    for (let at = start; at < end; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 0x2e) return version4(text, start, end);
      if (!isDigit(code)) break;
    }
    return version6(text, start, end) && certainByFormat;
  },
  // Digits and hex letters stand in any text; two of its separators make a cut candidate an address (`fe80::1` has no more).
  significant: (code) => code === 0x2e || code === 0x3a,
  leastSignificant: 3,
};
