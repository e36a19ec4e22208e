import { describe, expect, test } from '@jest/globals';
import { compileSnapshot, expireSnapshot } from './index.ts';
import { allow, anyone, policy } from './testing/policies.ts';

describe('a policy that nobody has confirmed for too long', () => {
  const request = { caller: undefined, operation: 'Chat', model: 'm' } as const;

  test.each(['Enforce', 'Observe'] as const)('denies what it allowed in mode %s, and is enforced', (mode) => {
    const before = compileSnapshot([policy('p', { mode, access: [allow('all', { subjects: [anyone] })] })], {
      revision: 1,
    });
    expect(before.access(request).kind).toBe('allow');
    const after = expireSnapshot(before, 2);
    expect(after.access(request)).toEqual({
      kind: 'deny',
      refusal: { reason: 'policy_expired', rule: 'default' },
      observed: [],
    });
    expect(after).toMatchObject({ enforcing: true, revision: 2, hash: before.hash, sources: before.sources });
    expect(after.couldAllow(undefined, 'Chat')).toBe(false);
  });

  test('hides what it hid', () => {
    const before = compileSnapshot([policy('p')], { revision: 1 });
    expect(expireSnapshot(before, 2).responsePlan(undefined)).toBe(before.responsePlan(undefined));
  });
});
