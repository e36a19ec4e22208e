import type { LogLevel } from '../../pkg/base/index.ts';
import { controlPorts } from '../../pkg/contract/index.ts';
import { trustedProxies } from '../../pkg/http/index.ts';
import { serviceAccountFolder } from '../../pkg/kube/index.ts';
import { limitStoreFlags, readFlags, readLimitStore, usageOf } from '../../pkg/process/index.ts';
import type { Address, FlagReader, LimitStoreSettings, Parsed } from '../../pkg/process/index.ts';

/** What a controller is told when it starts. Flags win over environment (`--namespace` over `SIDEGATE_NAMESPACE`). */
export interface Settings {
  /** Of Sidegate itself. */
  readonly namespace: string;
  /** Name of this replica. */
  readonly replica: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly governNamespaces: 'Auto' | 'Required';
  readonly networkPolicies: boolean;
  readonly evict: boolean;
  readonly sidecarImage: string | undefined;
  /** Of single namespaces, in its place. */
  readonly namespaceImages: Readonly<Record<string, string>>;
  readonly upgradeSidecars: boolean;
  /** Undefined: the pod's own service account. */
  readonly kubeconfig: string | undefined;
  /** Server that counts limits of scope `Policy`; undefined: none. */
  readonly limitStore: LimitStoreSettings | undefined;
  /** `https://HOST:PORT` to which sidecars bring their records; undefined: they stay in the pods. */
  readonly recorder: string | undefined;
  /** Folder of its own record, and how many bytes may be in it; undefined: it has none. */
  readonly spool: { readonly folder: string; readonly limit: number } | undefined;
  /** Where `kubernetes.default` is, in a pod. */
  readonly apiServer: { readonly host: string; readonly port: string | undefined; readonly folder: string } | undefined;
  readonly listen: Address;
  readonly admin: Address;
  /** Undefined: nobody decides by token. */
  readonly decisions: Address | undefined;
  /** Addresses and CIDRs of the proxies before it. */
  readonly trustedProxies: readonly string[];
  readonly keepApprovalsMs: number;
  /** JSON: where people are told of what waits for them, and the folder with the secrets that it names. */
  readonly notices: { readonly json: string; readonly secrets: string } | undefined;
  /** File with the settings of the token endpoint; undefined: there is none. */
  readonly tokensFile: string | undefined;
  readonly logLevel: LogLevel;
  /** Over how long sidecars are sent elsewhere after SIGTERM, milliseconds. */
  readonly drainMs: number;
}

const flags = {
  namespace: { help: 'namespace of Sidegate itself', required: true },
  replica: { help: 'name of this replica; default the POD_NAME of the environment (required)' },
  'trust-domain': { help: 'of the SPIFFE ids', fallback: 'cluster.local' },
  'cluster-domain': { help: 'DNS domain of the cluster', fallback: 'cluster.local' },
  'govern-namespaces': {
    help: 'Auto: label namespaces when their first inference pod appears; Required: people do',
    fallback: 'Auto',
  },
  'network-policies': { help: 'true: write NetworkPolicies for governed pods', fallback: 'true' },
  evict: { help: 'evict labelled pods that have no sidecar, a few at a time', isSwitch: true },
  'sidecar-image': { help: 'image of the sidecars of this release: others count as old' },
  'namespace-images': { help: 'NAMESPACE=IMAGE, joined by commas: that of single namespaces' },
  'upgrade-sidecars': {
    help: 'exchange the image of sidecars that have another than --sidecar-image, a few at a time',
    isSwitch: true,
  },
  kubeconfig: { help: 'file; unset: the service account of the pod' },
  'service-account': { help: 'folder with token and ca.crt of the pod', fallback: serviceAccountFolder },
  listen: { help: 'host:port for sidecars (TLS)', fallback: `:${controlPorts.stream}` },
  decisions: {
    help: 'host:port for decisions by token (TLS); `off`: nowhere',
    fallback: `:${controlPorts.decisions}`,
  },
  'trusted-proxies': {
    help: 'addresses and CIDRs, joined by commas, of proxies before --decisions whose X-Forwarded-For is believed; default none',
  },
  tokens: { help: 'file with the settings of the token endpoint, which --decisions serves' },
  'keep-approvals': {
    help: 'hours that finished approvals and grants are kept after their end',
    fallback: '24',
  },
  notices: { help: 'JSON: where people are told of what waits for them (values.yaml of the chart, notifications)' },
  'notices-secrets': { help: 'folder with the secrets that it names', fallback: '/etc/sidegate/notifications' },
  admin: { help: 'host:port for /healthz, /readyz, /metrics', fallback: `:${controlPorts.admin}` },
  ...limitStoreFlags,
  recorder: { help: 'https:// address to which sidecars bring their records' },
  spool: {
    help: 'folder of its own record, of what became of approvals, grants, tokens and revocations; needs --recorder',
  },
  'spool-limit': { help: 'MiB that may wait in it for the recorder', fallback: '64' },
  'log-level': { help: 'debug, info, warn or error', fallback: 'info' },
  drain: { help: 'seconds over which sidecars are sent elsewhere after SIGTERM', fallback: '15' },
} as const;
type Read = FlagReader<keyof typeof flags>;

