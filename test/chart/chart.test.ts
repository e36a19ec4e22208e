import { beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { admissionMetrics } from '../../pkg/admission/index.ts';
import { systemClock } from '../../pkg/base/index.ts';
import { createControlMetrics } from '../../pkg/control/index.ts';
import { reasons } from '../../pkg/core/index.ts';
import { recorderMetrics, shipMetrics } from '../../pkg/recorder/index.ts';
import { createMeters, createMetrics } from '../../pkg/telemetry/index.ts';
import { chartValues } from '../../cmd/gen/chart-readme.ts';
import { holdMetrics } from '../../cmd/recorder/archive.ts';
import { controlPlane, controlPorts, listeners } from '../../pkg/contract/index.ts';
import { alternatives, alternativeOf, beside, needs, pairwise } from './alternatives.ts';
import { at, chart, helm, merged, only, render, root, template } from './render.ts';
import type { KubeObject } from './render.ts';

const values = chartValues(readFileSync(join(chart, 'values.yaml'), 'utf8'));

/** Cluster-wide kinds that the chart has. */
const clusterWide = new Set([
  ...['Namespace', 'CustomResourceDefinition', 'ClusterRole', 'ClusterRoleBinding', 'FlowSchema'],
  ...['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'],
  ...['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'],
]);

const podOf = (one: KubeObject): KubeObject => one.spec?.template;
const workloads = (objects: readonly KubeObject[]): readonly KubeObject[] => objects.filter((one) => podOf(one));

/** What Pod Security calls restricted, and a root file system that is read only. */
function weaknesses(pod: KubeObject): string[] {
  const found: string[] = [];
  const unless = (holds: boolean, what: string): void => void (holds || found.push(what));
  unless(pod.automountServiceAccountToken === false, 'mounts a token');
  unless(!pod.hostNetwork && !pod.hostPID && !pod.hostIPC && !pod.shareProcessNamespace, 'shares');
  unless(pod.securityContext?.runAsNonRoot === true, 'may run as root');
  unless(pod.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'no seccomp');
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
    const { securityContext: context, resources, image } = container;
    unless(context?.allowPrivilegeEscalation === false, 'may escalate');
    unless(context?.readOnlyRootFilesystem === true, 'may write to its root');
    unless(JSON.stringify(context?.capabilities) === '{"drop":["ALL"]}', 'has capabilities');
    unless(context?.privileged !== true, 'privileged');
    unless(resources?.requests !== undefined, 'requests nothing');
    unless(/^[^\s:@]+(:[0-9]+\/[^\s:@]+)?(:[^\s:@]+|@sha256:[0-9a-f]{64})$/.test(image), `image ${image}`);
    unless(!/:latest$/.test(image), 'latest');
  }
  for (const volume of pod.volumes ?? []) unless(volume.hostPath === undefined, 'hostPath');
  return found;
}

