import type { DatabaseSync, StatementSync } from 'node:sqlite';

/**
 * The tables of the index of words: each is an index of its own, of the sessions in a range of rows. FTS5 merges what it has in steps that are bounded
 * by what they write: over what is deleted, and over a word that all sessions have, a step reads on to the end. So no table is larger than a step may
 * be long, and one whose sessions are all deleted is dropped without being read.
 */
export interface Shards {
  /** Whether the index has words of a session. @param row Of the session. */
  has(row: number): boolean;
  /** Words of a session, in place of those that are there. */
  put(row: number, text: string): void;
  /** Words of these rows are not those of sessions that are there: they are to be swept. @returns the shards that may have some */
  mark(rows: Iterable<number>): Iterable<number>;
  /** The next shard with something to be swept, in the order of their rows. @param after Undefined: from the first on. */
  next(after: number | undefined): ShardMarks | undefined;
  /** Drops a shard that has words of no session. @returns whether it is not there now */
  dropEmpty(first: number): boolean;
  /** What is taken out of a shard; of one that is there. */
  sweepOf(first: number): ShardSweep;
  /** So many marks of a shard are swept. */
  settle(swept: ShardMarks): void;
  /** Drops all. */
  clear(): void;
  /** What a transaction has done is taken back. */
  reset(): void;
}

export interface ShardMarks {
  readonly first: number;
  readonly marks: number;
}

/** Bounded steps, in this order. */
export interface ShardSweep {
  /** Takes out the rows whose sessions are deleted, from one on; their words stay in the file. @returns where to go on; undefined: they are out */
  removeGone(from: number): number | undefined;
  /** Begins a merge of all that is in the shard. */
  begin(): void;
  /** Goes on with it. @returns whether there was something to merge */
  merge(): boolean;
}

export interface ShardOptions {
  /** Rows of sessions of one shard; default 50,000. */
  readonly rows?: number;
  /** Characters after which a shard takes no further sessions; default 32 Mi. */
  readonly characters?: number;
  /** Pages of 4 KiB that a step of a merge writes; default 100. */
  readonly pages?: number;
}

export const shardSchema = `
  -- Tables of words, by the first row that is theirs: the last row and all characters that they were given, and how many rows in them are of no session.
  CREATE TABLE shard (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, characters INTEGER NOT NULL, marks INTEGER NOT NULL) STRICT;
`;
export const shardTable = (first: number): string => `words_${first}`;

interface Shard {
  readonly first: number;
  last: number;
  characters: number;
}

interface Statements {
  readonly has: StatementSync;
  readonly remove: StatementSync;
  readonly insert: StatementSync;
  readonly config: StatementSync;
  readonly gone: StatementSync;
}

/** Rows that one step takes out. */
const rowsAStep = 1_000;
/** Shards whose statements are kept. */
const mostPrepared = 8;
/** More than FTS5 leaves in one level, and what it is told of that otherwise. */
const emptySegments = 32;
const usual = { automerge: 4, crisismerge: 16 };

