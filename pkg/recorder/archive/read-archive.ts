import { CodedError } from '../../base/index.ts';
import { readHead } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { StoredHead } from '../store/index.ts';
import { headsPrefix, isLogId, readKey, segmentsPrefix } from './names.ts';
import type { ObjectStore } from './object-store.ts';
import { openSegment, SegmentError } from './segment.ts';
import type { Segment } from './segment.ts';

/** One log in an archive. */
export interface ArchivedLog {
  readonly id: string;
  /** Names of its segments, in their order. @param from Day, `2026-11-26`: only those that may hold entries from then on. */
  segments(from?: string): AsyncIterable<string>;
  /** @throws SegmentError, ObjectStoreError */
  segment(name: string): Promise<Segment>;
  /**
   * The newest head that stands in the archive by itself and is signed; undefined: there is none.
   *
   * @param onForged Told the name of each newer one that the key has not signed, or not under this name.
   * @throws ObjectStoreError
   */
  lastHead(publicKey: LogKeys, onForged: (name: string) => void): Promise<StoredHead | undefined>;
  /**
   * Of what was read so far, the names under which somebody wrote or deleted what the recorder had written before, and which of both: what was
   * read is what was there first. A thousand at most.
   */
  readonly covered: ReadonlyMap<string, 'written' | 'deleted'>;
}

const mostCovered = 1_000;

/**
 * The log that stands in an archive.
 *
 * @param id Which one; undefined: the only one.
 * @param publicKey Of the log; undefined: segments are taken as they are, whoever signed them.
 * @throws CodedError `archive_log`: there is none, or several and none was named; ObjectStoreError
 */
export async function openArchivedLog(
  objects: ObjectStore,
  id: string | undefined,
  publicKey: LogKeys | undefined,
): Promise<ArchivedLog> {
  const logs = (await objects.folders('')).filter(isLogId);
  if (logs.length === 0) throw new CodedError('archive_log', 'there is no log in the archive');
  if (id === undefined && logs.length > 1)
    throw new CodedError('archive_log', `there are several logs in the archive, name one: ${logs.join(', ')}`);
  const log = id ?? logs[0] ?? '';
  if (!logs.includes(log))
    throw new CodedError('archive_log', `that log is not in the archive, there are: ${logs.join(', ')}`);
  const covered = new Map<string, 'written' | 'deleted'>();
  /** What was written under a name, oldest first. */
  const written = async function* (name: string): AsyncIterable<Uint8Array> {
    const versions = await objects.versions(name);
    if (versions?.covered !== undefined && covered.size < mostCovered) covered.set(name, versions.covered);
    for (const id of versions?.ids ?? []) {
      const object = await objects.get(name, id);
      if (object !== undefined) yield object;
    }
  };
  return {
    id: log,
    covered,
    async *segments(from = '') {
      // A name says where a segment begins: the last that begins earlier may go on after that.
      let before: string | undefined;
      for await (const name of objects.list(segmentsPrefix(log))) {
        const key = readKey(name);
        if (key === undefined) continue;
        if (key.day >= from) {
          if (before !== undefined) yield before;
          before = undefined;
          yield name;
        } else before = name;
      }
      if (before !== undefined) yield before;
    },
    async segment(name) {
      // The first that the log's key has signed for this place: others may have put something there before the recorder, which it then calls foreign.
      let other: Segment | undefined;
      let fault: unknown = new CodedError('archive_log', `${name} is not there`);
      for await (const object of written(name)) {
        try {
          const segment = openSegment(object, publicKey);
          if (segment.header.log === log && segment.header.first === readKey(name)?.number) return segment;
          other ??= segment;
        } catch (error) {
          if (!(error instanceof SegmentError)) throw error;
          if (!(fault instanceof SegmentError)) fault = error;
        }
      }
      if (other !== undefined) return other;
      throw fault;
    },
    async lastHead(key, onForged) {
      const names: string[] = [];
      for await (const name of objects.list(headsPrefix(log))) if (readKey(name) !== undefined) names.push(name);
      for (const name of names.reverse()) {
        for await (const object of written(name)) {
          const text = Buffer.from(object).toString('utf8').trim();
          const head = readHead(text, key);
          if (head !== undefined && head.size === readKey(name)?.number) return { ...head, text };
        }
        onForged(name);
      }
      return undefined;
    },
  };
}
