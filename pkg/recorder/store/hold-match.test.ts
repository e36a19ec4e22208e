import { describe, expect, test } from '@jest/globals';
import { aboutOf, createHoldMatcher } from './hold-match.ts';
import type { HeldFacts } from './hold-match.ts';
import { createKeptBlocks } from './held-blocks.ts';
import { mostHolds, sessionsLooked } from './port.ts';
import type { HoldTerms } from './port.ts';

const facts: HeldFacts = {
  session: 'a'.repeat(32),
  namespace: 'ml',
  pod: 'llama-0',
  at: 1_000,
  said: null,
  received: 1_000,
  start: { user: 'ana', model: 'llama-3', groups: ['staff', 'ml'], about: undefined },
  tags: ['rule:support/no', 'observed:cluster/base/see', 'act:allowed'],
};
const holdsOf = (terms: readonly HoldTerms[]) => terms.map((one, at) => ({ id: at + 1, terms: one }));
const many = (terms: (n: number) => HoldTerms): readonly HoldTerms[] =>
  Array.from({ length: mostHolds }, (_, n) => terms(n));
const isHeld = (terms: HoldTerms, of: Partial<HeldFacts> = {}): boolean =>
  createHoldMatcher(holdsOf([terms])).some({ ...facts, ...of });

const each: readonly (readonly [HoldTerms, HoldTerms, Partial<HeldFacts>])[] = [
  [{ session: 'a'.repeat(32) }, { session: 'b'.repeat(32) }, {}],
  [{ pod: 'llama-0' }, { pod: 'llama-1' }, {}],
  [{ namespace: 'ml' }, { namespace: 'other' }, {}],
  [{ user: 'ana' }, { user: 'bob' }, { start: undefined }],
  [{ model: 'llama-3' }, { model: 'other' }, { start: { user: 'x', model: '…', groups: [], about: undefined } }],
  [{ group: 'ml' }, { group: 'other' }, { start: { user: 'x', model: 'y', groups: ['z', '…'], about: undefined } }],
  [{ rule: 'support/no' }, { rule: 'support/none' }, { tags: undefined }],
  [{ rule: 'cluster/base/see' }, { rule: 'base/see' }, { tags: ['cut'] }],
  [{ label: 'see' }, { label: 'base' }, { tags: [`rule:support/${'x'.repeat(300)}`] }],
  [{ policy: 'ml/support' }, { policy: 'ml/sup' }, { tags: undefined }],
  [{ policy: 'cluster/base' }, { policy: 'other/support' }, {}],
  [{ until: 1_001 }, { until: 1_000 }, { start: undefined }],
  [{ since: 1_000 }, { since: 1_001 }, { received: 1_001 }],
  [{}, { user: 'ana', until: 0 }, {}],
];

describe('holds', () => {
  test.each(each)(
    '%j is on a session that has it, %j is not, and where it is not known both may be: %j',
    (has, not, unknown) => {
      expect([isHeld(has), isHeld(not)]).toEqual([true, false]);
      if (Object.keys(unknown).length > 0) expect(isHeld(not, unknown)).toBe(true);
    },
  );

  test('of which each has one more term are on what has all of them, alone and beside all others', () => {
    const all = each.flatMap(([has], one) =>
      each.flatMap(([other, not], two) => [{ ...has, ...other }, ...(one === two ? [] : [{ ...has, ...not }])]),
    );
    const alone = holdsOf(all).filter(({ terms }) => isHeld(terms));
    const together = createHoldMatcher(holdsOf(all)).matching(facts);
    expect([...together].sort((a, b) => a - b)).toEqual(alone.map(({ id }) => id));
    expect(alone.length).toBeGreaterThan(each.length);
    expect(alone.length).toBeLessThan(all.length);
  });

  test.each<HoldTerms>([{ namespace: 'ml' }, { policy: 'ml/support' }, { namespace: 'sidegate-system' }])(
    '%j are on what people decided of requests of its namespace, which stands in Sidegate’s own',
    (terms) => {
      const own = { namespace: 'sidegate-system', tags: ['rule:support/no'] };
      const start = { user: 'ana', model: null, groups: [], about: aboutOf({ operation: 'Approval', path: 'ml/one' }) };
      expect(isHeld(terms, { ...own, start })).toBe(true);
      expect(isHeld(terms, { ...own, start: { ...start, about: '…' } })).toBe(true);
      expect(isHeld({ policy: 'other/support' }, { ...own, start })).toBe(false);
      expect(isHeld({ namespace: 'other' }, { ...own, start })).toBe(false);
      expect(aboutOf({ operation: 'Chat', path: 'ml/one' })).toBeUndefined();
    },
  );

  test('with two reasons to be on a session are told once', () => {
    const matcher = createHoldMatcher(holdsOf([{ rule: 'a/b' }]));
    expect(matcher.matching({ ...facts, tags: ['rule:a/b', 'observed:a/b'] })).toEqual([1]);
  });

  test.each<[string, (n: number) => HoldTerms]>([
    ['session', (n) => ({ session: String(n).padStart(32, '0') })],
    ['pod', (n) => ({ namespace: 'ml', pod: `pod-${n}` })],
    ['user', (n) => ({ namespace: 'ml', user: `user-${n}` })],
    ['group', (n) => ({ model: 'llama-3', group: `group-${n}` })],
    ['model', (n) => ({ namespace: 'ml', model: `model-${n}` })],
    ['rule', (n) => ({ policy: 'ml/support', rule: `support/rule-${n}` })],
    ['label', (n) => ({ namespace: 'ml', label: `label-${n}` })],
    ['policy', (n) => ({ namespace: 'ml', policy: `ml/policy-${n}` })],
    ['namespace', (n) => ({ namespace: `namespace-${n}` })],
  ])('by %s, as many as there may be, are not each compared with a session that none of them names', (_, terms) => {
    const matcher = createHoldMatcher(holdsOf(many(terms)));
    const groups = Array.from({ length: 1_024 }, (__, n) => `other-${n}`);
    expect(matcher.matching({ ...facts, start: { user: 'ana', model: 'llama-3', groups, about: undefined } })).toEqual(
      [],
    );
    expect(matcher.compared).toBe(0);
  });

  test('count in a step of deletion by the groups of a session and by the holds it is compared with', () => {
    const sessions = Array.from({ length: 100 }, () => facts);
    const looked = (terms: readonly HoldTerms[], of: Partial<HeldFacts> = {}): number => {
      const kept = createKeptBlocks(createHoldMatcher(holdsOf(terms)), { before: 0, of: { allBut: [] } });
      expect(kept.keeps(sessions.map((one) => ({ ...one, ...of })))).toBe(false);
      return kept.looked;
    };
    expect(looked(many((n) => ({ user: `user-${n}` })))).toBeLessThan(120);
    expect(looked(many((n) => ({ user: 'ana', until: n })))).toBeGreaterThan(sessionsLooked);
    const groups = Array.from({ length: 1_024 }, (_, n) => `other-${n}`);
    expect(looked([{ group: 'x' }], { start: { user: 'ana', model: null, groups, about: undefined } })).toBeGreaterThan(
      sessionsLooked,
    );
  });
});
