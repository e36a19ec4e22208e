import { randomInt } from 'node:crypto';
import { CodedError, describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { Cursor } from './cursor.ts';
import type { ShippedEvent } from './event.ts';
import type { Receiver } from './receiver.ts';
import type { EventSource, Position } from './source.ts';

/**
 * Ships the log to one receiver: in order, at least once, one batch at a time, from where it stood when the process ended. A receiver
 * that does not answer is tried again for ever, with growing pauses; what it never takes is counted, kept aside and passed over.
 */
export interface Shipper {
  /** Entries of the log that it has not come to; undefined: not known yet. */
  behind(): number | undefined;
  /** Looks for new entries now. */
  kick(): void;
  close(): Promise<void>;
}

export interface ShipperOptions {
  readonly receiver: Receiver;
  readonly source: EventSource;
  readonly cursor: Cursor;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Keeps what a receiver will never take; called before the cursor moves over it. `lost` of them: which, it may not say. */
  readonly onDead: (events: readonly ShippedEvent[], lost: number) => void;
  readonly onSent?: (events: number) => void;
  readonly onFailure?: () => void;
  /** The log is shorter than where the cursor stood: it goes back to the first entry. */
  readonly onRewind?: () => void;
  /** How often it looks where nothing came; default 1 s. */
  readonly lookMs?: number;
  /** First and longest pause after a failure; default 1 s and 60 s. */
  readonly retryMs?: { readonly first: number; readonly longest: number };
  /** 0 to 1; default the system's. */
  readonly random?: () => number;
}

/** Events of one batch. */
const batchSize = 200;

export function startShipper(options: ShipperOptions): Shipper {
  const { receiver, source, cursor, clock, logger, lookMs = 1_000 } = options;
  const { retryMs = { first: 1_000, longest: 60_000 }, random = () => randomInt(1_000) / 1_000 } = options;
  const abort = new AbortController();
  let wake: (() => void) | undefined;
  let size: number | undefined;
  let position: Position | undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        wake = undefined;
        resolve();
      };
      const timer = clock.after(ms, done);
      wake = done;
    });
  const stopped = (): boolean => abort.signal.aborted;

  /** Sends what can be sent of a batch: one that is refused is halved, until the event is found that is not taken. */
  const deliver = async (events: readonly ShippedEvent[]): Promise<void> => {
    if (events.length === 0) return;
    const result = await receiver.send(events, abort.signal);
    if (result === 'taken') return options.onSent?.(events.length);
    if (typeof result === 'number') {
      options.onDead(events, result);
      options.onSent?.(events.length - result);
      return;
    }
    if (events.length === 1) return options.onDead(events, 1);
    const half = events.length >> 1;
    await deliver(events.slice(0, half));
    await deliver(events.slice(half));
  };

  /** @returns whether there may be more */
  const step = async (): Promise<boolean> => {
    position ??= cursor.read() ?? { entry: 0, events: 0 };
    size = await source.size();
    if (size < position.entry) {
      // The store was restored or is new: what it has now may never have been sent, and twice is better than never.
      logger.error('the log is shorter than what was shipped of it: it is shipped from its beginning', {
        receiver: receiver.name,
        entries: size,
        shipped: position.entry,
      });
      options.onRewind?.();
      position = { entry: 0, events: 0 };
      cursor.write(position);
    }
    const { events, next } = await source.read(position, batchSize);
    await deliver(events);
    if (next.entry === position.entry && next.events === position.events) return false;
    cursor.write(next);
    position = next;
    return true;
  };

  const run = async (): Promise<void> => {
    let failures = 0;
    let told = '';
    while (!stopped()) {
      try {
        const more = await step();
        if (failures > 0) logger.info('the receiver takes events again', { receiver: receiver.name });
        failures = 0;
        told = '';
        if (!more && !stopped()) await pause(lookMs);
      } catch (error) {
        if (stopped()) return;
        options.onFailure?.();
        const why = error instanceof CodedError ? error.message : describeError(error);
        if (why !== told) logger.warn('events were not shipped: tried again', { receiver: receiver.name, error: why });
        told = why;
        const longest = Math.min(retryMs.longest, retryMs.first * 2 ** Math.min(failures, 16));
        failures += 1;
        // Between half and all of it: recorders that lost one receiver do not come back together.
        await pause(longest * (0.5 + random() / 2));
      }
    }
  };
  const running = run();

  return {
    behind: () => (size === undefined || position === undefined ? undefined : Math.max(0, size - position.entry)),
    kick: () => wake?.(),
    async close() {
      abort.abort();
      wake?.();
      receiver.close();
      await running;
    },
  };
}
