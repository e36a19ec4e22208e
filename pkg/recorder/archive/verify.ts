import type { KeyObject } from 'node:crypto';
import { createLogVerifier } from '../../record/index.ts';
import type { LogVerdict } from '../../record/index.ts';
import type { ArchivedLog } from './read-archive.ts';
import { SegmentError } from './segment.ts';

/**
 * Proves the log of an archive as {@link createLogVerifier} does, segment by segment.
 *
 * @param onFault Told of a segment that is not what it was; its entries are missing then.
 * @throws ObjectStoreError
 */
export async function verifyArchive(
  log: ArchivedLog,
  options: {
    readonly publicKey: KeyObject;
    readonly until?: string;
    readonly authorities?: string;
    readonly withLines: boolean;
  },
  onFault: (name: string, error: SegmentError) => void,
): Promise<LogVerdict> {
  const { withLines, ...rest } = options;
  const verifier = createLogVerifier({ heads: [], ...rest });
  let end = 0;
  for await (const name of log.segments()) {
    try {
      const { header, entries } = await log.segment(name);
      if (header.head !== null) verifier.head(header.head);
      for await (const { index, text, data } of entries()) {
        verifier.entry(index, text);
        end = Math.max(end, index + 1);
        if (withLines && text.startsWith('{"v":1,"type":"block"'))
          verifier.lines(index, data === undefined ? undefined : Buffer.from(data).toString('utf8'));
      }
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error;
      onFault(name, error);
    }
  }
  const last = await log.lastHead();
  if (last !== undefined && Number(/"size":([0-9]+)/.exec(last)?.[1] ?? 0) > end) verifier.head(last);
  return verifier.end();
}
