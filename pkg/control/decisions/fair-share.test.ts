import { expect, test } from '@jest/globals';
import { fairRoom, fairShare } from './fair-share.ts';

const waits = (namespace: string, subject: string, expiresAt: number) => ({
  namespace,
  asker: { issuer: 'i', subject },
  expiresAt,
});
const many = (count: number, make: (at: number) => ReturnType<typeof waits>) =>
  Array.from({ length: count }, (_, at) => make(at));

test('where all fit, what ends soonest comes first', () => {
  const [late, soon] = [waits('a', 'x', 9), waits('b', 'y', 1)];
  expect(fairShare([late, soon], 2)).toEqual([soon, late]);
  expect(fairShare([], 2)).toEqual([]);
});

test('a flood in one namespace takes no place of another, nor one who asks much that of others', () => {
  const flood = many(500, (at) => waits('loud', 'eve', at));
  const others = [waits('loud', 'ana', 9_000), waits('quiet', 'bob', 9_001), waits('calm', 'kim', 9_002)];
  const shown = fairShare([...flood, ...others], 10);
  expect(shown).toEqual([...flood.slice(0, 7), ...others]);
});

test('each namespace has an equal share, and those of a small one are for all', () => {
  const all = ['a', 'b'].flatMap((namespace) => many(50, (at) => waits(namespace, 'x', at)));
  const counts = Map.groupBy(fairShare([...all, waits('c', 'x', 99)], 21), ({ namespace }) => namespace);
  expect(['a', 'b', 'c'].map((namespace) => counts.get(namespace)?.length)).toEqual([10, 10, 1]);
});

test('subjects of two issuers are two who ask', () => {
  const flood = many(5, (at) => waits('a', 'ana', at));
  const other = { ...waits('a', 'ana', 9), asker: { issuer: 'j', subject: 'ana' } };
  expect(fairShare([...flood, other], 2)).toEqual([flood[0], other]);
});

test.each([
  [10_000, 11],
  [1_010, 11],
  [1_009, 10],
  [500, 5],
  [1, 1],
])('what fits into %i bytes is shared as fairly', (most, count) => {
  const flood = many(10, (at) => waits('loud', 'eve', at)).map((one) => ({ ...one, bytes: 100 }));
  const other = { ...waits('quiet', 'bob', 9_000), bytes: 10 };
  const shown = fairRoom([...flood, other], most);
  expect([shown.length, shown.includes(other)]).toEqual([count, count > 1]);
});
