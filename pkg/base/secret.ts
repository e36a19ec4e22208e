import { createHmac, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

/** Keyed per process: a plain digest of a short secret could be guessed from the log. */
const fingerprintKey = randomBytes(32);

/**
 * A value that cannot be printed by accident: string conversion, JSON, template literals and `util.inspect` all give
 * `[redacted]`. The text is in a private field and leaves only through `reveal()`, which is easy to search for.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself: for the wire and for comparisons, never for a log, an error or a metric. */
  reveal(): string {
    return this.#text;
  }

  get length(): number {
    return this.#text.length;
  }

  /** Eight hex digits that tell two secrets apart within one process and say nothing else. */
  fingerprint(): string {
    return createHmac('sha256', fingerprintKey).update(this.#text).digest('hex').slice(0, 8);
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return '[redacted]';
  }
}
