import { hash } from 'node:crypto';
import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { auditDigest, readAuditLine } from './audit-line.ts';
import { verifyBlock } from './verify-block.ts';
import type { BlockLine, BlockPoint, BlockVerdict } from './verify-block.ts';

/**
 * A block of which some lines are shown, and of the others their hashes alone: the entry binds the hashes of all of its lines
 * ({@link listOf}), so that one line is proven to whoever may not read those beside it.
 *
 * Such a hash shows nothing of its line, which holds a session's id, 128 bits of chance; how many lines there are, it shows.
 */
export interface ShownBlock {
  /** The entry of the log, as it stands. */
  readonly entry: string;
  /** The lines that are shown, each with its line feed; where `hidden` is not there, all of the block. */
  readonly lines: string;
  /** Hashes of the lines that are not, in their order: they stand where the numbers of those that are shown leave room. */
  readonly hidden?: readonly string[];
}

/** What an entry says of the hashes of its lines: SHA-256 of them, in hex, one below the other. */
export const listOf = (hashes: readonly string[]): string =>
  hash('sha256', `sidegate-lines/1\n${hashes.join('\n')}`, 'hex');

const sha256 = /^[0-9a-f]{64}$/;
const ownHash = /,"hash":"([0-9a-f]{64})"\}$/;

/** Takes away the lines of others than a session, where the entry has a list; of older recorders' entries none are. */
export function showSession(entry: string, lines: string, session: string): Omit<ShownBlock, 'entry'> {
  if (parseJson(entry).get('list') === undefined) return { lines };
  const shown: string[] = [];
  const hidden: string[] = [];
  for (const line of lines.split('\n')) {
    if (line === '') continue;
    if (line.includes(`,"session":"${session}"`)) shown.push(`${line}\n`);
    else hidden.push(ownHash.exec(line)?.[1] ?? '');
  }
  return { lines: shown.join(''), hidden };
}

/** What an entry says of its block, and whose it is; undefined: it is none of lines. @throws as JSON that is none */
export function blockPointOf(
  entry: string,
): (BlockPoint & { readonly source: string; readonly chain: string }) | undefined {
  const fields = jsonValue(parseJson(entry)) as { readonly [key: string]: JsonValue };
  if (fields['type'] !== 'block') return undefined;
  const { source, chain, first, last, prev, hash: own, list } = fields;
  return {
    source: String(source),
    chain: String(chain),
    first: Number(first),
    last: Number(last),
    prev: String(prev),
    hash: String(own),
    ...(list !== undefined && { list: String(list) }),
  };
}

const digest = auditDigest(undefined);

/** Proves the lines that are shown of a block against its entry. */
/** The lines that are shown, each of which is what it says; a number: the first that is none, or not in its place. */
function readShown(block: BlockPoint, lines: string): readonly BlockLine[] | number {
  const shown: BlockLine[] = [];
  for (const text of lines.split('\n')) {
    if (text === '') continue;
    const record = readAuditLine(text, digest);
    const after = shown.at(-1)?.sequence ?? block.first - 1;
    if (typeof record === 'string' || record.seq <= after || record.seq > block.last) return after + 1;
    const { seq: sequence, hash: own, time, root, prev } = record;
    shown.push({ sequence, hash: own, time: Date.parse(time), root, prev });
  }
  return shown;
}

/** Hashes of all lines of the block; a number: the first that has none, or does not follow on the one before it. */
function hashesOf(
  block: BlockPoint,
  shown: readonly BlockLine[],
  hidden: readonly string[],
): readonly string[] | number {
  const hashes: string[] = [];
  let [next, beside] = [0, 0];
  for (let at = block.first; at <= block.last; at++) {
    const line = shown[next]?.sequence === at ? shown[next++] : undefined;
    const own = line?.hash ?? hidden[beside++] ?? '';
    if (!sha256.test(own)) return at;
    if (line !== undefined && line.prev !== (hashes.at(-1) ?? block.prev)) return at;
    hashes.push(own);
  }
  return hashes;
}

/** Proves the lines that are shown of a block against its entry. */
export function verifyShown(block: BlockPoint, { lines, hidden }: Omit<ShownBlock, 'entry'>): BlockVerdict {
  if (hidden === undefined) return verifyBlock(block, lines);
  const no = (line: number): BlockVerdict => ({ ok: false, fault: 'changed', line, to: line });
  const shown = readShown(block, lines);
  if (typeof shown === 'number') return no(shown);
  if (shown.length + hidden.length !== block.last - block.first + 1)
    return { ok: false, fault: 'removed', line: block.first, to: block.last };
  const hashes = hashesOf(block, shown, hidden);
  if (typeof hashes === 'number') return no(hashes);
  // The list binds them all; the last is the entry's own.
  const good = hashes.at(-1) === block.hash && listOf(hashes) === block.list;
  return good ? { ok: true, lines: shown } : no(block.first);
}
