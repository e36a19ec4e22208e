import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer, ApiServerOptions } from '../cluster/api-server.ts';
import { findPrograms } from '../cluster/programs.ts';

// What other tests of this tier rely on: a real API server, one's own, that refuses what the real one refuses.

const pod = (name: string, more: object = {}): object => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'localhost/none:1' }], ...more },
});

let first: ApiServer;
let second: ApiServer;
const started: ApiServer[] = [];
const start = async (options?: ApiServerOptions): Promise<ApiServer> => {
  const server = await startApiServer(options);
  started.push(server);
  return server;
};
beforeAll(async () => {
  [first, second] = await Promise.all([
    start({ controllers: ['deployment-controller', 'replicaset-controller', 'clusterrole-aggregation-controller'] }),
    start(),
  ]);
}, 200_000);
afterAll(() => Promise.all(started.map((server) => server.stop())));

describe('an API server of a test', () => {
  test('takes pods in a namespace made for them', async () => {
    await first.namespace('ml', { team: 'a' });
    const made = await first.client.must('POST', '/api/v1/namespaces/ml/pods', pod('one'));
    expect(made).toMatchObject({ metadata: { name: 'one', namespace: 'ml' }, spec: { serviceAccountName: 'default' } });
    const space = await first.client.must('GET', '/api/v1/namespaces/ml');
    expect(space).toMatchObject({ metadata: { labels: { team: 'a' } } });
  });

  test('shares nothing with another that runs at the same time', async () => {
    await first.namespace('only-here');
    expect((await second.client.request('GET', '/api/v1/namespaces/only-here')).status).toBe(404);
    expect(first.url).not.toBe(second.url);
  });

  test('knows only its own administrator', async () => {
    const stranger = await first.as(second.admin);
    expect((await stranger.request('GET', '/api/v1/namespaces')).status).toBe(401);
    const nobody = await first.as(undefined);
    expect(await nobody.request('GET', '/api/v1/namespaces')).toMatchObject({
      status: 403,
      message: expect.stringContaining('system:anonymous'),
    });
  });

  test('authorises users by RBAC', async () => {
    await first.namespace('rbac');
    const ana = await first.as({ user: 'ana', groups: ['ml-eng'] });
    const before = await ana.request('GET', '/api/v1/namespaces/rbac/pods');
    expect(before).toMatchObject({ status: 403, message: expect.stringContaining('User "ana" cannot list') });
    await first.client.must('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/rbac/rolebindings', {
      metadata: { name: 'edit' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'ml-eng' }],
    });
    await eventually(async () => (await ana.request('GET', '/api/v1/namespaces/rbac/pods')).status === 200);
  });

  test('mints service account tokens of an audience, and reviews them', async () => {
    await first.namespace('tokens');
    const token = await first.client.must('POST', '/api/v1/namespaces/tokens/serviceaccounts/default/token', {
      spec: { audiences: ['sidegate.dev/controller'], expirationSeconds: 600 },
    });
    const minted = (token['status'] as { token: string }).token;
    const review = async (audience: string): Promise<unknown> =>
      (
        await first.client.must('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
          spec: { token: minted, audiences: [audience] },
        })
      )['status'];
    expect(await review('sidegate.dev/controller')).toMatchObject({
      authenticated: true,
      user: { username: 'system:serviceaccount:tokens:default' },
    });
    expect(await review('inference')).not.toMatchObject({ authenticated: true });
  });

  test('evaluates validating admission policies', async () => {
    await first.namespace('policies');
    const policies = '/apis/admissionregistration.k8s.io/v1';
    await first.client.must('POST', `${policies}/validatingadmissionpolicies`, {
      metadata: { name: 'no-host-network' },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
        validations: [{ expression: '!has(object.spec.hostNetwork) || !object.spec.hostNetwork', message: 'not here' }],
      },
    });
    await first.client.must('POST', `${policies}/validatingadmissionpolicybindings`, {
      metadata: { name: 'no-host-network' },
      spec: { policyName: 'no-host-network', validationActions: ['Deny'] },
    });
    let message = '';
    let count = 0;
    await eventually(async () => {
      const body = pod(`host-${++count}`, { hostNetwork: true });
      ({ message } = await first.client.request('POST', '/api/v1/namespaces/policies/pods', body));
      return message !== '';
    });
    expect(message).toContain('not here');
  });

  test('runs the controllers that were asked for: a Deployment gets its pods', async () => {
    await first.namespace('deployments');
    await first.client.must('POST', '/apis/apps/v1/namespaces/deployments/deployments', {
      metadata: { name: 'web' },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'c', image: 'localhost/none:1' }] },
        },
      },
    });
    await eventually(async () => {
      const list = await first.client.must('GET', '/api/v1/namespaces/deployments/pods');
      return (list['items'] as unknown[]).length === 2;
    });
  });

  test('is reached by kubectl, as anybody', async () => {
    const applied = await second.kubectl(['apply', '-f', '-'], {
      input: 'apiVersion: v1\nkind: Namespace\nmetadata: { name: applied }\n',
    });
    expect(applied).toMatchObject({ status: 0, stdout: 'namespace/applied created\n' });
    const ben = await second.kubeconfigFor('ben');
    const refused = await second.kubectl(['get', 'namespaces'], { kubeconfig: ben });
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('User "ben" cannot list resource "namespaces"');
  });

  test('comes back after a crash, at the same address and with its data', async () => {
    await second.namespace('kept');
    await second.halt();
    await expect(second.client.request('GET', '/readyz')).rejects.toThrow();
    await second.resume();
    expect((await second.client.request('GET', '/api/v1/namespaces/kept')).status).toBe(200);
  }, 120_000);

  test('says why it did not start, and leaves nothing', async () => {
    const refused = startApiServer({ flags: ['--no-such-flag'] });
    await expect(refused).rejects.toThrow(/kube-apiserver ended with 1 .*unknown flag: --no-such-flag/s);
  }, 120_000);

  test('leaves no folder when it is stopped', async () => {
    const third = await startApiServer();
    expect(existsSync(third.folder)).toBe(true);
    await third.stop();
    expect(existsSync(third.folder)).toBe(false);
    await expect(third.client.request('GET', '/readyz')).rejects.toThrow();
  }, 120_000);
});

describe('where programs come from', () => {
  test('a missing program is named, with both ways to get it', () => {
    expect(() => findPrograms(['no-such-program'], undefined)).toThrow(
      /no-such-program not found in .*make cluster-build.*KUBEBUILDER_ASSETS/,
    );
  });

  test('KUBEBUILDER_ASSETS comes first', () => {
    expect(findPrograms(['true'], '/bin')).toEqual({ true: '/bin/true' });
  });
});

/** Rules and informers follow the objects that they stand for only after a moment. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('did not become true within a minute');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
