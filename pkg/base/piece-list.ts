import { ByteChain } from './byte-chain.ts';

/** Bytes: a piece below it is put together with others of its kind. */
export const shortPiece = 2_048;
/** Bytes of what short pieces are copied into. */
const blockBytes = 4_096;

/**
 * Pieces as they come, for a {@link ByteChain}. A piece is an object of some hundred bytes, and may keep the whole buffer alive that it was read
 * into: who sends byte by byte would cost a hundred times what they are counted. So of short pieces that follow one another each
 * is copied once, into blocks; a long one, and a short one among long ones, is kept as it is.
 */
export class PieceList {
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** What the last piece is a part of, where it is a block of our own with `#filled` bytes. */
  #block: Buffer | undefined = undefined;
  #filled = 0;

  get length(): number {
    return this.#length;
  }

  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#length += piece.length;
    const last = this.#pieces.at(-1);
    const isAlone = this.#block === undefined && (last === undefined || last.length >= shortPiece);
    if (piece.length >= shortPiece || isAlone || last === undefined) {
      this.#block = undefined;
      this.#pieces.push(piece);
      return;
    }
    if (this.#block !== undefined && this.#filled + piece.length <= blockBytes) {
      this.#append(this.#block, piece);
      this.#pieces[this.#pieces.length - 1] = this.#block.subarray(0, this.#filled);
      return;
    }
    const block = Buffer.alloc(blockBytes);
    this.#filled = 0;
    if (this.#block === undefined) {
      this.#append(block, last);
      this.#pieces.pop();
    }
    this.#append(block, piece);
    this.#block = block;
    this.#pieces.push(block.subarray(0, this.#filled));
  }

  #append(block: Buffer, piece: Uint8Array): void {
    block.set(piece, this.#filled);
    this.#filled += piece.length;
  }

  /** What came so far; it stays as it is whatever comes. */
  chain(): ByteChain {
    return ByteChain.ofAll(this.#pieces.slice());
  }

  /** Begins anew, with these bytes. */
  reset(chain: ByteChain = ByteChain.of()): void {
    this.#pieces = [...chain.pieces];
    this.#length = chain.length;
    this.#block = undefined;
  }
}
