import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createServer, request as ask } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inject, parseChartOptions } from '../../pkg/inject/index.ts';
import { drawnOf } from '../../pkg/inject/testing/options.ts';
import { model, pod } from '../../pkg/inject/testing/pods.ts';
import type { Json } from '../../pkg/inject/testing/pods.ts';
import { afterStep, createAuthorityPair, readAuthority, writeAuthority } from '../../pkg/pki/index.ts';
import type { AuthorityStep } from '../../pkg/pki/index.ts';
import { systemClock } from '../../pkg/base/index.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { KubeAnswer, KubeClient } from '../cluster/kube-client.ts';
import { apply, eventually, kubeletOf, oneOf, release, renderChart } from './admission-chart.ts';
import type { Manifest } from './admission-chart.ts';
import { prepareWebhook } from './admission-process.ts';
import type { WebhookProcess } from './admission-process.ts';
import { installDefinitions } from './custom-resources.ts';

// The webhook's own process behind a real API server, with the chart's configurations, policies and roles.

let server: ApiServer;
let chart: readonly Manifest[];
let webhook: WebhookProcess;
let authority: string;

interface Container {
  readonly name: string;
  readonly image: string;
}
interface PodObject {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly initContainers?: readonly Container[]; readonly containers: readonly Container[] };
}

interface Measured {
  readonly spec: { readonly initContainers: readonly { readonly name: string; readonly resources: Json }[] };
}

const path = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
const create = (value: unknown, namespace = 'ml', client: KubeClient = server.client): Promise<KubeAnswer> =>
  client.request('POST', path(namespace), value);
const dry = (value: unknown, namespace = 'ml'): Promise<KubeAnswer> =>
  server.client.request('POST', `${path(namespace)}?dryRun=All`, value);
const governed = ({ spec }: PodObject): boolean =>
  spec.initContainers?.[0]?.name === 'sidegate-init' && spec.initContainers[1]?.name === 'sidegate';
const podsOf = async (namespace: string): Promise<readonly PodObject[]> =>
  ((await server.client.must('GET', path(namespace))) as { items: PodObject[] }).items;

const trust = (bundle: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'sidegate-trust', namespace: release },
  data: { 'ca.crt': bundle },
});

beforeAll(async () => {
  server = await startApiServer({
    controllers: ['deployment-controller', 'replicaset-controller', 'job-controller', 'statefulset-controller'],
  });
  await Promise.all([
    server.namespace('ml', { 'sidegate.dev/governed': 'true' }),
    server.namespace('rollout', { 'sidegate.dev/governed': 'true' }),
    server.namespace('free'),
    server.namespace('canary'),
    server.namespace('measured'),
    server.namespace(release),
    installDefinitions(server),
  ]);
  chart = await renderChart([
    ...['breakGlassGroup=sre', 'webhook.timeoutSeconds=5', 'image.namespaces.canary=localhost/sidegate:0.2.0'],
  ]);
  authority = (await createAuthorityPair(systemClock)).cert;
  webhook = await prepareWebhook(server, chart, ['--break-glass-group', 'sre', '--log-level', 'debug']);
  await webhook.start();
}, 200_000);
afterAll(async () => {
  await webhook.kill();
  await server.stop();
});

test('is not ready, and labelled pods are refused, until there is an authority to trust', async () => {
  await eventually(
    'only the authority is missing',
    async () => (await webhook.ready()).reasons.join() === 'no_authority',
  );
  await eventually('the API server trusts the webhook', async () =>
    (await dry(pod())).message.includes('[no_authority]'),
  );
  await apply(server, [trust(authority)]);
  await eventually('it is ready', async () => (await webhook.ready()).ready);
  await eventually('pods are taken', async () => (await dry(pod())).status === 201);
});

/** Whether there is an Event of this reason about an object whose name begins so. */
async function toldOf(reason: string, kind: string, name: string, code: string): Promise<boolean> {
  const { items } = (await server.client.must('GET', '/apis/events.k8s.io/v1/namespaces/ml/events')) as {
    items: { reason: string; note: string; regarding: { kind: string; name: string } }[];
  };
  return items.some(
    (event) =>
      event.reason === reason &&
      event.regarding.kind === kind &&
      event.regarding.name.startsWith(name) &&
      event.note.includes(code),
  );
}

