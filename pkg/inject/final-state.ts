/**
 * Whether a labelled pod is governed, looked at from outside and after everybody who may change it at admission: what the
 * ValidatingAdmissionPolicy says in CEL. It does not run `inject`: a fault there is to show here. Each rule looks at fields of the
 * one object and at parameters, so that CEL can say it.
 */
import {
  annotations,
  containers as own,
  controllerAudience,
  environment,
  inferenceLabel,
  inferenceLabelValue,
  listeners,
  mountPaths,
  paths,
  tokenFile,
  tokenSeconds,
  volumes as ownVolumes,
} from '../contract/index.ts';
import { dropsRawSockets, isConfined } from './confinement.ts';
import { isDrawnGid } from './drawn.ts';
import type { InjectOptions } from './options.ts';
import { modelRequestsArgument, proxyEnvironment, waitHook } from './our-containers.ts';
import { readPod } from './pod.ts';
import { sameJson } from './same-json.ts';
import type { Container, Handler, Pod } from './pod.ts';
import {
  dialerUid,
  formatHelpers,
  formatOpenPorts,
  formatPortMap,
  formatPorts,
  likeDialer,
  meshesOf,
  portsOf,
} from './ports.ts';
import type { PodPorts } from './ports.ts';
import { argumentAfter, previousRun } from './previous.ts';
import { isDrainHook, isOpenHook } from './probes.ts';
import { spoolLimit } from './quantity.ts';
import { refusalsOf } from './refusals.ts';
import { entriesOf } from './roles.ts';
import type { Entry } from './roles.ts';

export interface FinalStateParams {
  readonly options: InjectOptions;
  /** Images that our containers may have: the present one and the one before. */
  readonly images: readonly string[];
  /** PEM bundles that the sidecar may be given; during a rotation the old and the new. */
  readonly authorities: readonly string[];
  /** Values of the annotation {@link annotations.injected} that count. */
  readonly injected: readonly string[];
}

/** What does not hold; the rule's name is stable. */
export interface Violation {
  readonly rule: FinalStateRule;
  readonly message: string;
}

interface Subject {
  readonly pod: Pod;
  readonly params: FinalStateParams;
  readonly entries: readonly Entry[];
  readonly others: readonly Entry[];
  readonly ports: PodPorts;
  readonly init: Container | undefined;
  readonly sidecar: Container | undefined;
  /** The sidecar's; undefined where it is none that could be drawn. */
  readonly gid: number | undefined;
}

/** Undefined: it holds. */
type Rule = (subject: Subject) => string | undefined;

const unless = (holds: boolean, message: string): string | undefined => (holds ? undefined : message);

/** Where the kubelet's admission mounts the pod's own service-account token into every container. */
const serviceAccountPath = '/var/run/secrets/kubernetes.io/serviceaccount';

const mountsOf = ({ volumeMounts }: Container): unknown =>
  (volumeMounts ?? []).filter(({ mountPath, readOnly }) => mountPath !== serviceAccountPath || readOnly !== true);

/** Flags with one value each, none twice: of two, the process would take the last. */
function hasOnlyFlags(container: Container, process: string, flags: readonly string[]): boolean {
  const [first, ...rest] = container.args ?? [];
  const given = rest.filter((_, at) => at % 2 === 0);
  return (
    first === process &&
    rest.length % 2 === 0 &&
    given.every((flag) => flags.includes(flag)) &&
    new Set(given).size === given.length
  );
}

const list = (text: string | undefined): readonly string[] =>
  text === undefined || text === '' ? [] : text.split(',');

const within = (text: string | undefined, allowed: readonly (string | number)[]): boolean =>
  list(text).every((item) => allowed.map(String).includes(item));

const asksAdmin = (handler: Handler | null | undefined, path: string): boolean =>
  handler?.httpGet?.port === listeners.admin && handler.httpGet.path === path && !handler.httpGet.host && !handler.exec;

