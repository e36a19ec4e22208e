import type { DatabaseSync } from 'node:sqlite';
import { jsonValue, parseJson } from '../../base/index.ts';
import type { DeletedEntry, HoldEntry } from '../../record/index.ts';
import { cut } from '../bounds.ts';
import type { Appender } from './append.ts';
import { chooseBlocks, createKeptBlocks } from './held-blocks.ts';
import type { OldBlock } from './held-blocks.ts';
import { createHoldMatcher, versionOf } from './hold-match.ts';
import type { HeldFacts, HoldMatcher } from './hold-match.ts';
import { createFactsReader, factColumns } from './hold-facts.ts';
import { heldBytes } from './held-bytes.ts';
import type { Names } from './names.ts';
import { blocksLooked, mostHolds } from './port.ts';
import type { DeletionRule, DeletionStep, Hold, HoldTerms } from './port.ts';
import { tooManyHolds } from './store-error.ts';

/** Deletion by age, and what is exempt from it. Writes run inside of the caller's transaction. */
export interface Retention {
  deleteOld(rule: DeletionRule, now: number, atMost: number): DeletionStep;
  /** The index of words has forgotten what stands in `dropped` up to this row. */
  forgotten(row: number): void;
  place(hold: Omit<Hold, 'id'>): number;
  release(release: Pick<Hold, 'id' | 'at' | 'who' | 'reason'>): boolean;
  holds(): readonly Hold[];
  version(): string;
  /** Does what an entry of an archive says was done. */
  restore(entry: DeletedEntry | HoldEntry): void;
}

