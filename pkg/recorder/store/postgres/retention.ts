import { jsonValue, parseJson } from '../../../base/index.ts';
import type { DeletedEntry, HoldEntry } from '../../../record/index.ts';
import { chooseBlocks, createKeptBlocks } from '../held-blocks.ts';
import type { ChosenBlocks, OldBlock } from '../held-blocks.ts';
import { createHoldMatcher, versionOf } from '../hold-match.ts';
import type { HeldFacts, HoldMatcher } from '../hold-match.ts';
import { blocksLooked, mostHolds, sessionsLooked } from '../port.ts';
import type { DeletionRule, DeletionStep, Hold, HoldTerms } from '../port.ts';
import { cut } from '../../bounds.ts';
import { heldBytes } from '../held-bytes.ts';
import { tooManyHolds } from '../store-error.ts';
import type { Row, Run } from './connection.ts';
import { factColumns, factsReader } from './hold-facts.ts';
import type { Turn } from './log.ts';
import { clean } from './names.ts';
import type { Names } from './names.ts';
import { noteForgotten } from './segments.ts';

/** What a step of deletion may delete: nobody held it when it was looked at. */
export interface OldBlocks extends ChosenBlocks {
  /** By which holds it was looked at. */
  readonly holds: string;
}

/** Chooses what a step of a rule deletes, outside of the turn that does it. */
export async function oldBlocks(
  run: Run,
  names: Names,
  rule: DeletionRule,
  atMost: number,
  holds: HoldMatcher,
): Promise<OldBlocks> {
  const { before, after, by } = rule;
  const from = [after?.received ?? 0, after?.entry ?? -1];
  // Entries ascend as times do; partitions are found by time alone.
  const rows = await run(
    `SELECT b.id, b.chain, b.received, b.size, b.count, length(b.data) AS stored, c.namespace FROM block b JOIN chain c ON c.id = b.chain
     WHERE b.received >= $1 AND (b.received, b.id) > ($1, $2) ${by === 'entry' ? '' : 'AND b.received < $3'}
     ORDER BY b.received, b.id LIMIT ${blocksLooked}`,
    by === 'entry' ? from : [...from, before],
  );
  const text = await names.texts(
    run,
    rows.map((row) => Number(row['namespace'])),
  );
  const blocks = rows.map((row) => ({
    entry: Number(row['id']),
    received: Number(row['received']),
    chain: Number(row['chain']),
    size: Number(row['size']),
    stored: Number(row['stored']),
    count: Number(row['count']),
    namespace: text(Number(row['namespace'])),
  }));
  const [mark] = rule.archivedOnly === true ? await run('SELECT entries FROM archive') : [];
  const kept = createKeptBlocks(holds, rule);
  const read = kept.none ? undefined : await readFacts(run, names, blocks);
  return {
    ...chooseBlocks(
      {
        blocks: read === undefined ? blocks : blocks.slice(0, read.blocks),
        more: blocks.length === blocksLooked || (read !== undefined && read.blocks < blocks.length),
      },
      rule,
      { archived: Number(mark?.['entries'] ?? 0), atMost },
      { kept, sessions: ({ entry }) => read?.facts.get(entry) ?? [] },
    ),
    holds: holds.version,
  };
}

/** What of the sessions of the first blocks holds go by: of as many as a step looks at, and of one at least. */
async function readFacts(
  run: Run,
  names: Names,
  blocks: readonly OldBlock[],
): Promise<{ readonly blocks: number; readonly facts: ReadonlyMap<number, readonly HeldFacts[]> }> {
  const costs = await run(
    `SELECT p.block, sum(1 + (coalesce(cardinality(s.tags), 0) + coalesce(cardinality(s.groups), 0)) / 32.0)::float8 AS cost
     FROM part p JOIN session s ON s.id = p.session WHERE p.block = ANY ($1) GROUP BY p.block`,
    [blocks.map(({ entry }) => entry)],
  );
  const costOf = new Map(costs.map((row) => [Number(row['block']), Number(row['cost'])]));
  let looked = 0;
  let end = 0;
  for (; end < blocks.length && (end === 0 || looked < sessionsLooked); end++)
    looked += costOf.get(blocks[end]?.entry ?? -1) ?? 0;
  const chosen = blocks.slice(0, end);
  const received = new Map(chosen.map((block) => [block.entry, block.received]));
  const rows = await run(
    `SELECT p.block, ${factColumns} FROM part p JOIN session s ON s.id = p.session WHERE p.block = ANY ($1)`,
    [chosen.map(({ entry }) => entry)],
  );
  const factsOf = await factsReader(run, names, rows);
  const facts = new Map<number, HeldFacts[]>();
  for (const row of rows) {
    const block = Number(row['block']);
    const list = facts.get(block) ?? [];
    facts.set(block, list);
    list.push(factsOf(row, received.get(block) ?? 0));
  }
  return { blocks: end, facts };
}

