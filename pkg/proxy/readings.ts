import { mayReadOtherwise, otherReadings } from '../detect/index.ts';
import type { LaneEnd, View } from '../detect/index.ts';
import type { CleanTexts } from './clean-texts.ts';

/**
 * A target or header value as it came, and as servers, clients and models read it: as UTF-8, with the escapes of URLs undone, which some do twice,
 * with those of JSON and HTML, and in their other readings. The first is the text itself.
 */
export function readings(text: string): readonly string[] {
  const texts = [...decodings(text)];
  const bytes = /[\x80-\xff]/.test(text) ? asUtf8(text) : text;
  if (bytes !== text) texts.push(...decodings(bytes));
  const spelled = texts.filter((one) => mayReadOtherwise(one)).flatMap((one) => [...otherReadings(one)]);
  return [...texts, ...spelled.filter((one) => one !== undefined).map((one) => one.text)];
}

/** Headers are handed over as Latin-1: a unit for each byte. */
const asUtf8 = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

function decodings(text: string): readonly string[] {
  const texts = [text];
  let read = text.replaceAll('+', ' ');
  for (let round = 0; round < 3; round++) {
    const decoded = read.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
    );
    if (decoded !== texts.at(-1)) texts.push(decoded);
    if (decoded === read) break;
    read = decoded;
  }
  return texts;
}

/** Characters that are recorded of a path, of a model's name, of a key. */
const longestName = 256;

/** A short text of the caller's or the model's outside of its lanes as it is recorded, in all its readings. @param clean where `record` finds nothing. */
export function forRecord(record: View, clean: CleanTexts, text: string, end: LaneEnd = 'complete'): string {
  if (clean.has(text)) return text;
  const masked = (one: string): string => record.mask(one, 'prose', end).text;
  const [, ...others] = readings(text);
  if (others.some((one) => masked(one) !== one)) return withheld;
  const kept = masked(text);
  if (kept === text) clean.add(text);
  return kept;
}

/** The same of a name: of a long one, which costs milliseconds of the event loop in all its readings, the beginning, and `…`. */
export const nameForRecord = (record: View, clean: CleanTexts, text: string): string =>
  text.length <= longestName ? forRecord(record, clean, text) : `${forRecord(record, clean, beginning(text), 'cut')}…`;

/** What is recorded of a long name, before it is read. */
export const beginning = (text: string): string => text.slice(0, longestName).toWellFormed();

/** Stands in the record for a whole text that holds something in disguise. */
export const withheld = '[disguised]';
