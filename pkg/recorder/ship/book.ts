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
  /** On the disk when it resolves. @returns false: another recorder has the turn, and nothing was written */
  move(to: Position): Promise<boolean>;
  /** Keeps what a receiver never took, for people. */
  keepDead(events: readonly ShippedEvent[]): Promise<void>;
  /** Gives the turn back. */
  close(): Promise<void>;
}

export const beginning: Position = { entry: 0, events: 0 };
