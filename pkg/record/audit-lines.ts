/**
 * Lines on their way to the record, as the bytes that are hashed and written: an event is encoded once. In front of the first
 * one stands a line feed, for a file whose last line has none.
 */
export class AuditLines {
  readonly #ordinary: Buffer;
  bytes: Buffer;
  length = 1;

  /** @param bytes room for ordinary calls; a longer one costs a buffer of its own. */
  constructor(bytes: number) {
    this.#ordinary = Buffer.alloc(bytes);
    this.#ordinary[0] = lineFeed;
    this.bytes = this.#ordinary;
  }

  clear(): void {
    this.bytes = this.#ordinary;
    this.length = 1;
  }

  ascii(text: string): void {
    this.#reserve(text.length);
    this.length += this.bytes.write(text, this.length, 'latin1');
  }

  utf8(text: string): void {
    // Three bytes for a UTF-16 unit at most.
    this.#reserve(text.length * 3);
    this.length += this.bytes.write(text, this.length, 'utf8');
  }

  text(): string {
    return this.bytes.toString('utf8', 1, this.length);
  }

  #reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = Buffer.alloc((this.length + more) * 2);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

const lineFeed = 10;
