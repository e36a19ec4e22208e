import type { Secret } from '../../base/index.ts';
import type { LogEntry } from '../../record/index.ts';
import type { PodReport } from '../../wire/index.ts';

/**
 * Where the record is kept. Two kinds stand behind this: the embedded one (sqlite.ts), which one recorder has for itself, and a database
 * server (postgres/) that several recorders share; testing/store-suite.ts is what each has to pass.
 *
 * One transaction writes at a time, whoever it is of. What a promise of {@link RecordStore.append} resolves with is on the disk, all of it
 * or nothing.
 */
export interface RecordStore {
  /** Where a chain stands; undefined: nothing of it is here. */
  position(source: string, chain: string): Promise<ChainPosition | undefined>;
  /**
   * In the order given: one transaction.
   * @throws StoreError `moved` where a block or a hole does not follow on what is stored of its chain: it came by another way meanwhile
   */
  append(additions: readonly Addition[]): Promise<void>;
  /** Hash of one stored line; undefined: it is not here, or deleted. */
  lineHash(source: string, chain: string, sequence: number): Promise<string | undefined>;
  /** Keeps what the controller says of pods. @param now Epoch milliseconds. */
  learn(report: Pick<PodReport, 'heads' | 'gone'>, now: number): Promise<number>;
  /** Sidecars (SPIFFE ids) with a chain here whose pod is not said to be gone. */
  presentSources(): Promise<readonly string[]>;
  /** A sidecar that was said to be gone is there: its pod is not gone until that is said once more, and is judged then as if it never was. */
  returned(source: string): Promise<void>;
  /** Chains of pods that were said to be gone before `before`, and of which the log does not say yet what never came. */
  departed(before: number, atMost: number): Promise<readonly DepartedChain[]>;
  /** Adds what the log says of it; the chain is departed no more, until the controller knows of more of it. Nothing, where it has moved on. */
  settle(chain: Pick<DepartedChain, 'source' | 'chain' | 'stored'>, additions: readonly Addition[]): Promise<void>;
  /** Makes what was stored findable by text: a bounded step. False: nothing is left to do. A search does it first, within a second. */
  index(): Promise<boolean>;
  search(query: SessionQuery): Promise<SessionPage>;
  /**
   * All lines of a session in their order, each as it was hashed, without line feed. Of one chain alone: ids are chosen by sidecars, and one
   * that lies may record under the id of a session elsewhere. However long it is, a few MiB of it are in memory.
   *
   * @param after Number of a line in the chain: those behind it; default 0, all
   */
  sessionLines(id: string, of: SessionChain, after?: number): AsyncIterable<string>;
  /**
   * Sessions of a chain that began behind one of its lines and before another, and whose end is not here: ascending, at most so many.
   * @returns and how many there are in all
   */
  openSessions(
    of: SessionChain,
    between: { readonly after: number; readonly before: number },
    atMost: number,
  ): Promise<{ readonly sessions: readonly string[]; readonly count: number }>;
  /** Entries of the blocks of a chain that have lines of a session, ascending, at most so many. */
  sessionBlocks(id: string, of: SessionChain, atMost: number): Promise<readonly number[]>;
  /** Entries of the log from an index on, at most so many. */
  entries(from: number, atMost: number): Promise<readonly StoredEntry[]>;
  /** The last entry of this type, of those before an index; default: of all. Undefined: there is none. */
  lastOf(type: 'authorities' | 'retention', before?: number): Promise<StoredEntry | undefined>;
  /** Entries of this type from an index on, at most so many. */
  allOf(type: 'authorities' | 'clock', from: number, atMost: number): Promise<readonly StoredEntry[]>;
  /** A full subtree's hash. @throws StoreError not_found */
  node(level: number, index: number): Promise<Uint8Array>;
  /**
   * The block of an entry: its lines with their line feeds; undefined: deleted, or the entry is no block. Of one that is damaged a line that is none of
   * the record.
   */
  blockLines(entry: number): Promise<Uint8Array | undefined>;
  /** The tree that stands. */
  log(): Promise<LogState>;
  /** Time of the last entry or head that this store knows of, epoch milliseconds: what comes next is not older. 0: of none. */
  latest(): number;
  /**
   * Has the tree that stands signed, where it has grown since the last head; nothing is added meanwhile.
   * @returns the head; undefined: there was nothing new
   */
  addHead(sign: (log: LogState) => StoredHead): Promise<StoredHead | undefined>;
  /** Signed heads, oldest first, of trees of at least `size` leaves. */
  heads(size: number, atMost: number): Promise<readonly StoredHead[]>;
  /** The newest signed head; undefined: there is none. */
  lastHead(): Promise<StoredHead | undefined>;
  /**
   * Deletes lines that are older than the rule says and that nobody holds, at most so many blocks, and leaves an entry for each: a bounded step,
   * which looks at {@link blocksLooked} blocks and some {@link sessionsLooked} sessions.
   */
  deleteOld(rule: DeletionRule, now: number, atMost: number): Promise<DeletionStep>;
  /**
   * Takes out what still tells of deleted sessions: their words, and names that nothing else has. A bounded step of work that goes over the whole
   * store; false: nothing is left to do.
   */
  sweep(): Promise<boolean>;
  /** The time that deletion by age has reached, epoch milliseconds; 0: none is kept. */
  retentionReached(): Promise<number>;
  /** Keeps it, where it is later than what is kept. */
  keepRetentionReached(at: number): Promise<void>;
  /**
   * Keeps what goes with the terms whatever its age; an entry of the log says so.
   *
   * @returns its number
   * @throws StoreError query: there are {@link mostHolds} already
   */
  placeHold(hold: Omit<Hold, 'id'>): Promise<number>;
  /** How much goes with a hold, by what is stored: as much of it as can be looked at within {@link countMs}. Nothing, where there is no such hold. */
  countHeld(hold: number): Promise<HeldCount>;
  /** Changes with every hold that is placed or released, by whichever recorder. */
  holdsVersion(): Promise<string>;
  /** False: there is no such hold. */
  releaseHold(release: Pick<Hold, 'id' | 'at' | 'who' | 'reason'>): Promise<boolean>;
  holds(): Promise<readonly Hold[]>;
  /**
   * Entries of the log from an index on with what hangs on them, as an archive keeps them.
   * @param atMost So many entries, and no more once they and their lines have so many bytes.
   */
  archivable(
    from: number,
    atMost: { readonly entries: number; readonly bytes: number },
  ): Promise<readonly ArchivedEntry[]>;
  /** How far the log is archived. */
  archived(): Promise<ArchiveMark>;
  /** @returns false: it does not stand at `from`: another recorder has moved it */
  moveArchived(from: ArchiveMark, to: ArchiveMark): Promise<boolean>;
  readonly archiveHolds: ArchiveHolds;
  /** Adds entries of an archive as they stand, and does what they say was done: one transaction. @throws StoreError moved: somebody else has written */
  restore(entries: readonly RestoredEntry[]): Promise<void>;
  /** What each namespace holds of it, in bytes (held-bytes.ts): lines that were not deleted, and evidence. */
  held(): Promise<ReadonlyMap<string, number>>;
  space(): Promise<StoreSpace>;
  stats(): Promise<StoreStats>;
  close(): Promise<void>;
}

