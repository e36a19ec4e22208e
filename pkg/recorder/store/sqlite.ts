import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { errorCode } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { createAppender } from './append.ts';
import { decompress } from './compress.ts';
import { createNames } from './names.ts';
import { createPodTable } from './pod-table.ts';
import type { RecordStore, StoredHead } from './port.ts';
import { migrate } from './schema.ts';
import { createSearch } from './search.ts';
import { StoreError } from './store-error.ts';
import { createIndexer } from './word-index.ts';

export interface SqliteStoreOptions {
  /** The file; beside it SQLite keeps `-wal` and `-shm`. */
  readonly path: string;
  readonly clock: Clock;
  /** Bytes of pages that SQLite keeps in memory; default 64 MiB. */
  readonly cacheBytes?: number;
}

const lineFeed = 0x0a;

/**
 * The embedded store: one SQLite file in WAL mode with `synchronous = FULL`, so that a commit has been fsynced when it
 * returns, and a crash of the machine loses nothing that was acknowledged.
 *
 * One process opens it at a time: a second waits 5 s for the lock and then fails.
 *
 * @throws StoreError not_a_store, unavailable
 */
export function openSqliteStore(options: SqliteStoreOptions): RecordStore {
  const { path, clock, cacheBytes = 64 * 1024 * 1024 } = options;
  const db = guarded(() => {
    const opened = new DatabaseSync(path, { timeout: 5_000 });
    try {
      opened.exec(`
        PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = OFF;
        PRAGMA trusted_schema = OFF;
        PRAGMA secure_delete = ON;
        PRAGMA cache_size = ${-Math.ceil(cacheBytes / 1024)};
        PRAGMA journal_size_limit = 67108864;
      `);
      migrate(opened);
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  });
  const names = createNames(db);
  const appender = guarded(() => createAppender(db, names));
  const find = createSearch(db, names);
  const pods = createPodTable(db, names);
  const sql = {
    position: db.prepare('SELECT sequence, hash FROM chain WHERE source = ? AND name = ?'),
    blockOf: db.prepare(
      `SELECT b.first, b.size, b.data FROM block b JOIN chain c ON c.id = b.chain
       WHERE c.source = ? AND c.name = ? AND b.first <= ? AND b.last >= ? ORDER BY b.first DESC LIMIT 1`,
    ),
    parts: db.prepare(
      `SELECT b.id, b.data, b.size, s.request FROM part p JOIN block b ON b.id = p.block JOIN session s ON s.id = p.session
       WHERE p.session = ? ORDER BY p.block`,
    ),
    sessions: db.prepare('SELECT id FROM session WHERE request = ? ORDER BY id'),
    entries: db.prepare('SELECT id, text FROM entry WHERE id >= ? ORDER BY id LIMIT ?'),
    authorities: db.prepare(
      `SELECT text FROM entry WHERE substr(text, 1, 27) = '{"v":1,"type":"authorities"' ORDER BY id DESC LIMIT 1`,
    ),
    node: db.prepare('SELECT hash FROM node WHERE level = ? AND idx = ?'),
    block: db.prepare('SELECT data, size FROM block WHERE id = ?'),
    saveHead: db.prepare('INSERT OR IGNORE INTO head (size, at, root, text) VALUES (?, ?, ?, ?)'),
    heads: db.prepare('SELECT size, at, root, text FROM head WHERE size >= ? ORDER BY size LIMIT ?'),
    lastHead: db.prepare('SELECT size, at, root, text FROM head ORDER BY size DESC LIMIT 1'),
    sessionBlocks: db.prepare(
      `SELECT DISTINCT p.block FROM session s JOIN part p ON p.session = s.id WHERE s.request = ? ORDER BY p.block LIMIT ?`,
    ),
    old: db.prepare(
      'SELECT id, size, count FROM block WHERE received < ? AND data IS NOT NULL ORDER BY received LIMIT ?',
    ),
    forget: db.prepare('UPDATE block SET data = NULL WHERE id = ?'),
    forgetParts: db.prepare('DELETE FROM part WHERE block = ? RETURNING session'),
    hasParts: db.prepare('SELECT 1 FROM part WHERE session = ? LIMIT 1'),
    forgetSession: db.prepare('DELETE FROM session WHERE id = ?'),
    forgetTags: db.prepare('DELETE FROM tag WHERE session = ?'),
    forgetWords: db.prepare('DELETE FROM words WHERE rowid = ?'),
    forgetIndex: db.prepare('DELETE FROM unindexed WHERE session = ?'),
    counters: db.prepare('SELECT name, value FROM counter'),
    unindexed: db.prepare('SELECT count(*) AS n FROM unindexed'),
    count: db.prepare('UPDATE counter SET value = value + ? WHERE name = ?'),
  };

  const transaction = <Result>(run: () => Result): Result =>
    guarded(() => {
      db.exec('BEGIN IMMEDIATE');
      try {
        const result = run();
        db.exec('COMMIT');
        return result;
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK');
        appender.reset();
        throw error;
      }
    });

  /** The block that was read last: sessions of one are asked for one after the other. */
  let lastBlock: { readonly id: number; readonly bytes: Buffer } | undefined;
  const blockBytes = (id: number, data: Uint8Array, size: number): Buffer => {
    if (lastBlock?.id !== id) lastBlock = { id, bytes: decompress(data, size) };
    return lastBlock.bytes;
  };
  const linesOf = function* (session: number): Generator<string> {
    for (const row of sql.parts.all(session)) {
      if (!(row['data'] instanceof Uint8Array)) continue;
      const request = Buffer.from(row['request'] as Uint8Array).toString('hex');
      const bytes = blockBytes(Number(row['id']), row['data'], Number(row['size']));
      // A line that is not of the session may quote its id in a text: quotes are escaped there.
      const mark = Buffer.from(`,"session":"${request}"`);
      let from = 0;
      while (from < bytes.length) {
        const to = bytes.indexOf(lineFeed, from);
        const end = to === -1 ? bytes.length : to;
        if (bytes.subarray(from, end).includes(mark)) yield bytes.toString('utf8', from, end);
        from = end + 1;
      }
    }
  };
  const index = createIndexer(db, linesOf, () => clock.now());

  return {
    async position(source, chain) {
      return guarded(() => {
        const number = names.find(source);
        const row = number === undefined ? undefined : sql.position.get(number, chain);
        return row === undefined ? undefined : { sequence: Number(row['sequence']), hash: String(row['hash']) };
      });
    },
    async append(additions) {
      transaction(() => appender.add(additions));
    },
    async lineHash(source, chain, sequence) {
      return guarded(() => {
        const number = names.find(source);
        const row = number === undefined ? undefined : sql.blockOf.get(number, chain, sequence, sequence);
        if (!(row?.['data'] instanceof Uint8Array)) return undefined;
        const bytes = decompress(row['data'], Number(row['size']));
        let from = 0;
        for (let at = Number(row['first']); at < sequence; at++) from = bytes.indexOf(lineFeed, from) + 1;
        const end = bytes.indexOf(lineFeed, from);
        // The line ends with its hash, a quote and a brace.
        return bytes.toString('latin1', end - 66, end - 2);
      });
    },
    async learn(report, now) {
      transaction(() => pods.learn(report, now));
    },
    async presentSources() {
      return guarded(() => pods.present());
    },
    async departed(before, atMost) {
      return guarded(() => pods.departed(before, atMost));
    },
    async settle(chain, additions) {
      transaction(() => {
        appender.add(additions);
        pods.settle(chain);
      });
    },
    async index() {
      return transaction(() => index(false));
    },
    async search(query) {
      if (query.text !== undefined) while (transaction(() => index(true)));
      return guarded(() => find(query));
    },
    async *sessionLines(id) {
      const rows = guarded(() => sql.sessions.all(Buffer.from(id, 'hex')));
      for (const row of rows) for (const line of linesOf(Number(row['id']))) yield line;
    },
    async entries(from, atMost) {
      return guarded(() =>
        sql.entries.all(from, atMost).map((row) => ({ index: Number(row['id']), text: String(row['text']) })),
      );
    },
    async lastAuthorities() {
      return guarded(() => {
        const text = sql.authorities.get()?.['text'];
        return text === undefined ? undefined : String(text);
      });
    },
    async node(level, idx) {
      const found = guarded(() => sql.node.get(level, idx)?.['hash']);
      if (!(found instanceof Uint8Array)) throw new StoreError('not_found', 'that subtree is not full');
      return found;
    },
    async blockLines(entry) {
      return guarded(() => {
        const row = sql.block.get(entry);
        return row?.['data'] instanceof Uint8Array ? decompress(row['data'], Number(row['size'])) : undefined;
      });
    },
    log: () => appender.log(),
    async saveHead({ size, at, root, text }) {
      guarded(() => sql.saveHead.all(size, at, root, text));
      appender.notBefore(at);
    },
    async heads(size, atMost) {
      return guarded(() => sql.heads.all(size, atMost).map(headOf));
    },
    async lastHead() {
      return guarded(() => {
        const row = sql.lastHead.get();
        return row === undefined ? undefined : headOf(row);
      });
    },
    async sessionBlocks(id, atMost) {
      return guarded(() => sql.sessionBlocks.all(Buffer.from(id, 'hex'), atMost).map((row) => Number(row['block'])));
    },
    async deleteBefore(before, now, atMost) {
      return transaction(() => {
        const rows = sql.old.all(before, atMost);
        for (const row of rows) {
          const id = Number(row['id']);
          // Not `run` here: see word-index.ts.
          for (const part of sql.forgetParts.all(id)) {
            const session = Number(part['session']);
            if (sql.hasParts.get(session) !== undefined) continue;
            for (const statement of [sql.forgetSession, sql.forgetTags, sql.forgetWords, sql.forgetIndex])
              statement.all(session);
            sql.count.all(-1, 'sessions');
          }
          sql.forget.all(id);
          appender.addEntry({ type: 'deleted', at: now, entry: id, why: 'retention' });
          sql.count.all(-1, 'blocks');
          sql.count.all(-Number(row['count']), 'events');
          sql.count.all(-Number(row['size']), 'lineBytes');
        }
        return rows.length;
      });
    },
    async stats() {
      return guarded(() => {
        const counters = new Map(sql.counters.all().map((row) => [String(row['name']), Number(row['value'])]));
        return {
          blocks: counters.get('blocks') ?? 0,
          events: counters.get('events') ?? 0,
          sessions: counters.get('sessions') ?? 0,
          lineBytes: counters.get('lineBytes') ?? 0,
          diskBytes: sizeOf(path) + sizeOf(`${path}-wal`),
          unindexed: Number(sql.unindexed.get()?.['n'] ?? 0),
        };
      });
    },
    async close() {
      if (db.isOpen) db.close();
    },
  };
}

const headOf = (row: Readonly<Record<string, unknown>>): StoredHead => ({
  size: Number(row['size']),
  at: Number(row['at']),
  root: String(row['root']),
  text: String(row['text']),
});

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

/** SQLite's errors as ours; its wording may hold what was asked for. */
function guarded<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const code = errorCode(error);
    if (code !== 'ERR_SQLITE_ERROR' && code !== 'ERR_INVALID_STATE') throw error;
    const number = (error as { readonly errcode?: number }).errcode ?? 0;
    // SQLITE_CORRUPT, SQLITE_NOTADB
    if ((number & 0xff) === 11) throw new StoreError('corrupt', 'the file of the store is damaged', { cause: error });
    if ((number & 0xff) === 26)
      throw new StoreError('not_a_store', 'the file is not a store of records', { cause: error });
    throw new StoreError('unavailable', 'the store cannot be read or written', { cause: error });
  }
}
