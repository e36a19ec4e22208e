/** For each value of the chart another than its default: all of them together, one by one, and in pairs are tried. */
const digest = `sha256:${'a'.repeat(64)}`;

export const alternatives: Readonly<Record<string, unknown>> = {
  'image.repository': 'registry.example:5000/team/sidegate',
  'image.tag': '0.1.1',
  'image.digest': digest,
  'image.pullPolicy': 'Always',
  'image.previous': ['localhost/sidegate:0.0.9'],
  'image.namespaces': { 'ml-canary': 'localhost/sidegate:0.2.0' },
  imagePullSecrets: ['regcred'],
  'crds.enabled': false,
  'crds.keep': false,
  trustDomain: 'example.org',
  clusterDomain: 'cluster.example',
  governNamespaces: 'Required',
  'limitStore.url': 'rediss://valkey.cache.svc:6379',
  'limitStore.user': 'sidegate',
  'limitStore.secretName': 'limit-store',
  'limitStore.ca': true,
  'notifications.endpoint': 'https://approvals.example.com',
  'notifications.secretName': 'sidegate-notifications',
  'notifications.channels': [{ name: 'chat', type: 'Slack', urlKey: 'slack-url' }],
  'tokens.url': 'https://sidegate.example.com',
  'tokens.lifetimeMinutes': 5,
  'tokens.idps': [
    {
      name: 'okta',
      entityId: 'http://www.okta.com/exk1',
      audiences: ['inference'],
      metadataUrl: 'https://corp.okta.com/app/exk1/sso/saml/metadata',
      ca: '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n',
      groupsAttribute: 'memberOf',
      claims: { email: 'mail' },
    },
    {
      name: 'files',
      entityId: 'https://idp.example.com',
      audiences: ['inference'],
      metadataXml: '<EntityDescriptor/>',
    },
  ],
  breakGlassGroup: 'oncall',
  'sidecar.captureMode': 'NamedPort',
  'sidecar.captureModes': { 'ml-restricted': 'NamedPort' },
  'sidecar.nativeSidecars': false,
  'sidecar.uid': 20_001,
  'sidecar.resources': { requests: { cpu: '1' } },
  'sidecar.initResources': { limits: { memory: '128Mi' } },
  'sidecar.stateSize': '32Mi',
  'sidecar.spoolSize': '2Gi',
  'sidecar.modelRequests': 256,
  'sidecar.httpsProxy': 'http://proxy.corp:3128',
  'sidecar.noProxy': 'models.corp',
  'sidecar.internalTcp': '29500',
  'neighbours.changeUser': 'Never',
  'neighbours.hostPaths': ['/var/models'],
  'meshes.istio.enabled': true,
  'meshes.linkerd.enabled': true,
  'wrappers.knative.enabled': true,
  'wrappers.kserve.enabled': true,
  helpers: [{ name: 'loader', images: ['example/loader'], runAsUser: 5_000 }],
  'recorder.enabled': false,
  'recorder.store': 'Postgres',
  'recorder.replicas': 3,
  'recorder.database.secretName': 'record-database',
  'recorder.database.ca': true,
  'recorder.database.gibibytes': 200,
  'recorder.shares.below': 10,
  'recorder.shares.parts': { finance: 4, ml: 2 },
  'recorder.retentionDays': 0,
  'recorder.namespaceRetentionDays': { ml: 30, finance: 2555 },
  'recorder.policyRetentionDays': { 'ml/support': 365, 'cluster/floor': 0 },
  'recorder.ship': [{ name: 'siem', type: 'Syslog', address: 'siem.example:6514', caKey: 'ca.pem' }],
  'recorder.shipSecretName': 'sidegate-ship',
  'recorder.archive.url': 's3://records/prod',
  'recorder.archive.endpoint': 'https://minio.example',
  'recorder.archive.region': 'eu-central-1',
  'recorder.archive.pathStyle': true,
  'recorder.archive.lock': 'GOVERNANCE',
  'recorder.archive.lockDays': 30,
  'recorder.archive.secretName': 'record-archive',
  'recorder.archive.caConfigMap': 'corp-ca',
  'recorder.archive.deleteUnarchived': true,
  'recorder.oidc.issuer': 'https://idp.example.com',
  'recorder.oidc.audiences': ['sidegate-recorder', 'a'],
  'recorder.oidc.claim': 'roles',
  'recorder.oidc.subjectClaim': 'oid',
  'recorder.oidc.roles': [{ value: 'soc', role: 'Investigator', namespaces: ['*'] }],
  'recorder.oidc.caConfigMap': 'corp-ca',
  'recorder.console.url': 'https://records.example.com',
  'recorder.console.clientId': 'sidegate-recorder',
  'recorder.console.clientSecretName': 'console-client',
  'recorder.console.scopes': ['openid'],
  'recorder.console.parameters': { resource: 'urn:example:records' },
  'recorder.console.token': 'Access',
  'recorder.console.approvals': false,
  'recorder.console.idleMinutes': 10,
  'recorder.console.hours': 4,
  'recorder.console.sessionsEach': 2,
  'recorder.console.sessions': 50,
  'recorder.console.trustedProxies': ['10.1.2.0/24'],
  'recorder.serviceAccountAnnotations': { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/records' },
  'recorder.storage.persistent': false,
  'recorder.storage.size': '100Gi',
  'recorder.storage.className': 'fast',
  'recorder.logLevel': 'warn',
  'recorder.resources': { requests: { cpu: '1' } },
  'recorder.priorityClassName': 'system-cluster-critical',
  'recorder.nodeSelector': { pool: 'control' },
  'recorder.tolerations': [{ key: 'control', operator: 'Exists' }],
  'recorder.affinity': {
    podAntiAffinity: {},
  },
  'recorder.podAnnotations': { team: 'platform' },
  'recorder.podLabels': { team: 'platform' },
  'controller.replicas': 1,
  'controller.logLevel': 'debug',
  'controller.evictUngoverned': true,
  'controller.upgradeSidecars': true,
  'controller.trustedProxies': ['10.1.2.0/24', '2001:db8::7'],
  'controller.resources': { requests: { cpu: '1' } },
  'controller.priorityClassName': 'system-cluster-critical',
  'controller.nodeSelector': { pool: 'control' },
  'controller.tolerations': [{ key: 'control', operator: 'Exists' }],
  'controller.affinity': {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 1, preference: { matchExpressions: [{ key: 'pool', operator: 'Exists' }] } },
      ],
    },
  },
  'controller.podAnnotations': { team: 'platform' },
  'controller.podLabels': { team: 'platform' },
  'webhook.replicas': 1,
  'webhook.timeoutSeconds': 3,
  'webhook.logLevel': 'warn',
  'webhook.certManager.enabled': true,
  'webhook.certManager.issuerRef': { name: 'corp', kind: 'ClusterIssuer' },
  'webhook.resources': { requests: { cpu: '1' } },
  'webhook.priorityClassName': 'system-cluster-critical',
  'webhook.nodeSelector': { pool: 'control' },
  'webhook.tolerations': [{ key: 'control', operator: 'Exists' }],
  'webhook.affinity': {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 1, preference: { matchExpressions: [{ key: 'pool', operator: 'Exists' }] } },
      ],
    },
  },
  'webhook.podAnnotations': { team: 'platform' },
  'webhook.podLabels': { team: 'platform' },
  'networkPolicy.enabled': false,
  'networkPolicy.governedPods': false,
  'networkPolicy.metricsFrom': [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }],
  'monitoring.serviceMonitor': true,
  'monitoring.interval': 15,
  'monitoring.prometheusRule': true,
  'monitoring.dashboard': true,
  'monitoring.labels': { release: 'prometheus' },
  flowSchema: false,
  'test.enabled': false,
  'test.namespace': 'sidegate-try',
};

