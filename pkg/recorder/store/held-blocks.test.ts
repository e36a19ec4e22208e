import { expect, test } from '@jest/globals';
import { createKeptBlocks } from './held-blocks.ts';
import { createHoldMatcher } from './hold-match.ts';
import type { HeldFacts } from './hold-match.ts';

const facts = (about: string | undefined, tags: readonly string[]): HeldFacts => ({
  ...{ session: '', namespace: 'sidegate-system', pod: 'p', at: 1, said: null, received: 1, tags },
  start: { user: null, model: null, groups: [], about },
});

test('a change is kept where what it is about, or which rules it names, was cut: it may be any', () => {
  const keeps = (about: string | undefined, ...tags: readonly string[]): boolean => {
    const exceptAbout = [{ namespaces: { namespace: 'ml' }, rules: 'support/' }];
    return createKeptBlocks(createHoldMatcher([]), { exceptAbout }).keeps([facts(about, tags)]);
  };
  expect([keeps('ml', 'rule:support/a'), keeps('ml', 'rule:other/a'), keeps('lab', 'rule:support/a')]).toEqual([
    true,
    false,
    false,
  ]);
  expect([keeps('…', 'rule:support/a'), keeps('…', 'rule:other/a'), keeps('ml', 'cut')]).toEqual([true, false, true]);
  // No change of an approval or a grant.
  expect(keeps(undefined, 'rule:support/a')).toBe(false);
});
