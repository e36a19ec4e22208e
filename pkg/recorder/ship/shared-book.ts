import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/index.ts';
import type { ShipTable } from '../store/index.ts';
import { isSamePlace } from './book.ts';
import type { ShipBook } from './book.ts';
import { eventText } from './event.ts';
import type { Position } from './source.ts';

/**
 * The book of a receiver in a store that several recorders share: the turn is a row of the database, and ends by its server's clock.
 *
 * @param turnMs After which a recorder that says nothing more has lost its turn, default 30 s: what is sent in one go takes 15 s at most, and whose
 * turn it is was asked at most a third of the time before.
 */
export function sharedBook(table: ShipTable, receiver: string, clock: Clock, turnMs = 30_000): ShipBook {
  const holder = randomUUID();
  let mine: { readonly position: Position; readonly since: number } | undefined;
  return {
    async take() {
      // Asked since: before the database was, so that the turn is never thought longer than it is.
      const since = clock.monotonic();
      if (mine !== undefined && since - mine.since < turnMs / 3) return mine.position;
      const position = await table.take(receiver, holder, turnMs);
      mine = position && { position, since };
      return position;
    },
    async move(to, from) {
      // Set back since, and taken again.
      if (from !== undefined && mine !== undefined && !isSamePlace(mine.position, from)) return false;
      const since = clock.monotonic();
      const moved = await table.move(receiver, holder, to, turnMs);
      mine = moved ? { position: to, since } : undefined;
      return moved;
    },
    async again(entry) {
      await table.again(receiver, entry);
      mine = undefined;
    },
    keepDead: (events) => table.keepDead(receiver, events.map(eventText)),
    async close() {
      if (mine !== undefined) await table.release(receiver, holder);
      mine = undefined;
    },
  };
}
