import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { inferencePolicySchema } from '../../pkg/crd/index.ts';
import type { SchemaNode } from '../../pkg/crd/index.ts';
import { checkFinalState, draw, inject, injectedAnnotation, parseChartOptions } from '../../pkg/inject/index.ts';
import type { InjectOptions } from '../../pkg/inject/index.ts';
import { foreignInits, istioInit, linkerdInit } from '../../pkg/inject/testing/network-inits.ts';
import { changed, model, pod } from '../../pkg/inject/testing/pods.ts';
import type { Json } from '../../pkg/inject/testing/pods.ts';
import { second, tamperings } from '../../pkg/inject/testing/tamperings.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { KubeAnswer, KubeClient } from '../cluster/kube-client.ts';
import { apply, eventually, kubeletOf, ofKind, oneOf, release, renderChart } from './admission-chart.ts';
import type { Manifest } from './admission-chart.ts';
import { installDefinitions } from './custom-resources.ts';

// The chart's admission policies alone, without any webhook: what the API server itself refuses, in its own words.

const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const older = '-----BEGIN CERTIFICATE-----\nMIIA\n-----END CERTIFICATE-----\n';

let server: ApiServer;
let chart: readonly Manifest[];

const values = [
  'breakGlassGroup=sre',
  'image.previous={sidegate/sidegate:0.0.9}',
  'sidecar.captureModes.named=NamedPort',
  'meshes.istio.enabled=true,meshes.istio.images={istio/proxyv2}',
  'meshes.linkerd.enabled=true,meshes.linkerd.initImages={linkerd/proxy-init},meshes.linkerd.proxyImages={linkerd/proxy}',
  'wrappers.knative.enabled=true,wrappers.knative.images={knative/queue}',
  'wrappers.kserve.enabled=true,wrappers.kserve.images={kserve/agent}',
  'helpers[0].name=lora-loader,helpers[0].images={ml/lora-loader},helpers[0].runAsUser=2000',
];

const drawn = draw(Buffer.from('twenty bytes by hand'));

const trust = (bundle: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'sidegate-trust', namespace: release },
  data: { 'ca.crt': bundle },
});

function optionsFor(namespace: string, bundle = ca): InjectOptions {
  const yaml = oneOf(chart, 'ConfigMap', 'sidegate-options').data?.['options.yaml'] ?? '';
  return parseChartOptions(yaml).for({ name: namespace, governed: true }, bundle, drawn);
}

function injected(value: unknown, options: InjectOptions): Json {
  const result = inject(value, options);
  if (result.kind !== 'inject') throw new Error(JSON.stringify(result.reasons));
  return result.pod as unknown as Json;
}

const unlabelled = (spec: Json = {}): Json => pod(spec, { name: 'plain', labels: {} });
const path = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
const dry = (value: unknown, namespace = 'ml', client: KubeClient = server.client): Promise<KubeAnswer> =>
  client.request('POST', `${path(namespace)}?dryRun=All`, value);

/** Without the mounts of the cluster's own token, which the API server adds to all containers and injection takes from ours. */
const good = (
  namespace = 'ml',
  spec: Json = { containers: [model(), second], automountServiceAccountToken: false },
): Json => injected(pod(spec), optionsFor(namespace));

