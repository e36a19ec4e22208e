import { describe, expect, test } from '@jest/globals';
import { compileSnapshot } from './compile.ts';
import type { Identity } from './identity.ts';
import type { GuardRule, Policy, PolicySpec, ResponseLimit } from './policy.ts';
import type { RuleSelection, Snapshot } from './snapshot.ts';
import { anyone, caller, clusterPolicy, group, guard, label, match, policy } from './testing/policies.ts';

const eng = caller('ml/p/p-idp', { groups: ['eng'] });
const officer = caller('ml/p/p-idp', { groups: ['compliance'] });
const compile = (...policies: Policy[]): Snapshot => compileSnapshot(policies, { revision: 1 });

/** Ids of the rules in a selection. */
function ids(snapshot: Snapshot, selection: RuleSelection): readonly string[] {
  return snapshot.scanRules.filter((one) => selection[one.index] === 1).map((one) => one.id);
}
const seen = (policies: readonly Policy[], who?: Identity) => {
  const snapshot = compile(...policies);
  const plan = snapshot.responsePlan(who);
  return {
    mask: ids(snapshot, plan.mask),
    block: ids(snapshot, plan.block),
    approve: ids(snapshot, plan.approve),
    flag: ids(snapshot, plan.flag),
    scan: ids(snapshot, plan.scan),
    record: ids(snapshot, plan.record),
  };
};
const limit = (more: Partial<ResponseLimit>): ResponseLimit => ({
  subjects: [anyone],
  maxBytes: undefined,
  maxDurationMs: undefined,
  minDurationMs: undefined,
  padToMultipleOf: undefined,
  cadenceMs: undefined,
  ...more,
});

describe('response limits of two policies', () => {
  test.each([
    [10, 5, ['long']],
    [5, 10, []],
  ])('where a least duration of %i ms meets a longest of %i ms, a notice says so: %j', (least, most, told) => {
    const { notices } = compile(
      policy('short', { responseLimits: [limit({ maxDurationMs: most })] }),
      policy('long', { responseLimits: [limit({ minDurationMs: least })] }),
    );
    const found = notices.filter(({ field }) => field === 'responseLimits[0].minDuration');
    expect(found.map((one) => one.policy)).toEqual(told);
  });
});

describe('scan rules', () => {
  test('stand in policy order, guards before labels, each with its index', () => {
    const { scanRules } = compile(
      policy('p', { guards: [guard('g')], classification: [label('l')] }),
      clusterPolicy('base', { classification: [label('c')], guards: [guard('h', { on: 'Response' })] }),
    );
    expect(scanRules.map(({ index, id, on }) => [index, id, on])).toEqual([
      [0, 'cluster/base/h', 'Response'],
      [1, 'cluster/base/c', 'Response'],
      [2, 'p/g', 'Request'],
      [3, 'p/l', 'Response'],
    ]);
  });

  test('that show less of a value stand before those that show more', () => {
    const by = (name: string, replacement: GuardRule['replacement']): GuardRule =>
      guard(name, { on: 'Response', action: 'Mask', replacement });
    const { scanRules } = compile(
      clusterPolicy('base', { guards: [by('partial', { style: 'Partial', keep: 4 }), by('hash', { style: 'Hash' })] }),
      policy('p', { guards: [by('constant', { style: 'Constant', text: 'x' }), by('label', undefined)] }),
    );
    expect(scanRules.map((one) => one.label)).toEqual(['constant', 'label', 'hash', 'partial']);
  });

  test('are replaced by their label where nothing is said', () => {
    const { scanRules } = compile(policy('p', { guards: [guard('g')], classification: [label('secret')] }));
    expect(scanRules.map((one) => [one.label, one.replacement])).toEqual([
      ['g', { style: 'Label' }],
      ['secret', { style: 'Label' }],
    ]);
  });

  test('a detector that does not exist compiles into nothing', () => {
    expect(() => compile(policy('p', { guards: [guard('g', { match: match('Nope') })] }))).toThrow(
      'no detector named Nope',
    );
    expect(() => compile(policy('p', { classification: [label('l', { match: match('Nope') })] }))).toThrow(
      'no detector named Nope',
    );
  });
});

