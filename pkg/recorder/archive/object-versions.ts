import type { ListObjectVersionsCommandInput, ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';

/**
 * What stands under a name of a bucket that keeps versions, as all with object lock do. A lock holds one version: who may write puts another over
 * it, who may delete a marker, and both hide it from whoever asks for the name alone. What was written first is still there.
 */
export interface NamedVersions {
  /** With the prefix. */
  readonly key: string;
  /** Oldest first, the oldest {@link mostVersions}. */
  readonly ids: readonly string[];
  /** There is a delete marker among them. */
  readonly marked: boolean;
}

/** Versions of one name that are remembered: whoever writes over it again and again fills no memory. */
export const mostVersions = 16;

type List = (
  input: Pick<ListObjectVersionsCommandInput, 'Prefix' | 'KeyMarker' | 'VersionIdMarker'>,
) => Promise<ListObjectVersionsCommandOutput>;

/** Names that begin with a prefix and have a version, ascending. */
export async function* listVersions(list: List, Prefix: string): AsyncIterable<NamedVersions> {
  // The newest of a name comes first, and its versions may go on in the next page.
  const named = new Map<string, { ids: string[]; marked: boolean }>();
  const of = (key: string): { ids: string[]; marked: boolean } => {
    const one = named.get(key) ?? { ids: [], marked: false };
    named.set(key, one);
    return one;
  };
  let from: Pick<ListObjectVersionsCommandInput, 'KeyMarker' | 'VersionIdMarker'> = {};
  for (;;) {
    const page = await list({ Prefix, ...from });
    for (const { Key, VersionId = 'null' } of page.Versions ?? []) {
      if (Key === undefined) continue;
      const { ids } = of(Key);
      ids.unshift(VersionId);
      ids.length = Math.min(ids.length, mostVersions);
    }
    for (const { Key } of page.DeleteMarkers ?? []) if (Key !== undefined) of(Key).marked = true;
    const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = page;
    const more = page.IsTruncated === true && KeyMarker !== undefined;
    const keys = [...named.keys()].sort();
    for (const key of more ? keys.slice(0, -1) : keys) {
      const { ids, marked } = of(key);
      named.delete(key);
      if (ids.length > 0) yield { key, ids, marked };
    }
    if (!more) return;
    from = { KeyMarker, ...(VersionIdMarker === undefined ? {} : { VersionIdMarker }) };
  }
}
