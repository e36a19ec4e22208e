import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { controlPlane } from '../../pkg/contract/index.ts';
import { render, root } from '../chart/render.ts';
import type { KubeObject } from '../chart/render.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';

// The chart's objects on a real API server: it takes each of them, strictly, and its roles allow what the processes ask for and
// nothing that would matter.

let server: ApiServer;
const namespace = 'sidegate-system';
const yaml = (objects: readonly KubeObject[]): string => objects.map((one) => stringify(one)).join('---\n');

/** All but what needs another product's definitions. */
const applied = (values: object): readonly KubeObject[] =>
  render(values).filter((one) => !one.apiVersion.startsWith('monitoring.coreos.com/'));

beforeAll(async () => {
  server = await startApiServer();
  const manifest = join(root, 'manifests/install.yaml');
  const definitions = await server.kubectl(['apply', '--server-side', '-f', manifest]);
  expect(definitions).toMatchObject({ status: 0, stderr: expect.not.stringContaining('Warning') });
  await server.namespace('sidegate-test');
  await server.namespace('ml', { 'pod-security.kubernetes.io/enforce': 'restricted' });
}, 200_000);
afterAll(() => server.stop());

describe('what is applied', () => {
  test.each<[string, object]>([
    ['with the defaults', {}],
    [
      'with everything',
      {
        governNamespaces: 'Required',
        breakGlassGroup: 'oncall',
        sidecar: { captureMode: 'NamedPort', nativeSidecars: false },
        controller: { evictUngoverned: true, priorityClassName: 'system-cluster-critical' },
        monitoring: { dashboard: true },
        imagePullSecrets: ['regcred'],
        networkPolicy: { metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }] },
      },
    ],
  ])(
    'is taken %s, without a warning',
    async (_, values) => {
      const objects = applied(values);
      const { status, stdout, stderr } = await server.kubectl(
        ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', '-'],
        { input: yaml(objects) },
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout.trim().split('\n')).toHaveLength(objects.length);
    },
    60_000,
  );

  test('its pods are allowed where Pod Security is restricted', async () => {
    for (const one of applied({}).filter(({ kind }) => ['Deployment', 'Job'].includes(kind))) {
      const { template } = one.spec;
      const pod = {
        metadata: { generateName: 'try-', labels: template.metadata.labels },
        spec: { ...template.spec, serviceAccountName: 'default', priorityClassName: undefined },
      };
      const answer = await server.client.request('POST', '/api/v1/namespaces/ml/pods?dryRun=All', pod);
      expect({ name: one.metadata.name, status: answer.status, message: answer.message }).toMatchObject({
        status: 201,
      });
    }
  });

  test('manifests/install.yaml is all that the chart has without hooks, and its namespace', () => {
    const text = readFileSync(join(root, 'manifests/install.yaml'), 'utf8');
    expect(text).not.toContain('helm.sh/hook');
    expect(text).toContain(`name: ${namespace}`);
  });
});

type Try = readonly [verb: string, group: string, resource: string, namespace: string, name?: string];

/** What the API server's own authorizer says of a service account. */
async function allowed(account: string, [verb, group, resource, where, name]: Try): Promise<boolean> {
  const [main = '', subresource] = resource.split('/');
  const user = `system:serviceaccount:${namespace}:${account}`;
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  const review = await server.client.must('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    spec: {
      user,
      groups,
      resourceAttributes: { verb, group, resource: main, subresource, namespace: where, name },
    },
  });
  return (review['status'] as { allowed: boolean }).allowed;
}

const { controller, webhook, authority, webhookAuthority, trust, root: rootMap } = controlPlane;
const ours = 'sidegate.dev';

describe('the roles', () => {
  test.each<[string, Try]>([
    [controller, ['watch', ours, 'inferencepolicies', '']],
    [controller, ['patch', ours, 'clusterinferencepolicies/status', '', 'floor']],
    [controller, ['watch', '', 'pods', '']],
    [controller, ['get', '', 'secrets', 'ml', 'vllm-key']],
    [controller, ['update', '', 'secrets', namespace, authority]],
    [controller, ['patch', '', 'configmaps', 'ml', rootMap]],
    [controller, ['patch', '', 'namespaces', 'ml', 'ml']],
    [controller, ['update', 'coordination.k8s.io', 'leases', namespace, controller]],
    [controller, ['create', 'authentication.k8s.io', 'tokenreviews', '']],
    [controller, ['create', 'networking.k8s.io', 'networkpolicies', 'ml']],
    [webhook, ['get', '', 'pods', 'ml', 'llama']],
    [webhook, ['get', '', 'configmaps', namespace, trust]],
    [webhook, ['patch', '', 'configmaps', namespace, controlPlane.changers]],
    [webhook, ['update', '', 'secrets', namespace, webhookAuthority]],
  ])('let %s %j', async (account, request) => expect(await allowed(account, request)).toBe(true));

  test.each<[string, Try]>([
    // The webhook reads no Secret but its own, and signs no sidecar.
    [webhook, ['get', '', 'secrets', 'ml', 'vllm-key']],
    [webhook, ['get', '', 'secrets', namespace, authority]],
    [webhook, ['update', '', 'configmaps', namespace, trust]],
    [webhook, ['patch', '', 'configmaps', namespace, controlPlane.revocations]],
    [webhook, ['create', '', 'pods', 'ml']],
    [webhook, ['get', ours, 'inferencepolicies', 'ml', 'any']],
    // The controller knows a Secret's name or does not see it; it changes no policy, no pod and no admission.
    [controller, ['list', '', 'secrets', '']],
    [controller, ['watch', '', 'secrets', namespace]],
    [controller, ['update', '', 'secrets', 'ml', 'vllm-key']],
    [controller, ['create', '', 'secrets', 'ml']],
    [controller, ['update', '', 'secrets', namespace, webhookAuthority]],
    [controller, ['update', ours, 'inferencepolicies', 'ml', 'any']],
    [controller, ['create', '', 'pods', 'ml']],
    [controller, ['create', '', 'pods/exec', 'ml', 'llama']],
    [controller, ['patch', '', 'pods', 'ml', 'llama']],
    [controller, ['create', '', 'pods/eviction', 'ml', 'llama']],
    [controller, ['create', '', 'serviceaccounts/token', 'ml', 'default']],
    [controller, ['patch', '', 'configmaps', 'ml', 'another']],
    [controller, ['get', '', 'configmaps', 'ml', 'another']],
    [controller, ['patch', 'admissionregistration.k8s.io', 'validatingadmissionpolicies', '', 'any']],
    [controller, ['create', 'rbac.authorization.k8s.io', 'clusterrolebindings', '']],
    [controller, ['impersonate', '', 'users', '', 'admin']],
  ])('refuse %s %j', async (account, request) => expect(await allowed(account, request)).toBe(false));
});
