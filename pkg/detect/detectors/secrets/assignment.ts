import type { Detector } from '../../detector.ts';
import { likelyAsTold } from '../../verdict.ts';
import { isDigit, isLetter, isLower, isUpper, isWordCharacter, lower, standsAt } from '../characters.ts';
import { isFiller, isIdentifier } from './fillers.ts';
import { count, isRandom } from './randomness.ts';

// A value that a telling name is given, to the value's end: in .env files, shells, YAML, JSON (also escaped in a string), XML, INI, code,
// connection strings (ADO.NET, ODBC, JDBC, Azure's AccountKey), queries, Kubernetes' and Docker's lists of variables.
//   passwords  (password, passwd, pwd, passphrase, pass ...) any value in quotes or in an environment file that is no filler, no reference,
//              no word for a type or a state; bare ones need a digit or a sign.
//   keys       (secret, token, api_key, ..._key, credentials ...) values that look drawn.
// Coverage: exactly the value, without its quotes. Values of more than a hundred characters are GenericApiKey's.
// Limit: bare passwords of letters alone outside of environment files; bare values behind a space or a comma (`--password x` is GenericApiKey's); names in JSON lanes, where keys and values are lanes of their own.

const passwords =
  'passwor[dt]|passwd|passphrase|passcode|pass|pwd|pswd|psw|kennwort|contrasena|senha|mot[ _]de[ _]passe|wachtwoord|lozinka|haslo|parola' +
  '|secret_key_base|identified by|auth_?pass' +
  // As the fold has them: letters that look like Latin ones are these.
  '|[пП]apo[лЛ]b' +
  '|密码|密碼|パスワード|비밀번호';
const keys =
  'secret|token|api[ _.-]?key|(?:secret|private|access|auth|account|encryption|signing|master|client|session|service|shared|license|storage|admin|deploy|app|application|webhook)[ _.-]?key' +
  '|session[ _-]?id|credentials?|sharedaccesskey|sharedaccesssignature|[?&]sig';

const longestSuffix = 16;
const longest = 100;
const quote = '(?:\\\\?["\'`])?';
const operators = [
  '[ \\t]{0,2}(?::=|=>|\\?=|[:=>])', // code, YAML, XML
  ' value=',
  ',[ \\t\\r\\n]{0,8}(?:\\\\?")?[vV]alue(?:\\\\?")?:', // {"name": "X", "value": "..."}
  '[\\r\\n]{1,2}[ ]{1,12}value:', // - name: X
  ':[ ]?[a-zA-Z]{3,12}[ ]{0,2}=', // x: string = "..."
  '\\[[0-9]{0,3}\\][ ]{0,2}=', // char x[] = "..."
  ' (?:is|was):', // in a sentence
];
/** What gives many other things, too: with a value in quotes alone, since what may be one is held until it is decided. */
const quotedOperators = '(?:[ \\t]{0,2}(?:===?|\\|\\||\\?\\?|[,(])| )'; // calls, comparisons, defaults, IDENTIFIED BY 'x'
const gap = '[ \\t]{0,3}\\(?';
/** The value's first character, behind its quote. */
const opening = '(?:\\\\?["\'`])?[^\\x00-\\x20]';
const quotedOpening = '\\\\?["\'`][^\\x00-\\x20]';

/** What a name and its assignment say of the value behind them. One object for all calls: nothing here is re-entered. */
interface Parsed {
  isPassword: boolean;
  /** Where the value begins, behind its quote. */
  value: number;
  /** The code of its quote; 0 for none. */
  quote: number;
  /** The quote is spelled `\"`. */
  escaped: boolean;
  /** `KEY=value`, nothing between, KEY in capitals: an environment file or a shell. */
  environment: boolean;
  /** Something gives the value: not a space alone. */
  given: boolean;
  /** What gives it gives many other things: it counts in quotes alone. */
  inQuotes: boolean;
  /** It stands between tags. */
  inTags: boolean;
  /** `;name=value;`: all but `;`, spaces and quotes is of the value. */
  inList: boolean;
  /** `name: value`. */
  byColon: boolean;
}
const parsed: Parsed = {
  isPassword: false,
  value: 0,
  quote: 0,
  escaped: false,
  environment: false,
  given: false,
  inQuotes: false,
  inTags: false,
  inList: false,
  byColon: false,
};

const isQuote = (code: number): boolean => code === 0x22 || code === 0x27 || code === 0x60;
const isSpace = (code: number): boolean => code === 0x20 || code === 0x09;
const isBreak = (code: number): boolean => code === 0x0a || code === 0x0d;
const inName = (code: number): boolean => isWordCharacter(code) || code === 0x5f || code === 0x2d || code === 0x2e;

