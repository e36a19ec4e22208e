import { CodedError } from '../../base/index.ts';
import { readHead } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { StoredHead } from '../store/index.ts';
import { headsPrefix, isLogId, readKey, segmentsPrefix } from './names.ts';
import { findSegment } from './find-segment.ts';
import type { ObjectStore, ObjectVersions } from './object-store.ts';
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
  // Whoever reads goes by one listing.
  const listed: Pick<ObjectStore, 'get' | 'versions'> = {
    get: (name, version) => objects.get(name, version),
    versions: (name) => objects.versions(name, true),
  };
  const cover = (name: string, versions: ObjectVersions | undefined): void => {
    if (versions?.covered !== undefined && covered.size < mostCovered) covered.set(name, versions.covered);
  };
  /** What was written under a name, oldest first. */
  const written = async function* (name: string): AsyncIterable<Uint8Array> {
    const versions = await objects.versions(name, true);
    cover(name, versions);
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
      const found = await findSegment(listed, name, log, publicKey);
      if (found !== undefined) cover(name, found.versions);
      const segment = found?.signed?.segment ?? found?.elsewhere;
      if (segment !== undefined) return segment;
      throw found?.fault ?? new CodedError('archive_log', `${name} is not there`);
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
