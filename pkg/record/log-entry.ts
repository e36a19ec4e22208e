import { parseJson } from '../base/index.ts';
import { leafHash } from './merkle.ts';

/**
 * One leaf of the recorder's log: a line of JSON that says what the recorder took, missed or did, and when. What a batch
 * contains is bound by its last line's hash: the lines are a chain of hashes, so that an entry proves each of them, and
 * goes on to prove it when the lines themselves have been deleted.
 */
export type LogEntry =
  | BlockEntry
  | HoleEntry
  | ConflictEntry
  | VanishedEntry
  | DeletedEntry
  | ReadEntry
  | AuthoritiesEntry
  | HoldEntry
  | RetentionEntry
  | ClockEntry
  | ShipEntry
  | ShareEntry;

interface Of<Type extends string> {
  readonly type: Type;
  /** Recorder's clock, epoch milliseconds; never less than that of the entry before. */
  readonly at: number;
}

interface OfChain {
  /** SPIFFE id of the sidecar, from its certificate. */
  readonly source: string;
  readonly chain: string;
}

/** Lines of a chain were stored. */
export interface BlockEntry extends Of<'block'>, OfChain {
  readonly first: number;
  readonly last: number;
  /** Hash of the line before the first. */
  readonly prev: string;
  /** Hash of the last line. */
  readonly hash: string;
  /** Of the hashes of all of its lines (shown-block.ts): one is proven without the others. Absent: of a recorder that did not write it. */
  readonly list?: string;
}

/** The sidecar itself said that it does not have these lines any more. */
export interface HoleEntry extends Of<'hole'>, OfChain {
  readonly from: number;
  readonly to: number;
  /** Of the last of them, as the line after it says. */
  readonly hash: string;
  readonly why: 'missing' | 'too_long' | 'unreadable';
}

/** What came does not go with what is stored. What came is kept beside, what is stored stays. */
export interface ConflictEntry extends Of<'conflict'>, OfChain {
  readonly sequence: number;
  readonly what: ConflictKind;
  /** SHA-256 of the bytes that came, as far as they are kept. */
  readonly evidence: string;
  /** Of a sidecar with very many: how many others there were since the last entry about it, of which nothing is kept. Absent: none. */
  readonly more?: number;
}

export type ConflictKind =
  /** A line with a number that is stored already, and other content. */
  | 'other_content'
  /** A line whose hash is not its own, or that is no line of the record. */
  | 'changed'
  /** A line that does not refer to the one before it. */
  | 'not_linked'
  /** Numbers that do not follow each other. */
  | 'out_of_order'
  /** A signature that is not of the sidecar's key, or not over the line that it names. */
  | 'signature'
  /** A signature by a certificate that no authority of Sidegate issued to this sidecar, or that counted neither when the line was written nor when it came. */
  | 'signer'
  /** A line that is dated before an earlier one of its chain, where no line says that the clock stepped (time-order.ts). */
  | 'back_dated'
  /** A line of who decided what (`change`), which controllers alone write. */
  | 'foreign_change'
  /** The sidecar told the controller of another line than the one that is stored under its number. */
  | 'other_head';

/** The pod is gone, and lines of its record never came, or may not have come. */
export interface VanishedEntry extends Of<'vanished'>, OfChain {
  /** Last line that was stored. Lines from the next one to `known` were written, and never came. */
  readonly stored: number;
  /** Last line that the pod had told of; equal to `stored`: it had told of no more. */
  readonly known: number;
  /** Hash of that line. */
  readonly hash: string;
  /**
   * True: the sidecar said that it stops, in line `known`. False: it did not, or an older one could not, so that it may have written lines after `known`
   * that nobody heard of.
   */
  readonly ended: boolean;
  /** When the pod was gone: the controller's clock, epoch milliseconds. */
  readonly gone: number;
}

/** Lines of a block were deleted, by retention. The block's own entry stays. */
export interface DeletedEntry extends Of<'deleted'> {
  /** Index of the block's entry. */
  readonly entry: number;
  readonly why: 'retention';
  /** As in {@link RetentionEntry.clock}: the time by which they were old. */
  readonly clock?: number;
}

