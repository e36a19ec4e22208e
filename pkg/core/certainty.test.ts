import { describe, expect, test } from '@jest/globals';
import type { AllowSpec } from './certainty.ts';
import { compileSnapshot } from './compile.ts';
import { explain } from './explain.ts';
import type { MatchSpec, Policy } from './policy.ts';
import type { ResponsePlan, Snapshot } from './snapshot.ts';
import { clusterPolicy, guard, label, match, policy } from './testing/policies.ts';

const compile = (...policies: Policy[]): Snapshot => compileSnapshot(policies, { revision: 1 });
const looking = (detectors: readonly string[], more: Partial<MatchSpec> = {}): MatchSpec => ({
  ...match(...detectors),
  ...more,
});
const pii = (detectors: readonly string[], more: Partial<MatchSpec> = {}) => ({
  classification: [label('pii', { match: looking(detectors, more) })],
});
const cards: AllowSpec = { sets: ['TestCards'], values: [] };
const one: AllowSpec = { sets: [], values: ['4929 0000 0000 0006'] };

describe('of one rule', () => {
  test('detectors count from Likely on and nothing is allowed where it says nothing', () => {
    expect(compile(policy('p', pii(['Pii']))).scanRules[0]).not.toHaveProperty('terms');
    expect(compile(policy('p', pii(['Email'], { certainty: 'Likely' }))).scanRules[0]).not.toHaveProperty('terms');
    expect(compile(policy('p', pii(['Email'], { allow: { sets: [], values: [] } }))).scanRules[0]).not.toHaveProperty(
      'terms',
    );
  });

  test('what is said of a detector goes before what is said of its class, and that before the rule’s own', () => {
    const certaintyOf = [
      { detector: 'Pii', certainty: 'Certain' },
      { detector: 'Phone', certainty: 'Possible' },
    ] as const;
    const spec = { guards: [guard('g', { match: looking(['Pii', 'Jwt'], { certainty: 'Possible', certaintyOf }) })] };
    const { terms } = compile(policy('p', spec)).scanRules[0] ?? {};
    expect([terms?.Email?.from, terms?.Phone?.from, terms?.Jwt?.from]).toEqual(['Certain', 'Possible', 'Possible']);
  });

  test('an exception for what it does not look for is named', () => {
    const spec = pii(['Secrets'], { certaintyOf: [{ detector: 'Phone', certainty: 'Certain' }] });
    expect(compile(policy('p', spec)).notices).toContainEqual(
      expect.objectContaining({ field: 'classification[pii].certaintyOf', message: expect.stringContaining('Phone') }),
    );
    const fine = pii(['Pii'], { certaintyOf: [{ detector: 'Phone', certainty: 'Certain' }] });
    expect(compile(policy('p', fine)).notices.filter(({ field }) => field.endsWith('certaintyOf'))).toEqual([]);
  });
});

