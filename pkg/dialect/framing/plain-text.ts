import { StringDecoder } from 'node:string_decoder';
import { RefusedError } from '../../core/index.ts';
import { longestFrame } from './stream-framing.ts';
import type { FrameSplitter, StreamFrame, StreamFraming } from './stream-framing.ts';

/**
 * Text that comes in pieces, as chunks of HTTP: a frame is what one chunk brings, its data the JSON string that says the same. Clients join
 * all of it. Limit: bytes that are not UTF-8 become U+FFFD.
 *
 * It has no comments, no names and no filling, and no way to say that it ends early: it breaks off.
 */

class Piece implements StreamFrame {
  readonly event = undefined;
  readonly complete = true;
  readonly plain = true;
  readonly raw: string;

  constructor(raw: string) {
    this.raw = raw;
  }

  get data(): string {
    return JSON.stringify(this.raw);
  }

  withData(data: string): string {
    // eslint-disable-next-line no-restricted-syntax -- text of our own making
    const text: unknown = JSON.parse(data);
    if (typeof text !== 'string') throw new RefusedError('response_uninspectable', { detail: 'text' });
    return text;
  }
}

const none: readonly StreamFrame[] = Object.freeze([]);

class TextSplitter implements FrameSplitter {
  #decoder = new StringDecoder('utf8');
  /** Nothing but the first bytes of a character: three at most. */
  readonly pendingBytes = 0;

  push(chunk: Buffer): readonly StreamFrame[] {
    if (chunk.length > longestFrame) throw new RefusedError('response_uninspectable', { detail: 'frame_size' });
    const text = this.#decoder.write(chunk);
    return text === '' ? none : [new Piece(text)];
  }

  end(): StreamFrame | undefined {
    const rest = this.#decoder.end();
    return rest === '' ? undefined : new Piece(rest);
  }

  clear(): void {
    this.#decoder = new StringDecoder('utf8');
  }
}

export const plainText: StreamFraming = {
  mediaTypes: new Set(['text/plain']),
  contentType: 'text/plain; charset=utf-8',
  encoding: 'utf8',
  splitter: () => new TextSplitter(),
  frame: () => '',
  breaksOff: true,
  bare: (frame) => frame,
  silence: new Piece(''),
  padded: (text) => text,
};
