import { parseArgs } from 'node:util';
import type { LogLevel } from '../../pkg/base/index.ts';

/** What a sidecar is told when it starts. Flags win over environment (`--audit` over `SIDEGATE_AUDIT`). */
export interface Settings {
  /** File or folder of policies. */
  readonly policy: string;
  /** Origin of the model server. */
  readonly upstream: URL;
  /** CA certificates (PEM) for an https upstream, beside the public roots. */
  readonly upstreamCa: string | undefined;
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
  /** Server that counts limits of scope `Policy`; unset: it is as if it were down. */
  readonly limitStore:
    | {
        readonly url: string;
        readonly user: string | undefined;
        readonly passwordFile: string | undefined;
        readonly caFile: string | undefined;
      }
    | undefined;
  readonly logLevel: LogLevel;
  /** How long requests under way may take after SIGTERM, milliseconds. */
  readonly graceMs: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

interface Setting {
  readonly flag: string;
  readonly help: string;
  readonly fallback: string | undefined;
  readonly required: boolean;
}

const setting = (flag: string, help: string, fallback?: string, required = false): Setting => ({
  flag,
  help,
  fallback,
  required,
});

const all = [
  setting('policy', 'file or folder with InferencePolicy YAML', undefined, true),
  setting('upstream', 'origin of the model server, http://127.0.0.1:8000 or https://…', undefined, true),
  setting('upstream-ca', 'PEM file of authorities for an https upstream'),
  setting('listen', 'host:port for callers (TLS)', '127.0.0.1:8443'),
  setting('admin', 'host:port for /healthz, /readyz, /metrics', '127.0.0.1:9090'),
  setting('data', 'folder for what the sidecar keeps', '.sidegate'),
  setting('audit', 'file for the record, - for standard output', '-'),
  setting('tls-cert', 'PEM certificate chain; unset: self-signed in the data folder'),
  setting('tls-key', 'PEM key'),
  setting('tls-pkcs12', 'PKCS#12 file instead of certificate and key'),
  setting('tls-passphrase-file', 'file with the passphrase of the PKCS#12 file'),
  setting('client-ca', 'PEM bundle of authorities for client certificates'),
  setting('names', 'names of the self-signed certificate, joined by commas', 'localhost,127.0.0.1,::1'),
  setting('limit-store', 'redis:// or rediss:// address of the server that counts limits of scope Policy'),
  setting('limit-store-user', 'its user'),
  setting('limit-store-password-file', 'file with its password'),
  setting('limit-store-ca', 'PEM file of authorities for rediss://'),
  setting('log-level', 'debug, info, warn or error', 'info'),
  setting('grace', 'seconds that requests under way may take after SIGTERM', '30'),
] as const;

export const usage = `sidecar: puts Sidegate in front of a model server

${all.map(({ flag, help, fallback, required }) => `  --${flag.padEnd(20)} ${help}${required ? ' (required)' : fallback === undefined ? '' : ` (default ${fallback})`}`).join('\n')}

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
  const read = (flag: (typeof all)[number]['flag']): string | undefined => {
    const given = flags[flag] ?? environment[`SIDEGATE_${flag.toUpperCase().replaceAll('-', '_')}`];
    const known = all.find((one) => one.flag === flag);
    const value = typeof given === 'string' && given !== '' ? given : known?.fallback;
    if (value === undefined && known?.required === true) faults.push(`--${flag} is missing: ${known.help}`);
    return value;
  };

  const upstream = parseUpstream(read('upstream'), faults);
  const listen = parseAddress('listen', read('listen'), faults);
  const admin = parseAddress('admin', read('admin'), faults);
  const level = read('log-level') ?? 'info';
  if (!isLevel(level)) faults.push('--log-level must be debug, info, warn or error');
  const grace = Number(read('grace'));
  if (!Number.isFinite(grace) || grace < 0) faults.push('--grace must be a number of seconds');
  const tlsCert = read('tls-cert');
  const tlsKey = read('tls-key');
  const tlsPkcs12 = read('tls-pkcs12');
  if ((tlsCert === undefined) !== (tlsKey === undefined)) faults.push('--tls-cert and --tls-key belong together');
  if (tlsCert !== undefined && tlsPkcs12 !== undefined) faults.push('give --tls-cert or --tls-pkcs12, not both');
  const limitStore = limitStoreOf(read, faults);
  const policy = read('policy');
  if (
    faults.length > 0 ||
    policy === undefined ||
    upstream === undefined ||
    listen === undefined ||
    admin === undefined
  ) {
    return { faults };
  }
  return {
    settings: {
      policy,
      upstream,
      upstreamCa: read('upstream-ca'),
      listen,
      admin,
      data: read('data') ?? '.sidegate',
      audit: read('audit') ?? '-',
      tlsCert,
      tlsKey,
      tlsPkcs12,
      tlsPassphraseFile: read('tls-passphrase-file'),
      clientCa: read('client-ca'),
      names: (read('names') ?? '').split(',').filter((name) => name !== ''),
      limitStore,
      logLevel: isLevel(level) ? level : 'info',
      graceMs: grace * 1_000,
    },
  };
}

function limitStoreOf(
  read: (flag: (typeof all)[number]['flag']) => string | undefined,
  faults: string[],
): Settings['limitStore'] {
  const url = read('limit-store');
  if (url === undefined) return undefined;
  if (!/^rediss?:\/\/[^@]+$/.test(url))
    faults.push('--limit-store must be a redis:// or rediss:// address without user and password');
  return {
    url,
    user: read('limit-store-user'),
    passwordFile: read('limit-store-password-file'),
    caFile: read('limit-store-ca'),
  };
}

const isLevel = (text: string): text is LogLevel => ['debug', 'info', 'warn', 'error'].includes(text);

function parseUpstream(text: string | undefined, faults: string[]): URL | undefined {
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

function parseAddress(flag: string, text: string | undefined, faults: string[]): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):(\d{1,5})$/.exec(text ?? '');
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    faults.push(`--${flag} must be host:port`);
    return undefined;
  }
  return { host: match[1] ?? match[2] ?? '', port };
}
