import type { LogLevel } from '../../pkg/base/index.ts';
import { controlPorts } from '../../pkg/contract/index.ts';
import { readFlags, usageOf } from '../../pkg/process/index.ts';
import type { Address, Parsed } from '../../pkg/process/index.ts';

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

const flags = {
  namespace: { help: 'namespace of the release', required: true },
  'break-glass-group': { help: 'group that may exec and port-forward into governed pods; each time is recorded' },
  listen: {
    help: 'host:port for the API server (TLS); no host: all addresses',
    fallback: `:${controlPorts.webhook}`,
  },
  admin: { help: 'host:port for /healthz, /readyz, /metrics', fallback: `:${controlPorts.admin}` },
  names: { help: 'more DNS names in its certificate, joined by commas' },
  'certificate-secret': {
    help: 'Secret with its certificate, where another issues it and writes its authority (cert-manager); unset: its own authority',
  },
  kubeconfig: { help: 'file; unset: the service account of the pod' },
  drain: { help: 'seconds that it is served on after SIGTERM', fallback: '12' },
  'log-level': { help: 'debug, info, warn or error', fallback: 'info' },
} as const;

export const usage = usageOf('webhook: decides admission for Sidegate', flags);

/** Either the settings, or everything that is wrong with them, together. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Parsed<Settings> {
  const read = readFlags(flags, args, environment);
  if (read === undefined) return { help: true };
  const settings: Settings = {
    namespace: read.text('namespace'),
    breakGlassGroup: read.text('break-glass-group'),
    listen: read.address('listen'),
    admin: read.address('admin'),
    names: read.list('names'),
    certificateSecret: read.optional('certificate-secret'),
    kubeconfig: read.optional('kubeconfig'),
    instance: environment['POD_NAME'] ?? 'sidegate-webhook',
    drainMs: read.number('drain', 'seconds', 3_600) * 1_000,
    logLevel: read.logLevel('log-level'),
  };
  return read.faults.length > 0 ? { faults: read.faults } : { settings };
}
