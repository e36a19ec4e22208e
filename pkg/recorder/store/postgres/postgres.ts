import type { Clock } from '../../../base/index.ts';
import type { Seal } from '../../../record/index.ts';
import { createHoldMatcher } from '../hold-match.ts';
import { countMs } from '../port.ts';
import type { SessionQuery, SharedStore, StoredHead, StoreUse } from '../port.ts';
import { sumOf } from '../held-bytes.ts';
import { lookForPartly } from '../search/partly.ts';
import type { Partly } from '../search/partly.ts';
import { mostCounted, sealedCount, sealedWords } from '../search/sealed-words.ts';
import { StoreError } from '../store-error.ts';
import { createAppender } from './append.ts';
import { createArchiveHolds } from './archive-holds.ts';
import { archivable, archived, moveArchived, restore } from './archive.ts';
import { claim, needFree } from './claim.ts';
import type { Claim } from './claim.ts';
import { departed, learn, presentSources, returned, settle } from './chains.ts';
import { openDatabase } from './connection.ts';
import type { DatabaseOptions, Row } from './connection.ts';
import { countHeld } from './hold-facts.ts';
import { createLog } from './log.ts';
import { createNameSweep } from './name-sweep.ts';
import { createNames } from './names.ts';
import { createNodeReader } from './nodes.ts';
import { createPartitions, dayMs, dropEmpty } from './partitions.ts';
import { blockLines, lineHash, openSessions, sessionBlocks, sessionLines } from './reading.ts';
import {
  createHoldReader,
  deleteOld,
  holdsVersion,
  oldBlocks,
  placeHold,
  readHolds,
  releaseHold,
} from './retention.ts';
import { migrate, needStore } from './schema.ts';
import { createSearch } from './search.ts';
import { createShipTable } from './shipping.ts';
import { createStreamTable } from './streams.ts';
import { createWordIndex } from './word-index.ts';

export interface PostgresStoreOptions extends Pick<DatabaseOptions, 'dsn' | 'ca'> {
  readonly clock: Clock;
  /** Where the tables are, made where it is not there; default `sidegate`. Lower-case letters, digits and `_`. */
  readonly schema?: string;
  /** After which a recorder that has stalled in a transaction loses it, default 5 s. */
  readonly stallMs?: number;
  /** Spells entries of the log; default: without seals. */
  readonly seal?: Seal;
  /** Default: nobody is kept out by it; it takes nothing either while a restoration goes on. */
  readonly use?: StoreUse;
}

/** A search by text that meets a backlog of the index works on it for so long, then says how much it has not seen. */
const catchUpMs = 1_000;
const busyMs = 20;