beforeAll(async () => {
  server = await startApiServer({ controllers: ['clusterrole-aggregation-controller'] });
  await Promise.all([
    server.namespace('ml', { 'sidegate.dev/governed': 'true' }),
    server.namespace('named'),
    server.namespace(release),
    server.client.must('POST', '/api/v1/namespaces/kube-system/serviceaccounts', { metadata: { name: 'default' } }),
    installDefinitions(server),
  ]);
  chart = await renderChart(values);
  await apply(server, [
    trust(ca),
    oneOf(chart, 'ConfigMap', 'sidegate-parameters'),
    ...ofKind(chart, 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'),
  ]);
  await eventually('policies are in force', async () => {
    const answers = await Promise.all([dry(pod()), dry(unlabelled({ containers: [model({ name: 'sidegate' })] }))]);
    return answers.every(({ status }) => status >= 400);
  });
  await new Promise((settled) => setTimeout(settled, 3_000));
}, 200_000);
afterAll(() => server.stop());

test('no policy has a warning of the type checker', async () => {
  for (const { metadata } of ofKind(chart, 'ValidatingAdmissionPolicy')) {
    const { status } = (await server.client.must(
      'GET',
      `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/${metadata.name}`,
    )) as { status?: { typeChecking?: { expressionWarnings?: unknown } } };
    expect([metadata.name, status?.typeChecking?.expressionWarnings]).toEqual([metadata.name, undefined]);
  }
});

describe('a pod that was injected', () => {
  test.each(['ml', 'named'])('passes in namespace %s, and reads back as it was written', async (namespace) => {
    const answer = await dry(good(namespace), namespace);
    expect([answer.status, answer.message]).toEqual([201, '']);
    const options = optionsFor(namespace);
    expect(inject(answer.body, options)).toMatchObject({ kind: 'inject', patch: [] });
    const params = {
      options,
      images: [options.image],
      authorities: [ca],
      injected: [injectedAnnotation(options)],
    };
    expect(checkFinalState(answer.body, params)).toEqual([]);
  });

  test('passes with other places at the model than the default', async () => {
    const pod = injected({ ...(good('ml') as object) }, { ...optionsFor('ml'), modelRequests: 256 });
    expect(JSON.stringify(pod)).toContain('"--model-requests","256"');
    const answer = await dry(pod, 'ml');
    expect([answer.status, answer.message]).toEqual([201, '']);
  });

  const golden = ['vllm', 'triton', 'annotated', 'istio', 'istio-native', 'linkerd', 'knative', 'kserve-knative'];
  test.each([
    ...[...golden, 'kserve-raw', 'helper'].map((name) => [name, 'ml'] as const),
    ...['named-port', 'named-port-istio'].map((name) => [name, 'named'] as const),
  ])('of the file %s passes, unchanged by defaulting, in namespace %s', async (name, namespace) => {
    const file = join(resolve(import.meta.dirname, '../../pkg/inject/testdata'), `${name}.yaml`);
    const options = optionsFor(namespace);
    const value = changed(parse(readFileSync(file, 'utf8')), (copy: { metadata: Json; spec: Json }) => {
      copy.spec['automountServiceAccountToken'] = false;
      copy.metadata['name'] = 'golden';
      delete copy.metadata['generateName'];
      delete copy.metadata['namespace'];
    });
    const answer = await dry(injected(value, options), namespace);
    expect([answer.status, answer.message]).toEqual([201, '']);
    expect(inject(answer.body, options)).toMatchObject({ kind: 'inject', patch: [] });
  });

  test('with NamedPort may say of a mesh’s ports alone that they stay open', async () => {
    const file = join(resolve(import.meta.dirname, '../../pkg/inject/testdata/named-port-istio.yaml'));
    const pod = injected({ ...parse(readFileSync(file, 'utf8')) }, optionsFor('named'));
    for (const open of ['15021,22', '22', '']) {
      const answer = await dry(
        changed(pod, (copy: { metadata: { annotations: Json } }) => {
          copy.metadata.annotations['sidegate.dev/open-ports'] = open;
        }),
        'named',
      );
      expect(answer.message).toContain('[port_map]');
    }
  });

  /** Said by the webhook alone. */
  const webhookOnly = ['another injected annotation'];
  const elsewhere: Readonly<Record<string, string>> = {
    'the label removed': 'reserved_name',
    'other ports of the sidecar': 'init_arguments',
  };
  const rows = tamperings.filter(([what, rules]) => !webhookOnly.includes(what) && !rules.includes('readable'));
  test.each(rows)('is refused with %s: %j', async (what, rules, tamper) => {
    const answer = await dry(changed(good(), tamper as (copy: never) => void));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    // By the server's own rules or by ours; ours name the rule, or the reason where it is about neighbours.
    const said = /denied request: \[(\w+)\]/.exec(answer.message)?.[1];
    if (said === undefined) expect(answer.message).toMatch(/is invalid|duplicate|not found/i);
    else if (elsewhere[what] !== undefined) expect(said).toBe(elsewhere[what]);
    else if (!rules.includes('neighbours')) expect(rules).toContain(said);
    else {
      expect(['host_network', 'host_pid', 'shared_pid', 'privileged', 'reserved_uid', 'reserved_volume']).toContain(
        said,
      );
    }
  });

  test('is refused with an authority that nobody published, and passes with one of two', async () => {
    const ofOlder = injected(pod(), optionsFor('ml', older));
    expect((await dry(ofOlder)).message).toContain('[environment] the sidecar would trust an authority');
    await apply(server, [trust(`${older}${ca}`)]);
    try {
      await eventually('both authorities count', async () => (await dry(ofOlder)).status === 201);
      expect((await dry(good())).status).toBe(201);
    } finally {
      await apply(server, [trust(ca)]);
      await eventually('one counts again', async () => (await dry(ofOlder)).status >= 400);
    }
  });

  test('is refused with a variable from a file of our volume, and passes with one from another', async () => {
    const from = (volumeName: string): unknown =>
      changed(good(), (copy: { spec: { containers: Json[]; volumes: Json[] } }) => {
        const fileKeyRef = { volumeName, path: 'a', key: 'K' };
        for (const one of copy.spec.containers) one['env'] = [{ name: 'X', valueFrom: { fileKeyRef } }];
        copy.spec.volumes.push({ name: 'mine', emptyDir: {} });
      });
    expect((await dry(from('sidegate-state'))).message).toContain('[reserved_volume]');
    expect((await dry(from('mine'))).status).toBe(201);
  });

  test.each<[string, Json, string]>([
    ['hostPort', { containers: [model({ ports: [{ containerPort: 8000, hostPort: 8000 }] })] }, 'host_port'],
    ['UDP', { containers: [model({ ports: [{ containerPort: 8000, protocol: 'UDP' }] })] }, 'udp_port'],
    [
      'NET_ADMIN',
      { containers: [model({ securityContext: { capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } } })] },
      'capability',
    ],
    [
      'CAP_SYS_ADMIN',
      { containers: [model({ securityContext: { capabilities: { add: ['CAP_SYS_ADMIN'], drop: ['ALL'] } } })] },
      'capability',
    ],
    [
      'CAP_SYS_MODULE',
      { containers: [model({ securityContext: { capabilities: { add: ['CAP_SYS_MODULE'], drop: ['ALL'] } } })] },
      'capability',
    ],
    ['a folder of the node', { volumes: [{ name: 'mine', hostPath: { path: '/var/lib/kubelet/pods' } }] }, 'host_path'],
    ['a port of ours', { containers: [model({ ports: [{ containerPort: 17450 }] })] }, 'reserved_port'],
    ['windows', { os: { name: 'windows' } }, 'windows'],
    [
      "the sidecar's token for another volume",
      {
        volumes: [
          {
            name: 'mine',
            projected: { sources: [{ serviceAccountToken: { audience: 'sidegate.dev/controller', path: 'token' } }] },
          },
        ],
      },
      'reserved_audience',
    ],
  ])('by hand is refused with %s', async (_, spec, code) => {
    const base = good('ml', {}) as { metadata: Json; spec: Json & { volumes: Json[]; containers: Json[] } };
    const merged = {
      ...base,
      spec: {
        ...base.spec,
        ...spec,
        volumes: [...base.spec.volumes, ...((spec['volumes'] ?? []) as Json[])],
        ...(spec['containers'] === undefined ? {} : { containers: spec['containers'] }),
      },
    };
    const messages = (await dry(merged)).message;
    // The server names one refusal: that of our own containers may come first.
    expect(messages).toMatch(new RegExp(`\\[(${code}|port_map|raw_sockets)\\]|Windows|windows`));
  });
});