/** How long the recorder keeps lines, from here on, and which entries are sealed (sealed-entry.ts). */
export interface RetentionEntry extends Of<'retention'> {
  /** Days; 0: for ever. */
  readonly days: {
    readonly all: number;
    /** Of namespaces that have their own. */
    readonly namespaces: Readonly<Record<string, number>>;
    /** Of policies that want more, by `NAMESPACE/POLICY`. */
    readonly policies: Readonly<Record<string, number>>;
  };
  /** After it all entries but blocks are sealed, each for its place. Absent, of older recorders: those of type `deleted`, `hold` and `retention`. */
  readonly seals?: 'all';
  /** When it was by the recorder's clock, where the log's time is ahead of that by more than five minutes: epoch milliseconds. */
  readonly clock?: number;
}

/**
 * What stands before it came no later than this, by the recorder's own clock: the log's time is ahead of that, since the clock was wrong once
 * (clock-marks.ts).
 */
export interface ClockEntry extends Of<'clock'> {
  /** Epoch milliseconds. */
  readonly clock: number;
}

/** The authorities of sidecars, as the recorder has them from here on: who issued what signs the chains can be told for ever. */
export interface AuthoritiesEntry extends Of<'authorities'> {
  /** PEM. */
  readonly bundle: string;
}

/** Somebody said that records are to be kept whatever their age, or that they need not be any more. */
export interface HoldEntry extends Of<'hold'> {
  readonly who: string;
  readonly what: 'placed' | 'released';
  /** Number of the hold. */
  readonly hold: number;
  /** What is held, as it was asked; empty: everything. */
  readonly terms: Readonly<Record<string, string | number>>;
  readonly reason: string;
}

/** Somebody read the record. */
export interface ReadEntry extends Of<'read'> {
  /** Who, as the API server or the provider names them. */
  readonly who: string;
  /** `search`, `session`, `export`. */
  readonly what: string;
  /** The question, as it was asked. */
  readonly question: string;
}

/** Somebody had a receiver of the log sent once more what it had taken (pkg/recorder/ship). */
export interface ShipEntry extends Of<'ship'> {
  readonly who: string;
  readonly receiver: string;
  /** The first entry of the log that is sent again. */
  readonly entry: number;
  readonly reason: string;
}

/** The store had little room left, and lines of a namespace that held more than its share were not taken (pkg/recorder/ingest/shares.ts). */
export interface ShareEntry extends Of<'share'> {
  readonly namespace: string;
  /** `resumed`: they are taken again. */
  readonly what: 'deferred' | 'resumed';
  /** Bytes that it holds, and that are its share. */
  readonly held: number;
  readonly share: number;
}

/** By how much the log's time may be ahead of the clock by which something was decided, and the entry does not say so. */
const unsaidMs = 5 * 60_000;

/**
 * An entry at its time in the log, which never goes back, whatever the clocks do.
 * @param given Its `at` is the clock's
 * @param last Time of the log: epoch milliseconds
 */
export function inLogTime(given: LogEntry, last: number): LogEntry {
  const { type, at: clock, ...rest } = given;
  const says = (type === 'deleted' || type === 'retention') && last - clock > unsaidMs;
  return { type, at: Math.max(last, clock), ...rest, ...(says && { clock }) } as LogEntry;
}

/** The one spelling of an entry: its members in the order in which they stand here. */
export function entryText(entry: LogEntry): string {
  return JSON.stringify({ v: 1, ...entry });
}

/** The type that an entry says it has, however it is spelled; undefined: it is no entry. */
export function entryType(text: string): string | undefined {
  try {
    return parseJson(text).get('type')?.string;
  } catch {
    return undefined;
  }
}

const blockStart = '{"v":1,"type":"block",';
/** Whether an entry is one of lines. */
export const isBlockEntry = (text: string): boolean => text.startsWith(blockStart) || entryType(text) === 'block';

export const entryLeaf = (text: string): Buffer => leafHash(Buffer.from(text));
