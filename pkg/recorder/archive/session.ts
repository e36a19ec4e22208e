import { CodedError, jsonValue, parseJson } from '../../base/index.ts';
import { createFrontier, edgeOf, entryLeaf, inclusionProof, isBlockEntry, showSession } from '../../record/index.ts';
import type { BlockEntry, SessionProof, TreeHash } from '../../record/index.ts';
import type { SessionChain } from '../store/index.ts';
import { readKey } from './names.ts';
import type { ArchivedLog } from './read-archive.ts';
import { frontierBefore, SegmentError } from './segment.ts';
import type { Segment } from './segment.ts';

/** Which session. */
export interface ArchivedQuestion {
  /** Request id: 32 hex digits. */
  readonly session: string;
  /** Name of a chain; default: all that have the id. */
  readonly chain?: string | undefined;
  /** Of the pod; default: all. */
  readonly namespace?: string | undefined;
  /** Day, `2026-11-26`: segments that end before it are not read. Default: all are. */
  readonly from?: string | undefined;
}

/** A block with lines of the session. */
interface Found {
  readonly index: number;
  readonly entry: string;
  readonly lines: string;
}

/** What stands in the archive of one session. */
export interface ArchivedSession {
  /** Its lines, in the order of the log, without line feeds. */
  readonly lines: readonly string[];
  /** Chains that have lines under its id, each with its sidecar. */
  readonly chains: readonly SessionChain[];
  /** @throws CodedError `archive_proof` where a segment that holds it does not say what was before it, or no head has signed it */
  proof(): Promise<SessionProof>;
}

/** Leaves behind a segment up to the head that signs it. */
interface Signed {
  readonly head: string;
  readonly tail: readonly TreeHash[];
}

/** Bytes of blocks of one session: as much as is read of one into memory. */
const mostBytes = 256 * 1024 * 1024;

/**
 * Looks for a session in an archive, in each of its segments, from the newest back: a sidecar that lies may have written a whole session
 * later under the same id, and under the name of the same chain, which ends nothing. Each segment is believed as far as
 * {@link ArchivedLog.segment} does.
 *
 * @param onFault Told of a segment that is not what it was, and is left out.
 * @throws ObjectStoreError, CodedError `archive_session` where it is too long
 */
export async function sessionInArchive(
  log: ArchivedLog,
  question: ArchivedQuestion,
  onFault: (name: string, error: SegmentError) => void,
): Promise<ArchivedSession> {
  const names: string[] = [];
  for await (const name of log.segments(question.from)) if (readKey(name) !== undefined) names.push(name);
  const parts: { readonly segment: Segment; readonly found: readonly Found[]; readonly signed: Signed | undefined }[] =
    [];
  /** Chains that have lines, with their sources. */
  const chains = new Map<string, SessionChain>();
  let [signed, bytes]: [Signed | undefined, number] = [undefined, 0];
  for (const name of names.reverse()) {
    try {
      const segment = await log.segment(name);
      if (segment.header.head !== null) signed = { head: segment.header.head, tail: [] };
      const { found, leaves } = await lookInto(segment, question, chains);
      bytes += found.reduce((sum, { lines }) => sum + lines.length, 0);
      if (bytes > mostBytes)
        throw new CodedError('archive_session', `the session has more than ${mostBytes} bytes of blocks`);
      if (found.length > 0) parts.unshift({ segment, found, signed });
      signed = signed && { head: signed.head, tail: [...leaves, ...signed.tail] };
    } catch (error) {
      if (!(error instanceof SegmentError)) throw error;
      onFault(name, error);
      signed = undefined;
    }
  }
  const own = `,"session":"${question.session}"`;
  return {
    lines: parts.flatMap(({ found }) =>
      found.flatMap(({ lines }) => lines.split('\n').filter((line) => line.includes(own))),
    ),
    chains: [...chains.values()],
    async proof() {
      const blocks = await Promise.all(
        parts.map(({ segment, found, signed: by }) => proven(segment, found, by, question.session)),
      );
      const [head] = [...parts].reverse().flatMap(({ signed: by }) => by?.head ?? []);
      return { head: head ?? '', blocks: blocks.flat(), unsigned: 0 };
    },
  };
}

/** Blocks of a segment that have lines of the session, and all its leaves. */
async function lookInto(
  segment: Segment,
  { session, chain, namespace }: ArchivedQuestion,
  chains: Map<string, SessionChain>,
): Promise<{ readonly found: readonly Found[]; readonly leaves: readonly TreeHash[] }> {
  const found: Found[] = [];
  const leaves: TreeHash[] = [];
  const own = `,"session":"${session}"`;
  for await (const { index, text, pod, data } of segment.entries()) {
    leaves.push(entryLeaf(text));
    if (data === undefined || pod === undefined || !isBlockEntry(text)) continue;
    if (namespace !== undefined && pod.namespace !== namespace) continue;
    if (!Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(own)) continue;
    const entry = jsonValue(parseJson(text)) as unknown as BlockEntry;
    if (chain !== undefined && entry.chain !== chain) continue;
    const lines = Buffer.from(data).toString('utf8');
    found.push({ index, entry: text, lines });
    chains.set(`${entry.source} ${entry.chain}`, { source: entry.source, chain: entry.chain });
  }
  return { found, leaves };
}

/** Paths from the blocks of a segment to the head over it. */
async function proven(
  segment: Segment,
  found: readonly Found[],
  signed: Signed | undefined,
  session: string,
): Promise<SessionProof['blocks']> {
  const { first } = segment.header;
  const before = frontierBefore(segment.header);
  if (before === undefined)
    throw new CodedError(
      'archive_proof',
      `the segment of entry ${first} does not say what was before it (an older recorder wrote it): verify the whole log`,
    );
  if (signed === undefined) throw new CodedError('archive_proof', `no head in the archive signs entry ${first}`);
  const nodes = new Map<string, TreeHash>();
  const frontier = createFrontier(before.size, before.edge());
  for (const [at, { level, index }] of edgeOf(before.size).entries())
    nodes.set(`${level} ${index}`, before.edge()[at] ?? Buffer.alloc(0));
  const append = (leaf: TreeHash): void => {
    for (const { level, index, hash } of frontier.append(leaf)) nodes.set(`${level} ${index}`, hash);
  };
  for await (const { text } of segment.entries()) append(entryLeaf(text));
  signed.tail.forEach(append);
  const read = (level: number, index: number): Promise<TreeHash> =>
    Promise.resolve(nodes.get(`${level} ${index}`) ?? Buffer.alloc(0));
  return Promise.all(
    found.map(async (block) => ({
      index: block.index,
      entry: block.entry,
      ...showSession(block.entry, block.lines, session),
      head: signed.head,
      path: (await inclusionProof(block.index, frontier.size, read)).map((one) => Buffer.from(one).toString('hex')),
    })),
  );
}
