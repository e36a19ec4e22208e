import type { AnswerHead } from './answer-head.ts';
import { readAnswerHead } from './answer-head.ts';

/**
 * The answer of a server to one request, as its bytes come (RFC 9112).
 *
 * Guarantee: it reads a message in one way only, however its bytes are split; whatever is not to the letter of the
 * grammar is an error: lines that end with a bare LF or CR, folded lines, control characters, lengths that are
 * doubled or stand beside chunks, transfer codings other than `chunked`, chunk sizes that are none. Heads, trailers and chunk extensions are
 * bounded. Trailers and extensions are checked for their grammar and dropped.
 */
export interface AnswerSink {
  /** The final head; interim ones (1xx) are skipped. */
  answerHead(head: AnswerHead): void;
  /** Bytes of the body, chunking undone; they are the listener's to keep. */
  answerBody(bytes: Buffer): void;
}

export interface AnswerLimits {
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
}

/** More than any server sends before it answers. */
export const mostInterim = 32;
/** Longest chunk extensions of one answer, as llhttp has it. */
const mostExtensionBytes = 16 * 1024;
/** Hexadecimal digits of a chunk's size: up to 2^48. */
const mostSizeDigits = 12;

const enough = 2 * 1024;
const noBytes = Buffer.alloc(0);

const CR = 0x0d;
const LF = 0x0a;

/** What comes next. */
const Next = {
  head: 0,
  counted: 1,
  untilClose: 2,
  size: 3,
  extension: 4,
  sizeLf: 5,
  chunk: 6,
  chunkCr: 7,
  chunkLf: 8,
  trailers: 9,
  nothing: 10,
  broken: 11,
} as const;
type Next = (typeof Next)[keyof typeof Next];

export class AnswerParser {
  readonly #limits: AnswerLimits;
  readonly #sink: AnswerSink;
  #next: Next = Next.nothing;
  #bodiless = false;
  #interim = 0;
  /** Bytes that the body or the chunk still lacks. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #extension = '';
  /** Lines of a head or of trailers that are not whole yet. */
  #lines: Buffer = noBytes;
  #linesLength = 0;
  #linesScanned = 0;
  #ends: number[] = [];

  constructor(limits: AnswerLimits, sink: AnswerSink) {
    this.#limits = limits;
    this.#sink = sink;
  }

  /** An answer is expected now. @param bodiless it has none of a body, whatever its head says (HEAD). */
  begin(bodiless: boolean): void {
    this.#next = Next.head;
    this.#bodiless = bodiless;
    this.#interim = 0;
    this.#extensionBytes = 0;
    this.#extension = '';
    this.#forgetLines();
  }

  /** The answer is whole. */
  get complete(): boolean {
    return this.#next === Next.nothing;
  }

  /** Only the end of the connection ends the body. */
  get endsWithConnection(): boolean {
    return this.#next === Next.untilClose;
  }

  /** Nothing more is told to the sink. */
  stop(): void {
    this.#next = Next.broken;
  }

  /**
   * Reads on. It may move the bytes within `bytes`, which is the caller's again when it returns.
   *
   * @returns how many bytes belong to the answer; -1 where it is not one. Fewer than there are: the answer is complete.
   */
  push(bytes: Buffer): number {
    let at = 0;
    // Chunks of one read are told as one: they are moved together, to where the first of them began.
    let from = 0;
    let to = 0;
    while (at < bytes.length) {
      switch (this.#next) {
        case Next.head:
        case Next.trailers:
          at = this.#readLines(bytes, at);
          break;
        case Next.counted:
        case Next.untilClose:
        case Next.chunk: {
          const end = this.#next === Next.untilClose ? bytes.length : Math.min(bytes.length, at + this.#left);
          if (to === from) {
            from = at;
            to = end;
          } else {
            bytes.copyWithin(to, at, end);
            to += end - at;
          }
          this.#left -= end - at;
          at = end;
          if (this.#left === 0) this.#next = this.#next === Next.chunk ? Next.chunkCr : Next.nothing;
          break;
        }
        case Next.nothing:
          this.#tell(bytes, from, to);
          return at;
        case Next.broken:
          this.#tell(bytes, from, to);
          return -1;
        default:
          this.#readFraming(bytes[at++] ?? 0);
      }
      // A head may have been the last thing that the listener wanted to hear.
      if (at === -1) this.#next = Next.broken;
      if (this.#isBroken()) {
        this.#tell(bytes, from, to);
        return -1;
      }
    }
    this.#tell(bytes, from, to);
    return at;
  }

  #isBroken(): boolean {
    return this.#next === Next.broken;
  }

