import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import type { LogKeys, SignedHead } from './head.ts';
import { entryLeaf } from './log-entry.ts';
import { provesInclusion } from './merkle.ts';
import { isSealed } from './sealed-entry.ts';
import { blockPointOf } from './shown-block.ts';

/** An entry of the log, and its way to the head of a proof. */
export interface ProvenEntry {
  readonly index: number;
  /** As it stands. */
  readonly entry: string;
  /** RFC 6962 audit path, hex. */
  readonly path: readonly string[];
}

/** A block whose lines retention has deleted. */
export interface DeletedBlock {
  readonly block: ProvenEntry;
  /** The entry that says so, under the recorder's seal (sealed-entry.ts). */
  readonly by: ProvenEntry;
}

/** What the first lines of a session are asked of. */
export interface BeforeLine {
  /** Whose chain. */
  readonly source: string;
  readonly chain: string;
  /** Number of the session's first line that is there. */
  readonly before: number;
  /** When the session began, as its end says: epoch milliseconds. No block that was taken in before then has lines of it. */
  readonly since: number;
}

/** By how much the clocks of a sidecar and of the recorder may differ. */
const clocksMs = 5 * 60_000;

/** Whether a block that was taken in then can have lines of a session that began at `since`. */
export const canBeOf = (at: number, { since }: BeforeLine): boolean => at >= since - clocksMs;

const isIn = ({ index, entry, path }: ProvenEntry, head: SignedHead): boolean =>
  provesInclusion(
    entryLeaf(entry),
    index,
    head.size,
    path.map((one) => Buffer.from(one, 'hex')),
    Buffer.from(head.root, 'hex'),
  );

/**
 * How many lines of a chain, before one, were in blocks that retention has deleted. What they said nobody can prove: that lines of a session were among
 * them is as far as it goes.
 *
 * @returns in words, which of them is not proven
 */
export function deletedLines(
  blocks: readonly DeletedBlock[],
  head: SignedHead,
  publicKey: LogKeys,
  asked: BeforeLine,
): number | string {
  const { source, chain, before } = asked;
  let lines = 0;
  let last = 0;
  for (const { block, by } of blocks) {
    if (!isIn(block, head)) return `entry ${block.index} is not in the tree that the head signs`;
    if (!isIn(by, head)) return `entry ${by.index} is not in the tree that the head signs`;
    const point = blockPointOf(block.entry);
    if (point?.source !== source || point.chain !== chain || point.first <= last || point.last >= before)
      return `entry ${block.index} is no block of that chain before its lines, or stands twice`;
    if (!canBeOf(parseJson(block.entry).get('at')?.number ?? -Infinity, asked))
      return `entry ${block.index} is of before the session began: none of its lines were in it`;
    const deletion = jsonValue(parseJson(by.entry)) as { readonly [key: string]: JsonValue };
    if (deletion['type'] !== 'deleted' || deletion['entry'] !== block.index || !isSealed(by.entry, publicKey))
      return `entry ${by.index} does not say, under the recorder's seal, that entry ${block.index} was deleted`;
    ({ last } = point);
    lines += point.last - point.first + 1;
  }
  return lines;
}