// The same words as in the patterns, one by one, longest first: what stands at a start is found again by them.
const passwordNames = expand(passwords);
const keyNames = expand(keys);

/** All strings that a pattern of words, one-of classes, optional parts and groups matches, by the code of their first character. */
function expand(pattern: string): ReadonlyMap<number, readonly string[]> {
  let at = 0;
  const alternation = (): string[] => {
    let all = sequence();
    while (pattern[at] === '|') {
      at += 1;
      all = [...all, ...sequence()];
    }
    return all;
  };
  const sequence = (): string[] => {
    let all = [''];
    while (at < pattern.length && pattern[at] !== '|' && pattern[at] !== ')') {
      let own: string[];
      if (pattern.startsWith('(?:', at)) {
        at += 3;
        own = alternation();
        at += 1;
      } else if (pattern[at] === '[') {
        const end = pattern.indexOf(']', at);
        own = [...pattern.slice(at + 1, end)];
        at = end + 1;
      } else own = [pattern[at++] ?? ''];
      if (pattern[at] === '?') {
        own = [...own, ''];
        at += 1;
      }
      all = all.flatMap((head) => own.map((tail) => head + tail));
    }
    return all;
  };
  const all = alternation().sort((a, b) => b.length - a.length);
  return Map.groupBy(all, (one) => one.charCodeAt(0));
}

function nameEnd(text: string, start: number, names: ReadonlyMap<number, readonly string[]>): number {
  for (const name of names.get(lower(text.charCodeAt(start))) ?? [])
    if (standsAt(text, start, name)) return start + name.length;
  return -1;
}

/** A part of a name that says that its value is about a secret, and none. */
const about = [
  'file',
  'path',
  'dir',
  'name',
  'id',
  'url',
  'uri',
  'hash',
  'len',
  'length',
  'size',
  'type',
  'field',
  'label',
  'policy',
  'expir',
  'count',
  'limit',
  'prompt',
  'hint',
  'placeholder',
  'reset',
  'regex',
  'pattern',
  'min',
  'max',
  'required',
  'valid',
  'error',
  'title',
  'text',
  'input',
  'ttl',
  'issuer',
  'endpoint',
  'ref',
  'scheme',
  'version',
  'manager',
  'provider',
  'store',
  'algorithm',
  'format',
  'mode',
  'enabled',
  'index',
  'strength',
  'rotation',
  'usage',
  'budget',
  'class',
  'selector',
  'arn',
  'env',
  'header',
  'message',
  'desc',
  'help',
  'link',
  'info',
  'page',
  'grant',
  'kind',
  'position',
  'start',
  'end',
  'set',
  'get',
  'has',
  'is',
  'changed',
  'date',
  'time',
  'at',
];

/** Of a name's rest, `_FILE` or `Length`: does one of its parts say so? */
function isAbout(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    const before = text.charCodeAt(at - 1);
    if (!isLetter(code) || (at > from && isLetter(before) && !(isUpper(code) && isLower(before)))) continue;
    for (const word of about) {
      if (!standsAt(text, at, word)) continue;
      const after = text.charCodeAt(at + word.length);
      const last = text.charCodeAt(at + word.length - 1);
      // `expir` is a stem, all others are whole parts.
      if (word === 'expir' || !isLetter(after) || (isUpper(after) && isLower(last)) || lower(after) === 0x73)
        return true;
    }
  }
  return false;
}

/** Where the name ends that begins at `start`; -1 where it is none, or that of something about a secret. */
function readName(text: string, start: number): number {
  let at = nameEnd(text, start, passwordNames);
  parsed.isPassword = at >= 0;
  if (at < 0) at = nameEnd(text, start, keyNames);
  if (at < 0) return -1;
  const name = at;
  if (isInWord(text, start) && isShortName(text, start, name)) return -1;
  // `passed`, `tokenizer`, `secretary`: the word goes on.
  if (isLower(text.charCodeAt(name)) && (isLower(text.charCodeAt(name - 1)) || parsed.isPassword)) return -1;
  while (inName(text.charCodeAt(at)) && at - name < longestSuffix) at += 1;
  return isAbout(text, name, at) ? -1 : at;
}

/** A letter before it that is no border of camel case. */
function isInWord(text: string, start: number): boolean {
  const first = text.charCodeAt(start);
  const before = text.charCodeAt(start - 1);
  return isLetter(before) && isLetter(first) && !(isUpper(first) && isLower(before));
}

