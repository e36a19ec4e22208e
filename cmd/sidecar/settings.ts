import type { LogLevel } from '../../pkg/base/index.ts';
import { longestSeconds } from '../../pkg/contract/index.ts';
import type { BreakGlass } from '../../pkg/local/index.ts';
import { limitStoreFlags, readFlags, readLimitStore, usageOf } from '../../pkg/process/index.ts';
import type { Address, FlagReader, LimitStoreSettings, Parsed } from '../../pkg/process/index.ts';
import { looksHosted } from './hosted.ts';
import { modelRequestsFlag, readModelRequests } from './model-requests.ts';

/** What a sidecar is told when it starts. Flags win over environment (`--audit` over `SIDEGATE_AUDIT`). */
export interface Settings {
  /** File or folder of policies. */
  readonly policy: string;
  /** Origin of the model server. */
  readonly upstream: URL;
  /** The model is somebody else's: no caller's own token or cookie goes there, and only who is really allowed reaches it. */
  readonly hosted: boolean;
  /** `hosted` was not said, but taken from the address. */
  readonly hostedInferred: boolean;
  /** CA certificates (PEM) for an https upstream, beside the public roots. */
  readonly upstreamCa: string | undefined;
  /** Requests at the model at once; of one caller half of it. */
  readonly modelRequests: number;
  readonly listen: Address;
  readonly admin: Address;
  /** Certificates and keys that the sidecar makes for itself, and the key of its record. */
  readonly data: string;
  /** File for the record; `-` is standard output. */
  readonly audit: string;
  /** PEM files; unset: self-signed in the data folder. */
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsPkcs12: string | undefined;
  readonly tlsPassphraseFile: string | undefined;
  /** PEM bundle of authorities whose client certificates are asked for. */
  readonly clientCa: string | undefined;
  /** Names in the self-signed certificate. */
  readonly names: readonly string[];
  /** Folder in which approvals are shown and decided; unset: nobody can be asked. */
  readonly approvals: string | undefined;
  /** Who may approve alone there; unset: nobody. */
  readonly breakGlass: BreakGlass | undefined;
  /** Folder with InferenceGrant YAML; unset: there are none. */
  readonly grants: string | undefined;
  /** File with revocations, a line each; unset: there are none. */
  readonly revocations: string | undefined;
  /** Server that counts limits of scope `Policy`; unset: it is as if it were down. */
  readonly limitStore: LimitStoreSettings | undefined;
  readonly logLevel: LogLevel;
  /** How long requests under way may take after SIGTERM, milliseconds. */
  readonly graceMs: number;
}

const flags = {
  policy: { help: 'file or folder with InferencePolicy YAML', required: true },
  upstream: { help: 'origin of the model server, http://127.0.0.1:8000 or https://…', required: true },
  hosted: {
    help: 'yes or no: the model is another company’s, and no caller’s own token or cookie goes there, so that who is not allowed is refused (403), in Observe mode too; unset: no for loopback, private addresses and names of one’s own network, else yes',
  },
  'upstream-ca': { help: 'PEM file of authorities for an https upstream; read once, at the start' },
  'model-requests': modelRequestsFlag,
  listen: { help: 'host:port for callers (TLS)', fallback: '127.0.0.1:8443' },
  admin: { help: 'host:port for /healthz, /readyz, /metrics', fallback: '127.0.0.1:9090' },
  data: { help: 'folder for what the sidecar keeps', fallback: '.sidegate' },
  audit: { help: 'file for the record, - for standard output', fallback: '-' },
  'tls-cert': { help: 'PEM certificate chain; unset: self-signed in the data folder' },
  'tls-key': { help: 'PEM key' },
  'tls-pkcs12': { help: 'PKCS#12 file instead of certificate and key' },
  'tls-passphrase-file': { help: 'file with the passphrase of the PKCS#12 file' },
  'client-ca': { help: 'PEM bundle of authorities for client certificates; read once, at the start' },
  names: { help: 'names of the self-signed certificate, joined by commas', fallback: 'localhost,127.0.0.1,::1' },
  approvals: { help: 'folder in which approvals are shown to people and decided; unset: nobody can be asked' },
  'break-glass-issuer': {
    help: 'issuer whose people may approve alone what waits in --approvals (approve --break-glass), as the next two name them; unset: nobody may',
  },
  'break-glass-group': { help: 'groups of that issuer, joined by commas' },
  'break-glass-user': { help: 'subjects of that issuer, joined by commas' },
  grants: { help: 'folder with InferenceGrant YAML: access for a time' },
  revocations: {
    help: 'file with tokens and subjects that are taken back, a JSON object a line; while it cannot be read nobody is let in',
  },
  ...limitStoreFlags,
  'log-level': { help: 'debug, info, warn or error', fallback: 'info' },
  grace: { help: 'seconds that requests under way may take after SIGTERM', fallback: '30' },
} as const;

