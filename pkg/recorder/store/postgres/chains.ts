import { namedStart } from '../../../record/index.ts';
import type { BlockEntry, VanishedEntry } from '../../../record/index.ts';
import type { PodReport } from '../../../wire/index.ts';
import { mostUnheard } from '../pod-table.ts';
import { tailOf } from '../tail.ts';
import type { Addition, Block, DepartedChain } from '../port.ts';
import type { Row, Run } from './connection.ts';
import type { Turn } from './log.ts';
import type { Names } from './names.ts';

/** Where a chain stands. */
export interface Chain {
  readonly id: number;
  readonly sequence: number;
  /** `undefined`: nothing of it is here, so that its first line may refer to whatever it does. */
  readonly hash: string | undefined;
  /** When its last block was received. */
  readonly received: number | null;
  /** The latest time that its lines say, since their clock last began anew; undefined: not known. */
  readonly newest: number | undefined;
  /** What is added to it counts as so many bytes. */
  readonly bytes: number;
}

/** What moves a chain. */
export type Moving = Extract<Addition, { readonly pod: Block['pod'] } | { readonly block: Block }>;

export const podOf = (addition: Moving): Block['pod'] => ('block' in addition ? addition.block.pod : addition.pod);
export const chainKey = ({ source, chain }: { readonly source: string; readonly chain: string }): string =>
  `${source} ${chain}`;

/** The chains that are to be moved, by {@link chainKey}; those that are new are written. */
export async function readChains(
  run: Run,
  moving: readonly Moving[],
  number: (text: string) => number,
): Promise<Map<string, Chain>> {
  const wanted = new Map(moving.map((one) => [chainKey(one.entry), one]));
  const chains = new Map<string, Chain>();
  if (wanted.size === 0) return chains;
  const keys = new Map<string, string>(
    [...wanted].map(([key, { entry }]) => [`${number(entry.source)} ${entry.chain}`, key]),
  );
  const keep = (row: Row, hash: string | undefined): void => {
    const key = keys.get(`${String(row['source'])} ${String(row['name'])}`);
    const received = row['received'] === null ? null : Number(row['received']);
    const newest = row['newest'] === null ? undefined : Number(row['newest']);
    if (key !== undefined)
      chains.set(key, { id: Number(row['id']), sequence: Number(row['sequence']), hash, received, newest, bytes: 0 });
  };
  const found = await run(
    `SELECT c.* FROM unnest($1::integer[], $2::text[]) AS w (source, name) JOIN chain c USING (source, name)`,
    [
      [...wanted.values()].map(({ entry }) => number(entry.source)),
      [...wanted.values()].map(({ entry }) => entry.chain),
    ],
  );
  for (const row of found) keep(row, String(row['hash']));
  const fresh = [...wanted].filter(([key]) => !chains.has(key)).map(([, one]) => one);
  if (fresh.length === 0) return chains;
  const rows = fresh.map((one) => ({
    source: number(one.entry.source),
    name: one.entry.chain,
    namespace: number(podOf(one).namespace),
    pod: number(podOf(one).name),
  }));
  const added = await run(
    `INSERT INTO chain (source, name, namespace, pod, sequence, hash)
     SELECT source, name, namespace, pod, 0, '' FROM json_populate_recordset(NULL::chain, $1) RETURNING *`,
    [JSON.stringify(rows)],
  );
  for (const row of added) keep(row, undefined);
  return chains;
}

/** Keeps where chains were moved to. */
export async function writeChains(run: Run, chains: Iterable<Chain>): Promise<void> {
  await run(
    `UPDATE chain c SET sequence = n.sequence, hash = coalesce(n.hash, c.hash), received = n.received, newest = n.newest, bytes = c.bytes + n.bytes
     FROM json_populate_recordset(NULL::chain, $1) n WHERE c.id = n.id`,
    [JSON.stringify([...chains])],
  );
}

/** Keeps what the controller says of pods. @returns heads that were left out: `mostUnheard` */
export async function learn(
  { run }: Turn,
  names: Names,
  { heads, gone }: Pick<PodReport, 'heads' | 'gone'>,
  now: number,
): Promise<number> {
  const number = await names.numbers(
    run,
    heads.flatMap(({ source, namespace, pod }) => [source, namespace, pod]),
  );
  // The last of each chain.
  const rows = new Map(
    heads.map((head) => [
      chainKey(head),
      {
        source: number(head.source),
        name: head.chain,
        namespace: number(head.namespace),
        pod: number(head.pod),
        sequence: 0,
        hash: namedStart(head.chain).hash,
        known: head.sequence,
        known_hash: head.hash,
        known_ended: head.ended === true,
      },
    ]),
  );
  const left = await withoutUnheard(run, rows);
  // What has come needs no remembering: mostly the record is here before the heartbeat is. That a line is the last is news, too: older
  // controllers leave it out. Of what was taken for settled (2) the pod may be there: whether it is gone, and since when, the controller says anew.
  await run(
    `INSERT INTO chain (source, name, namespace, pod, sequence, hash, known, known_hash, known_ended)
     SELECT source, name, namespace, pod, sequence, hash, known, known_hash, known_ended FROM json_populate_recordset(NULL::chain, $1)
     ON CONFLICT (source, name) DO UPDATE SET known = excluded.known, known_hash = excluded.known_hash, known_ended = excluded.known_ended, settled = NULL,
       gone = CASE WHEN chain.settled = 2 THEN NULL ELSE chain.gone END, told = CASE WHEN chain.settled = 2 THEN NULL ELSE chain.told END
     WHERE (excluded.known > chain.sequence OR (excluded.known = chain.sequence AND excluded.known_hash <> chain.hash))
       AND (excluded.known > coalesce(chain.known, 0)
         OR (excluded.known = chain.known AND excluded.known_hash = chain.known_hash AND excluded.known_ended AND NOT chain.known_ended))`,
    [JSON.stringify([...rows.values()])],
  );
  const ofGone = await names.find(
    run,
    gone.map(({ source }) => source),
  );
  const ended = gone.flatMap(({ source, at }) => {
    const known = ofGone(source);
    return known === undefined ? [] : [{ source: known, gone: at }];
  });
  await run(
    `UPDATE chain c SET gone = g.gone, told = $2
     FROM (SELECT DISTINCT ON (source) source, gone FROM json_populate_recordset(NULL::chain, $1)) g
     WHERE c.source = g.source AND c.gone IS NULL`,
    [JSON.stringify(ended), now],
  );
  return left;
}

