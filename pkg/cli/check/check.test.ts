import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { stringify } from 'yaml';
import { controlPlane } from '../../contract/index.ts';
import { resourceDefinitions } from '../../crd/index.ts';
import { testOptions } from '../../inject/testing/options.ts';
import { judge } from '../check.ts';
import type { Finding } from './finding.ts';
import type { CheckedPod, CheckedService, Picture, Reading } from './picture.ts';

const day = 86_400_000;
const now = Date.now();
/** Ends 100 days from now. */
const pem = execFileSync(
  'openssl',
  [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=a'],
    ...['-days', '100', '-keyout', '/dev/null'],
  ],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
);

const all = <T>(...items: readonly T[]): Reading<T> => ({ items, fault: undefined });
const denied = { items: [], fault: 'somebody cannot list it' } as const;

const image = 'localhost/sidegate:0.1.0';
const confined = { allowPrivilegeEscalation: false, capabilities: { drop: ['NET_RAW', 'SETUID', 'SETGID'] } };
const pod = (name: string, more: object = {}): CheckedPod => ({
  metadata: {
    name,
    namespace: 'ml',
    labels: { 'sidegate.dev/inference': 'true', app: 'llama' },
    annotations: { 'sidegate.dev/injected': '{"mode":"Redirect"}', 'sidegate.dev/port-map': '{"8000":17400}' },
  },
  spec: {
    initContainers: [
      { name: 'sidegate-init', image },
      { name: 'sidegate', image, securityContext: { runAsGroup: 1_200_000_000 } },
    ],
    containers: [{ name: 'model', securityContext: confined }],
  },
  status: { phase: 'Running', initContainerStatuses: [{ name: 'sidegate', ready: true }] },
  ...more,
});
const service = (port: object): CheckedService => ({
  metadata: { name: 'llama', namespace: 'ml' },
  spec: { selector: { app: 'llama' }, ports: [port as { port: number }] },
});
const deployment = (name: string, replicas = 2, readyReplicas = replicas) => ({
  metadata: { name, namespace: 'sidegate-system' },
  spec: { replicas },
  status: { readyReplicas },
});
const map = (name: string, data: Readonly<Record<string, string>>) => ({
  metadata: { name, namespace: 'sidegate-system' },
  data,
});
const webhook = (failurePolicy = 'Fail', ca = pem) => ({
  metadata: { name: 'sidegate' },
  webhooks: controlPlane.webhooks.map((name) => ({
    name,
    failurePolicy,
    clientConfig: { caBundle: Buffer.from(ca).toString('base64') },
  })),
});
const policy = (status: object, generation = 1) => ({
  metadata: { name: 'support', namespace: 'ml', generation },
  status,
});
const lease = (secondsAgo: number, holderIdentity = 'one') => ({
  metadata: { name: 'sidegate-controller' },
  spec: { holderIdentity, renewTime: new Date(now - secondsAgo * 1_000).toISOString() },
});

const { namespace: _namespace, drawn: _drawn, controller, ...rest } = testOptions;
const optionsText = stringify(
  { ...rest, controller: { url: controller.url, name: controller.name } },
  { aliasDuplicateObjects: false },
);
const bound = (policyName: string, action = 'Deny') => ({
  metadata: { name: policyName },
  spec: { policyName, validationActions: [action] },
});

const guard = {
  failurePolicy: 'Fail',
  matchConstraints: {
    resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['pods'] }],
    objectSelector: { matchExpressions: [{ key: 'sidegate.dev/inference', operator: 'Exists' }] },
  },
  matchConditions: [{ name: 'not-mirror', expression: 'true' }],
  validations: [{ expression: 'a' }, { expression: 'b' }],
};
const calling = [
  {
    name: 'pods.sidegate.dev',
    clientConfig: { service: { name: 'sidegate-webhook', namespace: 'sidegate-system' } },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    timeoutSeconds: 5,
  },
];
const installed = (more: Readonly<Record<string, string>> = {}) =>
  map('sidegate-admission', {
    'ValidatingAdmissionPolicy.sidegate-pods': JSON.stringify({ spec: guard }),
    'MutatingWebhookConfiguration.sidegate': JSON.stringify({ webhooks: calling }),
    'ConfigMap.sidegate-parameters': JSON.stringify({ data: { images: `${image}\nlocalhost/sidegate:0.0.9` } }),
    ...more,
  });
