import { describe, expect, test } from '@jest/globals';
import { retentionRules } from './retention-rules.ts';

const days = (all: number, namespaces = {}, policies = {}) => retentionRules({ all, namespaces, policies });

test('each namespace has its days, the others theirs; 0 is never', () => {
  expect(days(90, { finance: 2555, lab: 0 })).toEqual([
    { days: 90, of: { allBut: ['finance', 'lab'] } },
    { days: 2555, of: { namespace: 'finance' } },
  ]);
  expect(days(0)).toEqual([]);
});

test('a policy of a namespace keeps what its rules acted in, and that namespace’s other lines go as before', () => {
  expect(days(90, {}, { 'ml/support': 365 })).toEqual([
    { days: 90, of: { allBut: ['ml'] } },
    { days: 90, of: { namespace: 'ml' }, exceptRules: ['support/'] },
    { days: 365, of: { namespace: 'ml' } },
  ]);
});

test('of several policies the longest decides, whatever else acted', () => {
  expect(days(30, {}, { 'ml/a': 365, 'ml/b': 730, 'cluster/floor': 0, 'ml/short': 7 })).toEqual([
    { days: 30, of: { allBut: ['ml'] }, exceptRules: ['cluster/floor/'] },
    { days: 30, of: { namespace: 'ml' }, exceptRules: ['a/', 'b/', 'cluster/floor/'] },
    { days: 365, of: { namespace: 'ml' }, exceptRules: ['b/', 'cluster/floor/'] },
    { days: 730, of: { namespace: 'ml' }, exceptRules: ['cluster/floor/'] },
  ]);
});

test('a namespace that is called as what every object has goes by the days of all', () => {
  expect(days(90, {}, { 'constructor/support': 365 })).toEqual([
    { days: 90, of: { allBut: ['constructor'] } },
    { days: 90, of: { namespace: 'constructor' }, exceptRules: ['support/'] },
    { days: 365, of: { namespace: 'constructor' } },
  ]);
});

test('a policy makes nothing shorter, and nothing that is kept for ever end', () => {
  expect(days(90, { ml: 0 }, { 'ml/support': 30 })).toEqual([{ days: 90, of: { allBut: ['ml'] } }]);
});

describe('what people decided is kept as long as the requests that it is about', () => {
  const own = 'sidegate-system';
  const rules = (all: number, namespaces = {}, policies = {}) => retentionRules({ all, namespaces, policies }, own);
  const of = { namespace: own };

  test('also where their namespace, or their policy, wants them longer than Sidegate’s own', () => {
    expect(rules(90, { finance: 2555, lab: 7 }, { 'ml/support': 365, 'cluster/floor': 200 })).toEqual([
      { days: 90, of: { allBut: ['finance', 'lab', 'ml', own] }, exceptRules: ['cluster/floor/'] },
      { days: 200, of: { allBut: ['finance', 'lab', 'ml', own] } },
      { days: 2555, of: { namespace: 'finance' } },
      { days: 7, of: { namespace: 'lab' }, exceptRules: ['cluster/floor/'] },
      { days: 200, of: { namespace: 'lab' } },
      { days: 90, of: { namespace: 'ml' }, exceptRules: ['support/', 'cluster/floor/'] },
      { days: 365, of: { namespace: 'ml' } },
      { days: 200, of: { namespace: 'ml' }, exceptRules: ['support/'] },
      {
        ...{ days: 90, of, exceptRules: ['cluster/floor/'] },
        exceptAbout: [{ namespaces: { namespace: 'finance' } }, { namespaces: { namespace: 'ml' }, rules: 'support/' }],
      },
      {
        ...{ days: 200, of },
        exceptAbout: [{ namespaces: { namespace: 'finance' } }, { namespaces: { namespace: 'ml' }, rules: 'support/' }],
      },
      { days: 2555, of },
      { days: 365, of, exceptAbout: [{ namespaces: { namespace: 'finance' } }] },
    ]);
  });

  test('and where Sidegate’s own has fewer days than all others', () => {
    expect(rules(90, { [own]: 30, lab: 7 })).toEqual([
      { days: 90, of: { allBut: [own, 'lab'] } },
      { days: 30, of, exceptAbout: [{ namespaces: { allBut: ['lab', own] } }] },
      { days: 90, of },
      { days: 7, of: { namespace: 'lab' } },
    ]);
    expect(rules(0, { [own]: 30 })).toEqual([{ days: 30, of, exceptAbout: [{ namespaces: { allBut: [own] } }] }]);
  });

  test('and goes with Sidegate’s own where that is longer', () => {
    expect(rules(90, { lab: 7 })).toEqual([
      { days: 90, of: { allBut: ['lab'] } },
      { days: 7, of: { namespace: 'lab' } },
    ]);
  });
});
