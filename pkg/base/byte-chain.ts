/**
 * Bytes in the pieces in which they came: one row of bytes to whoever reads them, and none of them copied to make it one.
 *
 * Promise: {@link slice} and {@link concat} copy nothing; {@link bytes} copies nothing where what is asked for stands in one piece.
 */
export class ByteChain {
  /** None is empty. */
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
  /** Where each piece begins; made when it is first asked for. */
  #starts: readonly number[] | undefined = undefined;

  private constructor(pieces: readonly Uint8Array[], length: number) {
    this.pieces = pieces;
    this.length = length;
  }

  static of(...pieces: readonly Uint8Array[]): ByteChain {
    return ByteChain.ofAll(pieces);
  }

  static ofAll(pieces: readonly Uint8Array[]): ByteChain {
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined && only.length > 0) return new ByteChain(pieces, only.length);
    const full = pieces.filter(({ length }) => length > 0);
    let length = 0;
    for (const piece of full) length += piece.length;
    return new ByteChain(full, length);
  }

  /** These, one after the other. */
  static concat(chains: readonly ByteChain[]): ByteChain {
    return ByteChain.ofAll(chains.flatMap(({ pieces }) => pieces));
  }

  /** The bytes from `from` to `to`, which are held to what there is. */
  slice(from: number, to = this.length): ByteChain {
    const end = Math.min(to, this.length);
    if (from <= 0 && end === this.length) return this;
    const pieces: Uint8Array[] = [];
    for (let at = this.pieceAt(from); at < this.pieces.length; at++) {
      const start = this.startOf(at);
      if (start >= end) break;
      const piece = this.pieces[at] as Uint8Array;
      pieces.push(piece.subarray(Math.max(0, from - start), Math.min(piece.length, end - start)));
    }
    return ByteChain.ofAll(pieces);
  }

  /** The same in one piece: a view where they stand in one already, else a copy. */
  bytes(from = 0, to = this.length): Buffer {
    const end = Math.min(to, this.length);
    if (end <= from) return Buffer.alloc(0);
    const at = this.pieceAt(from);
    const piece = this.pieces[at] as Uint8Array;
    const start = this.startOf(at);
    if (end - start > piece.length) return Buffer.concat(this.slice(from, end).pieces, end - from);
    return Buffer.from(piece.buffer, piece.byteOffset + from - start, end - from);
  }

  /** The byte at this place; undefined: there is none. */
  at(place: number): number | undefined {
    if (place < 0 || place >= this.length) return undefined;
    const at = this.pieceAt(place);
    return this.pieces[at]?.[place - this.startOf(at)];
  }

  /** Which piece the byte at this place stands in; where there is none, one past the last. */
  pieceAt(place: number): number {
    if (place >= this.length) return this.pieces.length;
    if (this.pieces.length === 1) return 0;
    const starts = this.#allStarts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where a piece begins. */
  startOf(piece: number): number {
    return piece === 0 ? 0 : (this.#allStarts()[piece] ?? this.length);
  }

  #allStarts(): readonly number[] {
    if (this.#starts !== undefined) return this.#starts;
    let start = 0;
    return (this.#starts = this.pieces.map(({ length }) => {
      const own = start;
      start += length;
      return own;
    }));
  }
}
