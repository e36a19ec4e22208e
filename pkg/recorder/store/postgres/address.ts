import type { ConnectionOptions } from 'node:tls';
import type { Secret } from '../../../base/index.ts';
import { StoreError } from '../store-error.ts';

/** Where a database is, and how it proves itself. */
export interface DatabaseAddress {
  /**
   * `postgres://user:password@host:5432/database`, or `postgres:///database?host=/folder&user=user&port=5432` for a local socket. Over the network the
   * server proves itself by TLS, its name included (`sslmode=verify-full`, whether it is said or not). Several hosts, as `one:5432,other:5432`, are
   * tried in turns for the one that takes what is written (`target_session_attrs=read-write`, whether it is said or not).
   */
  readonly dsn: Secret;
  /** PEM of the authorities of the server's certificate; absent: the public ones. */
  readonly ca?: string | undefined;
}

/** What the driver is told of one host. */
export interface Target {
  readonly user: string;
  readonly database: string;
  readonly host: string;
  readonly port: number;
  readonly ssl: ConnectionOptions | false;
  readonly password?: string;
}

/** Hosts of one address. */
const mostHosts = 8;

/** @returns one for each host, at least one. @throws StoreError unavailable, for an address that is none */
export function targetsOf({ dsn, ca }: DatabaseAddress): readonly [Target, ...Target[]] {
  const refuse = (why: string): StoreError => new StoreError('unavailable', `the address of the database ${why}`);
  // A URL has one host: the others are taken out of it first.
  const parts = /^([a-z]+:\/\/(?:[^@/?#]*@)?)([^@/?#]*)(.*)$/s.exec(dsn.reveal());
  if (parts === null) throw refuse('is no URL');
  const [, before = '', hosts = '', behind = ''] = parts;
  const all = hosts.split(',');
  if (all.length > mostHosts) throw refuse(`has more than ${mostHosts} hosts`);
  const [first, ...others] = all.map((host) => targetOf(before + host + behind, ca, refuse));
  if (first === undefined) throw refuse('is no URL');
  return [first, ...others];
}

function targetOf(text: string, ca: string | undefined, refuse: (why: string) => StoreError): Target {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse('is no URL');
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw refuse('is not postgres://…');
  const { searchParams } = url;
  const folder = searchParams.get('host') ?? undefined;
  refuseOthers(searchParams, folder === undefined, refuse);
  if (folder === undefined ? url.hostname === '' : url.hostname !== '' || !folder.startsWith('/'))
    throw refuse('must name a host, or the folder of a socket as host=/…');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const ssl: ConnectionOptions = {
    host,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
  };
  const port = searchParams.get('port') ?? (url.port === '' ? '5432' : url.port);
  if (!/^[0-9]{1,5}$/.test(port)) throw refuse('has a port that is none');
  return {
    user: searchParams.get('user') ?? decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    port: Number(port),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(folder === undefined ? { host, ssl } : { host: folder, ssl: false }),
  };
}

/** Parameters that are not known, or ask for less than is done. */
function refuseOthers(given: URLSearchParams, network: boolean, refuse: (why: string) => StoreError): void {
  const allowed = network ? ['sslmode', 'target_session_attrs'] : ['host', 'user', 'port'];
  for (const name of given.keys())
    if (!allowed.includes(name))
      throw refuse('has a parameter that is not known: sslmode, target_session_attrs; of a socket host, user and port');
  if ((given.get('sslmode') ?? 'verify-full') !== 'verify-full') throw refuse('asks for less than sslmode=verify-full');
  if ((given.get('target_session_attrs') ?? 'read-write') !== 'read-write')
    throw refuse('asks for another server than target_session_attrs=read-write');
}
