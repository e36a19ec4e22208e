import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Roster } from './roster.ts';
import type { Listed } from './roster.ts';

test('a roster holds what a set would, whatever comes and goes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7))), (steps) => {
      const all: Listed[] = Array.from({ length: 8 }, () => ({ place: -1 }));
      const roster = new Roster<Listed>();
      const model = new Set<Listed>();
      for (const [comes, which] of steps) {
        const one = all[which] as Listed;
        if (comes) {
          roster.add(one);
          model.add(one);
        } else {
          roster.delete(one);
          model.delete(one);
        }
        expect(roster.size).toBe(model.size);
        expect(new Set(roster.members())).toEqual(model);
        expect(roster.members()).toHaveLength(model.size);
      }
    }),
  );
});

test('who leaves while the members are gone through is still gone through', () => {
  const roster = new Roster<Listed>();
  const all = [{ place: -1 }, { place: -1 }, { place: -1 }];
  for (const one of all) roster.add(one);
  const seen: Listed[] = [];
  for (const one of roster.members()) {
    seen.push(one);
    for (const other of all) roster.delete(other);
  }
  expect(seen).toEqual(all);
  expect(roster.size).toBe(0);
});
