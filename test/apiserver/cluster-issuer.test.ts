import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { followClusterIssuer, withIssuer } from '../../pkg/control/policies/cluster-issuer.ts';
import type { ClusterIssuerKeys } from '../../pkg/control/policies/cluster-issuer.ts';
import { createPolicyIndex } from '../../pkg/control/policies/policy-index.ts';
import { policyEntry } from '../../pkg/control/policies/policy-entry.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import type { IdentityResult } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { createKubeClient, kubeconfigAccess } from '../../pkg/kube/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';

// Tokens of the cluster's own service accounts, judged by a sidecar that never speaks to the API server: its keys come with the policy.

let server: ApiServer;
let cluster: ClusterIssuerKeys;
beforeAll(async () => {
  server = await startApiServer();
  await server.namespace('ml');
  // With the rights that any service account has: the controller's are no more in this.
  const token = await mint('default', 'https://kubernetes.default.svc');
  const access = await kubeconfigAccess(server.kubeconfig);
  const client = createKubeClient({
    access: {
      server: access.server,
      read: async () => {
        const { Secret } = await import('../../pkg/base/index.ts');
        return {
          ...(await access.read()),
          cert: undefined,
          key: undefined,
          authorization: new Secret(`Bearer ${token}`),
        };
      },
    },
  });
  cluster = await new Promise<ClusterIssuerKeys>((resolve) => {
    const follow = followClusterIssuer({
      client,
      clock: systemClock,
      logger: silentLogger,
      onChange(keys) {
        follow.stop();
        resolve(keys);
      },
    });
  });
  client.close();
}, 200_000);
afterAll(() => server.stop());

async function mint(account: string, audience: string): Promise<string> {
  const answer = await server.client.must('POST', `/api/v1/namespaces/ml/serviceaccounts/${account}/token`, {
    spec: { audiences: [audience], expirationSeconds: 600 },
  });
  return (answer['status'] as { token: string }).token;
}

const resource = (provider: object, generation = 1) => ({
  apiVersion: 'sidegate.dev/v1alpha1',
  kind: 'InferencePolicy',
  metadata: { name: 'p', namespace: 'ml', uid: 'u', generation, resourceVersion: '1' },
  spec: {
    identity: { providers: [{ name: 'workloads', serviceAccount: provider }] },
    access: [{ name: 'a', effect: 'Allow', subjects: [{ authenticated: true }], operations: ['Chat'] }],
  },
});
const policyOf = (provider: object) => {
  const { policies, faults } = parsePolicies(JSON.stringify(resource(provider)), 'p', {
    checkPattern: () => undefined,
    local: false,
  });
  expect(faults).toEqual([]);
  return policies[0]!;
};

async function judge(
  token: string,
  policy = withIssuer(policyOf({ audiences: ['inference'] }), cluster),
): Promise<IdentityResult> {
  const { providers } = compileSnapshot([policy], { revision: 1 });
  const verifier = createIdentityVerifier({ clock: systemClock, logger: silentLogger })(providers);
  try {
    return await verifier.verify({ token, certificate: undefined });
  } finally {
    verifier.close();
  }
}

test('a service account is proven by the keys that came with the policy', async () => {
  expect(cluster.issuer).toBe('https://kubernetes.default.svc');
  expect(await judge(await mint('default', 'inference'))).toMatchObject({
    kind: 'proven',
    identity: { subject: 'system:serviceaccount:ml:default', issuer: 'https://kubernetes.default.svc' },
  });
});

test('another audience, a forged signature, and a cluster without keys are refused', async () => {
  expect(await judge(await mint('default', 'elsewhere'))).toMatchObject({ kind: 'refused' });
  const token = await mint('default', 'inference');
  const [head = '', body = '', signature = ''] = token.split('.');
  const forged = `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
  expect(await judge(forged)).toMatchObject({ kind: 'refused' });
  expect(await judge(token, policyOf({ audiences: ['inference'] }))).toMatchObject({ kind: 'refused' });
});

test('a provider that names an issuer keeps it, and policies without such providers stay the same object', () => {
  const named = policyOf({ audiences: ['a'], issuer: 'https://other.example' });
  expect(withIssuer(named, cluster)).toBe(named);
  const written = policyOf({ audiences: ['inference'], issuer: cluster.issuer });
  expect(withIssuer(written, cluster)).toEqual(withIssuer(policyOf({ audiences: ['inference'] }), cluster));
  const keys = policyOf({ audiences: ['a'], jwksUri: 'https://other.example/keys' });
  expect(withIssuer(keys, cluster)).toBe(keys);
});

test('pods get another policy when the keys change, and only then', () => {
  const index = createPolicyIndex();
  index.put(policyEntry('InferencePolicy', resource({ audiences: ['a'] }), () => undefined));
  const pod = { namespace: 'ml', labels: {}, namespaceLabels: {} };
  const hash = (): string => {
    const set = index.setOf(pod);
    return set.kind === 'compiled' ? set.hash : set.message;
  };
  const before = hash();
  expect(index.setClusterIssuer(cluster)).toBe(true);
  const first = hash();
  expect(first).not.toBe(before);
  expect(index.setClusterIssuer({ ...cluster })).toBe(false);
  expect(hash()).toBe(first);
  expect(index.setClusterIssuer({ ...cluster, keys: '{"keys":[]}' })).toBe(true);
  expect(hash()).not.toBe(first);
});
