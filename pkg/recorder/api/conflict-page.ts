import type { RecordStore } from '../store/index.ts';

/** One page looks at so many entries of the log, read so many at once, and has so many bytes of evidence; it is more only by the last. */
const most = { entries: 20_000, atOnce: 2_000, bytes: 3 * 1024 * 1024 };
/** As the recorder spells it (pkg/record/log-entry.ts). */
const conflictStart = '{"v":1,"type":"conflict",';

// A type, not an interface: it is a value of JSON.
export type ConflictPage = {
  readonly conflicts: {
    readonly index: number;
    /** The entry, as it stands. */
    readonly text: string;
    /** What came, base64; null: it is not there. */
    readonly evidence: string | null;
  }[];
  /** Entry at which the next page begins; null: the log ends here. */
  readonly next: number | null;
};

/** Conflicts in the order of the log, with what was kept of each. @param from Entry. */
export async function conflictPage(
  store: Pick<RecordStore, 'entries' | 'archivable'>,
  from: number,
  atMost: number,
): Promise<ConflictPage> {
  const conflicts: ConflictPage['conflicts'][number][] = [];
  let [at, bytes] = [from, 0];
  while (at < from + most.entries) {
    const page = await store.entries(at, most.atOnce);
    for (const { index, text } of page) {
      if (conflicts.length >= atMost || bytes >= most.bytes) return { conflicts, next: index };
      at = index + 1;
      if (!text.startsWith(conflictStart)) continue;
      const [kept] = await store.archivable(index, { entries: 1, bytes: 1 });
      const data = kept?.index === index ? kept.data : undefined;
      bytes += data?.length ?? 0;
      conflicts.push({ index, text, evidence: data === undefined ? null : Buffer.from(data).toString('base64') });
    }
    if (page.length < most.atOnce) return { conflicts, next: null };
  }
  return { conflicts, next: at };
}
