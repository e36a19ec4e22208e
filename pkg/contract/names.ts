/**
 * The names that the parts share: webhook, controller, sidecar, init, chart and admission policies all mean these. A change
 * here is a change of the contract: pods that run keep what they were given.
 */

/** Label of a governed pod; its only value is {@link inferenceLabelValue}. */
export const inferenceLabel = 'sidegate.dev/inference';
export const inferenceLabelValue = 'true';

/** Label of a namespace with governed pods. */
export const governedLabel = 'sidegate.dev/governed';

/** Everything under it in a pod's annotations is Sidegate's. */
export const annotationPrefix = 'sidegate.dev/';

export const annotations = {
  /** Written by the pod's author: model ports that no container declares, as `8000,8001`. It adds, and never removes. */
  modelPorts: 'sidegate.dev/model-ports',
  /** Written by injection: JSON, model port to the sidecar's TLS listener, as `{"8000":17400}`. */
  portMap: 'sidegate.dev/port-map',
  /** Written by injection in capture mode NamedPort, where no argument says it: ports of a mesh or a wrapper that stay open, as `15021,15090`. */
  openPorts: 'sidegate.dev/open-ports',
  /** Written by injection: JSON `{"version":…,"templateHash":…,"mode":…}`. */
  injected: 'sidegate.dev/injected',
  /** Where `kubectl exec`, `attach` and `logs` go without `-c`; set to the model's container unless it is set. */
  defaultContainer: 'kubectl.kubernetes.io/default-container',
  defaultLogsContainer: 'kubectl.kubernetes.io/default-logs-container',
  /** Of an approval: the replica of the controller at which its callers wait, which alone cancels it when they have gone. */
  waiting: 'sidegate.dev/waiting',
  /** Of an approval, `true`: its callers come back for it, so that it waits where nobody waits for it. */
  kept: 'sidegate.dev/kept',
  /** Of the list of revocations, written by the leader: keys of entries whose issuer no provider has, as a JSON list. */
  unmatched: 'sidegate.dev/unmatched',
  /** On the API server's picture of a static pod. */
  mirror: 'kubernetes.io/config.mirror',
} as const;

export const containers = { init: 'sidegate-init', sidecar: 'sidegate' } as const;

export const volumes = { state: 'sidegate-state', token: 'sidegate-token', spool: 'sidegate-spool' } as const;

/** Where the sidecar finds its volumes. */
export const mountPaths = {
  state: '/var/run/sidegate/state',
  token: '/var/run/sidegate/token',
  spool: '/var/run/sidegate/spool',
} as const;

/** File within the token's mount. */
export const tokenFile = 'token';

/** Audience of the tokens by which people and programs ask the recorder. */
export const auditAudience = 'sidegate.dev/recorder';
/** What an auditor may `get`, cluster-wide or in a namespace: no such resource is served, the name is for RBAC alone. */
export const auditResource = { group: 'sidegate.dev', resource: 'records' } as const;
/** Audience of the tokens by which `sidegate top` asks the controllers. */
export const topAudience = 'sidegate.dev/top';
/** What a viewer may `get`, cluster-wide or in a namespace: served by nobody, the name is for RBAC alone. */
export const topResource = { group: 'sidegate.dev', resource: 'inferencepolicies', subresource: 'top' } as const;
/** On the decisions port of each controller: figures of the sidecars that are connected to it. */
export const topPath = '/v1/top';

/** Header with the token, where something on the way takes `Authorization` for itself (the API server's service proxy). */
export const auditTokenHeader = 'x-sidegate-token';
/** Header with the address of the person for whom the console asks, as it has seen it: believed by the recorder's certificate alone. */
export const consoleAddressHeader = 'x-sidegate-address';
/** `GET` on the decisions port of each controller, by the recorder alone: policies and how they are. `?namespace=NAME` as often as needed, else all. */
export const policyHealthPath = '/v1/policies';
/** Header with the name of whom the token's bearer says to ask for: recorded as a claim. */
export const auditForHeader = 'x-sidegate-for';

/** Audience of the token by which a sidecar makes itself known to the controller. */
export const controllerAudience = 'sidegate.dev/controller';
/** Seconds that anything in a pod may take, whatever its spec says: a day. Beyond 24.8 days a timer would end at once. */
export const longestSeconds = 86_400;

/** Seconds that the kubelet asks for; it renews at 80 %. */
export const tokenSeconds = 3_600;

