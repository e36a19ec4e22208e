import type { Run } from './connection.ts';

/** A row of a table, by column; columns that are left out are NULL. */
export type Columns = Readonly<Record<string, number | string | readonly number[] | null>>;

/** Adds rows in one statement: their text goes by JSON, which both ends read fast. */
export async function insertRows(run: Run, table: string, rows: readonly Columns[]): Promise<void> {
  if (rows.length === 0) return;
  const json = JSON.stringify(rows);
  await run(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [json]);
}

/** Most values of one statement of the protocol. */
const mostValues = 65_000;

/** Adds rows with bytes, which go as they are. */
export async function insertBytes(run: Run, table: string, rows: readonly (readonly unknown[])[]): Promise<void> {
  const width = rows[0]?.length ?? 1;
  const atOnce = Math.floor(mostValues / width);
  for (let from = 0; from < rows.length; from += atOnce) {
    const some = rows.slice(from, from + atOnce);
    const places = some.map(
      (_, row) => `(${Array.from({ length: width }, (_, at) => `$${row * width + at + 1}`).join()})`,
    );
    await run(`INSERT INTO ${table} VALUES ${places.join()}`, some.flat());
  }
}
