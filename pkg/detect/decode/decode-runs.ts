import { leastText } from './reading.ts';
import { RunDecoder } from './run-decoder.ts';
import type { RunKind } from './run-decoder.ts';
import { spelled } from './spelled.ts';
import { surroundings } from './spelled-out.ts';
import type { SpelledKind } from './spelled-out.ts';

// Disguised text, decoded: base64 and hex runs (run-decoder.ts), URL escapes and other spelled-out characters (spelled-out.ts), at most two
// levels deep in any combination.
// Size: a level gives at most 4 characters for one of its input (in practice under one): a base64 run is tried from its other three
// phases only where it gave less than half its size as text. Nothing is dropped for a total, or a decoy would hide what
// follows it. Time is linear.
// Limits: those of the two files; three levels; ciphers, compression, leet.

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
  readonly #kind: RunKind;
  #parts: string[] = [];
  #starts: number[] = [];
  #ends: number[] = [];

  constructor(kind: RunKind) {
    this.#kind = kind;
  }

  character(code: number, start: number, end: number): void {
    const text = String.fromCodePoint(code);
    this.#parts.push(text);
    for (let unit = 0; unit < text.length; unit += 1) {
      this.#starts.push(start);
      this.#ends.push(end);
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

function spelledRuns(text: string, kind: SpelledKind): readonly DecodedRun[] {
  return [...spelled(text, kind, surroundings)]
    .filter((one) => one !== undefined)
    .map((reading) => {
      const { text: read, start, end } = reading;
      const map = new Uint32Array(read.length);
      const mapEnd = new Uint32Array(read.length);
      for (let at = 0; at < read.length; at += 1) {
        map[at] = reading.startOf(at);
        mapEnd[at] = reading.endOf(at);
      }
      return { start, end, kind, text: read, map, mapEnd };
    });
}

function level(text: string): DecodedRun[] {
  return [...base64(text), ...hex(text), ...spelledRuns(text, 'url'), ...spelledRuns(text, 'escape')];
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