/**
 * What holds want of the archive, and how far that is done. A segment is named by its first entry. What a hold that was released has left there stays known until it is taken off. A store that
 * is made again from an archive knows holds that stand, and nothing of what is to be taken off.
 */
export interface ArchiveHolds {
  /**
   * The holds for which the least of the archive's first `upTo` entries was looked at, or (`most`) the most and not all, and from where on; undefined:
   * all of it was for each.
   */
  due(upTo: number, which?: 'least' | 'most'): Promise<HoldsDue | undefined>;
  /**
   * Which of some holds go with a session of the blocks from entry `first` on and before `end`.
   *
   * @returns and whether the lines of some blocks there are deleted, of which nothing is known
   */
  between(
    first: number,
    end: number,
    holds: readonly Hold[],
  ): Promise<{ readonly held: readonly number[]; readonly gone: boolean }>;
  /** Notes which of them, or of those behind them, want a segment, and that they have seen the archive before `to`: one transaction. */
  looked(
    due: Omit<HoldsDue, 'behind'>,
    to: number,
    wanted: { readonly segment: number; readonly holds: readonly number[] },
  ): Promise<void>;
  /** Segments that do not carry what holds want of them, or not for certain, and whether any hold that stands wants them; at most so many, ascending, behind `after`. */
  todo(atMost: number, after?: number): Promise<readonly { readonly segment: number; readonly wanted: boolean }[]>;
  /**
   * Notes that the archive has said at a time, epoch milliseconds, that a segment carries a hold, or none. False: by now it is to be otherwise, and it is to be done again, also where another recorder has
   * settled meanwhile that it carries none.
   */
  settle(segment: number, held: boolean, at: number): Promise<boolean>;
  /** There is no such segment any more. */
  absent(segment: number): Promise<void>;
  /** What the archive said longer ago than this is not for certain, and what it is to say as long from now: clocks step. */
  again(at: number, ofMs: number): Promise<void>;
  /** Of each hold that stands; and how many segments are to be freed of holds that do not. */
  counts(): Promise<{ readonly holds: readonly ArchivedHold[]; readonly toFree: number }>;
}

