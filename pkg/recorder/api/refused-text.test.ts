import { expect, test } from '@jest/globals';
import { refusedText } from './refused-text.ts';

const token = `eyJ${'a'.repeat(80)}.eyJ.sig`;
const text = (target: string, proven: boolean): string =>
  refusedText('GET', new URL(target, 'https://recorder'), proven);

test('a question that was refused is kept as it was asked', () => {
  expect(text('/v1/log/entries?from=2&limit=3&lines=true', true)).toBe('GET /v1/log/entries?from=2&limit=3&lines=true');
  expect(text(`/v1/sessions/${'a'.repeat(32)}?namespace=ml`, true)).toBe(
    `GET /v1/sessions/${'a'.repeat(32)}?namespace=ml`,
  );
});

test.each([
  `/v1/log?access_token=${token}`,
  `/v1/log?${token}`,
  `/v1/log?${token}=1`,
  `/v1/sessions/${token}`,
  `/v1/log?from=1&access_token=${token}&access_token=${token}`,
])('no token stays of %s', (target) => {
  for (const proven of [true, false]) expect(text(target, proven)).not.toContain('eyJ');
  expect(text(target, true)).toMatch(/^GET \/v1\/.*…/);
});

test('of who was not proven no value is kept, and no more than a line', () => {
  expect(text('/v1/log/entries?from=2&limit=3', false)).toBe('GET /v1/log/entries?from=…&limit=…');
  expect(text(`/v1/log?${'from=1&'.repeat(2_000)}`, false)).toHaveLength(201);
});
