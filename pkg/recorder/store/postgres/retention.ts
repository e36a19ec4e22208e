import { jsonValue, parseJson } from '../../../base/index.ts';
import type { DeletedEntry, HoldEntry } from '../../../record/index.ts';
import type { DeletionRule, Hold, HoldTerms } from '../port.ts';
import { cut } from '../../bounds.ts';
import { heldBytes } from '../held-bytes.ts';
import { tagsOfRules } from '../retention-rules.ts';
import type { Row, Run } from './connection.ts';
import type { Turn } from './log.ts';
import { clean } from './names.ts';
import type { Names } from './names.ts';
import { noteForgotten } from './segments.ts';

/** That a session of a block `b` goes with a hold. */
const held = `EXISTS (
  SELECT 1 FROM part p JOIN session s ON s.id = p.session JOIN hold h ON
    (h.namespace IS NULL OR h.namespace = s.namespace) AND (h.pod IS NULL OR h.pod = s.pod)
    AND (h.subject IS NULL OR h.subject = s.subject) AND (h.request IS NULL OR h.request = s.request)
    AND (h.since IS NULL OR s.at >= h.since OR b.received >= h.since) AND (h.until IS NULL OR s.at < h.until OR b.received < h.until OR s.said < h.until)
  WHERE p.block = b.id)`;

/** Blocks that a rule is about, the oldest: which of them nobody holds is asked again in the turn that deletes them. */
export async function oldBlocks(
  run: Run,
  names: Names,
  { before, from = 0, by, of, exceptRules = [], archivedOnly = false }: DeletionRule,
  atMost: number,
): Promise<readonly Row[]> {
  const chosen = 'namespace' in of ? [of.namespace] : of.allBut;
  const find = await names.find(run, chosen);
  const numbers = chosen.map(find).filter((number) => number !== undefined);
  const column = by === 'entry' ? 'id' : 'received';
  const prefixes = tagsOfRules(exceptRules);
  const tags =
    prefixes.length === 0
      ? []
      : await run(
          'SELECT id FROM name n WHERE EXISTS (SELECT 1 FROM unnest($1::text[]) AS p (x) WHERE starts_with(n.text, p.x))',
          [prefixes],
        );
  return run(
    `SELECT b.id, b.received, b.size, b.count FROM block b JOIN chain c ON c.id = b.chain
     WHERE b.${column} < $1 AND b.${column} >= $4 AND ${'namespace' in of ? 'c.namespace = ANY ($2)' : 'c.namespace <> ALL ($2)'} AND NOT ${held}
       ${archivedOnly ? 'AND b.id < (SELECT entries FROM archive)' : ''}
       AND NOT EXISTS (SELECT 1 FROM part p JOIN session s ON s.id = p.session WHERE p.block = b.id AND s.tags && $5::integer[])
     ORDER BY b.received, b.id LIMIT $3`,
    [before, numbers, atMost, from, tags.map((row) => Number(row['id']))],
  );
}

/**
 * Deletes blocks with what hangs on them.
 *
 * @param found As {@link oldBlocks} found them, outside of the turn: another recorder may have deleted them, somebody may hold them now
 * @returns how many
 */
export async function deleteOld(turn: Turn, found: readonly Row[], now: number): Promise<number> {
  const rows = await turn.run(
    `SELECT b.id, b.chain, b.received, b.size, b.count, length(b.data) AS stored FROM block b
     JOIN unnest($1::bigint[], $2::bigint[]) AS d (id, received) ON b.id = d.id AND b.received = d.received
     WHERE NOT ${held} ORDER BY b.received, b.id`,
    [found.map((row) => Number(row['id'])), found.map((row) => Number(row['received']))],
  );
  await deleteBlocks(turn, rows);
  for (const row of rows) turn.addEntry({ type: 'deleted', at: now, entry: Number(row['id']), why: 'retention' });
  return rows.length;
}

/** @param rows Columns id, chain, received, size, count and stored (bytes of data) of blocks. */
async function deleteBlocks(turn: Turn, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const { run } = turn;
  const blocks = rows.map((row) => Number(row['id']));
  await run(
    'DELETE FROM block USING unnest($1::bigint[], $2::bigint[]) AS d (id, received) WHERE block.id = d.id AND block.received = d.received',
    [blocks, rows.map((row) => Number(row['received']))],
  );
  await deleteSessions(turn, blocks);
  await run(
    `UPDATE chain c SET bytes = c.bytes - d.bytes
     FROM (SELECT chain, sum(bytes) AS bytes FROM unnest($1::integer[], $2::bigint[]) AS b (chain, bytes) GROUP BY chain) d WHERE c.id = d.chain`,
    [rows.map((row) => Number(row['chain'])), rows.map((row) => heldBytes(Number(row['stored']), Number(row['size'])))],
  );
  for (const row of rows) {
    turn.count('blocks', -1);
    turn.count('events', -Number(row['count']));
    turn.count('line_bytes', -Number(row['size']));
  }
}