/** Takes out new chains of sidecars that have as many as may be known of by word alone. @returns how many */
async function withoutUnheard(
  run: Run,
  rows: Map<string, { readonly source: number; readonly name: string }>,
): Promise<number> {
  const heads = JSON.stringify([...rows.values()]);
  const stored = await run(
    'SELECT c.source, c.name FROM json_populate_recordset(NULL::chain, $1) n JOIN chain c ON c.source = n.source AND c.name = n.name',
    [heads],
  );
  const known = new Set(stored.map((row) => `${String(row['source'])} ${String(row['name'])}`));
  const unheard = await run(
    `SELECT source, count(*) AS count FROM chain WHERE sequence = 0 AND gone IS NULL
       AND source IN (SELECT source FROM json_populate_recordset(NULL::chain, $1)) GROUP BY source`,
    [heads],
  );
  const counts = new Map(unheard.map((row) => [Number(row['source']), Number(row['count'])]));
  let left = 0;
  for (const [key, { source, name }] of rows) {
    if (known.has(`${source} ${name}`)) continue;
    const count = counts.get(source) ?? 0;
    if (count < mostUnheard) counts.set(source, count + 1);
    else {
      rows.delete(key);
      left++;
    }
  }
  return left;
}

export async function presentSources(run: Run): Promise<readonly string[]> {
  const rows = await run('SELECT DISTINCT n.text FROM chain c JOIN name n ON n.id = c.source WHERE c.gone IS NULL');
  return rows.map((row) => String(row['text']));
}

/** @param source The number of its name. */
export async function returned(run: Run, source: number): Promise<void> {
  await run('UPDATE chain SET gone = NULL, told = NULL, settled = NULL WHERE source = $1 AND gone IS NOT NULL', [
    source,
  ]);
}

/** A chain of which a line came after `before` is not departed yet: another recorder may have its stream. */
export async function departed(run: Run, before: number, atMost: number): Promise<readonly DepartedChain[]> {
  const rows = await run(
    `SELECT c.id, c.received, c.name, c.sequence, c.hash, c.known, c.known_hash, c.known_ended, c.gone, n.text AS source
     FROM chain c JOIN name n ON n.id = c.source
     WHERE c.told IS NOT NULL AND c.settled IS NULL AND c.told < $1 AND (c.received IS NULL OR c.received < $1)
     ORDER BY c.told LIMIT $2`,
    [before, atMost],
  );
  const chains: DepartedChain[] = [];
  for (const row of rows) {
    // One by one: together their blocks may be some hundred MiB.
    const [block = {}] = await run('SELECT data, size FROM block WHERE received = $1 AND chain = $2 AND last = $3', [
      row['received'],
      row['id'],
      row['sequence'],
    ]);
    chains.push({
      source: String(row['source']),
      chain: String(row['name']),
      stored: { sequence: Number(row['sequence']), hash: String(row['hash']) },
      known:
        row['known'] === null
          ? undefined
          : { sequence: Number(row['known']), hash: String(row['known_hash']), ended: row['known_ended'] === true },
      gone: Number(row['gone']),
      tail: tailOf(block),
    });
  }
  return chains;
}

/** @returns false: it is settled already, or has moved on */
export async function settle(
  { run }: Turn,
  names: Names,
  { source, chain, stored }: Pick<DepartedChain, 'source' | 'chain' | 'stored'>,
): Promise<boolean> {
  const number = (await names.find(run, [source]))(source) ?? 0;
  const rows = await run(
    `UPDATE chain SET settled = 1 WHERE source = $1 AND name = $2 AND settled IS NULL AND sequence = $3 RETURNING 1`,
    [number, chain, stored.sequence],
  );
  return rows.length === 1;
}

/**
 * Entries of an archive say what never came of chains, or that lines came: where these are deleted, nobody sees whether they said that the
 * sidecar stops, and the chain counts as settled until its sidecar comes.
 *
 * @param ends The last of each chain.
 */
export async function settleRestored(
  { run }: Turn,
  names: Names,
  ends: readonly { readonly entry: VanishedEntry | BlockEntry; readonly hasLines: boolean }[],
): Promise<void> {
  if (ends.length === 0) return;
  const number = await names.find(
    run,
    ends.map(({ entry }) => entry.source),
  );
  const rows = ends.map(({ entry, hasLines }) => ({
    source: number(entry.source) ?? 0,
    name: entry.chain,
    gone: entry.type === 'vanished' ? entry.gone : hasLines ? null : entry.at,
    told: entry.type === 'block' && hasLines ? null : entry.at,
    settled: entry.type === 'vanished' ? 1 : hasLines ? null : 2,
  }));
  await run(
    `UPDATE chain c SET gone = n.gone, told = n.told, settled = n.settled FROM json_populate_recordset(NULL::chain, $1) n
     WHERE c.source = n.source AND c.name = n.name AND (c.gone IS NOT NULL OR n.gone IS NOT NULL)`,
    [JSON.stringify(rows)],
  );
}