describe('injection', () => {
  test('of a pod, and of what it gave', async () => {
    const answer = await create(pod());
    expect([answer.status, answer.message]).toEqual([201, '']);
    const made = answer.body as PodObject;
    expect(governed(made)).toBe(true);
    expect(made.metadata.annotations?.['sidegate.dev/port-map']).toBe('{"8000":17400}');
    expect(answer.headers['warning']).toContain('set runAsNonRoot');
    // What reads back is what injection would write again; nothing is left to do.
    const yaml = oneOf(chart, 'ConfigMap', 'sidegate-options').data?.['options.yaml'] ?? '';
    const options = parseChartOptions(yaml).for({ name: 'ml', governed: true }, authority);
    expect(inject(made, { ...options, drawn: drawnOf(made) })).toMatchObject({ kind: 'inject', patch: [] });
    const again = await dry({ ...made, metadata: { ...made.metadata, name: 'again', resourceVersion: undefined } });
    expect([again.status, again.message]).toEqual([201, '']);
    // But for what is each pod's own.
    const same = inject(again.body, { ...options, drawn: drawnOf(made) });
    expect(same.kind === 'inject' && same.pod.spec).toEqual(made.spec);
    expect(drawnOf(again.body)).not.toEqual(drawnOf(made));
  });

  test('in a namespace that limits and counts CPU: the sidecar keeps what the LimitRange gives it', async () => {
    const at = '/api/v1/namespaces/measured';
    await server.client.must('POST', `${at}/limitranges`, {
      metadata: { name: 'cpu' },
      spec: { limits: [{ type: 'Container', max: { cpu: '4' }, default: { cpu: '1' } }] },
    });
    const hard = { 'limits.cpu': '16', 'limits.memory': '64Gi' };
    const quota = (await server.client.must('POST', `${at}/resourcequotas`, {
      metadata: { name: 'cpu' },
      spec: { hard },
    })) as Json;
    // As its controller, which does not run here, would count.
    const used = { 'limits.cpu': '0', 'limits.memory': '0' };
    await server.client.must('PUT', `${at}/resourcequotas/cpu/status`, { ...quota, status: { hard, used } });
    const measured = pod({ containers: [model({ resources: { limits: { memory: '1Gi' } } })] });
    // Both are read from caches of the API server.
    let made: unknown;
    await eventually('the pod is taken while they are in force', async () => {
      const { status, body } = await dry(measured, 'measured');
      made = body;
      return status === 201 && JSON.stringify(body).includes('LimitRanger');
    });
    expect((made as Measured).spec.initContainers.map(({ name, resources }) => [name, resources['limits']])).toEqual([
      ['sidegate-init', { cpu: '500m', memory: '256Mi' }],
      ['sidegate', { cpu: '1', memory: '768Mi' }],
    ]);
  });

  test.each<[string, string, Json]>([
    ['Deployment', '/apis/apps/v1/namespaces/ml/deployments', { replicas: 2 }],
    ['StatefulSet', '/apis/apps/v1/namespaces/ml/statefulsets', { replicas: 1, serviceName: 'x' }],
    ['ReplicaSet', '/apis/apps/v1/namespaces/ml/replicasets', { replicas: 1 }],
    ['Job', '/apis/batch/v1/namespaces/ml/jobs', {}],
  ])('of the pods of a %s', async (kind, at, more) => {
    const labels = { app: kind.toLowerCase(), 'sidegate.dev/inference': 'true' };
    await server.client.must('POST', at, {
      metadata: { name: kind.toLowerCase() },
      spec: {
        ...more,
        ...(kind === 'Job' ? {} : { selector: { matchLabels: { app: labels.app } } }),
        template: {
          metadata: { labels },
          spec: { containers: [model()], ...(kind === 'Job' ? { restartPolicy: 'Never' } : {}) },
        },
      },
    });
    const wanted = (more['replicas'] as number | undefined) ?? 1;
    const own = async () => (await podsOf('ml')).filter(({ metadata }) => metadata.name.startsWith(`${labels.app}-`));
    await eventually(`${kind} has its pods`, async () => (await own()).length === wanted);
    for (const one of await own()) expect(governed(one)).toBe(true);
  });

  test('is refused with what to do about it, and the owner is told by an Event', async () => {
    const answer = await create(pod({ hostPID: true }, { name: 'refused' }));
    expect(answer.status).toBe(403);
    expect(answer.message).toContain('admission webhook "inject.sidegate.dev" denied the request: [host_pid]');
    expect(answer.message).toContain('fix: remove hostPID');
    await eventually('there is an Event', () => toldOf('InjectionRefused', 'Pod', 'refused', '[host_pid]'));
    expect(await webhook.metrics()).toContain('sidegate_admission_reasons_total{code="host_pid"} 1');
  });

  test('is refused to a Deployment: its ReplicaSet is told by an Event, for nobody sees the answer', async () => {
    const labels = { app: 'unfit', 'sidegate.dev/inference': 'true' };
    await server.client.must('POST', '/apis/apps/v1/namespaces/ml/deployments', {
      metadata: { name: 'unfit' },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [model()], hostNetwork: true } },
      },
    });
    await eventually('there is an Event', () => toldOf('InjectionRefused', 'ReplicaSet', 'unfit-', '[host_network]'));
    await server.client.must('DELETE', '/apis/apps/v1/namespaces/ml/deployments/unfit');
  });

  test('is left out for the picture of a static pod, which is told by an Event, and refused to whoever is no kubelet', async () => {
    const annotations = { 'kubernetes.io/config.mirror': 'x' };
    const { kubelet, ownerReferences } = await kubeletOf(server, 'node1');
    const picture = (more: Json): Json => pod({ nodeName: 'node1' }, { name: 'picture', annotations, ...more });
    const answer = await create(picture({}));
    expect(answer.message).toContain('[sidecar_present]');
    const drawn = await kubelet.must('POST', `${path('ml')}?dryRun=All`, picture({ ownerReferences }));
    expect(governed(drawn as unknown as PodObject)).toBe(false);
    await eventually('there is an Event', () => toldOf('InjectionSkipped', 'Pod', 'picture', '[mirror_pod]'));
    expect(await webhook.metrics()).toContain('sidegate_admission_reasons_total{code="mirror_pod"} 1');
  });

  test('gives a namespace the image that the chart names for it, and all others that of the release', async () => {
    const image = async (namespace: string): Promise<readonly (string | undefined)[]> => {
      const { body } = await create(pod({}, { name: 'revision' }), namespace);
      return (body as PodObject).spec.initContainers?.map((one) => one.image) ?? [];
    };
    expect(await image('canary')).toEqual(['localhost/sidegate:0.2.0', 'localhost/sidegate:0.2.0']);
    expect(await image('ml')).toEqual(['localhost/sidegate:0.1.0', 'localhost/sidegate:0.1.0']);
  });

  test('is no concern of pods without the label', async () => {
    const answer = await create(pod({}, { name: 'plain', labels: {} }));
    expect([answer.status, (answer.body as PodObject).spec.initContainers]).toEqual([201, undefined]);
  });

  /** A webhook of somebody else, asked after ours: it takes the label's protection away each time that it is asked. */
  async function rogue(reinvocationPolicy: 'Never' | 'IfNeeded'): Promise<() => Promise<void>> {
    const other = await createClusterAuthority('rogue');
    const { cert, key } = await other.issue('rogue', [], ['localhost']);
    const patch = [{ op: 'replace', path: '/metadata/annotations/sidegate.dev~1injected', value: '{}' }];
    const listener = createServer({ cert, key }, (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const { request: asked } = JSON.parse(body) as { request: { uid: string } };
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            apiVersion: 'admission.k8s.io/v1',
            kind: 'AdmissionReview',
            response: {
              uid: asked.uid,
              allowed: true,
              patchType: 'JSONPatch',
              patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
            },
          }),
        );
      });
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    const at = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
    await server.client.must('POST', at, {
      metadata: { name: 'zz-rogue' },
      webhooks: [
        {
          name: 'rogue.example.com',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          reinvocationPolicy,
          clientConfig: { url: `https://localhost:${port}/`, caBundle: Buffer.from(other.cert).toString('base64') },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
          objectSelector: { matchLabels: { rogue: reinvocationPolicy } },
        },
      ],
    });
    return async () => {
      await server.client.must('DELETE', `${at}/zz-rogue`);
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    };
  }

  const marked = (rogues: string): Json =>
    pod({}, { name: `marked-${rogues.toLowerCase()}`, labels: { 'sidegate.dev/inference': 'true', rogue: rogues } });

  test('comes again after a webhook that changed the pod', async () => {
    const end = await rogue('Never');
    try {
      for (let at = 0; at < 15; at++) {
        const answer = await dry(marked('Never'));
        expect([answer.status, answer.message]).toEqual([201, '']);
        expect((answer.body as PodObject).metadata.annotations?.['sidegate.dev/injected']).toContain('templateHash');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    } finally {
      await end();
    }
  });

  test('is checked at the end: a pod that somebody changes each time is refused', async () => {
    const end = await rogue('IfNeeded');
    try {
      await eventually('it is refused', async () =>
        (await dry(marked('IfNeeded'))).message.includes(
          'admission webhook "pods.sidegate.dev" denied the request: the pod would not be governed: [injected]',
        ),
      );
    } finally {
      await end();
    }
  });
});

