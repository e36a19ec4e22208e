import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { apply, ofKind, renderChart } from './admission-chart.ts';
import { installDefinitions } from './custom-resources.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';

// The commands about approvals and access, as people with the chart's roles type them.

let server: ApiServer;
const kubeconfigs: Record<string, string> = {};
const base = '/apis/sidegate.dev/v1alpha1/namespaces/ml';

beforeAll(async () => {
  server = await startApiServer();
  await Promise.all([server.namespace('ml'), installDefinitions(server)]);
  const roles = ofKind(await renderChart(), 'ClusterRole').filter(({ metadata }) =>
    ['sidegate-approver', 'sidegate-requester', 'sidegate-auditor'].includes(metadata.name),
  );
  const bind = (role: string, name: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: `${role}-${name}`, namespace: 'ml' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
  });
  await apply(server, [
    ...roles,
    bind('sidegate-approver', 'lea'),
    bind('sidegate-requester', 'kim'),
    bind('sidegate-auditor', 'max'),
  ]);
  for (const user of ['lea', 'kim', 'max']) kubeconfigs[user] = await server.kubeconfigFor(user);
}, 200_000);
afterAll(() => server?.stop());

const sidegate = (user: string, ...args: string[]) =>
  sidegateCommand([...args, '-n', 'ml', '--kubeconfig', kubeconfigs[user] ?? server.kubeconfig]);
async function approval(name: string, excerpt = 'print [secret]'): Promise<void> {
  await server.client.must('POST', `${base}/inferenceapprovals`, {
    apiVersion: 'sidegate.dev/v1alpha1',
    kind: 'InferenceApproval',
    metadata: { name },
    spec: {
      policies: [{ kind: 'InferencePolicy', name: 'p', uid: 'u', generation: 1 }],
      rules: ['p/risky'],
      direction: 'Request',
      pod: { name: 'llama-0', uid: 'u-2' },
      requester: { provider: 'p/corp', issuer: 'https://idp', subject: 'ana', kubernetesUser: 'ana' },
      operation: 'Chat',
      model: 'llama-3',
      digest: `hmac-sha256:${'a'.repeat(64)}`,
      excerpt,
      approvers: [{ kubernetesUser: 'lea' }],
      required: 1,
      expiresAt: new Date(Date.now() + 600_000).toISOString(),
    },
  });
}

test('nothing waits; then it is listed, shown, approved and denied, in the name of who is logged in', async () => {
  expect(await sidegate('lea', 'approvals', 'list')).toEqual({
    code: 0,
    out: '',
    err: 'nothing waits in namespace ml\n',
  });
  await approval('a-1');
  await approval('a-2', 'two\nlines \u001b[31mred\u202e');
  const list = await sidegate('lea', 'approvals', 'list');
  expect(list.out.split('\n')[0]).toMatch(/^NAME +PHASE +APPROVED +CALLER +OPERATION +MODEL +RULE +LEFT$/);
  expect(list.out).toMatch(/^a-1 +Pending +0\/1 +ana +Chat +llama-3 +p\/risky +[0-9]+m$/m);
  expect((await sidegate('lea', 'approvals', 'list', '-o', 'wide')).out).toContain('print [secret]');
  const shown = await sidegate('max', 'approvals', 'show', 'a-2');
  expect(shown.out).toContain('Who decides:  1 of {"kubernetesUser":"lea"}');
  // What a caller wrote moves nobody's cursor.
  expect(shown.out).not.toMatch(/[\u001b\u202e]/u);
  expect(shown.out).toContain('  two\n  lines  [31mred \n');
  expect(JSON.parse((await sidegate('max', 'approvals', 'show', 'a-1', '-o', 'json')).out)).toMatchObject({
    kind: 'InferenceApproval',
    metadata: { name: 'a-1' },
  });
  expect((await sidegate('max', 'approvals', 'list', '-o', 'yaml')).out).toMatch(/^apiVersion: v1\nkind: List\n/);
  expect(await sidegate('lea', 'approvals', 'approve', 'a-1', '--comment', 'fine')).toEqual({
    code: 0,
    out: 'InferenceApproval ml/a-1: approved, 1 of 1, as lea\n',
    err: '',
  });
  expect((await sidegate('lea', 'approvals', 'deny', 'a-2')).out).toBe('InferenceApproval ml/a-2: denied, as lea\n');
  const again = await sidegate('lea', 'approvals', 'deny', 'a-2');
  expect([again.code, again.err]).toEqual([1, expect.stringContaining('one person has one vote')]);
  const { status } = (await server.client.must('GET', `${base}/inferenceapprovals/a-1`)) as {
    status: { decisions: object[] };
  };
  expect(status.decisions).toEqual([{ user: 'lea', decision: 'Approve', at: expect.any(String), comment: 'fine' }]);
});

test('two who decide at the same moment are both counted', async () => {
  await approval('a-3');
  kubeconfigs['admin'] = server.kubeconfig;
  const both = await Promise.all(['lea', 'admin'].map((user) => sidegate(user, 'approvals', 'approve', 'a-3')));
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  const { status } = (await server.client.must('GET', `${base}/inferenceapprovals/a-3`)) as {
    status: { decisions: object[] };
  };
  expect(status.decisions).toHaveLength(2);
});

