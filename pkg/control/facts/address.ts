import { isIPv6, SocketAddress } from 'node:net';

/** One spelling for each address: IPv4 dotted (also when written as `::ffff:…`), IPv6 in its shortest form. */
export function canonicalAddress(text: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(text);
  if (mapped?.[1] !== undefined) return mapped[1];
  return isIPv6(text) ? new SocketAddress({ address: text, family: 'ipv6' }).address : text;
}
