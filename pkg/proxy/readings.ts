import { mayReadOtherwise, otherReadings } from '../detect/index.ts';

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

/** Stands in the record for a whole text that holds something in disguise. */
export const withheld = '[disguised]';