export function createRetention(db: DatabaseSync, names: Names, appender: Pick<Appender, 'addEntry'>): Retention {
  const sql = {
    block: db.prepare('SELECT id, chain, last, size, count, length(data) AS stored FROM block WHERE id = ?'),
    // The index has those that have lines, which is all; what has one time comes in the order of the log there.
    received: db.prepare(
      `SELECT b.id, b.chain, b.received, b.size, b.count, length(b.data) AS stored, c.namespace FROM block b INDEXED BY block_kept JOIN chain c ON c.id = b.chain
       WHERE b.received >= ?1 AND (b.received > ?1 OR b.id > ?2) AND b.received < ?3 AND b.data IS NOT NULL
       ORDER BY b.received, b.id LIMIT ${blocksLooked}`,
    ),
    entry: db.prepare(
      `SELECT b.id, b.chain, b.received, b.size, b.count, length(b.data) AS stored, c.namespace FROM block b JOIN chain c ON c.id = b.chain
       WHERE b.id > ?1 AND b.id < ?2 ORDER BY b.id LIMIT ${blocksLooked}`,
    ),
    archived: db.prepare('SELECT entries FROM archive'),
    facts: db.prepare(`SELECT ${factColumns} FROM part p JOIN session s ON s.id = p.session WHERE p.block = ?`),
    version: db.prepare('SELECT count(*) AS n, ifnull(max(id), 0) AS last FROM hold'),
    // The last that was there of a chain: nobody sees any more whether its sidecar said that it stops.
    end: db.prepare('UPDATE chain SET gone = ?, told = ?, settled = 2 WHERE id = ? AND sequence = ? AND gone IS NULL'),
    give: db.prepare('UPDATE chain SET bytes = bytes - ? WHERE id = ?'),
    forget: db.prepare('DELETE FROM block WHERE id = ?'),
    forgetParts: db.prepare('DELETE FROM part WHERE block = ? RETURNING session'),
    hasParts: db.prepare('SELECT 1 FROM part WHERE session = ? LIMIT 1'),
    forgetSession: db.prepare('DELETE FROM session WHERE id = ?'),
    forgetTags: db.prepare('DELETE FROM tag WHERE session = ?'),
    drop: db.prepare('INSERT INTO dropped (session) VALUES (?)'),
    clearDropped: db.prepare('DELETE FROM dropped WHERE id <= ?'),
    count: db.prepare('UPDATE counter SET value = value + ? WHERE name = ?'),
    place: db.prepare(
      `INSERT INTO hold (id, at, who, reason, terms, namespace, pod, subject, request, since, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    terms: db.prepare('SELECT terms FROM hold WHERE id = ?'),
    release: db.prepare('DELETE FROM hold WHERE id = ?'),
    // What it has left in the archive is to be taken off.
    unarchive: db.prepare('UPDATE archive_hold SET done = 0 WHERE hold = ?'),
    holds: db.prepare('SELECT id, at, who, reason, terms FROM hold ORDER BY id'),
  };
  const termsOf = (text: unknown): HoldTerms => jsonValue(parseJson(String(text))) as HoldTerms;

  /** Deletes a block: what proves it is its entry. */
  const forget = (block: Omit<OldBlock, 'received' | 'namespace'>): void => {
    const { entry: id, chain, size, stored, count } = block;
    for (const part of sql.forgetParts.all(id)) {
      const session = Number(part['session']);
      if (sql.hasParts.get(session) !== undefined) continue;
      for (const statement of [sql.forgetSession, sql.forgetTags, sql.drop]) statement.run(session);
      sql.count.run(-1, 'sessions');
      sql.count.run(1, 'unswept');
    }
    sql.forget.run(id);
    sql.give.run(heldBytes(stored, size), chain);
    sql.count.run(-1, 'blocks');
    sql.count.run(-count, 'events');
    sql.count.run(-size, 'lineBytes');
  };
  /** @param id Null: the next. @returns its number */
  const place = (id: number | null, { at, who, reason, terms }: Omit<Hold, 'id'>): number => {
    // As what sessions are found by is.
    const named = (text: string | undefined): number | null => (text === undefined ? null : names.number(cut(text)));
    const { namespace, pod, user, session, since = null, until = null } = terms;
    const request = session === undefined ? null : Buffer.from(session, 'hex');
    const { lastInsertRowid } = sql.place.run(
      id,
      at,
      who,
      reason,
      JSON.stringify(terms),
      named(namespace),
      named(pod),
      named(user),
      request,
      since,
      until,
    );
    return Number(lastInsertRowid);
  };

  const version = (): string => {
    const row = sql.version.get();
    return versionOf(Number(row?.['n']), Number(row?.['last']));
  };
  const holds = (): readonly Hold[] =>
    sql.holds.all().map((row) => ({
      id: Number(row['id']),
      at: Number(row['at']),
      who: String(row['who']),
      reason: String(row['reason']),
      terms: termsOf(row['terms']),
    }));
  let matcher: HoldMatcher | undefined;
  const matcherNow = (): HoldMatcher => {
    if (matcher?.version !== version()) matcher = createHoldMatcher(holds());
    return matcher;
  };
  const factsOf = createFactsReader(names);
  function* sessionsOf({ entry, received }: OldBlock): Iterable<HeldFacts> {
    for (const row of sql.facts.iterate(entry)) yield factsOf(row, received);
  }
  const oldBlocks = ({ before, by, after }: DeletionRule): readonly OldBlock[] => {
    const rows =
      by === 'entry'
        ? sql.entry.all(after?.entry ?? -1, before)
        : sql.received.all(after?.received ?? 0, after?.entry ?? -1, before);
    return rows.map((row) => ({
      entry: Number(row['id']),
      received: Number(row['received']),
      chain: Number(row['chain']),
      size: Number(row['size']),
      stored: Number(row['stored']),
      count: Number(row['count']),
      namespace: names.text(Number(row['namespace'])),
    }));
  };

  return {
    deleteOld(rule, now, atMost) {
      const found = oldBlocks(rule);
      const archived = rule.archivedOnly === true ? Number(sql.archived.get()?.['entries']) : 0;
      const { blocks, ...step } = chooseBlocks(
        { blocks: found, more: found.length === blocksLooked },
        rule,
        { archived, atMost },
        { kept: createKeptBlocks(matcherNow(), rule), sessions: sessionsOf },
      );
      for (const block of blocks) {
        forget(block);
        appender.addEntry({ type: 'deleted', at: now, entry: block.entry, why: 'retention' });
      }
      return { ...step, deleted: blocks.length };
    },
    forgotten: (row) => void sql.clearDropped.run(row),
    place(given) {
      if (Number(sql.version.get()?.['n']) >= mostHolds) throw tooManyHolds();
      const { at, who, reason, terms } = given;
      const hold = place(null, given);
      appender.addEntry({ type: 'hold', at, who, what: 'placed', hold, terms: { ...terms }, reason });
      return hold;
    },
    release({ id, at, who, reason }) {
      const row = sql.terms.get(id);
      if (row === undefined) return false;
      sql.release.run(id);
      sql.unarchive.run(id);
      const terms = { ...termsOf(row['terms']) };
      appender.addEntry({ type: 'hold', at, who, what: 'released', hold: id, terms, reason });
      return true;
    },
    holds,
    version,
    restore(entry) {
      if (entry.type === 'deleted') {
        const block = sql.block.get(entry.entry);
        if (block === undefined) return;
        forget({
          entry: entry.entry,
          chain: Number(block['chain']),
          size: Number(block['size']),
          stored: Number(block['stored']),
          count: Number(block['count']),
        });
        sql.end.run(entry.at, entry.at, Number(block['chain']), Number(block['last']));
      } else if (entry.what === 'placed') place(entry.hold, entry);
      else {
        sql.release.run(entry.hold);
        sql.unarchive.run(entry.hold);
      }
    },
  };
}
