import { StoreError } from '../store-error.ts';
import type { Run } from './connection.ts';

interface Asked {
  readonly level: number;
  readonly index: number;
  readonly found: PromiseWithResolvers<Uint8Array>;
}

/** Reads hashes of full subtrees. Those that are asked for together, as a proof asks for its path, are one statement. */
export function createNodeReader(run: Run): (level: number, index: number) => Promise<Uint8Array> {
  let asked: Asked[] = [];
  const read = async (all: readonly Asked[]): Promise<void> => {
    try {
      const rows = await run(
        `SELECT n.hash FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS e (level, idx, place)
         LEFT JOIN node n USING (level, idx) ORDER BY e.place`,
        [all.map(({ level }) => level), all.map(({ index }) => index)],
        { prepared: true },
      );
      for (const [at, { found }] of all.entries()) {
        const hash = rows[at]?.['hash'];
        if (hash instanceof Uint8Array) found.resolve(hash);
        else found.reject(new StoreError('not_found', 'that subtree is not full'));
      }
    } catch (error) {
      for (const { found } of all) found.reject(error);
    }
  };
  return (level, index) => {
    const found = Promise.withResolvers<Uint8Array>();
    if (asked.length === 0)
      queueMicrotask(() => {
        const all = asked;
        asked = [];
        void read(all);
      });
    asked.push({ level, index, found });
    return found.promise;
  };
}
