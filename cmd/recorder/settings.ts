import { parseArgs } from 'node:util';
import { describeError } from '../../pkg/base/index.ts';
import type { LogLevel } from '../../pkg/base/index.ts';
import { controlPorts } from '../../pkg/contract/index.ts';

/** What a recorder is told when it starts. Flags win over environment (`--data` over `SIDEGATE_DATA`). */
export interface Settings {
  /** Folder of the store. */
  readonly data: string;
  /** Folder with `tls.crt` and `tls.key`. */
  readonly tls: string;
  /** PEM of the authorities of sidecars. */
  readonly trust: string;
  /** PKCS#8 PEM that signs the log's heads; undefined: they are not signed. */
  readonly logKey: string | undefined;
  readonly trustDomain: string;
  /** Of Sidegate itself: its controller reports which pods are gone. */
  readonly namespace: string;
  readonly listen: Address;
  /** For auditors. */
  readonly audit: Address;
  readonly admin: Address;
  /** Undefined: the pod's own service account. */
  readonly kubeconfig: string | undefined;
  /** Days after which lines are deleted; 0: never. */
  readonly retentionDays: number;
  readonly logLevel: LogLevel;
}

/** An empty host: all addresses. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const setting = (flag: string, help: string, fallback?: string) => ({ flag, help, fallback }) as const;

const all = [
  setting('data', 'folder of the store (required)'),
  setting('tls', 'folder with tls.crt and tls.key of the recorder (required)'),
  setting('trust', 'PEM file of the authorities of sidecars (required)'),
  setting('log-key', 'PEM file of the Ed25519 key that signs the log; unset: it is not signed'),
  setting('trust-domain', 'of the SPIFFE ids', 'cluster.local'),
  setting('namespace', 'where the controller runs, which reports pods', 'sidegate-system'),
  setting('listen', 'host:port for sidecars (TLS)', `:${controlPorts.recorder}`),
  setting('audit', 'host:port for auditors (TLS); needs a Kubernetes API server to ask', `:${controlPorts.audit}`),
  setting('kubeconfig', 'file; unset: the service account of the pod'),
  setting('admin', 'host:port for /healthz, /readyz, /metrics', `:${controlPorts.admin}`),
  setting('retention-days', 'days after which lines are deleted; their proof stays; 0: never', '0'),
  setting('log-level', 'debug, info, warn or error', 'info'),
];

export const usage = `recorder: keeps the records of all sidecars, finds and proves them

${all.map(({ flag, help, fallback }) => `  --${flag.padEnd(16)} ${help}${fallback === undefined ? '' : ` (default ${fallback})`}`).join('\n')}

Each flag may also be given by the environment: --log-level as SIDEGATE_LOG_LEVEL.
`;

const isLevel = (text: string): text is LogLevel => ['debug', 'info', 'warn', 'error'].includes(text);

/** Either the settings, or everything that is wrong with them, together. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): { readonly settings: Settings } | { readonly faults: readonly string[] } | { readonly help: true } {
  const faults: string[] = [];
  let flags: Readonly<Record<string, string | boolean | undefined>> = {};
  try {
    flags = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean' },
        ...Object.fromEntries(all.map(({ flag }) => [flag, { type: 'string' as const }])),
      },
    }).values;
  } catch (error) {
    faults.push(describeError(error));
  }
  if (flags['help'] === true) return { help: true };
  const read = (flag: string): string => {
    const given = flags[flag] ?? environment[`SIDEGATE_${flag.toUpperCase().replaceAll('-', '_')}`];
    return typeof given === 'string' && given !== '' ? given : (all.find((one) => one.flag === flag)?.fallback ?? '');
  };
  const required = (flag: string): string => {
    const value = read(flag);
    if (value === '') faults.push(`--${flag} is missing`);
    return value;
  };
  const address = (flag: string): Address => {
    const [, host = '', port = ''] = /^(.*):([0-9]{1,5})$/.exec(read(flag)) ?? [];
    if (port === '' || Number(port) > 65_535) faults.push(`--${flag} must be host:port`);
    return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
  };
  const level = read('log-level');
  if (!isLevel(level)) faults.push('--log-level must be debug, info, warn or error');
  const days = Number(read('retention-days'));
  if (!Number.isInteger(days) || days < 0 || days > 36_500)
    faults.push('--retention-days must be a number of whole days');
  const settings: Settings = {
    data: required('data'),
    tls: required('tls'),
    trust: required('trust'),
    logKey: read('log-key') === '' ? undefined : read('log-key'),
    trustDomain: required('trust-domain'),
    namespace: required('namespace'),
    listen: address('listen'),
    audit: address('audit'),
    kubeconfig: read('kubeconfig') === '' ? undefined : read('kubeconfig'),
    admin: address('admin'),
    retentionDays: days,
    logLevel: isLevel(level) ? level : 'info',
  };
  return faults.length > 0 ? { faults } : { settings };
}
