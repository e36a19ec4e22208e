import type { Detector } from '../detector.ts';
import { certainByPrefix, likelyAsTold } from '../verdict.ts';
import { isDigit, isLetter, isLower, isUpper, isWordCharacter, lower, standsAt } from './characters.ts';

// A secret that its surroundings or its prefix give away:
//   named    a telling name (password, api_key, token, secret, authorization ...), `=`, `:`, `=>`, `:=`, `>` or ` is `, and a value, in the
//            spellings of shells, .env, INI, YAML, JSON (also escaped in a string), XML, code, URLs and sentences; also `--name VALUE`
//            and `Bearer VALUE`. Decided on the value's first 32 characters: passwords need six with a digit or a sign among letters (or
//            only digits), all others eight with two letters and two digits, or sixteen of random case.
//   vendor   a prefix that a vendor reserves for secrets (sk-, sk-ant-, xoxb-, glpat-, AIza, hf_ ...) and 12 characters with two digits or of
//            random case.
// From there on everything is covered until white space, a quote, a bracket, `,`, `;`, `&`, `|` or a backslash.
// Coverage: the value alone, where the engine reads `from`; else the name, too.
// Not a finding: words, paths, calls, references (`$TOKEN`, `process.env.X`, `getToken()`), type names, fillers (`xxxx`, `****`).
// Limit: passwords of letters alone or shorter than six; user information in URLs.

const names =
  'passwor[dt]|passwd|pwd|passphrase|passcode|kennwort|contrasena|senha|mot[ _]de[ _]passe' +
  '|secret|token|api[ _.-]?key|(?:secret|private|access|auth|account|encryption|signing|master|client|session|service|shared)[ _.-]?key' +
  '|session[ _-]?id|credentials?|authorization|bearer';
const quote = '(?:\\\\?["\'`])?';
const assignment = `${quote}[*_]{0,2}[ \\t]{0,3}(?::=|=>|==?|[:>]| |[ ](?:is|was)[ :])[*_]{0,2}[ \\t\\n]{0,3}${quote}`;
const scheme = '(?:(?i:bearer|basic|token|apikey) {1,2})?';
const vendors =
  'sk-|[rs]k_(?:live|test)_|whsec_|xox[abeoprs]-|xapp-|gl(?:pat|dt|rt|ptt|soat|ft|imt|agent|cbt)-|AIza|ya29\\.|GOCSPX-|npm_|pypi-|hf_|do[opr]_v1_' +
  '|shp(?:at|ss|ca|pa)_|SG\\.|dckr_pat_|sq0[ac][ts]p-|hv[sb]\\.|nvapi-|gsk_|r8_|pplx-|xai-|lin_api_|ntn_|figd_|PMAK-|rubygems_|dapi|AT[AC]TT3|sbp_|dp\\.pt\\.|eyJrIjoi';

const valueLength = 6;
const window = 32;
const vendorLength = 12;

/** May stand in a secret: letters, digits and ! # $ % * + - . / = ? @ ^ _ ~ */
function inValue(code: number): boolean {
  if (isWordCharacter(code)) return true;
  if (code >= 0x23 && code <= 0x25) return true;
  if (code >= 0x2d && code <= 0x2f) return true;
  return (
    code === 0x21 ||
    code === 0x2a ||
    code === 0x2b ||
    code === 0x3d ||
    code === 0x3f ||
    code === 0x40 ||
    code === 0x5e ||
    code === 0x5f ||
    code === 0x7e
  );
}

/** A vendor's opener ends in characters that no assignment holds just before a value. */
function isNamed(text: string, end: number): boolean {
  const before = text.charCodeAt(end - valueLength - 1);
  return (
    !(isWordCharacter(before) || before === 0x2d || before === 0x2e) && (before !== 0x5f || !vendorTail(text, end))
  );
}

/** `__value` after a bold name, or `prefix_...`: only the latter has all of its characters in a word. */
function vendorTail(text: string, end: number): boolean {
  for (let at = end - vendorLength; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (!isWordCharacter(code) && code !== 0x5f && code !== 0x2d && code !== 0x2e) return false;
  }
  return true;
}

/** What one pass over a value sees. */
interface Counts {
  length: number;
  digits: number;
  uppers: number;
  lowers: number;
  /** Signs with a letter or digit after them. */
  signs: number;
  distinct: number;
}

// One object for all calls: accept functions allocate nothing, and nothing here is re-entered.
const counts: Counts = { length: 0, digits: 0, uppers: 0, lowers: 0, signs: 0, distinct: 0 };

/** Reads at most `window` characters of the value into `counts`; gives where it stopped. */
function count(text: string, from: number): number {
  counts.length = counts.digits = counts.uppers = counts.lowers = counts.signs = counts.distinct = 0;
  let low = 0;
  let high = 0;
  let at = from;
  for (; at < from + window; at += 1) {
    const code = text.charCodeAt(at);
    if (!inValue(code)) break;
    counts.length += 1;
    if (isDigit(code)) counts.digits += 1;
    else if (isUpper(code)) counts.uppers += 1;
    else if (isLower(code)) counts.lowers += 1;
    else if (isSign(code) && at + 1 < from + window && isWordCharacter(text.charCodeAt(at + 1))) counts.signs += 1;
    if (code < 0x40) low |= 1 << (code & 31);
    else high |= 1 << (code & 31);
  }
  counts.distinct = ones(low) + ones(high);
  return at;
}

