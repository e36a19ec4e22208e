import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { damagedLines, unpacked } from '../compress.ts';
import { guarded } from '../guarded.ts';
import { createHoldMatcher } from '../hold-match.ts';
import { createHeldCounter, createHeldBetween } from '../hold-facts.ts';
import { createNameReader } from '../name-sweep.ts';
import type { UsedNames } from '../name-sweep.ts';
import { createNames } from '../names.ts';
import type { HeldCount, Hold, SessionChain, SessionPage, SessionQuery } from '../port.ts';
import { createSearch } from './query.ts';
import { linesOfSession } from './session-lines.ts';
import { createWordIndex } from './word-index.ts';
import { lookForPartly } from './partly.ts';
import type { Partly } from './partly.ts';
import { mostCounted, sealedCount, sealedWords } from './sealed-words.ts';
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
  /** How much goes with a hold, as far as the time goes. */
  countHeld(hold: Pick<Hold, 'id' | 'terms'>, forMs: number): HeldCount;
  /** What `between` of the holds in the archive says. */
  heldBetween(
    first: number,
    end: number,
    holds: readonly Pick<Hold, 'id' | 'terms'>[],
  ): { readonly held: readonly number[]; readonly gone: boolean };
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
  const countHeld = createHeldCounter(db, names);
  const heldBetween = createHeldBetween(db, names);
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
  const ofOneState = <Answer>(read: () => Answer): Answer => {
    db.exec('BEGIN');
    try {
      const swept = Number(sql.sweeps.get()?.['value'] ?? 0);
      if (swept !== sweeps) names.forget();
      sweeps = swept;
      return read();
    } finally {
      if (db.isTransaction) db.exec('COMMIT');
    }
  };
  const findNow = (query: SessionQuery): SessionPage => ofOneState(() => find(query));
  const partlyOf = (query: SessionQuery): Partly => {
    const looking = lookForPartly(query);
    let step = looking.next();
    while (step.done !== true) step = looking.next(findNow(step.value));
    return step.value;
  };

  return {
    search(query, now) {
      return guarded(() => {
        if (query.text === undefined) return { ...findNow(query), ...partlyOf(query) };
        const until = performance.now() + catchUpMs;
        while (words.read(now) && performance.now() < until);
        words.flush();
        const unsearched = words.behind();
        const isFirst = query.cursor === undefined;
        const sealed = isFirst ? sealedCount(findNow({ ...query, text: sealedWords, limit: mostCounted })) : {};
        return {
          ...findNow(query),
          ...(unsearched === 0 ? {} : { unsearched }),
          ...partlyOf(query),
          ...sealed,
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
        if (!(row?.['data'] instanceof Uint8Array)) return undefined;
        return unpacked(row['data'], Number(row['size'])) ?? damagedLines;
      });
    },
    index: (now) => guarded(() => ({ more: words.step(now), dropped: words.dropped() })),
    behind: () => guarded(() => words.behind()),
    sweepWords: () => guarded(() => words.sweep()),
    usedNames: (from) => guarded(() => usedNames(from)),
    countHeld: (hold, forMs) => guarded(() => ofOneState(() => countHeld(createHoldMatcher([hold]), forMs))),
    heldBetween: (first, end, holds) => guarded(() => ofOneState(() => heldBetween(first, end, holds))),
    close() {
      if (db.isOpen) db.close();
    },
  };
}
