import type { Detector } from '../../detector.ts';
import { certainByCheckDigits, likelyByFormat, verdict } from '../../verdict.ts';
import { edgeReach, isLower, isUpper, isWordCharacter, lower } from '../characters.ts';
import { checksBech32, checksCashAddress, checksStellar } from './base32.ts';
import { checksBase58, checksMonero } from './base58.ts';
import { keccak256 } from './keccak.ts';

// Addresses of crypto-currencies, by their checksums:
//   Base58Check       Bitcoin (1…, 3…)
//   Bech32, Bech32m   Bitcoin and Litecoin since SegWit, the chains of Cosmos, Cardano
//   EIP-55            Ethereum and its kin: capitals are the checksum. In one case there is none, so that they are likely; in
//                     other capitals than the checksum's possible
//   CashAddr, Stellar (CRC-16), Monero (Keccak)
// Limit: addresses without a checksum (Solana), of Ripple, Polkadot, Algorand, and those of Base58Check that begin with a letter (Litecoin before
// SegWit, Dogecoin, Dash, Tron, Zcash): any capital in prose would begin one, and the automaton's states with it; keys and seeds, which are secrets.

const base58 = '[1-9A-HJ-NP-Za-km-z]';
const bech32 = '[02-9ac-hj-np-zAC-HJ-NP-Z]';
const chains = 'bc|tb|bcrt|ltc|tltc|cosmos|osmo|terra|inj|sei|celestia|juno|akash|kava|thor|bnb|addr|stake';

/** Bytes of an address: a version, a hash of 20 and the check. */
const addressBytes = 25;

const around = { left: edgeReach, right: edgeReach, atWord: true, significant: isWordCharacter } as const;

/** One of so many characters whose checksum holds. */
const checked = (
  pattern: string,
  maxLength: number,
  leastSignificant: number,
  accept: (text: string, start: number, end: number) => boolean,
): Detector => ({
  name: 'CryptoAddress',
  pattern,
  maxLength,
  ...around,
  verdict: certainByCheckDigits,
  accept,
  leastSignificant,
});

const inBase58 = (text: string, start: number, end: number): boolean => checksBase58(text, start, end, addressBytes);

const hexDigits = 40;
const spelling = new Uint8Array(hexDigits);
const digest = new Uint8Array(32);
const possibleByFormat = verdict('Possible', 'Format');

/** Whether the letters of an address of Ethereum are capitals where its checksum says (EIP-55). */
function checksCapitals(text: string, from: number): boolean {
  for (let at = 0; at < hexDigits; at += 1) spelling[at] = lower(text.charCodeAt(from + at));
  keccak256(spelling, hexDigits, digest);
  for (let at = 0; at < hexDigits; at += 1) {
    const code = text.charCodeAt(from + at);
    const nibble = ((digest[at >> 1] as number) >> (at % 2 === 0 ? 4 : 0)) & 0xf;
    if ((isUpper(code) && nibble < 8) || (isLower(code) && nibble >= 8)) return false;
  }
  return true;
}

function cases(text: string, from: number): number {
  let seen = 0;
  for (let at = from; at < from + hexDigits; at += 1) {
    const code = text.charCodeAt(at);
    if (isUpper(code)) seen |= 1;
    else if (isLower(code)) seen |= 2;
  }
  return seen;
}

/** One digit forty times: what stands for no address. */
function isFiller(text: string, from: number): boolean {
  for (let at = from + 1; at < from + hexDigits; at += 1) {
    if (text.charCodeAt(at) !== text.charCodeAt(from)) return false;
  }
  return true;
}

const ethereum: Detector = {
  name: 'CryptoAddress',
  pattern: '0[xX][0-9a-fA-F]{40}',
  maxLength: 42,
  ...around,
  accept(text, start) {
    const from = start + 2;
    if (isFiller(text, from)) return false;
    if (cases(text, from) !== 3) return likelyByFormat;
    return checksCapitals(text, from) ? certainByCheckDigits : possibleByFormat;
  },
  leastSignificant: 42,
};

export const cryptoAddress: Detector = {
  ...checked(`[13]${base58}{25,33}`, 34, 26, inBase58),
  also: [
    checked(`(?i:${chains})1${bech32}{38,98}`, 107, 42, checksBech32),
    ethereum,
    checked(`(?i:bitcoincash:[qp])${bech32}{41}`, 54, 53, checksCashAddress),
    checked('G[A-Z2-7]{55}', 56, 56, checksStellar),
    checked(`[48]${base58}{94}`, 95, 95, checksMonero),
  ],
};
