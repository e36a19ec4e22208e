import type { DatabaseSync } from 'node:sqlite';
import { unpacked } from '../compress.ts';
import { withoutMarks } from './fold-words.ts';
import { gramsOf, hasGrams, withoutGrams } from './grams.ts';
import { JoinedTexts } from './joined-texts.ts';
import { holdsTexts, readSessionLine } from './session-lines.ts';
import { notAllWords } from './not-all-words.ts';
import { createShards, shardSchema } from './shards.ts';
import type { ShardMarks, ShardOptions } from './shards.ts';

/**
 * The words of sessions' texts, in a file of its own beside the store: it follows the store's blocks, and can be made again from them at
 * any time. It is the main database of a connection to which the store is attached as `record`.
 *
 * A session is indexed once, when its end has come; one that goes on for a minute is indexed as far as it is, and again later.
 */
export interface WordIndex {
  /** A bounded step. False: nothing is left to do. @param now Epoch milliseconds. */
  step(now: number): boolean;
  /** The same of what came alone: what is deleted is not found by its words, whether they are there or not. False: it has seen all blocks. */
  read(now: number): boolean;
  /** Also sessions that go on. */
  flush(): void;
  /** Blocks that no step has reached. */
  behind(): number;
  /** The last row of `dropped` that has been dropped here. */
  dropped(): number;
  /** A bounded step that takes the words of what was dropped out of the file. False: none of them are left in it. */
  sweep(): boolean;
}

/** Bytes of lines, blocks, and rows of deleted sessions, of one step. */
const stepBytes = 4 * 1024 * 1024;
const stepBlocks = 500;
const stepDropped = 2_000;
/** Most characters of one session that are indexed, and of all sessions that are held while they go on. */
const mostText = 1_000_000;
const mostHeld = 32_000_000;
/** Characters and pairs of one session that are indexed, each once. */
const mostGrams = 200_000;
const openMs = 60_000;

/** 3: pairs of characters where words are not parted; 4: words do not end at marks; 5: nor where a piece of a text ends; 6: shards. */
const version = 6;
const schema = `
  ${shardSchema}
  -- How far it has come in the blocks, with that block's entry of the log, and in dropped; up to where the words of these are out of the file.
  CREATE TABLE state (block INTEGER NOT NULL, entry TEXT NOT NULL, dropped INTEGER NOT NULL, swept INTEGER NOT NULL) STRICT;
  INSERT INTO state VALUES (-1, '', 0, 0);
  PRAGMA user_version = ${version};
`;

/** A session that goes on: its texts since it was indexed last. */
interface Open {
  readonly row: number;
  readonly since: number;
  /** Block of the first of its texts. */
  readonly block: number;
  /** Its beginning is among them. */
  readonly whole: boolean;
  readonly texts: string[];
  readonly joined: JoinedTexts;
}

