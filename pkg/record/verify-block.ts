import { parseJson } from '../base/index.ts';
import type { JsonNode } from '../base/index.ts';
import { auditDigest, placeOf, readAuditLine } from './audit-line.ts';

/** What an entry of the log says of a batch of lines. */
export interface BlockPoint {
  readonly first: number;
  readonly last: number;
  /** Hash of the line before the first. */
  readonly prev: string;
  /** Hash of the last line. */
  readonly hash: string;
  /** Of the hashes of its lines (shown-block.ts); undefined: the entry of an older recorder. */
  readonly list?: string;
}

export type BlockFault = 'removed' | 'changed' | 'reordered' | 'duplicated' | 'back_dated' | 'truncated';

export type BlockVerdict =
  | { readonly ok: true; readonly lines: readonly BlockLine[] }
  | { readonly ok: false; readonly fault: BlockFault; readonly line: number; readonly to: number };

export interface BlockLine {
  readonly sequence: number;
  readonly hash: string;
  /** Hash of the line before it. */
  readonly prev: string;
  /** Sidecar's clock, epoch milliseconds; NaN: not a time. */
  readonly time: number;
  readonly root: JsonNode;
}

const digest = auditDigest(undefined);

/**
 * Proves the lines of a block against its entry, and says of lines that are not what was signed what was done to them, and where.
 * Since each line holds the hash of the one before, and the entry that of the last, no line can be other than it was.
 *
 * Lines that were made anew up to the end of the block are told by the first whose time is before that of the line before it, or
 * else as changed: where the first of them stands cannot be known.
 */
export function verifyBlock(block: BlockPoint, text: string): BlockVerdict {
  const texts = text.split('\n');
  if (texts.at(-1) === '') texts.pop();
  const lines: BlockLine[] = [];
  let prev = block.prev;
  for (const [at, line] of texts.entries()) {
    const record = readAuditLine(line, digest);
    if (
      typeof record === 'string' ||
      record.seq !== block.first + at ||
      record.prev !== prev ||
      record.seq > block.last
    )
      return name(block, texts);
    prev = record.hash;
    lines.push({
      sequence: record.seq,
      hash: record.hash,
      prev: record.prev,
      time: Date.parse(record.time),
      root: record.root,
    });
  }
  const whole = lines.length === block.last - block.first + 1 && prev === block.hash;
  return whole ? { ok: true, lines } : name(block, texts);
}

/** What was done to lines that do not go with their block. */
function name(block: BlockPoint, texts: readonly string[]): BlockVerdict & { readonly ok: false } {
  const no = (fault: BlockFault, line: number, to = line) => ({ ok: false, fault, line, to }) as const;
  const places = texts.map((line) => placeOf(Buffer.from(line)));
  const seen = new Set<number>();
  for (const [at, place] of places.entries()) {
    if (place === undefined) return no('changed', block.first + at);
    if (seen.has(place.seq)) return no('duplicated', place.seq);
    // Of another block.
    if (place.seq < block.first || place.seq > block.last) return no('changed', place.seq);
    seen.add(place.seq);
  }
  // As many steps as there are lines, whatever numbers the entry says.
  let from = block.first;
  while (seen.has(from)) from++;
  if (from <= block.last) {
    const behind = [...seen].filter((line) => line > from).reduce((least, line) => Math.min(least, line), Infinity);
    return behind === Infinity ? no('truncated', from, block.last) : no('removed', from, behind - 1);
  }
  const moved = places.findIndex((place, at) => place?.seq !== block.first + at);
  if (moved !== -1) return no('reordered', block.first + moved);

  const changed = firstChange(block, texts);
  const backDated = firstBackDated(texts);
  if (backDated !== undefined && (changed === undefined || backDated === changed - block.first))
    return no('back_dated', block.first + backDated);
  return changed === undefined ? no('changed', block.first, block.last) : no('changed', changed);
}

/** The first line whose own hash is wrong, or that does not refer to the one before it. */
function firstChange(block: BlockPoint, texts: readonly string[]): number | undefined {
  let { prev } = block;
  for (const [at, line] of texts.entries()) {
    const record = readAuditLine(line, digest);
    if (typeof record === 'string') return block.first + at;
    // Its own hash is right: the line before it was made anew.
    if (record.prev !== prev) return block.first + Math.max(0, at - 1);
    prev = record.hash;
  }
  return undefined;
}

/** The first line whose time is before that of the line before, where no line says that the clock stepped. */
function firstBackDated(texts: readonly string[]): number | undefined {
  const timeOf = (line: string | undefined): number => Date.parse(/"time":"([^"]*)"/.exec(line ?? '')?.[1] ?? '');
  const steps = (line: string | undefined): boolean => {
    try {
      return parseJson(line ?? '', { loneSurrogates: true }).get('what')?.string === 'clock_step';
    } catch {
      return false;
    }
  };
  for (let at = 1; at < texts.length; at++)
    if (timeOf(texts[at]) < timeOf(texts[at - 1]) && !steps(texts[at]) && !steps(texts[at + 1])) return at;
  return undefined;
}
