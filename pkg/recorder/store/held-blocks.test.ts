import { expect, test } from '@jest/globals';
import { chooseBlocks, createKeptBlocks } from './held-blocks.ts';
import type { OldBlock } from './held-blocks.ts';
import { createHoldMatcher } from './hold-match.ts';
import type { DeletionRule } from './port.ts';

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
