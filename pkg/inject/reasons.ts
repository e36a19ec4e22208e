/** Why a pod was skipped or refused, or what was done that its author should know: data for the answer, an Event, a metric and a log. */
export interface Reason {
  readonly code: ReasonCode;
  /** One sentence; `at` is already in it. */
  readonly message: string;
  /** What to do about it. */
  readonly fix: string;
  /** The container, volume, port or annotation that it is about. */
  readonly at?: string;
}

type Text = readonly [message: string, fix: string];

/** `{}` stands for what it is about. */
const skips = {
  no_label: [
    'the pod has no label sidegate.dev/inference',
    'to govern it, set sidegate.dev/inference: "true" in the pod template',
  ],
  mirror_pod: [
    "the pod is the API server's picture of a static pod, which admission does not reach",
    'run the model from a Deployment: static pods cannot be governed, and kubectl sidegate check lists them',
  ],
} as const satisfies Readonly<Record<string, Text>>;

const refusals = {
  malformed_pod: ['the pod cannot be read: {}', 'compare the manifest with kubectl explain pod.spec'],
  label_value: [
    'the label sidegate.dev/inference has the value "{}", and only "true" means anything',
    'write sidegate.dev/inference: "true", with the quotes, or remove the label',
  ],
  namespace_not_governed: [
    'the namespace {} is not set up for inference pods',
    'a cluster administrator runs: kubectl label namespace {} sidegate.dev/governed=true',
  ],
  reserved_name: [
    '{} is a name of Sidegate, and the pod does not carry its label',
    'rename it, or set the label sidegate.dev/inference: "true" and let the webhook write it',
  ],
  windows: ['the pod is for Windows nodes, where there is no nftables', 'run the model on Linux'],
  host_network: [
    'hostNetwork puts the pod past every redirect',
    'remove hostNetwork; expose the model by a Service, a LoadBalancer or an Ingress',
  ],
  host_pid: ['hostPID lets other containers look into the sidecar', 'remove hostPID'],
  shared_pid: [
    'shareProcessNamespace lets other containers look into the sidecar and signal it',
    'remove shareProcessNamespace',
  ],
  host_path: [
    'volume {} of the node, where what the sidecar holds and obeys lies too',
    "use a PersistentVolumeClaim or an emptyDir; a cluster administrator may list the exact path in neighbours.hostPaths of the chart's values",
  ],
  privileged: [
    'container {} is privileged, and could take the redirect away',
    'remove securityContext.privileged; devices such as GPUs come through resources.limits',
  ],
  capability: [
    'container {}, and could change or pass the redirect with it, or reach the node',
    'remove it from securityContext.capabilities.add: no model server needs it to serve',
  ],
  change_user: [
    'container {}, and in this cluster no container beside the sidecar may become another user',
    "remove it; a cluster administrator may set neighbours.changeUser: IfDeclared in the chart's values",
  ],
  reserved_uid: [
    '{} is the uid or gid of the sidecar, which alone may reach the model',
    'choose another runAsUser or runAsGroup',
  ],
  reserved_port: ["{} is in 17400 to 17499, which are the sidecar's ports", 'choose another port'],
  reserved_volume: ['container {}, which is for the sidecar alone', 'use a volume of your own'],
  reserved_audience: [
    'volume {} asks for a token of the audience sidegate.dev/controller, which is for the sidecar alone',
    'ask for another audience',
  ],
  udp_port: [
    'container {}: only TCP passes through the sidecar',
    'remove the port from the container; what talks within the pod needs no declared port',
  ],
  host_port: [
    'container {}: a port of the node must not lead to the model',
    'remove hostPort; expose the model by a Service, a LoadBalancer or an Ingress',
  ],
  port_of_mesh: ['port {} is a port of the mesh in this pod', 'let the model listen on another port'],
  wrapper_port: [
    'container {}, and another container declares it too',
    'let the model listen on another port than those of what stands in front of it',
  ],
  no_port: [
    'no container declares a TCP port, so that it is not known what to govern',
    'declare the model server\'s containerPort, or set the annotation sidegate.dev/model-ports: "8000"',
  ],
  too_many_ports: ['the pod has {}, and 30 is the most', 'declare only ports that callers use'],
  bad_model_ports: [
    'the annotation sidegate.dev/model-ports is "{}", and has to be port numbers joined by commas',
    'write for example sidegate.dev/model-ports: "8000,8001"',
  ],
  probe_port_unknown: [
    '{} names a port that its container does not declare',
    'declare the port in the same container, or write its number',
  ],
  probe_lost: [
    '{} leads to the sidecar, and what it stood for is not recorded in this pod',
    'write the probe as you mean it: the webhook leads it to the sidecar',
  ],
  needs_native_sidecars: [
    'init container {} keeps running beside the others, and this cluster is set to plain sidecars',
    "set nativeSidecars in the chart's values when every node has Kubernetes 1.29 or newer",
  ],
} as const satisfies Readonly<Record<string, Text>>;

