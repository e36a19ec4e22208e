import type { ProxyAddress } from './client/tunnel.ts';

/**
 * The proxy that the environment names for a URL, as curl and Node read it: `https_proxy` or `HTTPS_PROXY`, unless `no_proxy` or `NO_PROXY`
 * has its host: names, with or without a dot before them for all below them, addresses, each with or without a port, or `*`.
 *
 * @returns undefined for none, and for what is not https: it goes straight.
 * @throws TypeError for a proxy that is not spoken to: one of another scheme than http, or with a name and a password.
 */
export function proxyFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  url: URL,
): ProxyAddress | undefined {
  const proxy = environment['https_proxy'] ?? environment['HTTPS_PROXY'];
  if (url.protocol !== 'https:' || proxy === undefined || proxy === '') return undefined;
  const excepted = environment['no_proxy'] ?? environment['NO_PROXY'] ?? '';
  if (excepted.split(/[\s,]+/).some((one) => excepts(one, url))) return undefined;
  return proxyAddress(proxy);
}

/** @throws TypeError as {@link proxyFromEnvironment} */
export function proxyAddress(proxy: string): ProxyAddress {
  const text = proxy.includes('://') ? proxy : `http://${proxy}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' || url.username !== '' || url.password !== '')
    throw new TypeError('a proxy must be http://HOST:PORT, without name and password');
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || 80 };
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
