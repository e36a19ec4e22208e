import type { ShippedEvent } from './event.ts';
import type { Position } from './source.ts';

/** What is kept of one receiver: where it has come to, what it never took, and which recorder ships to it. */
export interface ShipBook {
  /**
   * Takes the turn to ship, or keeps it; asked before each thing that is sent.
   * @returns where the receiver has come to (the first entry: it never took anything); undefined: another recorder has the turn
   * @throws where what is kept is no position: guessing would ship twice or never
   */
  take(): Promise<Position | undefined>;
  /**
   * On the disk when it resolves.
   *
   * @param from Where it was when what was sent was read; default: wherever it is
   * @returns false: another recorder has the turn, or it was set back meanwhile; nothing was written
   */
  move(to: Position, from?: Position): Promise<boolean>;
  /** Sets it to an entry of the log, whatever is being sent: it goes on there. */
  again(entry: number): Promise<void>;
  /** Keeps what a receiver never took, for people. */
  keepDead(events: readonly ShippedEvent[]): Promise<void>;
  /** Gives the turn back. */
  close(): Promise<void>;
}

/** Whether these are one place of the log. */
export const isSamePlace = (one: Position, other: Position): boolean =>
  one.entry === other.entry && one.events === other.events;

export const beginning: Position = { entry: 0, events: 0 };