const isSign = (code: number): boolean =>
  !isWordCharacter(code) && code !== 0x2d && code !== 0x2e && code !== 0x2f && code !== 0x5f;

function ones(bits: number): number {
  let rest = bits;
  let found = 0;
  while (rest !== 0) {
    rest &= rest - 1;
    found += 1;
  }
  return found;
}

/** Sixteen or more letters in which a quarter is of each case: camel case has fewer capitals. */
function randomCase(): boolean {
  return counts.length >= 16 && counts.uppers * 4 >= counts.length && counts.lowers * 4 >= counts.length;
}

function looksLikePassword(): boolean {
  const letters = counts.uppers + counts.lowers;
  if (letters === 0) return counts.digits === counts.length && counts.distinct > 1;
  return counts.digits > 0 || counts.signs > 0 || randomCase();
}

function looksLikeKey(): boolean {
  if (counts.length < 8) return false;
  return (counts.digits >= 2 && counts.uppers + counts.lowers >= 2) || randomCase();
}

/** A reference to a value, or a filler, is not the value. */
function refers(text: string, from: number, to: number): boolean {
  const first = text.charCodeAt(from);
  const next = text.charCodeAt(to);
  if (next === 0x28 || next === 0x5b || next === 0x7b) return true;
  if (counts.distinct <= 2 && counts.digits < counts.length) return true;
  if (first === 0x24 && counts.lowers === 0) return true;
  if ((first === 0x2f || first === 0x2e || first === 0x7e) && counts.uppers === 0) return true;
  for (const word of referring) if (standsAt(text, from, word)) return true;
  return counts.length <= 16 && isTypeName(text, from);
}

const referring = [
  'process.env',
  'os.environ',
  'os.getenv',
  'config.',
  'settings.',
  'secrets.',
  'vars.',
  'your',
  'xxx',
];
const typeNames = ['uint', 'int', 'float', 'bytes', 'base64', 'sha', 'utf', 'hs256', 'rs256', 'es256'];

function isTypeName(text: string, from: number): boolean {
  for (const word of typeNames) if (standsAt(text, from, word)) return true;
  return false;
}

/** Is a value really given to the name, or does it only follow? */
function assigned(text: string, start: number, value: number): boolean {
  for (let at = start; at < value; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x3a || code === 0x3d || code === 0x3e) return true;
    if (code === 0x20 && (standsAt(text, at, ' is ') || standsAt(text, at, ' was '))) return true;
  }
  if (standsAt(text, start, 'bearer')) return true;
  return optionBefore(text, start);
}

/** `--password VALUE`, `--db-password VALUE`: back over the option's own name. */
function optionBefore(text: string, start: number): boolean {
  for (let at = start - 1; at > start - 24; at -= 1) {
    const code = text.charCodeAt(at);
    if (code === 0x2d && text.charCodeAt(at - 1) === 0x2d) return true;
    if (!isLetter(code) && code !== 0x2d && code !== 0x5f) return false;
  }
  return false;
}

/** Of a page token (`nextPageToken`, `page_token`) nothing is secret. */
function pages(text: string, start: number): boolean {
  return standsAt(text, start - 4, 'page') || standsAt(text, start - 5, 'page_') || standsAt(text, start - 5, 'page-');
}

function named(text: string, start: number, end: number): boolean {
  const value = end - valueLength;
  const to = count(text, value);
  if (!assigned(text, start, value) || pages(text, start) || refers(text, value, to)) return false;
  return isPassword(text, start) ? looksLikePassword() : looksLikeKey();
}

function isPassword(text: string, start: number): boolean {
  const first = lower(text.charCodeAt(start));
  const second = lower(text.charCodeAt(start + 1));
  if (first === 0x70) return second === 0x61 || second === 0x77; // pa, pw
  return first === 0x6b || first === 0x6d || standsAt(text, start, 'contra') || standsAt(text, start, 'senha');
}

function vendor(text: string, start: number, end: number): boolean {
  const before = text.charCodeAt(start - 1);
  const apart = !isWordCharacter(before) && before !== 0x2d && before !== 0x5f;
  if (!apart && !tells(text, start, end)) return false;
  count(text, start);
  if (counts.distinct <= 6) return false;
  return apart ? counts.digits >= 2 || randomCase() : counts.digits >= 2 && counts.uppers >= 2;
}

/** A prefix of five characters or more that ends in a sign begins no word, also with a letter before it: but for `task_test_` and `work_live_`. */
function tells(text: string, start: number, end: number): boolean {
  const last = text.charCodeAt(end - vendorLength - 1);
  return end - start >= vendorLength + 5 && !isWordCharacter(last) && lower(text.charCodeAt(start + 1)) !== 0x6b;
}

export const genericApiKey: Detector = {
  name: 'GenericApiKey',
  pattern: `(?i:${names})${assignment}${scheme}[A-Za-z0-9!#$%*+./=?@^_~-]{${valueLength}}|(?:${vendors})[A-Za-z0-9_.-]{${vendorLength}}`,
  maxLength: 47,
  left: 24,
  right: window - valueLength,
  accept: (text, start, end) =>
    isNamed(text, end) ? named(text, start, end) && likelyAsTold : vendor(text, start, end) && certainByPrefix,
  from: (text, start, end) => (isNamed(text, end) ? end - valueLength : start),
  // From the assignment on a cut candidate is worth hiding, not the name alone.
  significant: (code) => isDigit(code) || code === 0x3a || code === 0x3d || code === 0x3e,
  leastSignificant: 2,
  open: { whileClass: inValue },
};
