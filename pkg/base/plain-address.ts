import { isIPv6 } from 'node:net';

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** An address as Kubernetes writes it: IPv4 in dots, also when a socket maps it into IPv6; IPv6 in its shortest form, without a zone. */
export function plainAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const bare = address.split('%', 1)[0] ?? '';
  const four = mapped.exec(bare)?.[1];
  if (four !== undefined) return four;
  return isIPv6(bare) ? new URL(`http://[${bare}]`).hostname.slice(1, -1) : bare;
}
