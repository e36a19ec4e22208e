import { isLower, isUpper, lower } from '../characters.ts';

// Checksums of addresses in alphabets of 32 characters.

const values = new Int8Array(128).fill(-1);
Array.from('qpzry9x8gf2tvdw0s3jn54khce6mua7l').forEach((char, value) => {
  values[char.charCodeAt(0)] = value;
});

/** Capitals or small letters alone (BIP 173). */
function inOneCase(text: string, start: number, end: number): boolean {
  let seen = 0;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isUpper(code)) seen |= 1;
    if (isLower(code)) seen |= 2;
  }
  return seen !== 3;
}

const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function step(sum: number, value: number): number {
  const top = sum >>> 25;
  let next = ((sum & 0x1ffffff) << 5) ^ value;
  for (let bit = 0; bit < 5; bit += 1) if (((top >> bit) & 1) === 1) next ^= generator[bit] as number;
  return next;
}

/** What is left of the checksum of Bech32 (BIP 173), and of Bech32m (BIP 350). */
const ofBech32 = 1;
const ofBech32m = 0x2bc830a3;

/** `prefix1data`: Bech32 or Bech32m. The separator is the last 1, which is none of the data's characters. */
export function checksBech32(text: string, start: number, end: number): boolean {
  let separator = end - 1;
  while (separator > start && text.charCodeAt(separator) !== 0x31) separator -= 1;
  let sum = 1;
  for (let at = start; at < separator; at += 1) sum = step(sum, lower(text.charCodeAt(at)) >> 5);
  sum = step(sum, 0);
  for (let at = start; at < separator; at += 1) sum = step(sum, lower(text.charCodeAt(at)) & 0x1f);
  for (let at = separator + 1; at < end; at += 1) {
    const value = values[lower(text.charCodeAt(at))] ?? -1;
    if (value < 0) return false;
    sum = step(sum, value);
  }
  return (sum === ofBech32 || sum === ofBech32m) && inOneCase(text, start, end);
}

// Forty bits, as two halves of twenty: numbers keep no more than 32 where bits are asked for.
const half = 2 ** 20;
const cashGenerator = [0x98f2bc8e61, 0x79b76d99e2, 0xf33e5fb3c4, 0xae2eabe2a8, 0x1e4f43e470];
const cashLow = cashGenerator.map((one) => one % half);
const cashHigh = cashGenerator.map((one) => Math.floor(one / half));

/** CashAddr (Bitcoin Cash, spec/cashaddr.md): `bitcoincash:` and 42 characters, of which the last eight are a BCH code. */
export function checksCashAddress(text: string, start: number, end: number): boolean {
  let highHalf = 0;
  let lowHalf = 1;
  let separated = false;
  for (let at = start; at < end; at += 1) {
    const code = lower(text.charCodeAt(at));
    const value = code === 0x3a ? 0 : separated ? (values[code] ?? -1) : code & 0x1f;
    if (value < 0) return false;
    separated ||= code === 0x3a;
    const top = highHalf >> 15;
    highHalf = ((highHalf & 0x7fff) << 5) | (lowHalf >> 15);
    lowHalf = ((lowHalf & 0x7fff) << 5) ^ value;
    for (let bit = 0; bit < 5; bit += 1) {
      if (((top >> bit) & 1) === 0) continue;
      highHalf ^= cashHigh[bit] as number;
      lowHalf ^= cashLow[bit] as number;
    }
  }
  return highHalf === 0 && lowHalf === 1 && inOneCase(text, start, end);
}

/** The value of a character of RFC 4648, section 6. */
const base32Value = (code: number): number => (code >= 0x41 ? code - 0x41 : code - 0x32 + 26);

/** Stellar (SEP 23): 35 bytes, a public key's begin with 48; the last two are CRC-16/XModem of the others, the lower one first. */
export function checksStellar(text: string, start: number): boolean {
  let bits = 0;
  let held = 0;
  let count = 0;
  let sum = 0;
  let check = 0;
  for (let at = start; at < start + 56; at += 1) {
    held = (held << 5) | base32Value(text.charCodeAt(at));
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    const byte = (held >> bits) & 0xff;
    held &= 0xff;
    if (count === 0 && byte !== 48) return false;
    if (count < 33) sum = crc16(sum, byte);
    else check |= byte << (count === 33 ? 0 : 8);
    count += 1;
  }
  return sum === check;
}

function crc16(sum: number, byte: number): number {
  let next = sum ^ (byte << 8);
  for (let bit = 0; bit < 8; bit += 1) next = (next & 0x8000) === 0 ? next << 1 : (next << 1) ^ 0x1021;
  return next & 0xffff;
}
