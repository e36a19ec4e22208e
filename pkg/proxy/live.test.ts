import { expect, test } from '@jest/globals';
import { compileSnapshot } from '../core/index.ts';
import { allow, anyone, guard, policy } from '../core/testing/policies.ts';
import { endedMeanwhile } from './live.ts';
import { compileViews } from './runtime.ts';
import type { Runtime } from './runtime.ts';

// A request that was judged and has not gone to the model, when policy is swapped.

const verifier = { verify: () => ({ kind: 'anonymous' }), close: () => undefined } as unknown as Runtime['verifier'];
const facts = { caller: undefined, operation: 'Chat', model: 'llama-3-8b' } as const;
const runtime = (revision: number, more: Parameters<typeof policy>[1] = {}): Runtime => {
  const rules = { access: [allow('all', { subjects: [anyone] })], ...more };
  return {
    ...compileViews(compileSnapshot([policy('p', rules)], { revision }), undefined, Buffer.alloc(32)),
    verifier,
    credential: undefined,
  };
};
const guarded = (word: string, action: 'Block' | 'Mask' = 'Block'): Parameters<typeof policy>[1] => ({
  guards: [guard('project', { on: 'Request', match: { detectors: [], patterns: [], words: [word] }, action })],
});

test.each([
  ['the same', guarded('falcon'), guarded('falcon'), undefined],
  ['one with a guard more', {}, guarded('falcon'), 'policy_changed'],
  ['one whose guard looks for something else', guarded('falcon'), guarded('kestrel'), 'policy_changed'],
  ['one whose guard does something else', guarded('falcon'), guarded('falcon', 'Mask'), 'policy_changed'],
  [
    'one with another model server',
    {},
    { upstream: { ports: [], hosted: { url: 'https://model.test' }, credential: undefined } },
    'policy_changed',
  ],
] as const)('by %s', (_, before, after, expected) => {
  const one = runtime(1, before);
  const plan = one.snapshot.responsePlan(undefined);
  expect(endedMeanwhile({ runtime: one, facts, plan }, runtime(2, after))).toBe(expected);
});
