import { describe, expect, test } from '@jest/globals';
import { isTellable } from '../../core/index.ts';
import type { Policy, ProviderSpec } from '../../core/index.ts';
import { clusterPolicy, guard, oidc, policy, provider, subject } from '../../core/testing/policies.ts';
import { approvalSpec, providerId, shortProvider } from './approval-spec.ts';

test.each([
  ['ml/p/corp', 'p/corp'],
  ['cluster/base/corp', 'cluster/base/corp'],
  // Of a policy of the namespace that is named `cluster`: not the platform's.
  ['ml/cluster/corp', 'cluster/corp'],
])('the provider %s stands in approvals of its namespace as %s, and is read as itself', (id, short) => {
  expect(shortProvider('ml', id)).toBe(short);
  expect(providerId('ml', short)).toBe(id);
});

/** Who writes the policies of a namespace brings issuers of their own. */
describe('who the caller is to Kubernetes, and how they are named', () => {
  const leads = {
    approvers: [{ ...subject({}), kubernetesGroup: 'leads', kubernetesUser: undefined }],
    required: 1,
    timeoutMs: 60_000,
    maxGrantMs: undefined,
  };
  const called = { kubernetesUser: { claim: 'nickname', prefix: '' } };
  const corp = (more: Partial<ProviderSpec> = {}): ProviderSpec => ({ ...provider('corp'), ...called, ...more });
  const risky = [guard('risky', { action: 'RequireApproval' })];
  const ask = (from: string, naming?: string) => ({
    type: 'approval-ask' as const,
    id: 'a',
    direction: 'Request' as const,
    rules: ['p/risky'],
    requester: {
      provider: from,
      issuer: 'https://corp.example.com',
      subject: 'tina',
      kubernetesUser: 'somebody-else',
      ...(naming !== undefined && { naming }),
    },
    operation: 'Chat' as const,
    model: null,
    digest: 'sha256:x',
    snapshot: 'h',
    session: 's',
    excerpt: 'x',
  });
  const requesterBy = (policies: readonly Policy[], from: string, naming?: string) => {
    const snapshot = { hash: 'h', sources: [], policies, seen: {} };
    const pod = { namespace: 'ml', name: 'pod', uid: 'u', serviceAccount: 'default' };
    const made = approvalSpec(ask(from, naming), pod, snapshot, 0, (text) => text);
    if (typeof made === 'string') throw new Error(made);
    const { kubernetesUser, naming: known } = made.requester;
    return { kubernetesUser, naming: known };
  };
  const believed = { kubernetesUser: 'somebody-else', naming: 'sub for inference by cli' };
  const nothing = { kubernetesUser: undefined, naming: undefined };
  const own = policy('p', { guards: risky, providers: [corp()] });

  test('is what a provider of the namespace says where the namespace names the approvers', () => {
    const approvers = policy('p', { guards: risky, providers: [corp()], approvals: leads });
    expect(requesterBy([approvers], 'p/corp', believed.naming)).toEqual(believed);
  });

  test('is not what a provider of the namespace says where the platform does', () => {
    const platform = clusterPolicy('base', { approvals: leads, providers: [provider('theirs')] });
    expect(requesterBy([platform, own], 'p/corp', believed.naming)).toEqual(nothing);
    // So the tenant, who is an approver too, decides on no request that an issuer of their own called somebody else's.
    expect(isTellable({ user: 'tina' }, { issuer: 'i', subject: 's', ...nothing })).toBe(false);
    const renamed = policy('p', {
      guards: risky,
      providers: [corp({ oidc: oidc('https://corp.example.com', 'mine', { subjectClaim: 'email' }) })],
    });
    expect(requesterBy([platform, renamed], 'p/corp', 'claim email')).toEqual(nothing);
  });

  test('is what a provider of the platform says', () => {
    const platform = clusterPolicy('base', { approvals: leads, providers: [corp()] });
    const asking = policy('p', { guards: risky, providers: [] });
    expect(requesterBy([platform, asking], 'cluster/base/corp', believed.naming)).toEqual(believed);
  });

  test('is less for a sidecar that does not say how they were named, where that depends on the token', () => {
    const approvers = (claim: string) =>
      policy('p', {
        guards: risky,
        providers: [corp({ oidc: oidc('https://corp.example.com', 'inference', { subjectClaim: claim }) })],
        approvals: leads,
      });
    expect(requesterBy([approvers('sub')], 'p/corp').naming).toBeUndefined();
    expect(requesterBy([approvers('oid')], 'p/corp').naming).toBe('claim oid');
  });
});
