import { randomInt } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CodedError, describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { createFrontier, edgeOf, isSignedHead, readHead, treeRoot } from '../../record/index.ts';
import type { Frontier, SignedHead } from '../../record/index.ts';
import type { ArchiveMark, RecordStore, StoredHead } from '../store/index.ts';
import { findSegment } from './find-segment.ts';
import { dayOf, headKey, logId, readKey, segmentKey, segmentsPrefix } from './names.ts';
import { newestOf } from './newest.ts';
import type { ObjectLock, ObjectStore } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';
import { notSigned } from './segment.ts';
import { createSegmentWriter } from './segment-writer.ts';

/**
 * Writes the log into an archive, in its order, as far as signed heads reach: segments first, and then the heads of what they hold, so that no
 * head in the archive speaks of entries that are not there. The store keeps how far it is; what was written before that could be
 * kept is found in the archive and taken for done.
 */
export interface Archiver {
  /** As last looked; undefined: not yet. */
  lag(): ArchiveLag | undefined;
  /** Whether the archive, when last looked at, had entries of this log that the store does not have, or others in their place. */
  readonly foreign: boolean;
  /** There is a new head. */
  kick(): void;
  /** Ends, with what is under way left undone. */
  close(): Promise<void>;
}

export interface ArchiveLag {
  /** Entries of the log that are not archived. */
  readonly entries: number;
  /** How long the oldest of them has waited. */
  readonly seconds: number;
}

export type ArchivedStore = Pick<
  RecordStore,
  'archivable' | 'archived' | 'moveArchived' | 'entries' | 'heads' | 'lastHead' | 'log' | 'node'
>;

export interface ArchiverOptions {
  readonly store: ArchivedStore;
  readonly objects: ObjectStore;
  /** Of the log: signs segments. */
  readonly key: KeyObject;
  /** Public keys that the log had before, in their order: what they signed may be there already. Default: none. */
  readonly olderKeys?: readonly KeyObject[];
  readonly lock: { readonly mode: ObjectLock['mode']; readonly days: number };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes after which a segment ends; default 16 MiB. */
  readonly segmentBytes?: number;
  readonly onWritten?: (what: 'segment' | 'head', bytes: number) => void;
  readonly onFailure?: () => void;
  /** 0 to 1, for waits. */
  readonly random?: () => number;
}

const lookMs = 5_000;
const retryMs = { first: 1_000, longest: 60_000 };
/** What is read from the store at once. */
const batch = { entries: 512, bytes: 1024 * 1024 };
const headsAtOnce = 100;
const dayMs = 86_400_000;

/** Of an entry of the log, epoch milliseconds. */
const timeOf = (entry: { readonly text: string } | undefined): number =>
  Number(/"at":([0-9]+)/.exec(entry?.text ?? '')?.[1] ?? 0);