/** Fields of ours that are written, and what the API server may add to them. */
const knownFields = new Set([
  ...['name', 'image', 'imagePullPolicy', 'args', 'resources', 'securityContext', 'volumeMounts', 'restartPolicy'],
  ...['env', 'ports', 'startupProbe', 'livenessProbe', 'readinessProbe', 'lifecycle'],
  ...['terminationMessagePath', 'terminationMessagePolicy'],
]);

const restricted = (uid: number, gid: number | undefined): unknown => ({
  runAsUser: uid,
  runAsGroup: gid,
  runAsNonRoot: true,
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
});

const netAdmin = {
  runAsUser: 0,
  runAsGroup: 0,
  runAsNonRoot: false,
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

const redirects = ({ params }: Subject): boolean => params.options.captureMode === 'Redirect';

/** By name, in the order in which they are reported. */
const rules = {
  label: ({ pod }) =>
    unless(pod.metadata?.labels?.[inferenceLabel] === inferenceLabelValue, 'the label must be "true"'),
  sidecar_present: ({ entries, params }) => {
    const found = entries.filter(({ container }) => container.name === own.sidecar);
    const at = params.options.nativeSidecars ? 'initContainers' : 'containers';
    return unless(found.length === 1 && found[0]?.list === at, `container ${own.sidecar} must stand once, in ${at}`);
  },
  init_present: (subject) => {
    const found = subject.entries.filter(({ container }) => container.name === own.init);
    return redirects(subject)
      ? unless(found.length === 1 && found[0]?.list === 'initContainers', `init container ${own.init} must stand once`)
      : unless(found.length === 0, `there must be no ${own.init} in capture mode NamedPort`);
  },
  order: ({ pod, entries, params }) => {
    const inits = entries.filter((entry) => entry.list === 'initContainers');
    const lead = inits.findIndex(({ role }) => role.kind !== 'network-init' && role.kind !== 'proxy');
    const ours = inits.filter(({ role }) => role.kind === 'ours').map(({ container }) => container.name);
    const there = inits.slice(lead, lead + ours.length).map(({ container }) => container.name);
    const wanted = [own.init, own.sidecar].filter((name) => ours.includes(name));
    const plainFirst = params.options.nativeSidecars || pod.spec.containers[0]?.name === own.sidecar;
    return unless(
      (ours.length === 0 || sameJson(there, wanted)) && plainFirst,
      `${own.init} and ${own.sidecar} must stand before all containers but those of a known mesh`,
    );
  },
  image: ({ init, sidecar, params }) =>
    unless(
      [init, sidecar].every((one) => one === undefined || params.images.includes(one.image ?? '')),
      'the image of our containers must be one of those that are allowed',
    ),
  fields: ({ init, sidecar }) =>
    unless(
      [init, sidecar].every((one) => Object.keys(one ?? {}).every((key) => knownFields.has(key))),
      'our containers must have no field that the webhook does not write',
    ),
  restart_policy: ({ sidecar, params }) =>
    unless(
      !params.options.nativeSidecars || sidecar?.restartPolicy === 'Always',
      `container ${own.sidecar} must have restartPolicy Always`,
    ),
  security_context: ({ init, sidecar, params, gid }) =>
    unless(
      (sidecar === undefined ||
        (gid !== undefined && sameJson(sidecar.securityContext, restricted(params.options.uid, gid)))) &&
        (init === undefined || sameJson(init.securityContext, netAdmin)),
      'the security context of our containers must be what the webhook writes',
    ),
  sidecar_arguments: ({ pod, sidecar, params: { options }, ports }) => {
    if (sidecar === undefined) return undefined;
    const expected: readonly (readonly [flag: string, value: string | undefined])[] = [
      ['--ports', formatPorts(ports.governed)],
      ['--helpers', formatHelpers(ports.helpers) || undefined],
      ['--capture', options.captureMode],
      ['--controller', options.controller.url],
      ['--controller-name', options.controller.name],
      ['--token-file', `${mountPaths.token}/${tokenFile}`],
      ['--state', mountPaths.state],
      ['--spool', mountPaths.spool],
      ['--spool-limit', `${spoolLimit(options.spoolSize)}`],
      ['--model-requests', modelRequestsArgument(options)],
    ];
    const flags = [...expected.map(([flag]) => flag), '--probes', '--grace'];
    return unless(
      ![...previousRun(pod).probes.keys()].some(isOpenHook) &&
        hasOnlyFlags(sidecar, 'sidecar', flags) &&
        expected.every(([flag, value]) => argumentAfter(sidecar.args, flag) === value),
      `the arguments of ${own.sidecar} must be what the webhook writes`,
    );
  },
  init_arguments: ({ init, sidecar, pod, params: { options }, others, ports, gid }) => {
    if (init === undefined) return undefined;
    const argument = (flag: string): string | undefined => argumentAfter(init.args, flag);
    const meshes = meshesOf(others);
    const dialers = likeDialer(pod, others);
    const inner = dialers.some(({ role }) => role.kind === 'wrapper') ? ports.inner : [];
    const exact: readonly (readonly [flag: string, value: string | undefined])[] = [
      ['--ports', formatPorts(ports.governed)],
      ['--uid', `${options.uid}`],
      ['--gid', sidecar === undefined ? argument('--gid') : `${gid ?? ''}`],
      ['--sidecar-tcp', `${listeners.probe}-${listeners.admin}`],
      ['--helpers', formatHelpers(ports.helpers) || undefined],
      ['--proxy-uids', meshes.map(({ proxyUid }) => proxyUid).join(',') || undefined],
      ['--dialer-uid', `${dialerUid(pod)}`],
    ];
    const opens =
      within(argument('--allow-tcp'), ports.open) &&
      within(
        argument('--proxy-tcp'),
        meshes.flatMap(({ loopbackTcp }) => list(loopbackTcp)),
      ) &&
      within(argument('--dialer-tcp'), dialers.length === 0 ? [] : [...list(options.internalTcp), ...inner]);
    const flags = [...exact.map(([flag]) => flag), '--allow-tcp', '--proxy-tcp', '--dialer-tcp'];
    return unless(
      hasOnlyFlags(init, 'init', flags) && exact.every(([flag, value]) => argument(flag) === value) && opens,
      `the arguments of ${own.init} must be what the webhook writes`,
    );
  },
  environment: ({ init, sidecar, params }) => {
    const fields = {
      [environment.podName]: 'metadata.name',
      [environment.podNamespace]: 'metadata.namespace',
      [environment.podUid]: 'metadata.uid',
      [environment.podIp]: 'status.podIP',
    };
    const texts = proxyEnvironment(params.options);
    const good = (sidecar?.env ?? []).every(({ name, value, valueFrom }) => {
      if (name === environment.controllerCa) return params.authorities.includes(value ?? '');
      if (Object.hasOwn(texts, name)) return valueFrom === undefined && value === texts[name];
      return name in fields && valueFrom?.fieldRef?.fieldPath === fields[name as keyof typeof fields];
    });
    const count = 5 + Object.keys(texts).length;
    return unless(
      good && (sidecar === undefined || sidecar.env?.length === count) && (init?.env ?? []).length === 0,
      'the environment of our containers must be what the webhook writes, with an authority that is allowed',
    );
  },
  mounts: ({ init, sidecar }) =>
    unless(
      (init === undefined || sameJson(mountsOf(init), [])) &&
        (sidecar === undefined ||
          sameJson(mountsOf(sidecar), [
            { name: ownVolumes.state, mountPath: mountPaths.state },
            { name: ownVolumes.token, mountPath: mountPaths.token, readOnly: true },
            { name: ownVolumes.spool, mountPath: mountPaths.spool },
          ])),
      'our containers must mount our volumes, and nothing else',
    ),
  volumes: ({ pod, params: { options } }) => {
    const source = { audience: controllerAudience, expirationSeconds: tokenSeconds, path: tokenFile };
    const expected = [
      { name: ownVolumes.state, emptyDir: { medium: 'Memory', sizeLimit: options.stateSize } },
      { name: ownVolumes.token, projected: { defaultMode: 0o644, sources: [{ serviceAccountToken: source }] } },
      { name: ownVolumes.spool, emptyDir: { sizeLimit: options.spoolSize } },
    ];
    const names: readonly string[] = Object.values(ownVolumes);
    const ours = (pod.spec.volumes ?? []).filter(({ name }) => names.includes(name));
    return unless(
      ours.length === expected.length && expected.every((volume) => ours.some((one) => sameJson(one, volume))),
      'our volumes must be what the webhook writes',
    );
  },
  probes: ({ init, sidecar }) =>
    unless(
      (sidecar === undefined ||
        (asksAdmin(sidecar.startupProbe, paths.startup) &&
          asksAdmin(sidecar.livenessProbe, paths.health) &&
          asksAdmin(sidecar.readinessProbe, paths.ready))) &&
        !init?.startupProbe &&
        !init?.livenessProbe &&
        !init?.readinessProbe,
      `the probes of ${own.sidecar} must be what the webhook writes`,
    ),
  hooks: ({ init, sidecar, params }) =>
    unless(
      (sidecar === undefined ||
        (isDrainHook(sidecar.lifecycle?.preStop) &&
          sameJson(sidecar.lifecycle?.postStart ?? undefined, params.options.nativeSidecars ? undefined : waitHook))) &&
        !init?.lifecycle,
      'the hooks of our containers must be what the webhook writes',
    ),
  port_map: ({ pod, ports, params }) =>
    unless(
      pod.metadata?.annotations?.[annotations.portMap] === formatPortMap(ports.governed) &&
        pod.metadata.annotations[annotations.openPorts] === formatOpenPorts(ports, params.options),
      `the annotations ${annotations.portMap} and ${annotations.openPorts} must name every governed port, and what stays open beside them`,
    ),
  injected: ({ pod, params }) =>
    unless(
      params.injected.includes(pod.metadata?.annotations?.[annotations.injected] ?? ''),
      `the annotation ${annotations.injected} must be one of those that are allowed`,
    ),
  raw_sockets: ({ others }) => {
    const with_ = others.find(({ role, container }) => role.kind !== 'network-init' && !dropsRawSockets(container));
    return unless(with_ === undefined, `container ${with_?.container.name ?? ''} must drop NET_RAW`);
  },
  change_user: ({ others, params: { options } }) => {
    const free = others.find(
      ({ role, container }) => role.kind !== 'network-init' && !isConfined(container, options.changeUser),
    );
    return unless(
      free === undefined,
      `container ${free?.container.name ?? ''} must drop SETUID and SETGID and have allowPrivilegeEscalation: false, as the webhook writes it`,
    );
  },
  neighbours: ({ pod, params: { options }, others, ports, gid }) => {
    const [first] = refusalsOf({ pod, options, others, ports, gid });
    return first?.message;
  },
} as const satisfies Readonly<Record<string, Rule>>;

export type FinalStateRule = keyof typeof rules | 'readable';

export const finalStateRules = Object.keys(rules) as readonly (keyof typeof rules)[];

/** Every rule that the pod breaks; none: it is governed. @param value a labelled Pod as JSON */
export function checkFinalState(value: unknown, params: FinalStateParams): readonly Violation[] {
  const read = readPod(value);
  if ('fault' in read) return [{ rule: 'readable', message: read.fault }];
  const { pod } = read;
  const entries = entriesOf(pod, params.options);
  const others = entries.filter(({ role }) => role.kind !== 'ours');
  const ours = (name: string): Container | undefined =>
    entries.find(({ container }) => container.name === name)?.container;
  const sidecar = ours(own.sidecar);
  const gid = sidecar?.securityContext?.runAsGroup;
  const subject: Subject = {
    pod,
    params,
    entries,
    others,
    ports: portsOf(pod, others, params.options),
    init: ours(own.init),
    sidecar,
    gid: isDrawnGid(pod, gid) ? gid : undefined,
  };
  return finalStateRules.flatMap((rule) => {
    const message = (rules[rule] as Rule)(subject);
    return message === undefined ? [] : [{ rule, message }];
  });
}
