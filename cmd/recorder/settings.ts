import type { LogLevel } from '../../pkg/base/index.ts';
import { controlPorts } from '../../pkg/contract/index.ts';
import { readFlags, usageOf } from '../../pkg/process/index.ts';
import type { Address, Parsed } from '../../pkg/process/index.ts';
import { parseReceivers } from '../../pkg/recorder/index.ts';
import type { ReceiverSettings } from '../../pkg/recorder/index.ts';

/** What a recorder is told when it starts. Flags win over environment (`--data` over `SIDEGATE_DATA`). */
export interface Settings {
  /** Folder of the embedded store, or the file that says where the database is (and PEM of its authorities; undefined: the public ones). */
  readonly store: { readonly data: string } | { readonly database: string; readonly databaseCa: string | undefined };
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
  /** Of namespaces that have their own. */
  readonly namespaceDays: Readonly<Record<string, number>>;
  /** Where the log is shipped to. */
  readonly ship: readonly ReceiverSettings[];
  /** Folder with their secrets. */
  readonly shipSecrets: string;
  readonly logLevel: LogLevel;
}

const flags = {
  data: { help: 'folder of the embedded store' },
  database: { help: 'file with postgres://user:password@host:5432/database, for a store that recorders share' },
  'database-ca': { help: 'PEM file of the authorities of the database; unset: the public ones' },
  tls: { help: 'folder with tls.crt and tls.key of the recorder', required: true },
  trust: { help: 'PEM file of the authorities of sidecars', required: true },
  'log-key': { help: 'PEM file of the Ed25519 key that signs the log; unset: it is not signed' },
  'trust-domain': { help: 'of the SPIFFE ids', fallback: 'cluster.local' },
  namespace: { help: 'where the controller runs, which reports pods', fallback: 'sidegate-system' },
  listen: { help: 'host:port for sidecars (TLS)', fallback: `:${controlPorts.recorder}` },
  audit: {
    help: 'host:port for auditors (TLS); needs a Kubernetes API server to ask',
    fallback: `:${controlPorts.audit}`,
  },
  kubeconfig: { help: 'file; unset: the service account of the pod' },
  admin: { help: 'host:port for /healthz, /readyz, /metrics', fallback: `:${controlPorts.admin}` },
  'retention-days': { help: 'days after which lines are deleted; their proof stays; 0: never', fallback: '0' },
  'namespace-retention': { help: 'days of namespaces that have their own: NAMESPACE=DAYS, with commas', fallback: '' },
  ship: { help: 'receivers of the log, as JSON (docs/siem.md)', fallback: '[]' },
  'ship-secrets': { help: 'folder with their secrets', fallback: '/etc/sidegate/ship' },
  'log-level': { help: 'debug, info, warn or error', fallback: 'info' },
} as const;

export const usage = usageOf('recorder: keeps the records of all sidecars, finds and proves them', flags);

/** Either the settings, or everything that is wrong with them, together. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Parsed<Settings> {
  const read = readFlags(flags, args, environment);
  if (read === undefined) return { help: true };
  const { faults } = read;
  const retentionDays = read.number('retention-days', 'days', 36_500);
  if (!Number.isInteger(retentionDays)) faults.push('--retention-days must be a number of whole days');
  const namespaceDays: Record<string, number> = {};
  for (const one of read.list('namespace-retention')) {
    const [, namespace, days] = /^([a-z0-9-]{1,63})=([0-9]{1,5})$/.exec(one) ?? [];
    if (namespace === undefined) faults.push('--namespace-retention must be NAMESPACE=DAYS, with commas');
    else namespaceDays[namespace] = Number(days);
  }
  let ship: readonly ReceiverSettings[] = [];
  try {
    ship = parseReceivers(read.text('ship'));
  } catch (error) {
    faults.push(`--${(error as Error).message}`);
  }
  const [data, database, databaseCa] = [read.optional('data'), read.optional('database'), read.optional('database-ca')];
  if ((data === undefined) === (database === undefined)) faults.push('give either --data or --database');
  if (ship.length > 0 && data === undefined)
    faults.push('--ship goes with --data: its cursors are files beside that store');
  if (databaseCa !== undefined && database === undefined) faults.push('--database-ca goes with --database');
  const settings: Settings = {
    store: database === undefined ? { data: data ?? '' } : { database, databaseCa },
    tls: read.text('tls'),
    trust: read.text('trust'),
    logKey: read.optional('log-key'),
    trustDomain: read.text('trust-domain'),
    namespace: read.text('namespace'),
    listen: read.address('listen'),
    audit: read.address('audit'),
    kubeconfig: read.optional('kubeconfig'),
    admin: read.address('admin'),
    retentionDays,
    namespaceDays,
    ship,
    shipSecrets: read.text('ship-secrets'),
    logLevel: read.logLevel('log-level'),
  };
  return faults.length > 0 ? { faults } : { settings };
}
