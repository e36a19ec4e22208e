import type { CaptureMode } from '../contract/index.ts';
import { defaultUid } from '../contract/index.ts';
import type { Resources } from './pod.ts';

/**
 * A container that a known system puts into pods, told by name and image: names alone can be had by anybody. An image
 * prefix ends where a path, tag or digest begins: `istio/proxyv2` fits `istio/proxyv2:1.27` and not `istio/proxyv2-mine`.
 */
export interface KnownContainer {
  readonly name: string;
  readonly images: readonly string[];
}

/** A service mesh: its redirect comes before ours, its ports stay open, and what its proxy dials is led to our loopback listener. */
export interface KnownMesh {
  readonly name: string;
  /**
   * Its network init: an ordinary init container with NET_ADMIN, allowed for it alone. Its first argument must be `firstArg` where that is
   * given, and it may have nothing by which it would run something else (network-init.ts).
   */
  readonly networkInits: readonly (KnownContainer & { readonly firstArg?: string })[];
  /** What runs beside the model as the mesh's own program: without `command`, and with this first argument where one is given. */
  readonly proxies: readonly (KnownContainer & { readonly firstArg?: string })[];
  /** Init containers of the mesh that look at its network and end: nothing is opened for them. */
  readonly validators: readonly KnownContainer[];
  /** Uid of the proxy. */
  readonly proxyUid: number;
  /** TCP ports of the proxy that are open from outside while it is in the pod, and which the model may not have. */
  readonly inboundTcp: readonly number[];
  /** Ports that the proxy dials on loopback for itself: `15000-15099`. */
  readonly loopbackTcp: string;
}

/**
 * A container that stands in front of the model in its own pod, as Knative's queue-proxy and KServe's agent: its serving ports
 * are the governed ones, of its others those stay open that are named here and that it declares, and the ports behind it are neither.
 * It is known without `command` alone.
 */
export interface KnownWrapper extends KnownContainer {
  readonly servingPorts: readonly number[];
  /** Its health and metrics. Fixed: the pod's author writes what it declares. */
  readonly openPorts: readonly number[];
}

/** An in-pod helper with a uid of its own, which a policy's `loopback` rules may give more than others. */
export interface KnownHelper extends KnownContainer {
  readonly runAsUser: number;
}

export interface NamespaceFacts {
  readonly name: string;
  /** Carries the label {@link governedLabel}. */
  readonly governed: boolean;
}

/** What is drawn at random for each pod. */
export interface Drawn {
  /** Part of the paths of network hooks on the probe port: 22 characters of base64url. */
  readonly hookKey: string;
  /** 0 to 2^32 - 1: which of the gids that sidecars may have this one has. */
  readonly number: number;
}

/** What decides a pod's shape beside the pod: the chart's values and its namespace. Never a policy: policies come later and change. */
export interface InjectOptions {
  /** Of the injector, for the annotation. */
  readonly version: string;
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly captureMode: CaptureMode;
  /** Whether every node's kubelet knows native sidecars (1.29 and newer by default); else the sidecar is a plain container. */
  readonly nativeSidecars: boolean;
  readonly controller: {
    /** https URL of the policy stream. */
    readonly url: string;
    /** DNS name in the controller's certificate. */
    readonly name: string;
    /** PEM bundle: the only authorities by which a sidecar knows the controller at first. */
    readonly ca: string;
  };
  readonly uid: number;
  /**
   * Whether a container beside the sidecar may become another user: `Never`; `IfDeclared`, where it states that in its security context
   * (`capabilities.add: [SETUID, SETGID]`, `allowPrivilegeEscalation: true`); or `Always`, as Kubernetes does by default.
   */
  readonly changeUser: 'Never' | 'IfDeclared' | 'Always';
  /** Folders and files of the node that an inference pod may mount: these exact paths. */
  readonly hostPaths: readonly string[];
  /** Undefined: for looking at, not for running. */
  readonly drawn?: Drawn | undefined;
  readonly resources: { readonly init: Resources; readonly sidecar: Resources };
  /** Quantity: what the memory volume for policy and certificate may take. */
  readonly stateSize: string;
  /** Quantity: what unsent audit events may take on the node's disk. */
  readonly spoolSize: string;
  /** Requests that may be at the models of a pod at once, WebSockets among them; of one caller half of it. */
  readonly modelRequests: number;
  /** The way out of the cluster to hosted endpoints, where their policy names none. */
  readonly proxy?: {
    /** `http://HOST:PORT`. */
    readonly https: string;
    /** Hosts that are reached straight, as in `NO_PROXY`; '' for none. */
    readonly except: string;
  };
  readonly meshes: readonly KnownMesh[];
  /** Outermost first. */
  readonly wrappers: readonly KnownWrapper[];
  readonly helpers: readonly KnownHelper[];
  /**
   * Undeclared ports that root may dial on loopback in pods with a container that may run as root. Model servers talk to
   * their own processes there (torch's rendezvous, what the kernel hands out), and port-forward dials as root too.
   */
  readonly internalTcp: string;
  readonly namespace: NamespaceFacts;
  /** `Required`: a labelled pod in a namespace without {@link governedLabel} is refused. */
  readonly governNamespaces: 'Auto' | 'Required';
}

