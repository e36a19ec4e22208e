import { expect, test } from '@jest/globals';
import { chooseBlocks, createKeptBlocks } from './held-blocks.ts';
import type { OldBlock } from './held-blocks.ts';
import { createHoldMatcher } from './hold-match.ts';
import type { HeldFacts } from './hold-match.ts';
import type { DeletionRule } from './port.ts';

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

const blockOf = (entry: number, count: number): OldBlock => ({
  ...{ entry, received: entry, namespace: entry % 2 === 0 ? 'ml' : 'ops', chain: 1 },
  ...{ size: 1_000 * count, stored: 100 * count, count },
});

test('a step deletes no more blocks than have so many lines, however many it may, and goes on behind them', () => {
  const sizes = [900, 5_000, 900, 1_100, 4_500, 5_000, 10_000, 10, 10, 10];
  const all = sizes.map((count, entry) => blockOf(entry, count));
  const steps: (readonly number[])[] = [];
  let rule: DeletionRule = { before: 100, of: { namespace: 'ml' } };
  for (let more = true; more;) {
    const left = all.filter(({ entry }) => entry > (rule.after?.entry ?? -1));
    const kept = createKeptBlocks(createHoldMatcher([]), rule);
    const step = chooseBlocks(
      { blocks: left, more: false },
      rule,
      { archived: 0, atMost: 50 },
      { kept, sessions: () => [] },
    );
    steps.push(step.blocks.map(({ entry }) => entry));
    ({ more } = step);
    if (step.reached !== undefined) rule = { ...rule, after: step.reached };
  }
  // Blocks of others, 1, 3 and 5, cost nothing. One that is large by itself is deleted as well.
  expect(steps).toEqual([[0, 2, 4], [6], [8]]);
});
