import { changerKey } from '../../pkg/contract/index.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../pkg/base/index.ts';
import { grantName } from '../../pkg/crd/index.ts';
import { createAuthorityPair } from '../../pkg/pki/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { KubeAnswer, KubeClient } from '../cluster/kube-client.ts';
import { apply, eventually, ofKind, release, renderChart } from './admission-chart.ts';
import type { Manifest } from './admission-chart.ts';
import { prepareWebhook } from './admission-process.ts';
import type { WebhookProcess } from './admission-process.ts';
import { installDefinitions } from './custom-resources.ts';

// Who may open and decide: the webhook's own process behind a real API server, with the chart's configuration and roles.

let server: ApiServer;
let webhook: WebhookProcess;
const people: Record<string, KubeClient> = {};
const controllerUser = `system:serviceaccount:${release}:sidegate-controller`;

const binding = (role: string, kind: 'User' | 'Group', name: string): Manifest => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: `${role}-${name.replaceAll(/[^a-z]/g, '-')}`, namespace: 'ml' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind, name }],
});

const base = '/apis/sidegate.dev/v1alpha1/namespaces/ml';
const approvals = `${base}/inferenceapprovals`;
const grants = `${base}/inferencegrants`;
const soon = (): string => new Date(Date.now() + 600_000).toISOString();
const now = (): string => new Date().toISOString();
let made = 0;
const approval = (name: string) => ({
  apiVersion: 'sidegate.dev/v1alpha1',
  kind: 'InferenceApproval',
  metadata: { name },
  spec: {
    policies: [{ kind: 'InferencePolicy', name: 'p', uid: 'u', generation: 1 }],
    rules: ['p/risky'],
    direction: 'Request',
    pod: { name: 'llama', uid: 'u-2' },
    requester: { provider: 'p/corp', issuer: 'https://idp', subject: 'ana', kubernetesUser: 'ana' },
    operation: 'Chat',
    digest: `hmac-sha256:${'a'.repeat(64)}`,
    excerpt: 'print [secret]',
    approvers: [{ kubernetesGroup: 'ml-leads' }],
    required: 2,
    expiresAt: soon(),
  },
});
const grant = (reason: string, requestedBy: string, operations = ['Chat']) => {
  const spec = {
    ...{ issuer: 'https://idp', subject: 'ana', operations, models: ['*'], expiresAt: soon(), reason, requestedBy },
    selector: { matchLabels: { 'app.example.com/tier': 'prod', app: 'llama' } },
  };
  return { apiVersion: 'sidegate.dev/v1alpha1', kind: 'InferenceGrant', metadata: { name: grantName(spec) }, spec };
};
const as = (name: string): KubeClient => {
  const client = people[name];
  if (client === undefined) throw new Error(`nobody is ${name}`);
  return client;
};
/** As `kubectl patch --subresource status --type merge` does. */
const patch = (client: KubeClient, path: string, body: unknown): Promise<KubeAnswer> =>
  client.request('PATCH', path, body, 'application/merge-patch+json');
const vote = (user: string, more: object = {}) => ({ user, decision: 'Approve', at: now(), ...more });
const decide = (who: string, path: string, decisions: readonly object[], more: object = {}): Promise<KubeAnswer> =>
  patch(as(who), `${path}/status`, { status: { phase: 'Pending', decisions, ...more } });
async function opened(): Promise<string> {
  const name = `a-${++made}`;
  await as('controller').must('POST', approvals, approval(name));
  return `${approvals}/${name}`;
}

beforeAll(async () => {
  server = await startApiServer();
  await Promise.all([server.namespace('ml'), server.namespace(release), installDefinitions(server)]);
  const chart = await renderChart(['breakGlassGroup=sre', 'webhook.timeoutSeconds=5']);
  webhook = await prepareWebhook(server, chart, ['--break-glass-group', 'sre']);
  await apply(server, [
    ...ofKind(chart, 'ClusterRole', 'ClusterRoleBinding').filter(({ metadata }) =>
      ['sidegate-approver', 'sidegate-requester', 'sidegate-auditor', 'sidegate-controller'].includes(metadata.name),
    ),
    binding('sidegate-approver', 'Group', 'ml-leads'),
    binding('sidegate-approver', 'Group', 'sre'),
    binding('sidegate-requester', 'User', 'kim'),
    binding('sidegate-requester', 'User', 'joe'),
    binding('sidegate-auditor', 'User', 'max'),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'sidegate-trust', namespace: release },
      data: { 'ca.crt': (await createAuthorityPair(systemClock)).cert },
    },
  ]);
  await webhook.start();
  for (const [name, groups] of Object.entries({
    lea: ['ml-leads'],
    bob: ['ml-leads'],
    ana: ['ml-leads'],
    eve: ['sre'],
    kim: [],
    joe: [],
    max: [],
  }))
    people[name] = await server.as({ user: name, groups });
  people['controller'] = await server.as({ user: controllerUser });
  people['admin'] = server.client;
  await eventually('the API server trusts the webhook', async () =>
    (await server.client.request('POST', `${approvals}?dryRun=All`, approval('probe'))).message.includes('[not_yours]'),
  );
}, 200_000);
afterAll(async () => {
  await webhook.kill();
  await server.stop();
});

