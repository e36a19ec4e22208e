import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CommandIo } from '../../pkg/cli/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { apply, ofKind, oneOf, remove, renderChart } from './admission-chart.ts';
import { installDefinitions } from './custom-resources.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';

// The commands that ask a cluster, against a real API server, with a kubeconfig as a person has it.

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await server.namespace('ml');
  await server.namespace('sidegate-system');
}, 200_000);
afterAll(() => server.stop());

const sidegate = (
  line: string,
  { kubeconfig = server.kubeconfig, ...more }: Partial<CommandIo> & { kubeconfig?: string } = {},
) => sidegateCommand([...line.split(' '), '--kubeconfig', kubeconfig], more);

const workload = (kind: string, name: string): object => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name, namespace: 'ml' },
  spec: {
    selector: { matchLabels: { app: name } },
    ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'model', image: 'example/model:1' }] },
    },
  },
});
const labelOf = async (plural: string, name: string): Promise<string | undefined> => {
  const body = await server.client.must('GET', `/apis/apps/v1/namespaces/ml/${plural}/${name}`);
  const { template } = body['spec'] as { template: { metadata: { labels: Record<string, string> } } };
  return template.metadata.labels['sidegate.dev/inference'];
};

describe('enable', () => {
  beforeAll(async () => {
    await server.client.must('POST', '/apis/apps/v1/namespaces/ml/deployments', workload('Deployment', 'llama'));
    await server.client.must('POST', '/apis/apps/v1/namespaces/ml/statefulsets', workload('StatefulSet', 'mixtral'));
  });

  test('labels the pod template and prints the patch', async () => {
    expect(await sidegate('enable deployment/llama -n ml --dry-run')).toMatchObject({ code: 0, err: '' });
    expect(await labelOf('deployments', 'llama')).toBeUndefined();
    const { code, out } = await sidegate('enable deployment/llama -n ml');
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toBe('{"spec":{"template":{"metadata":{"labels":{"sidegate.dev/inference":"true"}}}}}');
    expect(out).toContain('Deployment ml/llama: new pods are governed');
    expect(await labelOf('deployments', 'llama')).toBe('true');
    expect(await sidegate('enable deploy/llama -n ml')).toMatchObject({
      code: 0,
      out: 'Deployment ml/llama is governed already\n',
    });
    expect(await sidegate('enable sts/mixtral --namespace ml')).toMatchObject({ code: 0 });
    expect(await labelOf('statefulsets', 'mixtral')).toBe('true');
    expect(await sidegate('enable deployment/llama -n ml --disable')).toMatchObject({ code: 0 });
    expect(await labelOf('deployments', 'llama')).toBeUndefined();
  });

  test.each([
    ['enable deployment/nobody -n ml', 1, 'deployments.apps "nobody" not found'],
    ['enable llama -n ml', 2, 'name it as deployment/NAME'],
    ['enable secret/llama -n ml', 2, 'name it as deployment/NAME'],
    ['enable constructor/llama -n ml', 2, 'name it as deployment/NAME'],
    ['enable deployment/ -n ml', 2, 'name it as deployment/NAME'],
    ['enable deployment/llama/x -n ml', 2, 'name it as deployment/NAME'],
  ])('%s: %i %s', async (line, code, message) => {
    expect(await sidegate(line)).toMatchObject({ code, err: expect.stringContaining(message) });
  });

  test("says the server's own word to somebody who may not", async () => {
    const kubeconfig = await server.kubeconfigFor('bob');
    expect(await sidegate('enable deployment/llama -n ml', { kubeconfig })).toMatchObject({
      code: 1,
      err: expect.stringContaining('User "bob" cannot get resource "deployments"'),
    });
  });
});

describe('ca', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nQUFB\n-----END CERTIFICATE-----';
  test('gives what the controller publishes', async () => {
    const noFile = {
      readFile: () => {
        throw new Error('none');
      },
    };
    expect(await sidegate('ca', noFile)).toMatchObject({
      code: 1,
      err: 'there is no ConfigMap sidegate-trust in sidegate-system: is Sidegate installed there?\n',
    });
    const put = (namespace: string, name: string): Promise<unknown> =>
      server.client.must('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
        metadata: { name },
        data: { 'ca.crt': `${pem}\n${namespace}` },
      });
    await put('sidegate-system', 'sidegate-trust');
    expect(await sidegate('ca', noFile)).toEqual({ code: 0, out: `${pem}\n`, err: '' });
    expect(await sidegate('ca -n ml', noFile)).toMatchObject({
      code: 1,
      err: expect.stringContaining('sidegate-root'),
    });
    await put('ml', 'sidegate-root');
    expect(await sidegate('ca -n ml', noFile)).toEqual({ code: 0, out: `${pem}\n`, err: '' });
  });
});

