import { describe, expect, test } from '@jest/globals';
import { compileSnapshot } from './compile.ts';
import { expireSnapshot } from './expire.ts';
import type { LoopbackSpec, Policy } from './policy.ts';
import { allow, anyone, clusterPolicy, policy } from './testing/policies.ts';

const opens = (...operations: LoopbackSpec['operations']) => ({ loopback: [{ runAsUser: 2_000, operations }] });
const ruled = { access: [allow('all', { subjects: [anyone] })] };
const compile = (...policies: Policy[]) => compileSnapshot(policies, { revision: 1 });
const opened = (...policies: Policy[]) =>
  compile(...policies).loopback.map(({ id, runAsUser, operations }) => `${id} ${runAsUser} ${[...operations].join()}`);

describe('what helpers in the pod may do', () => {
  test('is nothing, and nothing of what an older controller sends', () => {
    expect(opened(policy('p'))).toEqual([]);
    const { loopback: _, ...older } = policy('p').spec;
    expect(opened({ ...policy('p'), spec: older as Policy['spec'] })).toEqual([]);
  });

  test('adds up', () => {
    expect(opened(policy('p', opens('Admin')), policy('q', opens('Chat')))).toEqual([
      'p/loopback 2000 Admin',
      'q/loopback 2000 Chat',
    ]);
  });

  test('is never more than each cluster policy with access rules opens, for that uid', () => {
    const own = policy('p', opens('Admin', 'Chat'));
    expect(opened(own, clusterPolicy('base'))).toEqual(['p/loopback 2000 Admin,Chat']);
    expect(opened(own, clusterPolicy('base', ruled))).toEqual([]);
    const other = { loopback: [{ runAsUser: 2_001, operations: ['Admin' as const] }] };
    expect(opened(own, clusterPolicy('base', { ...ruled, ...other }))).not.toContain('p/loopback 2000 Admin');
    const floor = clusterPolicy('base', { ...ruled, ...opens('Admin') });
    expect(opened(own, floor)).toEqual(['cluster/base/loopback 2000 Admin', 'p/loopback 2000 Admin']);
    expect(compile(own, floor).notices).toContainEqual({
      policy: 'p',
      field: 'loopback[2000]',
      message: 'does not open Chat: cluster/base has access rules and does not open it',
    });
  });

  test('of the platform is open where the namespace with access rules opens it too', () => {
    const floor = clusterPolicy('base', opens('Admin'));
    expect(opened(floor, policy('p'))).toEqual(['cluster/base/loopback 2000 Admin']);
    expect(opened(floor, policy('p', ruled))).toEqual([]);
    expect(opened(floor, policy('p', ruled), policy('q', opens('Admin')))).toEqual([
      'cluster/base/loopback 2000 Admin',
      'q/loopback 2000 Admin',
    ]);
  });

  test('is not opened by a policy that observes, nor by one that is too old', () => {
    expect(opened(policy('p'), policy('o', { mode: 'Observe', ...opens('Admin') }))).toEqual([]);
    const snapshot = compile(policy('p', opens('Admin')));
    expect(expireSnapshot(snapshot, 2).loopback).toEqual([]);
  });
});