/** As the API server keeps them, with what it fills in. */
const asKept = (spec: object = {}, hook: object = {}): Picture['admission'] =>
  all(
    {
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'sidegate-pods' },
      spec: {
        ...guard,
        matchConstraints: {
          ...guard.matchConstraints,
          resourceRules: guard.matchConstraints.resourceRules.map((rule) => ({ ...rule, scope: '*' })),
          ...{ matchPolicy: 'Equivalent', namespaceSelector: {} },
        },
        ...spec,
      },
    },
    {
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'sidegate' },
      webhooks: calling.map((one) => ({
        ...one,
        clientConfig: {
          service: { ...one.clientConfig.service, port: 443, path: `/${'0a'.repeat(32)}/validate/pods` },
          caBundle: 'QQ==',
        },
        ...{ failurePolicy: 'Fail', matchPolicy: 'Equivalent', reinvocationPolicy: 'Never' },
        ...{ namespaceSelector: {}, objectSelector: {} },
        ...hook,
      })),
    },
  );

const well: Picture = {
  system: 'sidegate-system',
  serverVersion: 'v1.36.3',
  serverTime: now,
  now,
  definitions: all(...resourceDefinitions()),
  deployments: all(deployment('sidegate-controller'), deployment('sidegate-webhook')),
  maps: all(
    map('sidegate-trust', { 'ca.crt': pem }),
    map('sidegate-parameters', { images: `${image}\nlocalhost/sidegate:0.0.9` }),
    map('sidegate-options', { 'options.yaml': optionsText }),
    installed(),
  ),
  leases: all(lease(3)),
  webhooks: all(webhook(), webhook()),
  admission: asKept(),
  admissionPolicies: all(...controlPlane.admissionPolicies.map((name) => ({ metadata: { name } }))),
  admissionBindings: all(...controlPlane.admissionPolicies.map((name) => bound(name))),
  namespaces: all({ metadata: { name: 'ml', labels: { 'sidegate.dev/governed': 'true' } } }),
  pods: all(pod('llama-1')),
  services: all(service({ port: 443, targetPort: 8000 })),
  nodes: all({ metadata: { name: 'n1' }, status: { nodeInfo: { kubeletVersion: 'v1.34.1' } } }),
  policies: all(policy({ observedGeneration: 1, enforced: '1/1', pods: { selected: 1, behind: 0, refusing: 0 } })),
  denied: all(),
};

const notOk = (picture: Picture): readonly Finding[] => judge(picture).filter(({ level }) => level !== 'ok');