/** @param db The words are its main database, and the store is attached as `record`. */
export function createShards(
  db: DatabaseSync,
  { rows: rowsOfShard = 50_000, characters: mostCharacters = 32 * 1024 * 1024, pages = 100 }: ShardOptions = {},
): Shards {
  const sql = {
    all: db.prepare('SELECT first, last, characters FROM shard ORDER BY first'),
    add: db.prepare('INSERT INTO shard (first, last, characters, marks) VALUES (?, ?, 0, 0)'),
    grow: db.prepare('UPDATE shard SET last = max(last, ?), characters = characters + ? WHERE first = ?'),
    mark: db.prepare('UPDATE shard SET marks = marks + ? WHERE first = ?'),
    settle: db.prepare('UPDATE shard SET marks = marks - ? WHERE first = ?'),
    next: db.prepare('SELECT first, marks FROM shard WHERE first > ? AND marks > 0 ORDER BY first LIMIT 1'),
    forget: db.prepare('DELETE FROM shard WHERE first = ?'),
    isUsed: db.prepare('SELECT 1 FROM record.session WHERE id >= ? AND id <= ? LIMIT 1'),
    changes: db.prepare('SELECT total_changes() AS n'),
  };
  const read = (): Shard[] =>
    sql.all.all().map((row) => ({
      first: Number(row['first']),
      last: Number(row['last']),
      characters: Number(row['characters']),
    }));
  let shards = read();
  const prepared = new Map<number, Statements>();
  const statementsOf = (first: number): Statements => {
    const known = prepared.get(first);
    if (known !== undefined) return known;
    if (prepared.size >= mostPrepared) prepared.clear();
    const table = shardTable(first);
    const made = {
      has: db.prepare(`SELECT 1 FROM ${table} WHERE rowid = ?`),
      remove: db.prepare(`DELETE FROM ${table} WHERE rowid = ?`),
      insert: db.prepare(`INSERT INTO ${table} (rowid, text) VALUES (?, ?)`),
      config: db.prepare(`INSERT INTO ${table} (${table}, rank) VALUES (?, ?)`),
      gone: db.prepare(
        `SELECT id FROM ${table}_docsize AS d WHERE id >= ? AND NOT EXISTS (SELECT 1 FROM record.session s WHERE s.id = d.id)
         ORDER BY id LIMIT ${rowsAStep}`,
      ),
    };
    prepared.set(first, made);
    return made;
  };
  /** The shard in whose range a row is. */
  const at = (row: number): Shard | undefined => shards.findLast(({ first }) => first <= row);
  /** The shard that has the row, if one has. */
  const holder = (row: number): Shard | undefined => {
    const shard = at(row);
    return shard === undefined || row > shard.last ? undefined : shard;
  };
  const add = (first: number): Shard => {
    db.exec(`CREATE VIRTUAL TABLE ${shardTable(first)} USING fts5 (
      text, content='', contentless_delete=1, detail=none, tokenize="unicode61 remove_diacritics 2")`);
    const shard = { first, last: first, characters: 0 };
    sql.add.all(first, first);
    shards.push(shard);
    shards.sort((a, b) => a.first - b.first);
    return shard;
  };
  const placeOf = (row: number): Shard => {
    const begin = row - (row % rowsOfShard);
    const shard = at(row);
    if (shard === undefined || shard.first < begin) return add(begin);
    // Rows below its last one are its own, however full it is: those of sessions that went on for long.
    return shard.characters >= mostCharacters && row > shard.last ? add(shard.last + 1) : shard;
  };
  const drop = (first: number): void => {
    prepared.delete(first);
    db.exec(`DROP TABLE ${shardTable(first)}`);
    sql.forget.all(first);
    shards = shards.filter((shard) => shard.first !== first);
  };
  const sweepOf = (first: number): ShardSweep => {
    const statements = statementsOf(first);
    // A number would be bound as one with a fraction, which FTS5 does not take.
    const config = (name: string, value: number): void => void statements.config.all(name, BigInt(value));
    const merge = (most: number): boolean => {
      const changes = (): number => Number(sql.changes.get()?.['n']);
      const before = changes();
      config('merge', most);
      return changes() - before >= 2;
    };
    return {
      removeGone(from) {
        // By itself it merges dozens of pages for each that it marks.
        config('automerge', 0);
        const rows = statements.gone.all(from).map(({ id }) => Number(id));
        for (const row of rows) statements.remove.all(row);
        return rows.length < rowsAStep ? undefined : (rows.at(-1) ?? from) + 1;
      },
      begin() {
        // FTS5 goes on with a merge of all segments (The 'merge' Command: a negative number) only while no other level has as many segments as it
        // merges; what is indexed meanwhile makes up to 15. So it begins with more, of which nothing is left.
        config('automerge', 0);
        config('crisismerge', 2 * emptySegments);
        // A row that does not follow on the one before makes a segment.
        for (let row = -1; row >= -emptySegments; row--) statements.insert.all(row, 'none');
        for (let row = -1; row >= -emptySegments; row--) statements.remove.all(row);
        merge(-pages);
        config('automerge', usual.automerge);
        config('crisismerge', usual.crisismerge);
      },
      merge: () => merge(pages),
    };
  };

  return {
    has: (row) => {
      const shard = holder(row);
      return shard !== undefined && statementsOf(shard.first).has.get(row) !== undefined;
    },
    put(row, text) {
      const shard = placeOf(row);
      const statements = statementsOf(shard.first);
      // Not `run`: it reads the last row's id, which after a deletion from the index is one of the index's own, beyond 2^53.
      if (statements.has.get(row) !== undefined) statements.remove.all(row);
      statements.insert.all(row, text);
      shard.last = Math.max(shard.last, row);
      shard.characters += text.length;
      sql.grow.all(row, text.length, shard.first);
    },
    mark(rows) {
      const marks = new Map<number, number>();
      for (const row of rows) {
        const shard = holder(row);
        if (shard !== undefined) marks.set(shard.first, (marks.get(shard.first) ?? 0) + 1);
      }
      for (const [first, count] of marks) sql.mark.all(count, first);
      return marks.keys();
    },
    next(after = -1) {
      const row = sql.next.get(after);
      return row === undefined ? undefined : { first: Number(row['first']), marks: Number(row['marks']) };
    },
    dropEmpty(first) {
      const shard = shards.find((one) => one.first === first);
      if (shard === undefined) return true;
      if (sql.isUsed.get(first, shard.last) !== undefined) return false;
      drop(first);
      return true;
    },
    sweepOf,
    settle: ({ first, marks }) => void sql.settle.all(marks, first),
    clear() {
      for (const { first } of shards) drop(first);
    },
    reset() {
      prepared.clear();
      shards = read();
    },
  };
}

/** The first rows of all shards, newest first. @param db As a search has it */
export const shardsOf = (db: DatabaseSync): readonly number[] =>
  db
    .prepare('SELECT first FROM shard ORDER BY first DESC')
    .all()
    .map(({ first }) => Number(first));
