import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { decompress } from '../compress.ts';
import { guarded } from '../guarded.ts';
import { createNameReader } from '../name-sweep.ts';
import type { UsedNames } from '../name-sweep.ts';
import { createNames } from '../names.ts';
import type { SessionChain, SessionPage, SessionQuery } from '../port.ts';
import { createSearch } from './query.ts';
import { linesOfSession } from './session-lines.ts';
import { createWordIndex } from './word-index.ts';
import { mostNamed, notAllWords } from './not-all-words.ts';
import type { WordIndex } from './word-index.ts';

/** What reads the store on behalf of people, beside what writes it. Each call takes as long as it takes: it has a thread of its own. */
export interface Reader {
  search(query: SessionQuery, now: number): SessionPage;
  /** Lines of a session of a chain behind one (0: all), in the blocks after `block` (-1: all), of some of them; `next` is where to go on. */
  sessionLines(
    id: string,
    of: SessionChain,
    after: number,
    block: number,
  ): { readonly lines: readonly string[]; readonly next: number | undefined };
  blockLines(entry: number): Uint8Array | undefined;
  /** A bounded step of the index of words. */
  index(now: number): { readonly more: boolean; readonly dropped: number };
  /** Blocks whose words are not in the index yet. */
  behind(): number;
  /** A bounded step that takes what was deleted out of the file of words. False: nothing is left to do. */
  sweepWords(): boolean;
  /** Names that sessions from one on have. */
  usedNames(from: number): UsedNames;
  close(): void;
}

export interface ReaderOptions {
  /** The file of the store. */
  readonly path: string;
  /** Bytes of pages that are kept in memory for each of the two files. */
  readonly cacheBytes: number;
}

/** A search by text that meets a backlog of the index works on it for so long, then says how much it has not seen. */
const catchUpMs = 1_000;
const linesAtOnce = 4 * 1024 * 1024;

/** @throws StoreError */
export function openReader({ path, cacheBytes }: ReaderOptions): Reader {
  const wordsPath = `${path}-words`;
  const attach = (): DatabaseSync => {
    const db = new DatabaseSync(wordsPath, { timeout: 5_000 });
    try {
      const kilobytes = -Math.ceil(cacheBytes / 1024);
      const store = `${pathToFileURL(path).href.replaceAll("'", "''")}?mode=ro`;
      db.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA temp_store = MEMORY;
        PRAGMA trusted_schema = OFF;
        PRAGMA secure_delete = ON;
        PRAGMA cache_size = ${kilobytes};
        PRAGMA journal_size_limit = 67108864;
        ATTACH '${store}' AS record;
        PRAGMA record.cache_size = ${kilobytes};
      `);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  };
  const open = (): { readonly db: DatabaseSync; readonly words: WordIndex } => {
    const db = attach();
    const parts = db.prepare(
      `SELECT b.data, b.size, hex(s.request) AS request FROM record.part p JOIN record.block b ON b.id = p.block
       JOIN record.session s ON s.id = p.session WHERE p.session = ? ORDER BY p.block`,
    );
    const words = createWordIndex(db, function* (row) {
      for (const part of parts.iterate(row)) yield* linesOfSession(part, String(part['request']).toLowerCase());
    });
    return { db, words };
  };
  const { db, words } = guarded(() => {
    try {
      return open();
    } catch {
      // It can be made again from the store: what is wrong with that is said now.
      for (const file of [wordsPath, `${wordsPath}-wal`, `${wordsPath}-shm`]) rmSync(file, { force: true });
      return open();
    }
  });
  const names = createNames(db);
  const find = createSearch(db, names);
  const usedNames = createNameReader(db);
  const sql = {
    sweeps: db.prepare(`SELECT value FROM record.counter WHERE name = 'sweeps'`),
    block: db.prepare('SELECT data, size FROM record.block WHERE id = ?'),
    parts: db.prepare(
      `SELECT p.block, b.data, b.size FROM record.session s JOIN record.chain c ON c.id = s.chain
       JOIN record.part p ON p.session = s.id JOIN record.block b ON b.id = p.block
       WHERE s.request = ? AND c.source = ? AND c.name = ? AND p.block > ? AND b.last > ? ORDER BY p.block`,
    ),
  };

  let sweeps = -1;
  /** A question of one state of the store: a name that is removed meanwhile, and comes again by another number, is not looked for by the old one. */
  const findNow = (query: SessionQuery): SessionPage => {
    db.exec('BEGIN');
    try {
      const swept = Number(sql.sweeps.get()?.['value'] ?? 0);
      if (swept !== sweeps) names.forget();
      sweeps = swept;
      return find(query);
    } finally {
      if (db.isTransaction) db.exec('COMMIT');
    }
  };

  return {
    search(query, now) {
      return guarded(() => {
        if (query.text === undefined) return findNow(query);
        const until = performance.now() + catchUpMs;
        while (words.step(now) && performance.now() < until);
        words.flush();
        const unsearched = words.behind();
        const partly =
          query.cursor === undefined ? findNow({ ...query, text: notAllWords, limit: mostNamed }).sessions : [];
        return {
          ...findNow(query),
          ...(unsearched === 0 ? {} : { unsearched }),
          ...(partly.length === 0 ? {} : { partly: partly.map(({ session }) => session) }),
        };
      });
    },
    sessionLines(id, of, after, block) {
      return guarded(() => {
        const lines: string[] = [];
        let size = 0;
        const source = names.find(of.source);
        if (source === undefined) return { lines, next: undefined };
        for (const row of sql.parts.iterate(Buffer.from(id, 'hex'), source, of.chain, block, after)) {
          if (size >= linesAtOnce) return { lines, next: block };
          block = Number(row['block']);
          for (const line of linesOfSession(row, id, after)) {
            lines.push(line);
            size += line.length;
          }
        }
        return { lines, next: undefined };
      });
    },
    blockLines(entry) {
      return guarded(() => {
        const row = sql.block.get(entry);
        return row?.['data'] instanceof Uint8Array ? decompress(row['data'], Number(row['size'])) : undefined;
      });
    },
    index: (now) => guarded(() => ({ more: words.step(now), dropped: words.dropped() })),
    behind: () => guarded(() => words.behind()),
    sweepWords: () => guarded(() => words.sweep()),
    usedNames: (from) => guarded(() => usedNames(from)),
    close() {
      if (db.isOpen) db.close();
    },
  };
}
