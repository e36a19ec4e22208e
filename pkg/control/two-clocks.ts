import type { Clock, Logger } from '../base/index.ts';
import { phaseAt } from '../core/index.ts';
import type { ApprovalPhase, Undecided } from '../core/index.ts';

/**
 * What time it is by this machine and by the API server. A clock may be wrong, and what it ends in an object has ended for good, so nothing is
 * written there that only one of the two says: not that an approval or a grant is over, not that it may be removed.
 *
 * What sidecars let through does not wait for that: each ends it by its own clock.
 */
export interface TwoClocks {
  /** Epoch milliseconds that both have reached. */
  earliest(): number;
  /** Epoch milliseconds beyond which neither is. */
  latest(): number;
  /** How far this machine's is ahead of the API server's, milliseconds; below 0 behind. Undefined: the API server has not told. */
  aheadMs(): number | undefined;
}

/** Further apart, they disagree: answers take their time, and the API server tells whole seconds. Milliseconds. */
export const mostApartMs = 5_000;

/**
 * @param serverTime by the API server's clock (`KubeClient.serverTime`), epoch milliseconds; undefined: it has not told, and this machine's counts
 * alone
 */
export function createTwoClocks(
  clock: Pick<Clock, 'now'>,
  serverTime: () => number | undefined = () => undefined,
): TwoClocks {
  return {
    earliest: () => Math.min(clock.now(), serverTime() ?? Infinity),
    latest: () => Math.max(clock.now(), serverTime() ?? -Infinity),
    aheadMs() {
      const time = serverTime();
      return time === undefined ? undefined : clock.now() - time;
    },
  };
}

/** The phase that votes and time make of it by both clocks; its own where they do not agree. */
export function phaseByBoth(undecided: Undecided, clocks: Pick<TwoClocks, 'earliest' | 'latest'>): ApprovalPhase {
  const phase = phaseAt(undecided, clocks.earliest());
  return phase === phaseAt(undecided, clocks.latest()) ? phase : undecided.phase;
}

/** Tells the log when the two begin to disagree, and when they agree again. Called now and then. */
export function createClockWatch(
  clocks: Pick<TwoClocks, 'aheadMs'>,
  logger: Pick<Logger, 'warn' | 'info'>,
): () => void {
  let apart = false;
  return () => {
    const ahead = clocks.aheadMs();
    if (ahead === undefined || Math.abs(ahead) > mostApartMs === apart) return;
    apart = !apart;
    const seconds = Math.round(ahead / 1_000);
    if (apart)
      logger.warn('this machine’s clock is not the API server’s: what is over by one of them alone stays open', {
        aheadSeconds: seconds,
      });
    else logger.info('this machine’s clock and the API server’s agree again', { aheadSeconds: seconds });
  };
}
