import type { HoleEntry } from '../../record/index.ts';

/** Lines of one chain that its sidecar does not have any more. */
export type Hole = Pick<HoleEntry, 'from' | 'to' | 'hash' | 'why'>;

/**
 * Holes of one stream. An entry stays in the log for ever, so that a sidecar has a bounded number of them in a time: where it has had them, its
 * holes wait, those that follow each other become one, and so does what comes behind them.
 */
export interface Holes {
  /** The next hole of the chain, behind the one before it. */
  add(hole: Hole): void;
  /** Resolves when none waits: true; false: it was closed before, and what waited is not in the log. */
  settled(): Promise<boolean>;
  /** Writes what waits, where it may. */
  tick(): void;
  close(): void;
}

/**
 * @param mayWrite Takes the sidecar's turn for one entry; false: it has had them all.
 * @param write Must keep the order.
 */
export function createHoles(mayWrite: () => boolean, write: (hole: Hole) => void): Holes {
  let waiting: Hole | undefined;
  let closed = false;
  let settlers: ((done: boolean) => void)[] = [];
  const settle = (): void => {
    for (const resolve of settlers) resolve(!closed);
    settlers = [];
  };
  const tick = (): void => {
    if (waiting === undefined || closed || !mayWrite()) return;
    const hole = waiting;
    waiting = undefined;
    write(hole);
    settle();
  };
  return {
    add(hole) {
      const { from = hole.from, why = hole.why } = waiting ?? {};
      waiting = { ...hole, from, why: why === hole.why ? why : 'missing' };
      tick();
    },
    settled: () =>
      closed || waiting === undefined
        ? Promise.resolve(!closed)
        : new Promise((resolve) => void settlers.push(resolve)),
    tick,
    close() {
      closed = true;
      settle();
    },
  };
}
