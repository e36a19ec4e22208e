import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DatabaseSync } from 'node:sqlite';
import { createShards, shardSchema, shardTable, shardsOf } from './shards.ts';
import type { ShardOptions, Shards } from './shards.ts';

let db: DatabaseSync;
beforeEach(() => {
  db = new DatabaseSync(':memory:');
  db.exec(`ATTACH ':memory:' AS record; CREATE TABLE record.session (id INTEGER PRIMARY KEY); ${shardSchema}`);
});
afterEach(() => db.close());

const rowsOf = (first: number): readonly number[] =>
  db
    .prepare(`SELECT id FROM ${shardTable(first)}_docsize ORDER BY id`)
    .all()
    .map(({ id }) => Number(id));
const all = (): readonly (readonly [number, readonly number[]])[] =>
  shardsOf(db).map((first) => [first, rowsOf(first)] as const);
const found = (word: string): readonly number[] =>
  shardsOf(db)
    .flatMap((first) =>
      db.prepare(`SELECT rowid AS id FROM ${shardTable(first)} WHERE ${shardTable(first)} MATCH ?`).all(word),
    )
    .map(({ id }) => Number(id))
    .sort((a, b) => a - b);
const begin = (rows: readonly number[]): void => {
  const add = db.prepare('INSERT INTO record.session (id) VALUES (?)');
  for (const row of rows) add.run(row);
};
const fill = (options: ShardOptions, rows: readonly number[]): Shards => {
  begin(rows);
  const shards = createShards(db, options);
  for (const row of rows) shards.put(row, `all w${row}`);
  return shards;
};

describe('a session has its words in the shard', () => {
  test('of its range of rows, whatever comes first', () => {
    fill({ rows: 10 }, [37, 1, 10, 9, 19, 20, 35]);
    expect(all()).toEqual([
      [30, [35, 37]],
      [20, [20]],
      [10, [10, 19]],
      [0, [1, 9]],
    ]);
    expect(found('all')).toEqual([1, 9, 10, 19, 20, 35, 37]);
    expect(found('w19')).toEqual([19]);
  });

  test('that had room when it came: one that is full takes only what is below its last, and stays so when it is opened again', () => {
    const options = { rows: 100, characters: 12 };
    fill(options, [1, 4, 7, 2, 5, 8]);
    begin([3, 9, 30, 100]);
    const again = createShards(db, options);
    for (const row of [3, 100, 9, 30]) again.put(row, 'all');
    // By `all w1` and `all w4` the first is full.
    expect(all()).toEqual([
      [100, [100]],
      [8, [8, 9, 30]],
      [5, [5, 7]],
      [0, [1, 2, 3, 4]],
    ]);
  });

  test('once, with the words that it was given last', () => {
    const shards = fill({ rows: 10 }, [1, 2, 11]);
    shards.put(2, 'other');
    expect([found('w2'), found('other'), found('all')]).toEqual([[], [2], [1, 11]]);
    expect([1, 2, 3, 11, 12, 21].map((row) => shards.has(row))).toEqual([true, true, false, true, false, false]);
  });
});

describe('what is not of a session any more', () => {
  const end = (rows: readonly number[]): void => {
    const remove = db.prepare('DELETE FROM record.session WHERE id = ?');
    for (const row of rows) remove.run(row);
  };

  test('is dropped with its shard where that has nothing else, and otherwise waits for a sweep', () => {
    const shards = fill({ rows: 10 }, [1, 2, 11, 12, 21]);
    end([1, 2, 11]);
    // Rows of no shard, or of none any more, mark none.
    expect([...shards.mark([1, 2, 11, 13, 40])]).toEqual([0, 10]);
    expect(shards.next(undefined)).toEqual({ first: 0, marks: 2 });
    expect([0, 10, 20, 30].map((first) => shards.dropEmpty(first))).toEqual([true, false, false, true]);
    expect([...shards.mark([1, 2])]).toEqual([]);
    expect(shards.next(undefined)).toEqual({ first: 10, marks: 1 });
    expect(shards.next(10)).toBeUndefined();
    const tables = db.prepare(`SELECT count(*) AS n FROM sqlite_schema WHERE name GLOB 'words_0*'`).get();
    expect(tables?.['n']).toBe(0);
    expect(found('all')).toEqual([11, 12, 21]);
  });

  test('is taken out in steps, and what is marked meanwhile stays marked', () => {
    const rows = Array.from({ length: 2_500 }, (_, at) => at + 1);
    const shards = fill({ pages: 4 }, rows);
    end(rows.filter((row) => row !== 100 && row !== 2_400));
    const [marks] = [shards.mark(rows), shards.next(undefined)];
    expect([...marks]).toEqual([0]);
    const steps = shards.sweepOf(0);
    const froms: (number | undefined)[] = [0];
    for (let from: number | undefined = 0; from !== undefined; froms.push(from)) from = steps.removeGone(from);
    expect(froms).toEqual([0, 1_002, 2_002, undefined]);
    shards.mark([2_400]);
    steps.begin();
    while (steps.merge());
    shards.settle({ first: 0, marks: 2_500 });
    expect(shards.next(undefined)).toEqual({ first: 0, marks: 1 });
    expect([found('all'), found('w100'), found('w101'), rowsOf(0)]).toEqual([[100, 2_400], [100], [], [100, 2_400]]);
    const bytes = db.prepare('SELECT sum(length(block)) AS n FROM words_0_data').get();
    expect(Number(bytes?.['n'])).toBeLessThan(400);
  });

  test('comes back with a transaction that is', () => {
    const shards = fill({ rows: 10 }, [1, 11]);
    end([1]);
    begin([21]);
    db.exec('BEGIN');
    shards.dropEmpty(0);
    shards.put(21, 'all');
    db.exec('ROLLBACK');
    shards.reset();
    expect([found('all'), shards.has(1), shards.has(21)]).toEqual([[1, 11], true, false]);
    shards.put(21, 'all');
    expect(found('all')).toEqual([1, 11, 21]);
    db.exec('BEGIN');
    shards.clear();
    db.exec('COMMIT');
    expect([shardsOf(db), shards.has(11)]).toEqual([[], false]);
  });
});
