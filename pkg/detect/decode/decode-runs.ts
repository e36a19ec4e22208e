import { printable } from './printable.ts';
import { RunDecoder } from './run-decoder.ts';
import type { RunKind } from './run-decoder.ts';
import { spelledOut, surroundings } from './spelled-out.ts';
import type { Spelled, SpelledKind } from './spelled-out.ts';

// Disguised text, decoded: base64 and hex runs (run-decoder.ts), URL escapes and other spelled-out characters (spelled-out.ts), at most two
// levels deep in any combination.
// Size: a level gives at most 4 characters for one of its input (in practice under one): a base64 run is tried from its other three
// phases only where it gave less than half its size as text. Nothing is dropped for a total, or a decoy would hide what
// follows it. Time is linear.
// Limits: those of the two files; three levels; ciphers, compression, leet.

/** Shorter pieces hold nothing that a detector finds. */
const leastText = 6;

export interface DecodedRun {
  /** Source range, UTF-16 units, of all of it. */
  readonly start: number;
  readonly end: number;
  /** The outermost disguise. */
  readonly kind: RunKind | SpelledKind;
  readonly text: string;
  /** For each UTF-16 unit of `text`: where the group that it came from begins in the source. */
  readonly map: Uint32Array;
  /** And where it ends. */
  readonly mapEnd: Uint32Array;
}

/** Collects units with their source ranges, and cuts them into runs. */
class Collector {
  readonly runs: DecodedRun[] = [];
  readonly #kind: RunKind | SpelledKind;
  #parts: string[] = [];
  #starts: number[] = [];
  #ends: number[] = [];

  constructor(kind: RunKind | SpelledKind) {
    this.#kind = kind;
  }

  character(code: number, start: number, end: number): void {
    this.text(String.fromCodePoint(code), start, end);
  }

  text(text: string, start: number, end: number): void {
    this.#parts.push(text);
    for (let unit = 0; unit < text.length; unit += 1) {
      this.#starts.push(start);
      this.#ends.push(end);
    }
  }

  /** What is no printable text cuts. */
  decoded({ text, start, end }: Spelled): void {
    for (const part of text) {
      if (printable(part.codePointAt(0) ?? 0)) this.text(part, start, end);
      else this.gap();
    }
  }

  gap(): void {
    const count = this.#starts.length;
    if (count >= leastText) {
      this.runs.push({
        start: this.#starts[0] ?? 0,
        end: this.#ends[count - 1] ?? 0,
        kind: this.#kind,
        text: this.#parts.join(''),
        map: Uint32Array.from(this.#starts),
        mapEnd: Uint32Array.from(this.#ends),
      });
    }
    this.#parts = [];
    this.#starts = [];
    this.#ends = [];
  }
}

function runs(text: string, from: number, to: number, kind: RunKind, phase: number): DecodedRun[] {
  const collector = new Collector(kind);
  const decoder = new RunDecoder(kind, collector, phase);
  for (let at = from; at < to; at += 1) decoder.push(text.charCodeAt(at), at, at + 1);
  decoder.end();
  collector.gap();
  return collector.runs;
}

/** As RunDecoder sees runs: whole lines join over a line break. */
const base64Run = /[A-Za-z0-9+/_-]{16,}(?:(?:\r+\n?|\n)[A-Za-z0-9+/_-]+)*={0,2}/g;
/** Without eight pairs in a row there is no run; where runs begin is RunDecoder's to say. */
const hexPairs = /(?:[0-9A-Fa-f]{2}[ :,-]?){8}/;

function base64(text: string): DecodedRun[] {
  const found: DecodedRun[] = [];
  for (const { index, 0: run } of text.matchAll(base64Run)) {
    const end = index + run.length;
    const first = runs(text, index, end, 'base64', 0);
    found.push(...first);
    const decoded = first.reduce((sum, one) => sum + one.text.length, 0);
    if (decoded * 2 >= (run.length * 3) / 4) continue;
    for (let phase = 1; phase < 4; phase += 1) found.push(...runs(text, index, end, 'base64', phase));
  }
  return found;
}

function hex(text: string): DecodedRun[] {
  return hexPairs.test(text) ? runs(text, 0, text.length, 'hex', 0) : [];
}

function spelled(text: string, kind: SpelledKind): DecodedRun[] {
  const collector = new Collector(kind);
  const found = spelledOut(text, kind);
  let past = 0; // everything before is given or skipped
  for (const [index, one] of found.entries()) {
    const begin = before(text, one.start, past);
    if (index > 0 && begin > past) collector.gap();
    plain(collector, text, begin, one.start);
    collector.decoded(one);
    past = after(text, one.end, found[index + 1]?.start ?? text.length);
    plain(collector, text, one.end, past);
  }
  collector.gap();
  return collector.runs;
}

/** Where the surroundings of what stands at `start` begin, on its line and not before `least`. */
function before(text: string, start: number, least: number): number {
  const first = Math.max(least, start - surroundings);
  let at = start;
  while (at > first && text.charCodeAt(at - 1) !== 0x0a) at -= 1;
  return at;
}

/** Where the surroundings of what ends at `end` end. */
function after(text: string, end: number, most: number): number {
  const last = Math.min(most, end + surroundings);
  let at = end;
  while (at < last && text.charCodeAt(at) !== 0x0a) at += 1;
  return at;
}

function plain(collector: Collector, text: string, from: number, to: number): void {
  for (let at = from; at < to; at += 1) collector.text(text.charAt(at), at, at + 1);
}

/**
 * Characters spelled out in a text, each with its surroundings, across spaces; one level. What decodeRuns gives as well, without
 * its search for base64 and hex: a text without an escape costs a search for three characters.
 */
export function spelledRuns(text: string): readonly DecodedRun[] {
  return [...spelled(text, 'url'), ...spelled(text, 'escape')];
}

function level(text: string): DecodedRun[] {
  return [...base64(text), ...hex(text), ...spelledRuns(text)];
}

/** The second level's offsets, put through the first's. */
function within(outer: DecodedRun, inner: DecodedRun): DecodedRun {
  const map = inner.map.map((at) => outer.map[at] ?? outer.start);
  const mapEnd = inner.mapEnd.map((at) => outer.mapEnd[at - 1] ?? outer.end);
  return {
    start: map[0] ?? outer.start,
    end: mapEnd[mapEnd.length - 1] ?? outer.end,
    kind: outer.kind,
    text: inner.text,
    map,
    mapEnd,
  };
}

/** Every decoded piece of a text, of both levels; order is not meaningful. Empty for ordinary prose. */
export function decodeRuns(text: string): readonly DecodedRun[] {
  const first = level(text);
  return [...first, ...first.flatMap((outer) => level(outer.text).map((inner) => within(outer, inner)))];
}
