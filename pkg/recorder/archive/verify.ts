import { createLogVerifier, isBlockEntry } from '../../record/index.ts';
import type { LogKeys, LogVerdict, LogVerifier } from '../../record/index.ts';
import type { ArchivedLog } from './read-archive.ts';
import { frontierBefore, notSigned, SegmentError } from './segment.ts';
import type { SegmentHeader } from './segment.ts';

/**
 * Proves the log of an archive as {@link createLogVerifier} does, segment by segment. Where the first segments are gone, as a bucket's own rules
 * remove them by age, it is proven from the first on that is there, whose signed header has the tree before it.
 *
 * @param onFault Told of a segment that is not what it was, whose entries are missing then, and of a head that is not signed.
 * @throws ObjectStoreError
 */
export async function verifyArchive(
  log: ArchivedLog,
  options: {
    readonly publicKey: LogKeys;
    readonly until?: string;
    /** Heads that are kept elsewhere, as they were signed. */
    readonly heads?: readonly string[];
    readonly authorities?: string;
    readonly retentionDays?: number;
    readonly presentPods?: ReadonlySet<string>;
    readonly withLines: boolean;
  },
  onFault: (name: string, error: SegmentError) => void,
): Promise<LogVerdict> {
  const { withLines, ...rest } = options;
  let verifier: LogVerifier | undefined;
  const begin = (header: SegmentHeader | undefined): LogVerifier => {
    const before = header === undefined ? undefined : frontierBefore(header);
    return createLogVerifier({ heads: [], ...rest, ...(before === undefined ? {} : { begin: before }) });
  };
  let end = 0;
  for await (const name of log.segments()) {
    try {
      const { header, entries } = await log.segment(name);
      verifier ??= begin(header);
      if (header.head !== null) verifier.head(header.head);
      for await (const { index, text, data } of entries()) {
        verifier.entry(index, text);
        end = Math.max(end, index + 1);
        if (withLines && isBlockEntry(text))
          verifier.lines(index, data === undefined ? undefined : Buffer.from(data).toString('utf8'));
      }
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error;
      // One that is there and is not what it was is no beginning.
      verifier ??= begin(undefined);
      onFault(name, error);
    }
  }
  verifier ??= begin(undefined);
  const last = await log.lastHead(options.publicKey, (name) => onFault(name, notSigned()));
  if (last !== undefined && last.size > end) verifier.head(last.text);
  return verifier.end();
}
