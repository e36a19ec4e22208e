import type { Clock } from '../../base/index.ts';

/**
 * Chains that one sidecar may begin: a process goes on with the chain that is in its spool, and begins another where that cannot be read. Each stays
 * a row of the store for ever, so that one that lies begins no more than so many in an hour.
 */
export interface NewChains {
  /** False: it has begun too many. The same chain counts once, however often it begins before it is stored. */
  mayBegin(source: string, chain: string): boolean;
}

const hourMs = 3_600_000;
/** Sidecars that are remembered. */
const mostSources = 20_000;

/** @param most In an hour; default 256. */
export function createNewChains(clock: Clock, most = 256): NewChains {
  const sources = new Map<string, { readonly since: number; readonly chains: Set<string> }>();
  return {
    mayBegin(source, chain) {
      const now = clock.monotonic();
      const before = sources.get(source);
      const of =
        before !== undefined && now - before.since < hourMs ? before : { since: now, chains: new Set<string>() };
      if (!of.chains.has(chain) && of.chains.size >= most) return false;
      of.chains.add(chain);
      sources.delete(source);
      sources.set(source, of);
      const [oldest] = sources.keys();
      if (sources.size > mostSources && oldest !== undefined) sources.delete(oldest);
      return true;
    },
  };
}
