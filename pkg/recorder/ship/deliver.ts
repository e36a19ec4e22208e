import { CodedError, createSeldom } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { ShipBook } from './book.ts';
import type { ShippedEvent } from './event.ts';
import { NotTaken, isTooSlow } from './receiver.ts';
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

/** Times that an event is refused before it is dead, where that was by statuses that may be the receiver's own fault. */
const mostAsked = 5;

/** Entries at the end of the log that are looked at for an event. */
const newestEntries = 64;

/** In the place of a status: the receiver broke off, or did not answer in time, at one event alone. No HTTP status. */
const brokenOff = 0;

/** Code of an error: nothing that was sent was taken. */
export const refusesAll = 'refuses_all';

/** Another recorder has the turn: it sends again what was not settled. */
class TurnLost extends Error {}

/**
 * Sends a batch so that each of its events is taken or proven to be one that the receiver will never take, and then kept aside. A batch that
 * is refused is halved until single events are left. Of such an event it is proven by others: it was refused, another one was
 * taken after that, and it was refused again. Where the receiver takes nothing else either, what is wrong is the receiver (a proxy before it
 * that wants a certificate, a header that grew too long): nothing is dead then, and the batch is tried again.
 *
 * A status that may be the receiver's own fault ({@link NotTaken}) counts as a refusal where the same batch got one time after time, and from
 * then on at once, until the receiver takes nothing else either; so does that it breaks off, or does not answer, at one event alone. An event is asked
 * for more often then, as one of several servers may be at fault.
 *
 * @returns `(events, next, doubts)`: sends them; `next` is where the log goes on behind them; `doubts`: such a status counts as a refusal this time.
 *   It resolves to false where another recorder has the turn
 * @throws CodedError where it may work later
 */
export function createDelivery(
  options: DeliveryOptions,
): (events: readonly ShippedEvent[], next: Position, doubts?: boolean) => Promise<boolean> {
  const { receiver, source, book, clock, logger, signal } = options;
  /** The last event that was taken: a receiver that works takes it again. */
  let witness: ShippedEvent | undefined;
  const tell = createSeldom(clock);
  let doubting = false;
  /** Statuses by which single events were refused. */
  const ofEvents = new Set<number>();
  /** The last answer was such a status. */
  let answered: number | undefined;

  const ask = async (events: readonly ShippedEvent[]): ReturnType<Receiver['send']> => {
    answered = undefined;
    try {
      return await receiver.send(events, signal);
    } catch (error) {
      const status =
        error instanceof NotTaken ? error.status : events.length === 1 && isTooSlow(error) ? brokenOff : undefined;
      if (status === undefined || !(doubting || ofEvents.has(status))) throw error;
      answered = status;
      return 'refused';
    }
  };
  const send = async (events: readonly ShippedEvent[]): ReturnType<Receiver['send']> => {
    if (!(await options.hasTurn())) throw new TurnLost();
    const result = await ask(events);
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
    const size = await source.size();
    // From the end of the log on, more of it each time: a block may have thousands.
    for (let entries = 1; ; entries = Math.min(newestEntries, entries * 2)) {
      const entry = Math.max(next.entry, size - entries);
      const from = entry === next.entry ? next : { entry, events: 0 };
      const { events } = await source.read(from, Infinity);
      const found = events.findLast((event) => receiver.takes?.(event) ?? true);
      if (found !== undefined || entry === next.entry || entries === newestEntries) return found;
    }
  };

  /** Whether it takes anything: what it took last, or else the newest of all, which comes again in its turn. */
  const takesOthers = async (next: Position): Promise<boolean> => {
    if (witness !== undefined && (await send([witness])) === 'taken') return true;
    const other = await newest(next);
    return other !== undefined && (await send([other])) === 'taken';
  };

  const takesNothing = (): CodedError => {
    ofEvents.clear();
    return new CodedError(refusesAll, 'the receiver refuses this and every other event');
  };
  /** @param statuses By which it is refused: they are added. @returns whether an event is refused again, behind others that were taken */
  const isDead = async (event: ShippedEvent, next: Position, statuses: Set<number>): Promise<boolean> => {
    for (let asked = 1; ; asked++) {
      if ((await send([event])) === 'taken') return false;
      if (answered === undefined) return true;
      statuses.add(answered);
      if (asked === mostAsked) return true;
      // Twice at once, too: where each second server is at fault, another one is asked.
      if (asked % 2 === 0 && !(await takesOthers(next))) throw takesNothing();
    }
  };

  return async (events, next, doubts = false) => {
    if (events.length === 0) return true;
    doubting = doubts;
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
      if (refused.length > proven && !(await takesOthers(next))) throw takesNothing();
      const dead: ShippedEvent[] = [];
      const ofDead = new Set<number>();
      for (const event of refused) {
        const statuses = new Set<number>();
        if (await isDead(event, next, statuses)) {
          dead.push(event);
          for (const status of statuses) ofDead.add(status);
        } else options.onSent?.(1);
      }
      if (dead.length > 0) {
        await keepAside(dead);
        for (const status of ofDead) ofEvents.add(status);
      }
      return true;
    } catch (error) {
      if (error instanceof TurnLost) return false;
      throw error;
    }
  };
}