export const usage = usageOf('controller: brings policies to sidecars, and what they say of them back', flags);

const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Either the settings, or everything that is wrong with them, together. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Parsed<Settings> {
  const read = readFlags(flags, args, environment);
  if (read === undefined) return { help: true };
  const { faults } = read;
  const replica = read.optional('replica') ?? environment['POD_NAME'] ?? '';
  if (!dnsName.test(replica)) faults.push('--replica is missing, or is no name: set POD_NAME in the pod');
  const settings: Settings = {
    namespace: read.text('namespace'),
    replica,
    trustDomain: readDomain(read, 'trust-domain'),
    clusterDomain: readDomain(read, 'cluster-domain'),
    governNamespaces: read.oneOf('govern-namespaces', ['Auto', 'Required']),
    networkPolicies: read.oneOf('network-policies', ['true', 'false']) === 'true',
    evict: read.isOn('evict'),
    ...readSidecars(read),
    kubeconfig: read.optional('kubeconfig'),
    apiServer: readApiServer(read, environment),
    limitStore: readLimitStore(read, 'never'),
    recorder: readRecorder(read),
    spool: readSpool(read),
    listen: read.address('listen'),
    admin: read.address('admin'),
    decisions: read.text('decisions') === 'off' ? undefined : read.address('decisions'),
    trustedProxies: readProxies(read),
    tokensFile: readTokensFileName(read),
    keepApprovalsMs: read.number('keep-approvals', 'hours') * 3_600_000,
    notices: readNotices(read),
    logLevel: read.logLevel('log-level'),
    drainMs: read.number('drain', 'seconds') * 1_000,
  };
  return faults.length > 0 ? { faults } : { settings };
}

function readDomain({ text, faults }: Read, name: 'trust-domain' | 'cluster-domain'): string {
  if (!dnsName.test(text(name))) faults.push(`--${name} must be a DNS name in lower case`);
  return text(name);
}

function readApiServer(
  { optional, text, faults }: Read,
  environment: Readonly<Record<string, string | undefined>>,
): Settings['apiServer'] {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  if (host !== '') return { host, port: environment['KUBERNETES_SERVICE_PORT'], folder: text('service-account') };
  if (optional('kubeconfig') === undefined)
    faults.push('this is no pod (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig');
  return undefined;
}

function readSidecars({
  optional,
  list,
  isOn,
  faults,
}: Read): Pick<Settings, 'sidecarImage' | 'namespaceImages' | 'upgradeSidecars'> {
  const [sidecarImage, upgradeSidecars] = [optional('sidecar-image'), isOn('upgrade-sidecars')];
  const pairs = list('namespace-images').map((pair) => /^([a-z0-9-]+)=(\S+)$/.exec(pair));
  if (upgradeSidecars && sidecarImage === undefined) faults.push('--upgrade-sidecars needs --sidecar-image');
  if (pairs.length > 0 && sidecarImage === undefined) faults.push('--namespace-images needs --sidecar-image');
  if (pairs.includes(null)) faults.push('--namespace-images must be NAMESPACE=IMAGE, joined by commas');
  const namespaceImages = Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? '']));
  return { sidecarImage, namespaceImages, upgradeSidecars };
}

function readProxies({ list, text, faults }: Read): readonly string[] {
  const ranges = list('trusted-proxies');
  if (trustedProxies(ranges) === undefined)
    faults.push(
      '--trusted-proxies must be addresses or CIDRs such as 10.1.2.0/24, joined by commas; none is everybody',
    );
  if (ranges.length > 0 && text('decisions') === 'off') faults.push('--trusted-proxies needs --decisions');
  return ranges;
}

function readTokensFileName({ optional, text, faults }: Read): string | undefined {
  if (optional('tokens') !== undefined && text('decisions') === 'off') faults.push('--tokens needs --decisions');
  return optional('tokens');
}

function readRecorder({ optional, faults }: Read): string | undefined {
  const url = optional('recorder');
  if (url !== undefined && !/^https:\/\/[A-Za-z0-9.-]+:[0-9]{1,5}$/.test(url))
    faults.push('--recorder must be an https:// address with a port');
  return url;
}

function readSpool({ optional, number, faults }: Read): Settings['spool'] {
  const folder = optional('spool');
  const limit = number('spool-limit', 'MiB') * 1_048_576;
  if (folder === undefined) return undefined;
  if (optional('recorder') === undefined) faults.push('--spool needs --recorder');
  if (limit < 1_048_576) faults.push('--spool-limit must be at least 1');
  return { folder, limit };
}

function readNotices({ optional, text }: Read): Settings['notices'] {
  const json = optional('notices');
  return json === undefined ? undefined : { json, secrets: text('notices-secrets') };
}