/** What must hold of every render. */
function faults(objects: readonly KubeObject[], input: KubeObject): string[] {
  const found: string[] = [];
  const unless = (holds: unknown, what: string): void => void (holds || found.push(what));
  const names = objects.map((one) => `${one.kind} ${one.metadata.namespace ?? ''} ${one.metadata.name}`);
  for (const name of names) unless(names.indexOf(name) === names.lastIndexOf(name), `twice: ${name}`);
  for (const one of objects) {
    const what = `${one.kind} ${one.metadata.name}`;
    const wanted = clusterWide.has(one.kind)
      ? [undefined]
      : ['sidegate-system', input.test?.namespace ?? 'sidegate-test'];
    unless(wanted.includes(one.metadata.namespace), `${what} in ${one.metadata.namespace}`);
    unless(one.metadata.labels?.['app.kubernetes.io/part-of'] === 'sidegate', `${what} without labels`);
    unless(one.kind !== 'Secret', `${what} is rendered`);
    for (const rule of one.kind.endsWith('Role') ? one.rules : []) {
      const { verbs, resources = [], apiGroups = [], nonResourceURLs = [] } = rule;
      const all = [...verbs, ...resources, ...apiGroups, ...nonResourceURLs];
      unless(!all.some((word: string) => word.includes('*')), `${what} has a wildcard`);
      if (one.kind === 'ClusterRole' && resources.includes('secrets'))
        unless(JSON.stringify(rule.verbs) === '["get"]', `${what}: ${rule.verbs} of secrets`);
      unless(
        !rule.verbs.some((verb: string) => ['escalate', 'bind', 'impersonate'].includes(verb)),
        `${what} escalates`,
      );
    }
    if (podOf(one)) for (const why of weaknesses(podOf(one).spec)) unless(false, `${what}: ${why}`);
  }
  const images = new Set(
    workloads(objects).flatMap((one) => podOf(one).spec.containers.map((c: KubeObject) => c.image)),
  );
  unless(images.size === 1, `images ${[...images].join(' ')}`);
  const text = JSON.stringify(objects);
  unless(!/PRIVATE KEY|"caBundle"/.test(text), 'has a key or a bundle');
  // Whatever selects pods by labels of the control plane selects those of exactly one workload.
  const selecting = objects.filter((one) => ['Service', 'PodDisruptionBudget', 'NetworkPolicy'].includes(one.kind));
  for (const one of selecting.filter(({ metadata }) => metadata.namespace === 'sidegate-system')) {
    const selector = one.spec.podSelector?.matchLabels ?? one.spec.selector?.matchLabels ?? one.spec.selector;
    const hit = workloads(objects).filter((target) =>
      Object.entries(selector).every(([key, value]) => podOf(target).metadata.labels[key] === value),
    );
    unless(hit.length === 1, `${one.kind} ${one.metadata.name} selects ${hit.length}`);
    const ports = hit[0] === undefined ? [] : podOf(hit[0]).spec.containers[0].ports;
    const asked: unknown[] =
      one.kind === 'Service'
        ? one.spec.ports.map((port: KubeObject) => port.targetPort)
        : one.kind === 'NetworkPolicy'
          ? one.spec.ingress.flatMap((rule: KubeObject) => rule.ports.map((port: KubeObject) => port.port))
          : [];
    for (const port of asked)
      unless(
        ports.some(({ name }: KubeObject) => name === port),
        `${one.metadata.name}: ${port}`,
      );
  }
  for (const name of ['controller', 'webhook']) {
    const replicas = only(objects, 'Deployment', `sidegate-${name}`).spec.replicas;
    const budgets = objects.filter(
      (one) => one.kind === 'PodDisruptionBudget' && one.metadata.name === `sidegate-${name}`,
    );
    unless(budgets.length === (replicas > 1 ? 1 : 0), `${name}: ${budgets.length} budgets for ${replicas}`);
  }
  return found;
}

const nothing = {};
const known = new Map<string, string>();
/** What is rendered; many values have one context, and each render takes its time. */
function rendered(values: object): string {
  const key = JSON.stringify(values);
  const text = known.get(key) ?? template(values).stdout;
  known.set(key, text);
  return text;
}
let defaults: readonly KubeObject[];
let defaultText: string;
beforeAll(() => {
  defaults = render();
  defaultText = template(nothing).stdout;
});

describe('every render', () => {
  const paths = Object.keys(alternatives);
  const rows = pairwise(paths.length);

  test('is of sound objects, with the values as they are', () => expect(faults(defaults, {})).toEqual([]));

  test('… and in every pair of values, set and not set', () => {
    for (const row of rows) {
      const on = paths.filter((_path, i) => row[i]);
      // What one value cannot do without stands beneath it.
      const needed = on.flatMap((path) => (needs.includes(path) ? [beside[path] ?? {}] : []));
      const input = merged(...needed, ...on.map((path) => at(path, alternatives[path])));
      expect({ input, faults: faults(render(input), input) }).toEqual({ input, faults: [] });
    }
    expect(rows.length).toBeGreaterThan(4);
  }, 120_000);

  test('is the same each time', () => expect(template({}).stdout === defaultText).toBe(true));

  test('passes helm lint', () => {
    expect(helm(['lint', '--strict', chart])).toMatchObject({ status: 0 });
  });

  test('is refused by a Kubernetes without admission policies', () => {
    expect(template({}, { kubeVersion: '1.29.9' }).stderr).toContain('kubeVersion');
  });
});

