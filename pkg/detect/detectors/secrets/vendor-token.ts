import type { Detector } from '../../detector.ts';
import { certainByCheckDigits, certainByPrefix, likelyAsTold, likelyByFormat } from '../../verdict.ts';
import type { Verdict } from '../../verdict.ts';
import { isDigit, isLetter, isLower, isUpper, isWordCharacter, standsAt } from '../characters.ts';
import { count, isRandom } from './randomness.ts';
import { holdsChecksum } from './checksum.ts';
import { hasShape, shape, shapeEnd, shortestPattern, tokenClass, within, wordClass } from './shape.ts';
import type { Shape } from './shape.ts';
import { endless, long, marked, prefixed, toldKinds } from './token-kinds.ts';
import type { TokenKind } from './token-kinds.ts';
import { holdsFiller } from './fillers.ts';

// Tokens of vendors, all kinds of token-kinds.ts, in three forms:
//   bounded  a prefix (or a mark within) and a body of the length and the characters that its vendor gives it, which looks drawn: no words,
//            no fillers. Where characters of its own go on behind it, the vendor's tokens may have grown, or a word is glued to it: it is
//            one where its length is a range or its prefix says enough, and covered to where they end (the right context at most).
//   endless  a prefix and sixteen characters, or as many as its kind asks for; from there on all of base64 and base64url, however long.
//   told     a value of a vendor's length behind a name that holds the vendor's, and an assignment.
// Coverage: the token; of an address that holds one (a webhook) what stands behind the host; of a told one the value.
// Limit: tokens without a prefix whose vendor no name tells of (see GenericApiKey, SecretValue).

interface Row {
  readonly kind: TokenKind;
  readonly prefix: string;
  readonly body: Shape;
  /** The prefix is so long, and has a sign in it, that it says what it is also with a letter before it or behind the token. */
  readonly tells: boolean;
}

interface Node {
  readonly next: Map<number, Node>;
  readonly rows: Row[];
}

const node = (): Node => ({ next: new Map(), rows: [] });

const tells = (prefix: string): boolean => prefix.length >= 5 && /[-_.]/.test(prefix);

const rows: readonly Row[] = prefixed.flatMap((kind) =>
  kind.prefixes.map((prefix) => ({ kind, prefix, body: shape(kind.body), tells: tells(prefix) })),
);
const marks: readonly Row[] = marked.map((kind) => ({ kind, prefix: '', body: shape(kind.body), tells: false }));

const byPrefix = node();
for (const row of rows) {
  let at = byPrefix;
  for (let index = 0; index < row.prefix.length; index += 1) {
    const code = row.prefix.charCodeAt(index);
    let next = at.next.get(code);
    if (next === undefined) at.next.set(code, (next = node()));
    at = next;
  }
  at.rows.push(row);
}

// --- the pattern: prefixes whose bodies begin alike share one body

const escape = (text: string): string => text.replace(/[^0-9A-Za-z]/g, '\\$&');

/** So much of a body at most is of the pattern: that it goes on as it must is seen when it is judged. */
const longestOpener = 40;
const openerOf = ({ body }: Row): number => Math.min(body.shortest, longestOpener);
const reach =
  Math.max(
    ...rows.map((row) => row.body.longest - openerOf(row)),
    ...marks.map(({ body }) => body.longest - body.shortest),
  ) + 1;

function sourceOf({ body }: Row): string {
  if (within(body, wordClass)) return '[0-9A-Za-z]';
  return within(body, tokenClass) ? '[0-9A-Za-z_-]' : '[0-9A-Za-z_.=+/:!$%@-]';
}

function boundedPattern(): { readonly pattern: string; readonly maxLength: number } {
  const groups = Map.groupBy(rows, (row) => `${sourceOf(row)}{${openerOf(row)}}`);
  const parts = [...groups].map(
    ([body, own]) => `(?:${[...new Set(own.map((row) => escape(row.prefix)))].join('|')})${body}`,
  );
  const lengths = rows.map((row) => row.prefix.length + openerOf(row));
  return {
    pattern: [...parts, ...marks.map(({ body }) => shortestPattern(body))].join('|'),
    maxLength: Math.max(...lengths, ...marks.map(({ body }) => body.longest)),
  };
}

