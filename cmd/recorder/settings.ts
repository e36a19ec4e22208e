import { CodedError } from '../../pkg/base/index.ts';
import type { LogLevel } from '../../pkg/base/index.ts';
import { controlPorts } from '../../pkg/contract/index.ts';
import { readFlags, usageOf } from '../../pkg/process/index.ts';
import type { Address, FlagReader, Parsed } from '../../pkg/process/index.ts';
import { parseConsole, parseLocation, parsePeople, parseReceivers } from '../../pkg/recorder/index.ts';
import type {
  ArchiveLocation,
  ConsoleSettings,
  ObjectLock,
  PeopleSettings,
  ReceiverSettings,
  RetentionDays,
  ShareSettings,
} from '../../pkg/recorder/index.ts';

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
  /** File of all public keys that the log has had. */
  readonly logPublic: string | undefined;
  /** Signed heads are kept in a ConfigMap, too. */
  readonly publishHeads: boolean;
  readonly trustDomain: string;
  /** Of Sidegate itself: its controller reports which pods are gone. */
  readonly namespace: string;
  readonly listen: Address;
  /** For auditors. */
  readonly audit: Address;
  /** The OpenID provider of people who read records; undefined: tokens of Kubernetes alone count. */
  readonly oidc: PeopleSettings | undefined;
  /** PEM file of the provider's authorities beside the public ones. */
  readonly oidcCa: string | undefined;
  /** The web console for them, where auditors ask; undefined: there is none. */
  readonly console: ConsoleSettings | undefined;
  /** File with the console's client secret at the provider; undefined: a public client. */
  readonly consoleSecret: string | undefined;
  readonly admin: Address;
  /** Undefined: the pod's own service account. */
  readonly kubeconfig: string | undefined;
  /** After how many days lines are deleted. */
  readonly retention: RetentionDays;
  /** What namespaces may hold of the store once it has little room left. */
  readonly shares: ShareSettings;
  /** Where the log is shipped to. */
  readonly ship: readonly ReceiverSettings[];
  /** Folder with their secrets. */
  readonly shipSecrets: string;
  /** Where the log is archived; undefined: nowhere. */
  readonly archive: ArchiveSettings | undefined;
  readonly logLevel: LogLevel;
}

export interface ArchiveSettings {
  readonly location: ArchiveLocation;
  /** How long nobody may change or delete what is written there, and whether anybody may shorten that. */
  readonly lock: { readonly mode: ObjectLock['mode']; readonly days: number };
  /** Lines are deleted by age though they are not archived. */
  readonly deleteUnarchived: boolean;
}

