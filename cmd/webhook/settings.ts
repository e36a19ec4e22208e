import { parseArgs } from 'node:util';
import type { LogLevel } from '../../pkg/base/index.ts';
import { controlPorts } from '../../pkg/contract/index.ts';

/** What a webhook is told when it starts. Flags win over environment (`--namespace` over `SIDEGATE_NAMESPACE`). */
export interface Settings {
  /** Where the release is: its Secret, its ConfigMaps, its Service. */
  readonly namespace: string;
  /** Empty: there is no such group. */
  readonly breakGlassGroup: string;
  readonly listen: Address;
  readonly admin: Address;
  /** More names in the serving certificate, beside that of the Service. */
  readonly names: readonly string[];
  /** Secret with the serving certificate; undefined: the webhook has an authority of its own. */
  readonly certificateSecret: string | undefined;
  /** Undefined: the pod's own service account. */
  readonly kubeconfig: string | undefined;
  /** Of this replica, for Events. */
  readonly instance: string;
  /** How long it is served on after SIGTERM, milliseconds. */
  readonly drainMs: number;
  readonly logLevel: LogLevel;
}

export interface Address {
  /** Empty: all addresses. */
  readonly host: string;
  readonly port: number;
}

const all = [
  { flag: 'namespace', help: 'namespace of the release', fallback: undefined, required: true },
  {
    flag: 'break-glass-group',
    help: 'group that may exec and port-forward into governed pods; each time is recorded',
    fallback: '',
    required: false,
  },
  {
    flag: 'listen',
    help: 'host:port for the API server (TLS); no host: all addresses',
    fallback: `:${controlPorts.webhook}`,
    required: false,
  },
  {
    flag: 'admin',
    help: 'host:port for /healthz, /readyz, /metrics',
    fallback: `:${controlPorts.admin}`,
    required: false,
  },
  { flag: 'names', help: 'more DNS names in its certificate, joined by commas', fallback: '', required: false },
  {
    flag: 'certificate-secret',
    help: 'Secret with its certificate, where another issues it and writes its authority (cert-manager); unset: its own authority',
    fallback: '',
    required: false,
  },
  { flag: 'kubeconfig', help: 'file; unset: the service account of the pod', fallback: '', required: false },
  { flag: 'drain', help: 'seconds that it is served on after SIGTERM', fallback: '12', required: false },
  { flag: 'log-level', help: 'debug, info, warn or error', fallback: 'info', required: false },
] as const;

export const usage = `webhook: decides admission for Sidegate

${all.map(({ flag, help, fallback, required }) => `  --${flag.padEnd(20)} ${help}${required ? ' (required)' : fallback === '' ? '' : ` (default ${fallback})`}`).join('\n')}

Each flag may also be given by the environment: --log-level as SIDEGATE_LOG_LEVEL.
`;

/** Either the settings, or everything that is wrong with them, together. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): { readonly settings: Settings } | { readonly faults: readonly string[] } | { readonly help: true } {
  const faults: string[] = [];
  let flags: Record<string, string | boolean | undefined> = {};
  try {
    flags = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean' },
        ...Object.fromEntries(all.map(({ flag }) => [flag, { type: 'string' as const }])),
      },
    }).values;
  } catch (error) {
    faults.push(error instanceof Error ? error.message : 'the flags cannot be read');
  }
  if (flags['help'] === true) return { help: true };
  const read = (flag: (typeof all)[number]['flag']): string => {
    const given = flags[flag] ?? environment[`SIDEGATE_${flag.toUpperCase().replaceAll('-', '_')}`];
    const known = all.find((one) => one.flag === flag);
    const value = typeof given === 'string' && given !== '' ? given : (known?.fallback ?? '');
    if (value === '' && known?.required === true) faults.push(`--${flag} is missing: ${known.help}`);
    return value;
  };
  const listen = parseAddress('listen', read('listen'), faults);
  const admin = parseAddress('admin', read('admin'), faults);
  const level = read('log-level');
  if (!isLevel(level)) faults.push('--log-level must be debug, info, warn or error');
  const drain = Number(read('drain'));
  if (!Number.isFinite(drain) || drain < 0 || drain > 3_600) faults.push('--drain must be a number of seconds');
  const [namespace, kubeconfig, secret] = [read('namespace'), read('kubeconfig'), read('certificate-secret')];
  if (faults.length > 0 || listen === undefined || admin === undefined || !isLevel(level)) return { faults };
  return {
    settings: {
      namespace,
      breakGlassGroup: read('break-glass-group'),
      listen,
      admin,
      names: read('names')
        .split(',')
        .filter((name) => name !== ''),
      certificateSecret: secret === '' ? undefined : secret,
      kubeconfig: kubeconfig === '' ? undefined : kubeconfig,
      instance: environment['POD_NAME'] ?? 'sidegate-webhook',
      drainMs: drain * 1_000,
      logLevel: level,
    },
  };
}

const isLevel = (text: string): text is LogLevel => ['debug', 'info', 'warn', 'error'].includes(text);

function parseAddress(flag: string, text: string, faults: string[]): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    faults.push(`--${flag} must be host:port`);
    return undefined;
  }
  return { host: match[1] ?? match[2] ?? '', port };
}
