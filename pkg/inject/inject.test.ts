import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { jsonValue, parseJson } from '../base/index.ts';
import { checkFinalState, inject, reasonCodes, templateHash } from './index.ts';
import type { InjectOptions, InjectResult, PatchOperation, RefusalCode } from './index.ts';
import { draw, drawnBytes, sidecarGid } from './drawn.ts';
import { waitHook } from './our-containers.ts';
import type { Pod } from './pod.ts';
import { reason } from './reasons.ts';
import { applyPatch } from './testing/apply-patch.ts';
import { foreignInits, istioInit, linkerdInit } from './testing/network-inits.ts';
import { drawnOf, paramsOf, testOptions } from './testing/options.ts';
import { changed, generatedPod, model, pod } from './testing/pods.ts';
import type { Json } from './testing/pods.ts';

const injected = (value: unknown, options: InjectOptions = testOptions): Extract<InjectResult, { kind: 'inject' }> => {
  const result = inject(value, options);
  if (result.kind !== 'inject') throw new Error(JSON.stringify(result.reasons));
  return result;
};

const codes = (value: unknown, options: InjectOptions = testOptions): readonly string[] => {
  const result = inject(value, options);
  return result.kind === 'inject' ? [] : result.reasons.map(({ code }) => code);
};

const initNames = (result: { readonly pod: Pod }): readonly string[] =>
  (result.pod.spec.initContainers ?? []).map(({ name }) => name);

const sidecarOf = (value: Pod) =>
  [...(value.spec.initContainers ?? []), ...value.spec.containers].find(({ name }) => name === 'sidegate');

const argument = (value: Pod, flag: string, name = 'sidegate'): string | undefined => {
  const args =
    [...(value.spec.initContainers ?? []), ...value.spec.containers].find((one) => one.name === name)?.args ?? [];
  return args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined;
};

const probesOf = (value: Pod): Json => JSON.parse(argument(value, '--probes') ?? 'null') as Json;