function parse(text: string, start: number, limit: number): boolean {
  const nameTo = readName(text, start);
  if (nameTo < 0) return false;
  const operator = afterQuote(text, nameTo);
  let at = afterOperator(text, operator);
  if (at < 0) return false;
  readOperator(text, operator, at);
  const tight = at === nameTo + 1 && text.charCodeAt(nameTo) === 0x3d;
  parsed.inList = tight && followsSemicolon(text, start);
  parsed.byColon = text.charCodeAt(at - 1) === 0x3a && isSpace(text.charCodeAt(at));
  parsed.environment = tight && !isLower(text.charCodeAt(nameTo - 1)) && isUpper(text.charCodeAt(start));
  for (let spaces = 0; spaces < 3 && isSpace(text.charCodeAt(at)); spaces += 1) at += 1;
  if (text.charCodeAt(at) === 0x28) {
    at += 1;
    parsed.inQuotes = true;
  }
  const opening = text.charCodeAt(at) === 0x5c ? at + 1 : at;
  const code = text.charCodeAt(opening);
  parsed.quote = isQuote(code) ? code : 0;
  parsed.escaped = parsed.quote !== 0 && opening > at;
  parsed.value = parsed.quote === 0 ? at : opening + 1;
  return parsed.value < limit;
}

function readOperator(text: string, from: number, to: number): void {
  parsed.given = parsed.inQuotes = parsed.inTags = false;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (isSpace(code)) continue;
    parsed.given = true;
    if (code === 0x2c || code === 0x28 || code === 0x7c || code === 0x3f) parsed.inQuotes = true;
    if (code === 0x3e) parsed.inTags = text.charCodeAt(at - 1) !== 0x3d;
    if (code === 0x3d && text.charCodeAt(at - 1) === 0x3d) parsed.inQuotes = true;
  }
  // `, "value":` gives a value of any kind.
  if (text.charCodeAt(to - 1) === 0x3a) parsed.inQuotes = false;
}

/** Back over the name's own beginning and spaces. */
function followsSemicolon(text: string, start: number): boolean {
  let at = start - 1;
  while (at > start - 22 && (isLetter(text.charCodeAt(at)) || text.charCodeAt(at) === 0x20)) at -= 1;
  return text.charCodeAt(at) === 0x3b;
}

/** `pass`, `pwd`, `psw`, `senha` end many words. */
const isShortName = (text: string, start: number, end: number): boolean =>
  end - start <= 5 || standsAt(text, start, 'token');

function afterQuote(text: string, from: number): number {
  const at = text.charCodeAt(from) === 0x5c ? from + 1 : from;
  return isQuote(text.charCodeAt(at)) ? at + 1 : from;
}

/** Behind the sign that gives a value, as `operators` have them; -1 for none. */
function afterOperator(text: string, from: number): number {
  // In the order of how much they take.
  if (text.charCodeAt(from) === 0x5b) return afterIndex(text, from + 1);
  if (text.startsWith(' value=', from)) return from + 7;
  const said = text.startsWith(' is', from) ? from + 3 : text.startsWith(' was', from) ? from + 4 : -1;
  if (said >= 0 && text.charCodeAt(said) === 0x3a) return said + 1;
  const broken = afterVariable(text, from);
  if (broken >= 0) return broken;
  const typed = afterType(text, from);
  if (typed >= 0) return typed;
  let at = from;
  while (isSpace(text.charCodeAt(at)) && at - from < 2) at += 1;
  const sign = signLength(text, at);
  return sign > 0 || at > from ? at + sign : -1;
}

/** `:` `:=` `=` `=>` `==` `===` `?=` `||` `??` `>` `,` `(`. */
function signLength(text: string, at: number): number {
  const code = text.charCodeAt(at);
  const next = text.charCodeAt(at + 1);
  if (code === 0x3a) return next === 0x3d ? 2 : 1;
  if (code === 0x3d) {
    if (next !== 0x3e && next !== 0x3d) return 1;
    return text.charCodeAt(at + 2) === 0x3d ? 3 : 2;
  }
  if (code === 0x3f) return next === 0x3d || next === 0x3f ? 2 : 0;
  if (code === 0x7c) return next === 0x7c ? 2 : 0;
  return code === 0x3e || code === 0x2c || code === 0x28 ? 1 : 0;
}

/** `16] =`. */
function afterIndex(text: string, from: number): number {
  let at = from;
  while (at - from < 3 && isDigit(text.charCodeAt(at))) at += 1;
  if (text.charCodeAt(at) !== 0x5d) return -1;
  at = afterSpaces(text, at + 1);
  return text.charCodeAt(at) === 0x3d ? at + 1 : -1;
}