// --- judging

/** A word does not reach into the token from the left; an escape (`\n`) does not count as one. */
function beginsApart(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 1);
  if (!isWordCharacter(before)) return true;
  return (before === 0x6e || before === 0x72 || before === 0x74) && text.charCodeAt(start - 2) === 0x5c;
}

const inBase64 = (code: number): boolean =>
  isWordCharacter(code) || code === 0x5f || code === 0x2d || code === 0x2b || code === 0x2f || code === 0x3d;
const inValue = (code: number): boolean => inBase64(code) || code === 0x2e || code === 0x3a;

/** A prefix so short may begin a word: what follows must be of both cases, with a digit. */
const shortPrefix = 5;

/** Where the token of the row ends that begins at `start`; -1 for none. */
function tokenEnd(row: Row, text: string, start: number): number {
  const end = shapeEnd(row.body, text, start + row.prefix.length);
  return end >= 0 && !goesOn(row, text, end) && isDrawn(row, text, start, end) ? end : -1;
}

/** The same of one that goes on behind its longest body. */
function grownEnd(row: Row, text: string, start: number): number {
  const { prefix, body } = row;
  if (!body.ranged && !row.tells) return -1;
  const from = start + prefix.length;
  const end = shapeEnd(body, text, from);
  if (end < 0 || !goesOn(row, text, end) || !isDrawn(row, text, start, end)) return -1;
  const last = from + openerOf(row) + reach;
  let at = end;
  while (at < last && goesOn(row, text, at)) at += 1;
  return at;
}

const goesOn = ({ body }: Row, text: string, end: number): boolean => {
  const after = text.charCodeAt(end);
  return isWordCharacter(after) || (body.lastClass(after) && after !== 0x2e);
};

function isDrawn({ prefix, body }: Row, text: string, start: number, end: number): boolean {
  const from = start + prefix.length;
  if (!isRandom(text, from, end) || holdsFiller(text, from, end)) return false;
  if (prefix.length > shortPrefix || body.lastClass !== tokenClass) return true;
  const { digits, uppers, lowers } = count(text, from, end);
  return digits > 0 && uppers > 0 && lowers > 0;
}

function runEnd(text: string, from: number): number {
  let at = from;
  while (at < from + reach && inValue(text.charCodeAt(at))) at += 1;
  return at;
}

/** The row of which `[start, end)` is the opener: one whose token ends, before those whose token goes on. */
function rowAt(text: string, start: number, end: number): Row | undefined {
  for (const row of marks) if (beginsApart(text, start) && tokenEnd(row, text, start) >= end) return row;
  return rowBy(tokenEnd, text, start, end) ?? rowBy(grownEnd, text, start, end);
}

function rowBy(endOf: typeof tokenEnd, text: string, start: number, end: number): Row | undefined {
  const apart = beginsApart(text, start);
  let found: Row | undefined;
  let here: Node | undefined = byPrefix;
  for (let at = start; here !== undefined && at <= end; at += 1) {
    for (const row of here.rows) {
      if (at + openerOf(row) !== end) continue;
      const to = endOf(row, text, start);
      if (to >= end && (apart || row.tells || (row.kind.checksum !== undefined && holdsChecksum(text, to))))
        found = row;
    }
    here = here.next.get(text.charCodeAt(at));
  }
  return found;
}

function endOf(row: Row, text: string, start: number): number {
  const end = tokenEnd(row, text, start);
  return end < 0 ? grownEnd(row, text, start) : end;
}

function verdictOf({ kind, prefix }: Row, text: string, end: number): Verdict {
  if (kind.checksum === undefined) return prefix === '' ? likelyByFormat : certainByPrefix;
  return holdsChecksum(text, end) ? certainByCheckDigits : likelyByFormat;
}

// --- told by a vendor's name