describe('the values', () => {
  const leaves = values.map(({ path }) => path);

  test('each has its row in the README, and a sample here', () => {
    const walk = (value: unknown, path: string): string[] =>
      leaves.includes(path)
        ? []
        : typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.entries(value).flatMap(([key, inner]) => walk(inner, path === '' ? key : `${path}.${key}`))
          : [path];
    expect(walk(parse(readFileSync(join(chart, 'values.yaml'), 'utf8')), '')).toEqual([]);
    expect(leaves.filter((path) => alternativeOf(path) === undefined)).toEqual([]);
  });

  test.each(leaves)('%s changes what is rendered', (path) => {
    const context = beside[path] ?? nothing;
    const before = context === nothing ? defaultText : rendered(context);
    // Not toBe: its message would be the whole render.
    expect(template(merged(context, at(path, alternativeOf(path)))).stdout === before).toBe(false);
  });

  test('a typo in any place is refused', () => {
    const places = new Set(['', ...leaves.map((path) => path.split('.').slice(0, -1).join('.'))]);
    for (const place of places) {
      const { status, stderr } = template(at(place === '' ? 'replica' : `${place}.replica`, 1));
      expect({ place, status, stderr }).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("'replica' not allowed"),
      });
    }
  });

  test.each([
    ['image.tag', 'latest'],
    ['image.digest', 'sha256:abc'],
    ['image.previous', ['localhost/sidegate:latest']],
    ['image.previous', ['a,b:1']],
    ['governNamespaces', 'Off'],
    ['breakGlassGroup', 'system:authenticated'],
    ['breakGlassGroup', "a' || true || 'b"],
    ['sidecar.uid', 0],
    ['neighbours.changeUser', 'Sometimes'],
    ['neighbours.hostPaths', ['models']],
    ['sidecar.uid', 1337],
    ['sidecar.captureMode', 'None'],
    ['sidecar.captureModes', { 'Not A Namespace': 'NamedPort' }],
    ['sidecar.internalTcp', '1-2; drop'],
    ['sidecar.stateSize', '512ki'],
    ['sidecar.spoolSize', '1Gib'],
    ['sidecar.resources', { limits: { memory: '512ki' } }],
    ['sidecar.resources', { limits: { cpu: 0.5 } }],
    ['recorder.resources', { requests: { memory: '-1' } }],
    ['sidecar.modelRequests', 0],
    ['sidecar.modelRequests', 10_001],
    ['webhook.replicas', 0],
    // Of a Sqlite store.
    ['recorder.replicas', 2],
    // Without its database.
    ['recorder.store', 'Postgres'],
    ['webhook.timeoutSeconds', 31],
    ['helpers', [{ name: 'x', images: [], runAsUser: 1 }]],
    ['helpers', [{ name: 'x', images: ['y'], runAsUser: 0 }]],
    ['clusterDomain', 'a b'],
  ])('%s: %j is refused', (path, value) => {
    expect(template(at(path, value)).status).toBe(1);
  });
});

