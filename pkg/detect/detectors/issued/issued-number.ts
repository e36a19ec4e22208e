import type { DetectorName } from '../../../core/index.ts';
import type { Detector } from '../../detector.ts';
import {
  certainAsTold,
  likelyAsTold,
  likelyByCheckDigits,
  likelyBySpelling,
  possiblyAnother,
  possibleByCheckDigits,
} from '../../verdict.ts';
import type { Verdict } from '../../verdict.ts';
import { toldLeft } from '../../scan/telling.ts';
import { edgeReach, isDigit, isWordCharacter, lower } from '../characters.ts';
import { followsOtherWord } from '../other-word.ts';

/**
 * A number that an authority issues to a person or a firm: what its specification says of its characters, and what must stand beside it
 * where that is not enough. A check digit alone passes one number in ten, so that bare digits are only possible where no word tells.
 */
interface Issued {
  readonly name: DetectorName;
  /** Fewest letters and digits of a number. */
  readonly least: number;
  /** Words that tell of it (scan/telling.ts). */
  readonly telling: readonly string[];
  /** Is it one? `characters`: its letters (lower case) and digits as ASCII codes, of which `length` count. It must not be kept. */
  readonly valid: (characters: Uint8Array, length: number) => boolean;
  /** Without check digits: nothing but its spelling and words tell of it. Default: false. */
  readonly unchecked?: true;
}

/** Of digits alone, in the spellings given: `#` a digit, between them one of space `-` `.` `/` `+`. */
export interface DigitNumber extends Issued {
  /** Found wherever they stand. */
  readonly alone?: readonly string[];
  /** Found behind a word that tells. */
  readonly told?: readonly string[];
}

/** Of a shape of its own. */
export interface ShapedNumber extends Issued {
  /** RE2 without assertions; letters in either case where they are written so. */
  readonly pattern: string;
  /** Code points of the longest match. */
  readonly maxLength: number;
  /** Whether the number as it is spelled says enough, so that no word need tell. Default: never. */
  readonly alone?: (text: string, start: number, end: number) => boolean;
}

// One for all calls: accept functions allocate nothing, and nothing here is re-entered.
const characters = new Uint8Array(64);

function read(text: string, start: number, end: number): number {
  let length = 0;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isWordCharacter(code)) characters[length++] = lower(code);
  }
  return length;
}

/** Joins what stands on either side to one number, name, address or path: `- . / : + # @ = & \` */
const leadsOn = (code: number): boolean =>
  code === 0x2b ||
  (code >= 0x2d && code <= 0x2f) ||
  code === 0x3a ||
  code === 0x23 ||
  code === 0x40 ||
  code === 0x26 ||
  code === 0x5c;

/** A part of a longer number: beside a digit of it a further group, in digits. */
function goesOn(text: string, start: number, end: number): boolean {
  return (
    (isDigit(text.charCodeAt(start - 2)) && joins(text, start - 1, start, end)) ||
    (isDigit(text.charCodeAt(end + 1)) && joins(text, end, start, end))
  );
}

/**
 * Whether what stands at `at`, beside the number, joins a digit there to it. A comma ends a column of a number that has letters or separators
 * of its own; a space does of one that is not grouped by spaces, and beside a letter.
 */
function joins(text: string, at: number, start: number, end: number): boolean {
  const code = text.charCodeAt(at);
  if (code === 0x2c) return isBare(text, start, end);
  if (code !== 0x20) return leadsOn(code);
  return isDigit(text.charCodeAt(at < start ? start : end - 1)) && holdsSpace(text, start, end);
}

/** Of digits alone. */
function isBare(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (!isDigit(text.charCodeAt(at))) return false;
  return true;
}

function holdsSpace(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (text.charCodeAt(at) === 0x20) return true;
  return false;
}

/** Space and context that all of them read. */
const around = { left: toldLeft, right: edgeReach, atWord: true } as const;

/** Digits of the shortest and the longest of them, and their pattern: one form (scan/unit.ts), so that they are sought once. */
const fewest = 8;
const most = 15;
const digits = `[0-9](?:[ ./+-]?[0-9]){${fewest - 1},${most - 1}}`;