interface ToldRow {
  readonly kind: string;
  readonly name: string;
  /** Its words. */
  readonly parts: readonly string[];
  readonly bodies: readonly Shape[];
}

const toldRows: readonly ToldRow[] = toldKinds.flatMap(({ kind, names, bodies: all }) =>
  names.map((name) => ({ kind, name, parts: name.split(' '), bodies: all.map(shape) })),
);

const longestGap = 24;
const longestTold = Math.max(...toldRows.flatMap((row) => row.bodies.map((body) => body.longest)));

const isSpaceOrTab = (code: number): boolean => code === 0x20 || code === 0x09;
const isQuote = (code: number): boolean => code === 0x22 || code === 0x27 || code === 0x60;
const inGap = (code: number): boolean =>
  isWordCharacter(code) || code === 0x5f || code === 0x2e || code === 0x2d || code === 0x20;
const isJoint = (code: number): boolean => code === 0x20 || code === 0x5f || code === 0x2e || code === 0x2d;

/** After a name, with what may stand for its spaces; -1 where it does not stand there. */
function afterName(text: string, start: number, parts: readonly string[]): number {
  let at = start;
  for (const part of parts) {
    if (at > start && isJoint(text.charCodeAt(at))) at += 1;
    if (!standsAt(text, at, part)) return -1;
    at += part.length;
  }
  return at;
}

/** At most three. */
function afterSpaces(text: string, from: number): number {
  let at = from;
  while (at - from < 3 && isSpaceOrTab(text.charCodeAt(at))) at += 1;
  return at;
}

/** Where the value of an assignment begins whose name goes on at `from`. */
function valueAfter(text: string, from: number): number {
  let at = from;
  while (at - from <= longestGap && inGap(text.charCodeAt(at))) at += 1;
  at = afterQuote(text, at);
  at = afterSpaces(text, at);
  if (text.charCodeAt(at) === 0x3a && text.charCodeAt(at + 1) === 0x3d) at += 2;
  else if (text.charCodeAt(at) === 0x3d && (text.charCodeAt(at + 1) === 0x3e || text.charCodeAt(at + 1) === 0x3d))
    at += 2;
  else at += 1;
  at = afterSpaces(text, at);
  return afterQuote(text, at);
}

function afterQuote(text: string, from: number): number {
  const at = text.charCodeAt(from) === 0x5c ? from + 1 : from;
  return isQuote(text.charCodeAt(at)) ? at + 1 : from;
}

/** Names of values that are no secrets, and look like some. */
const harmless = [
  'sha',
  'hash',
  'md5',
  'digest',
  'commit',
  'checksum',
  'trace',
  'span',
  'etag',
  'integrity',
  'version',
  'build',
  'image',
  'event',
  'release',
  'revision',
  'fingerprint',
];

function isHarmless(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    for (const word of harmless) if (standsAt(text, at, word)) return true;
  }
  return false;
}

/** Behind the value that begins there. */
function valueEnd(text: string, from: number): number {
  let at = from;
  while (at <= from + longestTold && inValue(text.charCodeAt(at))) at += 1;
  // A sentence's.
  while (at > from && (text.charCodeAt(at - 1) === 0x2e || text.charCodeAt(at - 1) === 0x3a)) at -= 1;
  return at;
}

/** `end` is behind the first character of a value. */
function toldAt(text: string, start: number, end: number): ToldRow | undefined {
  const before = text.charCodeAt(start - 1);
  if (isLetter(before) && !(isLower(before) && isUpper(text.charCodeAt(start)))) return undefined;
  for (const row of toldRows) {
    const gap = afterName(text, start, row.parts);
    if (gap < 0) continue;
    const value = valueAfter(text, gap);
    if (value !== end - 1) continue;
    const to = valueEnd(text, value);
    if (isHarmless(text, gap, value) || !isRandom(text, value, to) || holdsFiller(text, value, to)) continue;
    for (const body of row.bodies) if (hasShape(body, text, value, to)) return row;
  }
  return undefined;
}

const toldNames = [...new Set(toldRows.map((row) => row.name))];
const longestName = Math.max(...toldNames.map((name) => name.length));