describe('names and ports', () => {
  test('are those that the processes use', () => {
    const { controller, webhook, recorder, parameters, options, optionsKey } = controlPlane;
    only(defaults, 'StatefulSet', recorder);
    for (const kind of ['Service', 'ServiceAccount']) only(defaults, kind, recorder);
    for (const name of [controller, webhook]) {
      for (const kind of ['Deployment', 'Service', 'ServiceAccount']) only(defaults, kind, name);
    }
    only(defaults, 'ConfigMap', parameters);
    expect(Object.keys(only(defaults, 'ConfigMap', options).data)).toEqual([optionsKey]);
    const ports = (name: string, kind = 'Deployment'): object =>
      Object.fromEntries(
        podOf(only(defaults, kind, name)).spec.containers[0].ports.map((port: KubeObject) => [
          port.name,
          port.containerPort,
        ]),
      );
    expect(ports(controller)).toEqual({
      stream: controlPorts.stream,
      decisions: controlPorts.decisions,
      admin: controlPorts.admin,
    });
    expect(ports(webhook)).toEqual({ webhook: controlPorts.webhook, admin: controlPorts.admin });
    expect(ports(recorder, 'StatefulSet')).toEqual({
      record: controlPorts.recorder,
      audit: controlPorts.audit,
      admin: controlPorts.admin,
    });
    const told = podOf(only(defaults, 'Deployment', controller)).spec.containers[0].args;
    expect(told).toContain(`--recorder=https://${recorder}.sidegate-system.svc:${controlPorts.recorder}`);
    expect(only(defaults, 'Service', recorder).spec.ports[0].port).toBe(controlPorts.recorder);
    expect(only(defaults, 'Service', controller).spec.ports[0].port).toBe(controlPorts.stream);
    // Written by processes at run time: to render one would overwrite what runs.
    for (const name of [controlPlane.authority, controlPlane.trust, controlPlane.root, controlPlane.webhookAuthority])
      expect(
        defaults.filter((one) => ['Secret', 'ConfigMap'].includes(one.kind) && one.metadata.name === name),
      ).toEqual([]);
  });

  test('the admission policies are those that kubectl sidegate check looks for, each bound', () => {
    for (const kind of ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding']) {
      const names = defaults.filter((one) => one.kind === kind).map(({ metadata }) => metadata.name);
      expect(names.sort()).toEqual([...controlPlane.admissionPolicies, 'sidegate-parameters-watch'].sort());
    }
    const plain = defaults.filter(({ kind }) => kind.endsWith('WebhookConfiguration')).flatMap((one) => one.webhooks);
    expect(plain.map(({ name }: KubeObject) => name).sort()).toEqual([...controlPlane.webhooks].sort());
    const webhooks = render({ breakGlassGroup: 'sre' })
      .filter(({ kind }) => kind.endsWith('WebhookConfiguration'))
      .flatMap((one) => one.webhooks);
    expect(
      webhooks
        .filter(({ failurePolicy }: KubeObject) => failurePolicy !== 'Fail')
        .map(({ name }: KubeObject) => name)
        .sort(),
    ).toEqual([...controlPlane.openWebhooks].sort());
  });

  test('each admission object stands, as it is installed, in what check compares with', () => {
    const objects = render({ breakGlassGroup: 'oncall', webhook: { certManager: { enabled: true } } });
    const { data } = only(objects, 'ConfigMap', controlPlane.installedAdmission);
    const expected = objects
      // The one that stays when the release is removed matches nothing.
      .filter((one) => /^(Mutating|Validating)/.test(one.kind) && one.metadata.name !== 'sidegate-parameters-watch')
      .concat(only(objects, 'ConfigMap', controlPlane.parameters))
      .map(({ apiVersion: _version, kind, metadata, ...content }) => [`${kind}.${metadata.name}`, content] as const);
    expect(expected.length).toBeGreaterThan(30);
    const entries = Object.entries<string>(data).map(([key, text]) => [key, JSON.parse(text) as object]);
    expect(Object.fromEntries(entries)).toEqual(Object.fromEntries(expected));
  });

  test('what the API server asks the webhook is no more than it decides, without traces, and answered soon', () => {
    const [mutating] = defaults.filter(({ kind }) => kind === 'MutatingWebhookConfiguration');
    expect(mutating?.webhooks).toHaveLength(1);
    const [inject] = mutating?.webhooks ?? [];
    expect(inject.rules).toEqual([
      { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' },
    ]);
    expect(inject.reinvocationPolicy).toBe('IfNeeded');
    expect(inject.objectSelector.matchExpressions).toEqual([{ key: 'sidegate.dev/inference', operator: 'Exists' }]);
    // Our own pods, and those that the cluster rests on, start while no webhook runs.
    expect(inject.namespaceSelector.matchExpressions[0].values).toEqual(['kube-system', 'sidegate-system']);
    for (const { kind, webhooks = [] } of defaults.filter((one) => one.kind.endsWith('WebhookConfiguration')))
      for (const one of webhooks) {
        const { name, matchPolicy, sideEffects, timeoutSeconds, admissionReviewVersions, rules } = one;
        expect({ kind, name, matchPolicy, admissionReviewVersions }).toEqual({
          ...{ kind, name },
          ...{ matchPolicy: 'Equivalent', admissionReviewVersions: ['v1'] },
        });
        expect(['None', 'NoneOnDryRun']).toContain(sideEffects);
        expect(timeoutSeconds).toBeLessThanOrEqual(5);
        expect(JSON.stringify(rules)).not.toMatch(/"\*"[^}]*"resources"|"resources":\[[^\]]*\*/);
      }
  });

  test('the roles may write the objects that processes own, and name them', () => {
    const named = JSON.stringify(defaults.filter((one) => one.kind.endsWith('Role')).flatMap((one) => one.rules));
    for (const name of [controlPlane.authority, controlPlane.trust, controlPlane.root, controlPlane.webhookAuthority])
      expect(named).toContain(`"${name}"`);
  });

  test('sidecars are scraped at the port that they declare', () => {
    const monitor = only(render({ monitoring: { serviceMonitor: true } }), 'PodMonitor', 'sidegate-sidecars');
    expect(monitor.spec.podMetricsEndpoints[0].port).toBe('sidegate-admin');
    expect(listeners.admin).toBe(17_491);
  });
});