export interface HoldsDue {
  readonly from: number;
  readonly holds: readonly Hold[];
  /** Those that have seen less of the archive. */
  readonly behind: readonly Hold[];
}

export interface ArchivedHold {
  readonly id: number;
  /** Segments that carry it, and that are still to. */
  readonly segments: number;
  readonly waiting: number;
  /** The first entry that was not looked at. */
  readonly lookedTo: number;
}

/** What a store is opened for: by one of its recorders, or to put an archive into it, beside which nobody writes there. */
export type StoreUse = 'recorder' | 'restoration';

/** A store that several recorders share. */
export interface SharedStore extends RecordStore {
  readonly shipping: ShipTable;
  readonly streams: StreamTable;
  /**
   * Uses the database at another address, or by another password or authority, once it answers there and has the same log.
   * @param address As the store was opened with
   * @throws StoreError unavailable, or not_a_store where it has another log or lacks entries of this one; and it goes on where it was
   */
  moveTo(address: { readonly dsn: Secret; readonly ca?: string | undefined }): Promise<void>;
}

/** Which recorder has the streams of which sidecars, by the database's clock. */
export interface StreamTable {
  /** Says that `holder`, a UUID, has streams of these sidecars (SPIFFE ids) and of no others, for so long. */
  keep(holder: string, sources: readonly string[], forMs: number): Promise<void>;
  release(holder: string): Promise<void>;
  /** Whether some recorder has a stream of it; of one of which nothing is stored yet: false. */
  held(source: string): Promise<boolean>;
}

/**
 * How far the log was shipped to each receiver, and whose turn it is to ship: one recorder's at a time, until it gives the turn back or says
 * nothing for as long as it asked for, by the database's clock. Who has lost the turn moves nothing.
 */
export interface ShipTable {
  /**
   * Takes the turn, or keeps it for another `forMs`.
   * @param holder UUID of who asks
   * @returns the entry of the log that is read next, and how many of its events were taken; undefined: it is another's turn
   */
  take(
    receiver: string,
    holder: string,
    forMs: number,
  ): Promise<{ readonly entry: number; readonly events: number } | undefined>;
  /** Moves on, and keeps the turn. False: it is another's, and nothing was written. */
  move(
    receiver: string,
    holder: string,
    to: { readonly entry: number; readonly events: number },
    forMs: number,
  ): Promise<boolean>;
  release(receiver: string, holder: string): Promise<void>;
  /** What is read next is this entry, whosever turn it is: the turn ends. */
  again(receiver: string, entry: number): Promise<void>;
  /** Keeps events that a receiver never took, the newest 10,000 of it. */
  keepDead(receiver: string, events: readonly string[]): Promise<void>;
}