/** Uid and gid of the sidecar; never 1337, 2102 or 65532, which belong to meshes and distroless images. */
export const defaultUid = 61_337;

/**
 * Gids of sidecars: the webhook draws one for each pod, so that no image and no manifest can name it. The pod's traffic rules know
 * the sidecar by uid and gid together. A pod with a user namespace of its own has 65,536 ids.
 */
export const drawnGids = {
  inCluster: { first: 1_100_000_000, count: 1_000_000_000 },
  inUserNamespace: { first: 20_000, count: 40_000 },
} as const;

/** All ports that are Sidegate's; no container of the pod may use one. */
export const reservedPorts = { first: 17_400, last: 17_499 } as const;

/** The TLS listener of the i-th governed port, ascending, is `tls + i`; its loopback listener `loopback + i`. */
export const listeners = {
  tls: 17_400,
  loopback: 17_430,
  /** Listeners of known helpers, one for each helper and port. */
  helper: 17_460,
  /** Probes and lifecycle hooks of the pod, and {@link paths.drain}. */
  probe: 17_490,
  /** `/startupz`, `/healthz`, `/readyz`, `/metrics`. */
  admin: 17_491,
} as const;

/** Largest number of requests that a sidecar may be told to have at the models of its pod at once: as many as it accepts connections. */
export const maxModelRequests = 10_000;

/** Governed ports a pod may have; as many listeners of each kind. */
export const maxPorts = 30;

export const paths = {
  /** On the probe port: `/probe/CONTAINER/KIND`, and `/probe/CONTAINER/KIND/KEY` for hooks, with a key that is drawn for each pod. */
  probe: '/probe',
  /** On the probe port: starts draining, and answers when nothing is in flight or 5 s before the grace period ends. */
  drain: '/drain',
  /** On the admin port: listeners are up and the redirect holds; never waits for the controller. */
  startup: '/startupz',
  /** On the admin port: the event loop turns. */
  health: '/healthz',
  /** On the admin port: there is a certificate and an answer of the controller. */
  ready: '/readyz',
} as const;

/** Environment of the sidecar. */
export const environment = {
  controllerCa: 'SIDEGATE_CONTROLLER_CA',
  podName: 'POD_NAME',
  podNamespace: 'POD_NAMESPACE',
  podUid: 'POD_UID',
  podIp: 'POD_IP',
} as const;

/** Names of the ports that the sidecar declares for scrapers. */
export const portNames = { probe: 'sidegate-probe', admin: 'sidegate-admin' } as const;

/** How what comes in is led to the sidecar. */
export type CaptureMode = 'Redirect' | 'NamedPort';

/**
 * The control plane's objects, all in the release's namespace but {@link controlPlane.root}. The chart renders these names, and the
 * processes that write or read them take them from here.
 */