/**
 * A store in a Postgres database, for as many recorders as like: each transaction has its turn at the log (log.ts), and what it adds to a
 * chain must follow on what is stored of it then. A commit has been written to the server's disk when it returns (`synchronous_commit`), and to
 * that of the standbys that the server waits for.
 *
 * @throws StoreError not_a_store, unavailable, in_use
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<SharedStore> {
  const { clock, schema = 'sidegate', stallMs = 5_000, use } = options;
  if (!/^[a-z][a-z0-9_]{0,40}$/.test(schema)) throw new StoreError('not_a_store', 'that is no name of a schema');
  const database = openDatabase({ ...options, schema, stallMs });
  const { read, write } = database;
  // Names that were found, and those that a transaction writes, are kept apart: the latter may not come to be.
  const [names, written] = [createNames(), createNames()];
  const days = createPartitions('block', dayMs);
  let removed = 0;
  let claimed: Claim | undefined;
  const log = createLog(database, {
    onTurn(row) {
      // Of another recorder, or of this one.
      if (Number(row?.['names_removed']) !== removed) written.forget();
      removed = Number(row?.['names_removed']);
      written.note(Number(row?.['names_sweep']));
    },
    onFailure() {
      written.forget();
      days.forget();
    },
    seal: options.seal,
    restoration: () => claimed?.restoration,
  });
  try {
    if (use !== undefined) await needFree(database, schema, use);
    await migrate(database, schema);
    if (use !== undefined) claimed = await claim(database, use, clock);
    await log.state();
  } catch (error) {
    await claimed?.release();
    await database.close();
    throw error;
  }
  const append = createAppender(written, days);
  const search = createSearch(read, names);
  const words = createWordIndex(database);
  const holdsNow = createHoldReader(read);
  const nameSweep = createNameSweep(database, log);
  const sourceNumber = async (source: string): Promise<number | undefined> =>
    (await names.find(write, [source]))(source);
  const catchUp = async (): Promise<number> => {
    const until = performance.now() + catchUpMs;
    for (let done = false; !done && performance.now() < until;) {
      const step = await words.step(clock.now(), true);
      done = step === 'done';
      if (step === 'busy') await new Promise((resolve) => setTimeout(resolve, busyMs));
    }
    return words.behind();
  };

  const partlyOf = async (query: SessionQuery): Promise<Partly> => {
    const looking = lookForPartly(query);
    let step = looking.next();
    while (step.done !== true) step = looking.next(await search(step.value));
    return step.value;
  };

  const diskBytes = async (): Promise<number> => {
    const [disk] = await read(
      `SELECT sum(pg_total_relation_size(c.oid))::bigint AS bytes FROM pg_class c
       WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`,
    );
    return Number(disk?.['bytes']);
  };

  return {
    async position(source, chain) {
      const number = await sourceNumber(source);
      if (number === undefined) return undefined;
      const [row] = await write('SELECT sequence, hash, newest FROM chain WHERE source = $1 AND name = $2', [
        number,
        chain,
      ]);
      if (row === undefined) return undefined;
      const at = { sequence: Number(row['sequence']), hash: String(row['hash']) };
      return row['newest'] === null ? at : { ...at, newest: Number(row['newest']) };
    },
    append: (additions) => log.turn((turn) => append(turn, additions)),
    async lineHash(source, chain, sequence) {
      const number = await sourceNumber(source);
      return number === undefined ? undefined : lineHash(write, number, chain, sequence);
    },
    learn: (report, now) => log.turn((turn) => learn(turn, written, report, now)),
    presentSources: () => presentSources(write),
    async returned(source) {
      const number = await sourceNumber(source);
      if (number !== undefined) await returned(write, number);
    },
    departed: (before, atMost) => departed(write, before, atMost),
    settle: (chain, additions) =>
      log.turn(async (turn) => {
        if (await settle(turn, written, chain)) await append(turn, additions);
      }),
    index: async () => (await words.step(clock.now(), false)) === 'more',
    async search(query) {
      const unsearched = query.text === undefined ? 0 : await catchUp();
      const isFirst = query.text !== undefined && query.cursor === undefined;
      const sealed = isFirst ? sealedCount(await search({ ...query, text: sealedWords, limit: mostCounted })) : {};
      return {
        ...(await search(query)),
        ...(unsearched === 0 ? {} : { unsearched }),
        ...(await partlyOf(query)),
        ...sealed,
      };
    },
    async *sessionLines(id, { source, chain }, after = 0) {
      const number = (await names.find(read, [source]))(source);
      if (number !== undefined) yield* sessionLines(read, id, number, chain, after);
    },
    async openSessions({ source, chain }, between, atMost) {
      const number = (await names.find(read, [source]))(source);
      return number === undefined
        ? { sessions: [], count: 0 }
        : openSessions(read, { source: number, chain }, between, atMost);
    },
    async sessionBlocks(id, { source, chain }, atMost) {
      const number = (await names.find(read, [source]))(source);
      return number === undefined ? [] : sessionBlocks(read, id, number, chain, atMost);
    },
    async entries(from, atMost) {
      const rows = await read('SELECT id, text FROM entry WHERE id >= $1 ORDER BY id LIMIT $2', [from, atMost], {
        prepared: true,
      });
      return rows.map((row) => ({ index: Number(row['id']), text: String(row['text']) }));
    },
    async lastOf(type, before = Number.MAX_SAFE_INTEGER) {
      const [row] = await read(
        `SELECT id, text FROM entry WHERE starts_with(text, '{"v":1,"type":"${type}"') AND id < $1 ORDER BY id DESC LIMIT 1`,
        [before],
      );
      return row === undefined ? undefined : { index: Number(row['id']), text: String(row['text']) };
    },
    async allOf(type, from, atMost) {
      const rows = await read(
        `SELECT id, text FROM entry WHERE starts_with(text, '{"v":1,"type":"${type}"') AND id >= $1 ORDER BY id LIMIT $2`,
        [from, atMost],
      );
      return rows.map((row) => ({ index: Number(row['id']), text: String(row['text']) }));
    },
    node: createNodeReader(read),
    blockLines: (entry) => blockLines(read, entry),
    log: () => log.state(),
    latest: () => log.latest(),
    addHead: (sign) =>
      log.turn(async (turn) => {
        const state = turn.state();
        const [last] = await turn.run('SELECT max(size) AS size FROM head');
        if (state.size === 0 || Number(last?.['size'] ?? 0) >= state.size) return undefined;
        const head = sign(state);
        await turn.run('INSERT INTO head (size, at, root, text) VALUES ($1, $2, $3, $4)', [
          head.size,
          head.at,
          head.root,
          head.text,
        ]);
        turn.notBefore(head.at);
        return head;
      }),
    async heads(size, atMost) {
      return (await read('SELECT * FROM head WHERE size >= $1 ORDER BY size LIMIT $2', [size, atMost])).map(headOf);
    },
    async lastHead() {
      const [row] = await read('SELECT size, at, root, text FROM head ORDER BY size DESC LIMIT 1', [], {
        prepared: true,
      });
      return row === undefined ? undefined : headOf(row);
    },
    async deleteOld(rule, now, atMost) {
      const { blocks, holds, ...looked } = await oldBlocks(read, names, rule, atMost, await holdsNow());
      if (blocks.length === 0) return { ...looked, deleted: 0 };
      const done = await log.turn((turn) => deleteOld(turn, { blocks, holds, ...looked }, now));
      const step = { ...done, reached: done.reached ?? rule.after };
      if (step.deleted > 0 && !step.more && rule.by !== 'entry')
        await database
          .transaction((run) => dropEmpty(run, 'block', dayMs, rule.before))
          .catch((error: unknown) => {
            // What was deleted is deleted. A table that is in use, or that the other recorder drops, is looked at again the next time; a
            // database that is away says so at the next statement.
            if (!(error instanceof StoreError && error.code === 'unavailable')) throw error;
          });
      return step;
    },
    sweep: () => nameSweep.step(),
    async retentionReached() {
      return Number((await write('SELECT reached FROM retention'))[0]?.['reached']);
    },
    async keepRetentionReached(at) {
      await write('UPDATE retention SET reached = $1 WHERE reached < $1', [Math.floor(at)]);
    },
    placeHold: (hold) => log.turn((turn) => placeHold(turn, written, hold)),
    releaseHold: (release) => log.turn((turn) => releaseHold(turn, release)),
    holds: () => readHolds(read),
    async countHeld(id) {
      const hold = (await readHolds(read)).find((one) => one.id === id);
      return countHeld(read, names, createHoldMatcher(hold === undefined ? [] : [hold]), countMs);
    },
    holdsVersion: () => holdsVersion(read),
    archiveHolds: createArchiveHolds(database, names),
    archivable: (from, atMost) => archivable(read, names, from, atMost),
    archived: () => archived(write),
    moveArchived: (from, to) => moveArchived(write, from, to),
    restore: (entries) => log.turn((turn) => restore(turn, written, append, entries)),
    async held() {
      return sumOf(
        await read(
          `SELECT n.text AS namespace, h.bytes FROM (SELECT namespace, sum(bytes) AS bytes FROM chain GROUP BY namespace) h
           JOIN name n ON n.id = h.namespace UNION ALL SELECT namespace, bytes FROM evidence_held`,
        ),
      );
    },
    space: async () => ({ usedBytes: await diskBytes() }),
    async stats() {
      const [row] = await read('SELECT size, blocks, events, sessions, line_bytes FROM log');
      return {
        entries: Number(row?.['size']),
        blocks: Number(row?.['blocks']),
        events: Number(row?.['events']),
        sessions: Number(row?.['sessions']),
        lineBytes: Number(row?.['line_bytes']),
        diskBytes: await diskBytes(),
        unindexed: await words.behind(),
      };
    },
    shipping: createShipTable(write),
    streams: createStreamTable(write, names),
    moveTo: (address) =>
      log.between(async () => {
        await database.moveTo(address, async (run) => {
          await needStore(run);
          if (!(await log.isIn(run)))
            throw new StoreError('not_a_store', 'the database there has another log, or lacks entries of this one');
        });
        for (const kept of [names, written, days]) kept.forget();
      }),
    async close() {
      await claimed?.release();
      await database.close();
    },
  };
}

const headOf = (row: Row): StoredHead => ({
  size: Number(row['size']),
  at: Number(row['at']),
  root: String(row['root']),
  text: String(row['text']),
});
