import { isDigit, isUpper } from '../characters.ts';

// The checksum of GitHub's and npm's tokens: the last six of 36 characters are the CRC-32 (ISO 3309) of the thirty before, in base62
// (0-9 A-Z a-z), with leading zeros. From GitHub's account of its token formats of 2021.

const drawn = 30;
const digits = 6;

/** Value of a base62 digit. */
function base62(code: number): number {
  if (isDigit(code)) return code - 0x30;
  return isUpper(code) ? code - 0x41 + 10 : code - 0x61 + 36;
}

function crc32(text: string, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let at = from; at < to; at += 1) {
    crc ^= text.charCodeAt(at);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** Does the checksum hold of a token of letters and digits that ends at `end`? */
export function holdsChecksum(text: string, end: number): boolean {
  let sum = 0;
  for (let at = end - digits; at < end; at += 1) sum = sum * 62 + base62(text.charCodeAt(at));
  return sum === crc32(text, end - digits - drawn, end - digits);
}
