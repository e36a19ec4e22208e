import { CodedError } from '../../base/index.ts';
import { readHead } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { StoredHead } from '../store/index.ts';
import { headsPrefix, isLogId, readKey, segmentsPrefix } from './names.ts';
import type { ObjectStore } from './object-store.ts';
import { openSegment } from './segment.ts';
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
}

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
  return {
    id: log,
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
      const object = await objects.get(name);
      if (object === undefined) throw new CodedError('archive_log', `${name} is not there`);
      return openSegment(object, publicKey);
    },
    async lastHead(key, onForged) {
      const names: string[] = [];
      for await (const name of objects.list(headsPrefix(log))) if (readKey(name) !== undefined) names.push(name);
      for (const name of names.reverse()) {
        const text = Buffer.from((await objects.get(name)) ?? [])
          .toString('utf8')
          .trim();
        const head = readHead(text, key);
        if (head !== undefined && head.size === readKey(name)?.number) return { ...head, text };
        onForged(name);
      }
      return undefined;
    },
  };
}