  #tell(bytes: Buffer, from: number, to: number): void {
    if (to > from) this.#sink.answerBody(Buffer.from(bytes.subarray(from, to)));
  }

  /** One byte of what stands around chunks. */
  #readFraming(byte: number): void {
    switch (this.#next) {
      case Next.size:
        return this.#readSize(byte);
      case Next.extension:
        return this.#readExtension(byte);
      case Next.sizeLf:
        if (byte !== LF) this.#next = Next.broken;
        else if (this.#left > 0) this.#next = Next.chunk;
        else this.#startTrailers();
        return;
      case Next.chunkCr:
        this.#next = byte === CR ? Next.chunkLf : Next.broken;
        return;
      case Next.chunkLf:
        this.#next = byte === LF ? Next.size : Next.broken;
        this.#digits = 0;
        return;
      default:
        this.#next = Next.broken;
    }
  }

  #readSize(byte: number): void {
    const digit = hexadecimal(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      if (++this.#digits > mostSizeDigits) this.#next = Next.broken;
    } else if (this.#digits === 0) this.#next = Next.broken;
    else if (byte === CR) this.#next = Next.sizeLf;
    else this.#next = byte === 0x3b ? Next.extension : Next.broken;
  }

  #readExtension(byte: number): void {
    if (byte === CR) {
      this.#next = extensions.test(this.#extension) ? Next.sizeLf : Next.broken;
      this.#extension = '';
    } else if (++this.#extensionBytes > mostExtensionBytes) this.#next = Next.broken;
    else this.#extension += String.fromCharCode(byte);
  }

  #startTrailers(): void {
    this.#forgetLines();
    this.#next = Next.trailers;
  }

  /**
   * Looks for the empty line that ends a head.
   *
   * @returns where `bytes` goes on after it; -1 where these are no lines of a head.
   */
  #readLines(bytes: Buffer, start: number): number {
    if (this.#linesLength === 0) {
      const end = this.#scan(bytes, start, bytes.length, start);
      if (end === -1) return -1;
      if (end > 0) return this.#linesEnd(bytes, start, end);
      this.#keepLines(bytes, start);
      // Where this read began is where the lines do.
      this.#linesScanned -= start;
      return bytes.length;
    }
    const before = this.#linesLength;
    this.#keepLines(bytes, start);
    const end = this.#scan(this.#lines, this.#linesScanned, this.#linesLength, 0);
    if (end === -1) return -1;
    if (end === 0) return bytes.length;
    const lines = this.#lines;
    const next = this.#linesEnd(lines, 0, end);
    return next === -1 ? -1 : start + (next - before);
  }

  /** @returns where the empty line ends; 0: not yet; -1: these are no lines. */
  #scan(bytes: Buffer, from: number, to: number, start: number): number {
    const ends = this.#ends;
    const most = Math.min(to, start + this.#limits.maxHeaderBytes);
    // Positions are those of the text: from its first byte.
    let lineStart = start + (ends.length === 0 ? 0 : (ends[ends.length - 1] ?? 0) + 2);
    let at = from;
    for (; at < most; at++) {
      const byte = bytes[at] ?? 0;
      if (byte > 0x1f ? byte !== 0x7f : byte === 0x09) continue;
      if (byte !== CR) return -1;
      // The CR may be the last byte that is there: it is looked at again with the next ones.
      if (at + 1 === to) break;
      if (bytes[at + 1] !== LF) return -1;
      if (at === lineStart) return at + 2;
      ends.push(at - start);
      if (ends.length > this.#limits.maxHeaders + 1) return -1;
      at++;
      lineStart = at + 1;
    }
    if (to - start >= this.#limits.maxHeaderBytes) return -1;
    this.#linesScanned = at;
    return 0;
  }

  #keepLines(bytes: Buffer, start: number): void {
    const length = this.#linesLength + bytes.length - start;
    if (length > this.#lines.length) {
      const larger = Buffer.alloc(Math.max(enough, length * 2));
      larger.set(this.#lines.subarray(0, this.#linesLength));
      this.#lines = larger;
    }
    this.#lines.set(bytes.subarray(start), this.#linesLength);
    this.#linesLength = length;
  }

  #forgetLines(): void {
    this.#lines = noBytes;
    this.#linesLength = 0;
    this.#linesScanned = 0;
    if (this.#ends.length > 0) this.#ends = [];
  }

  /** @returns `end`, or -1. */
  #linesEnd(bytes: Buffer, start: number, end: number): number {
    const ends = this.#ends;
    const trailers = this.#next === Next.trailers;
    const text = ends.length === 0 ? '' : bytes.toString('latin1', start, end - 2);
    this.#forgetLines();
    if (trailers) {
      this.#next = Next.nothing;
      return areFields(text, ends) ? end : -1;
    }
    if (ends.length === 0) return -1;
    const head = readAnswerHead(text, ends, this.#bodiless);
    // Nobody asked for another protocol.
    if (head === undefined || head.status === 101) return -1;
    if (head.status < 200) return ++this.#interim > mostInterim ? -1 : end;
    this.#expectBody(head);
    this.#sink.answerHead(head);
    return end;
  }

  #expectBody({ framing }: AnswerHead): void {
    this.#digits = 0;
    this.#left = 0;
    if (framing === 'chunked') this.#next = Next.size;
    else if (framing === 'close') {
      // Never counted down to nothing.
      this.#left = Number.POSITIVE_INFINITY;
      this.#next = Next.untilClose;
    } else {
      this.#left = framing;
      this.#next = framing === 0 ? Next.nothing : Next.counted;
    }
  }
}

function hexadecimal(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** What stands behind the first `;` of a chunk's size (RFC 9112 section 7.1.1), without blanks. */
const extensions =
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"))?(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"))?)*$/;

/** A trailer; those that speak of framing may be none (RFC 9110 section 6.5.1). */
const field = /^(?!(?:content-length|transfer-encoding):)[!#$%&'*+.^_`|~0-9A-Za-z-]+:/i;

function areFields(text: string, ends: readonly number[]): boolean {
  let from = 0;
  for (const end of ends) {
    if (!field.test(text.slice(from, end))) return false;
    from = end + 2;
  }
  return true;
}
