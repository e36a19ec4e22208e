import { ByteChain } from '../base/index.ts';
import type { StreamOutput } from './frame-queue.ts';

/**
 * What one read of the model's lets go: text for the caller, and what is recorded of each lane, joined. A read of many frames
 * becomes one segment of the record for each lane, and one write.
 */
export class Departure implements StreamOutput {
  #text = '';
  readonly #bytes: ByteChain[] = [];
  /** By lane, in the order in which their first text came. */
  readonly #kept: { readonly lane: string; text: string; raw: string | undefined }[] = [];

  text(text: string): void {
    this.#text = this.#text === '' ? text : this.#text + text;
  }

  bytes(bytes: ByteChain): void {
    this.#bytes.push(bytes);
  }

  record(lane: string, text: string, raw?: string): void {
    const kept = this.#kept.find((one) => one.lane === lane);
    if (kept === undefined) {
      this.#kept.push({ lane, text, raw });
      return;
    }
    kept.text += text;
    if (kept.raw !== undefined && raw !== undefined) kept.raw += raw;
  }

  /** Gives the record's part to `segment` and returns the caller's; nothing is left. */
  take(segment: (lane: string, text: string, raw: string | undefined) => void): string {
    for (const { lane, text, raw } of this.#kept) segment(lane, text, raw);
    this.#kept.length = 0;
    const text = this.#text;
    this.#text = '';
    return text;
  }

  /** The caller's part of a stream whose frames are no text; undefined: there is none. */
  takeBytes(): ByteChain | undefined {
    if (this.#bytes.length === 0) return undefined;
    const bytes = ByteChain.concat(this.#bytes);
    this.#bytes.length = 0;
    return bytes;
  }
}
