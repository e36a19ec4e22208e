import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../base/index.ts';
import type { Seal } from '../../record/index.ts';
import { createAppender } from './append.ts';
import { createArchiveHolds } from './archive-holds.ts';
import { createArchiveTable } from './archive-table.ts';
import { unpacked } from './compress.ts';
import { guarded } from './guarded.ts';
import { createNameSweep } from './name-sweep.ts';
import { createNames } from './names.ts';
import { createPodTable } from './pod-table.ts';
import { countMs } from './port.ts';
import type { Addition, RecordStore, StoredHead } from './port.ts';
import { createRetention } from './retention.ts';
import { migrate } from './schema.ts';
import { createRoom } from './room.ts';
import { createReaderClient } from './search/reader-client.ts';
import type { Reader } from './search/reader.ts';
import { sumOf } from './held-bytes.ts';
import { StoreError, anotherWrote } from './store-error.ts';
import { openVolume, sizeOf } from './volume.ts';

export interface SqliteStoreOptions {
  /** The file; beside it are `-wal` and `-shm` of SQLite, `-words` (the index of words), `-reserve` (room to delete by), and `-lock`. */
  readonly path: string;
  /** Program of the thread that searches, where it is not the source beside this file: its bundle. */
  readonly thread?: URL;
  readonly clock: Clock;
  /** Bytes of pages that SQLite keeps in memory where it writes, and as many where it searches; default 32 MiB. */
  readonly cacheBytes?: number;
  /** Bytes of the file that keeps room on the volume, of which half stays free beside it; default 0: none. */
  readonly reserveBytes?: number;
  /** Spells entries of the log; default: without seals. */
  readonly seal?: Seal;
}

const lineFeed = 0x0a;
/** How long lines are kept, who signs them, and what the clock says: small and seldom, and a recorder deletes by them. */
const isOfStart = ({ entry: { type } }: Addition): boolean =>
  type === 'retention' || type === 'authorities' || type === 'clock';
const leastToOpen = 4 * 1024 * 1024;
/** How long a statement waits for a lock. */
const busyMs = 5_000;

/**
 * The embedded store: one SQLite file in WAL mode with `synchronous = FULL`, so that a commit has been fsynced when it
 * returns, and a crash of the machine loses nothing that was acknowledged.
 *
 * One process opens it at a time: a second waits 5 s for the lock and then fails. Whatever is read for people is read in a thread of its
 * own, over a connection of its own: a search that takes long holds up nothing that is taken in.
 *
 * @throws StoreError not_a_store, unavailable, in_use
 */