describe('the options of the chart', () => {
  const at = `/api/v1/namespaces/${release}/configmaps/sidegate-options`;
  const set = (options: string | null): Promise<unknown> =>
    server.client.must('PATCH', at, { data: { 'options.yaml': options } }, 'application/merge-patch+json');
  const memory = async (): Promise<string | undefined> => {
    const answer = await dry(pod({}, { name: 'sized', labels: { 'sidegate.dev/inference': 'true' } }));
    expect([answer.status, answer.message]).toEqual([201, '']);
    const volume = (answer.body as PodObject & { spec: { volumes: Json[] } }).spec.volumes.find(
      ({ name }) => name === 'sidegate-state',
    );
    return (volume?.['emptyDir'] as { sizeLimit?: string } | undefined)?.sizeLimit;
  };
  const refused = async (): Promise<number> =>
    Number(/reloads_total\{what="options",result="refused"\} (\d+)/.exec(await webhook.metrics())?.[1] ?? 0);

  test('are in force at once when they change; what cannot be used, or is gone, changes nothing', async () => {
    const original = oneOf(chart, 'ConfigMap', 'sidegate-options').data?.['options.yaml'] ?? '';
    expect(await memory()).toBe('16Mi');
    try {
      await set(original.replace('stateSize: "16Mi"', 'stateSize: "24Mi"'));
      // No pod is refused meanwhile: what was in force a moment ago counts.
      await eventually('they are in force', async () => (await memory()) === '24Mi');
      for (const [at_, bad] of [`${original}\nmisspelt: true\n`, 'version: [', null].entries()) {
        await set(bad);
        await eventually('it is refused', async () => (await refused()) === at_ + 1);
        expect(await memory()).toBe('24Mi');
      }
      await server.client.must('DELETE', at);
      await eventually('it is missed', async () => (await refused()) === 4);
      expect(await memory()).toBe('24Mi');
      expect((await webhook.ready()).ready).toBe(true);
    } finally {
      await apply(server, [oneOf(chart, 'ConfigMap', 'sidegate-options')]);
      await eventually('they are as they were', async () => (await memory()) === '16Mi');
    }
  });
});