describe('cert-manager for the webhook', () => {
  const named = (objects: readonly KubeObject[], kind: string): string[] =>
    objects.filter((one) => one.kind === kind).map(({ metadata }) => metadata.name);
  const roleRules = (objects: readonly KubeObject[]): readonly KubeObject[] =>
    objects
      .filter((one) => one.kind.endsWith('Role') && one.metadata.name === 'sidegate-webhook')
      .flatMap((one) => one.rules);

  test('issues its certificate, and writes its authority; the webhook writes its paths alone', () => {
    const objects = render({ webhook: { certManager: { enabled: true } } });
    expect(named(objects, 'Issuer')).toEqual(['sidegate-webhook-root', 'sidegate-webhook']);
    const { spec } = only(objects, 'Certificate', 'sidegate-webhook');
    expect(spec).toMatchObject({
      secretName: controlPlane.webhookCertificate,
      dnsNames: ['sidegate-webhook.sidegate-system.svc'],
      issuerRef: { name: 'sidegate-webhook', kind: 'Issuer', group: 'cert-manager.io' },
    });
    const calling = objects.filter(({ kind }) => kind.endsWith('WebhookConfiguration'));
    expect(calling).toHaveLength(3);
    for (const { metadata } of calling)
      expect(metadata.annotations).toEqual({ 'cert-manager.io/inject-ca-from': 'sidegate-system/sidegate-webhook' });
    const { args } = podOf(only(objects, 'Deployment', 'sidegate-webhook')).spec.containers[0];
    expect(args).toContain(`--certificate-secret=${controlPlane.webhookCertificate}`);
    for (const { resources = [], verbs, resourceNames } of roleRules(objects)) {
      if (resources.includes('secrets')) expect(resourceNames).toEqual([controlPlane.webhookCertificate]);
      if (resources.includes('configmaps') && verbs.includes('patch'))
        expect(resourceNames).toEqual([controlPlane.changers]);
      const writes =
        resources.includes('mutatingwebhookconfigurations') || resourceNames?.includes(controlPlane.changers);
      const paths = writes ? ['patch'] : [];
      if (!['events', 'subjectaccessreviews'].some((one) => resources.includes(one)))
        expect(verbs.filter((verb: string) => !['get', 'list', 'watch'].includes(verb))).toEqual(paths);
    }
  });

  test('takes an issuer of yours', () => {
    const issuerRef = { name: 'corp', kind: 'ClusterIssuer' };
    const objects = render({ webhook: { certManager: { enabled: true, issuerRef } } });
    expect(named(objects, 'Issuer')).toEqual([]);
    expect(named(objects, 'Certificate')).toEqual(['sidegate-webhook']);
    expect(only(objects, 'Certificate', 'sidegate-webhook').spec.issuerRef).toEqual({
      ...issuerRef,
      group: 'cert-manager.io',
    });
  });

  test('is not there by default', () => {
    expect([...named(defaults, 'Issuer'), ...named(defaults, 'Certificate')]).toEqual([]);
    expect(JSON.stringify(defaults)).not.toContain('cert-manager');
  });
});

