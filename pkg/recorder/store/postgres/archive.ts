import { jsonValue, parseJson } from '../../../base/index.ts';
import type { DeletedEntry, HoleEntry } from '../../../record/index.ts';
import { unpacked } from '../compress.ts';
import type { ArchivedEntry, ArchiveMark, RestoredEntry } from '../port.ts';
import type { Appender, WrittenAddition } from './append.ts';
import { chainKey, settleRestored } from './chains.ts';
import type { Row, Run } from './connection.ts';
import type { Turn } from './log.ts';
import type { Names } from './names.ts';
import { anotherWrote } from '../store-error.ts';
import { redoDeletions, redoHold } from './retention.ts';

const timeOf = /"at":([0-9]+)/;

/** Entries from an index on with what hangs on them. */
export async function archivable(
  run: Run,
  names: Names,
  from: number,
  atMost: { readonly entries: number; readonly bytes: number },
): Promise<readonly ArchivedEntry[]> {
  const entries = await run('SELECT id, text FROM entry WHERE id >= $1 ORDER BY id LIMIT $2', [from, atMost.entries]);
  const found: ArchivedEntry[] = [];
  let bytes = 0;
  // Some at a time: how many bytes they have is seen when they are here.
  for (let at = 0; at < entries.length && bytes < atMost.bytes; at += someEntries) {
    for (const entry of await readSome(run, names, entries.slice(at, at + someEntries))) {
      if (bytes >= atMost.bytes) break;
      found.push(entry);
      bytes += Buffer.byteLength(entry.text) + (entry.data?.length ?? 0);
    }
  }
  return found;
}

const someEntries = 64;

async function readSome(run: Run, names: Names, entries: readonly Row[]): Promise<readonly ArchivedEntry[]> {
  const texts = entries.map((row) => String(row['text']));
  const ids = entries.map((row) => Number(row['id']));
  // The day that a block is in is that of its entry.
  const blocks = await run(
    `SELECT b.id, b.size, b.data FROM unnest($1::bigint[], $2::bigint[]) AS w (id, received) JOIN block b USING (received, id)`,
    [ids, texts.map((text) => Number(timeOf.exec(text)?.[1] ?? 0))],
  );
  const evidence = await run('SELECT entry AS id, data FROM evidence WHERE entry = ANY ($1)', [ids]);
  const data = new Map<number, Uint8Array | undefined>();
  for (const row of blocks) data.set(Number(row['id']), unpacked(row['data'] as Uint8Array, Number(row['size'])));
  for (const row of evidence) data.set(Number(row['id']), row['data'] as Uint8Array);
  const pods = await podsOf(run, names, texts);
  return texts.map((text, at): ArchivedEntry => {
    const index = ids[at] ?? 0;
    const [pod, bytes] = [pods(text), data.get(index)];
    const hangs = bytes !== undefined ? { data: bytes } : data.has(index) ? ({ damaged: true } as const) : {};
    return { index, text, ...(pod === undefined ? {} : { pod }), ...hangs };
  });
}

type Pod = NonNullable<ArchivedEntry['pod']>;

/** Whose chains the blocks and holes among entries are of. */
async function podsOf(run: Run, names: Names, texts: readonly string[]): Promise<(text: string) => Pod | undefined> {
  const chains = new Map(
    texts
      .filter((text) => /^\{"v":1,"type":"(block|hole)"/.test(text))
      .map((text) => [text, jsonValue(parseJson(text)) as unknown as Pick<HoleEntry, 'source' | 'chain'>]),
  );
  const all = [...chains.values()];
  const source = await names.find(
    run,
    all.map((one) => one.source),
  );
  const rows = await run(
    `SELECT c.source, c.name, c.namespace, c.pod FROM unnest($1::integer[], $2::text[]) AS w (source, name) JOIN chain c USING (source, name)`,
    [all.map((one) => source(one.source) ?? 0), all.map(({ chain }) => chain)],
  );
  const text = await names.texts(
    run,
    rows.flatMap((row) => [Number(row['namespace']), Number(row['pod'])]),
  );
  const pods = new Map(
    rows.map((row) => [
      `${Number(row['source'])} ${String(row['name'])}`,
      { namespace: text(Number(row['namespace'])), name: text(Number(row['pod'])) },
    ]),
  );
  return (entry) => {
    const chain = chains.get(entry);
    return chain === undefined ? undefined : pods.get(`${source(chain.source) ?? 0} ${chain.chain}`);
  };
}

export async function archived(run: Run): Promise<ArchiveMark> {
  const [row] = await run('SELECT entries, heads FROM archive');
  return { entries: Number(row?.['entries']), heads: Number(row?.['heads']) };
}

export async function moveArchived(run: Run, from: ArchiveMark, to: ArchiveMark): Promise<boolean> {
  const rows = await run('UPDATE archive SET entries = $1, heads = $2 WHERE entries = $3 AND heads = $4 RETURNING 1', [
    to.entries,
    to.heads,
    from.entries,
    from.heads,
  ]);
  // What is written anew carries no hold.
  if (rows.length === 1 && to.entries < from.entries) {
    await run('UPDATE archive_hold SET done = false WHERE segment >= $1', [to.entries]);
    await run('UPDATE hold SET archived = $1 WHERE archived > $1', [to.entries]);
  }
  return rows.length === 1;
}

/** Adds entries of an archive as they stand, and does what they say was done. */
export async function restore(
  turn: Turn,
  names: Names,
  append: Appender,
  entries: readonly RestoredEntry[],
): Promise<void> {
  let additions: WrittenAddition[] = [];
  let deleted: DeletedEntry[] = [];
  const came = new Map(entries.map(({ index, entry }) => [index, entry.at]));
  const flush = async (): Promise<void> => {
    // One after the other in an archive: as many as a step of retention has deleted.
    if (deleted.length > 0) await redoDeletions(turn, deleted, (block) => came.get(block));
    deleted = [];
    if (additions.length === 0) return;
    await append(turn, additions);
    const ends = new Map<string, Parameters<typeof settleRestored>[2][number]>();
    for (const addition of additions) {
      const { entry } = addition;
      if (entry.type === 'vanished' || entry.type === 'block')
        ends.set(chainKey(entry), { entry, hasLines: !('pod' in addition) });
    }
    await settleRestored(turn, names, [...ends.values()]);
    additions = [];
  };
  for (const one of entries) {
    if (one.index !== turn.state().size + additions.length) throw anotherWrote();
    const { entry, text } = one;
    if (entry.type === 'deleted') {
      if (additions.length > 0) await flush();
      turn.addEntry(entry, text);
      deleted.push(entry);
    } else if (entry.type === 'hold') {
      await flush();
      turn.addEntry(entry, text);
      await redoHold(turn, names, entry);
    } else {
      if (deleted.length > 0) await flush();
      additions.push(one as WrittenAddition);
    }
  }
  await flush();
}
