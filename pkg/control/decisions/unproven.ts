import { createBucket, createKeyedBuckets } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';

/** A bucket: so many a second, and so many at once. */
export type Rate = readonly [perSecond: number, burst: number];

/**
 * What may be looked at of those who have proven nothing yet, by the network that it comes from. Whoever brings what is true takes nothing;
 * networks that brought much that was not share a small budget of their own, so that garbage, from however many addresses that are used
 * again, keeps nobody off whose network brought none.
 */
export interface Unproven {
  /** Undefined: not now. */
  admit(address: string): Turn | undefined;
}

export interface Turn {
  /** What was brought is true: this look is given back. */
  proven(): void;
}

export interface UnprovenRates {
  readonly network: Rate;
  /** Of all networks together that brought little that was not true. */
  readonly all: Rate;
  /** Of all others together. */
  readonly doubtful: Rate;
}

/** So many untrue things make a network doubtful, and one is forgiven in so many seconds. */
const mostUntrue = 10;
const forgivenAfterSeconds = 30;

export function createUnproven(clock: Clock, rates: UnprovenRates): Unproven {
  const networks = createKeyedBuckets(clock, ...rates.network);
  const trust = createKeyedBuckets(clock, 1 / forgivenAfterSeconds, mostUntrue);
  const all = createBucket(clock, ...rates.all);
  const doubtful = createBucket(clock, ...rates.doubtful);
  return {
    admit(address) {
      const network = networkOf(address);
      if (!networks.take(network)) return undefined;
      const trusted = trust.take(network);
      const shared = trusted ? all : doubtful;
      if (!shared.take()) return undefined;
      return {
        proven() {
          networks.give(network);
          shared.give();
          if (trusted) trust.give(network);
        },
      };
    },
  };
}

/**
 * An IPv4 address, or the first 56 bits of an IPv6 address: who has a whole site's 48 is 256 networks, and not 65,536, each with a share.
 *
 * @param address as plainAddress writes it
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [before = '', after] = address.split('::', 2);
  const groups = before === '' ? [] : before.split(':');
  const behind = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : 8 - groups.length - behind.length;
  const whole = [...groups, ...Array.from({ length: zeros }, () => '0'), ...behind];
  const subnet = Number.parseInt(whole[3] ?? '0', 16) & 0xff00;
  return `${[...whole.slice(0, 3), subnet.toString(16)].join(':')}::/56`;
}