/**
 * Deletes blocks with what hangs on them.
 *
 * @param old As {@link oldBlocks} chose them, outside of the turn: another recorder may have deleted some, and where a hold was placed or released
 *   since then nothing is deleted
 */
export async function deleteOld(turn: Turn, { blocks, holds, ...step }: OldBlocks, now: number): Promise<DeletionStep> {
  if ((await holdsVersion(turn.run)) !== holds) return { deleted: 0, reached: undefined, more: true };
  const rows = await turn.run(
    `SELECT b.id, b.chain, b.received, b.size, b.count, length(b.data) AS stored FROM block b
     JOIN unnest($1::bigint[], $2::bigint[]) AS d (id, received) ON b.id = d.id AND b.received = d.received
     ORDER BY b.received, b.id`,
    [blocks.map(({ entry }) => entry), blocks.map(({ received }) => received)],
  );
  await deleteBlocks(turn, rows);
  for (const row of rows) turn.addEntry({ type: 'deleted', at: now, entry: Number(row['id']), why: 'retention' });
  return { ...step, deleted: rows.length };
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
  const [holds] = await turn.run('SELECT count(*)::integer AS n FROM hold');
  if (Number(holds?.['n']) >= mostHolds) throw tooManyHolds();
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

/**
 * Deletes what entries of an archive say was deleted.
 *
 * @param cameAt When a block came, of those whose entries are written in this turn: the tables have them at its end.
 */
export async function redoDeletions(
  turn: Turn,
  entries: readonly DeletedEntry[],
  cameAt: (block: number) => number | undefined,
): Promise<void> {
  const { run } = turn;
  const at = new Map(entries.map((entry) => [entry.entry, entry.at]));
  const blocks = [...at.keys()];
  const before = await run(
    `SELECT id, substring(text FROM '"at":([0-9]+)')::bigint AS came FROM entry WHERE id = ANY ($1)`,
    [blocks.filter((block) => cameAt(block) === undefined)],
  );
  const came = new Map(before.map((row) => [Number(row['id']), Number(row['came'])]));
  // By its day: a block is in a table of that.
  const rows = await run(
    `SELECT b.id, b.chain, b.last, b.received, b.size, b.count, length(b.data) AS stored FROM block b
     JOIN unnest($1::bigint[], $2::bigint[]) AS d (id, received) ON b.id = d.id AND b.received = d.received ORDER BY b.id`,
    [blocks, blocks.map((block) => cameAt(block) ?? came.get(block) ?? -1)],
  );
  await deleteBlocks(turn, rows);
  // The last that was there of a chain: nobody sees any more whether its sidecar said that it stops.
  await run(
    `UPDATE chain c SET gone = d.at, told = d.at, settled = 2
     FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS d (chain, last, at) WHERE c.id = d.chain AND c.sequence = d.last AND c.gone IS NULL`,
    [rows.map((row) => row['chain']), rows.map((row) => row['last']), rows.map((row) => at.get(Number(row['id'])))],
  );
}

/** Does what an entry of an archive says was done. */
export async function redoHold(turn: Turn, names: Names, entry: HoldEntry): Promise<void> {
  const { run } = turn;
  if (entry.what === 'placed') {
    await addHold(turn, names, { id: entry.hold, ...entry });
    // Numbers go on behind it.
    await run(`SELECT setval(pg_get_serial_sequence('hold', 'id'), $1)`, [entry.hold]);
  } else {
    await run('DELETE FROM hold WHERE id = $1', [entry.hold]);
    await freeArchive(run, entry.hold);
  }
}

/** What a hold has left in the archive is to be taken off. */
const freeArchive = (run: Run, hold: number): Promise<unknown> =>
  run('UPDATE archive_hold SET done = false WHERE hold = $1', [hold]);

/** False: there is no such hold. */
export async function releaseHold(
  turn: Turn,
  { id, at, who, reason }: Pick<Hold, 'id' | 'at' | 'who' | 'reason'>,
): Promise<boolean> {
  const [row] = await turn.run('DELETE FROM hold WHERE id = $1 RETURNING terms', [id]);
  if (row === undefined) return false;
  await freeArchive(turn.run, id);
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

export async function holdsVersion(run: Run): Promise<string> {
  const [row] = await run('SELECT count(*)::integer AS n, coalesce(max(id), 0) AS last FROM hold');
  return versionOf(Number(row?.['n']), Number(row?.['last']));
}

/** The holds that stand, read anew where some were placed or released. */
export function createHoldReader(run: Run): () => Promise<HoldMatcher> {
  let last: HoldMatcher | undefined;
  return async () => {
    if (last?.version !== (await holdsVersion(run))) last = createHoldMatcher(await readHolds(run));
    return last;
  };
}
