import { expect, test } from '@jest/globals';
import { BodyBudget } from '../http/index.ts';
import { TreeShare } from './tree-share.ts';

// 400 bytes a node, beside the body that they were read from.

const bodyBytes = 1_000_000;
const withBodies = (count: number): BodyBudget => {
  const budget = new BodyBudget(8_000_000);
  for (let n = 0; n < count; n++) expect(budget.take(bodyBytes, 'ana', bodyBytes)).toBeUndefined();
  return budget;
};

test('the tree of a body has room where its caller has no other', () => {
  const budget = withBodies(1);
  const share = new TreeShare(budget, 'ana', bodyBytes);
  for (const nodes of [5_000, 20_000, 60_000]) share.grow(nodes);
  expect(budget.used).toBe(bodyBytes + 24_000_000);
  share.release();
  expect(budget.used).toBe(bodyBytes);
});

test('where its caller has others, all of it is half of the memory', () => {
  const budget = withBodies(2);
  const share = new TreeShare(budget, 'ana', bodyBytes);
  share.grow(5_000);
  expect(() => share.grow(6_000)).toThrow(expect.objectContaining({ code: 'caller_share_used' }));
  expect(budget.used).toBe(2 * bodyBytes + 2_000_000);
});
