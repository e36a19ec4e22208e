import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { privateKey } from './private-key.ts';

const body = 'MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF';

describe('PrivateKey', () => {
  test.each([
    'PRIVATE KEY',
    'RSA PRIVATE KEY',
    'EC PRIVATE KEY',
    'DSA PRIVATE KEY',
    'ENCRYPTED PRIVATE KEY',
    'OPENSSH PRIVATE KEY',
    'ANY PRIVATE KEY',
    'PGP PRIVATE KEY BLOCK',
  ])('finds %s, on several lines and on one', (label) => {
    for (const line of ['\n', '\\n', '\r\n', ' ']) {
      const armour = `-----BEGIN ${label}-----${line}${body}${line}-----END ${label}-----`;
      expect(found(privateKey, armour)).toEqual([armour]);
      expect(found(privateKey, `key: "${armour}" and text after it`)).toEqual([armour]);
    }
  });

  test('finds what Node writes, with headers of old encryption too', () => {
    const { privateKey: pem } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    expect(found(privateKey, `Here:\n${pem}\nBye`)).toEqual([pem.trimEnd()]);
    const old = `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n${body}\n-----END RSA PRIVATE KEY-----`;
    expect(found(privateKey, old)).toEqual([old]);
  });

  test('covers everything to the end of the text where no END line comes', () => {
    const cut = `-----BEGIN PRIVATE KEY-----\n${body}`;
    expect(found(privateKey, `a ${cut}`)).toEqual([cut]);
  });

  test.each([
    ['a public key', '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----'],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'],
    ['a request', '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----'],
    ['a signed message', '-----BEGIN PGP SIGNED MESSAGE-----'],
    ['talk of private keys', 'Keep the PRIVATE KEY safe. ----- BEGIN'],
    ['an END line alone', '-----END PRIVATE KEY-----'],
    ['a rule of dashes', '----------------------------------------'],
  ])('leaves %s', (_what, text) => {
    expect(found(privateKey, text)).toEqual([]);
  });

  test('covers exactly from BEGIN to END, whatever is between', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 20 }), (inside, after) => {
        fc.pre(!/-----/.test(inside) && !/-----/.test(after));
        const armour = `-----BEGIN EC PRIVATE KEY-----|${inside}|-----END EC PRIVATE KEY-----`;
        expect(found(privateKey, armour + after)).toEqual([armour]);
      }),
      { numRuns: 100 },
    );
  });
});
