import { Secret } from '../base/index.ts';
import type { ProxyAddress } from './client/tunnel.ts';

/**
 * The proxy that the environment names for a URL, as curl and Node read it: `https_proxy` or `HTTPS_PROXY`, unless `no_proxy` or `NO_PROXY`
 * has its host: names, with or without a dot before them for all below them, addresses, each with or without a port, or `*`.
 *
 * @returns undefined for none, and for what is not https: it goes straight.
 * A name and a password in it are told to the proxy (Basic, RFC 7617), and to nobody else.
 *
 * @throws TypeError for a proxy that is not spoken to: one of another scheme than http.
 */
export function proxyFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  url: URL,
): ProxyAddress | undefined {
  const proxy = environment['https_proxy'] ?? environment['HTTPS_PROXY'];
  if (url.protocol !== 'https:' || proxy === undefined || proxy === '') return undefined;
  const excepted = environment['no_proxy'] ?? environment['NO_PROXY'] ?? '';
  if (excepted.split(/[\s,]+/).some((one) => excepts(one, url))) return undefined;
  return addressOf(proxy, true);
}

/** Of a policy, which many may read: without name and password. @throws TypeError for any other */
export const proxyAddress = (proxy: string): ProxyAddress => addressOf(proxy, false);

function addressOf(proxy: string, mayName: boolean): ProxyAddress {
  const text = proxy.includes('://') ? proxy : `http://${proxy}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const names = url !== undefined && (url.username !== '' || url.password !== '');
  // Never with what it says: it may be a password.
  if (url?.protocol !== 'http:' || (names && !mayName))
    throw new TypeError(`a proxy must be http://HOST:PORT${mayName ? '' : ', without name and password'}`);
  const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || 80 };
  return names ? { ...address, authorization: basic(url) } : address;
}

function basic({ username, password }: URL): Secret {
  let pair: string;
  try {
    pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw new TypeError('name and password of a proxy must be percent-encoded UTF-8');
  }
  return new Secret(`Basic ${Buffer.from(pair, 'utf8').toString('base64')}`);
}

function excepts(entry: string, url: URL): boolean {
  if (entry === '*') return true;
  if (entry === '') return false;
  const [, name = '', port] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
  // An address of IPv6 without brackets has colons of its own.
  const [wanted, at] = /:.*:/.test(entry) && !entry.startsWith('[') ? [entry.toLowerCase(), undefined] : [name, port];
  if (at !== undefined && at !== (url.port === '' ? '443' : url.port)) return false;
  const host = url.hostname.toLowerCase();
  const bare = wanted.replace(/^\*?\./, '');
  return host === wanted || host === `[${wanted}]` || host === bare || host.endsWith(`.${bare}`);
}