describe('what is watched', () => {
  const operations = readFileSync(join(root, 'docs/operations.md'), 'utf8');
  /** Of the control plane: what its sources name. */
  const sources = ['pkg/control', 'pkg/admission', 'pkg/kube', 'cmd/webhook', 'cmd/controller'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => readFileSync(join(root, folder, file), 'utf8')),
  );
  const ofControlPlane = sources.flatMap((text) =>
    [...text.matchAll(/\.(counter|timer|gauge|reading)\(\s*'(sidegate_\w+)'/g)].flatMap(([, kind, name = '']) =>
      kind === 'timer' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  const ofSidecars = ['docs/metrics.md', 'docs/audit.md', 'docs/siem.md']
    .flatMap((page) => [...readFileSync(join(root, page), 'utf8').matchAll(/^\| `(sidegate_\w+)` \| (\w+)/gm)])
    .flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    );
  const known = new Set([...ofControlPlane, ...ofSidecars]);
  const process = new Set(['process_resident_memory_bytes', 'process_cpu_seconds_total']);
  const unknownIn = (text: string): string[] =>
    [...text.matchAll(/\b(?:sidegate|process|nodejs)_\w+/g)].flatMap(([name]) =>
      known.has(name) || process.has(name) ? [] : [name],
    );

  test('by the alerts exists', () => {
    const rule = only(render({ monitoring: { prometheusRule: true } }), 'PrometheusRule', 'sidegate');
    const rules = rule.spec.groups.flatMap((group: KubeObject) => group.rules);
    expect(rules.length).toBeGreaterThan(4);
    for (const { alert, expr, labels, annotations } of rules) {
      expect({ alert, unknown: unknownIn(expr) }).toEqual({ alert, unknown: [] });
      expect(annotations.summary).toMatch(/\w/);
      expect(['critical', 'warning']).toContain(labels.severity);
      // Its row says what to do.
      expect(operations).toContain(`\`${alert}\``);
    }
  });

  test('of strangers at the webhook alerts for those that have a key, and not for each scanner', () => {
    const rule = only(render({ monitoring: { prometheusRule: true } }), 'PrometheusRule', 'sidegate');
    const rules: readonly KubeObject[] = rule.spec.groups.flatMap((group: KubeObject) => group.rules);
    const { expr } = rules.find(({ alert }) => alert === 'SidegateWebhookStranger') ?? {};
    expect(expr).toContain('sidegate_webhook_strangers_total{path!="no_key"}');
  });

  test('by the alerts of the control plane has the label values that they name', () => {
    const rule = only(render({ monitoring: { prometheusRule: true } }), 'PrometheusRule', 'sidegate');
    const { rules } = rule.spec.groups.find(({ name }: KubeObject) => name === 'sidegate-control-plane');
    const values = rules
      .filter(({ expr }: KubeObject) => !/\bup\{/.test(expr))
      .flatMap(({ expr }: KubeObject) =>
        [...expr.matchAll(/=~?"([^"]+)"/g)].flatMap(([, text = '']) => text.split('|')),
      );
    expect(values.length).toBeGreaterThan(8);
    const all = sources.join('\n');
    expect(values.filter((value: string) => !all.includes(`'${value}'`))).toEqual([]);
  });

  test('by increases in the alerts is there before it counts, or the first time would be missed', async () => {
    const meters = createMeters({ process: false });
    createControlMetrics(meters, ['ops']);
    admissionMetrics(meters);
    recorderMetrics(meters);
    shipMetrics(meters, ['siem']);
    holdMetrics(meters);
    const sidecar = createMetrics({
      clock: systemClock,
      operations: [],
      codes: Object.keys(reasons),
      dialects: [],
      finders: [],
      certainties: [],
      processMetrics: false,
    });
    const began = [await meters.render(), await sidecar.render()].join('\n');
    const rule = only(render({ monitoring: { prometheusRule: true } }), 'PrometheusRule', 'sidegate');
    const counted = rule.spec.groups
      .flatMap((group: KubeObject) => group.rules)
      .flatMap(({ expr }: KubeObject) => [...expr.matchAll(/increase\((\w+)(?:\{\w+(=~|!?=)"([^"]*)"\})?/g)]);
    expect(counted.length).toBeGreaterThan(15);
    for (const [, name, sign, text = ''] of counted) {
      const values = sign === undefined || sign === '!=' ? [''] : text.split('|');
      for (const value of values) {
        const series = new RegExp(`^${name}(\\{.*${value === '' ? '' : `"${value}"`}.*\\})? 0$`, 'm');
        expect({ name, value, began: series.test(began) }).toEqual({ name, value, began: true });
      }
    }
  });

  test('that operations.md says to alert on has an alert', () => {
    const alerts = readFileSync(join(chart, 'files/alerts.yaml'), 'utf8');
    const rows = [...operations.matchAll(/^\| (`sidegate_[^|]*) \| ([^|]*) \| ([^|]*) \|$/gm)].filter(
      ([, , , alert = '']) => alert.trim() !== '',
    );
    expect(rows.length).toBeGreaterThan(12);
    const without = rows.filter(
      ([, names = '']) => ![...names.matchAll(/`(sidegate_\w+)/g)].some(([, name = '']) => alerts.includes(name)),
    );
    expect(without.map(([, names]) => names)).toEqual([]);
  });

  test('of the control plane has a panel, an alert or a row in the docs', () => {
    expect(ofControlPlane.length).toBeGreaterThan(30);
    const files = ['files/dashboard.json', 'files/alerts.yaml'].map((file) => join(chart, file));
    const docs = ['operations', 'kubernetes'].map((page) => join(root, `docs/${page}.md`));
    const seen = [...files, ...docs].map((file) => readFileSync(file, 'utf8')).join('\n');
    expect(ofControlPlane.filter((name) => !/_(sum|count|bucket)$/.test(name) && !seen.includes(name))).toEqual([]);
  });

  test('by the dashboard exists', () => {
    const map = only(render({ monitoring: { dashboard: true } }), 'ConfigMap', 'sidegate-dashboard');
    const dashboard = JSON.parse(map.data['sidegate.json']) as KubeObject;
    expect(dashboard.panels.length).toBeGreaterThan(9);
    const ids = dashboard.panels.map((panel: KubeObject) => panel.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const panel of dashboard.panels)
      expect({ title: panel.title, unknown: unknownIn(JSON.stringify(panel.targets)) }).toEqual({
        title: panel.title,
        unknown: [],
      });
  });
});

test('a recorder may go over its whole store before it listens, the others listen within a minute', () => {
  const { controller, webhook, recorder } = controlPlane;
  const seconds = (kind: string, name: string): unknown => {
    const { periodSeconds, failureThreshold } = only(defaults, kind, name).spec.template.spec.containers[0]
      .startupProbe;
    return periodSeconds * failureThreshold;
  };
  expect(seconds('StatefulSet', recorder)).toBe(3_600);
  for (const name of [controller, webhook]) expect(seconds('Deployment', name)).toBe(60);
});

test('heads of the log are published where the log outlives the recorder’s pod, and nowhere else', () => {
  const publishes = (recorder: object): boolean =>
    JSON.stringify(only(render({ recorder }), 'StatefulSet', 'sidegate-recorder')).includes('"--publish-heads"');
  expect(publishes({})).toBe(true);
  expect(publishes({ storage: { persistent: false } })).toBe(false);
});
