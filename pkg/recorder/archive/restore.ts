import { createFrontier, edgeOf, entryLeaf, readHead, treeRoot } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { ArchivedEntry, RecordStore, RestoredEntry, StoredHead } from '../store/index.ts';
import { readKey, segmentKey } from './names.ts';
import { ObjectStoreError } from './object-store-error.ts';
import type { ArchivedLog } from './read-archive.ts';
import { restoredEntry } from './restored-entry.ts';
import { notSigned, SegmentError } from './segment.ts';
import type { Segment, SegmentHeader } from './segment.ts';

/** What is wrong with an archive: where its restoration ended. */
export interface ArchiveFault {
  readonly fault: 'missing' | 'changed' | 'truncated' | 'forged' | 'other_store';
  /** Entry at which it is. */
  readonly entry: number;
  /** Name of the segment, or of a head that is not signed; undefined: of none that is there. */
  readonly segment: string | undefined;
  /** In words, without content. */
  readonly what: string;
}

export interface Restoration {
  /** Entries that the store has now. */
  readonly entries: number;
  readonly segments: number;
  readonly events: number;
  /** Undefined: all that the archive's last head speaks of is there. */
  readonly fault: ArchiveFault | undefined;
}

export type RestoredStore = Pick<RecordStore, 'log' | 'node' | 'restore' | 'addHead' | 'archived' | 'moveArchived'>;

const otherStore = { fault: 'other_store', what: 'the store holds other entries than this archive' } as const;
/** Bytes of lines, and entries, of one transaction. */
const batchBytes = 4 * 1024 * 1024;
const batchEntries = 1_000;

class Stop extends Error {
  readonly fault: ArchiveFault;

  constructor(fault: ArchiveFault) {
    super(fault.what);
    this.fault = fault;
  }
}

/**
 * Puts the log of an archive into a store, segment after segment: each is proven by its signature, by the tree before and after it, and by the
 * signed head that it ends at; lines by the hashes of their chain. It ends at the first fault; what stands then is whole up to there, and
 * another run goes on from it. The store must be empty, or have come from this archive. What no key of the log has signed for its name is left out, as
 * whoever may write to the bucket can put it there: it is a fault where the log has no other segment for that place.
 *
 * @param publicKey Of the log.
 * @param onSkipped Told of each name that is left out.
 * @param onSegment Told of each that is in the store.
 * @throws StoreError, ObjectStoreError
 */
export async function restoreArchive(options: {
  readonly log: ArchivedLog;
  readonly store: RestoredStore;
  readonly publicKey: LogKeys;
  readonly onSegment?: (header: SegmentHeader) => void;
  readonly onSkipped?: (name: string, why: string) => void;
}): Promise<Restoration> {
  const { log, store, publicKey } = options;
  let { size } = await store.log();
  let [segments, events] = [0, 0];
  /** Where the archive ends; the store may go on behind it. */
  let archived = 0;
  const end = (fault: ArchiveFault | undefined): Restoration => ({ entries: size, segments, events, fault });
  /** The last name that is left out, of the entry that comes next. */
  let skipped: ArchiveFault | undefined;
  const atFault = (fault: ArchiveFault): ArchiveFault => (skipped?.entry === size ? skipped : fault);
  try {
    for await (const name of log.segments()) {
      const segment = await openAt(log, name);
      if ('fault' in segment) {
        if (segment.entry === size) skipped = segment;
        options.onSkipped?.(name, segment.what);
        continue;
      }
      const { first, last, after } = segment.header;
      if (first > size)
        throw new Stop(
          atFault({
            fault: 'missing',
            entry: size,
            segment: undefined,
            what: `no segment holds the entries ${size} to ${first - 1}`,
          }),
        );
      archived = last + 1;
      if (last < size) {
        if (Buffer.from(await treeRoot(last + 1, (level, index) => store.node(level, index))).toString('hex') === after)
          continue;
        throw new Stop({ ...otherStore, entry: last, segment: name });
      }
      await restoreSegment(store, segment, { name, size, publicKey });
      size = segment.header.last + 1;
      segments++;
      events += segment.header.events;
      options.onSegment?.(segment.header);
    }
    const forged: string[] = [];
    const last = await log.lastHead(publicKey, (name) => forged.push(name));
    await store.moveArchived(await store.archived(), { entries: archived, heads: Math.min(archived, last?.size ?? 0) });
    if (last !== undefined && last.size > size)
      return end(
        atFault({
          fault: 'truncated',
          entry: size,
          segment: undefined,
          what: `the archive's last head has signed ${last.size} entries, and its segments end at ${size}`,
        }),
      );
    // Where a head says that the log ends here, nothing can be lacking.
    if (skipped?.entry === size && last?.size !== size) return end(skipped);
    if (forged[0] !== undefined)
      return end({ fault: 'forged', entry: size, segment: forged[0], what: notSigned().message });
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    size = (await store.log()).size;
    return end(error.fault);
  }
  return end(undefined);
}

