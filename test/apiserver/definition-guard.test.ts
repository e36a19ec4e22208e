import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { resourceDefinitions } from '../../pkg/crd/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { KubeAnswer } from '../cluster/kube-client.ts';
import { apply, eventually, ofKind, renderChart } from './admission-chart.ts';
import { installDefinitions, servedDefinition } from './custom-resources.ts';

// The chart's policy over our definitions: whatever field an older one lacks, the API server itself refuses to go back to it.

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
  const guard = ofKind(await renderChart(), 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding');
  await apply(
    server,
    guard.filter(({ metadata }) => metadata.name === 'sidegate-definitions'),
  );
  await eventually('the policy is in force', async () => {
    const [field = ''] = fieldsOf('inferencepolicies.sidegate.dev');
    return (await without('inferencepolicies.sidegate.dev', field)).status === 422;
  });
}, 200_000);
afterAll(() => server.stop());

interface Served {
  readonly metadata: Record<string, unknown>;
  readonly spec: { readonly versions: { served: boolean; schema: { openAPIV3Schema: Tree } }[] };
}
/** A schema as JSON. */
interface Tree {
  properties?: Record<string, Tree>;
  items?: Tree;
  additionalProperties?: Tree;
  [word: string]: unknown;
}

const inner = (tree: Tree): Tree => tree.items ?? tree.additionalProperties ?? tree;
const schemaOf = (name: string): Tree =>
  resourceDefinitions().find(({ metadata }) => metadata.name === name)!.spec.versions[0]!.schema
    .openAPIV3Schema as Tree;

/** `spec/guards/direction`, but for what Kubernetes keeps by itself. */
function fieldsOf(name: string): readonly string[] {
  const below = (tree: Tree, path: string): string[] =>
    Object.entries(inner(tree).properties ?? {}).flatMap(([field, child]) => [
      `${path}${field}`,
      ...below(child, `${path}${field}/`),
    ]);
  const kept = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status']);
  return below(schemaOf(name), '').filter((field) => !kept.has(field));
}

const path = (name: string): string => `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}?dryRun=All`;

/** Rules, keys of lists and the like name fields: without them, nothing but the policy minds that one is gone. */
function withoutRules(tree: Tree): Tree {
  const copy: Tree = { ...tree };
  for (const word of ['x-kubernetes-validations', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'required'])
    delete copy[word];
  if (copy.properties !== undefined)
    copy.properties = Object.fromEntries(
      Object.entries(copy.properties).map(([field, child]) => [field, withoutRules(child)]),
    );
  if (copy.items !== undefined) copy.items = withoutRules(copy.items);
  if (copy.additionalProperties !== undefined) copy.additionalProperties = withoutRules(copy.additionalProperties);
  return copy;
}

/** Definitions as they are served, without their rules: asked for once, since they do not change here. */
const definitions = new Map<string, Promise<Served>>();
async function read(name: string): Promise<Served> {
  const served = (await servedDefinition(server, name)) as unknown as Served;
  const [version] = served.spec.versions;
  version!.schema.openAPIV3Schema = withoutRules(version!.schema.openAPIV3Schema);
  return served;
}

async function changed(name: string, change: (root: Tree, served: Served) => void): Promise<KubeAnswer> {
  if (!definitions.has(name)) definitions.set(name, read(name));
  const served = structuredClone(await definitions.get(name)!);
  change(served.spec.versions[0]!.schema.openAPIV3Schema, served);
  const answer = await server.client.request('PUT', path(name), served);
  // The server wrote its status meanwhile.
  if (answer.status !== 409) return answer;
  definitions.delete(name);
  return changed(name, change);
}

const without = (name: string, field: string): Promise<KubeAnswer> =>
  changed(name, (root) => {
    const steps = field.split('/');
    const last = steps.pop() ?? '';
    delete inner(steps.reduce((tree, step) => inner(tree).properties![step]!, root)).properties![last];
  });

describe('a definition that is served', () => {
  test.each(['inferencepolicies', 'inferenceapprovals', 'inferencegrants'].map((name) => `${name}.sidegate.dev`))(
    '%s cannot lose any of its fields',
    async (name) => {
      const fields = fieldsOf(name);
      expect(fields.length).toBeGreaterThan(30);
      const lost = async (field: (typeof fields)[number]): Promise<void> => {
        const { status, message } = await without(name, field);
        expect({ field, status, message }).toEqual({
          field,
          status: 422,
          message: expect.stringMatching(/\[definition\] .* would lose fields of v1alpha1.*crds\.enabled=false/),
        });
      };
      for (let at = 0; at < fields.length; at += 8) await Promise.all(fields.slice(at, at + 8).map(lost));
    },
    300_000,
  );

  test('cannot cease to serve a version', async () => {
    const answer = await changed('inferencepolicies.sidegate.dev', (_root, { spec }) => {
      spec.versions[0]!.served = false;
    });
    expect(answer).toMatchObject({ status: 422, message: expect.stringContaining('[definition]') });
  });

  test('can get a field, other words and other labels', async () => {
    const answer = await changed('inferencepolicies.sidegate.dev', (root, { metadata }) => {
      root.properties!['spec']!.properties!['newer'] = { type: 'string', description: 'Of a later release.' };
      root.properties!['spec']!['description'] = 'Other words.';
      metadata['labels'] = { other: 'label' };
    });
    expect([answer.status, answer.message]).toEqual([200, '']);
  });

  test('can be deleted', async () => {
    const answer = await server.client.request('DELETE', path('inferencegrants.sidegate.dev'));
    expect([answer.status, answer.message]).toEqual([200, '']);
  });
});

test("somebody else's definition may lose what it likes", async () => {
  const schema = (properties: object): object => ({ openAPIV3Schema: { type: 'object', properties } });
  const definition = (properties: object): object => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      names: { kind: 'Thing', plural: 'things' },
      scope: 'Namespaced',
      versions: [{ name: 'v1', served: true, storage: true, schema: schema(properties) }],
    },
  });
  const spec = { spec: { type: 'object', properties: { a: { type: 'string' } } } };
  await server.client.must('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition(spec));
  let last: KubeAnswer | undefined;
  // The server still writes its status.
  await eventually('no conflict', async () => {
    const { metadata } = (await servedDefinition(server, 'things.example.com')) as { metadata: object };
    last = await server.client.request('PUT', path('things.example.com'), { ...definition({}), metadata });
    return last.status !== 409;
  });
  expect([last?.status, last?.message]).toEqual([200, '']);
});