describe('an approval', () => {
  test('is opened, changed and removed by the controller alone: a cluster’s administrator cannot', async () => {
    const path = await opened();
    expect((await as('admin').request('POST', approvals, approval('mine'))).message).toContain('[not_yours]');
    expect((await patch(as('admin'), path, { metadata: { labels: { a: 'b' } } })).message).toContain('[not_yours]');
    expect((await as('admin').request('DELETE', path)).message).toContain('[not_yours]');
    expect((await as('max').request('GET', path)).status).toBe(200);
    expect((await as('max').request('DELETE', path)).status).toBe(403);
    expect((await as('controller').request('DELETE', path)).status).toBe(200);
  });

  test('is decided by those whom it names, in their own name, once each; a patch by hand obeys the same rules', async () => {
    const path = await opened();
    expect((await decide('lea', path, [vote('bob')])).message).toContain('[other_user]');
    expect((await decide('lea', path, [vote('lea')], { phase: 'Cancelled' })).message).toContain('[status]');
    expect((await decide('ana', path, [vote('ana')])).message).toContain('[self_approval]');
    expect((await decide('eve', path, [vote('eve')])).message).toContain('[not_approver]');
    expect((await decide('max', path, [vote('max')])).status).toBe(403);
    expect((await decide('admin', path, [vote('admin')])).message).toContain('[not_approver]');
    const first = vote('lea');
    expect(await decide('lea', path, [first])).toMatchObject({ status: 200 });
    expect((await decide('lea', path, [first, vote('lea', { decision: 'Deny' })])).status).toBeGreaterThanOrEqual(400);
    expect((await decide('bob', path, [vote('bob')])).status).toBeGreaterThanOrEqual(400);
    // The first voter's entry stays whatever the second writes.
    expect(await decide('bob', path, [first, vote('bob')])).toMatchObject({ status: 200 });
    const { status } = (await as('max').must('GET', path)) as { status: { decisions: { user: string }[] } };
    expect(status.decisions.map(({ user }) => user)).toEqual(['lea', 'bob']);
    // Whoever has an administrator's rights on the cluster does not make it Approved either.
    expect((await decide('admin', path, [], { phase: 'Approved', decisions: undefined })).message).toContain(
      '[status]',
    );
    expect((await patch(as('controller'), `${path}/status`, { status: { phase: 'Approved' } })).status).toBe(200);
    expect((await decide('lea', path, [first, vote('lea')], { phase: 'Approved' })).status).toBeGreaterThanOrEqual(400);
  });

  test('server-side apply, replacement and JSON patch meet the same rules', async () => {
    const path = await opened();
    const object = (await as('admin').must('GET', path)) as Record<string, unknown>;
    const forged = { ...object, status: { phase: 'Pending', decisions: [vote('bob')] } };
    expect((await as('admin').request('PUT', `${path}/status`, forged)).message).toContain('[other_user]');
    const jsonPatch = [{ op: 'add', path: '/status', value: { phase: 'Pending', decisions: [vote('bob')] } }];
    expect(
      (await as('lea').request('PATCH', `${path}/status`, jsonPatch, 'application/json-patch+json')).message,
    ).toContain('[other_user]');
  });

  test('the break-glass group approves alone, loudly, and never for the requester', async () => {
    const path = await opened();
    expect((await decide('lea', path, [vote('lea', { breakGlass: true })])).message).toContain('[break_glass]');
    expect(await decide('eve', path, [vote('eve', { breakGlass: true })])).toMatchObject({ status: 200 });
    await eventually('an Event tells of it', async () => {
      const { items } = (await server.client.must('GET', '/apis/events.k8s.io/v1/namespaces/ml/events')) as {
        items: { reason: string; note: string }[];
      };
      return items.some(({ reason, note }) => reason === 'BreakGlassApproved' && note.includes('eve'));
    });
  });
});

