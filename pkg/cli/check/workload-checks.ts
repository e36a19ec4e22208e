import {
  annotations,
  containers,
  controlPlane,
  drawnGids,
  governedLabel,
  inferenceLabel,
  inferenceLabelValue,
} from '../../contract/index.ts';
import { jsonValue, parseJson } from '../../base/index.ts';
import { mayChangeUser } from '../../inject/index.ts';
import { fail, ok, some, unlessAny, warn } from './finding.ts';
import type { Finding } from './finding.ts';
import { atLeast } from './control-plane-checks.ts';
import type { CheckedPod, CheckedService, Picture } from './picture.ts';

/** Whether every inference pod is really governed. */

const nameOf = ({ metadata }: { readonly metadata: { readonly namespace?: string; readonly name: string } }): string =>
  metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;

const ended = ({ status }: CheckedPod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';
const isLive = (pod: CheckedPod): boolean => pod.metadata.deletionTimestamp === undefined && !ended(pod);

const containersOf = ({ spec }: CheckedPod) => [...(spec.initContainers ?? []), ...spec.containers];
const sidecarOf = (pod: CheckedPod) => containersOf(pod).find(({ name }) => name === containers.sidecar);

interface Injected {
  readonly mode?: string;
}
function injectedOf({ metadata }: CheckedPod): Injected {
  try {
    return jsonValue(parseJson(metadata.annotations?.[annotations.injected] ?? '{}')) as Injected;
  } catch {
    return {};
  }
}
const governedPorts = ({ metadata }: CheckedPod): readonly number[] => {
  try {
    return Object.keys(jsonValue(parseJson(metadata.annotations?.[annotations.portMap] ?? '{}')) as object).map(Number);
  } catch {
    return [];
  }
};

export function sidecars(picture: Picture): readonly Finding[] {
  const { pods: found, maps } = picture;
  if (found.fault !== undefined) return [fail('sidecars', found.fault, 'ask somebody who may list pods')];
  const pods = found.items.filter(isLive);
  const badLabel = pods.filter(({ metadata }) => metadata.labels?.[inferenceLabel] !== inferenceLabelValue);
  const bare = pods.filter((pod) => sidecarOf(pod) === undefined || pod.spec.hostNetwork === true);
  const fixed = bare.filter(({ metadata }) => metadata.annotations?.[annotations.mirror] !== undefined);
  const without = bare.filter((pod) => !fixed.includes(pod));
  const withSidecar = pods.filter((pod) => !bare.includes(pod));
  const unready = withSidecar.filter(
    ({ status }) =>
      ![...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].some(
        ({ name, ready }) => name === containers.sidecar && ready === true,
      ),
  );
  const parameters = maps.items.find(({ metadata }) => metadata.name === controlPlane.parameters)?.data;
  const [current = ''] = (parameters?.['images'] ?? '').split('\n');
  const ofNamespace = (parameters?.['namespaceImages'] ?? '').split('\n').map((line) => line.split('='));
  const wanted = ({ metadata }: CheckedPod): string =>
    ofNamespace.find(([namespace]) => namespace === metadata.namespace)?.[1] ?? current;
  const older = withSidecar.filter((pod) => wanted(pod) !== '' && sidecarOf(pod)?.image !== wanted(pod));
  const names = (list: readonly CheckedPod[]): readonly string[] => list.map(nameOf);
  return [
    unlessAny('sidecars', names(without), {
      ok: `${pods.length - fixed.length} labelled pods, all with a sidecar`,
      message: (list) => `labelled, and without a sidecar (older than Sidegate, or made while it was away): ${list}`,
      hint: 'delete these pods; what made them makes governed ones',
    }),
    ...(fixed.length === 0
      ? []
      : [
          fail(
            'static pods',
            `labelled, and not governed, since admission does not reach them: ${some(names(fixed))}`,
            'run the model from a Deployment, and take the manifest from the node',
          ),
        ]),
    unlessAny('sidecars ready', names(unready), {
      ok: 'all answer',
      message: (list) => `not ready: ${list}`,
      hint: `kubectl logs POD -c ${containers.sidecar}: listeners, certificate, answer of the controller`,
    }),
    unlessAny(
      'sidecar version',
      names(older),
      {
        ok: 'all have the image that this release gives their namespace',
        message: (list) => `have another image: ${list}`,
        hint: 'kubectl rollout restart what made them, before the old image leaves image.previous',
      },
      'warn',
    ),
    ...(badLabel.length === 0
      ? []
      : [
          fail(
            'labels',
            `${inferenceLabel} is not "${inferenceLabelValue}": ${some(names(badLabel))}`,
            'correct the label in the pod template',
          ),
        ]),
  ];
}

/** What may take the way round that no rule of the kernel closes. */
export function neighbours({ pods }: Picture): readonly Finding[] {
  const live = pods.items.filter(isLive).filter((pod) => sidecarOf(pod) !== undefined);
  const ours: readonly string[] = Object.values(containers);
  const free = live.flatMap((pod) => {
    const names = containersOf(pod)
      .filter((one) => !ours.includes(one.name) && mayChangeUser(one))
      .map(({ name }) => name);
    return names.length === 0 ? [] : [`${nameOf(pod)} (${names.join(', ')})`];
  });
  const old = live.filter((pod) => {
    const gid = sidecarOf(pod)?.securityContext?.runAsGroup;
    return ![drawnGids.inCluster, drawnGids.inUserNamespace].some(
      ({ first, count }) => gid !== undefined && gid !== null && first <= gid && gid < first + count,
    );
  });
  return [
    unlessAny(
      'neighbours',
      free,
      {
        ok: 'no container beside a sidecar may become another user',
        message: (names) => `may become another user, and so try to become the sidecar's: ${names}`,
        hint: 'let them run as the user that they need, without SETUID, SETGID and allowPrivilegeEscalation',
      },
      'warn',
    ),
    unlessAny(
      'sidecar groups',
      old.map(nameOf),
      {
        ok: 'each sidecar has a group of its own',
        message: (names) => `have a sidecar whose group an image could name: ${names}`,
        hint: 'kubectl rollout restart what made them: they are older than this release',
      },
      'warn',
    ),
  ];
}

export function governed({ pods, namespaces }: Picture): Finding {
  const fault = pods.fault ?? namespaces.fault;
  if (fault !== undefined) return fail('namespaces', fault, 'ask somebody who may list namespaces and pods');
  const used = new Set(pods.items.filter(isLive).map(({ metadata }) => metadata.namespace));
  const unmarked = namespaces.items
    .filter(({ metadata }) => used.has(metadata.name) && metadata.labels?.[governedLabel] === undefined)
    .map(({ metadata }) => metadata.name);
  return unlessAny('namespaces', unmarked, {
    ok: `${used.size} with governed pods, all marked`,
    message: (names) => `not marked, so the proxy verb of their Services is open: ${names}`,
    hint: `kubectl label namespace NAME ${governedLabel}=true; with governNamespaces Auto the controller does it`,
  });
}

export function policies({ policies: { items, fault } }: Picture): readonly Finding[] {
  if (fault !== undefined) return [fail('policies', fault, 'ask somebody who may list policies')];
  const refused = items.flatMap((policy) => {
    const no = policy.status?.conditions?.find(({ type, status }) => type === 'Accepted' && status === 'False');
    return no === undefined ? [] : [`${nameOf(policy)} (${no.message ?? 'no reason given'})`];
  });
  const unseen = items.filter(({ metadata, status }) => (status?.observedGeneration ?? 0) < (metadata.generation ?? 1));
  const behind = items.filter(({ status }) => (status?.pods?.behind ?? 0) + (status?.pods?.refusing ?? 0) > 0);
  const idle = items.filter(({ status }) => status?.pods?.selected === 0);
  return [
    unlessAny('policies', refused, {
      ok: `${items.length} policies, none refused`,
      message: (names) => `not accepted: ${names}`,
      hint: 'kubectl describe says which field; kubectl sidegate policy validate FILE checks before applying',
    }),
    unlessAny('policies seen', unseen.map(nameOf), {
      ok: 'the controller has seen the newest of each',
      message: (names) => `the controller has not seen the newest of: ${names}`,
      hint: 'is a controller leading? see above',
    }),
    unlessAny(
      'policies enforced',
      behind.map((policy) => `${nameOf(policy)} (${policy.status?.enforced ?? '?'})`),
      {
        ok: 'by every pod that they select',
        message: (names) => `some pods do not enforce the newest of: ${names}`,
        hint: 'kubectl describe names them; sidecars that cannot reach the controller keep their last policy',
      },
      'warn',
    ),
    ...(idle.length === 0
      ? []
      : [
          warn(
            'policies used',
            `select no pod: ${some(idle.map(nameOf))}`,
            "compare spec.selector with the pods' labels",
          ),
        ]),
  ];
}

/** UDP goes past every TLS listener; QUIC is UDP. */
export function udpPorts({ pods }: Picture): Finding {
  const names = pods.items
    .filter(isLive)
    .filter((pod) => containersOf(pod).some(({ ports }) => (ports ?? []).some(({ protocol }) => protocol === 'UDP')));
  return unlessAny(
    'udp ports',
    names.map(nameOf),
    {
      ok: 'none are declared',
      message: (list) => `declare UDP ports, which nothing inspects: ${list}`,
      hint: 'take the port out of the pod template, or close it by a NetworkPolicy',
    },
    'warn',
  );
}

const selects = ({ metadata, spec }: CheckedService, pod: CheckedPod): boolean => {
  const wanted = Object.entries(spec.selector ?? {});
  return (
    wanted.length > 0 &&
    metadata.namespace === pod.metadata.namespace &&
    wanted.every(([key, value]) => pod.metadata.labels?.[key] === value)
  );
};

/** In capture mode NamedPort the port's name moved to the sidecar: a number still leads to the model. */
export function bypasses({ pods, services }: Picture): Finding {
  const fault = pods.fault ?? services.fault;
  if (fault !== undefined) return fail('services', fault, 'ask somebody who may list services and pods');
  const named = pods.items.filter((pod) => isLive(pod) && injectedOf(pod).mode === 'NamedPort');
  const wrong = services.items.filter((service) =>
    named
      .filter((pod) => selects(service, pod))
      .some((pod) =>
        (service.spec.ports ?? []).some(({ port, targetPort }) => {
          const target = targetPort ?? port;
          return typeof target === 'number' && governedPorts(pod).includes(target);
        }),
      ),
  );
  return unlessAny('services', wrong.map(nameOf), {
    ok: 'none goes past a sidecar',
    message: (names) => `name a model's port by number where capture is NamedPort: ${names}`,
    hint: "set targetPort to the port's name",
  });
}

export function kubelets({ nodes, maps }: Picture): Finding {
  if (nodes.fault !== undefined) return fail('kubelets', nodes.fault, 'ask somebody who may list nodes');
  const text = maps.items.find(({ metadata }) => metadata.name === controlPlane.options)?.data?.[
    controlPlane.optionsKey
  ];
  if (text === undefined) return warn('kubelets', 'the options of the webhook cannot be read', 'see replicas above');
  if (!/^nativeSidecars: true$/m.test(text)) return ok('kubelets', 'sidecars are plain containers');
  const old = nodes.items.filter(({ status }) => !atLeast(status?.nodeInfo?.kubeletVersion ?? '', 29));
  return unlessAny(
    'kubelets',
    old.map(({ metadata }) => metadata.name),
    {
      ok: 'all know native sidecars',
      message: (names) => `are older than 1.29, so governed pods do not start there: ${names}`,
      hint: 'set sidecar.nativeSidecars to false until they are upgraded',
    },
  );
}
