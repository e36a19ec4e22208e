import { describe, expect, test } from '@jest/globals';
import type { LabelSelector } from './policy.ts';
import { leastPod, selectorMatches, selects } from './selector.ts';
import { clusterPolicy, policy } from './testing/policies.ts';

const expression = (
  operator: LabelSelector['matchExpressions'][number]['operator'],
  ...values: string[]
): LabelSelector => ({
  matchLabels: {},
  matchExpressions: [{ key: 'app', operator, values }],
});

describe('a label selector', () => {
  const cases: [string, LabelSelector, Record<string, string>, boolean][] = [
    ['empty selects everything', { matchLabels: {}, matchExpressions: [] }, {}, true],
    ['labels must be present', { matchLabels: { app: 'a' }, matchExpressions: [] }, {}, false],
    ['labels must have the value', { matchLabels: { app: 'a' }, matchExpressions: [] }, { app: 'b' }, false],
    ['all labels must hold', { matchLabels: { app: 'a', x: 'y' }, matchExpressions: [] }, { app: 'a' }, false],
    ['In takes one of the values', expression('In', 'a', 'b'), { app: 'b' }, true],
    ['In wants the label', expression('In', 'a'), {}, false],
    ['NotIn refuses the values', expression('NotIn', 'a'), { app: 'a' }, false],
    ['NotIn takes an absent label', expression('NotIn', 'a'), {}, true],
    ['Exists wants the label', expression('Exists'), {}, false],
    ['Exists takes any value', expression('Exists'), { app: '' }, true],
    ['DoesNotExist refuses the label', expression('DoesNotExist'), { app: '' }, false],
    [
      'names of object members are no labels',
      { matchLabels: {}, matchExpressions: [{ key: 'constructor', operator: 'Exists', values: [] }] },
      {},
      false,
    ],
  ];
  test.each(cases)('%s', (_, selector, labels, expected) => {
    expect(selectorMatches(selector, labels)).toBe(expected);
  });
});

describe('a policy selects', () => {
  const pod = { namespace: 'ml', labels: { app: 'a' }, namespaceLabels: { tier: 'prod' } };
  test('pods of its own namespace only', () => {
    expect(selects(policy('p'), pod)).toBe(true);
    expect(selects(policy('p'), { ...pod, namespace: 'x' })).toBe(false);
  });
  test('by namespace labels where it is the cluster’s', () => {
    const namespaceSelector = { matchLabels: { tier: 'prod' }, matchExpressions: [] };
    expect(selects(clusterPolicy('b', { namespaceSelector }), pod)).toBe(true);
    expect(selects(clusterPolicy('b', { namespaceSelector }), { ...pod, namespaceLabels: {} })).toBe(false);
    expect(selects(clusterPolicy('b'), pod)).toBe(true);
  });
});

describe('the pod with the fewest labels that policies select', () => {
  const labelled = (...matchLabels: readonly Record<string, string>[]) =>
    matchLabels.map((one, at) => policy(`p${at}`, { selector: { matchLabels: one, matchExpressions: [] } }));

  test('has what they ask for, and is in its namespace', () => {
    const selecting = (selector: LabelSelector) => policy('p', { selector });
    const floor = clusterPolicy('b', { namespaceSelector: { matchLabels: { tier: 'prod' }, matchExpressions: [] } });
    expect(leastPod([...labelled({ app: 'a' }, { x: 'y' }), floor], 'ml')).toEqual({
      namespace: 'ml',
      labels: { app: 'a', x: 'y' },
      namespaceLabels: { tier: 'prod', 'kubernetes.io/metadata.name': 'ml' },
    });
    for (const operator of ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const) {
      const one = selecting(expression(operator, ...(operator.endsWith('In') ? ['a', 'b'] : [])));
      expect([operator, selects(one, leastPod([one], 'ml'))]).toEqual([operator, true]);
    }
  });
  test('is not selected by all, where they ask for different values of one label', () => {
    const policies = labelled({ app: 'a' }, { app: 'b' });
    expect(policies.map((one) => selects(one, leastPod(policies, 'ml')))).toEqual([true, false]);
  });
});
