import { hash } from 'node:crypto';
import { keccak256 } from './keccak.ts';

// Base58 (draft-msporny-base58): numbers in the 58 letters and digits that nobody takes for one another.

const values = new Int8Array(128).fill(-1);
Array.from('123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz').forEach((char, value) => {
  values[char.charCodeAt(0)] = value;
});

/** Writes the number that `text[start, end)` is to all of `bytes`, the highest first; false where it does not fit. */
function decode(text: string, start: number, end: number, bytes: Uint8Array): boolean {
  bytes.fill(0);
  for (let at = start; at < end; at += 1) {
    let carry = values[text.charCodeAt(at)] ?? -1;
    if (carry < 0) return false;
    for (let index = bytes.length - 1; index >= 0; index -= 1) {
      carry += 58 * (bytes[index] as number);
      bytes[index] = carry & 0xff;
      carry >>= 8;
    }
    if (carry > 0) return false;
  }
  return true;
}

const checkLength = 4;
// One for all calls: nothing here is re-entered.
const decoded = new Uint8Array(69);
const digest = new Uint8Array(32);
/** Views of it: what eleven characters of Monero are each, and the last seven. */
const blocks = Array.from({ length: 9 }, (_, block) => decoded.subarray(8 * block, Math.min(8 * block + 8, 69)));

/** Base58Check of Bitcoin: of `length` bytes the last four begin SHA-256 of SHA-256 of the others. */
export function checksBase58(text: string, start: number, end: number, length: number): boolean {
  if (!decode(text, start, end, decoded.subarray(0, length))) return false;
  const body = length - checkLength;
  const sum = hash('sha256', hash('sha256', decoded.subarray(0, body), 'buffer'), 'buffer');
  return sameCheck(sum, body);
}

/** Monero: eleven characters for eight bytes, and seven for the last five; of 69 bytes the last four begin Keccak-256 of the others. */
export function checksMonero(text: string, start: number): boolean {
  for (const [block, bytes] of blocks.entries()) {
    const from = start + 11 * block;
    if (!decode(text, from, Math.min(from + 11, start + 95), bytes)) return false;
  }
  keccak256(decoded, 65, digest);
  return sameCheck(digest, 65);
}

function sameCheck(sum: Uint8Array, from: number): boolean {
  for (let at = 0; at < checkLength; at += 1) if (sum[at] !== decoded[from + at]) return false;
  return true;
}
