import type { Run } from './connection.ts';

/**
 * Partitions of tables, made as they are needed. Attached rather than made as partitions: that stops nobody who reads or writes.
 * A table is added within the transaction that needs it; `forget` after one that failed.
 */
export interface Partitions {
  /** Those that have these values. */
  make(run: Run, values: Iterable<number>): Promise<void>;
  forget(): void;
}

export const dayMs = 86_400_000;

/** @param width How many values of the column are in one partition. */
export function createPartitions(table: string, width: number): Partitions {
  const made = new Set<number>();
  return {
    async make(run, values) {
      const wanted = new Set(Array.from(values, (value) => Math.floor(value / width)));
      for (const part of wanted) {
        if (made.has(part)) continue;
        const name = `${table}_${part}`;
        const [there] = await run('SELECT to_regclass($1) IS NOT NULL AS there', [name]);
        if (there?.['there'] !== true) {
          await run(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL) WITH (fillfactor = 100)`);
          await run(
            `ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM (${part * width}) TO (${(part + 1) * width})`,
          );
        }
        made.add(part);
      }
    },
    forget: () => made.clear(),
  };
}

/** Numbers of a table's partitions, without those of somebody else. */
export async function partsOf(run: Run, table: string): Promise<readonly number[]> {
  const rows = await run(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass`,
    [table],
  );
  return rows.map((row) => Number(String(row['name']).slice(table.length + 1))).filter(Number.isInteger);
}

/** Removes the partitions up to `before` that have nothing in them any more; one that is in use stays until the next time. */
export async function dropEmpty(run: Run, table: string, width: number, before: number): Promise<void> {
  for (const part of await partsOf(run, table)) {
    if ((part + 1) * width > before) continue;
    const name = `${table}_${part}`;
    if ((await run(`SELECT 1 FROM ${name} LIMIT 1`)).length > 0) continue;
    await run(`SET LOCAL lock_timeout = '200ms'`);
    await run(`DROP TABLE IF EXISTS ${name}`);
  }
}