describe('a port past the sidecar', () => {
  interface Copy {
    spec: { initContainers: (Json & { args: string[] })[]; containers: (Json & { ports: Json[] })[] };
  }
  const queue = (...ports: number[]): Json => ({
    name: 'queue-proxy',
    image: 'knative/queue:1',
    ports: ports.map((containerPort) => ({ containerPort })),
  });
  const helper = { name: 'lora-loader', image: 'ml/lora-loader:1', securityContext: { runAsUser: 2000 } };
  const allow = (ports: string) => (copy: Copy) => void copy.spec.initContainers[0]?.args.push('--allow-tcp', ports);
  const declare =
    (port: number, ...at: number[]) =>
    (copy: Copy) =>
      at.forEach((one) => copy.spec.containers[one]?.ports.push({ containerPort: port }));
  const proxy = { name: 'istio-proxy', image: 'istio/proxyv2:1', ports: [] };

  test.each<[string, Json, (copy: Copy) => void, string]>([
    [
      'a wrapper’s that is not its own',
      { containers: [model({ ports: [] }), queue(8012)] },
      allow('8000'),
      'init_arguments',
    ],
    ['a wrapper’s without a wrapper', {}, allow('8022'), 'init_arguments'],
    ['that both declare', { containers: [model(), queue(8012)] }, declare(9090, 0, 1), 'wrapper_port'],
    ['beside a helper', { containers: [model(), helper] }, declare(9000, 0), 'port_map'],
    ['beside a wrapper that serves nothing', { containers: [model(), queue()] }, declare(9000, 0), 'port_map'],
    [
      'a mesh’s whose validator alone was there',
      { initContainers: [{ name: 'istio-validation', image: 'istio/proxyv2:1', command: ['true'] }] },
      (copy) => void copy.spec.initContainers[1]?.args.push('--allow-tcp', '15008'),
      'init_arguments',
    ],
    ['a mesh’s whose proxy runs something else', { containers: [model(), proxy] }, allow('15008'), 'init_arguments'],
  ])('is refused: %s', async (_, spec, tamper, code) => {
    const whole = injected(pod(spec), optionsFor('ml'));
    expect((await dry(whole)).status).toBe(201);
    expect((await dry(changed(whole, tamper as (copy: never) => void))).message).toContain(`[${code}]`);
  });
});

describe("a mesh's network init", () => {
  const mine = [
    { name: 'mine', emptyDir: {} },
    { name: 'linkerd-proxy-init-xtables-lock', emptyDir: {} },
  ];
  /** The pod as it would be if injection let everything pass. */
  const withInit = (container: Json): Json =>
    changed(good(), (copy: { spec: { initContainers: Json[]; volumes: Json[] } }) => {
      copy.spec.initContainers.unshift(container);
      copy.spec.volumes.push(...mine);
    });

  test.each([istioInit(), linkerdInit()])('passes as its injector writes it: $name', async (container) => {
    const answer = await dry(withInit(container));
    expect([answer.status, answer.message]).toEqual([201, '']);
  });

  test.each(foreignInits)('is refused with %s', async (_, container) => {
    expect((await dry(withInit(container))).message).toMatch(/\[(capability|raw_sockets|change_user|order)\]/);
  });
});

