/**
 * What an answer has still to say while its peer takes what was said before. Written in pieces, each after the peer took the one before:
 * so a peer that reads slowly shows that it reads, and what waits is here, where whoever made it can count it, and not in a socket.
 * It holds memory that all share until it is out: so there is a least rate, too, at which a peer is to take it.
 *
 * It keeps the bytes that it is given; none are copied.
 */
export class Backlog {
  readonly #parts: Uint8Array[] = [];
  /** Of the first part: how much of it is gone. */
  #gone = 0;
  #first = 0;
  #bytes = 0;
  #dueAt: number;

  /** @param now milliseconds on the monotonic clock. */
  constructor(now: number) {
    this.#dueAt = now;
  }

  /** When all of it is out at the least rate, in milliseconds on the monotonic clock. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Bytes of memory that it keeps: each part whole, until its last piece is out. */
  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    this.#dueAt += bytes.length / leastRate;
  }

  /** The next piece; undefined: there is none. */
  next(): Uint8Array | undefined {
    const part = this.#parts[this.#first];
    if (part === undefined) return undefined;
    const piece = part.subarray(this.#gone, this.#gone + pieceBytes);
    this.#gone += piece.length;
    if (this.#gone >= part.length) {
      this.#bytes -= part.length;
      this.#parts[this.#first++] = nothing;
      this.#gone = 0;
    }
    return piece;
  }
}

/** Since when a peer is behind, in milliseconds on the monotonic clock: it takes nothing, or is to have taken all of the backlog. */
export const behindSince = (stalledSince: number | undefined, backlog: Backlog | undefined): number | undefined =>
  backlog === undefined ? stalledSince : Math.min(stalledSince ?? Number.POSITIVE_INFINITY, backlog.dueAt);

/** Bytes a millisecond: 64 KiB/s. */
const leastRate = 65.536;

const nothing = new Uint8Array(0);

/** What is not longer leaves in one write: a socket's high-water mark. */
export const pieceBytes = 65_536;
