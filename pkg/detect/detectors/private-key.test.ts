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

  test('finds SSH2 armour and PuTTY’s files to their ends', () => {
    const ssh2 = `---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "x"\n${body}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----`;
    expect(found(privateKey, `a ${ssh2} b`)).toEqual([ssh2]);
    for (const [version, mac] of [
      [2, 40],
      [3, 64],
    ] as const) {
      const file = `PuTTY-User-Key-File-${version}: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n${body}\nPrivate-MAC: ${'0a'.repeat(mac / 2)}`;
      expect(found(privateKey, `a ${file}\nb`)).toEqual([file]);
    }
  });

  const generated = [
    generateKeyPairSync('rsa', { modulusLength: 1024 }),
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ec', { namedCurve: 'P-521' }),
    generateKeyPairSync('ed25519'),
    generateKeyPairSync('x25519'),
    generateKeyPairSync('ed448'),
  ].map(({ privateKey: key, publicKey }) => ({ key, publicKey, kind: key.asymmetricKeyType ?? '' }));

  test.each(generated)('finds $kind in base64 without its armour', ({ key }) => {
    const forms =
      key.asymmetricKeyType === 'rsa'
        ? (['pkcs8', 'pkcs1'] as const)
        : key.asymmetricKeyType === 'ec'
          ? (['pkcs8', 'sec1'] as const)
          : (['pkcs8'] as const);
    for (const type of forms) {
      const der = key.export({ type: type as 'pkcs8', format: 'der' }).toString('base64');
      expect(found(privateKey, `KEY=${der} # mine`)).toEqual([der]);
      expect(found(privateKey, `{"key":"${der}"}`)).toEqual([der]);
      const lines = der.replace(/(.{64})(?=.)/g, '$1\n');
      expect(found(privateKey, `"${lines}"`)).toEqual([lines]);
    }
    const locked = key
      .export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString('base64');
    expect(found(privateKey, locked)).toEqual([locked]);
  });

  test.each(generated)('finds the base64 of a whole PEM of $kind, as Kubernetes keeps it', ({ key }) => {
    const encoded = Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })).toString('base64');
    expect(found(privateKey, `data:\n  tls.key: ${encoded}\n`)).toEqual([encoded]);
  });

  test.each(generated)('covers the private part of a JWK of $kind', ({ key }) => {
    const jwk = key.export({ format: 'jwk' });
    expect(found(privateKey, JSON.stringify(jwk))).toEqual([jwk.d]);
    expect(found(privateKey, JSON.stringify(JSON.stringify(jwk)))).toEqual([jwk.d]);
  });

  test.each(generated)('leaves the public half of $kind', ({ publicKey }) => {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const text of [
      pem,
      Buffer.from(pem).toString('base64'),
      publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
      JSON.stringify(publicKey.export({ format: 'jwk' })),
    ])
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
