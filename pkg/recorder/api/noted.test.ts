import { expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { noted } from './noted.ts';

test('a question is noted as it is, a long one by its beginning, its length and its hash', () => {
  const long = 'x'.repeat(2_049);
  expect(noted(long.slice(1))).toBe(long.slice(1));
  expect(noted(long)).toBe(`${long.slice(1)}… (2049 characters, SHA-256 ${hash('sha256', long, 'hex')})`);
  // All of 64 KiB, each character of which JSON spells with six.
  expect(JSON.stringify(noted('\u0001'.repeat(65_536))).length).toBeLessThan(13_000);
});