export function openSqliteStore(options: SqliteStoreOptions): RecordStore {
  const { path, clock, cacheBytes = 32 * 1024 * 1024, reserveBytes = 0 } = options;
  // SQLite's names of what is in no file: its lock and its words would be files of that name.
  if (path === '' || path === ':memory:') throw new StoreError('not_a_store', 'a store is a file');
  const volume = openVolume(`${path}-reserve`, reserveBytes);
  // SQLite needs some to open a file.
  if (volume.freeBytes < leastToOpen) volume.release();
  const lock = guarded(() => holdLock(`${path}-lock`));
  const db = guarded(() => {
    // Nothing in files of the system's temporary folder: a container with a read-only root has none.
    const opened = new DatabaseSync(path, { timeout: busyMs });
    try {
      opened.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = OFF;
        PRAGMA temp_store = MEMORY;
        PRAGMA trusted_schema = OFF;
        PRAGMA secure_delete = ON;
        PRAGMA cache_size = ${-Math.ceil(cacheBytes / 1024)};
        PRAGMA journal_size_limit = 67108864;
      `);
      migrate(opened);
      return opened;
    } catch (error) {
      opened.close();
      lock.close();
      throw error;
    }
  });
  const room = guarded(() => createRoom(db, volume, reserveBytes / 2));
  const names = createNames(db);
  const appender = guarded(() => createAppender(db, names, options.seal));
  const reader = createReaderClient(options.thread ?? new URL('./search/reader-thread.ts', import.meta.url), {
    path,
    cacheBytes: cacheBytes / 2,
  });
  /** Rows of `dropped` that are gone. */
  let forgotten = 0;
  const pods = createPodTable(db, names);
  const retention = createRetention(db, names, appender);
  const archive = createArchiveTable(db, names);
  const sql = {
    position: db.prepare('SELECT sequence, hash, newest FROM chain WHERE source = ? AND name = ?'),
    blockOf: db.prepare(
      `SELECT b.first, b.size, b.data FROM block b JOIN chain c ON c.id = b.chain
       WHERE c.source = ? AND c.name = ? AND b.first <= ? AND b.last >= ? ORDER BY b.first DESC LIMIT 1`,
    ),
    entries: db.prepare('SELECT id, text FROM entry WHERE id >= ? ORDER BY id LIMIT ?'),
    // As the indexes say it.
    authorities: db.prepare(
      `SELECT id, text FROM entry WHERE substr(text, 1, 27) = '{"v":1,"type":"authorities"' AND id < ? ORDER BY id DESC LIMIT 1`,
    ),
    allOf: {
      authorities: db.prepare(
        `SELECT id, text FROM entry WHERE substr(text, 1, 27) = '{"v":1,"type":"authorities"' AND id >= ? ORDER BY id LIMIT ?`,
      ),
      clock: db.prepare(
        `SELECT id, text FROM entry WHERE substr(text, 1, 21) = '{"v":1,"type":"clock"' AND id >= ? ORDER BY id LIMIT ?`,
      ),
    },
    retention: db.prepare(
      `SELECT id, text FROM entry WHERE substr(text, 1, 25) = '{"v":1,"type":"retention"' AND id < ? ORDER BY id DESC LIMIT 1`,
    ),
    node: db.prepare('SELECT hash FROM node WHERE level = ? AND idx = ?'),
    addHead: db.prepare('INSERT INTO head (size, at, root, text) VALUES (?, ?, ?, ?)'),
    heads: db.prepare('SELECT size, at, root, text FROM head WHERE size >= ? ORDER BY size LIMIT ?'),
    lastHead: db.prepare('SELECT size, at, root, text FROM head ORDER BY size DESC LIMIT 1'),
    sessionBlocks: db.prepare(
      `SELECT p.block FROM session s JOIN chain c ON c.id = s.chain JOIN part p ON p.session = s.id
       WHERE s.request = ? AND c.source = ? AND c.name = ? ORDER BY p.block LIMIT ?`,
    ),
    chain: db.prepare('SELECT id FROM chain WHERE source = ? AND name = ?'),
    openSessions: db.prepare(
      `SELECT request FROM session INDEXED BY session_open
       WHERE chain = ? AND sequence > ? AND sequence < ? AND endSequence IS NULL ORDER BY sequence, id LIMIT ?`,
    ),
    countOpen: db.prepare(
      `SELECT count(*) AS n FROM session INDEXED BY session_open
       WHERE chain = ? AND sequence > ? AND sequence < ? AND endSequence IS NULL`,
    ),
    counters: db.prepare('SELECT name, value FROM counter'),
    held: db.prepare(
      `SELECT n.text AS namespace, h.bytes FROM (SELECT namespace, sum(bytes) AS bytes FROM chain GROUP BY namespace) h
       JOIN name n ON n.id = h.namespace UNION ALL SELECT namespace, bytes FROM evidence_held`,
    ),
    retentionReached: db.prepare(`SELECT value FROM counter WHERE name = 'retentionReached'`),
    keepReached: db.prepare(`UPDATE counter SET value = max(value, ?) WHERE name = 'retentionReached'`),
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
        room.failed(error);
        appender.reset();
        throw error;
      }
    });

  const archiveHolds = createArchiveHolds(db, reader, () => retention.holds(), transaction);
  const nameSweep = createNameSweep(db, names, (from) => reader.ask('usedNames', from), transaction);
  /** Begins the log of the file anew, which has what was deleted in it, unless somebody reads by it now: then the next time. */
  const beginLogAnew = (): void => {
    db.exec('PRAGMA busy_timeout = 0');
    try {
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      db.exec(`PRAGMA busy_timeout = ${busyMs}`);
    }
  };
  /** The same, where that frees what is needed. */
  const makeRoom = (): void => {
    try {
      guarded(beginLogAnew);
    } catch (error) {
      // What is in the log is as safe there as in the file.
      if (!(error instanceof StoreError && error.code === 'unavailable')) throw error;
    }
    guarded(room.look);
  };

  const filesBytes = (): number =>
    ['', '-wal', '-words', '-words-wal'].reduce((sum, end) => sum + sizeOf(`${path}${end}`), 0);

  return {
    async position(source, chain) {
      return guarded(() => {
        const number = names.find(source);
        const row = number === undefined ? undefined : sql.position.get(number, chain);
        if (row === undefined) return undefined;
        const at = { sequence: Number(row['sequence']), hash: String(row['hash']) };
        return row['newest'] === null ? at : { ...at, newest: Number(row['newest']) };
      });
    },
    async append(additions) {
      const need = (): void => {
        // By these a recorder deletes by age.
        if (!additions.every(isOfStart)) guarded(room.need);
      };
      need();
      const add = (): void => transaction(() => appender.add(additions));
      try {
        add();
      } catch (error) {
        if (!room.full) throw error;
        // There may be pages for it, and only the log of the file that has grown too large for what is left beside it.
        makeRoom();
        need();
        add();
      }
    },
    async lineHash(source, chain, sequence) {
      return guarded(() => {
        const number = names.find(source);
        const row = number === undefined ? undefined : sql.blockOf.get(number, chain, sequence, sequence);
        if (!(row?.['data'] instanceof Uint8Array)) return undefined;
        const bytes = unpacked(row['data'], Number(row['size']));
        if (bytes === undefined) return undefined;
        let from = 0;
        for (let at = Number(row['first']); at < sequence; at++) from = bytes.indexOf(lineFeed, from) + 1;
        const end = bytes.indexOf(lineFeed, from);
        // The line ends with its hash, a quote and a brace.
        return bytes.toString('latin1', end - 66, end - 2);
      });
    },
    async learn(report, now) {
      return transaction(() => pods.learn(report, now));
    },
    async presentSources() {
      return guarded(() => pods.present());
    },
    async returned(source) {
      guarded(() => pods.returned(source));
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
      if (!room.forWords) return false;
      const { more, dropped } = await reader.ask('index', clock.now());
      if (dropped > forgotten) retention.forgotten(dropped);
      forgotten = dropped;
      return more;
    },
    search: (query) => reader.ask('search', query, clock.now()),
    async *sessionLines(id, of, after = 0) {
      for (let block: number | undefined = -1; block !== undefined;) {
        const page: ReturnType<Reader['sessionLines']> = await reader.ask('sessionLines', id, of, after, block);
        yield* page.lines;
        block = page.next;
      }
    },
    async entries(from, atMost) {
      return guarded(() =>
        sql.entries.all(from, atMost).map((row) => ({ index: Number(row['id']), text: String(row['text']) })),
      );
    },
    async lastOf(type, before = Number.MAX_SAFE_INTEGER) {
      return guarded(() => {
        const row = sql[type].get(before);
        return row === undefined ? undefined : { index: Number(row['id']), text: String(row['text']) };
      });
    },
    async allOf(type, from, atMost) {
      return guarded(() =>
        sql.allOf[type].all(from, atMost).map((row) => ({ index: Number(row['id']), text: String(row['text']) })),
      );
    },
    async node(level, idx) {
      const found = guarded(() => sql.node.get(level, idx)?.['hash']);
      if (!(found instanceof Uint8Array)) throw new StoreError('not_found', 'that subtree is not full');
      return found;
    },
    blockLines: (entry) => reader.ask('blockLines', entry),
    log: async () => appender.log(),
    latest: () => appender.log().at,
    async addHead(sign) {
      return guarded(() => {
        const log = appender.log();
        if (log.size === 0 || Number(sql.lastHead.get()?.['size'] ?? 0) >= log.size) return undefined;
        const head = sign(log);
        sql.addHead.run(head.size, head.at, head.root, head.text);
        appender.notBefore(head.at);
        return head;
      });
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
    async openSessions({ source, chain }, { after, before }, atMost) {
      return guarded(() => {
        const number = names.find(source);
        const row = number === undefined ? undefined : sql.chain.get(number, chain);
        if (row === undefined) return { sessions: [], count: 0 };
        const range = [Number(row['id']), after, before] as const;
        const sessions = sql.openSessions
          .all(...range, atMost)
          .map(({ request }) => Buffer.from(request as Uint8Array).toString('hex'));
        const all = sessions.length < atMost ? sessions.length : Number(sql.countOpen.get(...range)?.['n']);
        return { sessions, count: all };
      });
    },
    async sessionBlocks(id, { source, chain }, atMost) {
      return guarded(() => {
        const number = names.find(source);
        if (number === undefined) return [];
        const rows = sql.sessionBlocks.all(Buffer.from(id, 'hex'), number, chain, atMost);
        return rows.map((row) => Number(row['block']));
      });
    },
    async deleteOld(rule, now, atMost) {
      // What is deleted is written once more, in the log of the file: a few at a time need less room.
      const { tight } = room;
      for (let most = tight ? Math.ceil(atMost / 8) : atMost; ; most = Math.floor(most / 2))
        try {
          const step = transaction(() => retention.deleteOld(rule, now, most));
          if (step.deleted > 0 && tight) makeRoom();
          return step;
        } catch (error) {
          if (!room.full || most <= 1) throw error;
          makeRoom();
        }
    },
    async sweep() {
      const words = room.forWords && (await reader.ask('sweepWords'));
      if ((await nameSweep.step()) || words) return true;
      guarded(beginLogAnew);
      return false;
    },
    async retentionReached() {
      return guarded(() => Number(sql.retentionReached.get()?.['value'] ?? 0));
    },
    async keepRetentionReached(at) {
      guarded(() => void sql.keepReached.run(Math.floor(at)));
    },
    async placeHold(hold) {
      return transaction(() => retention.place(hold));
    },
    async releaseHold(release) {
      return transaction(() => retention.release(release));
    },
    async holds() {
      return guarded(() => retention.holds());
    },
    async countHeld(id) {
      const hold = guarded(() => retention.holds().find((one) => one.id === id));
      return hold === undefined ? { sessions: 0, blocks: 0, whole: true } : reader.ask('countHeld', hold, countMs);
    },
    async holdsVersion() {
      return guarded(() => retention.version());
    },
    archiveHolds,
    async archivable(from, atMost) {
      return guarded(() => archive.entries(from, atMost));
    },
    async archived() {
      return guarded(() => archive.mark());
    },
    async moveArchived(from, to) {
      return transaction(() => archive.move(from, to));
    },
    async restore(entries) {
      transaction(() => {
        for (const one of entries) {
          if (one.index !== appender.log().size) throw anotherWrote();
          if (one.entry.type === 'deleted' || one.entry.type === 'hold') {
            appender.addEntry(one.entry, one.text);
            retention.restore(one.entry);
          } else {
            appender.add([one as Addition]);
            if (one.entry.type === 'vanished' || one.entry.type === 'block') pods.restore(one.entry, !('pod' in one));
          }
        }
      });
    },
    async held() {
      return guarded(() => sumOf(sql.held.all()));
    },
    async space() {
      return guarded(() => ({
        usedBytes: filesBytes(),
        volume: { freeBytes: volume.freeBytes + room.freePageBytes, sizeBytes: volume.sizeBytes },
      }));
    },
    async stats() {
      const unindexed = await reader.ask('behind');
      if (!room.full && reserveBytes > 0) await volume.keep();
      return guarded(() => {
        const counters = new Map(sql.counters.all().map((row) => [String(row['name']), Number(row['value'])]));
        return {
          entries: appender.log().size,
          blocks: counters.get('blocks') ?? 0,
          events: counters.get('events') ?? 0,
          sessions: counters.get('sessions') ?? 0,
          lineBytes: counters.get('lineBytes') ?? 0,
          diskBytes: filesBytes(),
          unindexed,
          volume: {
            freeBytes: volume.freeBytes,
            sizeBytes: volume.sizeBytes,
            reserveBytes: volume.reserveBytes,
            full: room.full,
          },
        };
      });
    },
    async close() {
      await reader.close();
      if (db.isOpen) db.close();
      if (lock.isOpen) lock.close();
    },
  };
}

const headOf = (row: Readonly<Record<string, unknown>>): StoredHead => ({
  size: Number(row['size']),
  at: Number(row['at']),
  root: String(row['root']),
  text: String(row['text']),
});

/** An open transaction on a file of its own: the system ends it with the process, however that ends. */
function holdLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(path, { timeout: 5_000 });
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    // SQLITE_BUSY
    if (((error as { readonly errcode?: number }).errcode ?? 0) % 256 === 5)
      throw new StoreError('in_use', 'another process has the store open: a recorder, or audit restore', {
        cause: error,
      });
    throw error;
  }
}