test('the controller writes what it keeps, and not what says what it may do', async () => {
  const controller = await server.as({
    user: `system:serviceaccount:${release}:sidegate-controller`,
    groups: ['system:masters'],
  });
  const maps = `/api/v1/namespaces/${release}/configmaps`;
  const change = { data: { changeUser: 'Always' } };
  const refused = [
    await controller.request('PATCH', `${maps}/sidegate-parameters`, change, 'application/merge-patch+json'),
    await controller.request('DELETE', `${maps}/sidegate-parameters`),
    await controller.request('POST', maps, { metadata: { name: 'sidegate-options' } }),
  ];
  for (const { message } of refused) expect(message).toContain('[parameters]');
  expect((await controller.request('POST', maps, { metadata: { name: 'sidegate-acks-x' } })).status).toBe(201);
  // The chart's own writer is not the controller.
  const chartOwn = await server.client.request(
    'PATCH',
    `${maps}/sidegate-parameters`,
    {},
    'application/merge-patch+json',
  );
  expect(chartOwn.status).toBe(200);
});

test('a folder of the node passes where the chart names it', async () => {
  const at = `/api/v1/namespaces/${release}/configmaps/sidegate-parameters`;
  const set = (hostPaths: string): Promise<unknown> =>
    server.client.must('PATCH', at, { data: { hostPaths } }, 'application/merge-patch+json');
  const of = (folder: string): Json =>
    changed(good(), (copy: { spec: { volumes: Json[] } }) => {
      copy.spec.volumes.push({ name: 'cache', hostPath: { path: folder } });
    });
  await set('/models\n/data');
  try {
    await eventually('it passes', async () => (await dry(of('/models'))).status === 201);
    expect((await dry(of('/data'))).status).toBe(201);
    for (const folder of ['/', '/models/below', '/models/', '/mod'])
      expect((await dry(of(folder))).message).toContain('[host_path]');
  } finally {
    await set('');
    await eventually('it does not', async () => (await dry(of('/models'))).status >= 400);
  }
});

describe('where the chart requires it', () => {
  test('a pod passes only in a namespace with the label', async () => {
    const at = `/api/v1/namespaces/${release}/configmaps/sidegate-parameters`;
    const set = (governNamespaces: string): Promise<unknown> =>
      server.client.must('PATCH', at, { data: { governNamespaces } }, 'application/merge-patch+json');
    await set('Required');
    try {
      await eventually('it is required', async () =>
        (await dry(good('named'), 'named')).message.includes('[namespace_not_governed]'),
      );
      expect((await dry(good())).status).toBe(201);
    } finally {
      await set('Auto');
      await eventually('it is not', async () => (await dry(good('named'), 'named')).status === 201);
    }
  });
});

describe('a container beside the sidecar', () => {
  const stepsDown = { securityContext: { capabilities: { add: ['SETUID', 'SETGID'] } } };
  const escalates = { securityContext: { allowPrivilegeEscalation: true } };
  const at = `/api/v1/namespaces/${release}/configmaps/sidegate-parameters`;
  const set = (changeUser: string): Promise<unknown> =>
    server.client.must('PATCH', at, { data: { changeUser } }, 'application/merge-patch+json');
  const of = (changeUser: InjectOptions['changeUser'], container: Json = {}): Json =>
    injected(pod({ containers: [model(container)], automountServiceAccountToken: false }), {
      ...optionsFor('ml'),
      changeUser,
    });
  const said = async (value: Json): Promise<string> => /\[\w+\]/.exec((await dry(value)).message)?.[0] ?? 'passes';

  test('may become another user where it says so, and the chart lets it', async () => {
    expect(await said(of('IfDeclared', stepsDown))).toBe('passes');
    expect(await said(of('IfDeclared', escalates))).toBe('passes');
    expect(await said(of('Always'))).toBe('[change_user]');
    try {
      await set('Never');
      await eventually('it is never', async () => (await said(of('IfDeclared', stepsDown))) === '[change_user]');
      expect(await said(of('IfDeclared', escalates))).toBe('[change_user]');
      expect(await said(of('Never'))).toBe('passes');
      await set('Always');
      await eventually('it is always', async () => (await said(of('Always'))) === 'passes');
      expect(await said(of('Always', escalates))).toBe('passes');
    } finally {
      await set('IfDeclared');
      await eventually('it is as it was', async () => (await said(of('Always'))) === '[change_user]');
    }
  });
});

