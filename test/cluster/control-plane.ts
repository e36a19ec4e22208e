/** Files of one API server, by their paths. */
export interface ControlPlaneFiles {
  readonly folder: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Signs service account tokens. */
  readonly serviceAccounts: string;
}

/** Relative to the folder that etcd and kube-apiserver run in: both want the socket's name where an URL has its host. */
const etcdUrl = 'unix://etcd.sock';

export const etcdFlags: readonly string[] = [
  '--name=etcd',
  '--data-dir=etcd',
  // Nothing here has to survive a power cut.
  '--unsafe-no-fsync',
  '--log-level=warn',
  // Alone in its cluster, it may elect itself at once; the defaults (100, 1000) cost most of a second.
  '--heartbeat-interval=10',
  '--election-timeout=50',
  `--listen-client-urls=${etcdUrl}`,
  `--advertise-client-urls=${etcdUrl}`,
  '--listen-peer-urls=unix://peer.sock',
  '--initial-advertise-peer-urls=unix://peer.sock',
  '--initial-cluster=etcd=unix://peer.sock',
];

export const apiServerFlags = (files: ControlPlaneFiles, port: number): readonly string[] => [
  `--etcd-servers=${etcdUrl}`,
  '--bind-address=127.0.0.1',
  '--advertise-address=127.0.0.1',
  // Loopback may not stand in the endpoints of Service "kubernetes"; nothing here has pods that would ask for it.
  '--endpoint-reconciler-type=none',
  `--secure-port=${port}`,
  `--tls-cert-file=${files.cert}`,
  `--tls-private-key-file=${files.key}`,
  `--client-ca-file=${files.ca}`,
  `--service-account-key-file=${files.serviceAccounts}`,
  `--service-account-signing-key-file=${files.serviceAccounts}`,
  '--service-account-issuer=https://kubernetes.default.svc',
  '--service-cluster-ip-range=10.96.0.0/16',
  '--authorization-mode=Node,RBAC',
  '--enable-admission-plugins=NodeRestriction',
  '--allow-privileged=true',
  `--cert-dir=${files.folder}/pki`,
];

export const controllerFlags = (
  files: ControlPlaneFiles,
  kubeconfig: string,
  controllers: readonly string[],
): readonly string[] => [
  `--kubeconfig=${kubeconfig}`,
  `--controllers=${controllers.join(',')}`,
  '--leader-elect=false',
  // Its own endpoints are of no use here.
  '--secure-port=0',
  `--root-ca-file=${files.ca}`,
  `--service-account-private-key-file=${files.serviceAccounts}`,
  '--kube-api-qps=200',
  '--kube-api-burst=400',
];
