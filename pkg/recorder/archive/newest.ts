import type { KeyObject } from 'node:crypto';
import { readHead } from '../../record/index.ts';
import { headsPrefix, readKey, segmentsPrefix } from './names.ts';
import type { ObjectStore } from './object-store.ts';
import { ObjectStoreError } from './object-store-error.ts';
import { SegmentError, openSegment } from './segment.ts';

/** How far an archive goes: so many entries, of which the tree has this root. */
export interface ArchivedUpTo {
  readonly size: number;
  /** Hex. */
  readonly root: string;
}

/** Objects that are looked at for the newest that the log's keys have signed: what others put there does not count. */
const mostLooked = 32;

/**
 * The newest segment and the newest head that an archive has of a log, as far as its keys signed them.
 *
 * @throws ObjectStoreError also `other_log`, where too many objects that others made stand before it
 */
export async function newestOf(
  objects: ObjectStore,
  log: string,
  keys: readonly KeyObject[],
): Promise<readonly ArchivedUpTo[]> {
  const newest = async (
    prefix: string,
    read: (object: Uint8Array, number: number) => ArchivedUpTo | undefined,
  ): Promise<readonly ArchivedUpTo[]> => {
    let looked = 0;
    for await (const name of newestFirst(objects, prefix)) {
      for (const version of (await objects.versions(name))?.ids ?? []) {
        const object = await objects.get(name, version);
        const found = object === undefined ? undefined : read(object, readKey(name)?.number ?? 0);
        if (found !== undefined) return [found];
      }
      // To go on as if nothing stood there would let who fills the bucket hide what does.
      if (++looked >= mostLooked)
        throw new ObjectStoreError(
          'other_log',
          `the newest ${mostLooked} objects under ${prefix} are none that a key of this log has signed: nothing is archived behind them (docs/audit.md, The archive)`,
        );
    }
    return [];
  };
  return [
    ...(await newest(segmentsPrefix(log), (object, first) => {
      try {
        const { header } = openSegment(object, keys);
        return header.log === log && header.first === first ? { size: header.last + 1, root: header.after } : undefined;
      } catch (error) {
        if (error instanceof SegmentError) return undefined;
        throw error;
      }
    })),
    ...(await newest(headsPrefix(log), (object, size) => {
      const head = readHead(Buffer.from(object).toString('utf8').trim(), keys);
      return head?.size === size ? head : undefined;
    })),
  ];
}

/** Names from the newest day on, each day's from its last on. */
async function* newestFirst(objects: ObjectStore, prefix: string): AsyncIterable<string> {
  for (const day of [...(await objects.folders(prefix))].reverse()) {
    const names: string[] = [];
    for await (const name of objects.list(`${prefix}${day}/`)) if (readKey(name) !== undefined) names.push(name);
    yield* names.reverse();
  }
}
