import type { Run } from './connection.ts';
import { insertRows } from './rows.ts';
import type { Columns } from './rows.ts';

/** Rows of sessions that one transaction adds or ends. */
export interface SessionRows {
  /** @param make The row, where there is none yet. */
  row(chain: number, session: string, make: () => Columns): { readonly id: number; readonly fresh: boolean };
  /** @returns false: it has ended, and stays as it did */
  end(id: number, columns: Columns): boolean;
  write(): Promise<void>;
}

const keyOf = (chain: number, session: string): string => `${chain} ${session}`;

/** @param wanted Sessions of which there may be a row. */
export async function readSessionRows(
  run: Run,
  wanted: readonly (readonly [chain: number, session: string])[],
  nextId: () => number,
): Promise<SessionRows> {
  const found = await run(
    `SELECT s.id, s.chain, s.request, s.end_sequence IS NOT NULL AS ended FROM unnest($1::integer[], $2::uuid[]) AS w (chain, request)
     JOIN session s ON s.request = w.request AND s.chain = w.chain`,
    [wanted.map(([chain]) => chain), wanted.map(([, session]) => session)],
  );
  const ids = new Map<string, number>(
    found.map((row) => [keyOf(Number(row['chain']), String(row['request']).replaceAll('-', '')), Number(row['id'])]),
  );
  const added = new Map<number, Columns>();
  const ended = new Map<number, Columns>();
  const over = new Set<number>(found.filter((row) => row['ended'] === true).map((row) => Number(row['id'])));
  return {
    row(chain, session, make) {
      const key = keyOf(chain, session);
      const known = ids.get(key);
      if (known !== undefined) return { id: known, fresh: false };
      const id = nextId();
      ids.set(key, id);
      added.set(id, { id, ...make() });
      return { id, fresh: true };
    },
    end(id, columns) {
      if (over.has(id)) return false;
      over.add(id);
      const fresh = added.get(id);
      if (fresh === undefined) ended.set(id, { id, ...columns });
      else added.set(id, { ...fresh, ...columns });
      return true;
    },
    async write() {
      await insertRows(run, 'session', [...added.values()]);
      if (ended.size === 0) return;
      const columns = Object.keys([...ended.values()][0] ?? {}).filter((name) => name !== 'id');
      await run(
        `UPDATE session s SET ${columns.map((name) => `${name} = e.${name}`).join()}
         FROM json_populate_recordset(NULL::session, $1) e WHERE s.id = e.id`,
        [JSON.stringify([...ended.values()])],
      );
    },
  };
}