/** Those of which no block is left. */
async function deleteSessions(turn: Turn, blocks: readonly number[]): Promise<void> {
  const { run } = turn;
  const touched = await run('DELETE FROM part WHERE block = ANY ($1) RETURNING session', [blocks]);
  const gone = await run(
    `SELECT s.id FROM session s WHERE s.id = ANY ($1) AND NOT EXISTS (SELECT 1 FROM part p WHERE p.session = s.id)`,
    [[...new Set(touched.map((row) => Number(row['session'])))]],
  );
  const ids = gone.map((row) => Number(row['id']));
  if (ids.length === 0) return;
  await run('DELETE FROM session WHERE id = ANY ($1::bigint[])', [ids]);
  await run('DELETE FROM unfinished WHERE session = ANY ($1::bigint[])', [ids]);
  await noteForgotten(run, ids);
  turn.count('sessions', -ids.length);
  turn.count('unswept', ids.length);
}

const termsOf = (text: unknown): HoldTerms => jsonValue(parseJson(String(text))) as HoldTerms;

export async function placeHold(turn: Turn, names: Names, hold: Omit<Hold, 'id'>): Promise<number> {
  const { at, who, reason, terms } = hold;
  const [next] = await turn.run(`SELECT nextval(pg_get_serial_sequence('hold', 'id')) AS id`);
  const id = Number(next?.['id']);
  await addHold(turn, names, { id, ...hold });
  turn.addEntry({ type: 'hold', at, who, what: 'placed', hold: id, terms: { ...terms }, reason });
  return id;
}

async function addHold(turn: Turn, names: Names, { id, at, who, reason, terms }: Hold): Promise<void> {
  const { session, since, until } = terms;
  // As what sessions are found by is.
  const [namespace, pod, user] = [terms.namespace, terms.pod, terms.user].map((text) =>
    text === undefined ? undefined : cut(text),
  );
  const number = await names.numbers(
    turn.run,
    [namespace, pod, user].filter((text) => text !== undefined),
  );
  const named = (text: string | undefined): number | null => (text === undefined ? null : number(text));
  await turn.run(
    `INSERT INTO hold (id, at, who, reason, terms, namespace, pod, subject, request, since, until) OVERRIDING SYSTEM VALUE
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      id,
      at,
      clean(who),
      clean(reason),
      JSON.stringify(terms),
      named(namespace),
      named(pod),
      named(user),
      session ?? null,
      since ?? null,
      until ?? null,
    ],
  );
}

/** Does what an entry of an archive says was done. */
export async function redo(turn: Turn, names: Names, entry: DeletedEntry | HoldEntry): Promise<void> {
  const { run } = turn;
  if (entry.type === 'deleted') {
    const rows = await run(
      'SELECT id, chain, last, received, size, count, length(data) AS stored FROM block WHERE id = $1',
      [entry.entry],
    );
    await deleteBlocks(turn, rows);
    // The last that was there of a chain: nobody sees any more whether its sidecar said that it stops.
    for (const row of rows)
      await run('UPDATE chain SET gone = $1, told = $1, settled = 2 WHERE id = $2 AND sequence = $3 AND gone IS NULL', [
        entry.at,
        row['chain'],
        row['last'],
      ]);
  } else if (entry.what === 'placed') {
    await addHold(turn, names, { id: entry.hold, ...entry });
    // Numbers go on behind it.
    await run(`SELECT setval(pg_get_serial_sequence('hold', 'id'), $1)`, [entry.hold]);
  } else await run('DELETE FROM hold WHERE id = $1', [entry.hold]);
}

/** False: there is no such hold. */
export async function releaseHold(
  turn: Turn,
  { id, at, who, reason }: Pick<Hold, 'id' | 'at' | 'who' | 'reason'>,
): Promise<boolean> {
  const [row] = await turn.run('DELETE FROM hold WHERE id = $1 RETURNING terms', [id]);
  if (row === undefined) return false;
  const terms = { ...termsOf(row['terms']) };
  turn.addEntry({ type: 'hold', at, who, what: 'released', hold: id, terms, reason });
  return true;
}

export async function readHolds(run: Run): Promise<readonly Hold[]> {
  const rows = await run('SELECT id, at, who, reason, terms FROM hold ORDER BY id');
  return rows.map((row) => ({
    id: Number(row['id']),
    at: Number(row['at']),
    who: String(row['who']),
    reason: String(row['reason']),
    terms: termsOf(row['terms']),
  }));
}
