import { sse } from '../framing/sse.ts';
import { missing } from '../framing/stream-framing.ts';
import type { FrameSplitter, StreamFrame, StreamFraming } from '../framing/stream-framing.ts';

/**
 * Events of the Gemini API: server-sent events, but for errors. A server that fails in mid-stream writes its error as bare JSON, and Google's clients
 * raise one of theirs where they meet it: alone in a read, or not ended by an empty line when the stream ends. An event that says an error they take
 * for a chunk without text.
 *
 * So an error leaves twice: as an event of this name, for whoever reads events as they are defined, and behind it bare, with which the stream ends.
 */
export const errorEvent = 'error';

const written = (data: string, event: string | undefined): string =>
  event === errorEvent ? `${sse.frame(data, event)}${data.replaceAll(/[\r\n]+/g, ' ')}` : sse.frame(data, event);

class Frame implements StreamFrame {
  readonly raw: string;
  readonly data: string;
  readonly event: string | undefined;
  readonly complete: boolean;

  constructor(raw: string, data: string, event: string | undefined, complete: boolean) {
    this.raw = raw;
    this.data = data;
    this.event = event;
    this.complete = complete;
  }

  get plain(): boolean {
    return false;
  }

  withData(data: string): string {
    return written(data, this.event);
  }
}

/** Lines that no client of server-sent events reads, and Google's do. */
function withBare(frame: StreamFrame): StreamFrame {
  if (frame.data !== undefined || !/^\s*\{/.test(frame.raw)) return frame;
  return new Frame(frame.raw, frame.raw.trim(), errorEvent, frame.complete);
}

class Splitter implements FrameSplitter {
  readonly #events = sse.splitter();

  get pendingBytes(): number {
    return this.#events.pendingBytes;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    return this.#events.push(chunk).map(withBare);
  }

  end(): StreamFrame | undefined {
    const last = this.#events.end();
    return last === undefined ? undefined : withBare(last);
  }

  clear(): void {
    this.#events.clear();
  }
}

export const geminiEvents: StreamFraming = {
  ...sse,
  splitter: () => new Splitter(),
  frame: written,
  bare(frame, event) {
    if (event !== errorEvent) return sse.bare(frame, event);
    const { data = '' } = frame;
    return new Frame(written(data, event), data, event, true);
  },
  padded(text, multiple) {
    if (text === '' || text.endsWith('\n')) return sse.padded(text, multiple);
    // Not by a comment, which would end what must stay open.
    return text + ' '.repeat(missing(Buffer.byteLength(text), multiple));
  },
};
