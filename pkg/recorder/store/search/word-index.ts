import type { DatabaseSync } from 'node:sqlite';
import { unpacked } from '../compress.ts';
import { withoutMarks } from './fold-words.ts';
import { gramsOf, hasGrams, withoutGrams } from './grams.ts';
import { JoinedTexts } from './joined-texts.ts';
import { holdsTexts, readSessionLine } from './session-lines.ts';
import { notAllWords } from './not-all-words.ts';

/**
 * The words of sessions' texts, in a file of its own beside the store: it follows the store's blocks, and can be made again from them at
 * any time. It is the main database of a connection to which the store is attached as `record`.
 *
 * A session is indexed once, when its end has come; one that goes on for a minute is indexed as far as it is, and again later.
 */
export interface WordIndex {
  /** A bounded step: one transaction. False: nothing is left to do. @param now Epoch milliseconds. */
  step(now: number): boolean;
  /** Also sessions that go on. */
  flush(): void;
  /** Blocks that no step has reached. */
  behind(): number;
  /** The last row of `dropped` that has been dropped here. */
  dropped(): number;
  /** A bounded step that makes the index anew without the words of what was dropped. False: none of them are left in the file. */
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

/** Pages of the index that a step of a sweep writes, where nothing else is said. */
const usualPages = 500;
/** More than FTS5 leaves in one level, and what it is told of that otherwise. */
const emptySegments = 32;
const usual = { automerge: 4, crisismerge: 16 };

/** 3: pairs of characters where words are not parted; 4: words do not end at marks; 5: nor where a piece of a text ends. */
const version = 5;
const schema = `
  CREATE VIRTUAL TABLE words USING fts5 (
    text, content='', contentless_delete=1, detail=none, tokenize="unicode61 remove_diacritics 2"
  );
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

/**
 * @param linesOf All lines of a session's row.
 * @param sweepPages Pages of the index that a step of a sweep writes; default 500.
 */
export function createWordIndex(
  db: DatabaseSync,
  linesOf: (row: number) => Iterable<string>,
  sweepPages = usualPages,
): WordIndex {
  const pragma = (): number => Number(db.prepare('PRAGMA main.user_version').get()?.['user_version'] ?? 0);
  if (pragma() !== version) db.exec(schema);
  const sql = {
    state: db.prepare('SELECT block, entry, dropped, swept FROM state'),
    setBlock: db.prepare(
      `UPDATE state SET block = ?1, entry = ifnull((SELECT text FROM record.entry WHERE id = ?1), '')`,
    ),
    setDropped: db.prepare('UPDATE state SET dropped = ?'),
    setSwept: db.prepare('UPDATE state SET swept = ?'),
    merge: db.prepare(`INSERT INTO words (words, rank) VALUES ('merge', ?)`),
    config: db.prepare('INSERT INTO words (words, rank) VALUES (?, ?)'),
    changes: db.prepare('SELECT total_changes() AS n'),
    entry: db.prepare('SELECT text FROM record.entry WHERE id = ?'),
    blocks: db.prepare('SELECT id, chain, size, data FROM record.block WHERE id > ? ORDER BY id LIMIT ?'),
    behind: db.prepare('SELECT count(*) AS n FROM record.block WHERE id > ?'),
    row: db.prepare('SELECT id FROM record.session WHERE request = ? AND chain = ?'),
    rowExists: db.prepare('SELECT 1 FROM record.session WHERE id = ?'),
    dropped: db.prepare('SELECT id, session FROM record.dropped WHERE id > ? ORDER BY id LIMIT ?'),
    has: db.prepare('SELECT 1 FROM words WHERE rowid = ?'),
    remove: db.prepare('DELETE FROM words WHERE rowid = ?'),
    insert: db.prepare('INSERT INTO words (rowid, text) VALUES (?, ?)'),
  };
  const state = (name: 'block' | 'dropped' | 'swept'): number => Number(sql.state.get()?.[name] ?? 0);
  /** The last block that was read; what is stored lets a restart read again what is only in memory. */
  let cursor = state('block');
  if (String(sql.entry.get(cursor)?.['text'] ?? '') !== String(sql.state.get()?.['entry'] ?? '')) {
    // Of another store: this one was brought back from an older copy.
    db.exec(`BEGIN; INSERT INTO words (words) VALUES ('delete-all'); UPDATE state SET block = -1, entry = ''; COMMIT`);
    cursor = -1;
  }
  let open = new Map<string, Open>();
  let held = 0;

  /** @param isAll Nothing of the session was left out. */
  const put = (row: number, text: string, isAll: boolean): void => {
    // Not `run`: it reads the last row's id, which after a deletion from the index is one of the index's own, beyond 2^53.
    if (sql.has.get(row) !== undefined) sql.remove.all(row);
    // Also without any text: then it is known to have none.
    const words = indexed(text.slice(0, mostText));
    sql.insert.all(row, isAll && text.length < mostText ? words : `${words} ${notAllWords}`);
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
      const whole = type === 'start' && sql.has.get(row) === undefined;
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
  const drop = (): boolean => {
    const rows = sql.dropped.all(state('dropped'), stepDropped);
    for (const { session } of rows) {
      const row = Number(session);
      if (sql.rowExists.get(row) === undefined && sql.has.get(row) !== undefined) sql.remove.all(row);
    }
    const last = rows.at(-1);
    if (last !== undefined) sql.setDropped.all(Number(last['id']));
    return rows.length === stepDropped;
  };
  /** Rows of `dropped` whose words are gone when the sweep that goes on has come to its end. */
  let sweeping: number | undefined;
  /** Merges a part of the index; what is dropped is left out by that. @returns whether there was something to merge */
  const merge = (pages: number): boolean => {
    const changes = (): number => Number(sql.changes.get()?.['n']);
    const before = changes();
    // Not `run`, as in `put`.
    sql.merge.all(pages);
    return changes() - before >= 2;
  };
  /**
   * Begins a merge of all segments of the index (FTS5, The 'merge' Command: a negative number). FTS5 goes on with it only while no other level has
   * as many segments as it merges; what is indexed meanwhile makes up to 15. So it begins with more, of which nothing is left.
   */
  const beginMerge = (): void => {
    // A number would be bound as one with a fraction, which FTS5 does not take.
    const config = (name: string, value: number): void => void sql.config.all(name, BigInt(value));
    config('automerge', 0);
    config('crisismerge', 2 * emptySegments);
    // A row that does not follow on the one before makes a segment.
    for (let row = -1; row >= -emptySegments; row--) sql.insert.all(row, 'none');
    for (let row = -1; row >= -emptySegments; row--) sql.remove.all(row);
    merge(-sweepPages);
    config('automerge', usual.automerge);
    config('crisismerge', usual.crisismerge);
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
      throw error;
    }
  };

  return {
    step: (now) =>
      transaction(() => {
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
        return drop() || more;
      }),
    flush: () => transaction(() => closeWhere(() => true)),
    behind: () => Number(sql.behind.get(cursor)?.['n'] ?? 0),
    dropped: () => state('dropped'),
    sweep() {
      if (sweeping === undefined) {
        if (state('dropped') <= state('swept')) return false;
        const dropped = state('dropped');
        transaction(beginMerge);
        sweeping = dropped;
        return true;
      }
      const upTo = sweeping;
      if (transaction(() => merge(sweepPages))) return true;
      sweeping = undefined;
      transaction(() => void sql.setSwept.all(upTo));
      // What was written before stands in the log of the file until that is begun anew.
      db.exec('PRAGMA main.wal_checkpoint(TRUNCATE)');
      return false;
    },
  };
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
