import type { Clock, Timer } from '../base/index.ts';
import type { AuditEvent, AuditSink } from '../core/index.ts';

/**
 * Writes starts and segments at once, because bytes wait for them, and sessions that were refused before anything of them was written, so that
 * whoever makes the process end takes no refusal along. Ends of others it writes together: an end may follow
 * within a second (DESIGN section 10), so it goes out with the next write of any session or after 100 ms. This saves a
 * third of all writes under load.
 */
const endsWaitMs = 100;

export class RecordWriter {
  readonly #sink: AuditSink;
  readonly #clock: Clock;
  readonly #onLost: (events: number) => void;
  #ends: AuditEvent[] = [];
  #timer: Timer | undefined;

  /** @param onLost told how many ends could not be written. */
  constructor(sink: AuditSink, clock: Clock, onLost: (events: number) => void) {
    this.#sink = sink;
    this.#clock = clock;
    this.#onLost = onLost;
  }

  /** @throws what the sink throws: nothing of `events` may be believed to be written. */
  append(events: readonly AuditEvent[]): void {
    const ends = this.#take();
    if (ends.length === 0) return this.#sink.append(events);
    try {
      this.#sink.append([...ends, ...events]);
    } catch (error) {
      this.#onLost(ends.length);
      throw error;
    }
  }

  /** A session of which nothing was written yet, whole, before its answer leaves. Never throws: it is refused whatever becomes of its record. */
  whole(events: readonly AuditEvent[]): void {
    this.#ends.push(...events);
    this.flush();
  }

  /** The end of a session. */
  later(events: readonly AuditEvent[]): void {
    this.#ends.push(...events);
    this.#timer ??= this.#clock.after(endsWaitMs, () => this.flush());
  }

  /** Never throws: what ends describe has happened. */
  flush(): void {
    const ends = this.#take();
    if (ends.length === 0) return;
    try {
      this.#sink.append(ends);
    } catch {
      this.#onLost(ends.length);
    }
  }

  #take(): readonly AuditEvent[] {
    const ends = this.#ends;
    if (ends.length === 0) return ends;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#ends = [];
    return ends;
  }
}
