import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cpuMs } from '../../test/support/cost.ts';
import type { LaneEnds } from '../dialect/index.ts';
import { EndsByPrefix } from './lane-ends.ts';

test('the first entry whose prefix a text has says how it ended', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '['), maxLength: 4 });
  const ends = fc.array(fc.record({ prefix: word, end: fc.constantFrom('complete' as const, 'cut' as const) }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(ends, word, (all, lane) => {
      expect(new EndsByPrefix(all).of(lane)).toBe(all.find(({ prefix }) => lane.startsWith(prefix))?.end);
    }),
    { numRuns: 2_000 },
  );
});

test('many blocks take no more than their number in time', () => {
  const run = (count: number): number => {
    const all = Array.from({ length: count }, (_, at): LaneEnds => ({ prefix: `content[${at}].`, end: 'complete' }));
    const ids = all.map(({ prefix }) => `${prefix}text`);
    return cpuMs(() => {
      const ends = new EndsByPrefix(all);
      for (const id of ids) ends.of(id);
    });
  };
  run(2_000);
  // Their square would be 64 times as much.
  expect(run(40_000)).toBeLessThan(run(5_000) * 32);
});