describe('check', () => {
  test('finds nothing where all is well, and says what it looked at', () => {
    expect(notOk(well)).toEqual([]);
    expect(judge(well).length).toBeGreaterThan(15);
  });

  test.each<[string, Partial<Picture>, Finding['level'], string, RegExp]>([
    ['an old API server', { serverVersion: 'v1.29.4' }, 'fail', 'api server', /1\.29/],
    ['no version', { serverVersion: '' }, 'fail', 'api server', /./],
    ['clocks apart', { now: now + 60_000, leases: all(lease(0)) }, 'warn', 'clocks', /59 s apart/],
    ['no time', { serverTime: undefined }, 'warn', 'clocks', /does not tell/],
    ['a definition missing', { definitions: all(...resourceDefinitions().slice(1)) }, 'fail', 'definitions', /missing/],
    [
      'an older definition',
      {
        definitions: all(
          ...resourceDefinitions().map((one) => {
            const text = JSON.stringify(one).replaceAll('"classification":{', '"formerly":{');
            return JSON.parse(text) as typeof one;
          }),
        ),
      },
      'fail',
      'definitions',
      /drops spec\.classification/,
    ],
    [
      'no webhook running',
      { deployments: all(deployment('sidegate-controller'), deployment('sidegate-webhook', 2, 0)) },
      'fail',
      'sidegate-webhook',
      /0 of 2/,
    ],
    ...(
      [
        [
          'a rule',
          asKept({
            matchConstraints: {
              ...guard.matchConstraints,
              resourceRules: [{ ...guard.matchConstraints.resourceRules[0], operations: ['UPDATE'] }],
            },
          }),
          'spec.matchConstraints.resourceRules[0].operations',
        ],
        [
          'a selector',
          asKept({ matchConstraints: { ...guard.matchConstraints, namespaceSelector: { matchLabels: { a: 'b' } } } }),
          'spec.matchConstraints.namespaceSelector',
        ],
        [
          'a match condition',
          asKept({ matchConditions: [{ name: 'not-mirror', expression: 'false' }] }),
          'spec.matchConditions[not-mirror].expression',
        ],
        [
          'one more match condition',
          asKept({}, { matchConditions: [{ name: 'never', expression: 'false' }] }),
          'webhooks[pods.sidegate.dev].matchConditions',
        ],
        ['a validation less', asKept({ validations: [{ expression: 'a' }] }), 'spec.validations'],
        ['a failure policy', asKept({ failurePolicy: 'Ignore' }), 'spec.failurePolicy'],
        [
          'the failure policy of a webhook',
          asKept({}, { failurePolicy: 'Ignore' }),
          'webhooks[pods.sidegate.dev].failurePolicy',
        ],
        [
          'whom it calls',
          asKept({}, { clientConfig: { url: 'https://evil.example.com', caBundle: 'QQ==' } }),
          'webhooks[pods.sidegate.dev].clientConfig.service',
        ],
        ...[`/${'0a'.repeat(32)}/mutate`, `/${'0a'.repeat(31)}/validate/pods`, '/validate/pods'].map(
          (to) =>
            [
              `what it asks there: ${to}`,
              asKept({}, { clientConfig: { service: { ...calling[0]!.clientConfig.service, path: to } } }),
              'webhooks[pods.sidegate.dev].clientConfig.service.path',
            ] as const,
        ),
        [
          'the scope',
          asKept({}, { rules: [{ ...calling[0]!.rules[0], scope: 'Cluster' }] }),
          'webhooks[pods.sidegate.dev].rules[0].scope',
        ],
        ['an object', all<Picture['admission']['items'][number]>(), 'it is not there'],
      ] as const
    ).map(([what, admission, path]): [string, Partial<Picture>, Finding['level'], string, RegExp] => [
      `${what} edited by hand`,
      { admission },
      'fail',
      'admission as installed',
      new RegExp(path.replace(/[.[\]]/g, '\\$&')),
    ]),
    [
      'a parameter edited by hand',
      {
        maps: all(
          ...well.maps.items.map((one) =>
            one.metadata.name === 'sidegate-admission'
              ? installed({ 'ConfigMap.sidegate-parameters': '{"data":{"images":"x"}}' })
              : one,
          ),
        ),
      },
      'fail',
      'admission as installed',
      /ConfigMap sidegate-parameters: data\.images/,
    ],
    [
      'no word of what was installed',
      { maps: all(...well.maps.items.filter(({ metadata }) => metadata.name !== 'sidegate-admission')) },
      'warn',
      'admission as installed',
      /no ConfigMap sidegate-admission/,
    ],
    [
      'one replica',
      { deployments: all(deployment('sidegate-controller', 1), deployment('sidegate-webhook')) },
      'warn',
      'sidegate-controller',
      /one replica/,
    ],
    [
      'half of the replicas',
      { deployments: all(deployment('sidegate-controller', 2, 1), deployment('sidegate-webhook')) },
      'warn',
      'sidegate-controller',
      /1 of 2/,
    ],
    ['nothing installed', { deployments: all() }, 'fail', 'sidegate-webhook', /no deployment/],
    ['no leader', { leases: all() }, 'fail', 'leader', /no controller leads/],
    ['a leader that stopped', { leases: all(lease(300)) }, 'fail', 'leader', /300 s ago/],
    ['no authority', { maps: all(...well.maps.items.slice(1)) }, 'fail', 'authority', /no certificate/],
    [
      'an authority that ends',
      { now: now + 90 * day, serverTime: now + 90 * day, leases: all(lease(-90 * 86_400)), webhooks: all(webhook()) },
      'warn',
      'authority',
      /9 days|10 days/,
    ],
    [
      'an authority that ends in 60 days',
      { now: now + 41 * day, serverTime: now + 41 * day, leases: all(lease(-41 * 86_400)), webhooks: all(webhook()) },
      'warn',
      'authority',
      /58 days|59 days/,
    ],
    [
      'an authority that has ended',
      { now: now + 101 * day, serverTime: now + 101 * day },
      'fail',
      'authority',
      /expired/,
    ],
    [
      'an unreadable authority',
      {
        maps: all(map('sidegate-trust', { 'ca.crt': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' })),
      },
      'fail',
      'authority',
      /cannot be read/,
    ],
    ['webhooks gone', { webhooks: all() }, 'fail', 'webhooks', /^missing: inject.sidegate.dev/],
    [
      'one webhook gone',
      {
        webhooks: all({
          ...webhook(),
          webhooks: webhook().webhooks.filter(({ name }) => name !== 'services.sidegate.dev'),
        }),
      },
      'fail',
      'webhooks',
      /^missing: services.sidegate.dev$/,
    ],
    ['a webhook that fails open', { webhooks: all(webhook('Ignore'), webhook()) }, 'fail', 'webhooks', /not Fail/],
    [
      'a webhook without an authority',
      { webhooks: all(webhook('Fail', ''), webhook()) },
      'fail',
      'webhook certificate',
      /no certificate/,
    ],
    ['no admission policies', { admissionPolicies: all() }, 'fail', 'admission policies', /none/],
    [
      'a policy that only warns',
      {
        admissionBindings: all(
          ...controlPlane.admissionPolicies.map((name, at) => bound(name, at === 3 ? 'Warn' : 'Deny')),
        ),
      },
      'fail',
      'admission policies',
      /Deny: sidegate-reserved$/,
    ],
    [
      'a policy gone',
      { admissionPolicies: all(...well.admissionPolicies.items.slice(0, -2)) },
      'fail',
      'admission policies',
      /missing: sidegate-definitions, sidegate-own-parameters/,
    ],
    [
      'options that the webhook cannot use',
      {
        maps: all(...well.maps.items.slice(0, 2), map('sidegate-options', { 'options.yaml': `${optionsText}x: 1\n` })),
      },
      'fail',
      'options',
      /not known: x/,
    ],
    ['no options', { maps: all(...well.maps.items.slice(0, 2)) }, 'fail', 'options', /there are none/],
    [
      'a container that says it changes its user',
      {
        pods: all(
          pod('a', {
            spec: {
              ...pod('x').spec,
              containers: [
                { name: 'model', securityContext: confined },
                { name: 'steps', securityContext: { ...confined, capabilities: { add: ['SETUID'], drop: ['ALL'] } } },
              ],
            },
          }),
        ),
      },
      'warn',
      'neighbours',
      /ml\/a \(steps\)/,
    ],
    [
      'a sidecar of before there were groups',
      {
        pods: all(
          pod('a', { spec: { ...pod('x').spec, initContainers: [{ name: 'sidegate', image, securityContext: {} }] } }),
        ),
      },
      'warn',
      'sidecar groups',
      /ml\/a/,
    ],
    ['a role cut', { denied: all('sidegate-controller may not watch pods') }, 'fail', 'rights', /may not watch/],
    [
      'a pod without a sidecar',
      { pods: all(pod('old', { spec: { containers: [{ name: 'model' }] } })) },
      'fail',
      'sidecars',
      /ml\/old/,
    ],
    [
      'a sidecar with another image than its namespace is given',
      {
        maps: all(
          ...well.maps.items.map((one) =>
            one.metadata.name === 'sidegate-parameters'
              ? map('sidegate-parameters', {
                  images: `${image}\nlocalhost/sidegate:9`,
                  namespaceImages: 'ml=localhost/sidegate:9',
                })
              : one,
          ),
        ),
      },
      'warn',
      'sidecar version',
      /ml\//,
    ],
    [
      'a static pod',
      {
        pods: all(
          pod('fixed', {
            metadata: { ...pod('fixed').metadata, annotations: { 'kubernetes.io/config.mirror': 'x' } },
            spec: { containers: [{ name: 'model' }] },
          }),
        ),
      },
      'fail',
      'static pods',
      /ml\/fixed/,
    ],
    [
      'a pod on the host network',
      { pods: all(pod('host', { spec: { ...pod('x').spec, hostNetwork: true } })) },
      'fail',
      'sidecars',
      /ml\/host/,
    ],
    [
      'a sidecar that is not ready',
      {
        pods: all(
          pod('a', { status: { phase: 'Running', initContainerStatuses: [{ name: 'sidegate', ready: false }] } }),
        ),
      },
      'fail',
      'sidecars ready',
      /ml\/a/,
    ],
    [
      'a sidecar of another image',
      { pods: all(pod('a', { spec: { containers: [{ name: 'sidegate', image: 'localhost/sidegate:0.0.9' }] } })) },
      'warn',
      'sidecar version',
      /ml\/a/,
    ],
    [
      'a label that says no',
      { pods: all(pod('a', { metadata: { ...pod('a').metadata, labels: { 'sidegate.dev/inference': 'false' } } })) },
      'fail',
      'labels',
      /ml\/a/,
    ],
    [
      'a namespace that is not marked',
      { namespaces: all({ metadata: { name: 'ml' } }) },
      'fail',
      'namespaces',
      /not marked.*ml/,
    ],
    [
      'a policy refused',
      {
        policies: all(
          policy({
            observedGeneration: 1,
            conditions: [{ type: 'Accepted', status: 'False', message: 'spec.access: no' }],
          }),
        ),
      },
      'fail',
      'policies',
      /spec\.access: no/,
    ],
    [
      'a policy unseen',
      { policies: all(policy({ observedGeneration: 1 }, 2)) },
      'fail',
      'policies seen',
      /ml\/support/,
    ],
    [
      'a policy without status',
      { policies: all({ metadata: { name: 'floor', generation: 1 } }) },
      'fail',
      'policies seen',
      /floor/,
    ],
    [
      'pods behind',
      { policies: all(policy({ observedGeneration: 1, enforced: '2/3', pods: { selected: 3, behind: 1 } })) },
      'warn',
      'policies enforced',
      /2\/3/,
    ],
    [
      'a policy that selects nothing',
      { policies: all(policy({ observedGeneration: 1, pods: { selected: 0 } })) },
      'warn',
      'policies used',
      /ml\/support/,
    ],
    [
      'UDP',
      {
        pods: all(
          pod('quic', {
            spec: {
              ...pod('x').spec,
              containers: [{ name: 'model', ports: [{ containerPort: 443, protocol: 'UDP' }] }],
            },
          }),
        ),
      },
      'warn',
      'udp ports',
      /ml\/quic/,
    ],
    [
      'a numeric targetPort beside NamedPort',
      {
        pods: all(
          pod('a', {
            metadata: {
              ...pod('a').metadata,
              annotations: {
                'sidegate.dev/injected': '{"mode":"NamedPort"}',
                'sidegate.dev/port-map': '{"8000":17400}',
              },
            },
          }),
        ),
      },
      'fail',
      'services',
      /ml\/llama/,
    ],
    [
      'an old kubelet',
      { nodes: all({ metadata: { name: 'n0' }, status: { nodeInfo: { kubeletVersion: 'v1.28.9' } } }) },
      'fail',
      'kubelets',
      /n0/,
    ],
  ])('%s', (_, change, level, check, message) => {
    const found = notOk({ ...well, ...change }).find((one) => one.check === check);
    expect(found).toMatchObject({ level, message: expect.stringMatching(message) });
    expect(found?.hint).toMatch(/\w/);
  });

  test('webhooks that only stand behind something may be left out', () => {
    const behind = {
      metadata: { name: 'sidegate-connect' },
      webhooks: controlPlane.openWebhooks.map((name) => ({
        name,
        failurePolicy: 'Ignore',
        clientConfig: { caBundle: Buffer.from(pem).toString('base64') },
      })),
    };
    expect(notOk({ ...well, webhooks: { items: [webhook(), behind], fault: undefined } })).toEqual([]);
  });

  test('pods that have ended or are ending, and Services by name, are not reproached', () => {
    const bare = { spec: { containers: [{ name: 'model' }] } };
    const ending = pod('b', { ...bare, metadata: { ...pod('b').metadata, deletionTimestamp: '2026-11-26T02:00:00Z' } });
    const named = pod('c', {
      metadata: {
        ...pod('c').metadata,
        annotations: { 'sidegate.dev/injected': '{"mode":"NamedPort"}', 'sidegate.dev/port-map': '{"8000":17400}' },
      },
    });
    expect(
      notOk({
        ...well,
        pods: all(pod('a', { ...bare, status: { phase: 'Succeeded' } }), ending, named),
        services: all(service({ port: 443, targetPort: 'http' })),
      }),
    ).toEqual([]);
  });

  test('annotations that are no JSON do not stop it', () => {
    const odd = pod('a', {
      metadata: { ...pod('a').metadata, annotations: { 'sidegate.dev/injected': '{', 'sidegate.dev/port-map': '[' } },
    });
    expect(notOk({ ...well, pods: all(odd) })).toEqual([]);
  });

  test.each(Object.keys(well).filter((key) => typeof well[key as keyof Picture] === 'object'))(
    '%s that cannot be read is never taken for well',
    (key) => {
      const findings = notOk({ ...well, [key]: denied });
      expect(findings.length).toBeGreaterThan(0);
      expect(findings.every(({ hint }) => hint !== undefined)).toBe(true);
    },
  );
});