const named: Detector = {
  name: 'VendorToken',
  pattern:
    `(?i:${toldNames.map((name) => name.replaceAll(' ', '[ _.-]?')).join('|')})[0-9A-Za-z_. -]{0,${longestGap}}` +
    // Behind a comma, which stands behind many words, only in quotes.
    `(?:\\\\?["'\`])?[ \\t]{0,3}(?:(?::=|=>|==?|[:>])[ \\t]{0,3}(?:\\\\?["'\`])?|,[ \\t]{0,3}\\\\?["'\`])` +
    '[0-9A-Za-z]',
  maxLength: longestName + longestGap + 13,
  left: 1,
  right: longestTold + 1,
  verdict: likelyAsTold,
  accept: (text, start, end) => toldAt(text, start, end) !== undefined,
  from: (_text, _start, end) => end - 1,
  to: (text, _start, end) => Math.max(end, valueEnd(text, end - 1)),
  // From the assignment on a cut candidate is worth hiding, not the name alone.
  significant: (code) => isDigit(code) || code === 0x3a || code === 0x3d || code === 0x3e,
  leastSignificant: 4,
};

// --- of any length

const openerLength = 16;

const unbounded: Detector = {
  name: 'VendorToken',
  pattern: `(?:${endless.flatMap(({ prefixes }) => prefixes.map(escape)).join('|')})[0-9A-Za-z+/=_-]{${openerLength}}`,
  maxLength: openerLength + Math.max(...endless.flatMap(({ prefixes }) => prefixes.map((prefix) => prefix.length))),
  left: 2,
  right: 0,
  verdict: certainByPrefix,
  accept: (text, start, end) => beginsApart(text, start) && isRandom(text, end - openerLength, end),
  significant: (code) => isUpper(code) || isDigit(code),
  leastSignificant: 6,
  open: { whileClass: inBase64 },
};

const longRows = long.flatMap(({ prefixes, body }) => prefixes.map((prefix) => ({ prefix, body: shape(body) })));

/** `end` is so far behind the prefix as its opener goes. */
function isLong(text: string, start: number, end: number): boolean {
  if (!beginsApart(text, start)) return false;
  for (const { prefix, body } of longRows) {
    if (end - start !== prefix.length + openerLength || !text.startsWith(prefix, start)) continue;
    const from = start + prefix.length;
    const to = shapeEnd(body, text, from);
    if (to >= 0 && isRandom(text, from, to) && !holdsFiller(text, from, to)) return true;
  }
  return false;
}

const longOnes: Detector = {
  name: 'VendorToken',
  pattern: `(?:${longRows.map(({ prefix }) => escape(prefix)).join('|')})[0-9A-Za-z+/=_-]{${openerLength}}`,
  maxLength: openerLength + Math.max(...longRows.map(({ prefix }) => prefix.length)),
  left: 2,
  right: Math.max(...longRows.map(({ body }) => body.shortest)) - openerLength,
  verdict: certainByPrefix,
  accept: isLong,
  significant: (code) => isUpper(code) || isDigit(code),
  leastSignificant: 6,
  open: { whileClass: inBase64 },
};

export const vendorToken: Detector = {
  name: 'VendorToken',
  ...boundedPattern(),
  left: 2,
  right: reach,
  accept(text, start, end) {
    const row = rowAt(text, start, end);
    return row === undefined ? false : verdictOf(row, text, endOf(row, text, start));
  },
  from(text, start, end) {
    const row = rowAt(text, start, end);
    return row?.kind.keepsPrefix === true ? start + row.prefix.length : start;
  },
  to(text, start, end) {
    const row = rowAt(text, start, end);
    // Of one that a cut left unfinished, what came.
    return row === undefined ? runEnd(text, end) : endOf(row, text, start);
  },
  // Of words behind a prefix that is one, nothing: capitals and digits tell.
  significant: (code) => isUpper(code) || isDigit(code),
  leastSignificant: 6,
  also: [unbounded, longOnes, named],
};
