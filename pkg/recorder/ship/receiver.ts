import type { ShippedEvent } from './event.ts';

/** Code of an error that says that a batch took too long, or its answer was: fewer events may not. */
export const tooSlow = 'too_slow';

/** Where events go. */
export interface Receiver {
  /** Stands in logs, metrics and file names; unique. */
  readonly name: string;
  /** Whether it has a form for such an event; what it has none for is passed over. Default: for every one. */
  takes?(event: ShippedEvent): boolean;
  /**
   * Sends events, in order. `taken`: all of them; a number, less than all: so many of them will never be taken, the others were; `refused`:
   * the receiver takes none of them as they are.
   *
   * @throws CodedError, without secrets, where it may work later
   */
  send(events: readonly ShippedEvent[], signal: AbortSignal): Promise<'taken' | 'refused' | number>;
  close(): void;
}
