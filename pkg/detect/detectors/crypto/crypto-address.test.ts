import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { randomNumbers } from '../../testing/token-samples.ts';
import { found, saidOf } from '../brute-force.ts';
import { cryptoAddress } from './crypto-address.ts';
import { keccak256 } from './keccak.ts';

const keccak = (message: string): string => {
  const digest = new Uint8Array(32);
  keccak256(Buffer.from(message), message.length, digest);
  return Buffer.from(digest).toString('hex');
};

test('Keccak-256 is that of the Keccak team’s test vectors', () => {
  expect(keccak('')).toBe('c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
  expect(keccak('abc')).toBe('4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45');
  expect(() => keccak('a'.repeat(136))).toThrow(RangeError);
});

// --- other implementations of the formats, slow and plain

const alphabet58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function base58(bytes: Uint8Array, length: number): string {
  let number = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (; number > 0n; number /= 58n) text = alphabet58.charAt(Number(number % 58n)) + text;
  return text.padStart(length, '1');
}

function base58Check(version: readonly number[], random: () => number): string {
  const body = Buffer.from([...version, ...Array.from({ length: 20 }, () => Math.floor(random() * 256))]);
  const sha = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
  const bytes = Buffer.concat([body, sha(sha(body)).subarray(0, 4)]);
  const zeros = version[0] === 0 ? 1 : 0;
  const text = base58(bytes, 0);
  return '1'.repeat(zeros) + text;
}

function monero(random: () => number): string {
  const body = Buffer.from([18, ...Array.from({ length: 64 }, () => Math.floor(random() * 256))]);
  const bytes = Buffer.concat([body, Buffer.from(keccak(body.toString('latin1')), 'hex').subarray(0, 0)]);
  const digest = new Uint8Array(32);
  keccak256(body, 65, digest);
  const all = Buffer.concat([bytes, digest.subarray(0, 4)]);
  let text = '';
  for (let at = 0; at < 69; at += 8) text += base58(all.subarray(at, at + 8), at < 64 ? 11 : 7);
  return text;
}

function stellar(random: () => number): string {
  const body = Buffer.from([48, ...Array.from({ length: 32 }, () => Math.floor(random() * 256))]);
  let sum = 0;
  for (const byte of body) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      const carry = ((sum >> 15) & 1) !== ((byte >> bit) & 1);
      sum = ((sum << 1) & 0xffff) ^ (carry ? 0x1021 : 0);
    }
  }
  const bits = [...body, sum & 0xff, sum >> 8].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.charAt(parseInt(five, 2)))
    .join('');
}

const random = randomNumbers(17);
const drawn: Readonly<Record<string, () => string>> = {
  'Bitcoin, of a key': () => base58Check([0x00], random),
  'Bitcoin, of a script': () => base58Check([0x05], random),
  Monero: () => monero(random),
  Stellar: () => stellar(random),
};

const published = [
  '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa',
  '3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy',
  // BIP 173 and 350
  'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
  'BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4',
  'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
  'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
  // EIP-55
  '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
  '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359',
  '0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB',
  '0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb',
  // spec/cashaddr.md
  'bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a',
  'bitcoincash:ppn87szlp75e3f5akyjlkkwp7qn93w5yx5mvzwlu3y',
  // getmonero.org
  '44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A',
];

/** The character at the middle exchanged for its neighbour in the alphabets. */
function changed(address: string): string {
  const at = Math.floor(address.length / 2);
  const other = address[at] === 'q' ? 'p' : address[at] === '7' ? '6' : address[at] === 'Q' ? 'P' : undefined;
  return (
    address.slice(0, at) +
    (other ?? (/[A-Z]/.test(address[at] ?? '') ? 'Q' : /\d/.test(address[at] ?? '') ? '7' : 'q')) +
    address.slice(at + 1)
  );
}

describe('CryptoAddress', () => {
  test('finds one in emphasis', () => {
    const address = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
    expect(found(cryptoAddress, `_${address}_`)).toEqual([address]);
    expect(found(cryptoAddress, `to_${address}`)).toEqual([]);
  });

  test.each(published)('finds %s, for certain', (address) => {
    for (const text of [address, `to ${address}, please`, `"${address}"`])
      expect(found(cryptoAddress, text)).toEqual([address]);
    expect(saidOf(cryptoAddress, address)).toBe('Certain CheckDigits');
  });

  test.each(Object.entries(drawn))('finds each that is drawn of %s', (_chain, draw) => {
    for (let round = 0; round < 20; round += 1) {
      const address = draw();
      expect(found(cryptoAddress, address)).toEqual([address]);
      expect(found(cryptoAddress, `x${address}`)).toEqual([]);
      expect(found(cryptoAddress, `${address}x`)).toEqual([]);
    }
  });

  test.each(published.filter((one) => !one.startsWith('0x')))('leaves %s with one character changed', (address) => {
    expect(changed(address)).not.toBe(address);
    expect(found(cryptoAddress, changed(address))).toEqual([]);
  });

  test('leaves Bech32 in both cases, a filler of Ethereum, and what is longer', () => {
    for (const text of [
      'bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
      `0x${'0'.repeat(40)}`,
      `0x${'ab'.repeat(32)}`,
      'da39a3ee5e6b4b0d3255bfef95601890afd80709',
    ])
      expect(found(cryptoAddress, text)).toEqual([]);
  });

  test('of Ethereum: likely in one case, possible in other capitals than the checksum’s', () => {
    expect(saidOf(cryptoAddress, '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed')).toBe('Likely Format');
    expect(saidOf(cryptoAddress, '0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED')).toBe('Likely Format');
    expect(saidOf(cryptoAddress, '0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed')).toBe('Possible Format');
  });
});
