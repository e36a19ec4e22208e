import { expect, test } from '@jest/globals';
import { mostFoundKinds } from '../core/index.ts';
import { countAct } from './rule-acts.ts';
import type { CountedAct } from './rule-acts.ts';

test('an act counts what it found by detector, certainty and reason, beside what it acted by', () => {
  const acts: CountedAct[] = [];
  const card = { by: 'CreditCard', certainty: 'Likely', reason: 'CheckDigits' } as const;
  for (const found of [card, { ...card, certainty: 'Certain' } as const, card])
    countAct(acts, 'p/pii', 'masked', found);
  countAct(acts, 'p/pii', 'masked', { by: 'word', certainty: 'Certain', reason: 'Policy' });
  countAct(acts, 'p/any', 'limited', 'rate_limited');
  countAct(acts, 'p/any', 'allowed');
  expect(acts).toEqual([
    {
      rule: 'p/pii',
      act: 'masked',
      by: ['CreditCard', 'word'],
      count: 4,
      found: [
        { ...card, count: 2 },
        { ...card, certainty: 'Certain', count: 1 },
        { by: 'word', certainty: 'Certain', reason: 'Policy', count: 1 },
      ],
    },
    { rule: 'p/any', act: 'limited', by: ['rate_limited'], count: 1 },
    { rule: 'p/any', act: 'allowed', count: 1 },
  ]);
});

test('kinds of findings are bounded, and nothing of where or what they are is kept', () => {
  const acts: CountedAct[] = [];
  for (let at = 0; at < mostFoundKinds + 9; at += 1) {
    const hit = { rule: 0, start: at, end: at + 1, by: `d${at}`, certainty: 'Likely', reason: 'Format' } as const;
    countAct(acts, 'p/pii', 'masked', hit);
  }
  expect(acts[0]?.count).toBe(mostFoundKinds + 9);
  expect(acts[0]?.found).toHaveLength(mostFoundKinds);
  for (const one of acts[0]?.found ?? []) expect(Object.keys(one)).toEqual(['by', 'certainty', 'reason', 'count']);
});
