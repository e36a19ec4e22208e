import { expect, test } from '@jest/globals';
import { compileRevocations } from './revocation.ts';

const issuer = 'https://idp';
const set = compileRevocations([
  { issuer, subject: '00u1', until: 1_000 },
  { issuer, subject: 'bob@example.com', until: 1_000 },
]);

test('of people whom a policy names by another claim, an entry means that name or their sub', () => {
  const revoked = (subject: string, sub?: string, at = 0): boolean =>
    set.revokes({ issuer, subject, ...(sub !== undefined && { sub }) }, at);
  expect(revoked('ana@example.com', '00u1')).toBe(true);
  expect(revoked('ana@example.com', '00u1', 1_000)).toBe(false);
  expect(revoked('ana@example.com', '00u2')).toBe(false);
  expect(revoked('ana@example.com')).toBe(false);
  expect(revoked('bob@example.com', '00u2')).toBe(true);
  expect(set.revokes({ issuer: 'https://other', subject: 'ana@example.com', sub: '00u1' }, 0)).toBe(false);
});