describe('request plans', () => {
  test('hold the request guards whose subjects the caller is, or all where none are named', () => {
    const snapshot = compile(
      policy('p', {
        guards: [
          guard('all'),
          guard('eng', { subjects: [group('eng')] }),
          guard('answers', { on: 'Response' }),
          guard('ops', { subjects: [group('ops')] }),
        ],
      }),
    );
    const plan = snapshot.requestPlan(eng);
    expect(ids(snapshot, plan.selection)).toEqual(['p/all', 'p/eng']);
    expect(plan.outcomes).toEqual([
      { rule: 'p/all', action: 'Block', enforce: true },
      { rule: 'p/eng', action: 'Block', enforce: true },
      undefined,
      undefined,
    ]);
    expect(ids(snapshot, snapshot.requestPlan(undefined).selection)).toEqual(['p/all']);
  });

  test('inspect only where an enforced rule applies', () => {
    const observing = policy('p', { mode: 'Observe', guards: [guard('g')] });
    expect(compile(observing).requestPlan(eng)).toMatchObject({ inspects: false, outcomes: [{ enforce: false }] });
    expect(compile(policy('p', { guards: [guard('g')] })).requestPlan(eng).inspects).toBe(true);
    expect(compile(policy('p', { guards: [guard('g', { subjects: [group('ops')] })] })).requestPlan(eng).inspects).toBe(
      false,
    );
  });

  test('hold labels that read requests, for those who may not see them', () => {
    const snapshot = compile(
      policy('p', {
        classification: [
          label('seen', { inRequests: 'RequireApproval', visibleTo: [group('eng')] }),
          label('held', { inRequests: 'RequireApproval', otherwise: 'Mask' }),
          label('answers'),
        ],
      }),
    );
    const plan = snapshot.requestPlan(eng);
    expect(plan.outcomes).toEqual([undefined, { rule: 'p/held', action: 'RequireApproval', enforce: true }, undefined]);
    expect(ids(snapshot, plan.selection)).toEqual(['p/held']);
    expect(plan.inspects).toBe(true);
    expect(ids(snapshot, snapshot.requestPlan(undefined).selection)).toEqual(['p/seen', 'p/held']);
    // In answers it stays what it was.
    expect(ids(snapshot, snapshot.responsePlan(eng).mask)).toEqual(['p/held', 'p/answers']);
    expect(compile(policy('p', { classification: [label('l')] })).requestPlan(eng).inspects).toBe(false);
  });

  test('are one object for one outcome, whoever the callers are', () => {
    const snapshot = compile(
      policy('p', {
        guards: [guard('g', { subjects: [group('eng')] })],
        classification: [label('l', { visibleTo: [group('ops')] })],
      }),
    );
    const other = caller('ml/p/p-idp', { groups: ['eng', 'ops'], subject: 'bo' });
    expect(snapshot.requestPlan(eng)).toBe(snapshot.requestPlan(other));
    expect(snapshot.responsePlan(eng)).not.toBe(snapshot.responsePlan(other));
    expect(snapshot.responsePlan(eng)).toBe(snapshot.responsePlan(undefined));
    expect(snapshot.requestPlan(eng)).not.toBe(snapshot.requestPlan(undefined));
  });
});