/** @returns what is wrong, where the log's key has signed none for this name */
async function openAt(log: ArchivedLog, name: string): Promise<Segment | ArchiveFault> {
  const entry = readKey(name)?.number ?? 0;
  const wrong = (fault: ArchiveFault['fault'], what: string): ArchiveFault => ({ fault, entry, segment: name, what });
  try {
    const segment = await log.segment(name);
    const { first, from } = segment.header;
    return segment.header.log === log.id && segmentKey(log.id, first, from) === name
      ? segment
      : wrong('changed', 'another segment stands under this name');
  } catch (error) {
    if (error instanceof SegmentError) return wrong(error.code, error.message);
    if (error instanceof ObjectStoreError && error.code !== 'unavailable') return wrong('missing', error.message);
    throw error;
  }
}

async function restoreSegment(
  store: RestoredStore,
  { header, entries }: Segment,
  at: { readonly name: string; readonly size: number; readonly publicKey: LogKeys },
): Promise<void> {
  const stop = (fault: ArchiveFault['fault'], entry: number, what: string): Stop =>
    new Stop({ fault, entry, segment: at.name, what });
  const take = (one: ArchivedEntry): RestoredEntry => {
    const entry = restoredEntry(one);
    if (typeof entry === 'string') throw stop('changed', one.index, entry);
    return entry;
  };
  const edge = await Promise.all(edgeOf(at.size).map(({ level, index }) => store.node(level, index)));
  const tree = createFrontier(at.size, edge.map(Buffer.from));
  const root = (): string => tree.root().toString('hex');
  // A run that was broken off may have put its first entries into the store.
  if (at.size === header.first && root() !== header.before)
    throw new Stop({ ...otherStore, entry: header.first, segment: at.name });
  // Proven whole before any of it is written: a store takes nothing back.
  for await (const one of entries()) {
    if (one.index < at.size) continue;
    tree.append(entryLeaf(one.text));
    take(one);
  }
  const head = header.head === null ? undefined : readHead(header.head, at.publicKey);
  const signed = header.head === null || (head?.size === tree.size && head.root === root());
  if (root() !== header.after || !signed)
    throw stop(
      at.size > header.first ? 'other_store' : 'changed',
      header.first,
      'its entries are not those that were signed',
    );

  let batch: RestoredEntry[] = [];
  let bytes = 0;
  const write = async (): Promise<void> => {
    if (batch.length > 0) await store.restore(batch);
    batch = [];
    bytes = 0;
  };
  for await (const one of entries()) {
    if (one.index < at.size) continue;
    batch.push(take(one));
    bytes += one.data?.length ?? 0;
    if (bytes >= batchBytes || batch.length >= batchEntries) await write();
  }
  await write();
  if (head !== undefined && header.head !== null) {
    const kept: StoredHead = { ...head, text: header.head };
    await store.addHead(() => kept);
  }
}
