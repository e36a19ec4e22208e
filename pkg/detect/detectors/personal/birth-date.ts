import type { Detector } from '../../detector.ts';
import { likelyAsTold } from '../../verdict.ts';
import { TellingWords, toldLeft } from '../../scan/telling.ts';
import { edgeReach, isDigit, isLetter } from '../characters.ts';
import { isDay } from '../issued/check-digits.ts';

// Dates of birth: dates behind a word that tells of a birth; any other date is none. Year, month and day in either order with `.`, `/` or `-`, in
// eight digits, or with the month's name in the languages below. A year has four
// digits from 1890 to 2049, or two where it stands last.
// Limit: months by name in scripts other than Latin, dates with characters (`1984年3月12日`); ages; a day and a month without a year.

const months = [
  'january|february|march|april|may|june|july|august|september|october|november|december',
  'jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec',
  'januar|februar|marz|mai|juni|juli|oktober|dezember|mrz|okt|dez',
  'janvier|fevrier|mars|avril|juin|juillet|aout|septembre|octobre|novembre|decembre',
  'enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre',
  'gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre',
  'janeiro|fevereiro|marco|maio|junho|julho|setembro|outubro|novembro|dezembro',
  'januari|februari|maart|mei|augustus|maj|augusti|desember',
  'stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|wrzesnia|pazdziernika|listopada|grudnia',
].join('|');
const english =
  'january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec';

const numeric = '[0-9]{1,4} ?[./-] ?[0-9]{1,2} ?[./-] ?[0-9]{1,4}(?:T[0-9:.]{5,15}Z?)?|[0-9]{8}';
const dayFirst = `[0-9]{1,2}(?:st|nd|rd|th|er|\\.)?[ -]?(?:(?:of|de) )?(?i:${months})\\.?,?[ -]?(?:(?:de|del) )?[0-9]{4}`;
const monthFirst = `(?i:${english})\\.? [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}`;

const isYear = (year: number): boolean => year >= 1890 && year < 2050;

// Numbers of a candidate, and how many digits each has. One for all calls: nothing here is re-entered.
const numbers = new Int32Array(3);
const lengths = new Int32Array(3);

/** Reads up to three; returns their count, of which a time of day is none. */
function read(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end && count < 3;) {
    if (!isDigit(text.charCodeAt(at))) {
      at += 1;
      continue;
    }
    let value = 0;
    let length = 0;
    for (; at < end && isDigit(text.charCodeAt(at)); at += 1, length += 1)
      value = value * 10 + text.charCodeAt(at) - 0x30;
    numbers[count] = value;
    lengths[count] = length;
    count += 1;
  }
  return count;
}

/** In either order: a month is what can be one. */
const areDayAndMonth = (one: number, other: number): boolean => isDay(one, other) || isDay(other, one);

function isDate(text: string, start: number, end: number): boolean {
  const count = read(text, start, end);
  const first = numbers[0] as number;
  const second = numbers[1] as number;
  if (count === 1) return lengths[0] === 8 && inEightDigits(first);
  if (count === 2) return isYear(second) && first >= 1 && first <= 31;
  const third = numbers[2] as number;
  if (lengths[0] === 4) return isYear(first) && (lengths[2] as number) < 3 && isDay(second, third);
  const isLast = lengths[2] === 2 || (lengths[2] === 4 && isYear(third));
  return isLast && (lengths[0] as number) < 3 && areDayAndMonth(first, second);
}

/** Year, month and day, or the year last. */
function inEightDigits(number: number): boolean {
  const upper = Math.floor(number / 10_000);
  const rest = number % 10_000;
  if (isYear(upper) && isDay(Math.floor(rest / 100), rest % 100)) return true;
  return isYear(rest) && areDayAndMonth(Math.floor(upper / 100), upper % 100);
}

const words = [
  ...['dob', 'd o b', 'date of birth', 'birth date', 'birthdate', 'birthday', 'birth day', 'born', 'bday'],
  ...['geboren', 'geburtsdatum', 'geburtstag', 'geb', 'geb datum', 'naissance', 'date de naissance', 'ne le', 'nee le'],
  ...['nacimiento', 'fecha de nacimiento', 'nacido', 'nacida', 'nascita', 'data di nascita', 'nato il', 'nata il'],
  ...['nascimento', 'data de nascimento', 'nascido', 'nascida', 'geboortedatum', 'geboren op', 'fodselsdato'],
  ...['fodelsedatum', 'fodd', 'fodt', 'syntymaaika', 'syntynyt', 'data urodzenia', 'urodzony', 'urodzona'],
  ...['dogum tarihi', 'dogum', 'дата рождения', 'родился', 'родилась', '出生日期', '出生', '生日', '生年月日'],
  ...['生まれ', '생년월일', '생일', 'تاريخ الميلاد', 'जन्म तिथि', 'जन्मतिथि'],
];

/** Of one line of a text. */
const inLine = new TellingWords([words]);

/**
 * Words stand behind the last line break before it, and none of them tells: that of a line further up (`I was born ready`) is another's. Where
 * nothing but the date stands in its line, the word may stand in a line before.
 */
function isOfOtherLine(text: string, start: number): boolean {
  const left = text.slice(Math.max(0, start - toldLeft), start);
  const line = left.lastIndexOf('\n');
  if (line < 0) return false;
  const before = left.slice(line + 1);
  return anyLetter.test(before) && inLine.before(before, before.length)[0] === 0;
}
const anyLetter = /\p{L}/u;

/**
 * A further part of it stands behind: it is a version or a longer number (`20241121.3`, `2024-11-21-3`). What has another separator is another date
 * (`12/03/1980-13/04/1982`).
 */
function goesOn(text: string, start: number, end: number): boolean {
  const code = text.charCodeAt(end);
  if ((code !== 0x2e && code !== 0x2d && code !== 0x2f) || !isDigit(text.charCodeAt(end + 1))) return false;
  const own = separator.exec(text.slice(start, end))?.[0];
  return own === undefined || own.charCodeAt(0) === code;
}
const separator = /\D/u;

export const birthDate: Detector = {
  name: 'BirthDate',
  pattern: `${numeric}|${dayFirst}|${monthFirst}`,
  maxLength: 33,
  left: toldLeft,
  right: edgeReach,
  atWord: true,
  telling: {
    words,
    required: true,
  },
  accept: (text, start, end) =>
    isDate(text, start, end) && !goesOn(text, start, end) && !isOfOtherLine(text, start) && likelyAsTold,
  significant: (code) => isDigit(code) || isLetter(code),
  leastSignificant: 5,
};