describe('a policy', () => {
  const all = '/apis/sidegate.dev/v1alpha1/namespaces/ml/inferencepolicies';
  const at = `${all}?dryRun=All`;
  const policy = (spec: Json): Json => ({
    apiVersion: 'sidegate.dev/v1alpha1',
    kind: 'InferencePolicy',
    metadata: { name: 'p' },
    spec,
  });
  const anyone = [{ anyone: true }];

  test('with a rule that cannot fire is refused', async () => {
    const access = [
      { name: 'a', effect: 'Allow', subjects: anyone },
      { name: 'd', effect: 'Deny', subjects: anyone },
    ];
    const answer = await server.client.request('POST', at, policy({ access }));
    expect(answer.message).toContain(
      'admission webhook "policies.sidegate.dev" denied the request: spec.access[a] never',
    );
  });

  test('is judged while it is being deleted, and may still go', async () => {
    const allow = { name: 'a', effect: 'Allow', subjects: anyone };
    const made = `${all}/ending`;
    const edit = (change: Json): Promise<KubeAnswer> =>
      server.client.request('PATCH', made, change, 'application/merge-patch+json');
    await server.client.must('POST', all, {
      ...policy({ access: [allow] }),
      metadata: { name: 'ending', finalizers: ['example.com/held'] },
    });
    await server.client.must('DELETE', made);
    const inert = { spec: { access: [allow, { ...allow, name: 'd', effect: 'Deny' }] } };
    expect((await edit(inert)).message).toContain('spec.access[a] never');
    expect((await edit({ metadata: { finalizers: null } })).status).toBe(200);
    expect((await server.client.request('GET', made)).status).toBe(404);
  });

  test('that is good passes, with a warning about what it does not do', async () => {
    const access = [{ name: 'a', effect: 'Allow', subjects: anyone }];
    const answer = await server.client.request('POST', at, policy({ access }));
    expect([answer.status, answer.message]).toEqual([201, '']);
    const empty = await server.client.request('POST', at, policy({ mode: 'Enforce' }));
    expect(empty.headers['warning']).toContain('everything is denied');
  });
});

