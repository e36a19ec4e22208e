/**
 * What an answer has still to say while its peer takes what was said before. Written in pieces, each after the peer took the one before:
 * so a peer that reads slowly shows that it reads, and what waits is here, where whoever made it can count it, and not in a socket.
 *
 * It keeps the bytes that it is given; none are copied.
 */
export class Backlog {
  readonly #parts: Uint8Array[] = [];
  /** Of the first part: how much of it is gone. */
  #gone = 0;
  #first = 0;

  add(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#parts.push(bytes);
  }

  /** The next piece; undefined: there is none. */
  next(): Uint8Array | undefined {
    const part = this.#parts[this.#first];
    if (part === undefined) return undefined;
    const piece = part.subarray(this.#gone, this.#gone + pieceBytes);
    this.#gone += piece.length;
    if (this.#gone >= part.length) {
      this.#parts[this.#first++] = nothing;
      this.#gone = 0;
    }
    return piece;
  }
}

const nothing = new Uint8Array(0);

/** What is not longer leaves in one write: a socket's high-water mark. */
export const pieceBytes = 65_536;