/** @param linesOf All lines of a session's row. */
export function createWordIndex(
  db: DatabaseSync,
  linesOf: (row: number) => Iterable<string>,
  options: ShardOptions = {},
): WordIndex {
  const pragma = (): number => Number(db.prepare('PRAGMA main.user_version').get()?.['user_version'] ?? 0);
  if (pragma() !== version) db.exec(schema);
  const shards = createShards(db, options);
  const sql = {
    state: db.prepare('SELECT block, entry, dropped, swept FROM state'),
    setBlock: db.prepare(
      `UPDATE state SET block = ?1, entry = ifnull((SELECT text FROM record.entry WHERE id = ?1), '')`,
    ),
    setDropped: db.prepare('UPDATE state SET dropped = ?'),
    setSwept: db.prepare('UPDATE state SET swept = ?'),
    entry: db.prepare('SELECT text FROM record.entry WHERE id = ?'),
    blocks: db.prepare('SELECT id, chain, size, data FROM record.block WHERE id > ? ORDER BY id LIMIT ?'),
    behind: db.prepare('SELECT count(*) AS n FROM record.block WHERE id > ?'),
    row: db.prepare('SELECT id FROM record.session WHERE request = ? AND chain = ?'),
    rowExists: db.prepare('SELECT 1 FROM record.session WHERE id = ?'),
    dropped: db.prepare('SELECT id, session FROM record.dropped WHERE id > ? ORDER BY id LIMIT ?'),
  };
  const state = (name: 'block' | 'dropped' | 'swept'): number => Number(sql.state.get()?.[name] ?? 0);
  /** The last block that was read; what is stored lets a restart read again what is only in memory. */
  let cursor = state('block');
  if (String(sql.entry.get(cursor)?.['text'] ?? '') !== String(sql.state.get()?.['entry'] ?? '')) {
    // Of another store: this one was brought back from an older copy.
    db.exec('BEGIN');
    shards.clear();
    db.exec(`UPDATE state SET block = -1, entry = ''; COMMIT`);
    cursor = -1;
  }
  let open = new Map<string, Open>();
  let held = 0;

  /** @param isAll Nothing of the session was left out. */
  const put = (row: number, text: string, isAll: boolean): void => {
    // Also without any text: then it is known to have none.
    const words = indexed(text.slice(0, mostText));
    shards.put(row, isAll && text.length < mostText ? words : `${words} ${notAllWords}`);
  };
  const putAll = (row: number): void => {
    let text = '';
    let isAll = true;
    const joined = new JoinedTexts();
    for (const line of linesOf(row)) {
      isAll = text.length + joined.held < mostText;
      if (!isAll) break;
      const read = readSessionLine(line);
      if (read !== undefined && holdsTexts(read)) text += `${joined.add(read)}\n`;
    }
    put(row, text + joined.rest(), isAll);
  };
  const close = (key: string, session: Open): void => {
    open.delete(key);
    held -= session.texts.reduce((sum, text) => sum + text.length, session.joined.held);
    // Deleted while it went on.
    if (sql.rowExists.get(session.row) === undefined) return;
    if (session.whole) put(session.row, [...session.texts, session.joined.rest()].join('\n'), true);
    else putAll(session.row);
  };
  const readLine = (line: string, chain: number, block: number, now: number): void => {
    const read = readSessionLine(line);
    if (read === undefined) return;
    const { type, session: id } = read;
    const key = `${chain} ${id}`;
    let session = open.get(key);
    if (session === undefined) {
      const found = sql.row.get(Buffer.from(id, 'hex'), chain);
      // Deleted meanwhile.
      if (found === undefined) return;
      const row = Number(found['id']);
      // A start that came before belongs to a session that was begun twice.
      const known = shards.has(row);
      // Or the row was a deleted session's, whose words are there still.
      if (known && type === 'start') shards.mark([row]);
      const whole = type === 'start' && !known;
      session = { row, since: now, block, whole, texts: [], joined: new JoinedTexts() };
      open.set(key, session);
    }
    if (holdsTexts(read)) {
      held -= session.joined.held;
      const text = session.joined.add(read);
      session.texts.push(text);
      held += text.length + session.joined.held;
    } else if (type === 'end') close(key, session);
  };
  const closeWhere = (holds: (session: Open) => boolean): void => {
    for (const [key, session] of [...open]) if (holds(session)) close(key, session);
  };
  /** Shards in which something was dropped since it was looked whether anything is left in them. */
  const touched = new Set<number>();
  const drop = (): boolean => {
    const rows = sql.dropped.all(state('dropped'), stepDropped);
    for (const shard of shards.mark(rows.map(({ session }) => Number(session)))) touched.add(shard);
    const last = rows.at(-1);
    if (last !== undefined) sql.setDropped.all(Number(last['id']));
    return rows.length === stepDropped;
  };
  /** Drops one shard of which nothing is left, if there is one. */
  const dropShard = (): boolean => {
    for (const first of touched) {
      touched.delete(first);
      if (shards.dropEmpty(first)) return true;
    }
    return false;
  };
  const transaction = <Result>(run: () => Result): Result => {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = run();
      let settled = cursor;
      for (const { block } of open.values()) settled = Math.min(settled, block - 1);
      sql.setBlock.all(settled);
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      open = new Map();
      held = 0;
      cursor = state('block');
      shards.reset();
      throw error;
    }
  };

  const readBlocks = (now: number): boolean => {
    let bytes = 0;
    let blocks = 0;
    let more = false;
    for (const { id, chain, size, data } of sql.blocks.iterate(cursor, stepBlocks)) {
      more = ++blocks === stepBlocks;
      if (bytes >= stepBytes) {
        more = true;
        break;
      }
      cursor = Number(id);
      if (!(data instanceof Uint8Array)) continue;
      bytes += Number(size);
      for (const line of unpacked(data, Number(size))?.toString('utf8').split('\n') ?? [])
        readLine(line, Number(chain), cursor, now);
      if (held > mostHeld) closeWhere(() => true);
    }
    closeWhere(({ since }) => now - since >= openMs);
    return more;
  };
  /** The sweep that goes on: which rows of `dropped` it is about, and the shard that it is at, or was last. */
  let sweep: { readonly upTo: number; shard?: SweptShard; after?: number } | undefined;
  /** One step over a shard. @returns undefined: nothing of what was dropped is left in it */
  const sweepShard = (shard: SweptShard): SweptShard | undefined => {
    if (shards.dropEmpty(shard.first)) return undefined;
    const steps = shards.sweepOf(shard.first);
    if (shard.from !== undefined) return { ...shard, from: steps.removeGone(shard.from) };
    if (!shard.merging) steps.begin();
    else if (!steps.merge()) {
      shards.settle(shard);
      return undefined;
    }
    return { ...shard, merging: true };
  };

  return {
    step(now) {
      const more = transaction(() => {
        const unread = readBlocks(now);
        return drop() || unread;
      });
      return (touched.size > 0 && transaction(dropShard)) || more;
    },
    read: (now) => transaction(() => readBlocks(now)),
    flush: () => transaction(() => closeWhere(() => true)),
    behind: () => Number(sql.behind.get(cursor)?.['n'] ?? 0),
    dropped: () => state('dropped'),
    sweep() {
      if (sweep === undefined) {
        const upTo = state('dropped');
        if (upTo <= state('swept') && shards.next(undefined) === undefined) return false;
        sweep = { upTo };
      }
      try {
        if (sweep.shard === undefined) {
          const next = shards.next(sweep.after);
          if (next !== undefined) sweep.shard = { ...next, from: 0, merging: false };
        }
        const { shard, upTo } = sweep;
        if (shard !== undefined) {
          const left = transaction(() => sweepShard(shard));
          sweep = { upTo, after: shard.first, ...(left === undefined ? {} : { shard: left }) };
          return true;
        }
        sweep = undefined;
        transaction(() => void sql.setSwept.all(upTo));
      } catch (error) {
        sweep = undefined;
        throw error;
      }
      // What was written before stands in the log of the file until that is begun anew.
      db.exec('PRAGMA main.wal_checkpoint(TRUNCATE)');
      return false;
    },
  };
}

/** A shard that is being swept: its marks when that began, the row from which on it is looked for what is gone, or whether it is being merged. */
interface SweptShard extends ShardMarks {
  readonly from: number | undefined;
  readonly merging: boolean;
}

/** A text as the index takes it, which parts words at what is no letter. */
function indexed(text: string): string {
  if (!hasGrams(text)) return withoutMarks(text);
  const grams = new Set<string>();
  for (const gram of gramsOf(text)) {
    grams.add(gram);
    if (grams.size > mostGrams) break;
  }
  return [withoutMarks(withoutGrams(text)), ...grams, ...(grams.size > mostGrams ? [notAllWords] : [])].join(' ');
}
