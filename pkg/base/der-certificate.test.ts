import { X509Certificate } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createAuthority } from '../../test/support/issuer-certificates.ts';
import { derCertificate, longestCertificate } from './der-certificate.ts';

const authority = createAuthority('corp', Date.now());
const ana = authority.issue({ subject: [['CN', 'ana']] });
const stranger = createAuthority('stranger', Date.now());

test('reads a certificate from its bytes', () => {
  expect(derCertificate(ana.der).subject).toBe('CN=ana');
});

test.each<[string, Uint8Array]>([
  ['a certificate that hides another in PEM', stranger.issue({ hidden: `\n${ana.pem}\n` }).der],
  ['PEM', Buffer.from(ana.pem)],
  ['bytes behind it', Buffer.concat([ana.der, Buffer.from([0])])],
  ['bytes before it', Buffer.concat([Buffer.from('\n'), ana.der])],
  ['one that is too long', stranger.issue({ hidden: 'x'.repeat(longestCertificate) }).der],
  ['nothing', new Uint8Array(0)],
])('refuses %s', (_what, bytes) => {
  expect(() => derCertificate(bytes)).toThrow();
});

test('that Node reads what is hidden is why', () => {
  expect(new X509Certificate(stranger.issue({ hidden: `\n${ana.pem}\n` }).der).subject).toBe('CN=ana');
});
