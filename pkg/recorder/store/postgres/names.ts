import { hash } from 'node:crypto';
import type { Run } from './connection.ts';

/** Texts that repeat, as numbers. */
export interface Names {
  /** Writes those that are new, in the transaction of `run`. */
  numbers(run: Run, texts: Iterable<string>): Promise<(text: string) => number>;
  /** Only those that are there. */
  find(run: Run, texts: Iterable<string>): Promise<(text: string) => number | undefined>;
  texts(run: Run, numbers: Iterable<number>): Promise<(number: number) => string>;
  /** After a transaction that failed, or where some were removed, or in another database: what is known may not be so. */
  forget(): void;
  /** Notes in the table `name_used` what {@link Names.numbers} gives out, for this sweep (name-sweep.ts); 0: there is none. */
  note(sweep: number): void;
}

const mostKept = 50_000;

/** What the database takes: no half of a character, no NUL. */
export const clean = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');
const digestOf = (text: string): string => `\\x${hash('sha256', text, 'hex')}`;

export function createNames(): Names {
  const numbers = new Map<string, number>();
  const texts = new Map<number, string>();
  /** Goes up when everything is forgotten: what was asked before is not kept. */
  let age = 0;
  let sweep = 0;
  let noted = new Set<number>();
  const keep = (rows: readonly Readonly<Record<string, unknown>>[], asked: number): void => {
    if (asked !== age) return;
    if (numbers.size > mostKept) clear();
    for (const row of rows) {
      numbers.set(String(row['text']), Number(row['id']));
      texts.set(Number(row['id']), String(row['text']));
    }
  };
  const clear = (): void => {
    numbers.clear();
    texts.clear();
  };
  const note = async (run: Run, used: Iterable<number>): Promise<void> => {
    const fresh = [...new Set(used)].filter((number) => !noted.has(number));
    if (fresh.length === 0) return;
    await run('INSERT INTO name_used SELECT unnest($1::integer[]) ON CONFLICT DO NOTHING', [fresh]);
    for (const number of fresh) noted.add(number);
  };
  const find: Names['find'] = async (run, given) => {
    const wanted = [...new Set(Array.from(given, clean))];
    const known = new Map<string, number>();
    for (const text of wanted) {
      const number = numbers.get(text);
      if (number !== undefined) known.set(text, number);
    }
    const missing = wanted.filter((text) => !known.has(text));
    if (missing.length > 0) {
      const asked = age;
      const rows = await run('SELECT id, text FROM name WHERE digest = ANY ($1::bytea[])', [missing.map(digestOf)]);
      for (const row of rows) known.set(String(row['text']), Number(row['id']));
      keep(rows, asked);
    }
    return (text) => known.get(clean(text));
  };
  return {
    find,
    async numbers(run, given) {
      const wanted = [...new Set(Array.from(given, clean))];
      const known = await find(run, wanted);
      if (sweep !== 0)
        await note(
          run,
          wanted.map(known).filter((number) => number !== undefined),
        );
      const fresh = wanted.filter((text) => known(text) === undefined);
      if (fresh.length === 0) return (text) => known(text) ?? 0;
      const rows = await run(
        'INSERT INTO name (digest, text) SELECT * FROM unnest($1::bytea[], $2::text[]) RETURNING id, text',
        [fresh.map(digestOf), fresh],
      );
      keep(rows, age);
      const written = new Map(rows.map((row) => [String(row['text']), Number(row['id'])]));
      return (text) => known(text) ?? written.get(clean(text)) ?? 0;
    },
    async texts(run, given) {
      const known = new Map<number, string>();
      const missing: number[] = [];
      for (const number of new Set(given)) {
        const text = texts.get(number);
        if (text === undefined) missing.push(number);
        else known.set(number, text);
      }
      if (missing.length > 0) {
        const asked = age;
        const rows = await run('SELECT id, text FROM name WHERE id = ANY ($1::integer[])', [missing]);
        for (const row of rows) known.set(Number(row['id']), String(row['text']));
        keep(rows, asked);
      }
      return (number) => known.get(number) ?? '';
    },
    forget() {
      age++;
      clear();
      // Notes of a transaction that failed are not there either.
      noted = new Set();
    },
    note(given) {
      if (given !== sweep) noted = new Set();
      sweep = given;
    },
  };
}