describe('check', () => {
  test('reads a real cluster, and fails where nothing is installed', async () => {
    const { code, out } = await sidegate('check --json');
    expect(code).toBe(1);
    const findings = JSON.parse(out) as { level: string; check: string; message: string }[];
    const levelOf = (check: string): unknown => findings.find((one) => one.check === check)?.level;
    expect(levelOf('api server')).toBe('ok');
    // The API server did tell its time, and it is ours.
    expect(levelOf('clocks')).toBe('ok');
    expect(levelOf('definitions')).toBe('fail');
    expect(levelOf('sidegate-webhook')).toBe('fail');
    expect(levelOf('webhooks')).toBe('fail');
    expect(levelOf('rights')).toBe('fail');
  });

  test('the definitions of this version are found good', async () => {
    await installDefinitions(server);
    const { out } = await sidegate('check');
    expect(out).toMatch(/^ok {4}definitions/m);
    expect(out).toMatch(/\d+ checks: \d+ failed, \d+ warned\n$/);
    expect((await sidegate('check --quiet')).out).not.toMatch(/^ok/m);
  });

  test('what a hand edited of the chart’s admission objects is named, and what the API server fills in is not', async () => {
    const manifests = await renderChart(['breakGlassGroup=oncall']);
    const kinds = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration', 'ValidatingAdmissionPolicy'];
    const objects = [
      ...ofKind(manifests, ...kinds, 'ValidatingAdmissionPolicyBinding'),
      ...['sidegate-admission', 'sidegate-parameters'].map((name) => oneOf(manifests, 'ConfigMap', name)),
    ];
    const said = async (): Promise<string> =>
      (await sidegate('check')).out.split('\n').find((line) => line.includes('admission as installed')) ?? '';
    await apply(server, objects);
    try {
      expect(await said()).toMatch(/^ok {4}admission as installed 3\d objects/);
      const edit = async (kind: string, name: string, operations: object): Promise<void> => {
        const { status, stderr } = await server.kubectl([
          'patch',
          kind,
          name,
          '--type=json',
          '-p',
          JSON.stringify(operations),
        ]);
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      };
      const asks = (path: string): Promise<void> =>
        edit('mutatingwebhookconfiguration', 'sidegate', [
          { op: 'add', path: '/webhooks/0/clientConfig/service/path', value: path },
        ]);
      // As the webhook writes it.
      await asks(`/${'0a'.repeat(32)}/mutate`);
      expect(await said()).toMatch(/^ok {4}admission as installed/);
      await asks(`/${'0a'.repeat(32)}/validate/pods`);
      expect(await said()).toContain('clientConfig.service.path');
      await asks(`/${'0a'.repeat(32)}/mutate`);
      await edit('validatingadmissionpolicy', 'sidegate-updates', [
        { op: 'replace', path: '/spec/failurePolicy', value: 'Ignore' },
      ]);
      await edit('mutatingwebhookconfiguration', 'sidegate', [
        { op: 'add', path: '/webhooks/0/matchConditions', value: [{ name: 'never', expression: 'false' }] },
      ]);
      const line = await said();
      expect(line).toMatch(/^fail .*MutatingWebhookConfiguration sidegate: webhooks\[[a-z.]+\]\.matchConditions/);
      expect(line).toContain('ValidatingAdmissionPolicy sidegate-updates: spec.failurePolicy');
      expect(line).not.toContain('sidegate-connect');
    } finally {
      await remove(server, objects);
    }
  }, 60_000);

  test('a clock that is an hour off is seen', async () => {
    expect((await sidegate('check', { now: () => Date.now() + 3_600_000 })).out).toMatch(
      /^warn {2}clocks.* 3\d\d\d s/m,
    );
  });

  test('somebody who may read nothing gets no good answer', async () => {
    const { code, out } = await sidegate('check', { kubeconfig: await server.kubeconfigFor('bob') });
    expect(out).toMatch(/^fail {2}sidecars .*cannot list resource "pods"/m);
    expect(out).toMatch(/^fail {2}definitions/m);
    expect(code).toBe(1);
  });
});

describe('admission remove', () => {
  test('takes away what is of Sidegate, and nothing else', async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
    const hook = (name: string, labels: object, annotations: object = {}): Promise<unknown> =>
      server.client.must('POST', path, {
        metadata: { name, labels, annotations },
        webhooks: [
          {
            name: 'a.example.com',
            clientConfig: { url: 'https://127.0.0.1:1/' },
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            failurePolicy: 'Ignore',
            rules: [{ apiGroups: ['x.example.com'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['xs'] }],
          },
        ],
      });
    await hook('other', {});
    await hook(
      'kept',
      { 'app.kubernetes.io/part-of': 'sidegate', 'app.kubernetes.io/instance': 'sidegate' },
      {
        'helm.sh/resource-policy': 'keep',
      },
    );
    await hook('ours', { 'app.kubernetes.io/part-of': 'sidegate', 'app.kubernetes.io/instance': 'sidegate' });
    expect((await sidegate('admission remove --instance another')).out).toBe('nothing to remove\n');
    expect(await sidegate('admission remove --instance sidegate')).toEqual({
      code: 0,
      out: 'ValidatingWebhookConfiguration ours removed\n',
      err: '',
    });
    expect((await server.client.request('GET', `${path}/other`)).status).toBe(200);
    expect((await server.client.request('GET', `${path}/kept`)).status).toBe(200);
    expect((await server.client.request('GET', `${path}/ours`)).status).toBe(404);
  });
});

describe('self-test', () => {
  test('fails where a pod gets no sidecar, and leaves nothing behind', async () => {
    expect(await sidegate('self-test --image example/sidegate:1 -n ml')).toMatchObject({
      code: 1,
      err: expect.stringContaining('admitted without a sidecar'),
    });
    expect(
      (
        await server.client.must('GET', '/api/v1/namespaces/ml/pods?labelSelector=app.kubernetes.io/name=sidegate-test')
      )['items'],
    ).toEqual([]);
  });
});
