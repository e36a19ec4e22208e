import { BlockList, isIP } from 'node:net';

/** Loopback, the addresses that Linux takes for it (all zeros), and the networks of RFC 1918, RFC 3927, RFC 6598, RFC 4193 and RFC 4291. */
const own = new BlockList();
for (const [net, bits] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
] as const)
  own.addSubnet(net, bits, 'ipv4');
own.addAddress('0.0.0.0', 'ipv4');
own.addAddress('::', 'ipv6');
own.addAddress('::1', 'ipv6');
own.addSubnet('fc00::', 7, 'ipv6');
own.addSubnet('fe80::', 10, 'ipv6');

/** Names that are nobody's on the Internet: RFC 6761, RFC 6762, RFC 8375, ICANN's `.internal`. */
const ownSuffixes = ['localhost', 'local', 'internal', 'lan', 'home.arpa'];

/** Whether a model at this address has to be taken for somebody else's: it is neither of this machine nor of the own network. */
export function looksHosted({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const family = isIP(host);
  if (family !== 0) return !own.check(host, family === 4 ? 'ipv4' : 'ipv6');
  if (!host.includes('.') || ownSuffixes.some((suffix) => host.endsWith(`.${suffix}`))) return false;
  // A Service of a cluster, `name.namespace.svc`, whatever the cluster's domain is.
  return host.split('.').indexOf('svc', 2) < 0;
}
