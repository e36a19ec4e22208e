import type { LogKeys } from '../../record/index.ts';
import { segmentKey } from './names.ts';
import { ObjectStoreError } from './object-store-error.ts';
import type { ObjectStore, ObjectVersions } from './object-store.ts';
import { openHeader, openSegment, SegmentError } from './segment.ts';
import type { Segment } from './segment.ts';

/** What stands under a segment's name. */
export interface Found<One extends Pick<Segment, 'header'>> {
  readonly versions: ObjectVersions;
  /** The first version that the log's keys have signed for this place. */
  readonly signed: { readonly segment: One; readonly version: string } | undefined;
  /** The first that they have signed for another. */
  readonly elsewhere: One | undefined;
  /** What is wrong with the first that is none of these: no key has signed it, or the archive does not give it out. */
  readonly fault: SegmentError | ObjectStoreError | undefined;
}

type Objects = Pick<ObjectStore, 'get' | 'versions'>;

/**
 * Looks for a segment among all that was written under its name: others may have put something there before the recorder, and hidden it by a marker,
 * which lies below what the recorder wrote then. A version that the archive refuses to give out, or that is too large, hides no other.
 *
 * @param keys Of the log; undefined: whoever signed it.
 * @returns undefined: nothing stands there
 * @throws ObjectStoreError unavailable, or what the list of versions is refused with
 */
export const findSegment = (
  objects: Objects,
  name: string,
  log: string,
  keys: LogKeys | undefined,
): Promise<Found<Segment> | undefined> =>
  find(objects, { name, log }, async (version) => {
    const object = await objects.get(name, version);
    return object === undefined ? undefined : openSegment(object, keys);
  });

/**
 * As {@link findSegment}, of headers alone, by a request that asks for no more: a version counts as signed whose header is, whatever entries stand
 * behind it.
 */
export const findHeader = (
  objects: Objects,
  name: string,
  log: string,
  keys: LogKeys,
): Promise<Found<Pick<Segment, 'header'>> | undefined> =>
  find(objects, { name, log }, (version) => openHeader((most) => objects.get(name, version, most), keys));

async function find<One extends Pick<Segment, 'header'>>(
  objects: Objects,
  { name, log }: { readonly name: string; readonly log: string },
  open: (version: string) => Promise<One | undefined>,
): Promise<Found<One> | undefined> {
  const versions = await objects.versions(name);
  if (versions === undefined) return undefined;
  let elsewhere: One | undefined;
  let fault: Found<One>['fault'];
  let there = false;
  for (const version of versions.ids) {
    try {
      const segment = await open(version);
      if (segment === undefined) continue;
      there = true;
      const { first, from } = segment.header;
      if (segment.header.log === log && segmentKey(log, first, from) === name)
        return { versions, signed: { segment, version }, elsewhere, fault };
      elsewhere ??= segment;
    } catch (error) {
      const one = error instanceof SegmentError || (error instanceof ObjectStoreError && error.code !== 'unavailable');
      if (!one) throw error;
      there = true;
      fault ??= error;
    }
  }
  return there ? { versions, signed: undefined, elsewhere, fault } : undefined;
}
