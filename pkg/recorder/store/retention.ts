import type { DatabaseSync } from 'node:sqlite';
import { jsonValue, parseJson } from '../../base/index.ts';
import type { DeletedEntry, HoldEntry } from '../../record/index.ts';
import { cut } from '../bounds.ts';
import type { Appender } from './append.ts';
import { heldBytes } from './held-bytes.ts';
import type { Names } from './names.ts';
import type { DeletionRule, Hold, HoldTerms } from './port.ts';
import { tagsOfRules } from './retention-rules.ts';

/** Deletion by age, and what is exempt from it. Writes run inside of the caller's transaction. */
export interface Retention {
  /** @returns how many blocks */
  deleteOld(rule: DeletionRule, now: number, atMost: number): number;
  /** The index of words has forgotten what stands in `dropped` up to this row. */
  forgotten(row: number): void;
  place(hold: Omit<Hold, 'id'>): number;
  release(release: Pick<Hold, 'id' | 'at' | 'who' | 'reason'>): boolean;
  holds(): readonly Hold[];
  /** Does what an entry of an archive says was done. */
  restore(entry: DeletedEntry | HoldEntry): void;
}

/** That a session of a block `b` goes with a hold: by its time, or by when the block came, whichever keeps it. */
const held = `EXISTS (
  SELECT 1 FROM part p JOIN session s ON s.id = p.session JOIN hold h ON
    (h.namespace IS NULL OR h.namespace = s.namespace) AND (h.pod IS NULL OR h.pod = s.pod)
    AND (h.subject IS NULL OR h.subject = s.subject) AND (h.request IS NULL OR h.request = s.request)
    AND (h.since IS NULL OR s.at >= h.since OR b.received >= h.since) AND (h.until IS NULL OR s.at < h.until OR b.received < h.until OR s.said < h.until)
  WHERE p.block = b.id)`;

export function createRetention(db: DatabaseSync, names: Names, appender: Pick<Appender, 'addEntry'>): Retention {
  // The index has those that have lines, which is all.
  const old = (by: 'received' | 'id', ofNamespaces: string): string =>
    `SELECT b.id, b.chain, b.size, b.count, length(b.data) AS stored FROM block b JOIN chain c ON c.id = b.chain
     WHERE b.${by} < ? AND b.${by} >= ? AND b.data IS NOT NULL AND ${ofNamespaces} AND NOT ${held} ORDER BY b.${by} LIMIT ?`;
  /** That no session of a block `b` has a tag that begins so. Its own tags are read: how many others were recorded is up to sidecars. */
  const untouched = `NOT EXISTS (
    SELECT 1 FROM part p JOIN session s ON s.id = p.session JOIN name n ON n.id = s.tags JOIN json_each(?) x
    WHERE p.block = b.id AND instr(char(10) || n.text, char(10) || x.value) > 0)`;
  const archived = 'b.id < (SELECT entries FROM archive)';
  const sql = {
    block: db.prepare('SELECT id, chain, last, size, count, length(data) AS stored FROM block WHERE id = ?'),
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
    holds: db.prepare('SELECT id, at, who, reason, terms FROM hold ORDER BY id'),
  };
  const termsOf = (text: unknown): HoldTerms => jsonValue(parseJson(String(text))) as HoldTerms;

  /** Deletes a block: what proves it is its entry. */
  const forget = (block: Readonly<Record<string, unknown>>): void => {
    const id = Number(block['id']);
    for (const part of sql.forgetParts.all(id)) {
      const session = Number(part['session']);
      if (sql.hasParts.get(session) !== undefined) continue;
      for (const statement of [sql.forgetSession, sql.forgetTags, sql.drop]) statement.run(session);
      sql.count.run(-1, 'sessions');
      sql.count.run(1, 'unswept');
    }
    sql.forget.run(id);
    sql.give.run(heldBytes(Number(block['stored']), Number(block['size'])), Number(block['chain']));
    sql.count.run(-1, 'blocks');
    sql.count.run(-Number(block['count']), 'events');
    sql.count.run(-Number(block['size']), 'lineBytes');
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

  return {
    deleteOld({ before, from = 0, by, of, exceptRules = [], archivedOnly = false }, now, atMost) {
      const chosen = 'namespace' in of ? [of.namespace] : of.allBut;
      const numbers = chosen.map((name) => names.find(name)).filter((number) => number !== undefined);
      const list = `c.namespace ${'namespace' in of ? '' : 'NOT '}IN (${numbers.map(() => '?').join()})`;
      const spared = exceptRules.length === 0 ? [] : [JSON.stringify(tagsOfRules(exceptRules))];
      const which = [list, ...(archivedOnly ? [archived] : []), ...spared.map(() => untouched)].join(' AND ');
      const rows = db
        .prepare(old(by === 'entry' ? 'id' : 'received', which))
        .all(before, from, ...numbers, ...spared, atMost);
      for (const row of rows) {
        forget(row);
        appender.addEntry({ type: 'deleted', at: now, entry: Number(row['id']), why: 'retention' });
      }
      return rows.length;
    },
    forgotten: (row) => void sql.clearDropped.run(row),
    place(given) {
      const { at, who, reason, terms } = given;
      const hold = place(null, given);
      appender.addEntry({ type: 'hold', at, who, what: 'placed', hold, terms: { ...terms }, reason });
      return hold;
    },
    release({ id, at, who, reason }) {
      const row = sql.terms.get(id);
      if (row === undefined) return false;
      sql.release.run(id);
      const terms = { ...termsOf(row['terms']) };
      appender.addEntry({ type: 'hold', at, who, what: 'released', hold: id, terms, reason });
      return true;
    },
    holds: () =>
      sql.holds.all().map((row) => ({
        id: Number(row['id']),
        at: Number(row['at']),
        who: String(row['who']),
        reason: String(row['reason']),
        terms: termsOf(row['terms']),
      })),
    restore(entry) {
      if (entry.type === 'deleted') {
        const block = sql.block.get(entry.entry);
        if (block === undefined) return;
        forget(block);
        sql.end.run(entry.at, entry.at, Number(block['chain']), Number(block['last']));
      } else if (entry.what === 'placed') place(entry.hold, entry);
      else sql.release.run(entry.hold);
    },
  };
}
