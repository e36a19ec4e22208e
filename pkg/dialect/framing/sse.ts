import { StringDecoder } from 'node:string_decoder';
import { RefusedError } from '../../core/index.ts';
import { longestFrame, missing } from './stream-framing.ts';
import type { FrameSplitter, StreamFrame, StreamFraming } from './stream-framing.ts';

/**
 * Server-sent events (WHATWG HTML section 9.2), split into frames that remember their own spelling.
 *
 * Guarantee: that of {@link FrameSplitter}, for every conforming client. Line ends are LF, CRLF and CR, also a CRLF cut in two; one
 * byte order mark at the start is skipped by clients and kept here; an unterminated last frame, which clients drop and some
 * SDKs read, is given with `complete: false`. `event` is the last `event:` field; `data` is the `data:` lines joined by LF, and undefined
 * where there is none: comments, `id:`, `retry:`. Limit: bytes that are not UTF-8 become U+FFFD, as they do in clients.
 */
export class SseSplitter implements FrameSplitter {
  readonly #maxFrame: number;
  readonly #decoder = new StringDecoder('utf8');
  /** Text of the frame that is not whole yet, in pieces: joined once, so that a long frame costs no more than its length. */
  #pieces: string[] = [];
  #size = 0;
  #bytes = 0;
  /** Its last units: four hold every line end that new text may complete. */
  #tail = '';
  /** Nothing was given yet: a byte order mark may stand here. */
  #first = true;

  /** @param maxFrame longest frame in UTF-16 units; default 8 Mi. */
  constructor(maxFrame = longestFrame) {
    this.#maxFrame = maxFrame;
  }

  get pendingBytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    const text = this.#decoder.write(chunk);
    if (text === '') return none;
    if (this.#size === 0) return this.#split(text, []);
    const probe = this.#tail + text;
    const end = frameEnd(probe, 0, this.#size <= tailUnits, probe.includes('\r'));
    if (end < 0) {
      this.#keep(text, probe);
      return none;
    }
    const cut = end - this.#tail.length;
    const raw = this.#take(text.slice(0, cut));
    if (raw.length > this.#maxFrame) throw tooLong();
    return this.#split(text.slice(cut), [this.#frame(raw, true)]);
  }

  end(): StreamFrame | undefined {
    const rest = this.#take(this.#decoder.end());
    if (rest === '') return undefined;
    // A CR that might have been half of a CRLF was the whole line end.
    const whole = /(?:\r\r|\n\r)$/.test(rest) || rest === '\r';
    return this.#frame(rest, whole);
  }

  #keep(text: string, probe: string): void {
    this.#pieces.push(text);
    this.#size += text.length;
    this.#bytes += Buffer.byteLength(text);
    this.#tail = probe.slice(-tailUnits);
    if (this.#size > this.#maxFrame) throw tooLong();
  }

  #take(more: string): string {
    const raw = this.#size === 0 ? more : this.#pieces.join('') + more;
    this.clear();
    return raw;
  }

  clear(): void {
    this.#pieces = [];
    this.#size = 0;
    this.#bytes = 0;
    this.#tail = '';
  }

  /** `text` begins at the start of a frame. */
  #split(text: string, frames: StreamFrame[]): readonly StreamFrame[] {
    const returns = text.includes('\r');
    let start = 0;
    while (start < text.length) {
      const end = frameEnd(text, start, true, returns);
      if (end < 0) break;
      if (end - start > this.#maxFrame) throw tooLong();
      frames.push(this.#frame(start === 0 && end === text.length ? text : text.slice(start, end), true));
      start = end;
    }
    if (start < text.length) {
      const rest = text.slice(start);
      this.#keep(rest, rest);
    }
    return frames;
  }

  #frame(raw: string, complete: boolean): StreamFrame {
    const skip = this.#first && raw.charCodeAt(0) === 0xfeff ? 1 : 0;
    this.#first = false;
    // What nearly every server sends: one `data: ` line and an empty one.
    if (complete && raw.startsWith('data: ') && raw.indexOf('\n') === raw.length - 2 && !raw.includes('\r'))
      return new PlainFrame(raw);
    return parse(raw, skip, complete);
  }
}

const none: readonly StreamFrame[] = Object.freeze([]);

function tooLong(): RefusedError {
  return new RefusedError('response_uninspectable', { detail: 'frame_size' });
}

/** A CR LF pair, and the CR that may begin the next, and one unit of ordinary text before them. */
const tailUnits = 4;

/**
 * One past the first empty line at or after `start`, or -1. A CR at the very end is not decided: an LF may follow.
 *
 * @param fresh `start` is the start of a frame, so that a line end there is an empty line.
 * @param returns the text holds a CR.
 */
function frameEnd(text: string, start: number, fresh: boolean, returns: boolean): number {
  if (!returns) {
    if (fresh && text.charCodeAt(start) === 0x0a) return start + 1;
    const at = text.indexOf('\n\n', start);
    return at < 0 ? -1 : at + 2;
  }
  let empty = fresh;
  for (let at = start; at < text.length;) {
    const code = text.charCodeAt(at);
    if (!isLineEnd(code)) {
      empty = false;
      at++;
      continue;
    }
    if (code === 0x0d && at + 1 === text.length) return -1;
    const after = code === 0x0d && text.charCodeAt(at + 1) === 0x0a ? at + 2 : at + 1;
    if (empty) return after;
    empty = true;
    at = after;
  }
  return -1;
}

const isLineEnd = (code: number): boolean => code === 0x0a || code === 0x0d;

class PlainFrame implements StreamFrame {
  readonly raw: string;
  readonly data: string;

