import { expect, test } from '@jest/globals';
import { governedSet } from '../../../test/support/governed-set.ts';
import type { GovernedBy } from '../../../test/support/governed-set.ts';
import { grantFact } from './grant-fact.ts';
import { grantReach } from './grant-reach.ts';

const since = '2026-11-26T12:00:00Z';
const fact = grantFact({
  metadata: { namespace: 'ml', name: 'g', uid: 'u' },
  spec: {
    issuer: 'https://corp.example.com',
    subject: 'ana',
    operations: ['Chat'],
    models: ['*'],
    expiresAt: '2026-11-26T12:30:00Z',
    requestedBy: 'kim',
  },
  status: {
    phase: 'Approved',
    approvers: [{ kubernetesGroup: 'ml-leads' }],
    required: 1,
    kubernetesUser: 'corp:ana',
    conditions: [{ type: 'Decidable', status: 'True', reason: 'Asked', message: '', lastTransitionTime: since }],
  },
} as never);
const reach = (...pods: readonly GovernedBy[]) => {
  const sets = pods.map((more) => governedSet('ml', more));
  return grantReach(fact, sets);
};

test('a grant holds on all pods whose policies would have had it decided in the same way', () => {
  expect(reach({}, { maxGrantMs: 1_800_000 })).toMatchObject({ status: 'True', reason: 'OnAllPods' });
  expect(reach()).toMatchObject({ status: 'True', reason: 'OnAllPods' });
});

test.each<[GovernedBy, string]>([
  [{ approvers: 'security' }, 'name other approvers'],
  [{ approvers: '' }, 'cannot be used, or name nobody who decides'],
  [{ invalid: true }, 'cannot be used, or name nobody who decides'],
  [{ required: 2 }, 'want more people to approve'],
  [{ claim: undefined }, 'do not say the same of who the caller is to Kubernetes'],
  [{ maxGrantMs: 1_799_999 }, 'allow it for a shorter time'],
])('where they are edited to %j, it says on how many it holds, and why', (edited, why) => {
  expect(reach({}, edited, edited)).toEqual({
    status: 'False',
    reason: 'OnSomePods',
    message: `on 1 of 3 pods that it selects: the policies of the others ${why}, so that it is asked for anew there`,
  });
  expect(reach(edited)).toMatchObject({ status: 'False', reason: 'OnNoPod' });
});

test('each reason is said once', () => {
  expect(reach({ required: 2 }, { required: 3 }, { maxGrantMs: 60_000 }).message).toContain(
    'on 0 of 3 pods that it selects: the policies of the others allow it for a shorter time; or want more people to approve,',
  );
});