describe('exec, attach, port-forward and the proxy verbs', () => {
  let emergency: KubeClient;
  beforeAll(async () => {
    emergency = await server.as({ user: 'sam', groups: ['system:masters', 'sre'] });
    await create(pod({}, { name: 'governed', labels: { app: 'g', 'sidegate.dev/inference': 'true' } }));
    await create(pod({}, { name: 'neighbour', labels: { app: 'n' } }));
    for (const app of ['g', 'n']) {
      await server.client.must('POST', '/api/v1/namespaces/ml/services', {
        metadata: { name: `service-${app}` },
        spec: { selector: { app }, ports: [{ port: 80, targetPort: 8000 }] },
      });
    }
  });

  const verbs: readonly (readonly [string, string, string])[] = [
    ['POST', 'pods/NAME/exec?command=ls&stdout=true', 'exec'],
    ['POST', 'pods/NAME/attach?stdout=true', 'attach'],
    ['POST', 'pods/NAME/portforward', 'portforward'],
    ['GET', 'pods/NAME/proxy', 'proxy'],
    ['GET', 'pods/NAME:8000/proxy/v1/models', 'proxy'],
    ['GET', 'pods/http:NAME:8000/proxy/v1/models', 'proxy'],
    ['POST', 'pods/NAME/proxy/v1/chat/completions', 'proxy'],
  ];
  const denied = 'admission webhook "services.sidegate.dev" denied the request';

  test.each(verbs)('%s %s is refused for a governed pod alone', async (method, suffix, verb) => {
    const ask = (name: string, client = server.client) =>
      client.request(method, `/api/v1/namespaces/ml/${suffix.replace('NAME', name)}`);
    expect((await ask('governed')).message).toContain(`[${verb}] pod governed is governed`);
    expect((await ask('neighbour')).message).not.toContain('denied');
    expect((await ask('governed', emergency)).message).not.toContain('denied');
  });

  test('the proxy verb of a service is refused where it leads to a governed pod', async () => {
    const ask = (name: string, client = server.client) =>
      client.request('GET', `/api/v1/namespaces/ml/services/${name}/proxy/v1/models`);
    for (const name of ['service-g', 'service-g:80', 'http:service-g:80']) {
      expect((await ask(name)).message).toContain(`${denied}: [proxy] service service-g leads to governed pods`);
    }
    expect((await ask('service-n')).message).not.toContain('denied');
    expect((await ask('service-g', emergency)).message).not.toContain('denied');
  });

  test('what the break-glass group did is recorded', async () => {
    await eventually('there is an Event', async () => {
      const { items } = (await server.client.must('GET', '/apis/events.k8s.io/v1/namespaces/ml/events')) as {
        items: { reason: string; note: string; regarding: { name: string } }[];
      };
      return items.some(({ reason, note }) => reason === 'BreakGlassExec' && note.startsWith('sam used exec'));
    });
    // Each who does it, and each thing that they do.
    const again = await server.as({ user: 'kim', groups: ['system:masters', 'sre'] });
    await again.request('POST', '/api/v1/namespaces/ml/pods/governed/exec?command=sh&stdout=true');
    const debug = { spec: { ephemeralContainers: [{ name: 'debug', image: 'busybox' }] } };
    for (const name of ['neighbour', 'governed']) {
      const at = `/api/v1/namespaces/ml/pods/${name}/ephemeralcontainers`;
      expect((await again.request('PATCH', at, debug, 'application/strategic-merge-patch+json')).status).toBe(200);
    }
    await eventually('it is told of the second person', () =>
      toldOf('BreakGlassExec', 'Pod', 'governed', 'kim used exec'),
    );
    await eventually('and of the debug container', () =>
      toldOf('BreakGlassDebug', 'Pod', 'governed', 'kim used debug'),
    );
    expect(await toldOf('BreakGlassDebug', 'Pod', 'neighbour', 'kim')).toBe(false);
    expect(await webhook.metrics()).toMatch(/sidegate_break_glass_total\{verb="exec"\} [1-9]/);
    expect(webhook.log()).toContain('"message":"break-glass","user":"sam","verb":"exec"');
  });
});

