import { BlockList, isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { plainAddress } from '../base/index.ts';

/** Proxies before an endpoint for people that say for whom they ask (`X-Forwarded-For`), and are believed. */
export interface TrustedProxies {
  /** @param address as plainAddress writes it */
  has(address: string): boolean;
}

const range = /^(?<address>[0-9A-Fa-f:.]+)(?:\/(?<prefix>[1-9][0-9]{0,2}))?$/;

/**
 * @param ranges addresses, and CIDRs such as `10.0.0.0/8`
 * @returns undefined: one of them is neither, or means everybody (`/0`)
 */
export function trustedProxies(ranges: readonly string[]): TrustedProxies | undefined {
  const list = new BlockList();
  for (const text of ranges) {
    const { address = '', prefix } = range.exec(text)?.groups ?? {};
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : Number(prefix);
    if (version === 0 || length > bits || plainAddress(address)?.includes('.') !== (version === 4)) return undefined;
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return { has: (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6') };
}

export const noProxies: TrustedProxies = { has: () => false };

/** An address as proxies write it, with a port or without; undefined: it is none. */
function addressIn(text: string): string | undefined {
  const [, bracketed, four] = /^\[([^\]]*)\](?::[0-9]{1,5})?$|^([0-9.]+):[0-9]{1,5}$/.exec(text) ?? [];
  const address = bracketed ?? four ?? text;
  return isIP(address) === 0 || address.includes('%') ? undefined : plainAddress(address);
}

/**
 * Whose request it is, as far as that can be believed: the connection's address; where that is a trusted proxy's, the last address in
 * `X-Forwarded-For`, which that proxy wrote, and so on through further trusted proxies. What stands left of the first that is not trusted
 * may be anybody's invention, and so may all left of what is no address.
 */
export function clientAddress(
  {
    socket,
    headers,
  }: Pick<IncomingMessage, 'headers'> & { readonly socket: { readonly remoteAddress?: string | undefined } },
  proxies: TrustedProxies,
): string {
  let address = plainAddress(socket.remoteAddress) ?? '';
  // Node joins the lines of this header in their order.
  const said = [headers['x-forwarded-for'] ?? ''].flat().join(',').split(',');
  while (proxies.has(address)) {
    const before = addressIn((said.pop() ?? '').trim());
    if (before === undefined) break;
    address = before;
  }
  return address;
}
