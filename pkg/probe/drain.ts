import type { Clock, Timer } from '../base/index.ts';

/**
 * Waiting for the end of what is under way, when the pod is about to stop. The model gets SIGTERM when the wait is over.
 *
 * The port that asks for it is open to whoever reaches the pod, so that asking takes nothing away: everything is served as
 * before and readiness stays. While somebody waits, and until the grace period after the last question is over, peers are asked
 * to take their next request to another connection, so that none of them meets a model that has gone.
 */
export interface DrainOptions {
  /** The pod's grace period, from the moment at which a wait begins. */
  readonly graceMs: number;
  /** Requests that are not over. */
  readonly inFlight: () => number;
  /** When the last request came over the network, by the clock's monotonic time; undefined before the first. */
  readonly lastArrival: () => number | undefined;
  /** Begins and ends asking peers to leave. */
  readonly leave: (on: boolean) => void;
  readonly clock: Clock;
}

export interface Drain {
  /**
   * Resolves when nothing is in flight, 5 s have passed and nobody has asked for 3 s, or 5 s before the grace period ends.
   * Nothing tells a pod that every node has taken it out of its Services: callers come until then, on a busy node for long,
   * and whoever comes later is refused the connection. `gone`: whoever waited has left.
   */
  wait(signal: AbortSignal): Promise<'idle' | 'deadline' | 'gone'>;
  /** Ends all waits. */
  close(): void;
}

/** What the model and the sidecar have left for ending themselves. */
const reserveMs = 5_000;
/** Until every node has stopped sending new connections; seen on real clusters: one to three seconds, unless a node is busy. */
const settleMs = 5_000;
/** Requests that still come say that some node has not: as long as they do, the pod goes on. */
const quietMs = 3_000;
const lookMs = 100;

export function createDrain({ graceMs, inFlight, lastArrival, leave, clock }: DrainOptions): Drain {
  const longest = Math.max(0, graceMs - reserveMs);
  const shortest = Math.min(settleMs, longest / 2);
  const waits = new Set<() => void>();
  let leavingUntil = 0;
  let end: Timer | undefined;
  const watchEnd = (): void => {
    const left = leavingUntil - clock.monotonic();
    if (left > 0) end = clock.after(left, watchEnd);
    else {
      end = undefined;
      leave(false);
    }
  };
  return {
    wait(signal) {
      const began = clock.monotonic();
      leavingUntil = began + graceMs;
      leave(true);
      end ??= clock.after(graceMs, watchEnd);
      return new Promise((resolve) => {
        const look = clock.every(lookMs, () => check());
        const finish = (how: 'idle' | 'deadline' | 'gone'): void => {
          look.cancel();
          signal.removeEventListener('abort', onGone);
          waits.delete(stop);
          resolve(how);
        };
        const stop = (): void => finish('deadline');
        const onGone = (): void => finish('gone');
        signal.addEventListener('abort', onGone);
        const check = (): void => {
          const now = clock.monotonic();
          const quiet = now - (lastArrival() ?? -Infinity) >= quietMs;
          if (now - began >= longest) finish('deadline');
          else if (now - began >= shortest && quiet && inFlight() === 0) finish('idle');
        };
        waits.add(stop);
        check();
      });
    },
    close() {
      end?.cancel();
      for (const stop of [...waits]) stop();
    },
  };
}