  constructor(raw: string) {
    this.raw = raw;
    this.data = raw.slice(6, -2);
  }

  get complete(): true {
    return true;
  }

  get event(): undefined {
    return undefined;
  }

  get plain(): true {
    return true;
  }

  withData(data: string): string {
    return isOneLine(data) ? `data: ${data}\n\n` : `${dataLines(data, '\n')}\n`;
  }
}

const isOneLine = (data: string): boolean => !data.includes('\n') && !data.includes('\r');

/** Data that holds line ends needs a line for each of its own. A bare CR cannot be carried: clients read it as a line end. */
function dataLines(data: string, lineEnd: string): string {
  return data
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}${lineEnd}`)
    .join('');
}

interface Line {
  readonly start: number;
  /** One past its text, before the line end. */
  readonly end: number;
  /** One past the line end. */
  readonly next: number;
}

class ParsedFrame implements StreamFrame {
  readonly raw: string;
  readonly complete: boolean;
  readonly event: string | undefined;
  readonly data: string | undefined;
  /** Where `data:` lines stand, in order. */
  readonly #lines: readonly Line[];

  constructor(
    raw: string,
    complete: boolean,
    event: string | undefined,
    data: string | undefined,
    lines: readonly Line[],
  ) {
    this.raw = raw;
    this.complete = complete;
    this.event = event;
    this.data = data;
    this.#lines = lines;
  }

  /** One `data:` line, however it ends. */
  get plain(): boolean {
    const { complete, event, raw, data } = this;
    return complete && event === undefined && raw.length === (data?.length ?? 0) + 8 && raw.startsWith('data: ');
  }

  withData(data: string): string {
    const first = this.#lines[0];
    const last = this.#lines.at(-1);
    // Nothing to replace: put it before the empty line, where a client reads it as part of this frame.
    if (first === undefined || last === undefined) {
      const end = /(?:\r\n|\r|\n)$/.exec(this.raw);
      const at = end === null ? this.raw.length : end.index;
      return `${this.raw.slice(0, at)}${dataLines(data, end?.[0] ?? '\n')}${this.raw.slice(at)}`;
    }
    const lineEnd = this.raw.slice(first.end, first.next) || '\n';
    let out = this.raw.slice(0, first.start) + dataLines(data, lineEnd);
    let at = first.next;
    for (const line of this.#lines.slice(1)) {
      out += this.raw.slice(at, line.start);
      at = line.next;
    }
    return out + this.raw.slice(at);
  }
}

function parse(raw: string, skip: number, complete: boolean): StreamFrame {
  let event: string | undefined;
  let data: string | undefined;
  const lines: Line[] = [];
  for (let at = skip; at < raw.length;) {
    const line = lineAt(raw, at);
    at = line.next;
    const colon = raw.indexOf(':', line.start);
    const cut = colon < 0 || colon >= line.end ? line.end : colon;
    const name = raw.slice(line.start, cut);
    if (name !== 'data' && name !== 'event') continue;
    const space = raw.charCodeAt(cut + 1) === 0x20 && cut + 1 < line.end ? 2 : 1;
    const value = raw.slice(Math.min(cut + space, line.end), line.end);
    if (name === 'event') event = value;
    else {
      data = data === undefined ? value : `${data}\n${value}`;
      lines.push(line);
    }
  }
  return new ParsedFrame(raw, complete, event, data, lines);
}

function lineAt(raw: string, start: number): Line {
  let end = start;
  while (end < raw.length && !isLineEnd(raw.charCodeAt(end))) end++;
  const next =
    raw.charCodeAt(end) === 0x0d && raw.charCodeAt(end + 1) === 0x0a ? end + 2 : Math.min(end + 1, raw.length);
  return { start, end, next };
}

/** A comment of `size` bytes, or of the next that fits the multiple: the shortest is a colon and an empty line. */
function filling(size: number, multiple: number): string {
  let bytes = size;
  while (bytes < 3) bytes += multiple;
  return `:${' '.repeat(bytes - 3)}\n\n`;
}

const written = (data: string, event: string | undefined): string =>
  `${event === undefined ? '' : `event: ${event}\n`}${isOneLine(data) ? `data: ${data}\n` : dataLines(data, '\n')}\n`;

/** Of a frame only its name and its data: ids, comments and unknown fields are text of the model that no client needs. */
function bare({ data = '' }: StreamFrame, event: string | undefined): StreamFrame {
  const withData = (text: string): string => written(text, event);
  return { raw: withData(data), event, data, complete: true, plain: event === undefined, withData };
}

/** Server-sent events. Comments keep a connection alive, and fill it up. */
export const sse: StreamFraming = {
  mediaTypes: new Set(['text/event-stream']),
  contentType: 'text/event-stream; charset=utf-8',
  encoding: 'utf8',
  splitter: () => new SseSplitter(),
  frame: written,
  bare,
  silence: { raw: ':\n\n', event: undefined, data: undefined, complete: true, plain: true, withData: () => ':\n\n' },
  // Servers send it to keep a connection alive.
  emptySaysNothing: true,
  comment: (text) => `: ${text}\n\n`,
  padded(text, multiple) {
    const pad = missing(Buffer.byteLength(text), multiple);
    return pad === 0 ? text : text + filling(pad, multiple);
  },
  cover: (multiple) => filling(multiple, multiple),
};