/** Whose record a session is in: a {@link SessionSummary} is one. */
export interface SessionChain {
  readonly source: string;
  readonly chain: string;
}

export interface ChainPosition {
  readonly sequence: number;
  readonly hash: string;
  /** The latest time that lines of it say, since their clock last began anew, epoch milliseconds; absent: not known, or lines before it are lost. */
  readonly newest?: number;
}

export interface DepartedChain {
  readonly source: string;
  readonly chain: string;
  /** The last line that is stored. */
  readonly stored: Omit<ChainPosition, 'newest'>;
  /** The last line that the controller heard of, and whether it says that the sidecar stops; undefined: of none that was not stored then. */
  readonly known: (Omit<ChainPosition, 'newest'> & { readonly ended: boolean }) | undefined;
  /** When the pod was gone: the controller's clock, epoch milliseconds. */
  readonly gone: number;
  /** The last lines of the last block that is stored, 4 KiB at most; undefined: there is none, or it was deleted. */
  readonly tail: string | undefined;
}

/** The tree that stands. */
export interface LogState {
  readonly size: number;
  readonly root: Uint8Array;
  /** Of the last entry or head; 0: none. */
  readonly at: number;
}

export interface StoredHead {
  readonly size: number;
  readonly root: string;
  readonly at: number;
  /** The head as it was signed, one line of JSON. */
  readonly text: string;
}

export interface StoredEntry {
  readonly index: number;
  readonly text: string;
}

/** What one transaction adds: an entry of the log and what hangs on it. */
export type Addition =
  | { readonly entry: Extract<LogEntry, { type: 'block' }>; readonly block: Block }
  /** Lines that a sidecar lost; of an archive also those of a block that were deleted before. */
  | { readonly entry: Extract<LogEntry, { type: 'hole' | 'block' }>; readonly pod: Block['pod'] }
  | { readonly entry: Extract<LogEntry, { type: 'conflict' }>; readonly evidence: Uint8Array }
  | {
      readonly entry: Extract<
        LogEntry,
        { type: 'vanished' | 'read' | 'authorities' | 'retention' | 'clock' | 'ship' | 'share' }
      >;
    };

/** An entry of the log with what hangs on it. */
export interface ArchivedEntry extends StoredEntry {
  /** Of a block or a hole. */
  readonly pod?: Block['pod'];
  /** Lines of a block, or the evidence of a conflict; a block without them: they are deleted, or damaged. */
  readonly data?: Uint8Array;
  /** Of a store alone: the lines of the block are there, and are not what was packed. */
  readonly damaged?: true;
}

/** An entry that comes back from an archive. */
export type RestoredEntry = (Addition | { readonly entry: Extract<LogEntry, { type: 'deleted' | 'hold' }> }) & {
  /** Where it stands in the log: other entries speak of it by that. */
  readonly index: number;
  /** As it stands there. */
  readonly text: string;
};

export interface ArchiveMark {
  /** The first entry that is not archived. */
  readonly entries: number;
  /** Size of the newest head that is. */
  readonly heads: number;
}

/** Lines that came together, and what they say of sessions. */
export interface Block {
  /** Each with its line feed. */
  readonly lines: Uint8Array;
  readonly count: number;
  readonly pod: { readonly namespace: string; readonly name: string };
  readonly starts: readonly StartFacts[];
  readonly ends: readonly EndFacts[];
  /** Every session of which there is a line in it, once. */
  readonly sessions: readonly string[];
  /** The latest time that its lines say, since their clock last began anew: what {@link ChainPosition.newest} is behind it. Absent: not known. */
  readonly newest?: number;
}