export function startArchiver(options: ArchiverOptions): Archiver {
  const { store, objects, key, clock, logger, random = () => randomInt(1_000) / 1_000 } = options;
  const { segmentBytes = 16 * 1024 * 1024, olderKeys = [] } = options;
  const keys = [...olderKeys, key];
  let frontier: Frontier | undefined;
  let log: string | undefined;
  let known: { readonly entries: number; readonly since: number | undefined } | undefined;
  let foreign = false;
  let closed = false;
  let wake: (() => void) | undefined;
  let kicked = false;
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        wake = undefined;
        resolve();
      };
      const timer = clock.after(ms, done);
      wake = done;
    });
  const lockNow = (): ObjectLock => ({
    mode: options.lock.mode,
    until: clock.now() + options.lock.days * dayMs,
  });
  /** Somebody else has written into the store: what no key of the log has signed is no head. @throws CodedError */
  const needSigned = (head: StoredHead): void => {
    if (!isSignedHead(head, keys))
      throw new CodedError(
        'archive_head',
        'the log has a head that no key of it has signed: nothing is archived by it',
      );
  };
  const readNode = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);

  /** The tree of the first `size` entries. */
  const treeAt = async (size: number): Promise<Frontier> => {
    const edge = await Promise.all(edgeOf(size).map(({ level, index }) => readNode(level, index)));
    return createFrontier(size, edge.map(Buffer.from));
  };

  /**
   * What stands in the archive where a segment was to be written: the one of another recorder, or of this one before it was killed.
   *
   * @returns undefined: nothing stands there
   */
  const adopt = async (name: string): Promise<{ readonly end: number; readonly version: string } | undefined> => {
    const found = await findSegment(objects, name, log ?? '', keys);
    if (found === undefined) return undefined;
    const other = (): ObjectStoreError =>
      new ObjectStoreError('other_log', 'the archive has other entries where those of this log go on');
    if (found.signed === undefined) throw found.elsewhere === undefined ? (found.fault ?? notSigned()) : other();
    const { segment, version } = found.signed;
    const { header } = segment;
    const end = header.last + 1;
    if (end > (await store.log()).size || Buffer.from(await treeRoot(end, readNode)).toString('hex') !== header.after)
      throw other();
    return { end, version };
  };
  const gone = (): ObjectStoreError => new ObjectStoreError('unavailable', 'an object is there and is not');

  /** What a try before this one has left there may have no lock, or one that ends when it was to end then. */
  const adoptKept = async (name: string): Promise<number> => {
    const adopted = await adopt(name);
    if (adopted === undefined) throw gone();
    await objects.keep(name, adopted.version, lockNow());
    return adopted.end;
  };

  /** @returns where the next one begins */
  const writeSegment = async (from: number, head: StoredHead): Promise<number> => {
    const tree = frontier?.size === from ? frontier : await treeAt(from);
    // Whatever happens now: the tree is this one no more.
    frontier = undefined;
    const writer = createSegmentWriter(log ?? '', tree);
    while (tree.size < head.size && writer.bytes < segmentBytes && !closed) {
      const entries = Math.min(batch.entries, head.size - tree.size);
      const bytes = Math.min(batch.bytes, segmentBytes - writer.bytes);
      const read = await store.archivable(tree.size, { entries, bytes });
      if (read.length === 0)
        throw new CodedError('archive_entries', 'the log has fewer entries than its head has signed');
      for (const { index, damaged } of read)
        if (damaged)
          logger.error('the lines of a block are damaged in the store: it is archived without them', { entry: index });
      await writer.add(read);
    }
    if (closed) return from;
    const { header, object } = await writer.seal(tree.size === head.size ? head.text : null, key);
    const name = segmentKey(header.log, from, header.from);
    if ((await objects.put(name, object, lockNow())) === 'exists') return adoptKept(name);
    options.onWritten?.('segment', object.length);
    frontier = tree;
    return tree.size;
  };

  /** The first version of a head's name that the log's keys have signed for this size; where there is none, `head` is undefined. */
  const headAt = async (
    name: string,
    size: number,
  ): Promise<{ readonly version: string; readonly head: SignedHead | undefined } | undefined> => {
    let first: string | undefined;
    for (const version of (await objects.versions(name))?.ids ?? []) {
      const object = await objects.get(name, version);
      if (object === undefined) continue;
      first ??= version;
      const head = readHead(Buffer.from(object).toString('utf8').trim(), keys);
      if (head?.size === size) return { version, head };
    }
    return first === undefined ? undefined : { version: first, head: undefined };
  };
  /** What stands in the archive where a head was to be written. @returns its version */
  const compareHead = async (name: string, head: StoredHead): Promise<string> => {
    const there = await headAt(name, head.size);
    if (there === undefined) throw gone();
    // Another recorder may have signed the same tree at another time.
    if (there.head?.root !== head.root)
      throw new ObjectStoreError('other_log', 'the archive has another head where one of this log was to be written');
    return there.version;
  };

  const writeHeads = async (mark: ArchiveMark): Promise<ArchiveMark> => {
    let { heads } = mark;
    for (const head of await store.heads(heads + 1, headsAtOnce)) {
      if (head.size > mark.entries || closed) break;
      needSigned(head);
      const object = Buffer.from(`${head.text}\n`);
      const name = headKey(log ?? '', head.size, head.at);
      if ((await objects.put(name, object, lockNow())) === 'exists') {
        await objects.keep(name, await compareHead(name, head), lockNow());
      } else options.onWritten?.('head', object.length);
      heads = head.size;
    }
    return { ...mark, heads };
  };

  /** Where this archiver has brought the mark: up to there everything is in its archive. */
  let own: ArchiveMark | undefined;
  /** Where the segment ends that holds the entry behind a head, which may stand within it; undefined: there is none. */
  const endAround = async (size: number): Promise<number | undefined> => {
    const [entry] = await store.entries(size, 1);
    const all = segmentsPrefix(log ?? '');
    // One that was begun on an earlier day is rare, and then all names are read.
    for (const prefix of [`${all}${dayOf(timeOf(entry))}/`, all]) {
      let name: string | undefined;
      for await (const next of objects.list(prefix)) {
        const first = readKey(next)?.number;
        if (first !== undefined && first > size) break;
        if (first !== undefined) name = next;
      }
      const end = name === undefined ? undefined : (await adopt(name))?.end;
      if (end !== undefined && end > size) return end;
    }
    return undefined;
  };

  /**
   * How far what the mark speaks of is in this archive. It is kept with the log, not with the place where it was written: with another address,
   * or a bucket that was emptied, the log begins anew there. What another recorder of this log wrote is looked up by its newest head.
   */
  const presentOf = async (mark: ArchiveMark): Promise<ArchiveMark> => {
    const nothing = { entries: 0, heads: 0 };
    if (mark.heads > 0) {
      const [head] = await store.heads(mark.heads, 1);
      const name = head?.size === mark.heads ? headKey(log ?? '', head.size, head.at) : undefined;
      if (head === undefined || name === undefined || (await headAt(name, head.size)) === undefined) return nothing;
    }
    let end = mark.heads;
    while (end < mark.entries) {
      const [first] = await store.entries(end, 1);
      const name = segmentKey(log ?? '', end, timeOf(first));
      // Heads are written some at a time: the newest may stand within a segment, of which no name says where it ends.
      const next = (await adopt(name))?.end ?? (end === mark.heads && end > 0 ? await endAround(end) : undefined);
      if (next === undefined) break;
      end = next;
    }
    if (end >= mark.entries) return mark;
    return end === mark.heads ? nothing : { ...mark, entries: end };
  };

  /** Day of the entry at which the archive was last compared with the log. */
  let comparedOn: string | undefined;
  /**
   * That the archive goes no further than the log, and has the log's entries at its end: a store may have been brought back from a copy, or its
   * database be one that lacks what was committed. Names of objects hold a day, so that on another one nothing would stand in its way.
   */
  const compare = async (): Promise<void> => {
    const newest = await newestOf(objects, log ?? '', keys);
    const { size } = await store.log();
    for (const end of newest) {
      if (end.size <= size && Buffer.from(await treeRoot(end.size, readNode)).toString('hex') === end.root) continue;
      throw new ObjectStoreError(
        'other_log',
        end.size > size
          ? `the archive has ${end.size} entries of this log, the store ${size}: it is an older copy, nothing is archived of it (docs/audit.md, The archive)`
          : 'the archive has other entries than the store where it ends: nothing is archived of it (docs/audit.md, The archive)',
      );
    }
  };

  /** @returns whether there is more to do */
  const step = async (): Promise<boolean> => {
    const mark = await store.archived();
    const [first] = await store.entries(0, 1);
    const [waits] = await store.entries(mark.entries, 1);
    known = {
      entries: Math.max(0, (await store.log()).size - mark.entries),
      since: waits === undefined ? undefined : timeOf(waits),
    };
    const head = await store.lastHead();
    if (first === undefined || head === undefined) return false;
    needSigned(head);
    log ??= logId(first.text);
    const moved = mark.entries !== own?.entries || mark.heads !== own.heads;
    // Beyond the first entry of a day, a segment of the same name is there or not.
    const day = waits === undefined ? comparedOn : dayOf(timeOf(waits));
    // Another recorder brings it forward.
    const back = own === undefined || mark.entries < own.entries || mark.heads < own.heads;
    if (back || day !== comparedOn) await compare();
    comparedOn = day;
    if (moved && mark.entries > 0) {
      const present = await presentOf(mark);
      if (present.entries !== mark.entries) {
        logger.error(
          'the archive does not have what was archived of the log: it is written there from the entry that is missing',
          {
            archived: mark.entries,
            there: present.entries,
          },
        );
        if (await store.moveArchived(mark, present)) own = present;
        return true;
      }
      own = mark;
    }
    const next =
      head.size > mark.entries ? { ...mark, entries: await writeSegment(mark.entries, head) } : await writeHeads(mark);
    if (next.entries === mark.entries && next.heads === mark.heads) return false;
    if (await store.moveArchived(mark, next)) own = next;
    return true;
  };

  const run = async (): Promise<void> => {
    let failures = 0;
    let told = '';
    while (!closed) {
      try {
        const more = await step();
        foreign = false;
        if (failures > 0) logger.info('the log is archived again');
        failures = 0;
        told = '';
        if (more || closed) continue;
        if (!kicked) await pause(lookMs * (0.5 + random()));
        kicked = false;
      } catch (error) {
        if (closed) return;
        if (error instanceof ObjectStoreError && error.code === 'other_log') foreign = true;
        options.onFailure?.();
        const why = error instanceof CodedError ? error.message : describeError(error);
        if (why !== told) logger.error('the log was not archived: tried again', { error: why });
        told = why;
        const longest = Math.min(retryMs.longest, retryMs.first * 2 ** Math.min(failures, 16));
        failures += 1;
        // Between half and all of it: recorders that lost one archive do not come back together.
        await pause(longest * (0.5 + random() / 2));
      }
    }
  };
  const running = run();

  return {
    lag: () =>
      known === undefined
        ? undefined
        : {
            entries: known.entries,
            seconds: known.since === undefined ? 0 : Math.max(0, (clock.now() - known.since) / 1_000),
          },
    get foreign() {
      return foreign;
    },
    kick() {
      kicked = true;
      wake?.();
    },
    async close() {
      closed = true;
      wake?.();
      objects.close();
      await running;
    },
  };
}
