// Pods for tests: one that is injected, changes to it, and generated ones.
import fc from 'fast-check';

/** JSON as a test writes it. */
export type Json = Record<string, unknown>;

export const model = (more: Json = {}): Json => ({
  name: 'model',
  image: 'vllm/vllm-openai:v0.11.0',
  ports: [{ name: 'http', containerPort: 8000 }],
  ...more,
});

/** A labelled pod with one model; `spec` and `metadata` add to it or replace. */
export const pod = (spec: Json = {}, metadata: Json = {}): Json => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'llama', labels: { 'sidegate.dev/inference': 'true' }, ...metadata },
  spec: { containers: [model()], ...spec },
});

/** A deep copy, changed. */
export function changed(value: unknown, change: (copy: never) => void): Json {
  const copy = structuredClone(value);
  change(copy as never);
  return copy as Json;
}

const portNumber = fc.oneof(fc.constantFrom(80, 8000, 8001, 8080, 9000), fc.integer({ min: 1, max: 17_399 }));
const maybe = <Value>(key: string, value: fc.Arbitrary<Value>): fc.Arbitrary<Json> =>
  fc.option(value, { nil: undefined }).map((some) => (some === undefined ? {} : { [key]: some }));
const merged = (...parts: readonly fc.Arbitrary<Json>[]): fc.Arbitrary<Json> =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as Json);

const handler = fc.oneof(
  merged(
    fc.constant({}),
    maybe('path', fc.constantFrom('/health', 'ready', '/a?b=c', '')),
    maybe('scheme', fc.constantFrom('HTTP', 'HTTPS')),
    maybe('httpHeaders', fc.constant([{ name: 'X-A', value: 'b' }])),
    maybe('host', fc.constantFrom('', 'example.com')),
    portNumber.map((port) => ({ port })),
  ).map((httpGet) => ({ httpGet })),
  portNumber.map((port) => ({ tcpSocket: { port } })),
  fc.constant({ exec: { command: ['true'] } }),
);
const probe = fc
  .tuple(
    fc.oneof(
      handler,
      portNumber.map((port) => ({ grpc: { port } })),
    ),
    fc.integer({ min: 1, max: 60 }),
  )
  .map(([asks, periodSeconds]) => ({ ...asks, periodSeconds }) as Json);

const securityContext = merged(
  maybe('runAsUser', fc.constantFrom(0, 1000, 1337, 2000, 65_532)),
  maybe('runAsNonRoot', fc.boolean()),
  maybe(
    'capabilities',
    merged(
      maybe('drop', fc.subarray(['ALL', 'NET_RAW', 'CHOWN'])),
      maybe('add', fc.subarray(['SYS_PTRACE', 'IPC_LOCK'])),
    ),
  ),
);

const parts = [
  maybe(
    'ports',
    fc.uniqueArray(portNumber, { maxLength: 3 }).map((all) => all.map((containerPort) => ({ containerPort }))),
  ),
  maybe('startupProbe', probe),
  maybe('livenessProbe', probe),
  maybe('readinessProbe', probe),
  maybe('lifecycle', merged(maybe('postStart', handler), maybe('preStop', handler))),
  maybe('securityContext', securityContext),
  maybe('unknownField', fc.constant({ kept: [1, { deeply: true }] })),
];

const known = fc.constantFrom<Json>(
  {
    name: 'istio-proxy',
    image: 'istio/proxyv2:1',
    ports: [{ containerPort: 15_090 }],
    securityContext: { runAsUser: 1337 },
  },
  { name: 'istio-proxy', image: 'mine/proxyv2:1' },
  { name: 'linkerd-proxy', image: 'linkerd/proxy:1' },
  { name: 'queue-proxy', image: 'knative/queue:1', ports: [{ containerPort: 8012 }, { containerPort: 8022 }] },
  { name: 'agent', image: 'kserve/agent:1', ports: [{ containerPort: 9081 }] },
  { name: 'lora-loader', image: 'ml/lora-loader:1', securityContext: { runAsUser: 2000 } },
);
const knownInit = fc.constantFrom<Json>(
  {
    name: 'istio-init',
    image: 'istio/proxyv2:1',
    args: ['istio-iptables'],
    securityContext: { capabilities: { add: ['NET_ADMIN'] } },
  },
  { name: 'istio-proxy-native', image: 'istio/proxyv2:1', restartPolicy: 'Always' },
  { name: 'linkerd-init', image: 'linkerd/proxy-init:1', securityContext: { capabilities: { add: ['NET_RAW'] } } },
);

const named = (prefix: string, more: readonly fc.Arbitrary<Json>[]): fc.Arbitrary<Json> =>
  fc.tuple(fc.integer({ min: 0, max: 99 }), merged(...parts, ...more)).map(([at, rest]) => ({
    name: `${prefix}-${at}`,
    image: `some/${prefix}:1`,
    ...rest,
  }));

const distinct = (all: readonly Json[]): Json[] =>
  all.filter(({ name }, at) => all.findIndex((other) => other['name'] === name) === at);

/** Labelled pods of many shapes; most can be injected, some are refused. */
export const generatedPod: fc.Arbitrary<Json> = fc
  .record({
    containers: fc.array(fc.oneof({ weight: 3, arbitrary: named('model', []) }, known), { minLength: 1, maxLength: 4 }),
    initContainers: fc.option(
      fc.array(fc.oneof(named('init', [maybe('restartPolicy', fc.constant('Always'))]), knownInit), { maxLength: 4 }),
    ),
    volumes: fc.option(fc.constant([{ name: 'models', emptyDir: {} }])),
    modelPorts: fc.option(fc.constantFrom('8000', '8000,8001', ' 11434')),
    hostUsers: fc.option(fc.boolean()),
    grace: fc.option(fc.integer({ min: 0, max: 600 })),
    annotated: fc.boolean(),
  })
  .map(({ containers, initContainers, volumes, modelPorts, hostUsers, grace, annotated }) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      labels: { 'sidegate.dev/inference': 'true' },
      ...(modelPorts === null && !annotated
        ? {}
        : {
            annotations: { ...(modelPorts === null ? {} : { 'sidegate.dev/model-ports': modelPorts }), 'a/b~c': 'd' },
          }),
    },
    spec: {
      containers: distinct(containers),
      ...(initContainers === null ? {} : { initContainers: distinct(initContainers) }),
      ...(volumes === null ? {} : { volumes }),
      ...(hostUsers === null ? {} : { hostUsers }),
      ...(grace === null ? {} : { terminationGracePeriodSeconds: grace }),
    },
  }));