export const usage = usageOf('sidecar: puts Sidegate in front of a model server', flags);

/** Either the settings, or everything that is wrong with them, together. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Parsed<Settings> {
  const read = readFlags(flags, args, environment);
  if (read === undefined) return { help: true };
  const { faults } = read;
  const [tlsCert, tlsKey, tlsPkcs12] = [read.file('tls-cert'), read.file('tls-key'), read.file('tls-pkcs12')];
  if ((tlsCert === undefined) !== (tlsKey === undefined)) faults.push('--tls-cert and --tls-key belong together');
  if (tlsCert !== undefined && tlsPkcs12 !== undefined) faults.push('give --tls-cert or --tls-pkcs12, not both');
  for (const name of ['limit-store-password-file', 'limit-store-ca'] as const) read.file(name);
  const upstream = readUpstream(read);
  const settings = {
    policy: read.text('policy'),
    hosted: readHosted(read, upstream),
    hostedInferred: read.optional('hosted') === undefined,
    upstreamCa: read.file('upstream-ca'),
    modelRequests: readModelRequests(read),
    listen: read.address('listen'),
    admin: read.address('admin'),
    data: read.text('data'),
    audit: read.text('audit'),
    tlsCert,
    tlsKey,
    tlsPkcs12,
    tlsPassphraseFile: read.file('tls-passphrase-file'),
    clientCa: read.file('client-ca'),
    names: read.list('names'),
    approvals: read.optional('approvals'),
    breakGlass: readBreakGlass(read),
    grants: read.optional('grants'),
    revocations: read.optional('revocations'),
    limitStore: readLimitStore(read, 'on loopback'),
    logLevel: read.logLevel('log-level'),
    graceMs: read.number('grace', 'seconds', longestSeconds) * 1_000,
  };
  return faults.length > 0 || upstream === undefined ? { faults } : { settings: { ...settings, upstream } };
}

function readBreakGlass({
  optional,
  list,
  faults,
}: FlagReader<'approvals' | `break-glass-${'issuer' | 'group' | 'user'}`>): BreakGlass | undefined {
  const issuer = optional('break-glass-issuer');
  const [groups, subjects] = [list('break-glass-group'), list('break-glass-user')];
  const named = groups.length + subjects.length > 0;
  if (issuer === undefined && !named) return undefined;
  if (issuer === undefined || !named)
    faults.push('--break-glass-issuer needs --break-glass-group or --break-glass-user beside it, and they need it');
  if (optional('approvals') === undefined) faults.push('--break-glass-issuer needs --approvals');
  return issuer === undefined ? undefined : { issuer, groups, subjects };
}

function readHosted(read: FlagReader<'hosted'>, upstream: URL | undefined): boolean {
  if (read.optional('hosted') === undefined) return upstream === undefined || looksHosted(upstream);
  return read.oneOf('hosted', ['yes', 'no']) === 'yes';
}

function readUpstream({ optional, faults }: FlagReader<'upstream'>): URL | undefined {
  const text = optional('upstream');
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    faults.push('--upstream must be an http:// or https:// address');
    return undefined;
  }
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    faults.push('--upstream must be an origin only: scheme, host and port');
    return undefined;
  }
  return url;
}
