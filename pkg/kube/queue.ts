import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import { backoffMs, systemRandom } from './backoff.ts';
import type { RandomSource } from './backoff.ts';
import { createFairSet } from './fair-set.ts';

export interface QueueOptions {
  /** Stands in logs. */
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Brings one key to what it should be: reads the state now, so that many changes are one call. What it throws is tried again.
   * Gives milliseconds after which the key wants to be looked at again, or nothing.
   */
  readonly handle: (key: string, signal: AbortSignal) => Promise<number | void>;
  /** Keys handled at once; default 4. */
  readonly concurrency?: number;
  /** Keys of one group do not stand before those of others: groups take turns. Default: all are one. */
  readonly groupOf?: (key: string) => string;
  /** A key waits so long for more changes before it is handled; default 0. */
  readonly debounceMs?: number;
  /** However many changes come, it waits no longer than so; default ten times `debounceMs`. */
  readonly maxDebounceMs?: number;
  /** Waits after failures; default 200 ms to 60 s. */
  readonly firstBackoffMs?: number;
  readonly mostBackoffMs?: number;
  readonly random?: RandomSource;
  readonly onHandled?: (result: 'done' | 'failed', ms: number) => void;
}

export interface Queue {
  /** Has the key handled; a key that waits already is not handled twice. Ignored after `close`. */
  add(key: string): void;
  /** Keys that wait or are handled now. */
  readonly depth: number;
  /** Resolves when nothing waits but what failed or asked for a later time. */
  idle(): Promise<void>;
  /** Takes nothing more, aborts the signal, and resolves when no handler runs. */
  close(): Promise<void>;
}

interface KeyState {
  readonly key: string;
  running: boolean;
  /** Changed again while it was handled. */
  dirty: boolean;
  failures: number;
  timer: Timer | undefined;
  timerFor: 'debounce' | 'retry' | undefined;
  /** When the first change that has not been handled came, monotonic. */
  since: number | undefined;
}

/** A work queue by key: a key is never handled twice at once, and a failure of one does not hold up others. */
export function createQueue(options: QueueOptions): Queue {
  const { clock, handle, concurrency = 4, debounceMs = 0, random = systemRandom } = options;
  const maxDebounceMs = options.maxDebounceMs ?? debounceMs * 10;
  const backoff = {
    firstMs: options.firstBackoffMs ?? 200,
    mostMs: options.mostBackoffMs ?? 60_000,
    random,
  };
  const logger = options.logger.with({ queue: options.name });
  const keys = new Map<string, KeyState>();
  const { groupOf = () => '' } = options;
  const ready = createFairSet<KeyState>(({ key }) => groupOf(key));
  const stopping = new AbortController();
  let running = 0;
  let waiters: (() => void)[] = [];

  const busy = (): boolean =>
    running > 0 || ready.size > 0 || [...keys.values()].some((state) => state.timerFor === 'debounce');
  const settle = (): void => {
    if (busy()) return;
    const done = waiters;
    waiters = [];
    for (const resolve of done) resolve();
  };
  const arm = (state: KeyState, ms: number, why: 'debounce' | 'retry'): void => {
    state.timer?.cancel();
    state.timerFor = why;
    state.timer = clock.after(ms, () => {
      state.timer = undefined;
      state.timerFor = undefined;
      enqueue(state);
    });
  };
  const enqueue = (state: KeyState): void => {
    state.since = undefined;
    ready.add(state);
    pump();
  };
  const schedule = (state: KeyState): void => {
    if (state.running) {
      state.dirty = true;
      return;
    }
    if (ready.has(state)) return;
    if (debounceMs === 0) {
      state.timer?.cancel();
      state.timer = undefined;
      state.timerFor = undefined;
      return enqueue(state);
    }
    const now = clock.monotonic();
    state.since ??= now;
    arm(state, Math.max(0, Math.min(debounceMs, state.since + maxDebounceMs - now)), 'debounce');
  };
  const finish = (state: KeyState, again: number | undefined): void => {
    state.running = false;
    running--;
    if (stopping.signal.aborted) keys.delete(state.key);
    else if (state.dirty) {
      state.dirty = false;
      // A handler whose own writes come back as changes must not make a failing server be asked without a pause.
      if (state.failures > 0 && again !== undefined) arm(state, Math.min(again, 1_000), 'retry');
      else schedule(state);
    } else if (again !== undefined) arm(state, again, 'retry');
    else keys.delete(state.key);
    pump();
    settle();
  };
  const run = async (state: KeyState): Promise<void> => {
    const begun = clock.monotonic();
    let again: number | undefined;
    try {
      const wanted = await handle(state.key, stopping.signal);
      state.failures = 0;
      again = typeof wanted === 'number' ? Math.max(0, wanted) : undefined;
      options.onHandled?.('done', clock.monotonic() - begun);
    } catch (error) {
      state.failures++;
      again = backoffMs(state.failures, backoff);
      options.onHandled?.('failed', clock.monotonic() - begun);
      if (!stopping.signal.aborted) {
        const level = state.failures >= 3 ? 'warn' : 'info';
        logger[level]('failed and is tried again', {
          key: state.key,
          failures: state.failures,
          waitMs: again,
          error: describeError(error),
        });
      }
    }
    finish(state, again);
  };
  const pump = (): void => {
    while (running < concurrency && !stopping.signal.aborted) {
      const next = ready.take();
      if (next === undefined) return;
      next.running = true;
      running++;
      void run(next);
    }
  };

  return {
    add(key) {
      if (stopping.signal.aborted) return;
      let state = keys.get(key);
      if (state === undefined) {
        state = {
          key,
          running: false,
          dirty: false,
          failures: 0,
          timer: undefined,
          timerFor: undefined,
          since: undefined,
        };
        keys.set(key, state);
      }
      // Also one that waits after a failure: the change may be what it needed.
      schedule(state);
    },
    get depth() {
      return ready.size + running + [...keys.values()].filter((state) => state.timer !== undefined).length;
    },
    idle: () => (busy() ? new Promise((resolve) => waiters.push(resolve)) : Promise.resolve()),
    async close() {
      stopping.abort();
      for (const state of keys.values()) {
        state.timer?.cancel();
        state.timerFor = undefined;
      }
      ready.clear();
      if (running > 0) await new Promise<void>((resolve) => waiters.push(resolve));
      keys.clear();
    },
  };
}
