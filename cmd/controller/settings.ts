import { parseArgs } from 'node:util';
import { describeError } from '../../pkg/base/index.ts';
import type { LogLevel } from '../../pkg/base/index.ts';
import { controlPorts } from '../../pkg/contract/index.ts';
import { serviceAccountFolder } from '../../pkg/kube/index.ts';

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
  readonly upgradeSidecars: boolean;
  /** Undefined: the pod's own service account. */
  readonly kubeconfig: string | undefined;
  /** Server that counts limits of scope `Policy`; undefined: none. */
  readonly limitStore:
    | {
        readonly url: string;
        readonly user: string | undefined;
        readonly passwordFile: string | undefined;
        readonly caFile: string | undefined;
      }
    | undefined;
  /** `https://HOST:PORT` to which sidecars bring their records; undefined: they stay in the pods. */
  readonly recorder: string | undefined;
  /** Where `kubernetes.default` is, in a pod. */
  readonly apiServer: { readonly host: string; readonly port: string | undefined; readonly folder: string } | undefined;
  readonly listen: Address;
  readonly admin: Address;
  /** Undefined: nobody decides by token. */
  readonly decisions: Address | undefined;
  readonly keepApprovalsMs: number;
  /** File with the settings of the token endpoint; undefined: there is none. */
  readonly tokensFile: string | undefined;
  readonly logLevel: LogLevel;
  /** Over how long sidecars are sent elsewhere after SIGTERM, milliseconds. */
  readonly drainMs: number;
}