const configurations = [
  '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidegate',
  '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sidegate',
  '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sidegate-connect',
];
interface Configuration {
  readonly metadata: { readonly resourceVersion: string };
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string; readonly url: string } }[];
}
const readConfigurations = (): Promise<readonly Configuration[]> =>
  Promise.all(configurations.map(async (at) => (await server.client.must('GET', at)) as unknown as Configuration));
const bundles = async (): Promise<readonly string[]> =>
  (await readConfigurations()).flatMap(({ webhooks }) =>
    webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? '', 'base64').toString()),
  );
const secretPath = `/api/v1/namespaces/${release}/secrets/sidegate-webhook-ca`;

/** Moves the webhook's authority one step on, as a replica does when it is due. */
async function step(name: AuthorityStep): Promise<void> {
  const secret = (await server.client.must('GET', secretPath)) as { data: Record<string, string> };
  const state = readAuthority(
    Object.fromEntries(
      Object.entries(secret.data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    ),
  );
  const fresh = name === 'publish' ? await createAuthorityPair(systemClock) : undefined;
  const next = writeAuthority(afterStep(state, name, Date.now(), fresh));
  await server.client.must('PUT', secretPath, {
    ...secret,
    data: Object.fromEntries(Object.entries(next).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  });
}

const count = (text: string): number => text.split('-----BEGIN CERTIFICATE-----').length - 1;

test('nobody is answered who does not know the path that the webhook has written for the API server', async () => {
  const [first] = await readConfigurations();
  const { url = '' } = first?.webhooks[0]?.clientConfig ?? {};
  expect(url).toMatch(/^https:\/\/localhost:\d+\/[0-9a-f]{64}\/mutate$/);
  const post = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = ask(new URL(path, url), { method: 'POST', rejectUnauthorized: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.on('error', reject);
      asked.end('{}');
    });
  expect(await post(url)).toBe(400); // It is read, and is no review.
  for (const path of ['/mutate', '/break-glass', '/validate/decisions', `/${'a'.repeat(64)}/mutate`])
    expect(await post(path)).toBe(404);
  // Of a Service the API server takes fewer letters in a path.
  const service = { name: 'sidegate-webhook', namespace: release, path: new URL(url).pathname };
  const value = [{ op: 'replace', path: '/webhooks/0/clientConfig', value: { service } }];
  const at = `${configurations[0] ?? ''}?dryRun=All`;
  const answer = await server.client.request('PATCH', at, value, 'application/json-patch+json');
  expect([answer.status, answer.message]).toEqual([200, '']);
});

describe('the authority in the configurations', () => {
  test('is written where it differs, and nowhere else', async () => {
    const before = await readConfigurations();
    const touch = { metadata: { annotations: { note: 'touched' } } };
    await server.client.must('PATCH', secretPath, touch, 'application/merge-patch+json');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect((await readConfigurations()).map(({ metadata }) => metadata)).toEqual(
      before.map(({ metadata }) => metadata),
    );
    await server.client.must(
      'PATCH',
      configurations[2] ?? '',
      [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }],
      'application/json-patch+json',
    );
    await server.client.must(
      'PATCH',
      secretPath,
      { metadata: { annotations: { note: 'again' } } },
      'application/merge-patch+json',
    );
    await eventually('it is back', async () => new Set(await bundles()).size === 1);
    const after = await readConfigurations();
    expect(after[0]?.metadata.resourceVersion).toBe(before[0]?.metadata.resourceVersion);
    expect((await webhook.ready()).ready).toBe(true);
  });
});

describe('a rollout', () => {
  const at = '/apis/apps/v1/namespaces/rollout/deployments';
  const deployment = (version: string, replicas: number): Json => ({
    metadata: { name: 'llama' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'llama' } },
      strategy: { type: 'Recreate' },
      template: {
        metadata: { labels: { app: 'llama', 'sidegate.dev/inference': 'true' }, annotations: { version } },
        spec: { terminationGracePeriodSeconds: 0, containers: [model()] },
      },
    },
  });
  const merge = 'application/merge-patch+json';

  test('has no pod without the sidecar while the webhook is killed, restarted and given another authority', async () => {
    const seen: PodObject[] = [];
    let watching = true;
    const watch = (async (): Promise<void> => {
      while (watching) {
        seen.push(...(await podsOf('rollout')));
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    })();
    try {
      await server.client.must('POST', at, deployment('1', 3));
      const has = async (version: string, replicas: number): Promise<boolean> =>
        (await podsOf('rollout')).filter(({ metadata }) => metadata.annotations?.['version'] === version).length ===
        replicas;
      await eventually('the first version is there', () => has('1', 3));

      // Killed: nothing labelled is made, and what is not labelled is.
      await webhook.kill();
      const refused = await dry(pod());
      expect(refused.message).toContain('failed calling webhook "inject.sidegate.dev"');
      expect((await dry(pod({}, { labels: {} }), 'free')).status).toBe(201);
      const exec = await server.client.request('POST', `${path('ml')}/governed/exec?command=ls&stdout=true`);
      // By the policy; other pods of the namespace are not touched, and Services are refused as a whole.
      expect(exec.message).toContain('[exec] pod governed is governed');
      const beside = await server.client.request('POST', `${path('ml')}/neighbour/exec?command=ls&stdout=true`);
      expect(beside.message).toContain('does not have a host assigned');
      const service = await server.client.request('GET', '/api/v1/namespaces/ml/services/service-n/proxy/');
      expect(service.message).toContain('failed calling webhook "services.sidegate.dev"');
      const elsewhere = await server.client.request('POST', `${path('free')}/none/exec?command=ls&stdout=true`);
      expect(elsewhere.message).toContain('not found');
      const sre = await server.as({ user: 'sam', groups: ['system:masters', 'sre'] });
      const glass = await sre.request('POST', `${path('ml')}/governed/exec?command=ls&stdout=true`);
      expect(glass.message).not.toContain('webhook');
      await server.client.must('PATCH', `${at}/llama`, deployment('2', 3), merge);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(await has('2', 0)).toBe(true);

      // Restarted, with the authority that it had; then another one is published, and signs, under load.
      await webhook.start();
      await eventually('it is ready', async () => (await webhook.ready()).ready);
      await step('publish');
      await eventually('both authorities are in force', async () => (await bundles()).every((one) => count(one) === 2));
      await eventually('the second version is there', () => has('2', 3));
      await server.client.must('PATCH', `${at}/llama`, deployment('3', 6), merge);
      await step('switch');
      await eventually('the third version is there', () => has('3', 6));
      await step('drop');
      await eventually('the old authority is gone', async () => (await bundles()).every((one) => count(one) === 1));
      // The API server keeps its connections: a new process proves that the new authority is what it trusts.
      expect(await webhook.stop()).toBe(0);
      await webhook.start();
      await eventually('it is ready again', async () => (await webhook.ready()).ready);
      await server.client.must('PATCH', `${at}/llama`, deployment('4', 4), merge);
      await eventually('the fourth version is there', () => has('4', 4));
    } finally {
      watching = false;
      await watch;
    }
    expect(seen.length).toBeGreaterThan(20);
    expect(seen.filter((one) => !governed(one))).toEqual([]);
  }, 200_000);
});

test('never wrote a secret or a token', () => {
  expect(webhook.log()).not.toContain('PRIVATE KEY');
  expect(webhook.log()).not.toContain('Bearer');
});
