import { CodedError } from '../../base/index.ts';
import type { ShippedEvent } from './event.ts';

/** Code of an error that says that a batch took too long, or its answer was: fewer events may not. */
export const tooSlow = 'too_slow';
export const isTooSlow = (error: unknown): boolean => error instanceof CodedError && error.code === tooSlow;

/**
 * A batch was answered by a status that may be the receiver's fault, or that of something before it, or of one event alone: a firewall that does not
 * let `<script>` through answers 403, a collector that cannot read one event 500.
 */
export class NotTaken extends CodedError<'not_taken'> {
  readonly status: number;

  constructor(status: number, message: string) {
    super('not_taken', message);
    this.status = status;
  }
}

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