describe('a pod that was not injected', () => {
  test.each(['ml', 'named', 'kube-system', release])(
    'is refused in namespace %s when it carries the label',
    async (at) => {
      expect((await dry(pod(), at)).message).toContain('[sidecar_present]');
    },
  );

  test.each(['false', '', 'True', 'yes'])('is refused with the label %j', async (value) => {
    const answer = await dry(pod({}, { labels: { 'sidegate.dev/inference': value } }));
    expect(answer.message).toContain('[label]');
  });

  test('passes without the label, and not with names or tokens of ours', async () => {
    expect((await dry(unlabelled())).status).toBe(201);
    expect((await dry(unlabelled({ containers: [model({ name: 'sidegate' })] }))).message).toContain('[reserved_name]');
    expect((await dry(unlabelled({ initContainers: [model({ name: 'sidegate-init' })] }))).message).toContain(
      '[reserved_name]',
    );
    const volumes = [
      {
        name: 'a',
        projected: { sources: [{ serviceAccountToken: { audience: 'sidegate.dev/controller', path: 't' } }] },
      },
    ];
    expect((await dry(unlabelled({ volumes }))).message).toContain('[reserved_audience]');
  });

  test('passes as the picture of a static pod when a kubelet draws it, and nobody else', async () => {
    const { kubelet, ownerReferences } = await kubeletOf(server, 'n1');
    const picture = (annotations: Json): Json =>
      pod(
        { nodeName: 'n1' },
        { name: 'static-n1', labels: { 'sidegate.dev/inference': 'true' }, annotations, ownerReferences },
      );
    const mirror = picture({ 'kubernetes.io/config.mirror': 'x' });
    expect((await dry(mirror)).message).toContain('[sidecar_present]');
    const drawn = await dry(mirror, 'ml', kubelet);
    expect([drawn.status, drawn.message]).toEqual([201, '']);
    // A kubelet makes nothing but pictures: by whoever may do both, a pod without the annotation is judged as any other.
    const nodes = await server.as({ user: 'root', groups: ['system:nodes', 'system:masters'] });
    expect((await dry(picture({}), 'ml', nodes)).message).toContain('[sidecar_present]');
  });
});