const flags = {
  data: { help: 'folder of the embedded store' },
  database: { help: 'file with postgres://user:password@host:5432/database, for a store that recorders share' },
  'database-ca': { help: 'PEM file of the authorities of the database; unset: the public ones' },
  tls: { help: 'folder with tls.crt and tls.key of the recorder', required: true },
  trust: { help: 'PEM file of the authorities of sidecars', required: true },
  'publish-heads': {
    help: 'signed heads are kept in ConfigMap sidegate-log-heads of --namespace, too',
    isSwitch: true,
  },
  'log-key': { help: 'PEM file of the Ed25519 key that signs the log; unset: it is not signed' },
  'log-public': {
    help: 'PEM file of the public keys that the log has had, one after the other, the last of them that of --log-key; default: that one alone',
  },
  'trust-domain': { help: 'of the SPIFFE ids', fallback: 'cluster.local' },
  namespace: { help: 'where the controller runs, which reports pods', fallback: 'sidegate-system' },
  listen: { help: 'host:port for sidecars (TLS)', fallback: `:${controlPorts.recorder}` },
  audit: {
    help: 'host:port for auditors (TLS); needs a Kubernetes API server to ask',
    fallback: `:${controlPorts.audit}`,
  },
  oidc: { help: 'OpenID provider of auditors and what its claims give, as JSON (docs/console.md); unset: none' },
  'oidc-ca': { help: 'PEM file of authorities of the provider, beside the public ones' },
  console: { help: 'web console for people of the provider, as JSON (docs/console.md); unset: none' },
  'console-secret': { help: 'file with the client secret of the console; unset: it is a public client' },
  kubeconfig: { help: 'file; unset: the service account of the pod' },
  admin: { help: 'host:port for /healthz, /readyz, /metrics', fallback: `:${controlPorts.admin}` },
  'retention-days': { help: 'days after which lines are deleted; their proof stays; 0: never', fallback: '0' },
  'namespace-retention': { help: 'days of namespaces that have their own: NAMESPACE=DAYS, with commas', fallback: '' },
  'policy-retention': {
    help: 'days of what their rules acted in, of policies that want more: NAMESPACE/POLICY=DAYS or cluster/POLICY=DAYS, with commas',
    fallback: '',
  },
  'shares-below': {
    help: 'percent of the room of the store: once less is free, lines of namespaces that hold more than their share are not taken; 0: never',
    fallback: '5',
  },
  'namespace-parts': {
    help: 'parts that namespaces have of it, where that is not one: NAMESPACE=PARTS, with commas',
    fallback: '',
  },
  'database-gibibytes': {
    help: 'GiB that the tables of --database may take, of which --shares-below is a part; 0: not known, so that nobody waits',
    fallback: '0',
  },
  ship: { help: 'receivers of the log, as JSON (docs/siem.md)', fallback: '[]' },
  'ship-secrets': { help: 'folder with their secrets', fallback: '/etc/sidegate/ship' },
  archive: { help: 's3://BUCKET/PREFIX, with object lock, for the log in segments; unset: it is not archived' },
  'archive-endpoint': { help: 'https:// address of another S3 than Amazon’s' },
  'archive-region': { help: 'of the bucket; unset: AWS_REGION' },
  'archive-path-style': { help: 'the bucket stands in the path instead of the host’s name', isSwitch: true },
  'archive-ca': { help: 'PEM file of authorities of the endpoint, beside the public ones' },
  'archive-lock': { help: 'COMPLIANCE: nobody can shorten it; or GOVERNANCE', fallback: 'COMPLIANCE' },
  'archive-lock-days': { help: 'days for which what is archived is locked', fallback: '365' },
  'archive-delete-unarchived': { help: 'lines are deleted by age though they are not archived yet', isSwitch: true },
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
  const namespaces = numbersOf(read, 'namespace-retention', 'NAMESPACE', /^([a-z0-9-]{1,63})=([0-9]{1,5})$/);
  const policyDays = /^([a-z0-9-]{1,63}\/[a-z0-9.-]{1,253})=([0-9]{1,5})$/;
  const policies = numbersOf(read, 'policy-retention', 'NAMESPACE/POLICY', policyDays);
  const ship = parsedOr(faults, () => parseReceivers(read.text('ship'))) ?? [];
  const [data, database, databaseCa] = [read.optional('data'), read.optional('database'), read.optional('database-ca')];
  if ((data === undefined) === (database === undefined)) faults.push('give either --data or --database');
  if (databaseCa !== undefined && database === undefined) faults.push('--database-ca goes with --database');
  const archive = archiveOf(read);
  if (archive !== undefined && read.optional('log-key') === undefined)
    faults.push('--archive needs --log-key: segments are signed by it');
  const settings: Settings = {
    store: database === undefined ? { data: data ?? '' } : { database, databaseCa },
    tls: read.text('tls'),
    trust: read.text('trust'),
    logKey: read.optional('log-key'),
    logPublic: read.optional('log-public'),
    publishHeads: read.isOn('publish-heads'),
    trustDomain: read.text('trust-domain'),
    namespace: read.text('namespace'),
    listen: read.address('listen'),
    audit: read.address('audit'),
    kubeconfig: read.optional('kubeconfig'),
    ...peopleOf(read),
    admin: read.address('admin'),
    retention: { all: retentionDays, namespaces, policies },
    shares: sharesOf(read),
    ship,
    shipSecrets: read.text('ship-secrets'),
    archive,
    logLevel: read.logLevel('log-level'),
  };
  return faults.length > 0 ? { faults } : { settings };
}

