import { randomInt } from 'node:crypto';
import { CodedError, describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { beginning } from './book.ts';
import type { ShipBook } from './book.ts';
import { createDelivery, refusesAll } from './deliver.ts';
import { NotTaken, isTooSlow } from './receiver.ts';
import type { Receiver } from './receiver.ts';
import type { EventSource, Position } from './source.ts';

/**
 * Ships the log to one receiver: in order, at least once, one batch at a time, from where it stood when the process ended. A receiver
 * that does not answer is tried again for ever, with growing pauses; what it never takes is counted, kept aside and passed over. Of several
 * recorders on one store one ships, as long as it has the turn.
 */
export interface Shipper {
  /** Entries of the log that it has not come to; undefined: not known yet, or another recorder ships. */
  behind(): number | undefined;
  /** Looks for new entries now. */
  kick(): void;
  close(): Promise<void>;
}

export interface ShipperOptions {
  readonly receiver: Receiver;
  readonly source: EventSource;
  readonly book: ShipBook;
  readonly clock: Clock;
  readonly logger: Logger;
  /** So many events are kept aside: the receiver will never take them. */
  readonly onDead?: (events: number) => void;
  readonly onSent?: (events: number) => void;
  readonly onFailure?: () => void;
  /** The log is not the one that was shipped, or shorter: the receiver goes back to the first entry. */
  readonly onRewind?: () => void;
  /** How often it looks where nothing came; default 1 s. A fifth as often where another recorder ships. */
  readonly lookMs?: number;
  /** First and longest pause after a failure; default 1 s and 60 s. */
  readonly retryMs?: { readonly first: number; readonly longest: number };
  /** 0 to 1; default the system's. */
  readonly random?: () => number;
}

/** Events of one batch; fewer while the receiver is too slow for so many. */
const batchSize = 200;

/** Each so manieth time that a batch gets a status which may be the receiver's own fault, it is looked whether one event is why. */
const doubtAfter = 5;

/** What a step found: that there may be more, nothing new, or that another recorder ships. */
type Step = 'more' | 'none' | 'other';

export function startShipper(options: ShipperOptions): Shipper {
  const { receiver, source, book, clock, logger, lookMs = 1_000 } = options;
  const { retryMs = { first: 1_000, longest: 60_000 }, random = () => randomInt(1_000) / 1_000 } = options;
  const abort = new AbortController();
  let wake: (() => void) | undefined;
  let size: number | undefined;
  let position: Position | undefined;
  /** The log was found to be the one that was shipped. */
  let known = false;
  let most = batchSize;
  /** Times in succession that the receiver, or what is before it, answered that it does not take a batch, or broke off at one event alone. */
  let refusals = 0;

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

  /** Whether the turn is still its own, after what may have taken long. */
  const hasTurn = async (): Promise<boolean> => (await book.take()) !== undefined;

  const deliver = createDelivery({ ...options, hasTurn, signal: abort.signal });

  /** The store was restored or is new: what it has now may never have been sent, and twice is better than never. */
  const rewind = async (entries: number, shipped: number): Promise<Step> => {
    logger.error('the log is not the one that was shipped, or shorter: it is shipped from its beginning', {
      receiver: receiver.name,
      entries,
      shipped,
    });
    options.onRewind?.();
    return (await book.move(beginning)) ? 'more' : 'other';
  };

  const place = async (): Promise<Position | undefined> => {
    try {
      return await book.take();
    } catch (error) {
      // A place that cannot be read is none: until somebody mends it, all of the log is before the receiver.
      size = await source.size();
      position = beginning;
      throw error;
    }
  };

  const step = async (): Promise<Step> => {
    position = await place();
    if (position === undefined) return 'other';
    size = await source.size();
    // Of a store that was brought back while nobody shipped: it may have grown since.
    if (size < position.entry || (!known && !(await source.has(position)))) return rewind(size, position.entry);
    known = true;
    const { events, next } = await source.read(position, most);
    const taken = receiver.takes === undefined ? events : events.filter((event) => receiver.takes?.(event));
    if (!(await deliver(taken, next, refusals > 0 && refusals % doubtAfter === 0))) return 'other';
    if (next.entry === position.entry && next.events === position.events) return 'none';
    if (!(await book.move(next, position))) return 'other';
    most = Math.min(batchSize, most + 1);
    position = next;
    return 'more';
  };

  const run = async (): Promise<void> => {
    let failures = 0;
    let told = '';
    while (!stopped()) {
      try {
        const found = await step();
        if (found === 'other') position = undefined;
        if (failures > 0 && found !== 'other')
          logger.info('the receiver takes events again', { receiver: receiver.name });
        failures = 0;
        refusals = 0;
        told = '';
        if (found !== 'more' && !stopped()) await pause(found === 'other' ? 5 * lookMs : lookMs);
      } catch (error) {
        if (stopped()) return;
        options.onFailure?.();
        if (error instanceof NotTaken || (error instanceof CodedError && error.code === refusesAll)) refusals += 1;
        if (isTooSlow(error)) {
          // There is no less than one: it may be why.
          if (most === 1) refusals += 1;
          most = Math.max(1, most >> 1);
        }
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
      await book.close().catch((error: unknown) => {
        // It ends by itself.
        logger.warn('the turn to ship was not given back', { receiver: receiver.name, error: describeError(error) });
      });
    },
  };
}