describe('a pod that runs', () => {
  let made = 0;
  let editor: KubeClient;
  let controller: KubeClient;
  let emergency: KubeClient;
  beforeAll(async () => {
    editor = await server.as({ user: 'ed', groups: ['system:masters'] });
    controller = await server.as({
      user: `system:serviceaccount:${release}:sidegate-controller`,
      groups: ['system:masters'],
    });
    emergency = await server.as({ user: 'sam', groups: ['system:masters', 'sre'] });
  });

  const create = async (): Promise<string> => {
    const name = `run-${++made}`;
    const value = changed(good(), (copy: { metadata: Json }) => (copy.metadata['name'] = name));
    await server.client.must('POST', path('ml'), value);
    return `${path('ml')}/${name}`;
  };
  const json = 'application/merge-patch+json';
  const strategic = 'application/strategic-merge-patch+json';
  const metadata = (kind: string, key: string, value: unknown): Json => ({ metadata: { [kind]: { [key]: value } } });
  const image = (name: string, list = 'initContainers'): Json => ({ spec: { [list]: [{ name, image: 'evil/x:1' }] } });

  test.each([
    ['an annotation', { annotations: { 'sidegate.dev/port-map': '{}' } }],
    ['a label', { labels: { 'sidegate.dev/inference': 'false' } }],
  ])('is bound to a node, but not by a binding that brings %s of Sidegate’s', async (_what, more) => {
    const at = await create();
    const name = at.slice(at.lastIndexOf('/') + 1);
    const bind = (path: string, metadata: Json): Promise<KubeAnswer> =>
      editor.request('POST', path, {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, ...metadata },
        target: { apiVersion: 'v1', kind: 'Node', name: 'node-1' },
      });
    for (const path of [`${at}/binding`, '/api/v1/namespaces/ml/bindings']) {
      const answer = await bind(path, more);
      expect([answer.status, answer.message]).toEqual([422, expect.stringContaining('[binding]')]);
    }
    expect((await bind(`${at}/binding`, { annotations: { 'scheduler.example/score': '1' } })).status).toBe(201);
    const { spec } = (await editor.must('GET', at)) as { spec: Json };
    expect(spec['nodeName']).toBe('node-1');
  });

  test.each<[string, string, Json, string]>([
    ['the label removed', '', metadata('labels', 'sidegate.dev/inference', null), 'label'],
    ['the label changed', '', metadata('labels', 'sidegate.dev/inference', 'false'), 'label'],
    ['the label removed through its status', '/status', metadata('labels', 'sidegate.dev/inference', null), 'label'],
    ['an annotation changed', '', metadata('annotations', 'sidegate.dev/port-map', '{}'), 'annotations'],
    ['an annotation removed', '', metadata('annotations', 'sidegate.dev/injected', null), 'annotations'],
    ['an annotation added', '', metadata('annotations', 'sidegate.dev/model-ports', '1'), 'annotations'],
    [
      'an annotation changed through its status',
      '/status',
      metadata('annotations', 'sidegate.dev/port-map', '{}'),
      'annotations',
    ],
    ['the image of the sidecar changed', '', image('sidegate'), 'image'],
    ['the image of init changed', '', image('sidegate-init'), 'image'],
    [
      'the resources of the sidecar changed',
      '/resize',
      { spec: { initContainers: [{ name: 'sidegate', resources: { requests: { cpu: '1m' } } }] } },
      'resources',
    ],
    [
      'a debug container',
      '/ephemeralcontainers',
      { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox' }] } },
      'ephemeral_container',
    ],
  ])('is refused with %s', async (_, sub, patch, rule) => {
    const at = await create();
    const answer = await editor.request(
      'PATCH',
      `${at}${sub}`,
      patch,
      sub === '' && 'metadata' in patch ? json : strategic,
    );
    expect([answer.status, answer.message]).toEqual([expect.any(Number), expect.stringContaining(`[${rule}]`)]);
    expect(answer.status).toBeGreaterThanOrEqual(400);
  });

  test('keeps the image of what may change its network', async () => {
    const capabilities = { add: ['NET_ADMIN'] };
    const setUp = {
      name: 'istio-init',
      image: 'istio/proxyv2:1',
      args: ['istio-iptables'],
      securityContext: { capabilities },
    };
    const value = changed(
      good('ml', { initContainers: [setUp], containers: [model()] }),
      (copy: { metadata: Json }) => {
        copy.metadata['name'] = 'meshed';
      },
    );
    await server.client.must('POST', path('ml'), value);
    const answer = await editor.request('PATCH', `${path('ml')}/meshed`, image('istio-init'), strategic);
    expect(answer.message).toContain('[mesh_image]');
    expect(
      (await editor.request('PATCH', `${path('ml')}/meshed`, image('model', 'containers'), strategic)).status,
    ).toBe(200);
  });

  test.each([
    ['a proxy', 'istio-proxy', 'istio/proxyv2:1', 'istio/proxyv2@sha256:ab'],
    ['a wrapper', 'queue-proxy', 'knative/queue:1', 'knative/queue/mirror:2'],
    ['a helper', 'lora-loader', 'ml/lora-loader:1', 'ml/lora-loader:2'],
  ])('keeps %s of another system what it was trusted for', async (_, name, before, after) => {
    const known = {
      ...{ name, image: before, ports: name === 'queue-proxy' ? [{ containerPort: 8012 }] : [] },
      ...(name === 'istio-proxy' && { args: ['proxy'] }),
    };
    const runs = `known-${name}`;
    const value = changed(good('ml', { containers: [model(), known] }), (copy: { metadata: Json }) => {
      copy.metadata['name'] = runs;
    });
    await server.client.must('POST', path('ml'), value);
    const to = (next: string, who: string = name): Promise<KubeAnswer> => {
      const patch = { spec: { containers: [{ name: who, image: next }] } };
      return editor.request('PATCH', `${path('ml')}/${runs}`, patch, strategic);
    };
    for (const evil of ['evil/x:1', `${before.split(':')[0]}-mine:1`, `evil/${before}`])
      expect((await to(evil)).message).toContain('[mesh_image]');
    expect((await to(after)).status).toBe(200);
    expect((await to('other/model:1', 'model')).status).toBe(200);
  });

  test('may have everything else changed', async () => {
    const at = await create();
    for (const patch of [
      metadata('labels', 'app', 'b'),
      metadata('annotations', 'note', 'b'),
      metadata('labels', 'sidegate.dev/inference', 'true'),
    ]) {
      expect((await editor.request('PATCH', at, patch, json)).status).toBe(200);
    }
    expect((await editor.request('PATCH', at, image('model', 'containers'), strategic)).status).toBe(200);
    expect((await editor.request('DELETE', at)).status).toBe(200);
  });

  test('is not made an inference pod by a label', async () => {
    await server.client.must('POST', path('ml'), pod({}, { name: 'later', labels: {} }));
    const answer = await editor.request(
      'PATCH',
      `${path('ml')}/later`,
      metadata('labels', 'sidegate.dev/inference', 'true'),
      json,
    );
    expect(answer.message).toContain('[label]');
  });

  test('gets another image of ours from the controller, if the chart allows it', async () => {
    const at = await create();
    const to = (name: string): Json => ({ spec: { initContainers: [{ name: 'sidegate', image: name }] } });
    const refused = await controller.request('PATCH', at, to('evil/x:1'), strategic);
    expect(refused.message).toContain('[allowed_image]');
    expect((await controller.request('PATCH', at, to('sidegate/sidegate:0.0.9'), strategic)).status).toBe(200);
    expect((await controller.request('PATCH', at, metadata('labels', 'app', 'c'), json)).status).toBe(200);
  });

  test('gets a debug container from the break-glass group', async () => {
    const at = await create();
    const patch = { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox' }] } };
    const answer = await emergency.request('PATCH', `${at}/ephemeralcontainers`, patch, strategic);
    expect([answer.status, answer.message]).toEqual([200, '']);
  });
});

describe('exec, attach, port-forward and the proxy verb, without any webhook', () => {
  const ask = async (suffix: string, client = server.client, namespace = 'ml'): Promise<string> => {
    const [method, rest] = suffix.includes('/proxy') ? ['GET', suffix] : ['POST', suffix];
    return (await client.request(method, `${path(namespace)}/${rest}`)).message;
  };
  const verbs: readonly (readonly [string, string])[] = [
    ['NAME/exec?command=ls&stdout=true', 'exec'],
    ['NAME/attach?stdout=true', 'attach'],
    ['NAME/portforward', 'portforward'],
    ['NAME/proxy', 'proxy'],
    ['NAME:8000/proxy/v1/models', 'proxy'],
    ['https:NAME:8000/proxy/v1/models', 'proxy'],
    ['http:NAME:/proxy/', 'proxy'],
  ];
  let emergency: KubeClient;
  beforeAll(async () => {
    emergency = await server.as({ user: 'sam', groups: ['system:masters', 'sre'] });
    for (const name of ['connected', 'connected-too']) {
      const value = changed(good(), (copy: { metadata: Json }) => (copy.metadata['name'] = name));
      await server.client.must('POST', path('ml'), value);
    }
    for (const namespace of ['ml', 'named'])
      await server.client.must(
        'POST',
        path(namespace),
        pod({ automountServiceAccountToken: false }, { name: 'connect', labels: { app: 'plain' } }),
      );
    await eventually('the policy knows the pods', async () => (await ask('connected-too/portforward')).includes('['));
  });

  test.each(verbs)('%s is refused for each governed pod, and for no other', async (suffix, verb) => {
    const to = (name: string, client?: KubeClient, namespace?: string): Promise<string> =>
      ask(suffix.replace('NAME', name), client, namespace);
    for (const name of ['connected', 'connected-too']) {
      expect(await to(name)).toContain(`[${verb}] pod ${name} is governed (sidegate.dev/inference)`);
      expect(await to(name)).toMatch(/; fix: .*, or, in an emergency, as a member of group sre$/);
      expect(await to(name, emergency)).not.toContain('denied');
    }
    // Beside them; and where there is none, also in a namespace without any.
    for (const namespace of ['ml', 'named']) expect(await to('connect', undefined, namespace)).not.toContain('denied');
    expect(await to('nobody')).not.toContain('denied');
  });
});

describe('a token by which sidecars make themselves known', () => {
  const ask = (client: KubeClient, audiences: readonly string[]): Promise<KubeAnswer> =>
    client.request('POST', '/api/v1/namespaces/ml/serviceaccounts/default/token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences },
    });

  test('is refused to everybody but kubelets', async () => {
    const admin = await server.as({ user: 'root', groups: ['system:masters'] });
    expect((await ask(admin, ['sidegate.dev/controller'])).message).toContain('[reserved_audience]');
    expect((await ask(admin, ['other', 'sidegate.dev/controller'])).message).toContain('[reserved_audience]');
    expect((await ask(admin, ['other'])).status).toBe(201);
    const kubelet = await server.as({ user: 'system:node:n1', groups: ['system:nodes', 'system:masters'] });
    expect((await ask(kubelet, ['sidegate.dev/controller'])).message).not.toContain('[reserved_audience]');
  });
});