/** An empty host: all addresses. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

interface Setting {
  readonly flag: string;
  readonly help: string;
  readonly fallback: string | undefined;
}

const setting = (flag: string, help: string, fallback?: string): Setting => ({ flag, help, fallback });

const all = [
  setting('namespace', 'namespace of Sidegate itself (required)'),
  setting('replica', 'name of this replica; default the POD_NAME of the environment (required)'),
  setting('trust-domain', 'of the SPIFFE ids', 'cluster.local'),
  setting('cluster-domain', 'DNS domain of the cluster', 'cluster.local'),
  setting(
    'govern-namespaces',
    'Auto: label namespaces when their first inference pod appears; Required: people do',
    'Auto',
  ),
  setting('network-policies', 'true: write NetworkPolicies for governed pods', 'true'),
  setting('sidecar-image', 'image of the sidecars of this release: others count as old'),
  setting('kubeconfig', 'file; unset: the service account of the pod'),
  setting('service-account', 'folder with token and ca.crt of the pod', serviceAccountFolder),
  setting('listen', 'host:port for sidecars (TLS)', `:${controlPorts.stream}`),
  setting('decisions', 'host:port for decisions by token (TLS); `off`: nowhere', `:${controlPorts.decisions}`),
  setting('tokens', 'file with the settings of the token endpoint, which --decisions serves'),
  setting('keep-approvals', 'hours that finished approvals and grants are kept after their end', '24'),
  setting('admin', 'host:port for /healthz, /readyz, /metrics', `:${controlPorts.admin}`),
  setting('limit-store', 'redis:// or rediss:// address of the server that counts limits of scope Policy'),
  setting('limit-store-user', 'its user'),
  setting('limit-store-password-file', 'file with its password'),
  setting('limit-store-ca', 'PEM file of authorities for rediss://'),
  setting('recorder', 'https:// address to which sidecars bring their records'),
  setting('log-level', 'debug, info, warn or error', 'info'),
  setting('drain', 'seconds over which sidecars are sent elsewhere after SIGTERM', '15'),
] as const;

export const usage = `controller: brings policies to sidecars, and what they say of them back

${all.map(({ flag, help, fallback }) => `  --${flag.padEnd(20)} ${help}${fallback === undefined ? '' : ` (default ${fallback})`}`).join('\n')}
  --evict                evict labelled pods that have no sidecar, a few at a time
  --upgrade-sidecars     exchange the image of sidecars that have another than --sidecar-image, a few at a time

Each flag may also be given by the environment: --log-level as SIDEGATE_LOG_LEVEL.
`;

const isLevel = (text: string): text is LogLevel => ['debug', 'info', 'warn', 'error'].includes(text);
const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function readFlags(args: readonly string[], faults: string[]): Readonly<Record<string, string | boolean | undefined>> {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean' },
        evict: { type: 'boolean' },
        'upgrade-sidecars': { type: 'boolean' },
        ...Object.fromEntries(all.map(({ flag }) => [flag, { type: 'string' as const }])),
      },
    }).values;
  } catch (error) {
    faults.push(describeError(error));
    return {};
  }
}

function apiServerOf(
  kubeconfig: string | undefined,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
  faults: string[],
): Settings['apiServer'] {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  if (host !== undefined && host !== '') return { host, port: environment['KUBERNETES_SERVICE_PORT'], folder };
  if (kubeconfig === undefined) faults.push('this is no pod (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig');
  return undefined;
}

/** Either the settings, or everything that is wrong with them, together. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): { readonly settings: Settings } | { readonly faults: readonly string[] } | { readonly help: true } {
  const faults: string[] = [];
  const flags = readFlags(args, faults);
  if (flags['help'] === true) return { help: true };
  const read = (flag: (typeof all)[number]['flag']): string => {
    const given = flags[flag] ?? environment[`SIDEGATE_${flag.toUpperCase().replaceAll('-', '_')}`];
    return typeof given === 'string' && given !== '' ? given : (all.find((one) => one.flag === flag)?.fallback ?? '');
  };
  const oneOf = <T extends string>(flag: (typeof all)[number]['flag'], values: readonly T[]): T | undefined => {
    const value = values.find((one) => one === read(flag));
    if (value === undefined) faults.push(`--${flag} must be ${values.join(' or ')}`);
    return value;
  };
  const domain = (flag: 'trust-domain' | 'cluster-domain'): string => {
    const value = read(flag);
    if (!dnsName.test(value)) faults.push(`--${flag} must be a DNS name in lower case`);
    return value;
  };

  const namespace = read('namespace');
  if (namespace === '') faults.push('--namespace is missing: namespace of Sidegate itself');
  const replica = read('replica') === '' ? (environment['POD_NAME'] ?? '') : read('replica');
  if (!dnsName.test(replica)) faults.push('--replica is missing, or is no name: set POD_NAME in the pod');
  const trustDomain = domain('trust-domain');
  const clusterDomain = domain('cluster-domain');
  const governNamespaces = oneOf('govern-namespaces', ['Auto', 'Required']);
  const networkPolicies = oneOf('network-policies', ['true', 'false']);
  const kubeconfig = read('kubeconfig') === '' ? undefined : read('kubeconfig');
  const apiServer = apiServerOf(kubeconfig, read('service-account'), environment, faults);
  const limitStore = limitStoreOf(read, faults);
  const recorder = read('recorder');
  if (recorder !== '' && !/^https:\/\/[A-Za-z0-9.-]+:[0-9]{1,5}$/.test(recorder))
    faults.push('--recorder must be an https:// address with a port');
  const listen = parseAddress('listen', read('listen'), faults);
  const admin = parseAddress('admin', read('admin'), faults);
  const people = peopleSettings(read, faults);
  const level = read('log-level');
  if (!isLevel(level)) faults.push('--log-level must be debug, info, warn or error');
  const sidecars = sidecarsOf(read, flags['upgrade-sidecars'] === true, environment, faults);
  const drain = Number(read('drain'));
  if (!Number.isFinite(drain) || drain < 0) faults.push('--drain must be a number of seconds');
  if (faults.length > 0 || governNamespaces === undefined || listen === undefined || admin === undefined) {
    return { faults };
  }
  return {
    settings: {
      namespace,
      replica,
      trustDomain,
      clusterDomain,
      governNamespaces,
      networkPolicies: networkPolicies === 'true',
      evict: flags['evict'] === true || environment['SIDEGATE_EVICT'] === 'true',
      ...sidecars,
      kubeconfig,
      apiServer,
      limitStore,
      recorder: recorder === '' ? undefined : recorder,
      listen,
      admin,
      ...people,
      logLevel: isLevel(level) ? level : 'info',
      drainMs: drain * 1_000,
    },
  };
}

function sidecarsOf(
  read: (flag: (typeof all)[number]['flag']) => string,
  flag: boolean,
  environment: Readonly<Record<string, string | undefined>>,
  faults: string[],
): Pick<Settings, 'sidecarImage' | 'upgradeSidecars'> {
  const sidecarImage = read('sidecar-image') === '' ? undefined : read('sidecar-image');
  const upgradeSidecars = flag || environment['SIDEGATE_UPGRADE_SIDECARS'] === 'true';
  if (upgradeSidecars && sidecarImage === undefined) faults.push('--upgrade-sidecars needs --sidecar-image');
  return { sidecarImage, upgradeSidecars };
}

/** Of approvals and grants. */
function peopleSettings(
  read: (flag: (typeof all)[number]['flag']) => string,
  faults: string[],
): Pick<Settings, 'decisions' | 'keepApprovalsMs' | 'tokensFile'> {
  const hours = Number(read('keep-approvals'));
  if (!Number.isFinite(hours) || hours < 0) faults.push('--keep-approvals must be a number of hours');
  const tokensFile = read('tokens') === '' ? undefined : read('tokens');
  if (tokensFile !== undefined && read('decisions') === 'off') faults.push('--tokens needs --decisions');
  return {
    tokensFile,
    decisions: read('decisions') === 'off' ? undefined : parseAddress('decisions', read('decisions'), faults),
    keepApprovalsMs: hours * 3_600_000,
  };
}

function limitStoreOf(read: (flag: (typeof all)[number]['flag']) => string, faults: string[]): Settings['limitStore'] {
  const url = read('limit-store');
  if (url === '') return undefined;
  if (!/^rediss?:\/\/[^@\s]+$/.test(url))
    faults.push('--limit-store must be a redis:// or rediss:// address without user and password');
  const optional = (value: string): string | undefined => (value === '' ? undefined : value);
  return {
    url,
    user: optional(read('limit-store-user')),
    passwordFile: optional(read('limit-store-password-file')),
    caFile: optional(read('limit-store-ca')),
  };
}

function parseAddress(flag: string, text: string, faults: string[]): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    faults.push(`--${flag} must be host:port`);
    return undefined;
  }
  return { host: match[1] ?? match[2] ?? '', port };
}
