import { compress } from '../compress.ts';
import type { Addition, Block, EndFacts, StartFacts } from '../port.ts';
import { heldBytes, namespaceOf, sumOf } from '../held-bytes.ts';
import { labelTags } from '../search/label-tags.ts';
import { seenTime } from '../session-time.ts';
import { StoreError } from '../store-error.ts';
import { chainKey, podOf, readChains, writeChains } from './chains.ts';
import type { Chain, Moving } from './chains.ts';
import type { Run } from './connection.ts';
import type { Turn } from './log.ts';
import type { Names } from './names.ts';
import type { Partitions } from './partitions.ts';
import { insertBytes, insertRows } from './rows.ts';
import type { Columns } from './rows.ts';
import { readSessionRows } from './session-rows.ts';

/** Writes additions within a turn. */
export type Appender = (turn: Turn, additions: readonly WrittenAddition[]) => Promise<void>;

/** `text`: of an entry that comes back from an archive, as it stands there. */
export type WrittenAddition = Addition & { readonly text?: string };

type BlockAddition = Extract<Addition, { readonly block: Block }> & { readonly text?: string };

const isBlock = (addition: Addition | Moving): addition is BlockAddition => 'block' in addition;
const isMoving = (addition: Addition): addition is Moving => 'block' in addition || 'pod' in addition;
export const groupTag = (group: string): string => `group:${group}`;

/** @param days Partitions of the table of blocks. */
export function createAppender(names: Names, days: Partitions): Appender {
  return async (turn, additions) => {
    const { run } = turn;
    const moving = additions.filter(isMoving);
    const number = await names.numbers(run, textsOf(moving));
    const chains = await readChains(run, moving, number);
    const wanted = additions
      .filter(isBlock)
      .flatMap(({ entry, block }) =>
        block.sessions.map((session) => [chains.get(chainKey(entry))?.id ?? 0, session] as const),
      );
    const sessions = await readSessionRows(run, wanted, () => turn.nextSession());
    const blocks: unknown[][] = [];
    const evidence: unknown[][] = [];
    const parts: Columns[] = [];

    const move = ({ entry }: Moving, to: Omit<Chain, 'id' | 'received' | 'bytes'>): Chain => {
      const key = chainKey(entry);
      const chain = chains.get(key);
      const [from, prev] = 'first' in entry ? [entry.first, entry.prev] : [entry.from, chain?.hash];
      if (chain?.sequence !== from - 1 || (chain.hash !== undefined && chain.hash !== prev))
        throw new StoreError('moved', 'lines that do not follow on what is stored of their chain');
      const moved = { ...chain, ...to };
      chains.set(key, moved);
      return moved;
    };
    const addBlock = (addition: BlockAddition): void => {
      const { entry, block } = addition;
      const chain = move(addition, { sequence: entry.last, hash: entry.hash, newest: block.newest });
      const id = turn.addEntry(entry, addition.text);
      const received = turn.at();
      const { count, lines } = block;
      const data = compress(lines);
      chains.set(chainKey(entry), { ...chain, received, bytes: chain.bytes + heldBytes(data.length, lines.length) });
      blocks.push([id, chain.id, entry.first, entry.last, received, count, lines.length, data]);
      const starts = new Map<string, StartFacts>(block.starts.map((one) => [one.session, one]));
      const ends = new Map<string, EndFacts>(block.ends.map((one) => [one.session, one]));
      for (const session of block.sessions) {
        const start = starts.get(session);
        const end = ends.get(session);
        // A sidecar that begins a session twice does not stop the others.
        const row = sessions.row(chain.id, session, () => ({
          chain: chain.id,
          request: session,
          sequence: start?.sequence ?? entry.first,
          ...seenTime(start?.at ?? entry.at, received, entry.at),
          namespace: number(block.pod.namespace),
          pod: number(block.pod.name),
          ...(start === undefined ? {} : startColumns(start, number)),
        }));
        if (row.fresh) turn.count('sessions', 1);
        // A second end is no more than a line.
        if (end !== undefined) sessions.end(row.id, endColumns(end, number));
        parts.push({ session: row.id, block: id, received });
      }
      turn.count('blocks', 1);
      turn.count('events', count);
      turn.count('line_bytes', lines.length);
    };
    for (const addition of additions) {
      if (isBlock(addition)) {
        addBlock(addition);
        continue;
      }
      // What comes after lines that are not there refers to their last; one of them may have said that the clock stepped.
      if ('pod' in addition) {
        const { entry } = addition;
        move(addition, {
          sequence: entry.type === 'block' ? entry.last : entry.to,
          hash: entry.hash,
          newest: undefined,
        });
      }
      const id = turn.addEntry(addition.entry, addition.text);
      if ('evidence' in addition) evidence.push([id, addition.evidence]);
    }

    await days.make(
      run,
      blocks.map((block) => Number(block[4])),
    );
    await insertBytes(run, 'block', blocks);
    await insertBytes(run, 'evidence', evidence);
    if (evidence.length > 0) await countEvidence(run, additions);
    await sessions.write();
    await insertRows(run, 'part', parts);
    if (chains.size > 0) await writeChains(run, chains.values());
  };
}

async function countEvidence(run: Run, additions: readonly WrittenAddition[]): Promise<void> {
  const held = sumOf(
    additions.flatMap((one) =>
      'evidence' in one ? [{ namespace: namespaceOf(one.entry.source), bytes: one.evidence.length }] : [],
    ),
  );
  await run(
    `INSERT INTO evidence_held SELECT * FROM unnest($1::text[], $2::bigint[])
     ON CONFLICT (namespace) DO UPDATE SET bytes = evidence_held.bytes + excluded.bytes`,
    [[...held.keys()], [...held.values()]],
  );
}

function* textsOf(moving: readonly Moving[]): Iterable<string> {
  for (const addition of moving) {
    yield addition.entry.source;
    yield podOf(addition).namespace;
    yield podOf(addition).name;
    if (!isBlock(addition)) continue;
    for (const start of addition.block.starts) {
      const { provider, issuer, subject, peer, method, path, dialect, operation, model } = start;
      for (const text of [provider, issuer, subject, peer, method, path, dialect, operation, model])
        if (text !== null) yield text;
      yield* start.groups.map(groupTag);
    }
    for (const { outcome, code, tags } of addition.block.ends) {
      yield outcome;
      if (code !== null) yield code;
      yield* tags;
      yield* labelTags(tags);
    }
  }
}

type Numbers = (text: string) => number;
const optional = (text: string | null, number: Numbers): number | null => (text === null ? null : number(text));

const startColumns = (start: StartFacts, number: Numbers): Columns => ({
  provider: optional(start.provider, number),
  issuer: optional(start.issuer, number),
  subject: optional(start.subject, number),
  groups: start.groups.map((group) => number(groupTag(group))),
  peer: number(start.peer),
  method: number(start.method),
  path: number(start.path),
  dialect: number(start.dialect),
  operation: number(start.operation),
  model: optional(start.model, number),
});
const endColumns = (end: EndFacts, number: Numbers): Columns => ({
  end_sequence: end.sequence,
  outcome: number(end.outcome),
  status: end.status,
  code: optional(end.code, number),
  tags: [...end.tags, ...labelTags(end.tags)].map(number),
  bytes_in: end.bytesIn,
  bytes_out: end.bytesOut,
  input_tokens: end.inputTokens,
  output_tokens: end.outputTokens,
  duration: Math.round(end.durationMs),
});