describe('response plans', () => {
  const spec: Partial<PolicySpec> = {
    classification: [
      label('masked', { visibleTo: [group('compliance')] }),
      label('blocked', { otherwise: 'Block', visibleTo: [group('compliance')] }),
      label('held', { otherwise: 'RequireApproval', visibleTo: [group('compliance')] }),
    ],
    guards: [
      guard('g-mask', { on: 'Response', action: 'Mask' }),
      guard('g-flag', { on: 'Response', action: 'Flag' }),
      guard('g-request', { action: 'Mask' }),
    ],
  };

  test('hide from a caller what its labels say, by what they say', () => {
    expect(seen([policy('p', spec)], eng)).toEqual({
      mask: ['p/g-mask', 'p/masked'],
      block: ['p/blocked'],
      approve: ['p/held'],
      flag: ['p/g-flag'],
      scan: ['p/g-mask', 'p/g-flag', 'p/masked', 'p/blocked', 'p/held'],
      record: ['p/g-mask', 'p/g-flag', 'p/g-request', 'p/masked', 'p/blocked', 'p/held'],
    });
  });

  test('hide nothing that a caller may see, and record it hidden all the same', () => {
    const plan = seen([policy('p', spec)], officer);
    expect(plan.mask).toEqual(['p/g-mask']);
    expect([...plan.block, ...plan.approve]).toEqual([]);
    expect(plan.record).toContain('p/masked');
  });

  test('of observing policies only flag, and still hide in the record', () => {
    expect(seen([policy('p', { ...spec, mode: 'Observe' })], eng)).toMatchObject({
      mask: [],
      block: [],
      approve: [],
      flag: ['p/g-mask', 'p/g-flag', 'p/masked', 'p/blocked', 'p/held'],
      record: ['p/g-mask', 'p/g-flag', 'p/g-request', 'p/masked', 'p/blocked', 'p/held'],
    });
  });

  test('a label that nobody is named for is visible to nobody', () => {
    expect(seen([policy('p', { classification: [label('l')] })], officer).mask).toEqual(['p/l']);
  });
});

describe('one label in several policies', () => {
  const base = clusterPolicy('base', {
    providers: [],
    classification: [label('pii', { match: match('Iban'), fields: ['**.iban'], visibleTo: [anyone] })],
  });

  test('finds what any of them names, each in its policy’s own place, once', () => {
    const own = policy('p', {
      classification: [label('pii', { match: match('Iban', 'Email'), fields: ['**.iban', '**.mail'] })],
    });
    expect(compile(own, base).scanRules).toMatchObject([
      { id: 'cluster/base/pii', match: { detectors: ['Iban'] }, fields: ['**.iban'] },
      { id: 'p/pii', match: { detectors: ['Email'] }, fields: ['**.mail'] },
    ]);
    const same = policy('p', { classification: [label('pii', { match: match('Iban') })] });
    expect(compile(same, base).scanRules.map((one) => one.id)).toEqual(['cluster/base/pii']);
  });

  test('does not let a namespace put its words before another rule of the platform', () => {
    const snapshot = compile(
      clusterPolicy('a', { classification: [label('pii', { match: match('Iban') })] }),
      clusterPolicy('b', { guards: [guard('g', { on: 'Response', action: 'Mask', match: match('Email') })] }),
      policy('p', { classification: [label('pii', { match: match('Email') })] }),
    );
    expect(snapshot.scanRules.map((one) => one.id)).toEqual(['cluster/a/pii', 'cluster/b/g', 'p/pii']);
  });

  test('is visible only to who stands in every policy’s list', () => {
    const own = policy('p', { classification: [label('pii', { visibleTo: [group('compliance')] })] });
    expect(seen([own, base], officer).mask).toEqual([]);
    expect(seen([own, base], eng).mask).toEqual(['cluster/base/pii', 'p/pii']);
    expect(seen([own, clusterPolicy('base', { classification: [label('pii')] })], officer).mask).toEqual([
      'cluster/base/pii',
    ]);
  });

  test('takes the stricter otherwise', () => {
    const order = ['Mask', 'RequireApproval', 'Block'] as const;
    for (const a of order) {
      for (const b of order) {
        const policies = [
          policy('p', { classification: [label('pii', { otherwise: a })] }),
          clusterPolicy('base', { classification: [label('pii', { otherwise: b })] }),
        ];
        const stricter = order[Math.max(order.indexOf(a), order.indexOf(b))];
        expect(compile(...policies).scanRules[0]?.action).toBe(stricter);
      }
    }
  });

  test('takes the stricter in requests, where one says anything; what any of them finds counts', () => {
    const order = [undefined, 'Mask', 'RequireApproval', 'Block'] as const;
    for (const a of order) {
      for (const b of order) {
        const { scanRules, notices } = compile(
          policy('p', { classification: [label('pii', { inRequests: a })] }),
          clusterPolicy('base', { classification: [label('pii', { inRequests: b, match: match('Iban') })] }),
        );
        const stricter = order[Math.max(order.indexOf(a), order.indexOf(b))];
        expect(scanRules.map(({ id, inRequests }) => [id, inRequests])).toEqual([
          ['cluster/base/pii', stricter],
          ['p/pii', stricter],
        ]);
        const gaveWay = notices.filter(({ field }) => field === 'classification[pii].inRequests');
        expect(gaveWay).toHaveLength(a === undefined || b === undefined || a === b ? 0 : 1);
      }
    }
  });

  test('takes the replacement that shows least, and the label where one says nothing', () => {
    const styles = [
      { style: 'Partial', keep: 8 },
      { style: 'Partial', keep: 4 },
      { style: 'Hash' },
      { style: 'Label' },
    ] as const;
    styles.forEach((a, i) =>
      styles.forEach((b, j) => {
        const { scanRules } = compile(
          policy('p', { classification: [label('pii', { replacement: a })] }),
          clusterPolicy('base', { classification: [label('pii', { replacement: b })] }),
        );
        expect(scanRules[0]?.replacement).toEqual(styles[Math.max(i, j)]);
      }),
    );
    const unset = clusterPolicy('base', { classification: [label('pii')] });
    const partial = policy('p', { classification: [label('pii', { replacement: { style: 'Partial', keep: 8 } })] });
    expect(compile(partial, unset).scanRules[0]?.replacement).toEqual({ style: 'Label' });
  });

  test('names in notices what gave way', () => {
    const { notices } = compile(
      policy('p', { classification: [label('pii', { otherwise: 'Block', visibleTo: [group('eng')] })] }),
      base,
    );
    expect(notices).toContainEqual(
      expect.objectContaining({ policy: 'cluster/base', field: 'classification[pii].otherwise' }),
    );
    expect(notices).toContainEqual(expect.objectContaining({ policy: 'p', field: 'classification[pii].visibleTo' }));
  });

  test('of an observing policy leaves the enforced rule alone and is decided beside it', () => {
    const watching = policy('p', { mode: 'Observe', classification: [label('pii', { otherwise: 'Block' })] });
    const snapshot = compile(watching, base);
    expect(snapshot.scanRules).toMatchObject([
      { id: 'cluster/base/pii', action: 'Mask', enforce: true, match: { detectors: ['Iban'] } },
      { id: 'p/pii', action: 'Block', enforce: false, match: { detectors: ['Email', 'Iban'] } },
    ]);
    const plan = snapshot.responsePlan(eng);
    expect(ids(snapshot, plan.mask)).toEqual([]);
    expect(ids(snapshot, plan.flag)).toEqual(['p/pii']);
  });
});