/** Values that act only where another is set. */
export const beside: Readonly<Record<string, object>> = {
  'sidecar.noProxy': { sidecar: { httpsProxy: 'http://proxy.corp:3128' } },
  'recorder.store': { recorder: { database: { secretName: 'database' } } },
  'recorder.replicas': { recorder: { store: 'Postgres', database: { secretName: 'database' } } },
  'recorder.database.secretName': { recorder: { store: 'Postgres', database: { secretName: 'database' } } },
  'recorder.database.ca': { recorder: { store: 'Postgres', database: { secretName: 'database' } } },
  'recorder.database.gibibytes': { recorder: { store: 'Postgres', database: { secretName: 'database' } } },
  'tokens.url': { tokens: { idps: [{ name: 'a', entityId: 'a', audiences: ['a'], metadataXml: '<a/>' }] } },
  'tokens.lifetimeMinutes': { tokens: { idps: [{ name: 'a', entityId: 'a', audiences: ['a'], metadataXml: '<a/>' }] } },
  'limitStore.user': { limitStore: { url: 'rediss://valkey:6379' } },
  'limitStore.secretName': { limitStore: { url: 'rediss://valkey:6379' } },
  'limitStore.ca': { limitStore: { url: 'rediss://valkey:6379', secretName: 'limit-store' } },
  'notifications.endpoint': {
    notifications: { secretName: 's', channels: [{ name: 'chat', type: 'Slack', urlKey: 'slack-url' }] },
  },
  'notifications.secretName': {
    notifications: { endpoint: 'https://a.example', channels: [{ name: 'chat', type: 'Slack', urlKey: 'slack-url' }] },
  },
  'notifications.channels': { notifications: { endpoint: 'https://a.example', secretName: 's' } },
  ...Object.fromEntries(
    ['endpoint', 'region', 'pathStyle', 'lock', 'lockDays', 'secretName', 'caConfigMap', 'deleteUnarchived'].map(
      (name) => [`recorder.archive.${name}`, { recorder: { archive: { url: 's3://records' } } }],
    ),
  ),
  'recorder.oidc.issuer': { recorder: { oidc: { audiences: ['a'] } } },
  ...Object.fromEntries(
    ['audiences', 'claim', 'subjectClaim', 'roles', 'caConfigMap'].map((name) => [
      `recorder.oidc.${name}`,
      { recorder: { oidc: { issuer: 'https://idp.example.com', audiences: ['a'] } } },
    ]),
  ),
  'recorder.console.url': {
    recorder: {
      oidc: { issuer: 'https://idp.example.com', audiences: ['a', 'sidegate-recorder'] },
      console: { clientId: 'a' },
    },
  },
  ...Object.fromEntries(
    [
      'clientId',
      'clientSecretName',
      'scopes',
      'parameters',
      'token',
      'approvals',
      'idleMinutes',
      'hours',
      'sessionsEach',
      'sessions',
      'trustedProxies',
    ].map((name) => [
      `recorder.console.${name}`,
      {
        recorder: {
          oidc: { issuer: 'https://idp.example.com', audiences: ['a', 'sidegate-recorder'] },
          console: { url: 'https://records.example.com', clientId: 'a' },
        },
      },
    ]),
  ),
  'recorder.shipSecretName': { recorder: { ship: [{ name: 'o', type: 'Otlp', url: 'https://otel.example/v1/logs' }] } },
  'meshes.istio.images': { meshes: { istio: { enabled: true } } },
  'meshes.linkerd.initImages': { meshes: { linkerd: { enabled: true } } },
  'meshes.linkerd.proxyImages': { meshes: { linkerd: { enabled: true } } },
  'wrappers.knative.images': { wrappers: { knative: { enabled: true } } },
  'wrappers.kserve.images': { wrappers: { kserve: { enabled: true } } },
  'webhook.certManager.issuerRef': { webhook: { certManager: { enabled: true } } },
  'monitoring.interval': { monitoring: { serviceMonitor: true } },
  'monitoring.labels': { monitoring: { dashboard: true } },
};

