import type { DatabaseSync } from 'node:sqlite';
import { namedStart } from '../../record/index.ts';
import type { BlockEntry, VanishedEntry } from '../../record/index.ts';
import type { PodReport } from '../../wire/index.ts';
import { tailOf } from './tail.ts';
import type { Names } from './names.ts';
import type { DepartedChain } from './port.ts';

/**
 * Chains of one sidecar that are known by its controller's word alone. Each is a row for ever, and an entry of the log once the pod is gone: one that
 * lies names a new one with each heartbeat. An honest one begins another chain where its spool cannot be read.
 */
export const mostUnheard = 16;

/** What the controller says of chains and their pods, beside where they stand. Writes run inside of the caller's transaction. */
export interface PodTable {
  /** @returns heads that were left out: {@link mostUnheard} */
  learn(report: Pick<PodReport, 'heads' | 'gone'>, now: number): number;
  present(): readonly string[];
  returned(source: string): void;
  departed(before: number, atMost: number): readonly DepartedChain[];
  settle(chain: Pick<DepartedChain, 'source' | 'chain'>): void;
  /**
   * An entry of an archive says what never came of a chain, or that lines came: where these are deleted, nobody sees whether they said that the
   * sidecar stops, and the chain is taken for settled until its sidecar comes, or more is heard of it.
   */
  restore(entry: VanishedEntry | BlockEntry, hasLines: boolean): void;
}

export function createPodTable(db: DatabaseSync, names: Names): PodTable {
  const sql = {
    unheard: db.prepare('SELECT count(*) AS count FROM chain WHERE source = ? AND sequence = 0 AND gone IS NULL'),
    find: db.prepare(
      'SELECT id, sequence, hash, known, knownHash, knownEnded FROM chain WHERE source = ? AND name = ?',
    ),
    // A chain of which nothing has come yet.
    add: db.prepare(
      `INSERT INTO chain (source, name, namespace, pod, sequence, hash, known, knownHash, knownEnded) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)`,
    ),
    // Of what was taken for settled (2) the pod may be there: whether it is gone, and since when, the controller says anew.
    know: db.prepare(
      `UPDATE chain SET known = ?, knownHash = ?, knownEnded = ?, settled = NULL, gone = CASE WHEN settled = 2 THEN NULL ELSE gone END,
         told = CASE WHEN settled = 2 THEN NULL ELSE told END WHERE id = ?`,
    ),
    gone: db.prepare('UPDATE chain SET gone = ?, told = ? WHERE source = ? AND gone IS NULL'),
    returned: db.prepare(
      'UPDATE chain SET gone = NULL, told = NULL, settled = NULL WHERE source = ? AND gone IS NOT NULL',
    ),
    present: db.prepare('SELECT DISTINCT n.text FROM chain c JOIN name n ON n.id = c.source WHERE c.gone IS NULL'),
    departed: db.prepare(
      `SELECT c.name, c.sequence, c.hash, c.known, c.knownHash, c.knownEnded, c.gone, n.text AS source, b.data, b.size
       FROM chain c JOIN name n ON n.id = c.source
       LEFT JOIN block b ON b.last = c.sequence AND b.id = (SELECT id FROM block WHERE chain = c.id ORDER BY first DESC LIMIT 1)
       WHERE c.told IS NOT NULL AND c.settled IS NULL AND c.told < ? ORDER BY c.told LIMIT ?`,
    ),
    settle: db.prepare('UPDATE chain SET settled = 1 WHERE source = ? AND name = ?'),
    goesOn: db.prepare(
      'UPDATE chain SET gone = NULL, told = NULL, settled = NULL WHERE source = ? AND name = ? AND gone IS NOT NULL',
    ),
    restore: db.prepare('UPDATE chain SET gone = ?, told = ?, settled = ? WHERE source = ? AND name = ?'),
  };

  return {
    learn({ heads, gone }, now) {
      let leftOut = 0;
      for (const { source, namespace, pod, chain, sequence, hash, ended = false } of heads) {
        const number = names.number(source);
        const row = sql.find.get(number, chain);
        if (row === undefined) {
          if (Number(sql.unheard.get(number)?.['count']) >= mostUnheard) {
            leftOut++;
            continue;
          }
          const start = namedStart(chain).hash;
          sql.add.run(number, chain, names.number(namespace), names.number(pod), start, sequence, hash, Number(ended));
          continue;
        }
        const stored = Number(row['sequence']);
        // What has come needs no remembering: mostly the record is here before the heartbeat is.
        const news = sequence > stored || (sequence === stored && hash !== row['hash']);
        if (news && isMore({ sequence, hash, ended }, row))
          sql.know.run(sequence, hash, Number(ended), Number(row['id']));
      }
      for (const { source, at } of gone) {
        const number = names.find(source);
        if (number !== undefined) sql.gone.run(at, now, number);
      }
      return leftOut;
    },
    present: () => sql.present.all().map((row) => String(row['text'])),
    returned(source) {
      const number = names.find(source);
      if (number !== undefined) sql.returned.run(number);
    },
    departed(before, atMost) {
      // One by one: together their blocks may be some hundred MiB.
      const chains: DepartedChain[] = [];
      for (const row of sql.departed.iterate(before, atMost))
        chains.push({
          source: String(row['source']),
          chain: String(row['name']),
          stored: { sequence: Number(row['sequence']), hash: String(row['hash']) },
          known: row['known'] === null ? undefined : knownOf(row),
          gone: Number(row['gone']),
          tail: tailOf(row),
        });
      return chains;
    },
    settle({ source, chain }) {
      sql.settle.run(names.number(source), chain);
    },
    restore(entry, hasLines) {
      const { source, chain, at } = entry;
      if (entry.type === 'block' && hasLines) sql.goesOn.run(names.number(source), chain);
      else if (entry.type === 'block') sql.restore.run(at, at, 2, names.number(source), chain);
      else sql.restore.run(entry.gone, at, 1, names.number(source), chain);
    },
  };
}

type Row = Readonly<Record<string, unknown>>;

const knownOf = (row: Row): NonNullable<DepartedChain['known']> => ({
  sequence: Number(row['known']),
  hash: String(row['knownHash']),
  ended: row['knownEnded'] === 1,
});

/** Whether it is of a later line than what is known, or says first of the same line that it is the last: older controllers leave that out. */
function isMore({ sequence, hash, ended }: NonNullable<DepartedChain['known']>, row: Row): boolean {
  const known = knownOf(row);
  return sequence > known.sequence || (sequence === known.sequence && hash === known.hash && ended && !known.ended);
}