const notes = {
  prestop_kept: [
    'container {} has a preStop hook of its own, so that it may stop while answers still stream',
    'end the hook with a request to http://127.0.0.1:17490/drain, which answers when nothing is in flight',
  ],
  probe_host_left: ['{} asks another host than the pod, and was left', 'remove host, where the pod itself is meant'],
  reserved_container_replaced: [
    'container {} carried a name of Sidegate and was not what the webhook writes; it was replaced',
    'remove it from the manifest: the webhook writes it',
  ],
  loopback_open_to_root: [
    'container {} may run as root, as which port-forward dials too: some undeclared ports stay open on loopback to both',
    'set runAsNonRoot: true where the image allows it',
  ],
  may_change_user: [
    "container {} may become another user, and so may try to become the sidecar's, which alone may reach the model",
    'let it run as the user that it needs from the start, without SETUID, SETGID and allowPrivilegeEscalation',
  ],
  image_chooses_user: [
    "container {} runs as the user that its image names, and an image that is pulled later may name the sidecar's, which alone may reach the model",
    'set runAsUser of every container beside the model',
  ],
  helper_not_told: [
    'container {} is a known helper and gets no more than others, since in capture mode NamedPort the kernel does not tell who dials',
    "have the namespace captured by Redirect (sidecar.captureModes of the chart's values)",
  ],
  ambient_mesh: [
    "the label istio.io/dataplane-mode is ambient: Istio's redirect inside the pod comes before Sidegate's, so that all that callers send is dropped",
    'set istio.io/dataplane-mode: none in the pod template',
  ],
  helper_uid_shared: [
    'container {} is a known helper and gets no more than others, since its uid is not its alone or not set',
    'set runAsUser of the helper to its known uid, and of every other container to another: an image without it may run as any; and let none of them change its user',
  ],
  known_name_other_image: [
    'container {} has the name of a known mesh or wrapper and another image or command; it is treated like any other',
    "add its image to the chart's values where it is what its name says",
  ],
  port_name_twice: [
    'port name {} is declared twice, and a Service finds the first',
    'give each governed port a name of its own',
  ],
} as const satisfies Readonly<Record<string, Text>>;

const texts: Readonly<Record<ReasonCode, Text>> = { ...skips, ...refusals, ...notes };

export type SkipCode = keyof typeof skips;
export type RefusalCode = keyof typeof refusals;
export type NoteCode = keyof typeof notes;
export type ReasonCode = SkipCode | RefusalCode | NoteCode;

export const reasonCodes = Object.keys(texts) as readonly ReasonCode[];

/** @param at what it is about, for `{}` in the sentence */
export function reason<Code extends ReasonCode>(code: Code, at?: string): Reason & { readonly code: Code } {
  const [message, fix] = texts[code].map((text) => text.replaceAll('{}', at ?? '')) as [string, string];
  return { code, message, fix, ...(at === undefined ? {} : { at }) };
}