/** Values that are refused where what stands beside them is not set. */
export const needs: readonly string[] = [
  'notifications.channels',
  'recorder.store',
  'recorder.replicas',
  'recorder.oidc.issuer',
  'recorder.console.url',
];

export const alternativeOf = (path: string): unknown =>
  /images$/i.test(path) ? ['registry.example/mirror/proxy'] : alternatives[path];

/** Choices of on and off for n switches so that each pair of switches is seen in all four ways; few of them. */
export function pairwise(count: number): readonly (readonly boolean[])[] {
  const open = new Set<string>();
  const key = (i: number, a: boolean, j: number, b: boolean): string => `${i} ${a} ${j} ${b}`;
  for (let i = 0; i < count; i++)
    for (let j = i + 1; j < count; j++)
      for (const a of [false, true]) for (const b of [false, true]) open.add(key(i, a, j, b));
  const rows: boolean[][] = [];
  while (open.size > 0) {
    const row: boolean[] = [];
    for (let at = 0; at < count; at++) {
      const gain = (value: boolean): number => row.filter((before, i) => open.has(key(i, before, at, value))).length;
      // The first switch takes turns; each other one takes what covers more.
      row.push(at === 0 ? rows.length % 2 === 0 : gain(true) >= gain(false));
    }
    const before = open.size;
    row.forEach((a, i) => row.forEach((b, j) => i < j && open.delete(key(i, a, j, b))));
    if (open.size === before) {
      // Greed found nothing new: take a pair that is open, and fill the rest alternately.
      const [i = '0', a = '', j = '1', b = ''] = ([...open][0] ?? '').split(' ');
      const forced = row.map((_, at) => at % 2 === rows.length % 2);
      forced[Number(i)] = a === 'true';
      forced[Number(j)] = b === 'true';
      forced.forEach((x, k) => forced.forEach((y, l) => k < l && open.delete(key(k, x, l, y))));
      rows.push(forced);
    } else rows.push(row);
  }
  return rows;
}
