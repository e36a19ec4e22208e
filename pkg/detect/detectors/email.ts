import type { Detector } from '../detector.ts';
import { certainByFormat } from '../verdict.ts';
import { isDigit, isLetter, isWordCharacter, standsAt } from './characters.ts';

// An e-mail address in the practical form of RFC 5321: a local part of at most 64 characters from the set that providers hand
// out, a domain of at most 253 with at least one dot, labels of 1 to 63 without a hyphen at either end, a top level of 2 to 24
// letters or in punycode. Accented and look-alike letters count as what they fold to.
// Of a local part longer than 64 the last 64 are covered. Characters that usually surround an address (`= / * | { } ( ) < >`)
// end it, although RFC 5322 allows some of them.
// A quoted local part (`"ana maria"@x.org`) is found where it holds no more than those characters and spaces.
// Limit: other quoted local parts, address literals (`ana@[10.0.0.1]`), domains in scripts other than Latin.

const quote = 0x22;

/** May begin a local part. */
const begins = (code: number): boolean => isWordCharacter(code) || code === 0x5f || code === 0x2b;

/** May stand inside of one: . ' % & ~ # ! $ - */
function joins(code: number): boolean {
  return (
    code === 0x2e || code === 0x27 || code === 0x2d || code === 0x7e || code === 0x21 || (code >= 0x23 && code <= 0x26)
  );
}

/** Reads [start, at): no dot at the end or doubled, and nothing before that belongs to it. */
function localPart(text: string, start: number, at: number): boolean {
  // The pattern has seen to the rest.
  if (text.charCodeAt(start) === quote) return true;
  if (!begins(text.charCodeAt(start)) || text.charCodeAt(at - 1) === 0x2e) return false;
  // What a longer one has before its last 64, of which a sign that joins begins none.
  const isCut = at - start === 64 || (at - start === 63 && joins(text.charCodeAt(start - 1)));
  if (!isCut) {
    const before = text.charCodeAt(start - 1);
    if (begins(before) || (joins(before) && begins(text.charCodeAt(start - 2)))) return false;
  }
  for (let index = start + 1; index < at; index += 1) {
    if (text.charCodeAt(index) === 0x2e && text.charCodeAt(index - 1) === 0x2e) return false;
  }
  return true;
}

/** Reads the last label, [from, end): 2 to 24 letters, or punycode. */
function topLevel(text: string, from: number, end: number): boolean {
  if (end - from < 2 || end - from > 24) return false;
  const punycode = text.startsWith('xn--', from) || text.startsWith('XN--', from);
  for (let index = from; index < end; index += 1) {
    const code = text.charCodeAt(index);
    if (!isLetter(code) && !(punycode && (isDigit(code) || code === 0x2d))) return false;
  }
  return !punycode || end - from > 5;
}

function domain(text: string, from: number, end: number): boolean {
  let label = from;
  for (let index = from; index <= end; index += 1) {
    if (index < end && text.charCodeAt(index) !== 0x2e) continue;
    const length = index - label;
    if (length < 1 || length > 63) return false;
    if (text.charCodeAt(label) === 0x2d || text.charCodeAt(index - 1) === 0x2d) return false;
    if (index === end) return label > from && topLevel(text, label, end);
    label = index + 1;
  }
  return false;
}

const imageTypes = ['png', 'jpg', 'jpeg', 'gif', 'webp', 'svg', 'avif'];

/** `icon@2x.png`: an image for dense screens. */
function isImage(text: string, from: number): boolean {
  if (!isDigit(text.charCodeAt(from)) || !standsAt(text, from + 1, 'x.')) return false;
  for (const type of imageTypes) if (standsAt(text, from + 3, type)) return true;
  return false;
}

export const email: Detector = {
  name: 'Email',
  pattern: `(?:[A-Za-z0-9_+.'%&~#!$-]{1,64}|"[A-Za-z0-9_+.'%&~#!$ -]{1,62}")@[A-Za-z0-9.-]{4,253}`,
  maxLength: 318,
  left: 2,
  right: 0,
  verdict: certainByFormat,
  accept(text, start, end) {
    let at = start;
    while (at < end && text.charCodeAt(at) !== 0x40) at += 1;
    // The local part first: within an address each further start fails by it, and each has as many ends as the domain has characters.
    return localPart(text, start, at) && domain(text, at + 1, end) && !isImage(text, at + 1);
  },
  // Every word may become an address: only from the `@` on is a cut one worth hiding.
  significant: (code) => code === 0x40,
  leastSignificant: 1,
};