export const controlPlane = {
  /** Deployment, Service and ServiceAccount; also the Lease of the leader. */
  controller: 'sidegate-controller',
  webhook: 'sidegate-webhook',
  /** StatefulSet, Service and ServiceAccount. */
  recorder: 'sidegate-recorder',
  /** ServiceAccount whose token asks the recorder; who may make its token is an auditor. */
  auditor: 'sidegate-auditor',
  /** ServiceAccount whose token asks the controllers for figures; who may make its token sees those of all namespaces. */
  viewer: 'sidegate-viewer',
  /** ConfigMap, key `public.pem`: verifies the heads of the log. */
  log: 'sidegate-log',
  /** ConfigMap, a day (`2026-11-26`) a key: the last signed head of the log of that day; the recorder writes it. */
  logHeads: 'sidegate-log-heads',
  /** Secret (kubernetes.io/tls) with the recorder's serving certificate: the leader writes it. */
  recorderTls: 'sidegate-recorder-tls',
  /** Secret, keys `key.pem` and `public.pem`, that signs the heads of the log: the leader makes it once, and never again. */
  logKey: 'sidegate-log-key',
  /** Secret with the authority that signs sidecars: the controllers' alone. */
  authority: 'sidegate-ca',
  /** Secret with the keys that sign Sidegate's own tokens: the controllers' alone. */
  tokenKeys: 'sidegate-token-keys',
  /** ConfigMap, an entry a key: tokens that were taken back. People write it. */
  revocations: 'sidegate-revocations',
  /** ConfigMap, keys of `changerKey`: who took a grant back, as the webhook saw them. The leader makes it, and forgets what is old. */
  changers: 'sidegate-changers',
  /** ConfigMap, key {@link controlPlane.caKey}: the authorities that the webhook writes into pods; the leader writes it. */
  trust: 'sidegate-trust',
  /** ConfigMap: whom the leaders have told of what waits for people. */
  notices: 'sidegate-notices',
  /** ConfigMap in each governed namespace, key {@link controlPlane.caKey}: for callers only, nothing of ours reads it. */
  root: 'sidegate-root',
  /** Secret with the authority of the webhook's serving certificates: the webhooks' alone. */
  webhookAuthority: 'sidegate-webhook-ca',
  /** Secret with a serving certificate of the webhook that cert-manager issues, where the chart says so. */
  webhookCertificate: 'sidegate-webhook-tls',
  /** ConfigMap, an entry `KIND.NAME` for each admission object: its content (JSON) as the release installed it. */
  installedAdmission: 'sidegate-admission',
  /** ConfigMap that the final-state policies take as parameters. */
  parameters: 'sidegate-parameters',
  /** MutatingWebhookConfiguration and ValidatingWebhookConfiguration. */
  admission: 'sidegate',
  /** ValidatingWebhookConfiguration of exec, attach, port-forward and the proxy verbs. */
  connect: 'sidegate-connect',
  /** ValidatingAdmissionPolicies, each with a binding of its name: they hold while no webhook runs. */
  admissionPolicies: [
    ...['sidegate-pods', 'sidegate-neighbours', 'sidegate-trust', 'sidegate-reserved', 'sidegate-tokens'],
    ...['sidegate-namespaces', 'sidegate-updates', 'sidegate-bindings', 'sidegate-upgrades'],
    ...['sidegate-known-images'],
    ...['sidegate-ephemeral-containers', 'sidegate-connect', 'sidegate-secrets', 'sidegate-cluster-secrets'],
    ...['sidegate-log-heads', 'sidegate-definitions', 'sidegate-own-parameters'],
  ],
  /** Webhooks that every installation has. */
  webhooks: [
    ...['inject.sidegate.dev', 'pods.sidegate.dev', 'policies.sidegate.dev', 'decisions.sidegate.dev'],
    ...['services.sidegate.dev', 'connect.sidegate.dev'],
  ],
  /** Webhooks that may be left out while none runs: what stands before them decides, or they only record. */
  openWebhooks: ['connect.sidegate.dev', 'break-glass.sidegate.dev'],
  /** ConfigMap, key {@link controlPlane.optionsKey}: what the webhook gives pods, from the chart's values; the webhook watches it. */
  options: 'sidegate-options',
  optionsKey: 'options.yaml',
  /** Prefix of each replica's ConfigMap with its counts of acknowledged policies. */
  acks: 'sidegate-acks-',
  caKey: 'ca.crt',
} as const;

/** What the API server calls at the webhook, by POST of an AdmissionReview, after a key that the webhook writes (`/KEY/mutate`). */
export const webhookPaths = {
  mutate: '/mutate',
  pods: '/validate/pods',
  policies: '/validate/policies',
  /** Approvals and grants, and their status. */
  decisions: '/validate/decisions',
  connect: '/connect',
  /** The same requests of the break-glass group: recorded and let through. */
  breakGlass: '/break-glass',
} as const;

/** The path of each webhook in the configurations. */
export const webhookRoutes = {
  'inject.sidegate.dev': webhookPaths.mutate,
  'pods.sidegate.dev': webhookPaths.pods,
  'policies.sidegate.dev': webhookPaths.policies,
  'decisions.sidegate.dev': webhookPaths.decisions,
  'services.sidegate.dev': webhookPaths.connect,
  'connect.sidegate.dev': webhookPaths.connect,
  'break-glass.sidegate.dev': webhookPaths.breakGlass,
} as const;

/** TCP ports of the control plane's containers. */
export const controlPorts = {
  /** Policy stream of the controller: TLS. */
  stream: 8_443,
  /** Decisions by token, of the controller: TLS. */
  decisions: 8_444,
  /** The webhook: TLS. */
  webhook: 9_443,
  /** The recorder, for sidecars: TLS. */
  recorder: 8_444,
  /** The recorder, for auditors: TLS. */
  audit: 8_445,
  /** `/healthz`, `/readyz`, `/metrics` of all. */
  admin: 8_080,
} as const;