export interface StartFacts {
  readonly session: string;
  readonly sequence: number;
  /** Sidecar's clock, epoch milliseconds; of a session that is stored within what the recorder saw (session-time.ts). */
  readonly at: number;
  readonly provider: string | null;
  readonly issuer: string | null;
  readonly subject: string | null;
  readonly groups: readonly string[];
  readonly peer: string;
  readonly method: string;
  readonly path: string;
  readonly dialect: string;
  readonly operation: string;
  readonly model: string | null;
}

export interface EndFacts {
  readonly session: string;
  readonly sequence: number;
  readonly outcome: string;
  readonly status: number;
  readonly code: string | null;
  /** `rule:NAME`, `act:masked`, `by:Email`, `observed:NAME`, `open:…`. */
  readonly tags: readonly string[];
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly durationMs: number;
}

/** All that are given must hold. */
export interface SessionQuery {
  readonly session?: string;
  /** Entry of a block that has lines of it, as the index says. */
  readonly block?: number;
  /** SPIFFE id of the sidecar, and one of its chains. */
  readonly source?: string;
  readonly chain?: string;
  /** Epoch milliseconds of the session's start: from, and before. */
  readonly since?: number;
  readonly until?: number;
  readonly namespace?: string;
  readonly pod?: string;
  /** Subject of the caller. */
  readonly user?: string;
  readonly group?: string;
  readonly issuer?: string;
  readonly model?: string;
  readonly operation?: string;
  readonly outcome?: string;
  readonly code?: string;
  readonly status?: number;
  /** As in {@link EndFacts.tags}; all of them. */
  readonly tags?: readonly string[];
  /** Words that all occur in the session's texts, in any order. */
  readonly text?: string;
  readonly minDurationMs?: number;
  readonly maxDurationMs?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  /** Only such as have not ended, or whose end has not come. */
  readonly open?: boolean;
  /** Of a label or a guard: that one of this name acted, whatever its policy. */
  readonly label?: string;
  /** Of the page before. */
  readonly cursor?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface SessionPage {
  /** Newest first; fewer than were asked for where they are long (1 Mi characters together). */
  readonly sessions: readonly SessionSummary[];
  /** For each of them: the cursor of a page that goes on behind it. */
  readonly cursors: readonly string[];
  /** For the next page; undefined: this was the last. */
  readonly cursor: string | undefined;
  /** Of a search by text: blocks, the newest, whose words are not in the index yet. Undefined: none. */
  readonly unsearched?: number;
  /**
   * Of the first page: the newest sessions, 100 at most, that may be among what is asked for, though the search does not find them: they meet all
   * conditions but such on their words, rules, groups or other texts of which they have more than the index takes. Undefined: none is known.
   */
  readonly partly?: readonly string[];
  /** There are, or may be, more of these. */
  readonly partlyMore?: true;
  /** The same of sessions whose texts are sealed: whether they hold the words nobody knows who has not the key. Undefined: there is none. */
  readonly sealed?: SealedCount;
}

export interface SealedCount {
  /** 1,000 at most. */
  readonly sessions: number;
  /** There are, or may be, more. */
  readonly more: boolean;
}

export interface SessionSummary extends Omit<StartFacts, 'sequence'> {
  readonly source: string;
  readonly namespace: string;
  readonly pod: string;
  readonly chain: string;
  readonly sequence: number;
  /** What its sidecar said of its time, where that is not believed. */
  readonly saidAt?: number;
  /** Undefined: it has not ended, or its end has not come. */
  readonly end: Omit<EndFacts, 'session'> | undefined;
  /** Of a search by {@link SessionQuery.block}: by which tags a search finds it, where these are not those that it says it has. */
  readonly searchedTags?: readonly string[];
}

export interface DeletionRule {
  /** What was received before it, by the log's time: epoch milliseconds. */
  readonly before: number;
  /** `entry`: `before` and `from` are entries of the log, and the lines those of the entries before it. Default: `received`. */
  readonly by?: 'received' | 'entry';
  /** Of this namespace alone, or of all but these. */
  readonly of: { readonly namespace: string } | { readonly allBut: readonly string[] };
  /** Only what came behind this block: what is before it was looked at. Default: all. */
  readonly after?: BlockPlace;
  /** Nothing that holds a line of a session in which a rule acted, or would have, whose name begins with one of these. */
  readonly exceptRules?: readonly string[];
  /** Nothing that holds a change, of an approval or a grant, that is about a namespace that one of these names. */
  readonly exceptAbout?: readonly ChangesAbout[];
  /** Only what is archived; default: whatever is old. */
  readonly archivedOnly?: boolean;
}

/** Changes about a namespace: all of them, or those of requests in which a rule acted whose name begins so. */
export interface ChangesAbout {
  readonly namespaces: DeletionRule['of'];
  readonly rules?: string;
}

/** Where a block is among those that are stored, in the order in which they came. */
export interface BlockPlace {
  /** Epoch milliseconds, by the log's time. */
  readonly received: number;
  readonly entry: number;
}

export interface DeletionStep {
  readonly deleted: number;
  /** The last block that was looked at. Undefined: none was. */
  readonly reached: BlockPlace | undefined;
  /** The rule is about more than was looked at. */
  readonly more: boolean;
}

/** Blocks, and sessions in them, that a step of deletion looks at: it is on the thread that commits, or beside it. */
export const blocksLooked = 200;
export const sessionsLooked = 2_000;

/** Lines of the blocks that such a step deletes, after which it takes no further one: each may be a session's only one. */
export const linesDeleted = 6_000;

/** Holds that stand at once. Each session that is old is compared with those that may be about it. */
export const mostHolds = 1_000;

/** How long a store counts what a hold keeps. */
export const countMs = 1_000;

export interface HeldCount {
  readonly sessions: number;
  readonly blocks: number;
  /** Not: there are at least so many, of those that were looked at. */
  readonly whole: boolean;
}

/**
 * All that are given must hold of a session; a block with one such session is kept whole. What is not known of a session, since it has not ended or its
 * start is not here, may be anything: it is kept.
 */
export interface HoldTerms {
  readonly namespace?: string;
  readonly pod?: string;
  readonly user?: string;
  readonly session?: string;
  readonly model?: string;
  readonly group?: string;
  /** `NAMESPACE/POLICY`, or `cluster/POLICY` of the platform's: one of its rules acted, or would have, were it not in Observe mode. */
  readonly policy?: string;
  /** A rule, as the record names it, and a label or guard of this name, of whatever policy: likewise. */
  readonly rule?: string;
  readonly label?: string;
  /** Epoch milliseconds of the session's start: from, and before. */
  readonly since?: number;
  readonly until?: number;
}

export interface Hold {
  readonly id: number;
  readonly terms: HoldTerms;
  readonly reason: string;
  readonly who: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Bytes of the store on the disk, and of the volume that it is on; undefined: of a database, which knows its own. */
export interface StoreSpace {
  readonly usedBytes: number;
  readonly volume?: { readonly freeBytes: number; readonly sizeBytes: number };
}

export interface StoreStats {
  /** Of the log. */
  readonly entries: number;
  readonly blocks: number;
  readonly events: number;
  readonly sessions: number;
  /** Bytes of the lines as they came, and of the store on the disk. */
  readonly lineBytes: number;
  readonly diskBytes: number;
  /** Blocks whose text is not indexed yet. */
  readonly unindexed: number;
  /** The volume that the store is on; undefined: of a database, which knows its own. */
  readonly volume?: {
    readonly freeBytes: number;
    readonly sizeBytes: number;
    /** Of the file that is removed when the volume is full, so that deletion by age has room. */
    readonly reserveBytes: number;
    /** Nothing is taken in until something was deleted. */
    readonly full: boolean;
  };
}
