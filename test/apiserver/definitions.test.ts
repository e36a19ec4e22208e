import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compareDefinition, resourceDefinitions, schemaHashAnnotation } from '../../pkg/crd/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { causesOf, definitionOf, installDefinitions, replaceDefinition, servedDefinition } from './custom-resources.ts';

// The definitions themselves on a real API server: what people see of them, and what becomes of an older one.

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await server.namespace('ml');
  await installDefinitions(server);
}, 200_000);
afterAll(() => server.stop());

const policies = '/apis/sidegate.dev/v1alpha1/namespaces/ml/inferencepolicies';
const policy = (name: string, spec: object = {}): object => ({
  apiVersion: 'sidegate.dev/v1alpha1',
  kind: 'InferencePolicy',
  metadata: { name },
  spec,
});
const condition = (type: string, more: object = {}): object => ({
  type,
  status: 'True',
  observedGeneration: 1,
  lastTransitionTime: '2026-11-25T10:00:00Z',
  reason: 'Valid',
  message: '',
  ...more,
});
const setStatus = async (name: string, status: object) => {
  const { body } = await server.client.request('GET', `${policies}/${name}`);
  return server.client.request('PUT', `${policies}/${name}/status?fieldValidation=Strict`, {
    ...(body as object),
    status,
  });
};
const get = async (...args: string[]): Promise<string[][]> => {
  const { stdout, stderr, status } = await server.kubectl(['get', '-n', 'ml', ...args]);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2,}/).map((cell) => cell.trim()));
};

describe('kubectl shows', () => {
  beforeAll(async () => {
    await server.client.must('POST', policies, policy('shown', { mode: 'Observe', profile: 'Strict' }));
    const answer = await setStatus('shown', {
      observedGeneration: 1,
      conditions: [condition('Accepted')],
      enforced: '2/3',
      pods: { selected: 3, enforcing: 2, refusing: 0, behind: 1 },
    });
    expect(answer.message).toBe('');
  });

  test('whether a policy is accepted, and how many pods enforce which generation', async () => {
    const [head, row] = await get('inferencepolicies');
    expect(head).toEqual(['NAME', 'ACCEPTED', 'ENFORCED', 'GENERATION', 'AGE']);
    expect(row?.slice(0, 4)).toEqual(['shown', 'True', '2/3', '1']);
  });
  test('mode and profile when asked for more', async () => {
    const [head, row] = await get('ipol', '-o', 'wide');
    expect(head).toEqual(['NAME', 'ACCEPTED', 'ENFORCED', 'GENERATION', 'MODE', 'PROFILE', 'AGE']);
    expect(row?.slice(4, 6)).toEqual(['Observe', 'Strict']);
  });
  test.each(['ipol', 'cipol', 'iappr', 'igrant', 'sidegate'])('our resources by %s', async (name) => {
    expect((await server.kubectl(['get', '-A', name])).status).toBe(0);
  });
  test('what a field means and what stands for it when it is unset', async () => {
    const { stdout } = await server.kubectl(['explain', 'inferencepolicy.spec.guards.direction']);
    expect(stdout).toContain('What it reads.');
    expect((await server.kubectl(['explain', 'inferencepolicy.spec.mode'])).stdout).toContain('Default: Enforce.');
  });
});

describe('the status of a policy', () => {
  beforeAll(() => server.client.must('POST', policies, policy('status')));

  test('is nothing that whoever writes the spec can set', async () => {
    const forged = { ...policy('forged'), status: { enforced: '9/9' } };
    expect(await server.client.must('POST', policies, forged)).not.toHaveProperty('status');
  });
  test('has one condition a type', async () => {
    const answer = await setStatus('status', { conditions: [condition('Accepted'), condition('Accepted')] });
    expect(answer.status).toBe(422);
    expect(answer.message).toContain('status.conditions[1]: Duplicate value');
  });
  test.each([
    ['without reason', { reason: undefined }, 'status.conditions[].reason'],
    ['with a reason in words', { reason: 'not a word' }, 'status.conditions[].reason'],
    ['that is neither true, false nor unknown', { status: 'Maybe' }, 'status.conditions[].status'],
    ['with a time that is none', { lastTransitionTime: 'now' }, 'status.conditions[].lastTransitionTime'],
  ])('has no condition %s', async (_, more, field) => {
    const answer = await setStatus('status', { conditions: [condition('Accepted', more)] });
    expect(answer.status).toBe(422);
    expect(causesOf(answer).join('\n')).toContain(`${field}: `);
  });
  test('counts k/n and nothing else', async () => {
    expect((await setStatus('status', { enforced: 'all' })).status).toBe(422);
    expect((await setStatus('status', { enforced: '0/0' })).status).toBe(200);
  });
  test('does not count as a new generation', async () => {
    await setStatus('status', { observedGeneration: 1 });
    expect(await server.client.must('GET', `${policies}/status`)).toMatchObject({ metadata: { generation: 1 } });
  });
});

describe('a served definition', () => {
  test.each(resourceDefinitions().map((one) => one.metadata.name))(
    '%s is ours, and loses none of its fields',
    async (name) => {
      const ours = resourceDefinitions().find((one) => one.metadata.name === name)!;
      const served = await servedDefinition(server, name);
      expect(compareDefinition(ours, served)).toEqual({ sameHash: true, missingVersions: [], prunedFields: [] });
    },
  );

  test('that is older is told apart by the fields that the server then really drops', async () => {
    const ours = definitionOf('InferencePolicy');
    const older = await servedDefinition(server, ours.metadata.name);
    const { annotations } = older['metadata'] as { annotations: Record<string, string> };
    annotations[schemaHashAnnotation] = 'sha256:older';
    const [version] = (older['spec'] as { versions: { schema: { openAPIV3Schema: Tree } }[] }).versions;
    const spec = version!.schema.openAPIV3Schema.properties!['spec']!;
    delete spec.properties!['onUnknown'];
    delete spec.properties!['access']!.items!.properties!['models'];
    await replaceDefinition(server, older);

    const difference = compareDefinition(ours, await servedDefinition(server, ours.metadata.name));
    expect(difference).toEqual({
      sameHash: false,
      missingVersions: [],
      prunedFields: ['spec.access[].models', 'spec.onUnknown'],
    });
    const sent = policy('pruned', {
      onUnknown: 'Deny',
      access: [{ name: 'a', effect: 'Allow', subjects: [{ group: 'g' }], models: ['llama'] }],
    });
    // The new schema is in force some moments after it was stored.
    let kept: unknown;
    for (let tries = 0; tries < 100; tries++) {
      const { body } = await server.client.request('POST', `${policies}?dryRun=All&fieldValidation=Ignore`, sent);
      kept = (body as { spec?: unknown }).spec;
      if (!JSON.stringify(kept).includes('models')) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(kept).toEqual({ access: [{ name: 'a', effect: 'Allow', subjects: [{ group: 'g' }] }] });
  });
});

interface Tree {
  readonly properties?: Record<string, Tree>;
  readonly items?: Tree;
}