describe('of a label that several policies name', () => {
  const levels = [undefined, 'Possible', 'Likely', 'Certain'] as const;
  const height = (level: (typeof levels)[number]): number => levels.indexOf(level ?? 'Likely');

  test('each detector counts from the lower certainty on, whoever says it', () => {
    for (const a of levels) {
      for (const b of levels) {
        const { scanRules } = compile(
          policy('p', pii(['Email', 'Phone'], { certainty: a })),
          clusterPolicy('base', pii(['Email', 'Iban'], { certainty: b })),
        );
        const lower = levels[Math.min(height(a), height(b))];
        for (const { terms } of scanRules) {
          expect(terms?.Email?.from ?? 'Likely').toBe(lower);
          // Of what one of them alone looks for, its own word holds.
          expect(terms?.Phone?.from ?? 'Likely').toBe(a ?? 'Likely');
          expect(terms?.Iban?.from ?? 'Likely').toBe(b ?? 'Likely');
        }
      }
    }
  });

  test('a namespace allows nothing that the platform finds, and only what both allow is allowed', () => {
    const allowOf = (a?: AllowSpec, b?: AllowSpec) =>
      compile(
        policy('p', pii(['CreditCard', 'Email'], { allow: a })),
        clusterPolicy('base', pii(['Pii'], { allow: b })),
      ).scanRules.map(({ terms }) => terms?.CreditCard?.allow ?? []);
    for (const [a, b, both] of [
      [cards, undefined, []],
      [undefined, cards, []],
      [cards, { sets: [], values: [] }, []],
      [cards, one, [one, cards]],
      [cards, cards, [cards]],
    ] as const)
      for (const allow of allowOf(a, b)) expect(allow).toEqual(both);
  });

  test('what a namespace alone looks for it allows as it likes', () => {
    const { scanRules } = compile(
      policy('p', pii(['CreditCard'], { allow: cards })),
      clusterPolicy('base', pii(['Iban'])),
    );
    expect(scanRules.find(({ id }) => id === 'p/pii')?.terms).toEqual({
      CreditCard: { from: 'Likely', allow: [cards] },
    });
  });

  test('what gives way is named', () => {
    const { notices } = compile(
      policy('p', pii(['CreditCard', 'Email'], { certainty: 'Certain', allow: cards })),
      clusterPolicy('base', pii(['CreditCard'])),
    );
    const said = (name: string) => notices.filter(({ field }) => field === `classification[pii].${name}`);
    expect(said('certainty')).toMatchObject([{ policy: 'p', message: expect.stringContaining('for CreditCard:') }]);
    expect(said('allow')).toMatchObject([{ policy: 'p', message: expect.stringContaining('for CreditCard:') }]);
  });

  test('an observing policy changes nothing of the enforced rule', () => {
    const { scanRules } = compile(
      policy('p', { mode: 'Observe', ...pii(['Email'], { certainty: 'Possible' }) }),
      clusterPolicy('base', pii(['Email'], { certainty: 'Certain' })),
    );
    expect(scanRules.map(({ enforce, terms }) => [enforce, terms?.Email?.from])).toEqual([
      [true, 'Certain'],
      [false, 'Possible'],
    ]);
  });
});

describe('a stream that goes on under another policy', () => {
  const plan = (more: Partial<MatchSpec>): ResponsePlan =>
    compile(policy('p', pii(['CreditCard'], more))).responsePlan(undefined);

  test.each<[string, Partial<MatchSpec>, Partial<MatchSpec>, boolean]>([
    ['a higher certainty hides no more', {}, { certainty: 'Certain' }, true],
    ['a lower one does', {}, { certainty: 'Possible' }, false],
    ['and back', { certainty: 'Certain' }, {}, false],
    ['what is allowed from then on is hidden no more', {}, { allow: cards }, true],
    ['what is allowed no more is', { allow: cards }, {}, false],
    ['nor is other than before', { allow: cards }, { allow: one }, false],
    [
      'the same in another order is the same',
      { allow: { sets: [], values: ['a', 'b'] } },
      { allow: { sets: [], values: ['b', 'a'] } },
      true,
    ],
  ])('%s', (_, before, after, covered) => {
    expect(plan(before).coveredBy(plan(after))).toBe(covered);
  });
});

test('what is looked for is explained with its certainty and what is allowed', () => {
  const policies = [
    policy('p', {
      ...pii(['CreditCard', 'Secrets', 'Email'], {
        certainty: 'Certain',
        certaintyOf: [{ detector: 'Email', certainty: 'Likely' }],
        allow: { sets: ['TestCards'], values: ['a@b.c'] },
      }),
      guards: [
        guard('g', { match: looking(['Secrets'], { certaintyOf: [{ detector: 'Jwt', certainty: 'Possible' }] }) }),
      ],
    }),
  ];
  const { classification, guards } = explain(
    policies,
    { caller: undefined, operation: 'Chat', model: undefined },
    { revision: 1 },
  );
  expect(classification[0]?.looksFor).toEqual([
    'CreditCard from Certain on, but for TestCards, "a@b.c"',
    'Secrets from Certain on, but for TestCards, "a@b.c"',
    'Email but for TestCards, "a@b.c"',
  ]);
  expect(guards[0]?.looksFor[0]).toBe('Jwt from Possible on');
  expect(guards[0]?.looksFor).toContain('PrivateKey');
});