/** The chart's defaults: everything that does not depend on the installation. */
export const defaultOptions = {
  imagePullPolicy: 'IfNotPresent',
  captureMode: 'Redirect',
  nativeSidecars: true,
  uid: defaultUid,
  changeUser: 'IfDeclared',
  hostPaths: [],
  resources: {
    init: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
    // No CPU limit: throttling would show as latency of every token. Memory: the process keeps well below it (docs/BENCHMARKS.md).
    sidecar: { requests: { cpu: '100m', memory: '192Mi' }, limits: { memory: '768Mi' } },
  },
  stateSize: '16Mi',
  spoolSize: '1Gi',
  modelRequests: 4_096,
  meshes: [],
  wrappers: [],
  helpers: [],
  // torch's default rendezvous; SGLang's, which is its port (30000) and 100 to 1000 more; Linux's ephemeral range and above.
  internalTcp: '29500,30100-31000,32768-65535',
  governNamespaces: 'Auto',
} as const satisfies Partial<InjectOptions>;

/** Istio, as its injector writes it; `images` as the cluster spells them. */
export const istio = (images: readonly string[]): KnownMesh => ({
  name: 'istio',
  networkInits: [{ name: 'istio-init', images, firstArg: 'istio-iptables' }],
  proxies: [{ name: 'istio-proxy', images, firstArg: 'proxy' }],
  validators: [{ name: 'istio-validation', images }],
  proxyUid: 1_337,
  // Inbound capture, tunnel, merged metrics, health, Envoy's metrics.
  inboundTcp: [15_006, 15_008, 15_020, 15_021, 15_090],
  loopbackTcp: '15000-15099',
});

/** Linkerd, as its injector writes it. */
export const linkerd = (images: {
  readonly init: readonly string[];
  readonly proxy: readonly string[];
}): KnownMesh => ({
  name: 'linkerd',
  networkInits: [{ name: 'linkerd-init', images: images.init }],
  proxies: [{ name: 'linkerd-proxy', images: images.proxy }],
  validators: [{ name: 'linkerd-network-validator', images: images.proxy }],
  proxyUid: 2_102,
  // Inbound, tap, admin.
  inboundTcp: [4_143, 4_190, 4_191],
  loopbackTcp: '4140-4143,4190-4191',
});

/** Knative's queue-proxy: HTTP/1.1, HTTP/2 and TLS of the revision. */
export const knativeQueueProxy = (images: readonly string[]): KnownWrapper => ({
  name: 'queue-proxy',
  images,
  servingPorts: [8_012, 8_013, 8_112],
  // Admin (draining), its metrics, the user's metrics.
  openPorts: [8_022, 9_090, 9_091],
});

/** KServe's agent (logger, batcher). */
export const kserveAgent = (images: readonly string[]): KnownWrapper => ({
  name: 'agent',
  images,
  servingPorts: [9_081],
  openPorts: [],
});