const gib = 1024 ** 3;
function sharesOf(read: FlagReader<keyof typeof flags>): ShareSettings {
  const belowPercent = read.number('shares-below', 'percent', 90);
  const databaseGib = read.number('database-gibibytes', 'GiB', 1_000_000);
  if (databaseGib > 0 && read.optional('database') === undefined)
    read.faults.push('--database-gibibytes goes with --database: a volume has a size');
  const parts = numbersOf(read, 'namespace-parts', 'NAMESPACE', /^([a-z0-9-]{1,63})=([1-9][0-9]{0,5})$/, 'PARTS');
  return { belowPercent, parts, databaseBytes: databaseGib === 0 ? undefined : databaseGib * gib };
}

/** `NAME=NUMBER,NAME=NUMBER` */
function numbersOf(
  read: FlagReader<keyof typeof flags>,
  flag: 'namespace-retention' | 'policy-retention' | 'namespace-parts',
  what: string,
  shape: RegExp,
  number = 'DAYS',
): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const one of read.list(flag)) {
    const [, name, days] = shape.exec(one) ?? [];
    if (name === undefined) read.faults.push(`--${flag} must be ${what}=${number}, with commas`);
    else found[name] = Number(days);
  }
  return found;
}

/** Undefined beside its fault. */
function parsedOr<Value>(faults: string[], parse: () => Value): Value | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    faults.push(`--${error.message}`);
    return undefined;
  }
}

function peopleOf(
  read: FlagReader<keyof typeof flags>,
): Pick<Settings, 'oidc' | 'oidcCa' | 'console' | 'consoleSecret'> {
  const { faults } = read;
  const [given, oidcCa] = [read.optional('oidc'), read.optional('oidc-ca')];
  const [givenConsole, consoleSecret] = [read.optional('console'), read.optional('console-secret')];
  const oidc = given === undefined ? undefined : parsedOr(faults, () => parsePeople(given));
  const web = givenConsole === undefined ? undefined : parsedOr(faults, () => parseConsole(givenConsole));
  if (given === undefined && oidcCa !== undefined) faults.push('--oidc-ca goes with --oidc');
  if (givenConsole === undefined && consoleSecret !== undefined) faults.push('--console-secret goes with --console');
  if (given === undefined && givenConsole !== undefined) faults.push('--console needs --oidc: who its people are');
  if (web?.token === 'Id' && oidc !== undefined && !oidc.audiences.includes(web.clientId))
    faults.push('--console: ID tokens are meant for clientId: add it to the audiences of --oidc');
  return { oidc, oidcCa, console: web, consoleSecret };
}

function archiveOf(read: FlagReader<keyof typeof flags>): ArchiveSettings | undefined {
  const { faults } = read;
  const url = read.optional('archive');
  if (url === undefined) return undefined;
  const days = read.number('archive-lock-days', 'days', 36_500);
  if (!Number.isInteger(days) || days < 1) faults.push('--archive-lock-days must be a number of whole days, from 1');
  const lock = { mode: read.oneOf('archive-lock', ['COMPLIANCE', 'GOVERNANCE']), days };
  const [region, endpoint] = [read.optional('archive-region'), read.optional('archive-endpoint')];
  const [ca, pathStyle] = [read.optional('archive-ca'), read.isOn('archive-path-style')];
  try {
    const location = parseLocation(url, { region, endpoint, ca, pathStyle });
    return { location, lock, deleteUnarchived: read.isOn('archive-delete-unarchived') };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    faults.push(`--archive: ${error.message}`);
    return undefined;
  }
}
