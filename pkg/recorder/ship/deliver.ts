import { CodedError, createSeldom } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { ShipBook } from './book.ts';
import type { ShippedEvent } from './event.ts';
import type { Receiver } from './receiver.ts';
import type { EventSource, Position } from './source.ts';

export interface DeliveryOptions {
  readonly receiver: Receiver;
  readonly source: EventSource;
  readonly book: ShipBook;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Whether the turn to ship is still its own. */
  readonly hasTurn: () => Promise<boolean>;
  readonly onDead?: (events: number) => void;
  readonly onSent?: (events: number) => void;
}

/** Entries at the end of the log that are looked at for an event. */
const newestEntries = 64;

/** Another recorder has the turn: it sends again what was not settled. */
class TurnLost extends Error {}

/**
 * Sends a batch so that each of its events is taken or proven to be one that the receiver will never take, and then kept aside. A batch that
 * is refused is halved until single events are left. Of such an event it is proven by others: it was refused, another one was
 * taken after that, and it was refused again. Where the receiver takes nothing else either, what is wrong is the receiver (a proxy before it
 * that wants a certificate, a header that grew too long): nothing is dead then, and the batch is tried again.
 *
 * @returns `(events, next)`: sends them; `next` is where the log goes on behind them. It resolves to false where another recorder has the turn
 * @throws CodedError where it may work later
 */
export function createDelivery(
  options: DeliveryOptions,
): (events: readonly ShippedEvent[], next: Position) => Promise<boolean> {
  const { receiver, source, book, clock, logger, signal } = options;
  /** The last event that was taken: a receiver that works takes it again. */
  let witness: ShippedEvent | undefined;
  const tell = createSeldom(clock);

  const send = async (events: readonly ShippedEvent[]): ReturnType<Receiver['send']> => {
    if (!(await options.hasTurn())) throw new TurnLost();
    const result = await receiver.send(events, signal);
    if (result === 'taken') witness = events.at(-1);
    return result;
  };

  /** Before the cursor moves over them. */
  const keepAside = async (events: readonly ShippedEvent[], lost = events.length): Promise<void> => {
    await book.keepDead(events);
    options.onDead?.(lost);
    const untold = tell('dead');
    if (untold === undefined) return;
    logger.error('the receiver takes other events, and not these: they are kept aside', {
      receiver: receiver.name,
      events: lost,
      first: events[0]?.id ?? '',
      batchesSinceLastLine: untold,
    });
  };

  /** The newest event behind a position. */
  const newest = async (next: Position): Promise<ShippedEvent | undefined> => {
    const entry = Math.max(next.entry, (await source.size()) - newestEntries);
    const from = entry === next.entry ? next : { entry, events: 0 };
    const { events } = await source.read(from, Infinity);
    return events.findLast((event) => receiver.takes?.(event) ?? true);
  };

  /** Whether it takes anything: what it took last, or else the newest of all, which comes again in its turn. */
  const takesOthers = async (next: Position): Promise<boolean> => {
    if (witness !== undefined && (await send([witness])) === 'taken') return true;
    const other = await newest(next);
    return other !== undefined && (await send([other])) === 'taken';
  };

  return async (events, next) => {
    if (events.length === 0) return true;
    /** Refused alone: of the first `proven` another event was taken after that. */
    const refused: ShippedEvent[] = [];
    let proven = 0;
    const halve = async (part: readonly ShippedEvent[]): Promise<void> => {
      const result = await send(part);
      if (result !== 'refused') {
        proven = refused.length;
        if (result !== 'taken') await keepAside(part, result);
        options.onSent?.(part.length - (result === 'taken' ? 0 : result));
      } else if (part.length === 1) refused.push(...part);
      else {
        const half = part.length >> 1;
        await halve(part.slice(0, half));
        await halve(part.slice(half));
      }
    };
    try {
      await halve(events);
      if (refused.length > proven && !(await takesOthers(next)))
        throw new CodedError('refuses_all', 'the receiver refuses this and every other event');
      const dead: ShippedEvent[] = [];
      for (const event of refused) {
        if ((await send([event])) === 'taken') options.onSent?.(1);
        else dead.push(event);
      }
      if (dead.length > 0) await keepAside(dead);
      return true;
    } catch (error) {
      if (error instanceof TurnLost) return false;
      throw error;
    }
  };
}
