import { expect, test } from '@jest/globals';
import { namesRules, readReceipt } from '../record/receipt.ts';
import { longestRules, receipt } from './receipt.ts';
import type { Session } from './session.ts';

const session = (rules: number): Session =>
  ({
    id: 'a'.repeat(32),
    generation: 'p@1',
    failedOpen: [],
    acts: () => Array.from({ length: rules }, (_, n) => ({ rule: `ml/${'r'.repeat(26)}${n}`, act: 'flagged' })),
  }) as unknown as Session;
const rulesOf = (rules: number): string =>
  session(rules)
    .acts()
    .map(({ rule, act }) => `${rule}=${act}`)
    .join();

test.each([0, 1, 90])('a receipt names all of %d rules', (rules) => {
  expect(readReceipt(receipt(session(rules), true))?.rules).toBe(rulesOf(rules));
});

test('of very many rules it names whole ones, as many as clients take, and is one of that record and of no other', () => {
  const text = receipt(session(5_000), true);
  expect(text.length).toBeLessThan(longestRules + 100);
  const named = readReceipt(text)?.rules ?? '';
  expect(named).toMatch(/=flagged,\.\.\.$/);
  expect(namesRules(named, rulesOf(5_000))).toBe(true);
  expect(namesRules(named, rulesOf(5_000).replace('flagged', 'blocked'))).toBe(false);
  expect(namesRules(rulesOf(5), rulesOf(6))).toBe(false);
});