describe('response limits', () => {
  test('are the strictest of all that apply to the caller', () => {
    const snapshot = compile(
      policy('p', {
        responseLimits: [
          limit({ maxBytes: 100, maxDurationMs: 10, minDurationMs: 1, padToMultipleOf: 512, cadenceMs: 5 }),
          limit({
            subjects: [group('eng')],
            maxBytes: 50,
            maxDurationMs: 20,
            minDurationMs: 2,
            padToMultipleOf: 64,
            cadenceMs: 9,
          }),
        ],
      }),
    );
    expect(snapshot.responsePlan(eng).limits).toEqual({
      maxBytes: 50,
      maxDurationMs: 10,
      minDurationMs: 2,
      padToMultipleOf: 512,
      cadenceMs: 9,
    });
    expect(snapshot.responsePlan(undefined).limits).toEqual({
      maxBytes: 100,
      maxDurationMs: 10,
      minDurationMs: 1,
      padToMultipleOf: 512,
      cadenceMs: 5,
    });
  });

  test('of observing policies are not applied', () => {
    const snapshot = compile(policy('p', { mode: 'Observe', responseLimits: [limit({ maxBytes: 1 })] }));
    expect(snapshot.responsePlan(eng).limits.maxBytes).toBeUndefined();
  });
});

