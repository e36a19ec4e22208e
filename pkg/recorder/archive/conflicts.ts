import { entryType } from '../../record/index.ts';
import type { ArchivedLog } from './read-archive.ts';
import { SegmentError } from './segment.ts';

/** A conflict, and what was kept of it. */
export interface ArchivedConflict {
  readonly index: number;
  /** The entry, as it stands. */
  readonly text: string;
  /** Undefined: it is not there. */
  readonly evidence: Uint8Array | undefined;
}

/**
 * Conflicts in an archive, in the order of the log.
 *
 * @param from Day, `2026-11-26`: segments that end before it are not read. Default: all are.
 * @param onFault Told of a segment that is not what it was, and is left out.
 * @throws ObjectStoreError
 */
export async function* conflictsInArchive(
  log: ArchivedLog,
  from: string | undefined,
  onFault: (name: string, error: SegmentError) => void,
): AsyncGenerator<ArchivedConflict> {
  for await (const name of log.segments(from)) {
    try {
      for await (const { index, text, data } of (await log.segment(name)).entries())
        if (entryType(text) === 'conflict') yield { index, text, evidence: data };
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error;
      onFault(name, error);
    }
  }
}
