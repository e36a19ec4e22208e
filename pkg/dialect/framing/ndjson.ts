import { StringDecoder } from 'node:string_decoder';
import { RefusedError } from '../../core/index.ts';
import { longestFrame, missing } from './stream-framing.ts';
import type { FrameSplitter, StreamFrame, StreamFraming } from './stream-framing.ts';

/**
 * A JSON value a line (NDJSON, JSON Lines). A line ends at LF, with a CR before it or not; a CR elsewhere is white space of the value. Lines of white space
 * alone say nothing. The last line is read where its LF is missing, too, as clients do. Limit: bytes that are not UTF-8 become U+FFFD.
 *
 * It has no comments and no names. White space within a line fills it up, which every parser passes over.
 */

class Line implements StreamFrame {
  readonly raw: string;
  readonly data: string | undefined;

  constructor(raw: string, data: string | undefined) {
    this.raw = raw;
    this.data = data;
  }

  get event(): undefined {
    return undefined;
  }

  get complete(): boolean {
    return this.raw.endsWith('\n');
  }

  get plain(): boolean {
    return this.complete;
  }

  withData(data: string): string {
    return data + this.raw.slice(this.data?.length ?? 0);
  }
}

const isSilent = /^[ \t\r\n]*$/;

function lineOf(raw: string): Line {
  if (isSilent.test(raw)) return new Line(raw, undefined);
  const end = raw.endsWith('\r\n') ? raw.length - 2 : raw.endsWith('\n') ? raw.length - 1 : raw.length;
  return new Line(raw, raw.slice(0, end));
}

const none: readonly StreamFrame[] = Object.freeze([]);

class LineSplitter implements FrameSplitter {
  readonly #maxFrame: number;
  readonly #decoder = new StringDecoder('utf8');
  /** Of the line that is not whole yet: joined once, so that a long one costs no more than its length. */
  #pieces: string[] = [];
  #size = 0;
  #bytes = 0;

  constructor(maxFrame: number) {
    this.#maxFrame = maxFrame;
  }

  get pendingBytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    const text = this.#decoder.write(chunk);
    let end = text.indexOf('\n');
    if (end < 0) {
      if (text !== '') this.#keep(text);
      return none;
    }
    const frames: StreamFrame[] = [];
    let start = 0;
    for (; end >= 0; end = text.indexOf('\n', start)) {
      const piece = text.slice(start, end + 1);
      if (this.#size + piece.length > this.#maxFrame) throw tooLong();
      frames.push(lineOf(this.#take(piece)));
      start = end + 1;
    }
    if (start < text.length) this.#keep(text.slice(start));
    return frames;
  }

  end(): StreamFrame | undefined {
    const rest = this.#take(this.#decoder.end());
    return rest === '' ? undefined : lineOf(rest);
  }

  clear(): void {
    this.#pieces = [];
    this.#size = 0;
    this.#bytes = 0;
  }

  #keep(text: string): void {
    this.#pieces.push(text);
    this.#size += text.length;
    this.#bytes += Buffer.byteLength(text);
    if (this.#size > this.#maxFrame) throw tooLong();
  }

  #take(more: string): string {
    if (this.#size === 0) return more;
    const raw = this.#pieces.join('') + more;
    this.clear();
    return raw;
  }
}

function tooLong(): RefusedError {
  return new RefusedError('response_uninspectable', { detail: 'frame_size' });
}

/** @param maxFrame longest line in UTF-16 units; default 8 Mi. */
export const ndjsonSplitter = (maxFrame = longestFrame): FrameSplitter => new LineSplitter(maxFrame);

export const ndjson: StreamFraming = {
  mediaTypes: new Set(
    'application/x-ndjson application/ndjson application/jsonl application/x-jsonlines application/jsonlines'.split(
      ' ',
    ),
  ),
  contentType: 'application/x-ndjson',
  encoding: 'utf8',
  splitter: () => ndjsonSplitter(),
  frame: (data) => `${data}\n`,
  bare: (frame) => new Line(`${frame.data ?? ''}\n`, frame.data),
  silence: new Line('\n', undefined),
  padded(text, multiple) {
    const pad = missing(Buffer.byteLength(text), multiple);
    // Before the line's end: behind it stands the next line.
    return pad === 0 || !text.endsWith('\n') ? text : `${text.slice(0, -1)}${' '.repeat(pad)}\n`;
  },
};
