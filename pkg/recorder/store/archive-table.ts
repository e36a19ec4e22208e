import type { DatabaseSync } from 'node:sqlite';
import { jsonValue, parseJson } from '../../base/index.ts';
import type { HoleEntry } from '../../record/index.ts';
import { unpacked } from './compress.ts';
import type { Names } from './names.ts';
import type { ArchivedEntry, ArchiveMark, Block } from './port.ts';

/** What of the embedded store goes into an archive, and how far it has. `move` runs inside of the caller's transaction. */
export interface ArchiveTable {
  entries(from: number, atMost: { readonly entries: number; readonly bytes: number }): readonly ArchivedEntry[];
  mark(): ArchiveMark;
  move(from: ArchiveMark, to: ArchiveMark): boolean;
}

const ofChain = /^\{"v":1,"type":"(block|hole)"/;
type Row = Readonly<Record<string, unknown>>;

export function createArchiveTable(db: DatabaseSync, names: Names): ArchiveTable {
  const sql = {
    entries: db.prepare(
      `SELECT e.id, e.text, b.size, b.data, c.namespace, c.pod, v.data AS evidence
       FROM entry e LEFT JOIN block b ON b.id = e.id LEFT JOIN chain c ON c.id = b.chain LEFT JOIN evidence v ON v.entry = e.id
       WHERE e.id >= ? ORDER BY e.id LIMIT ?`,
    ),
    chain: db.prepare('SELECT namespace, pod FROM chain WHERE source = ? AND name = ?'),
    mark: db.prepare('SELECT entries, heads FROM archive'),
    holdsBack: db.prepare('UPDATE hold SET archived = ?1 WHERE archived > ?1'),
    holdsAgain: db.prepare('UPDATE archive_hold SET done = 0 WHERE segment >= ?'),
    move: db.prepare('UPDATE archive SET entries = ?, heads = ? WHERE entries = ? AND heads = ?'),
  };
  const podOf = (row: Row): Block['pod'] => ({
    namespace: names.text(Number(row['namespace'])),
    name: names.text(Number(row['pod'])),
  });
  /** Of a hole, or a block whose lines are deleted, which have no row but their entry. */
  const podOfEntry = (text: string): Block['pod'] | undefined => {
    if (!ofChain.test(text)) return undefined;
    const { source, chain } = jsonValue(parseJson(text)) as unknown as Pick<HoleEntry, 'source' | 'chain'>;
    const number = names.find(source);
    const row = number === undefined ? undefined : sql.chain.get(number, chain);
    return row === undefined ? undefined : podOf(row);
  };
  const read = (row: Row): ArchivedEntry => {
    const text = String(row['text']);
    const entry = { index: Number(row['id']), text };
    const { data, evidence } = row;
    if (evidence instanceof Uint8Array) return { ...entry, data: evidence };
    const pod = row['pod'] === null ? podOfEntry(text) : podOf(row);
    const lines = data instanceof Uint8Array ? (unpacked(data, Number(row['size'])) ?? 'damaged') : undefined;
    return {
      ...entry,
      ...(pod === undefined ? {} : { pod }),
      ...(lines === 'damaged' ? { damaged: true } : lines === undefined ? {} : { data: lines }),
    };
  };

  return {
    entries(from, atMost) {
      const found: ArchivedEntry[] = [];
      let bytes = 0;
      for (const row of sql.entries.iterate(from, atMost.entries)) {
        const entry = read(row);
        found.push(entry);
        bytes += Buffer.byteLength(entry.text) + (entry.data?.length ?? 0);
        if (bytes >= atMost.bytes) break;
      }
      return found;
    },
    mark() {
      const row = sql.mark.get();
      return { entries: Number(row?.['entries']), heads: Number(row?.['heads']) };
    },
    move(from, to) {
      const moved = sql.move.run(to.entries, to.heads, from.entries, from.heads).changes === 1;
      // What is written anew carries no hold.
      if (moved && to.entries < from.entries)
        for (const statement of [sql.holdsBack, sql.holdsAgain]) statement.run(to.entries);
      return moved;
    },
  };
}
