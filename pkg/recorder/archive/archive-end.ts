import { readHead } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import { headsPrefix, readKey, segmentsPrefix } from './names.ts';
import type { ObjectStore } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';
import { openSegment, SegmentError } from './segment.ts';

/** What an archive has of a log: so many entries, of which this is the root of the tree. */
export interface ArchiveEnd {
  readonly size: number;
  /** Hex. */
  readonly root: string;
}

/** Most objects that are passed over because the log's key has not signed them, or not under their name. */
const mostForged = 16;

/**
 * How far a log goes in an archive, by its newest head and its newest segment, which may stand on any day: what was archived of the log and is in
 * its store no more is found by this alone. Nothing of it: no ends.
 *
 * @param keys Of the log: what they have not signed is passed over.
 * @throws ObjectStoreError other_log where more than 16 objects are passed over
 */
export async function archiveEnds(objects: ObjectStore, log: string, keys: LogKeys): Promise<readonly ArchiveEnd[]> {
  const head = await newest(objects, headsPrefix(log), (object, number) => {
    const read = readHead(Buffer.from(object).toString('utf8').trim(), keys);
    return read?.size === number ? { size: read.size, root: read.root } : undefined;
  });
  const segment = await newest(objects, segmentsPrefix(log), (object, number) => {
    try {
      const { header } = openSegment(object, keys);
      return header.log === log && header.first === number ? { size: header.last + 1, root: header.after } : undefined;
    } catch (error) {
      if (error instanceof SegmentError) return undefined;
      throw error;
    }
  });
  return [head, segment].filter((end) => end !== undefined);
}

/** The last object below a prefix that can be read: names ascend by day, and within it by number. */
async function newest(
  objects: ObjectStore,
  prefix: string,
  read: (object: Uint8Array, number: number) => ArchiveEnd | undefined,
): Promise<ArchiveEnd | undefined> {
  let forged = 0;
  for (const day of [...(await objects.folders(prefix))].sort().reverse()) {
    const names: string[] = [];
    for await (const name of objects.list(`${prefix}${day}/`)) if (readKey(name) !== undefined) names.push(name);
    for (const name of names.reverse()) {
      const object = await objects.get(name);
      const end = object === undefined ? undefined : read(object, readKey(name)?.number ?? -1);
      if (end !== undefined) return end;
      if (++forged > mostForged)
        throw new ObjectStoreError(
          'other_log',
          'the newest objects of the archive are not signed by the key of the log',
        );
    }
  }
  return undefined;
}