/** At most two. */
function afterSpaces(text: string, from: number): number {
  let at = from;
  while (at - from < 2 && text.charCodeAt(at) === 0x20) at += 1;
  return at;
}

/** `, "value":` or a line with `value:`. */
function afterVariable(text: string, from: number): number {
  let at = from;
  const first = text.charCodeAt(at);
  if (first !== 0x2c && !isBreak(first)) return -1;
  at += 1;
  while (at - from < 13 && (isSpace(text.charCodeAt(at)) || isBreak(text.charCodeAt(at)))) at += 1;
  at = afterQuote(text, at);
  if (!standsAt(text, at, 'value')) return -1;
  at = afterQuote(text, at + 5);
  return text.charCodeAt(at) === 0x3a ? at + 1 : -1;
}

/** `: string =`. */
function afterType(text: string, from: number): number {
  let at = from;
  if (text.charCodeAt(at) !== 0x3a) return -1;
  at += 1;
  if (text.charCodeAt(at) === 0x20) at += 1;
  const type = at;
  while (at - type < 13 && isLetter(text.charCodeAt(at))) at += 1;
  if (at - type < 3 || at - type > 12) return -1;
  at = afterSpaces(text, at);
  return text.charCodeAt(at) === 0x3d ? at + 1 : -1;
}

/** Where the value ends, by how it is written: at most `longest` characters on; -1 where it goes on. */
function valueEnd(text: string): number {
  return parsed.quote !== 0 ? quotedEnd(text) : bareEnd(text);
}

function quotedEnd(text: string): number {
  const { value, quote: closing, escaped } = parsed;
  for (let at = value; at <= value + longest; at += 1) {
    const code = text.charCodeAt(at);
    if (Number.isNaN(code)) return at;
    if (isBreak(code) || (escaped && code === closing)) return -1;
    if (code === closing) return at;
    if (code !== 0x5c) continue;
    if (escaped && text.charCodeAt(at + 1) === closing) return at;
    at += 1;
  }
  return -1;
}

function bareEnd(text: string): number {
  const { value, inQuotes, inTags, environment, inList, byColon } = parsed;
  if (inQuotes) return -1;
  let at = value;
  while (at <= value + longest && !closesBare(text.charCodeAt(at))) at += 1;
  if (at > value + longest || (inTags && text.charCodeAt(at) !== 0x3c)) return -1;
  if (environment || inTags) return at;
  if (inList) return firstOf(text, value, at, isSemicolon);
  const toBreak = byColon && (at >= text.length || isBreak(text.charCodeAt(at)));
  while (at > value && isTrailing(text.charCodeAt(at - 1))) at -= 1;
  // Brackets, `,`, `;`, `&`, `|` and a backslash end a bare value, but for YAML's to a line's end.
  return toBreak ? at : firstOf(text, value, at, isStop);
}

const closesBare = (code: number): boolean => !(code > 0x20) || isQuote(code) || code === 0x3c || code === 0x3e;
const isSemicolon = (code: number): boolean => code === 0x3b;

/** The first character of the kind in `[from, to)`; `to` without one. */
function firstOf(text: string, from: number, to: number, one: (code: number) => boolean): number {
  for (let at = from; at < to; at += 1) if (one(text.charCodeAt(at))) return at;
  return to;
}

function holds(text: string, from: number, to: number, code: number): boolean {
  for (let at = from; at < to; at += 1) if (text.charCodeAt(at) === code) return true;
  return false;
}

const isStop = (code: number): boolean =>
  code === 0x2c ||
  code === 0x3b ||
  code === 0x26 ||
  code === 0x7c ||
  code === 0x5c ||
  code === 0x28 ||
  code === 0x29 ||
  code === 0x5b ||
  code === 0x5d ||
  code === 0x7b ||
  code === 0x7d;
/** Of the sentence, not of the value. */
const isTrailing = (code: number): boolean => code === 0x2e || isStop(code);

function isSecret(text: string, start: number, end: number): boolean {
  const { value } = parsed;
  // What a call, a look-up or a template gives is not written here.
  const after = text.charCodeAt(end);
  if (parsed.quote === 0 && (after === 0x28 || after === 0x5b || after === 0x7b)) return false;
  if (isFiller(text, value, end)) return false;
  return parsed.isPassword ? isPassword(text, start, end) : isKey(text, end);
}

