const minute = 60_000;

/** Minutes in which the deepest debt is paid off: who says what was used may lie, and must not lock a caller out for good. */
export const mostDebt = 60;

/**
 * Holds a minute's worth and refills continuously. May go into debt by what turns out to have been used, never by what is admitted,
 * and by no more than {@link mostDebt} minutes' worth.
 */
export class Bucket {
  level: number;
  filledAt: number;
  readonly capacity: number;

  constructor(capacity: number, now: number) {
    this.capacity = capacity;
    this.level = capacity;
    this.filledAt = now;
  }

  refill(now: number): void {
    this.level = Math.min(this.capacity, this.level + ((now - this.filledAt) * this.capacity) / minute);
    this.filledAt = now;
  }

  fits(amount: number, now: number): 'yes' | 'no' {
    this.refill(now);
    return this.level >= amount ? 'yes' : 'no';
  }

  take(amount: number): void {
    this.level -= amount;
  }

  /** Below zero: takes what was used beyond. */
  give(amount: number, now: number): void {
    this.refill(now);
    this.level = Math.max(-mostDebt * this.capacity, Math.min(this.capacity, this.level + amount));
  }

  /** Seconds until `amount` fits, at least 1. */
  wait(amount: number): number {
    return Math.max(1, Math.ceil(((amount - this.level) * minute) / this.capacity / 1_000));
  }

  /** A bucket of another size, as full as this one or as deep in debt. */
  resized(capacity: number, now: number): Bucket {
    this.refill(now);
    const other = new Bucket(capacity, now);
    other.level = (this.level * capacity) / this.capacity;
    return other;
  }

  /** Full: nothing is lost by forgetting it. */
  idle(now: number): boolean {
    this.refill(now);
    return this.level >= this.capacity;
  }
}