const separators = ' -./+';
/** A spelling as a number: for each group eight times its length, and its separator. 49 bits hold seven groups. */
const spellingOf = (mask: string): number => {
  let spelling = 0;
  for (const group of mask.match(/#+[^#]?/g) ?? []) {
    const separator = group.endsWith('#') ? 0 : separators.indexOf(group.slice(-1)) + 1;
    const length = group.length - (separator === 0 ? 0 : 1);
    spelling = spelling * 128 + length * 8 + separator;
  }
  return spelling;
};

/** The same of what stands in `[start, end)`; 0 for what no mask can say. */
function spelled(text: string, start: number, end: number): number {
  let spelling = 0;
  let length = 0;
  let groups = 1;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isDigit(code)) {
      length += 1;
      continue;
    }
    groups += 1;
    if (groups > 7) return 0;
    spelling =
      spelling * 128 +
      length * 8 +
      1 +
      (code === 0x20 ? 0 : code === 0x2d ? 1 : code === 0x2e ? 2 : code === 0x2f ? 3 : 4);
    length = 0;
  }
  return spelling * 128 + length * 8;
}

/** What its surroundings, its spelling and its check digits come to where these hold; false: nothing. */
function verdictOf(isTold: boolean, isAlone: boolean, unchecked: boolean): Verdict | false {
  if (isTold) return unchecked && !isAlone ? likelyAsTold : certainAsTold;
  if (isAlone) return unchecked ? likelyBySpelling : likelyByCheckDigits;
  return !unchecked && possibleByCheckDigits;
}

/** The same where a word before it makes it another number: that takes from what only its spelling says. */
const unlessAnother = (verdict: Verdict | false, text: string, start: number): Verdict | false =>
  verdict === likelyBySpelling && followsOtherWord(text, start) ? possiblyAnother : verdict;

/** From here on, where no spelling says enough, a word must. */
const wordWanted = (alone: boolean, unchecked: boolean): boolean | 'Likely' => !alone && (unchecked || 'Likely');

export function digitNumber(one: DigitNumber): Detector {
  const alone = new Set((one.alone ?? []).map(spellingOf));
  const told = new Set([...(one.told ?? []), ...(one.alone ?? [])].map(spellingOf));
  const unchecked = one.unchecked === true;
  return {
    name: one.name,
    pattern: digits,
    maxLength: 2 * most - 1,
    ...around,
    telling: { words: one.telling, required: wordWanted(alone.size > 0, unchecked) },
    spellings: { of: spelled, taken: told },
    accept(text, start, end, isTold, least) {
      const spelling = spelled(text, start, end);
      if (!told.has(spelling)) return false;
      const verdict = unlessAnother(verdictOf(isTold, alone.has(spelling), unchecked), text, start);
      if (verdict === false || verdict.level < least || (!isTold && goesOn(text, start, end))) return false;
      return one.valid(characters, read(text, start, end)) && verdict;
    },
    significant: isDigit,
    leastSignificant: one.least,
  };
}

export function shapedNumber(one: ShapedNumber): Detector {
  const { alone } = one;
  const unchecked = one.unchecked === true;
  return {
    name: one.name,
    pattern: one.pattern,
    maxLength: one.maxLength,
    ...around,
    telling: { words: one.telling, required: wordWanted(alone !== undefined, unchecked) },
    accept(text, start, end, isTold, least) {
      const verdict = unlessAnother(verdictOf(isTold, alone?.(text, start, end) === true, unchecked), text, start);
      if (verdict === false || verdict.level < least || (!isTold && goesOn(text, start, end))) return false;
      return one.valid(characters, read(text, start, end)) && verdict;
    },
    significant: isWordCharacter,
    leastSignificant: one.least,
  };
}

// --- how a shaped number is spelled

/** With a separator somewhere in it. */
export function grouped(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (!isWordCharacter(text.charCodeAt(at))) return true;
  return false;
}

/** Its letters are capitals. */
export function inCapitals(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 0x61 && code <= 0x7a) return false;
  }
  return true;
}