function isPassword(text: string, start: number, end: number): boolean {
  const { value, environment } = parsed;
  const quoted = parsed.quote !== 0;
  const { length, digits, others, distinct } = count(text, value, end);
  if (length < 4) return false;
  if (digits === length) return distinct > 1 && parsed.given && (quoted || environment || length >= 6);
  if (distinct < 3 || !isGiven(text, start)) return false;
  if (holdsSpace(text, value, end)) return quoted && digits > 0 && others > 1 && !isSentence(text, value, end);
  if (isIdentifier(text, value, end)) return isNamedPassword(text, end);
  return quoted || environment || length >= 6;
}

/** What could be a name of code, too: of letters, joined by `_` `.` `-` `:`, with two digits at its end at most. */
function isNamedPassword(text: string, end: number): boolean {
  const { value, environment } = parsed;
  const quoted = parsed.quote !== 0;
  const { length, digits, others } = count(text, value, end);
  if (others > 0) return environment && digits > 0;
  if (digits === 0) return environment || (quoted && isPlainWord(text, value, end));
  return quoted || environment || length >= 12 || (length >= 6 && digits > 1);
}

/** By a sign, by quotes, or as an option. */
const isGiven = (text: string, start: number): boolean =>
  parsed.given || parsed.quote !== 0 || optionBefore(text, start);

/** Six letters or more, as nobody writes a name of code or a title. */
const isPlainWord = (text: string, from: number, to: number): boolean => to - from >= 6 && !isCamel(text, from, to);

function isKey(text: string, end: number): boolean {
  const { value, environment, given } = parsed;
  if (!given) return false;
  const { length, digits, uppers, lowers } = count(text, value, end);
  if (length < 8 || holdsSpace(text, value, end) || !isRandom(text, value, end)) return false;
  if (isIdentifier(text, value, end) && !(uppers >= 4 && lowers >= 4 && digits + uppers > length / 4)) return false;
  return digits >= 2 || environment || (length >= 16 && uppers * 5 >= length && lowers * 5 >= length);
}

const holdsSpace = (text: string, from: number, to: number): boolean => holds(text, from, to, 0x20);

/** Two words of small letters, or next to nothing. */
function isSentence(text: string, from: number, to: number): boolean {
  if (to - from < 8) return true;
  let words = 0;
  let row = 0;
  for (let at = from; at <= to; at += 1) {
    if (at < to && isLower(text.charCodeAt(at))) row += 1;
    else {
      if (row >= 3) words += 1;
      row = 0;
    }
  }
  return words >= 2;
}

/** A small letter before a capital, twice or with nothing but letters: a name of code. */
function isCamel(text: string, from: number, to: number): boolean {
  for (let at = from + 1; at < to; at += 1) {
    if (isUpper(text.charCodeAt(at)) && isLower(text.charCodeAt(at - 1))) return true;
  }
  return isUpper(text.charCodeAt(from));
}

/** `--password x`, `--db-password x`: back over the option's own name. */
function optionBefore(text: string, start: number): boolean {
  for (let at = start - 1; at > start - 24; at -= 1) {
    const code = text.charCodeAt(at);
    if (code === 0x2d && text.charCodeAt(at - 1) === 0x2d) return true;
    if (!isLetter(code) && code !== 0x2d && code !== 0x5f) return false;
  }
  return false;
}

/** Of a page token (`nextPageToken`) and of a request's own (`csrf`) nothing is secret. */
function isOfPage(text: string, start: number): boolean {
  return standsAt(text, start - 4, 'page') || standsAt(text, start - 5, 'page_') || standsAt(text, start - 5, 'page-');
}

/** Reads what stands at `start`; is `end` behind the value's first character? */
const opens = (text: string, start: number, end: number): boolean =>
  parse(text, start, end) && end === parsed.value + 1;

export const assigned: Detector = {
  name: 'Credential',
  pattern: `(?i:${passwords}|${keys})[0-9A-Za-z_.-]{0,${longestSuffix}}${quote}(?:(?:${operators.join('|')})${gap}${opening}|${quotedOperators}${gap}${quotedOpening})`,
  maxLength: 20 + longestSuffix + 2 + 21 + 4 + 2 + 1,
  left: 24,
  right: longest + 1,
  verdict: likelyAsTold,
  accept(text, start, end) {
    if (!opens(text, start, end) || isOfPage(text, start)) return false;
    const to = valueEnd(text);
    return to > parsed.value && isSecret(text, start, to);
  },
  from: (text, start, end) => (opens(text, start, end) ? parsed.value : start),
  to(text, start, end) {
    const to = opens(text, start, end) ? valueEnd(text) : end;
    return Math.max(to, end);
  },
  // From the assignment on a cut candidate is worth hiding, not the name alone.
  significant: (code) => isDigit(code) || code === 0x3a || code === 0x3d || code === 0x3e,
  leastSignificant: 4,
};
