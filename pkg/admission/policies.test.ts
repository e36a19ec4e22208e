import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { createValidatePolicy } from './index.ts';
import { request, testHooks } from './testing/hooks.ts';

const allow = 'access: [{ name: a, effect: Allow, subjects: [{ anyone: true }] }]';

const ask = (spec: string, kind = 'InferencePolicy', more = {}) =>
  createValidatePolicy({ metrics: testHooks().metrics })(
    request({
      group: 'sidegate.dev',
      resource: kind === 'InferencePolicy' ? 'inferencepolicies' : 'clusterinferencepolicies',
      namespace: kind === 'InferencePolicy' ? 'ml' : '',
      object: {
        apiVersion: 'sidegate.dev/v1alpha1',
        kind,
        metadata: { name: 'p', uid: 'x', managedFields: [{}], resourceVersion: '1' },
        spec: parse(spec) as unknown,
        status: { observedGeneration: 1 },
      },
      ...more,
    }),
  );

test.each(['InferencePolicy', 'ClusterInferencePolicy'])('a good %s passes', async (kind) => {
  expect(await ask(allow, kind)).toMatchObject({ allowed: true });
});

test.each<[string, string, string]>([
  [
    'an unknown detector',
    `${allow}\nguards: [{ name: g, direction: Request, match: { detectors: [CreditCards] }, action: Block }]`,
    'Did you mean "CreditCard"?',
  ],
  [
    'a pattern that is not RE2',
    `${allow}\nguards: [{ name: g, direction: Request, match: { patterns: ['(?=a)'] }, action: Block }]`,
    'patterns[0]',
  ],
  [
    'a guard that finds nothing',
    `${allow}\nguards: [{ name: g, direction: Request, match: {}, action: Block }]`,
    'match',
  ],
  [
    'an Allow that its own Deny takes back',
    `access: [{ name: a, effect: Allow, subjects: [{ anyone: true }] }, { name: d, effect: Deny, subjects: [{ anyone: true }] }]`,
    'spec.access[a] never allows anything: p/d denies all of it',
  ],
  [
    'a file beside the process',
    `${allow}\nupstream: { ports: [{ containerPort: 8000 }], credential: { file: /etc/key } }`,
    'file',
  ],
])('%s is refused, and how to fix it is said', async (_, spec, said) => {
  const verdict = await ask(spec);
  expect(verdict).toMatchObject({ allowed: false, status: 422 });
  expect(verdict.message).toContain(said);
});

test('a policy of a namespace is not named as the platform’s are; one that is there is let be', async () => {
  const named = async (operation: 'CREATE' | 'UPDATE', kind: string) => {
    const object = {
      apiVersion: 'sidegate.dev/v1alpha1',
      kind,
      metadata: { name: 'cluster' },
      spec: parse(allow) as unknown,
    };
    return ask(allow, kind, { operation, object });
  };
  const refused = await named('CREATE', 'InferencePolicy');
  expect(refused).toMatchObject({ allowed: false, status: 422 });
  expect(refused.message).toContain('metadata.name: cluster');
  expect(await named('UPDATE', 'InferencePolicy')).toMatchObject({ allowed: true });
  expect(await named('CREATE', 'ClusterInferencePolicy')).toMatchObject({ allowed: true });
});

test('what may be meant is a warning', async () => {
  const verdict = await ask('mode: Enforce');
  expect(verdict).toMatchObject({ allowed: true });
  expect(verdict.warnings?.[0]).toContain('everything is denied');
  const { warnings } = await ask(`${allow}\nanalyzers: [{ name: ner, url: "https://a/x" }]`);
  expect(warnings?.join()).toContain('analyzers[ner] cannot be called yet');
});

test.each([
  ['another group', { group: 'a' }],
  ['the status', { subResource: 'status' }],
  ['a deletion', { operation: 'DELETE' as const }],
  ['grants', { resource: 'inferencegrants' }],
  ['no object', { object: null }],
])('%s is refused', async (_, more) => {
  expect(await ask(allow, 'InferencePolicy', more)).toMatchObject({ allowed: false });
});