describe('a live stream when the policy changes', () => {
  const plan = (spec: Partial<PolicySpec>, who = eng) => compile(policy('p', spec)).responsePlan(who);
  const mask = label('l', { match: match('Email', 'Iban') });
  const masking = (more: Partial<GuardRule['match']>): GuardRule =>
    guard('g', { on: 'Response', action: 'Mask', match: { detectors: [], patterns: [], words: [], ...more } });
  const words = (...all: string[]): GuardRule => masking({ words: all });
  const patterns = (...all: string[]): GuardRule =>
    masking({ patterns: all.map((pattern) => ({ pattern, maxLength: 9 })) });
  const cases: [string, Partial<PolicySpec>, Partial<PolicySpec>, boolean][] = [
    ['goes on when nothing changed', { classification: [mask] }, { classification: [mask] }, true],
    ['goes on when less is hidden', { classification: [mask] }, { classification: [label('l')] }, true],
    ['ends when more is hidden', { classification: [label('l')] }, { classification: [mask] }, false],
    [
      'goes on when the same stands under another label',
      { classification: [label('a')] },
      { classification: [label('b')] },
      true,
    ],
    [
      'goes on when a class becomes its members',
      { classification: [label('a', { match: match('Pii') })] },
      { classification: [label('a', { match: match('Iban', 'Email') })] },
      true,
    ],
    [
      'ends when a field is hidden',
      { classification: [mask] },
      { classification: [{ ...mask, fields: ['**.x'] }] },
      false,
    ],
    [
      'ends when a pattern is hidden',
      {},
      {
        guards: [
          guard('g', {
            on: 'Response',
            action: 'Mask',
            match: { detectors: [], patterns: [{ pattern: 'x', maxLength: 9 }], words: [] },
          }),
        ],
      },
      false,
    ],
    [
      'ends when a word is hidden',
      {},
      {
        guards: [guard('g', { on: 'Response', action: 'Mask', match: { detectors: [], patterns: [], words: ['x'] } })],
      },
      false,
    ],
    [
      'ends when a word is hidden that reads as what is allowed beside another',
      { guards: [words('rent')] },
      { guards: [words('rent', 'rent but for Ana')] },
      false,
    ],
    [
      'ends when a pattern or a field is, too',
      { guards: [patterns('x')], classification: [{ ...mask, fields: ['$.x'] }] },
      { guards: [patterns('x', 'x but for y')], classification: [{ ...mask, fields: ['$.x', '$.x but for y'] }] },
      false,
    ],
    [
      'ends when what was masked is blocked',
      { classification: [mask] },
      { classification: [{ ...mask, otherwise: 'Block' }] },
      false,
    ],
    [
      'goes on when what was blocked is masked',
      { classification: [{ ...mask, otherwise: 'Block' }] },
      { classification: [mask] },
      true,
    ],
    [
      'ends when a replacement shows less',
      { classification: [{ ...mask, replacement: { style: 'Partial', keep: 4 } }] },
      { classification: [mask] },
      false,
    ],
    [
      'goes on when a guard only flags',
      { classification: [mask] },
      { classification: [mask], guards: [guard('g', { on: 'Response', action: 'Flag' })] },
      true,
    ],
    [
      'goes on when a request guard comes',
      { classification: [mask] },
      { classification: [mask], guards: [guard('g')] },
      true,
    ],
    ['goes on when an observing policy would hide', {}, { mode: 'Observe', classification: [mask] }, true],
    [
      'ends when the answer must be shorter',
      { responseLimits: [limit({ maxBytes: 9 })] },
      { responseLimits: [limit({ maxBytes: 8 })] },
      false,
    ],
    ['ends when a limit comes', {}, { responseLimits: [limit({ padToMultipleOf: 8 })] }, false],
    [
      'ends when frames must wait longer',
      { responseLimits: [limit({ cadenceMs: 5 })] },
      { responseLimits: [limit({ cadenceMs: 6 })] },
      false,
    ],
    [
      'goes on when limits grow or go',
      { responseLimits: [limit({ maxBytes: 9, minDurationMs: 9 })] },
      { responseLimits: [limit({ maxBytes: 10 })] },
      true,
    ],
  ];
  test.each(cases)('%s', (_, before, after, covered) => {
    expect(plan(before).coveredBy(plan(after))).toBe(covered);
  });

  test('ends when its plan is not one of this compiler', () => {
    const one = plan({});
    expect(one.coveredBy({ ...one, coveredBy: () => true })).toBe(false);
  });
});