describe('injection of any pod', () => {
  const options = fc.record({
    captureMode: fc.constantFrom('Redirect' as const, 'NamedPort' as const),
    nativeSidecars: fc.boolean(),
  });

  it('done twice is injection done once', () => {
    let done = 0;
    fc.assert(
      fc.property(generatedPod, options, (value, some) => {
        const all = { ...testOptions, ...some };
        const once = inject(value, all);
        if (once.kind !== 'inject') return;
        done++;
        const twice = inject(once.pod, all);
        expect(twice).toMatchObject({ kind: 'inject', patch: [] });
        expect(twice.kind === 'inject' && twice.pod).toEqual(once.pod);
      }),
      { numRuns: 500 },
    );
    expect(done).toBeGreaterThan(150);
  });

  it('passes the check of the final state', () => {
    fc.assert(
      fc.property(generatedPod, options, (value, some) => {
        const all = { ...testOptions, ...some };
        const once = inject(value, all);
        if (once.kind === 'inject') expect(checkFinalState(once.pod, paramsOf(all))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('is what its patch makes, leaves the pod that came alone, and never writes a list that was there', () => {
    fc.assert(
      fc.property(generatedPod, options, (value, some) => {
        const before = structuredClone(value);
        const once = inject(value, { ...testOptions, ...some });
        expect(value).toEqual(before);
        if (once.kind !== 'inject') return;
        expect(applyPatch(value, once.patch)).toEqual(once.pod);
        for (const operation of once.patch)
          if (operation.op === 'replace') expect(Array.isArray(operation.value)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps every field that it does not know, and every container of others', () => {
    fc.assert(
      fc.property(generatedPod, (value) => {
        const once = inject(value, testOptions);
        if (once.kind !== 'inject') return;
        const unknown = (all: readonly Json[]): readonly unknown[] =>
          all.map(({ name, image, unknownField }) => [name, image, unknownField]);
        const spec = value['spec'] as { containers: Json[]; initContainers?: Json[] };
        const after = once.pod.spec as unknown as { containers: Json[]; initContainers: Json[] };
        const others = (all: readonly Json[]): Json[] => all.filter(({ name }) => !String(name).startsWith('sidegate'));
        expect(unknown(others(after.containers))).toEqual(unknown(spec.containers));
        expect(unknown(others(after.initContainers))).toEqual(unknown(spec.initContainers ?? []));
      }),
      { numRuns: 300 },
    );
  });

  it('is the same for objects of the strict parser, which have no prototype', () => {
    fc.assert(
      fc.property(generatedPod, options, (value, some) => {
        const all = { ...testOptions, ...some };
        const parsed = jsonValue(parseJson(JSON.stringify(value)));
        const once = inject(value, all);
        const again = inject(parsed, all);
        expect(JSON.stringify(again)).toBe(JSON.stringify(once));
        if (once.kind !== 'inject') return;
        const result = jsonValue(parseJson(JSON.stringify(once.pod)));
        expect(inject(result, all)).toMatchObject({ kind: 'inject', patch: [] });
        expect(checkFinalState(result, paramsOf(all))).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('never throws, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.jsonValue().map((spec) => ({ metadata: { labels: { 'sidegate.dev/inference': 'true' } }, spec })),
        ),
        (value) => {
          expect(['inject', 'skip', 'refuse']).toContain(inject(value, testOptions).kind);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a pod is refused with a code, a sentence and what to do:', () => {
  const other = (more: Json): Json => pod({ containers: [model(), { name: 'other', image: 'some/other:1', ...more }] });
  const rows: readonly (readonly [string, RefusalCode, Json, Partial<InjectOptions>?])[] = [
    ['no spec', 'malformed_pod', { metadata: { labels: { 'sidegate.dev/inference': 'true' } } }],
    ['a port that is text', 'malformed_pod', pod({ containers: [model({ ports: [{ containerPort: '8000' }] })] })],
    ['another value of the label', 'label_value', pod({}, { labels: { 'sidegate.dev/inference': 'True' } })],
    ['an empty value of the label', 'label_value', pod({}, { labels: { 'sidegate.dev/inference': '' } })],
    [
      'a namespace that is not set up',
      'namespace_not_governed',
      pod(),
      { governNamespaces: 'Required', namespace: { name: 'ml', governed: false } },
    ],
    ['Windows', 'windows', pod({ os: { name: 'windows' } })],
    ['hostNetwork', 'host_network', pod({ hostNetwork: true })],
    ['hostPID', 'host_pid', pod({ hostPID: true })],
    ['shareProcessNamespace', 'shared_pid', pod({ shareProcessNamespace: true })],
    ['a privileged container', 'privileged', other({ securityContext: { privileged: true } })],
    ['NET_RAW', 'capability', other({ securityContext: { capabilities: { add: ['NET_RAW'] } } })],
    [
      'NET_ADMIN, as some runtimes spell it',
      'capability',
      other({ securityContext: { capabilities: { add: ['CAP_net_admin'] } } }),
    ],
    ['a kernel module', 'capability', other({ securityContext: { capabilities: { add: ['SYS_MODULE'] } } })],
    ['a folder of the node', 'host_path', pod({ volumes: [{ name: 'mine', hostPath: { path: '/var/lib/kubelet' } }] })],
    [
      'a folder below one that the chart names',
      'host_path',
      pod({ volumes: [{ name: 'mine', hostPath: { path: '/models/../etc' } }] }),
      { hostPaths: ['/models'] },
    ],
    ['SYS_ADMIN', 'capability', other({ securityContext: { capabilities: { add: ['SYS_ADMIN'] } } })],
    ['all capabilities', 'capability', other({ securityContext: { capabilities: { add: ['ALL'] } } })],
    [
      'NET_ADMIN in an init container',
      'capability',
      pod({
        initContainers: [{ name: 'setup', image: 'a:1', securityContext: { capabilities: { add: ['NET_ADMIN'] } } }],
      }),
    ],
    [
      "the name of Istio's init with another image",
      'capability',
      pod({
        initContainers: [
          {
            name: 'istio-init',
            image: 'mine/proxyv2:1',
            args: ['istio-iptables'],
            securityContext: { capabilities: { add: ['NET_ADMIN'] } },
          },
        ],
      }),
    ],
    [
      "an image whose name only begins like Istio's",
      'capability',
      pod({
        initContainers: [
          {
            name: 'istio-init',
            image: 'istio/proxyv2-mine:1',
            args: ['istio-iptables'],
            securityContext: { capabilities: { add: ['NET_ADMIN'] } },
          },
        ],
      }),
    ],
    [
      "Istio's init with a command",
      'capability',
      pod({
        initContainers: [
          {
            name: 'istio-init',
            image: 'istio/proxyv2:1',
            command: ['sh'],
            args: ['istio-iptables'],
            securityContext: { capabilities: { add: ['NET_ADMIN'] } },
          },
        ],
      }),
    ],
    [
      "Istio's init with other arguments",
      'capability',
      pod({
        initContainers: [
          {
            name: 'istio-init',
            image: 'istio/proxyv2:1',
            args: ['-c', 'nft flush ruleset'],
            securityContext: { capabilities: { add: ['NET_ADMIN'] } },
          },
        ],
      }),
    ],
    [
      "Istio's init that keeps running",
      'capability',
      pod({
        initContainers: [
          {
            name: 'istio-init',
            image: 'istio/proxyv2:1',
            args: ['istio-iptables'],
            restartPolicy: 'Always',
            securityContext: { capabilities: { add: ['NET_ADMIN'] } },
          },
        ],
      }),
    ],
    ...foreignInits.map(
      ([what, container]) =>
        [`a mesh's init with ${what}`, 'capability', pod({ initContainers: [container] })] as const,
    ),
    [
      "NET_ADMIN in a mesh's proxy, which keeps running",
      'capability',
      other({
        name: 'istio-proxy',
        image: 'istio/proxyv2:1',
        securityContext: { capabilities: { add: ['NET_ADMIN'] } },
      }),
    ],
    [
      'SETUID where nobody may become another',
      'change_user',
      other({ securityContext: { capabilities: { add: ['cap_setuid'] } } }),
      { changeUser: 'Never' },
    ],
    [
      'set-uid programs where nobody may become another',
      'change_user',
      other({ securityContext: { allowPrivilegeEscalation: true } }),
      { changeUser: 'Never' },
    ],
    [
      "the sidecar's gid in a container",
      'reserved_uid',
      other({ securityContext: { runAsGroup: sidecarGid(pod() as unknown as Pod, testOptions) } }),
    ],
    [
      "the sidecar's gid for the whole pod",
      'reserved_uid',
      pod({ securityContext: { runAsGroup: sidecarGid(pod() as unknown as Pod, testOptions) } }),
    ],
    ["the sidecar's uid in a container", 'reserved_uid', other({ securityContext: { runAsUser: 61337 } })],
    ["the sidecar's uid for the whole pod", 'reserved_uid', pod({ securityContext: { runAsUser: 61337 } })],
    ['a port of the sidecar', 'reserved_port', other({ ports: [{ containerPort: 17400 }] })],
    [
      'a port of the sidecar in the annotation',
      'reserved_port',
      pod({}, { annotations: { 'sidegate.dev/model-ports': '17499' } }),
    ],
    ['a probe of a port of the sidecar', 'reserved_port', other({ livenessProbe: { tcpSocket: { port: 17491 } } })],
    [
      'our volume in another container',
      'reserved_volume',
      other({ volumeMounts: [{ name: 'sidegate-state', mountPath: '/x' }] }),
    ],
    [
      'a variable from a file of our volume',
      'reserved_volume',
      other({
        env: [
          { name: 'A', valueFrom: { secretKeyRef: { name: 'a', key: 'k' } } },
          { name: 'X', valueFrom: { fileKeyRef: { volumeName: 'sidegate-state', path: 'a', key: 'K' } } },
        ],
      }),
    ],
    [
      'our token in an init container',
      'reserved_volume',
      pod({
        initContainers: [{ name: 'thief', image: 'a:1', volumeMounts: [{ name: 'sidegate-token', mountPath: '/x' }] }],
      }),
    ],
    [
      'a token of our audience',
      'reserved_audience',
      pod({
        volumes: [
          {
            name: 'mine',
            projected: { sources: [{ serviceAccountToken: { audience: 'sidegate.dev/controller', path: 't' } }] },
          },
        ],
      }),
    ],
    ['a UDP port', 'udp_port', other({ ports: [{ containerPort: 443, protocol: 'UDP' }] })],
    ['an SCTP port', 'udp_port', other({ ports: [{ containerPort: 443, protocol: 'SCTP' }] })],
    [
      'hostPort of a governed port',
      'host_port',
      pod({ containers: [model({ ports: [{ containerPort: 8000, hostPort: 80 }] })] }),
    ],
    [
      'hostPort of a port behind a wrapper',
      'host_port',
      pod({
        containers: [
          model({ ports: [{ containerPort: 8080, hostPort: 80 }] }),
          { name: 'queue-proxy', image: 'knative/queue:1', ports: [{ containerPort: 8012 }] },
        ],
      }),
    ],
    [
      'a model on a port of the mesh',
      'port_of_mesh',
      pod({
        containers: [
          model({ ports: [{ containerPort: 15021 }] }),
          { name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy'] },
        ],
      }),
    ],
    [
      'a port of a wrapper that the model declares too',
      'wrapper_port',
      pod({
        containers: [
          model({ ports: [{ containerPort: 9090 }] }),
          {
            name: 'queue-proxy',
            image: 'knative/queue:1',
            ports: [{ containerPort: 8012 }, { containerPort: 9090 }],
          },
        ],
      }),
    ],
    ['no port', 'no_port', pod({ containers: [model({ ports: [] })] })],
    [
      "no port but a mesh's",
      'no_port',
      pod({
        containers: [
          model({ ports: null }),
          { name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy'], ports: [{ containerPort: 15090 }] },
        ],
      }),
    ],
    [
      '31 ports',
      'too_many_ports',
      pod({ containers: [model({ ports: Array.from({ length: 31 }, (_, at) => ({ containerPort: 9000 + at })) })] }),
    ],
    [
      '31 ports of a helper',
      'too_many_ports',
      pod({
        containers: [
          model({
            ports: Array.from({ length: 16 }, (_, at) => ({ containerPort: 9000 + at })),
            securityContext: { runAsUser: 1000 },
          }),
          { name: 'lora-loader', image: 'ml/lora-loader:1', securityContext: { runAsUser: 2000 } },
          { name: 'second', image: 'ml/second:1', securityContext: { runAsUser: 2001 } },
        ],
      }),
      { helpers: [...testOptions.helpers, { name: 'second', images: ['ml/second'], runAsUser: 2001 }] },
    ],
    ...['', 'http', '0', '65536', '8000;8001', '8000,', '-1'].map((text): readonly [string, RefusalCode, Json] => [
      `the annotation ${JSON.stringify(text)}`,
      'bad_model_ports',
      pod({}, { annotations: { 'sidegate.dev/model-ports': text } }),
    ]),
    [
      'a probe that names an unknown port',
      'probe_port_unknown',
      pod({ containers: [model({ livenessProbe: { httpGet: { port: 'web' } } })] }),
    ],
    [
      "a probe that names another container's port",
      'probe_port_unknown',
      other({ livenessProbe: { httpGet: { port: 'http' } } }),
    ],
    [
      'a probe of the probe port that nothing recorded',
      'probe_lost',
      other({ livenessProbe: { httpGet: { port: 17490, path: '/probe/other/liveness' } } }),
    ],
    [
      'a native sidecar where there are none',
      'needs_native_sidecars',
      pod({ initContainers: [{ name: 'logs', image: 'a:1', restartPolicy: 'Always' }] }),
      { nativeSidecars: false },
    ],
  ];

  it.each(rows)('%s: %s', (_, code, value, differing = {}) => {
    const result = inject(value, { ...testOptions, ...differing });
    if (result.kind !== 'refuse') throw new Error(result.kind);
    const found = result.reasons.filter((one) => one.code === code);
    expect(found.length).toBeGreaterThan(0);
    expect(found[0]?.message.length).toBeGreaterThan(20);
    expect(found[0]?.fix.length).toBeGreaterThan(10);
    expect(`${found[0]?.message} ${found[0]?.fix}`).not.toMatch(/[{}]/);
  });

  it('every refusal has a row here', () => {
    const refused = new Set<string>(rows.map(([, code]) => code));
    const elsewhere = ['reserved_name', 'no_label', 'mirror_pod'];
    const notes = [
      'prestop_kept',
      'probe_host_left',
      'reserved_container_replaced',
      'loopback_open_to_root',
      'may_change_user',
      'image_chooses_user',
      'helper_not_told',
      'ambient_mesh',
      'helper_uid_shared',
      'known_name_other_image',
      'port_name_twice',
    ];
    expect(
      reasonCodes.filter((code) => !refused.has(code) && !elsewhere.includes(code) && !notes.includes(code)),
    ).toEqual([]);
  });

  it('all that is wrong is named together', () => {
    expect(
      codes(
        pod({
          hostNetwork: true,
          hostPID: true,
          containers: [model({ ports: [], securityContext: { privileged: true } })],
        }),
      ),
    ).toEqual(['host_network', 'host_pid', 'privileged', 'no_port']);
  });

  it('the command that sets the namespace up is in the fix', () => {
    expect(reason('namespace_not_governed', 'ml').fix).toContain(
      'kubectl label namespace ml sidegate.dev/governed=true',
    );
  });
});

describe('what is not refused', () => {
  it.each<[string, Json]>([
    ['a model as root', pod({ securityContext: { runAsUser: 0 } })],
    [
      "Istio's init by digest",
      pod({
        initContainers: [
          {
            name: 'istio-init',
            image: 'istio/proxyv2@sha256:00',
            args: ['istio-iptables'],
            securityContext: { capabilities: { add: ['NET_ADMIN'] } },
          },
        ],
      }),
    ],
    ["Istio's init as its injector writes it", pod({ initContainers: [istioInit()] })],
    [
      "Linkerd's init as its injector writes it",
      pod({ initContainers: [linkerdInit()], volumes: [{ name: 'linkerd-proxy-init-xtables-lock', emptyDir: {} }] }),
    ],
    [
      'quantities as numbers, as YAML reads them',
      pod({ containers: [model({ resources: { limits: { 'nvidia.com/gpu': 1 }, requests: { cpu: 0.5 } } })] }),
    ],
    ['other capabilities', pod({ containers: [model({ securityContext: { capabilities: { add: ['IPC_LOCK'] } } })] })],
    [
      '30 ports',
      pod({ containers: [model({ ports: Array.from({ length: 30 }, (_, at) => ({ containerPort: 9000 + at })) })] }),
    ],
    [
      'nulls, as some tools write them',
      pod(
        {
          initContainers: null,
          volumes: null,
          hostNetwork: null,
          containers: [model({ lifecycle: null, args: null })],
        },
        { annotations: null },
      ),
    ],
  ])('%s', (_, value) => {
    expect(inject(value, testOptions).kind).toBe('inject');
  });

  it('a pod without the label is skipped, unless it uses our names', () => {
    expect(inject(pod({}, { labels: {} }), testOptions)).toEqual({ kind: 'skip', reasons: [reason('no_label')] });
    expect(codes(pod({ containers: [model({ name: 'sidegate' })] }, { labels: null }))).toEqual(['reserved_name']);
    expect(codes(pod({ initContainers: [{ name: 'sidegate-init', image: 'a:1' }] }, { labels: null }))).toEqual([
      'reserved_name',
    ]);
  });

  it('the picture of a static pod is skipped', () => {
    expect(
      inject(
        pod({}, { annotations: { 'kubernetes.io/config.mirror': 'x' }, labels: { 'sidegate.dev/inference': 'true' } }),
        testOptions,
      ),
    ).toEqual({ kind: 'skip', reasons: [reason('mirror_pod')] });
  });
});

describe('governed ports', () => {
  const mapOf = (value: Json): Readonly<Record<string, number>> => injected(value).portMap;

  it('are the TCP ports of all containers, ascending', () => {
    const value = pod({
      containers: [
        model({ ports: [{ containerPort: 9000 }, { containerPort: 8000 }] }),
        model({ name: 'second', ports: [{ containerPort: 8500, protocol: 'TCP' }, { containerPort: 8000 }] }),
      ],
      initContainers: [{ name: 'beside', image: 'a:1', restartPolicy: 'Always', ports: [{ containerPort: 7000 }] }],
    });
    expect(mapOf(value)).toEqual({ 7000: 17400, 8000: 17401, 8500: 17402, 9000: 17403 });
    expect(argument(injected(value).pod, '--ports')).toBe(
      '7000=17400:17430,8000=17401:17431,8500=17402:17432,9000=17403:17433',
    );
  });

  it('are added to by the annotation, and never taken away', () => {
    expect(mapOf(pod({}, { annotations: { 'sidegate.dev/model-ports': '9000' } }))).toEqual({
      8000: 17400,
      9000: 17401,
    });
  });

  it('are all declared ones where a wrapper only has the name of one', () => {
    const value = pod({
      containers: [
        model(),
        { name: 'queue-proxy', image: 'mine/queue:1', ports: [{ containerPort: 8012 }, { containerPort: 8022 }] },
      ],
    });
    expect(mapOf(value)).toEqual({ 8000: 17400, 8012: 17401, 8022: 17402 });
  });

  it('are all declared ones where a wrapper serves nothing', () => {
    const value = pod({ containers: [model(), { name: 'agent', image: 'kserve/agent:1', ports: [] }] });
    expect(mapOf(value)).toEqual({ 8000: 17400 });
  });

  it("behind a wrapper are the annotation's to add", () => {
    const value = pod(
      {
        containers: [
          model({ ports: [{ containerPort: 8080 }] }),
          { name: 'queue-proxy', image: 'knative/queue:1', ports: [{ containerPort: 8012 }, { containerPort: 8022 }] },
        ],
      },
      { annotations: { 'sidegate.dev/model-ports': '8080' } },
    );
    expect(mapOf(value)).toEqual({ 8012: 17400, 8080: 17401 });
    expect(argument(injected(value).pod, '--allow-tcp', 'sidegate-init')).toBe('8022');
  });

  const open = (...[containers, initContainers = []]: [containers: Json[], initContainers?: Json[]]) => {
    const { pod: value } = injected(pod({ containers, initContainers }));
    expect(checkFinalState(value, paramsOf(testOptions))).toEqual([]);
    return ['--allow-tcp', '--proxy-uids', '--proxy-tcp'].map((flag) => argument(value, flag, 'sidegate-init'));
  };

  it('stay open for a wrapper where they are its fixed ones, whatever it declares', () => {
    const wrapper = (ports: number[], more: Json = {}): Json => ({
      name: 'queue-proxy',
      image: 'knative/queue:1',
      ports: ports.map((containerPort) => ({ containerPort })),
      ...more,
    });
    const silent = model({ ports: [] });
    expect(open([silent, wrapper([8012, 8000, 8022])])).toEqual(['8022', undefined, undefined]);
    expect(open([silent, wrapper([8012, 8000])])).toEqual([undefined, undefined, undefined]);
    // With another command it is no wrapper: all that it declares is governed.
    const other = wrapper([8012, 8022], { command: ['true'] });
    expect(mapOf(pod({ containers: [silent, other] }))).toEqual({ 8012: 17400, 8022: 17401 });
    expect(open([silent, other])).toEqual([undefined, undefined, undefined]);
  });

  it('stay open for a mesh only while its own proxy runs beside the model', () => {
    const proxy = { name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy', 'sidecar'] };
    const meshed = ['15006,15008,15020,15021,15090', '1337', '15000-15099'];
    const init = { name: 'istio-init', image: 'istio/proxyv2:1', args: ['istio-iptables'] };
    const validation = { name: 'istio-validation', image: 'istio/proxyv2:1', args: ['istio-iptables'] };
    const nothing = [undefined, undefined, undefined];
    expect(open([model(), proxy])).toEqual(meshed);
    expect(open([model()], [init, { ...proxy, restartPolicy: 'Always' }])).toEqual(meshed);
    expect(open([model()], [init])).toEqual(nothing);
    expect(open([model()], [validation])).toEqual(nothing);
    expect(open([model()], [{ ...validation, command: ['true'] }])).toEqual(nothing);
    expect(open([model()], [proxy])).toEqual(nothing);
    expect(open([model(), { ...proxy, command: ['true'] }])).toEqual(nothing);
    expect(open([model(), { ...proxy, args: ['request'] }])).toEqual(nothing);
    expect(open([model(), { ...validation, args: ['proxy'] }])).toEqual(nothing);
    expect(open([model()], [{ ...validation, restartPolicy: 'Always' }])).toEqual(nothing);
  });
});

describe('places at the model', () => {
  it('are told to a sidecar where they are not the default, and are what its final state must say', () => {
    const told = (modelRequests: number): string | undefined =>
      argument(injected(pod(), { ...testOptions, modelRequests }).pod, '--model-requests', 'sidegate');
    expect([told(4_096), told(256)]).toEqual([undefined, '256']);
    const fewer = { ...testOptions, modelRequests: 256 };
    const { pod: governed } = injected(pod(), fewer);
    expect(checkFinalState(governed, paramsOf(fewer))).toEqual([]);
    expect(checkFinalState(governed, paramsOf({ ...fewer, modelRequests: 128 }))).toContainEqual(
      expect.objectContaining({ rule: 'sidecar_arguments' }),
    );
  });
});

describe('a proxy to hosted endpoints', () => {
  const envOf = (governed: unknown): readonly unknown[] => {
    const { spec } = governed as Pod;
    const all = [...(spec.initContainers ?? []), ...spec.containers];
    return all.find(({ name }) => name === 'sidegate')?.env ?? [];
  };

  it('is in the environment of the sidecar, and is what its final state must say', () => {
    const proxy = { https: 'http://proxy.corp:3128', except: 'models.corp' };
    const options = { ...testOptions, proxy };
    const { pod: governed } = injected(pod(), options);
    expect(envOf(governed)).toEqual(
      expect.arrayContaining([
        { name: 'HTTPS_PROXY', value: 'http://proxy.corp:3128' },
        { name: 'NO_PROXY', value: 'models.corp' },
      ]),
    );
    expect(checkFinalState(governed, paramsOf(options))).toEqual([]);
    const fault = expect.objectContaining({ rule: 'environment' });
    for (const other of [
      testOptions,
      { ...options, proxy: { ...proxy, https: 'http://evil:1' } },
      { ...options, proxy: { ...proxy, except: '' } },
    ])
      expect(checkFinalState(governed, paramsOf(other))).toContainEqual(fault);
    expect(checkFinalState(injected(pod()).pod, paramsOf(options))).toContainEqual(fault);
  });
});

describe('loopback', () => {
  const dialers = (spec: Json): string | undefined =>
    argument(injected(pod(spec)).pod, '--dialer-tcp', 'sidegate-init');

  it('has no port open to root where no container may run as root', () => {
    expect(dialers({ securityContext: { runAsNonRoot: true } })).toBeUndefined();
    expect(dialers({ containers: [model({ securityContext: { runAsUser: 1000 } })] })).toBeUndefined();
    expect(
      dialers({ securityContext: { runAsUser: 0 }, containers: [model({ securityContext: { runAsUser: 1 } })] }),
    ).toBeUndefined();
  });

  it('has the known internal ports open where one may', () => {
    expect(dialers({})).toBe(testOptions.internalTcp);
    expect(
      dialers({
        securityContext: { runAsNonRoot: true },
        containers: [model({ securityContext: { runAsNonRoot: false } })],
      }),
    ).toBe(testOptions.internalTcp);
    expect(dialers({ securityContext: { runAsNonRoot: true, runAsUser: 0 } })).toBe(testOptions.internalTcp);
  });

  it('is dialled by port-forward as nobody in a user namespace', () => {
    const result = injected(pod({ hostUsers: false, securityContext: { runAsUser: 0 } }));
    expect(argument(result.pod, '--dialer-uid', 'sidegate-init')).toBe('65534');
    expect(argument(result.pod, '--dialer-tcp', 'sidegate-init')).toBeUndefined();
    expect(dialers({ hostUsers: false, securityContext: { runAsUser: 65534 } })).toBe(testOptions.internalTcp);
  });

  it('gives a helper a listener of its own only while its uid is its alone', () => {
    const helper = { name: 'lora-loader', image: 'ml/lora-loader:1', securityContext: { runAsUser: 2000 } };
    const of = (spec: Json): string | undefined => argument(injected(pod(spec)).pod, '--helpers');
    const known = model({ securityContext: { runAsUser: 1000 } });
    expect(of({ containers: [known, helper] })).toBe('2000@8000=17460');
    expect(of({ securityContext: { runAsUser: 1000 }, containers: [model(), helper] })).toBe('2000@8000=17460');
    // The image of either may say USER 2000.
    expect(of({ containers: [model(), helper] })).toBeUndefined();
    expect(of({ containers: [known, helper, { name: 'shell', image: 'a:1' }] })).toBeUndefined();
    expect(of({ containers: [known, helper], initContainers: [{ name: 'warm-up', image: 'a:1' }] })).toBeUndefined();
    // What a wrapper or a mesh runs is known by its image.
    const queue = { name: 'queue-proxy', image: 'knative/queue:1', ports: [{ containerPort: 8012 }] };
    const nonRoot = { ...queue, securityContext: { runAsNonRoot: true } };
    const mesh = { name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy', 'sidecar'] };
    expect(of({ containers: [known, helper, nonRoot, mesh] })).toBe('2000@8012=17460');
    expect(of({ containers: [known, helper, { ...queue, securityContext: { runAsUser: 2000 } }] })).toBeUndefined();
    expect(of({ containers: [known, helper, { ...nonRoot, command: ['sh'] }] })).toBeUndefined();
    expect(of({ containers: [known, helper, { ...nonRoot, image: 'mine/queue:1' }] })).toBeUndefined();
    expect(of({ containers: [model({ securityContext: { runAsUser: 2000 } }), helper] })).toBeUndefined();
    expect(of({ securityContext: { runAsUser: 2000 }, containers: [model(), helper] })).toBeUndefined();
    expect(of({ containers: [known, { ...helper, securityContext: {} }] })).toBeUndefined();
    expect(of({ containers: [known, { ...helper, image: 'mine/lora-loader:1' }] })).toBeUndefined();
    expect(
      injected(pod({ containers: [model(), { ...helper, securityContext: {} }] })).notes.map(({ code }) => code),
    ).toContain('helper_uid_shared');
  });

  it('gives it none in capture mode NamedPort, where the kernel does not tell who dials', () => {
    const helper = { name: 'lora-loader', image: 'ml/lora-loader:1', securityContext: { runAsUser: 2000 } };
    const containers = [model({ securityContext: { runAsUser: 1000 } }), helper];
    const named: InjectOptions = { ...testOptions, captureMode: 'NamedPort' };
    const result = injected(pod({ containers }), named);
    expect(argument(result.pod, '--helpers')).toBeUndefined();
    expect(checkFinalState(result.pod, paramsOf(named))).toEqual([]);
    expect(result.notes.map(({ code }) => code)).toEqual(['helper_not_told']);
  });

  it('gives it none where another container can take its uid, or where it is that of port-forward or of a mesh’s proxy', () => {
    const helper = { name: 'lora-loader', image: 'ml/lora-loader:1', securityContext: { runAsUser: 2000 } };
    const of = (spec: Json, options = testOptions): string | undefined =>
      argument(injected(pod(spec), options).pod, '--helpers');
    const models = (more: Json) => [model({ securityContext: { runAsUser: 1000, ...more } }), helper];
    expect(of({ containers: models({ capabilities: { add: ['SETUID'] } }) })).toBeUndefined();
    expect(of({ containers: models({ allowPrivilegeEscalation: true }) })).toBeUndefined();
    const always = { ...testOptions, changeUser: 'Always' } as const;
    expect(of({ containers: models({}) }, always)).toBeUndefined();
    const kept = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
    expect(of({ containers: models(kept) }, always)).toBe('2000@8000=17460');
    const as = (runAsUser: number) => ({
      ...testOptions,
      helpers: testOptions.helpers.map((one) => ({ ...one, runAsUser })),
    });
    const running = (runAsUser: number, more: readonly Json[] = []) => [
      model({ securityContext: { runAsUser: 1000 } }),
      { ...helper, securityContext: { runAsUser } },
      ...more,
    ];
    expect(of({ hostUsers: false, containers: running(65_534) }, as(65_534))).toBeUndefined();
    expect(of({ containers: running(65_534) }, as(65_534))).toBe('65534@8000=17460');
    const mesh = { name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy', 'sidecar'] };
    expect(of({ containers: running(1_337, [mesh]) }, as(1_337))).toBeUndefined();
  });

  it('writes what the pod’s probes say so that the kubelet finds no variable in it, and a grace period that is one', () => {
    const path = '/a$$b?pod=$(POD_NAME)';
    const given = pod({
      terminationGracePeriodSeconds: -1,
      containers: [model({ readinessProbe: { httpGet: { path, port: 8000 } } })],
    });
    const once = injected(given).pod;
    expect([argument(once, '--probes'), argument(once, '--grace')]).toEqual([expect.not.stringContaining('$'), '0']);
    expect(JSON.stringify(probesOf(once))).toContain(JSON.stringify(path));
    expect(injected(once).patch).toEqual([]);
  });
});

describe('probes and hooks', () => {
  const led = (kind: string): Json => ({ httpGet: { path: `/probe/model/${kind}`, port: 17490, scheme: 'HTTP' } });
  const first = (result: { readonly pod: Pod }) => result.pod.spec.containers[0];

  it.each<[string, Json, Json]>([
    [
      'httpGet with everything',
      {
        httpGet: {
          path: '/h?x=1',
          port: 'http',
          scheme: 'HTTPS',
          host: '',
          httpHeaders: [{ name: 'Host', value: 'a' }],
        },
        timeoutSeconds: 7,
      },
      {
        timeoutSeconds: 7,
        httpGet: { port: 8000, path: '/h?x=1', scheme: 'HTTPS', headers: [{ name: 'Host', value: 'a' }] },
      },
    ],
    [
      'httpGet with nothing',
      { httpGet: { port: 8000 } },
      { timeoutSeconds: 1, httpGet: { port: 8000, path: '/', scheme: 'HTTP' } },
    ],
    [
      'a port number as text',
      { httpGet: { port: '8000' } },
      { timeoutSeconds: 1, httpGet: { port: 8000, path: '/', scheme: 'HTTP' } },
    ],
    [
      'an undeclared port',
      { httpGet: { port: 9999 } },
      { timeoutSeconds: 1, httpGet: { port: 9999, path: '/', scheme: 'HTTP' } },
    ],
    ['tcpSocket', { tcpSocket: { port: 'http' } }, { timeoutSeconds: 1, tcpSocket: { port: 8000 } }],
    ['grpc', { grpc: { port: 8000, service: 'ready' } }, { timeoutSeconds: 1, grpc: { port: 8000, service: 'ready' } }],
    ['grpc without a service', { grpc: { port: 8000 } }, { timeoutSeconds: 1, grpc: { port: 8000, service: '' } }],
  ])('%s is led to the probe port, and recorded', (_, probe, target) => {
    for (const [field, kind] of [
      ['startupProbe', 'startup'],
      ['livenessProbe', 'liveness'],
      ['readinessProbe', 'readiness'],
    ] as const) {
      const result = injected(
        pod({ containers: [model({ [field]: { ...probe, periodSeconds: 3, failureThreshold: 9 } })] }),
      );
      const { timeoutSeconds } = probe;
      expect(first(result)?.[field]).toEqual({
        ...led(kind),
        periodSeconds: 3,
        failureThreshold: 9,
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      });
      expect(probesOf(result.pod)).toEqual({ [`/probe/model/${kind}`]: target });
    }
  });

  it('hooks are led there too, with the grace period as their time', () => {
    const lifecycle = {
      postStart: { tcpSocket: { port: 'http' } },
      preStop: { httpGet: { port: 'http', path: '/bye' } },
    };
    const result = injected(pod({ terminationGracePeriodSeconds: 45, containers: [model({ lifecycle })] }));
    const key = testOptions.drawn?.hookKey ?? '';
    expect(first(result)?.lifecycle).toEqual({
      postStart: led(`post-start/${key}`),
      preStop: led(`pre-stop/${key}`),
    });
    expect(probesOf(result.pod)).toEqual({
      [`/probe/model/post-start/${key}`]: { timeoutSeconds: 45, tcpSocket: { port: 8000 } },
      [`/probe/model/pre-stop/${key}`]: { timeoutSeconds: 45, httpGet: { port: 8000, path: '/bye', scheme: 'HTTP' } },
    });
    expect(result.notes.map(({ code }) => code)).toContain('prestop_kept');
  });

  it('exec, sleep and other hosts are left', () => {
    const value = pod({
      containers: [
        model({
          livenessProbe: { exec: { command: ['true'] } },
          readinessProbe: { httpGet: { port: 80, host: 'example.com' } },
          lifecycle: { preStop: { sleep: { seconds: 5 } } },
        }),
      ],
    });
    const result = injected(value);
    expect(first(result)).toMatchObject((value['spec'] as { containers: Json[] }).containers[0] as Json);
    expect(probesOf(result.pod)).toEqual({});
    expect(result.notes.map(({ code }) => code)).toEqual(['prestop_kept', 'loopback_open_to_root', 'probe_host_left']);
  });

  it('a native sidecar of others is served too', () => {
    const result = injected(
      pod({
        initContainers: [
          { name: 'beside', image: 'a:1', restartPolicy: 'Always', startupProbe: { tcpSocket: { port: 7000 } } },
        ],
      }),
    );
    expect(probesOf(result.pod)).toEqual({ '/probe/beside/startup': { timeoutSeconds: 1, tcpSocket: { port: 7000 } } });
  });

  it('a model without a preStop hook waits for what is in flight', () => {
    expect(first(injected(pod()))?.lifecycle).toEqual({
      preStop: { httpGet: { path: '/drain', port: 17490, scheme: 'HTTP' } },
    });
  });

  it('a container that serves nothing gets no hook', () => {
    const result = injected(pod({ containers: [model(), { name: 'logs', image: 'a:1' }] }));
    expect(result.pod.spec.containers[1]?.lifecycle).toBeUndefined();
  });
});

describe('a pod that was injected before', () => {
  const before = injected(
    pod({ containers: [model({ readinessProbe: { httpGet: { port: 'http', path: '/ready' } } })] }),
  ).pod;
  const target = { timeoutSeconds: 1, httpGet: { port: 8000, path: '/ready', scheme: 'HTTP' } };

  it('and got a container in front of ours has ours moved back, by one move each', () => {
    const value = changed(before, (copy: { spec: { initContainers: Json[] } }) => {
      copy.spec.initContainers.unshift({
        name: 'first',
        image: 'a:1',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      });
    });
    const result = injected(value);
    expect(initNames(result)).toEqual(['sidegate-init', 'sidegate', 'first']);
    expect(result.patch.map(({ op }: PatchOperation) => op)).toEqual(['move', 'move']);
  });

  it('and got a mesh has ours stand after it', () => {
    const value = changed(before, (copy: { spec: { initContainers: Json[] } }) => {
      copy.spec.initContainers.push({ name: 'warm-up', image: 'a:1' });
      copy.spec.initContainers.unshift({
        name: 'istio-proxy',
        image: 'istio/proxyv2:1',
        args: ['proxy'],
        restartPolicy: 'Always',
      });
    });
    expect(initNames(injected(value))).toEqual(['istio-proxy', 'sidegate-init', 'sidegate', 'warm-up']);
  });

  it('and got a container, a port and a probe has them governed too', () => {
    const value = changed(before, (copy: { spec: { containers: Json[] } }) => {
      copy.spec.containers.push({
        name: 'late',
        image: 'a:1',
        ports: [{ name: 'web', containerPort: 7000 }],
        livenessProbe: { httpGet: { port: 'web' } },
      });
    });
    const result = injected(value);
    expect(result.portMap).toEqual({ 7000: 17400, 8000: 17401 });
    expect(probesOf(result.pod)).toEqual({
      '/probe/model/readiness': target,
      '/probe/late/liveness': { timeoutSeconds: 1, httpGet: { port: 7000, path: '/', scheme: 'HTTP' } },
    });
  });

  it('and whose hook a mesh has led to itself keeps what the mesh asks, with the key of then', () => {
    const hooked = injected(
      pod({ containers: [model({ lifecycle: { preStop: { httpGet: { port: 'http', path: '/bye' } } } })] }),
    ).pod;
    const value = changed(hooked, (copy: { spec: { containers: Json[] } }) => {
      copy.spec.containers.unshift({ name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy'] });
      (copy.spec.containers[1] as { lifecycle: unknown }).lifecycle = {
        preStop: { httpGet: { path: '/app-lifecycle/model/prestopz', port: 15020 } },
      };
    });
    const later = { ...testOptions, drawn: draw(Buffer.alloc(drawnBytes, 7)) };
    expect(Object.keys(probesOf(injected(value, later).pod))).toEqual([
      `/probe/model/pre-stop/${testOptions.drawn?.hookKey}`,
    ]);
  });

  it('for another pod gets a key and a gid of its own', () => {
    const hooked = injected(
      pod({ containers: [model({ lifecycle: { preStop: { httpGet: { port: 'http', path: '/bye' } } } })] }),
    ).pod;
    const later = { ...testOptions, drawn: draw(Buffer.alloc(drawnBytes, 7)) };
    const copy = injected(hooked, later).pod;
    expect(drawnOf(copy).hookKey).toBe(later.drawn.hookKey);
    expect(copy.spec.containers[0]?.lifecycle?.preStop?.httpGet?.path).toBe(
      `/probe/model/pre-stop/${later.drawn.hookKey}`,
    );
    expect(sidecarOf(copy)?.securityContext?.runAsGroup).not.toBe(sidecarOf(hooked)?.securityContext?.runAsGroup);
    expect(argument(copy, '--gid', 'sidegate-init')).toBe(`${sidecarOf(copy)?.securityContext?.runAsGroup}`);
    expect(checkFinalState(copy, paramsOf(testOptions))).toEqual([]);
  });

  it('and whose probe a mesh has led to itself keeps what the mesh asks', () => {
    const value = changed(before, (copy: { spec: { containers: Json[] } }) => {
      copy.spec.containers.unshift({ name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy'] });
      (copy.spec.containers[1] as { readinessProbe: unknown }).readinessProbe = {
        httpGet: { path: '/app-health/model/readyz', port: 15020 },
      };
    });
    expect(probesOf(injected(value).pod)).toEqual({ '/probe/model/readiness': target });
  });

  it('and got a volume behind ours is not patched for it', () => {
    const value = changed(before, (copy: { spec: { volumes: Json[] } }) => {
      copy.spec.volumes.push({ name: 'late', emptyDir: {} });
    });
    expect(injected(value).patch).toEqual([]);
  });

  it('and whose probe now asks for what another stood for is refused', () => {
    const value = changed(before, (copy: { spec: { containers: Json[] } }) => {
      Object.assign(copy.spec.containers[0] ?? {}, {
        readinessProbe: { httpGet: { path: '/probe/other/readiness', port: 17490 } },
      });
    });
    expect(codes(value)).toEqual(['probe_lost']);
  });

  it('and whose probe is gone no longer serves it', () => {
    const value = changed(before, (copy: { spec: { containers: Json[] } }) => {
      delete copy.spec.containers[0]?.['readinessProbe'];
    });
    expect(probesOf(injected(value).pod)).toEqual({});
  });

  it("keeps what the cluster's own admission insists on, and loses the token that it mounts", () => {
    const value = changed(before, (copy: { spec: { initContainers: Json[] } }) => {
      for (const one of copy.spec.initContainers) {
        one['imagePullPolicy'] = 'Always';
        one['volumeMounts'] = [
          ...((one['volumeMounts'] as Json[] | undefined) ?? []),
          { name: 'kube-api-access-x', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true },
        ];
        const { limits, requests } = one['resources'] as { limits: Json; requests: Json };
        Object.assign(limits, { 'ephemeral-storage': '1Gi', cpu: '1', memory: '4Ki' });
        requests['example.com/x'] = 2;
      }
    });
    expect(checkFinalState(value, paramsOf(testOptions))).toEqual([]);
    const result = injected(value);
    const sidecar = sidecarOf(result.pod);
    expect(sidecar?.imagePullPolicy).toBe('Always');
    // Whatever a LimitRange gives; what the chart's values name is theirs.
    expect(sidecar?.resources).toEqual({
      limits: { 'ephemeral-storage': '1Gi', cpu: '1', memory: '768Mi' },
      requests: { 'example.com/x': '2', cpu: '100m', memory: '192Mi' },
    });
    expect(sidecar?.volumeMounts).toHaveLength(3);
    expect(checkFinalState(result.pod, paramsOf(testOptions))).toEqual([]);
  });

  it('in capture mode NamedPort keeps the names that it moved', () => {
    const options: InjectOptions = { ...testOptions, captureMode: 'NamedPort' };
    const once = injected(pod(), options);
    expect(once.pod.spec.containers[0]?.ports).toEqual([{ containerPort: 8000 }]);
    const value = changed(once.pod, (copy: { spec: { containers: Json[] } }) => {
      copy.spec.containers.unshift({ name: 'early', image: 'a:1', ports: [{ name: 'web', containerPort: 7000 }] });
      (copy.spec.containers[1] as Json)['livenessProbe'] = { tcpSocket: { port: 'http' } };
    });
    const twice = injected(value, options);
    expect(sidecarOf(twice.pod)?.ports?.slice(0, 2)).toEqual([
      { name: 'web', containerPort: 17400, protocol: 'TCP' },
      { name: 'http', containerPort: 17401, protocol: 'TCP' },
    ]);
    expect(probesOf(twice.pod)).toEqual({ '/probe/model/liveness': { timeoutSeconds: 1, tcpSocket: { port: 8000 } } });
  });

  it('in capture mode NamedPort says which ports of a mesh stay open, whatever the pod says of it', () => {
    const options: InjectOptions = { ...testOptions, captureMode: 'NamedPort' };
    const proxy = {
      name: 'istio-proxy',
      image: 'istio/proxyv2:1',
      args: ['proxy'],
      ports: [{ containerPort: 15_090 }],
    };
    const said = (containers: readonly Json[], mode: InjectOptions): unknown => {
      const forged = changed(pod({ containers }), (copy: { metadata: Json }) => {
        copy.metadata['annotations'] = { 'sidegate.dev/open-ports': '22' };
      });
      const once = injected(forged, mode).pod;
      expect(injected(once, mode).patch).toEqual([]);
      return once.metadata?.annotations?.['sidegate.dev/open-ports'];
    };
    const meshed = String(said([proxy, model()], options)).split(',');
    expect(meshed).toEqual(expect.arrayContaining(['15021', '15090']));
    expect(said([model()], options)).toBeUndefined();
    expect(said([proxy, model()], testOptions)).toBeUndefined();
  });

  it('in capture mode NamedPort says when a name is declared twice', () => {
    const value = pod({
      containers: [model(), model({ name: 'second', ports: [{ name: 'http', containerPort: 9000 }] })],
    });
    const result = injected(value, { ...testOptions, captureMode: 'NamedPort' });
    expect(result.notes.map(({ code }) => code)).toContain('port_name_twice');
    expect(sidecarOf(result.pod)?.ports?.map(({ name }) => name)).toEqual(['http', 'sidegate-probe', 'sidegate-admin']);
  });

  it('by an older version is written anew', () => {
    const old = injected(pod(), {
      ...testOptions,
      image: 'sidegate/sidegate:0.0.9',
      version: '0.0.9',
      nativeSidecars: false,
    }).pod;
    const result = injected(old);
    expect(result.pod).toEqual(injected(pod()).pod);
  });
});

describe('a fake of ours', () => {
  const fake = {
    name: 'sidegate',
    image: 'evil/sidecar:1',
    command: ['sh'],
    args: [
      'sidecar',
      '--ports',
      '8000=17400:17430',
      '--probes',
      '{"/probe/model/liveness":{"timeoutSeconds":1,"httpGet":{"port":8000,"path":"/v1/chat/completions","scheme":"HTTP"}},"/other":{"timeoutSeconds":1,"tcpSocket":{"port":8000}}}',
    ],
    env: [{ name: 'NODE_OPTIONS', value: '--require /evil.js' }],
  };
  const clean = injected(pod()).pod;

  it.each<[string, Json]>([
    ['as a native sidecar', { initContainers: [{ ...fake, restartPolicy: 'Always' }] }],
    ['as a container', { containers: [model(), fake] }],
    ['of init', { initContainers: [{ ...fake, name: 'sidegate-init' }] }],
  ])('%s is written over, and reported', (_, spec) => {
    const result = injected(pod(spec));
    expect(JSON.stringify(result.pod)).toBe(JSON.stringify(changed(result.pod, () => undefined)));
    expect(JSON.stringify(result.pod)).not.toMatch(/evil|NODE_OPTIONS|chat/);
    expect(sidecarOf(result.pod)).toEqual(sidecarOf(clean));
    expect(result.notes.map(({ code }) => code)).toContain('reserved_container_replaced');
    expect(applyPatch(pod(spec), result.patch)).toEqual(result.pod);
  });

  it('of our volumes and annotations is written over', () => {
    const value = pod(
      {
        volumes: [
          { name: 'sidegate-state', hostPath: { path: '/' } },
          { name: 'sidegate-token', emptyDir: {} },
        ],
      },
      {
        annotations: {
          'sidegate.dev/port-map': '{}',
          'sidegate.dev/injected': '{"mode":"none"}',
          'kubectl.kubernetes.io/default-container': 'sidegate',
        },
      },
    );
    const result = injected(value).pod;
    expect(result.spec.volumes).toEqual(clean.spec.volumes);
    const twice = pod({ volumes: [...(clean.spec.volumes ?? []), { name: 'sidegate-token', emptyDir: {} }] });
    expect(injected(twice).pod.spec.volumes).toEqual(clean.spec.volumes);
    expect(result.metadata?.annotations).toEqual(clean.metadata?.annotations);
  });

  it('records no probe that the pod does not declare, and none that is not whole', () => {
    const recorded = (text: string): Json =>
      pod({
        containers: [
          model({ livenessProbe: { httpGet: { path: '/probe/model/liveness', port: 17490 } } }),
          { ...fake, args: ['sidecar', '--probes', text] },
        ],
      });
    const good = '{"timeoutSeconds":1,"tcpSocket":{"port":8000}}';
    expect(
      probesOf(
        injected(recorded(`{"/probe/model/liveness":${good},"/probe/model/readiness":${good},"/admin":${good}}`)).pod,
      ),
    ).toEqual({
      '/probe/model/liveness': JSON.parse(good),
    });
    for (const text of [
      'not JSON',
      '[]',
      '{"/probe/model/liveness":{"timeoutSeconds":1,"tcpSocket":{"port":0}}}',
      '{"/probe/model/liveness":{"timeoutSeconds":1,"tcpSocket":{"port":8000,"host":"example.com"}}}',
      '{"/probe/model/liveness":{"timeoutSeconds":1,"httpGet":{"port":8000,"path":"/","scheme":"HTTP","host":"example.com"}}}',
      '{"/probe/model/liveness":{"timeoutSeconds":1,"httpGet":{"port":8000,"path":"/","scheme":"FTP"}}}',
      '{"/probe/model/liveness":{"tcpSocket":{"port":8000}}}',
      '{"/probe/model/liveness":{"timeoutSeconds":1,"tcpSocket":{"port":8000},"grpc":{"port":1,"service":""}}}',
    ])
      expect(codes(recorded(text))).toEqual(['probe_lost']);
  });
});

describe('other containers', () => {
  it('lose NET_RAW, and keep what they drop already', () => {
    const drops = (capabilities: unknown): unknown =>
      injected(pod({ containers: [model({ securityContext: { capabilities, runAsUser: 7 } })] })).pod.spec.containers[0]
        ?.securityContext;
    const always = { runAsUser: 7, allowPrivilegeEscalation: false };
    expect(drops(undefined)).toEqual({ ...always, capabilities: { drop: ['NET_RAW', 'SETUID', 'SETGID'] } });
    expect(drops({ drop: ['CHOWN'], add: ['IPC_LOCK'] })).toEqual({
      ...always,
      capabilities: { drop: ['CHOWN', 'NET_RAW', 'SETUID', 'SETGID'], add: ['IPC_LOCK'] },
    });
    expect(drops({ drop: ['ALL'] })).toEqual({ ...always, capabilities: { drop: ['ALL'] } });
    expect(drops({ drop: ['NET_RAW', 'SETGID'] })).toEqual({
      ...always,
      capabilities: { drop: ['NET_RAW', 'SETGID', 'SETUID'] },
    });
    expect(drops({ drop: ['cap_net_raw'] })).toEqual({
      ...always,
      capabilities: { drop: ['cap_net_raw', 'NET_RAW', 'SETUID', 'SETGID'] },
    });
  });

  describe('become another user', () => {
    const context = (securityContext: Json, changeUser: InjectOptions['changeUser'] = 'IfDeclared') => {
      const options = { ...testOptions, changeUser };
      const result = injected(pod({ containers: [model({ securityContext })] }), options);
      expect(checkFinalState(result.pod, paramsOf(options))).toEqual([]);
      expect(injected(result.pod, options).patch).toEqual([]);
      return {
        is: result.pod.spec.containers[0]?.securityContext,
        told: result.notes.some(({ code }) => code === 'may_change_user'),
      };
    };

    it('never, unless they say so', () => {
      expect(context({})).toMatchObject({ is: { allowPrivilegeEscalation: false }, told: false });
      expect(context({}, 'Never')).toEqual(context({}));
    });

    it('where they say so, and their author is told what it means', () => {
      expect(context({ capabilities: { add: ['CAP_SETUID', 'SETGID'] } })).toEqual({
        is: { allowPrivilegeEscalation: false, capabilities: { add: ['CAP_SETUID', 'SETGID'], drop: ['NET_RAW'] } },
        told: true,
      });
      expect(context({ capabilities: { add: ['SETGID'], drop: ['ALL'] } })).toEqual({
        is: { allowPrivilegeEscalation: false, capabilities: { add: ['SETGID'], drop: ['ALL'] } },
        told: true,
      });
      expect(context({ allowPrivilegeEscalation: true })).toEqual({
        is: { allowPrivilegeEscalation: true, capabilities: { drop: ['NET_RAW', 'SETUID', 'SETGID'] } },
        told: true,
      });
    });

    it('as ever where the chart says so', () => {
      expect(context({}, 'Always')).toEqual({ is: { capabilities: { drop: ['NET_RAW'] } }, told: true });
      expect(context({ capabilities: { drop: ['ALL'] }, allowPrivilegeEscalation: false }, 'Always').told).toBe(false);
    });
  });

  it('name the container that kubectl goes to, unless it is named', () => {
    const annotations = (metadata: Json = {}) =>
      injected(pod({ containers: [{ name: 'logs', image: 'a:1' }, model()] }, metadata)).pod.metadata?.annotations;
    expect(annotations()).toMatchObject({
      'kubectl.kubernetes.io/default-container': 'model',
      'kubectl.kubernetes.io/default-logs-container': 'model',
    });
    expect(annotations({ annotations: { 'kubectl.kubernetes.io/default-container': 'logs' } })).toMatchObject({
      'kubectl.kubernetes.io/default-container': 'logs',
      'kubectl.kubernetes.io/default-logs-container': 'model',
    });
  });
});

describe('what the author of a pod is told', () => {
  const notes = (value: unknown, options = testOptions): readonly string[] =>
    injected(value, options).notes.map(({ code, at }) => (at === undefined ? code : `${code} ${at}`));

  it('that an image beside the model chooses its user, where the pod does not', () => {
    const says = (spec: Json, options?: InjectOptions): readonly string[] =>
      notes(pod(spec), options).filter((note) => note.startsWith('image_chooses_user'));
    const logs = { name: 'logs', image: 'some/logs:latest' };
    const uid = { securityContext: { runAsUser: 1000 } };
    expect(says({})).toEqual([]);
    expect(says({ containers: [model(), logs] }, { ...testOptions, changeUser: 'Never' })).toEqual([
      'image_chooses_user logs',
    ]);
    expect(says({ containers: [model(), { ...logs, ...uid }] })).toEqual([]);
    expect(says({ ...uid, containers: [model(), logs] })).toEqual([]);
    // An init container has ended before there is a model.
    expect(says({ initContainers: [logs] })).toEqual([]);
    expect(says({ initContainers: [{ ...logs, restartPolicy: 'Always' }] })).toEqual(['image_chooses_user logs']);
  });

  it('that its callers are dropped, where Istio redirects inside it without a proxy', () => {
    const of = (mode: string): Json =>
      pod({}, { labels: { 'sidegate.dev/inference': 'true', 'istio.io/dataplane-mode': mode } });
    expect(notes(of('ambient'))).toContain('ambient_mesh');
    expect(notes(of('none'))).not.toContain('ambient_mesh');
    expect(notes(of('ambient'), { ...testOptions, captureMode: 'NamedPort' })).not.toContain('ambient_mesh');
  });
});

describe('the annotation that tells injectors apart', () => {
  it('changes with what shapes pods, and not with the namespace', () => {
    const hash = templateHash(testOptions);
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(
      templateHash({ ...testOptions, namespace: { name: 'b', governed: false }, governNamespaces: 'Required' }),
    ).toBe(hash);
    for (const differing of [
      { image: 'b:2' },
      { uid: 5 },
      { nativeSidecars: false },
      { captureMode: 'NamedPort' as const },
      { spoolSize: '2Gi' },
    ])
      expect(templateHash({ ...testOptions, ...differing })).not.toBe(hash);
  });

  it('does not depend on the order of fields', () => {
    expect(templateHash(Object.fromEntries(Object.entries(testOptions).reverse()) as unknown as InjectOptions)).toBe(
      templateHash(testOptions),
    );
  });
});

describe('the hook that lets the model wait for a plain sidecar', () => {
  it('ends when the sidecar has started, and not before', async () => {
    let started = false;
    let asked = 0;
    const server = createServer((request, response) => {
      if (request.url === '/startupz') asked++;
      response.writeHead(started ? 200 : 503).end();
      started = asked >= 3;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const [node, flag, script = ''] = waitHook.exec.command;
    expect([node, flag]).toEqual(['/usr/bin/node', '--eval']);
    expect(script).toContain("'http://127.0.0.1:17491/startupz'");
    const args = ['--eval', script.replace(':17491/', `:${port}/`)];
    const child = spawn(process.execPath, args, { stdio: 'inherit' });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => server.close(resolve));
    expect(code).toBe(0);
    expect(asked).toBeGreaterThanOrEqual(4);
  });
});