describe('a grant', () => {
  test('is asked for in one’s own name, and taken back by the asker or an approver', async () => {
    expect((await as('kim').request('POST', grants, grant('g1', 'joe'))).message).toContain('[other_user]');
    const [one, two] = [grant('g1', 'kim'), grant('g2', 'kim')];
    expect((await as('kim').request('POST', grants, one)).status).toBe(201);
    expect((await as('joe').request('DELETE', `${grants}/${one.metadata.name}`)).message).toContain('[not_yours]');
    // By whom is noted for the record, where the leader has made the list; nobody waits for it.
    expect((await as('kim').request('DELETE', `${grants}/${one.metadata.name}`)).status).toBe(200);
    const list = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'sidegate-changers' } };
    await server.client.must('POST', `/api/v1/namespaces/${release}/configmaps`, list);
    const made = (await as('kim').must('POST', grants, two)) as {
      metadata: { uid: string; resourceVersion: string };
    };
    expect((await as('lea').request('DELETE', `${grants}/${two.metadata.name}`)).status).toBe(200);
    const { data } = (await server.client.must(
      'GET',
      `/api/v1/namespaces/${release}/configmaps/sidegate-changers`,
    )) as { data: Record<string, string> };
    const { uid, resourceVersion } = made.metadata;
    const key = changerKey({ namespace: 'ml', uid });
    expect(Object.keys(data)).toEqual([key]);
    expect(JSON.parse(data[key] ?? '')).toEqual({
      uid,
      version: resourceVersion,
      user: 'lea',
      at: expect.any(String),
    });
  });

  test('cannot take the place of one that was read: its name is made of what it says', async () => {
    const shown = grant('incident', 'kim');
    const { metadata } = shown;
    await as('kim').must('POST', grants, shown);
    await as('kim').must('DELETE', `${grants}/${metadata.name}`);
    const other = grant('incident', 'kim', ['Chat', 'Admin']);
    const said = async (body: object) => (await as('kim').request('POST', grants, body)).message ?? '';
    expect(await said({ ...other, metadata })).toContain(`[name] metadata.name must be made of spec`);
    // The refusal says the right name, also where the API server makes one, and fields in another order are the same.
    const generated = await said({ ...other, metadata: { generateName: 'grant-' } });
    const [, right = ''] = /fix: write metadata\.name: (\S+?),/.exec(generated) ?? [];
    expect(right).toBe(other.metadata.name);
    const spec = Object.fromEntries(Object.entries(other.spec).reverse());
    expect((await as('kim').request('POST', grants, { ...other, metadata: { name: right }, spec })).status).toBe(201);
  });

  test('is not decided before the controller has said by whom, and not by the asker or the caller', async () => {
    const asked = grant('g3', 'kim');
    await as('kim').must('POST', grants, asked);
    const path = `${grants}/${asked.metadata.name}`;
    expect((await decide('lea', path, [vote('lea')])).message).toContain('[cannot_exclude_self_approval]');
    const status = {
      phase: 'Pending',
      required: 1,
      approvers: [{ kubernetesGroup: 'ml-leads' }],
      kubernetesUser: 'ana',
    };
    expect((await patch(as('admin'), `${path}/status`, { status })).message).toContain('[status]');
    expect(await patch(as('controller'), `${path}/status`, { status })).toMatchObject({ status: 200 });
    expect((await decide('ana', path, [vote('ana')])).message).toContain('[self_approval]');
    expect((await decide('kim', path, [vote('kim')])).status).toBe(403);
    expect(await decide('lea', path, [vote('lea')])).toMatchObject({ status: 200 });
  });
});

test('with the webhook down nobody opens or decides anything; a namespace can still go', async () => {
  const path = await opened();
  await webhook.kill();
  expect((await decide('lea', path, [vote('lea')])).status).toBe(500);
  expect((await as('kim').request('POST', grants, grant('g9', 'kim'))).status).toBe(500);
  const gone = await server.as({
    user: 'system:serviceaccount:kube-system:namespace-controller',
    groups: ['system:masters'],
  });
  expect((await gone.request('DELETE', path)).status).toBe(200);
});
