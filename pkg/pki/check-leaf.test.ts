import { X509Certificate } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createAuthority } from '../../test/support/issuer-certificates.ts';
import { checkLeaf } from './check-leaf.ts';
import { createLeafReader } from './known-leaf.ts';

const now = Date.now();
const authority = createAuthority('cluster', now);
const roots = [new X509Certificate(authority.pem)];
const uri = 'spiffe://td/ns/ml/sa/victim';
const victim = authority.issue({ uris: [uri] });

test('takes a leaf of the authority, from the handshake and by its bytes', () => {
  expect(checkLeaf(new X509Certificate(victim.pem), roots, 'client', now).uris).toEqual([uri]);
  expect(checkLeaf(createLeafReader()(victim.der), roots, 'client', now).uris).toEqual([uri]);
});

test("refuses a stranger's that hides a good one in PEM, as the handshake gives it and by its bytes", () => {
  const thief = createAuthority('stranger', now).issue({ hidden: `\n${victim.pem}\n` });
  // From PEM, it is the outer one, as a handshake gives it, for whose key was proven.
  const outer = new X509Certificate(thief.pem);
  expect(outer.raw.equals(thief.der)).toBe(true);
  expect(() => checkLeaf(outer, roots, 'client', now)).toThrow(/certificate/);
  expect(() => createLeafReader()(thief.der)).toThrow(/certificate/);
});

test('reads no leaf with bytes behind it, and keeps none', () => {
  const read = createLeafReader();
  expect(() => read(Buffer.concat([victim.der, Buffer.alloc(1_000_000, 7)]))).toThrow(/certificate/);
});