describe('a policy that names Secrets', () => {
  const allow = [{ name: 'a', effect: 'Allow', subjects: [{ anyone: true }] }];
  const policies = '/apis/sidegate.dev/v1alpha1/namespaces/ml/inferencepolicies';
  const clusters = '/apis/sidegate.dev/v1alpha1/clusterinferencepolicies';
  const policy = (spec: Json, kind = 'InferencePolicy', name = 'p'): Json => ({
    apiVersion: 'sidegate.dev/v1alpha1',
    kind,
    metadata: { name },
    spec: { access: allow, ...spec },
  });
  const credential = (name: string): Json => ({
    upstream: { ports: [{ containerPort: 8000 }], credential: { secretRef: { name, key: 'k' } } },
  });
  const hosted = (name: string): Json => ({
    upstream: { hosted: { url: 'https://api.example.com' }, credential: { secretRef: { name, key: 'k' } } },
  });
  const authority = (name: string): Json => ({
    upstream: { ports: [{ containerPort: 8000, protocol: 'TLS', caSecretRef: { name, key: 'k' } }] },
  });
  const issuer =
    (kind: string) =>
    (name: string): Json => ({
      identity: {
        providers: [
          {
            name: 'x',
            [kind]: { issuer: 'https://idp.example.com', audiences: ['a'], caSecretRef: { name, key: 'k' } },
          },
        ],
      },
    });
  const certificate = (secretName: string): Json => ({ tls: { certificate: { secretName } } });
  const callers = (name: string): Json => ({
    identity: { providers: [{ name: 'x', clientCertificate: { caSecretRef: { name, key: 'k' } } }] },
  });
  const named = [
    ['a credential', 'spec.upstream.credential.secretRef', credential],
    ['an authority', 'spec.upstream.ports[].caSecretRef', authority],
    ['a certificate', 'spec.tls.certificate.secretName', certificate],
    ['an authority of an OIDC issuer', 'spec.identity.providers[].oidc.caSecretRef', issuer('oidc')],
    [
      'an authority of an issuer of service accounts',
      'spec.identity.providers[].serviceAccount.caSecretRef',
      issuer('serviceAccount'),
    ],
    ['an authority of client certificates', 'spec.identity.providers[].clientCertificate.caSecretRef', callers],
  ] as const;
  let author: KubeClient;

  beforeAll(async () => {
    author = await server.as({ user: 'ana', groups: ['authors'] });
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const subjects = [{ kind: 'User', name: 'ana', apiGroup: 'rbac.authorization.k8s.io' }];
    const write = {
      apiGroups: ['sidegate.dev'],
      resources: ['inferencepolicies', 'clusterinferencepolicies'],
      verbs: ['create', 'update', 'patch', 'get'],
    };
    await server.client.must('POST', `${rbac}/clusterroles`, { metadata: { name: 'authors' }, rules: [write] });
    await server.client.must('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: 'authors' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'authors' },
      subjects,
    });
    for (const namespace of ['ml', release]) {
      const at = `${rbac}/namespaces/${namespace}`;
      await server.client.must('POST', `${at}/roles`, {
        metadata: { name: 'one-secret' },
        rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['mine'], verbs: ['get'] }],
      });
      await server.client.must('POST', `${at}/rolebindings`, {
        metadata: { name: 'one-secret' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'one-secret' },
        subjects,
      });
    }
  });

  test('is known wherever a policy can name one', () => {
    const found: string[] = [];
    const walk = (node: SchemaNode, path: string): void => {
      if (/secret(?:Ref|Name)$/i.test(path)) return void found.push(path);
      for (const [name, child] of Object.entries(node.properties ?? {})) walk(child, `${path}.${name}`);
      if (node.items !== undefined) walk(node.items, `${path}[]`);
    };
    walk(inferencePolicySchema, 'spec');
    expect(found.toSorted()).toEqual(named.map(([, path]) => path).toSorted());
  });

  test.each(named)('is taken from who may read them: %s', async (_what, _path, spec) => {
    const ask = (name: string) => author.request('POST', `${policies}?dryRun=All`, policy(spec(name)));
    await eventually('ana may write policies', async () => (await ask('mine')).status === 201);
    const refused = await ask('theirs');
    expect(refused.message).toContain(
      '[secret] ana may not read every Secret that the policy names in namespace ml (theirs)',
    );
  });

  test('is refused on every change, not only that of the name', async () => {
    await server.client.must('POST', policies, policy(credential('theirs'), 'InferencePolicy', 'kept'));
    const answer = await author.request(
      'PATCH',
      `${policies}/kept`,
      { spec: { upstream: { ports: [{ containerPort: 9000 }] } } },
      'application/merge-patch+json',
    );
    expect(answer.message).toContain('[secret]');
  });

  test.each<[string, string, string, (name: string) => Json]>([
    ['a namespace', policies, 'InferencePolicy', credential],
    ['the whole cluster', clusters, 'ClusterInferencePolicy', hosted],
  ])('is refused them while it is being deleted, and may still go: of %s', async (_, at, kind, spec) => {
    const edit = (change: Json): Promise<KubeAnswer> =>
      author.request('PATCH', `${at}/ending`, change, 'application/merge-patch+json');
    await author.must('POST', at, {
      ...policy(spec('mine'), kind),
      metadata: { name: 'ending', finalizers: ['example.com/held'] },
    });
    await server.client.must('DELETE', `${at}/ending`);
    expect((await edit({ spec: spec('theirs') })).message).toContain('[secret]');
    expect((await edit({ metadata: { finalizers: null } })).status).toBe(200);
    expect((await server.client.request('GET', `${at}/ending`)).status).toBe(404);
  });

  test('of the whole cluster names those of our namespace, and a credential only for a hosted model', async () => {
    const ask = (spec: Json) =>
      author.request('POST', `${clusters}?dryRun=All`, policy(spec, 'ClusterInferencePolicy'));
    expect([(await ask(hosted('mine'))).status, (await ask(hosted('mine'))).message]).toEqual([201, '']);
    expect((await ask(hosted('theirs'))).message).toContain('[secret]');
    expect((await ask(credential('mine'))).message).toContain('needs hosted beside it');
  });
});

describe('the label of a governed namespace', () => {
  const remove = (client: KubeClient): Promise<KubeAnswer> =>
    client.request(
      'PATCH',
      '/api/v1/namespaces/ml?dryRun=All',
      { metadata: { labels: { 'sidegate.dev/governed': null } } },
      'application/merge-patch+json',
    );

  test('is taken off by cluster administrators and the controller alone', async () => {
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const account = `system:serviceaccount:${release}:sidegate-controller`;
    await server.client.must('POST', `${rbac}/clusterroles`, {
      metadata: { name: 'namespaces' },
      rules: [{ apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'update', 'patch'] }],
    });
    await server.client.must('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: 'namespaces' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'namespaces' },
      subjects: ['nora', account].map((name) => ({ kind: 'User', name, apiGroup: 'rbac.authorization.k8s.io' })),
    });
    const nora = await server.as({ user: 'nora' });
    await eventually('nora may change namespaces', async () => !(await remove(nora)).message.includes('cannot patch'));
    expect((await remove(nora)).message).toContain('[governed_label]');
    expect((await remove(await server.as({ user: account }))).status).toBe(200);
    expect((await remove(server.client)).status).toBe(200);
  });
});