test('what is missing is said: rights, the resource, the flags', async () => {
  const refused = await sidegate('max', 'approvals', 'approve', 'a-1');
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('cannot patch resource')]);
  expect(await sidegate('lea', 'approvals', 'approve', 'gone')).toMatchObject({
    code: 1,
    err: expect.stringContaining('"gone" not found'),
  });
  expect(await sidegate('lea', 'approvals', 'approve')).toMatchObject({ code: 2 });
  expect(await sidegate('kim', 'access', 'request')).toMatchObject({ code: 2 });
  const who = ['--issuer', 'https://idp', '--subject', 'ana', '--reason', 'on call'];
  expect(await sidegate('kim', 'access', 'request', ...who, '--for', 'ever')).toMatchObject({ code: 2 });
  expect(await sidegate('kim', 'access', 'request', ...who, '--operation', 'Everything')).toMatchObject({ code: 2 });
  expect(await sidegate('kim', 'access', 'request', ...who, '--selector', 'app')).toMatchObject({ code: 2 });
  expect(await sidegate('lea', 'approvals', 'watch', '--for', 'x')).toMatchObject({ code: 2 });
});

test('access is asked for, listed and taken back', async () => {
  const who = ['--issuer', 'https://idp', '--subject', 'ana', '--reason', 'on call'];
  const asked = await sidegate(
    'kim',
    'access',
    'request',
    ...who,
    '--for',
    '30m',
    '--model',
    'llama-*',
    '--selector',
    'app=llama',
  );
  expect([asked.code, asked.err]).toEqual([0, '']);
  const name = /approve grant\/(grant-[0-9a-f]{40}) -n ml/.exec(asked.out)?.[1] ?? '';
  const { spec } = (await server.client.must('GET', `${base}/inferencegrants/${name}`)) as { spec: object };
  expect(spec).toMatchObject({
    requestedBy: 'kim',
    operations: ['Chat'],
    models: ['llama-*'],
    selector: { matchLabels: { app: 'llama' } },
  });
  expect((await sidegate('max', 'access', 'list')).out).toMatch(
    new RegExp(`^${name} +Pending +0/\\? +ana +Chat +llama-\\* +[0-9]+m +kim$`, 'm'),
  );
  const shown = (await sidegate('max', 'approvals', 'show', `grant/${name}`)).out;
  for (const line of [
    `Name:         ${name}`,
    'Caller:       ana of https://idp',
    'Asked by:     kim',
    'Operations:   Chat',
    'Models:       llama-*',
    'Pods:         app=llama',
    'From:         from approval on',
    'Reason:       on call',
    'Who decides:  not said yet',
  ])
    expect(shown).toContain(`${line}\n`);
  expect(JSON.parse((await sidegate('max', 'approvals', 'show', `grant/${name}`, '-o', 'json')).out)).toMatchObject({
    kind: 'InferenceGrant',
    metadata: { name },
  });
  expect(await sidegate('kim', 'access', 'revoke', name)).toMatchObject({ code: 0 });
  expect(await sidegate('max', 'access', 'list')).toMatchObject({ code: 0, out: '' });
  expect(await sidegate('kim', 'access', 'revoke', name)).toMatchObject({ code: 1 });
});

test('of access that does not hold on all pods, list and show say so', async () => {
  const who = ['--issuer', 'https://idp', '--subject', 'bob', '--reason', 'on call', '--for', '30m'];
  const asked = await sidegate('kim', 'access', 'request', ...who);
  const name = /grant\/(grant-[0-9a-f]{40})/.exec(asked.out)?.[1] ?? '';
  const message = 'on 1 of 2 pods that it selects: the policies of the others want more people to approve';
  const condition = { type: 'Holds', status: 'False', message, lastTransitionTime: new Date().toISOString() };
  const write = (status: object) =>
    server.client.request(
      'PATCH',
      `${base}/inferencegrants/${name}/status`,
      { status },
      'application/merge-patch+json',
    );
  const vote = { user: 'lea', decision: 'Approve', at: new Date().toISOString() };
  await write({ phase: 'Pending', required: 1, approvers: [{ kubernetesUser: 'lea' }], decisions: [vote] });
  const list = async (...more: string[]) => (await sidegate('max', 'access', 'list', ...more)).out;
  await write({ phase: 'Approved' });
  expect(await list()).toMatch(new RegExp(`^${name} +Approved +1/1 `, 'm'));
  await write({ conditions: [{ ...condition, reason: 'OnSomePods' }] });
  expect(await list()).toMatch(new RegExp(`^${name} +Approved \\(on some pods\\) +1/1 `, 'm'));
  expect(await list('-o', 'wide')).toContain(message);
  expect((await sidegate('max', 'approvals', 'show', `grant/${name}`)).out).toContain(`Holds:        ${message}\n`);
  await write({ conditions: [{ ...condition, reason: 'OnNoPod' }] });
  expect(await list()).toContain('Approved (on no pod)');
  await write({ conditions: [{ ...condition, status: 'True', reason: 'OnAllPods' }] });
  expect(await list()).toMatch(new RegExp(`^${name} +Approved +1/1 `, 'm'));
  expect(await sidegate('kim', 'access', 'revoke', name)).toMatchObject({ code: 0 });
});

test('watching prints a line for what there is, and ends', async () => {
  const { code, out } = await sidegate('max', 'approvals', 'watch', '--for', '3');
  expect(code).toBe(0);
  expect(out).toMatch(/^\S+Z ml a-2 Pending 1\/1 ana Chat p\/risky$/m);
  expect(out.match(/ a-2 /g)).toHaveLength(1);
});
