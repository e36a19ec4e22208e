/**
 * Classes of ASCII, as bits of one number: the value of a character in base64 (low six bits; both alphabets, RFC 4648 sections 4 and 5),
 * {@link isLetter} of base64, {@link isDigit} of hex with its value above, and at {@link markShift} whether it is a mark.
 */
const classes = new Uint16Array(128);

export const isLetter = 0x40;
export const isDigit = 0x80;
export const digitShift = 8;
/** Capitals, digits and signs of base64: any text has them in either encoding, every second character or so; words have few. */
export const markShift = 12;
const isMark = 1 << markShift;

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
for (const [value, char] of Array.from(`${letters}+/`).entries()) {
  classes[char.charCodeAt(0)] = isLetter | value | (value >= 26 && value < 52 ? 0 : isMark);
}
for (const [char, value] of [['-', 62] as const, ['_', 63] as const]) {
  classes[char.charCodeAt(0)] = isLetter | isMark | value;
}
for (const char of '0123456789abcdefABCDEF') {
  const code = char.charCodeAt(0);
  classes[code] = (classes[code] ?? 0) | isDigit | (parseInt(char, 16) << digitShift);
}

/** The class of a UTF-16 unit; 0 for what is in no alphabet. */
export const classOf = (code: number): number => (code < 128 ? (classes[code] ?? 0) : 0);
