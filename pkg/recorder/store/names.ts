import type { DatabaseSync } from 'node:sqlite';
import type { NameMarks } from './name-marks.ts';

/** Texts that repeat, as numbers. */
export interface Names {
  /** Writes it where it is new. */
  number(text: string): number;
  /** Undefined: it is not there, so nothing refers to it. */
  find(text: string): number | undefined;
  text(number: number): string;
  /** After a rollback, or where another has removed some: what is known of them in memory may not be so. */
  forget(): void;
  /** From here on marks the numbers that are given out, until it is given undefined. */
  mark(marks: NameMarks | undefined): void;
  /** A name is removed. */
  remove(number: number): void;
}

/** In memory. A list of tags is one text, which may be sixty times as long as most. */
const mostKept = { texts: 50_000, characters: 4 * 1024 * 1024 };

export function createNames(db: DatabaseSync): Names {
  const insert = db.prepare('INSERT INTO name (text) VALUES (?)');
  const byText = db.prepare('SELECT id FROM name WHERE text = ?');
  const byNumber = db.prepare('SELECT text FROM name WHERE id = ?');
  const removal = db.prepare('DELETE FROM name WHERE id = ?');
  let marks: NameMarks | undefined;
  const numbers = new Map<string, number>();
  const texts = new Map<number, string>();
  let characters = 0;
  const forget = (): void => {
    numbers.clear();
    texts.clear();
    characters = 0;
  };
  const keep = (text: string, number: number): number => {
    if (numbers.size >= mostKept.texts || characters >= mostKept.characters) forget();
    numbers.set(text, number);
    texts.set(number, text);
    characters += text.length;
    return number;
  };
  const find = (text: string): number | undefined => {
    const known = numbers.get(text);
    if (known !== undefined) return known;
    const row = byText.get(text);
    return row === undefined ? undefined : keep(text, Number(row['id']));
  };
  return {
    find,
    number(text) {
      const number = find(text) ?? keep(text, Number(insert.run(text).lastInsertRowid));
      marks?.add(number);
      return number;
    },
    text(number) {
      const known = texts.get(number);
      if (known !== undefined) return known;
      const row = byNumber.get(number);
      if (row === undefined) return '';
      const text = String(row['text']);
      keep(text, number);
      return text;
    },
    forget,
    mark(given) {
      marks = given;
    },
    remove(number) {
      removal.run(number);
      const text = texts.get(number);
      texts.delete(number);
      if (text !== undefined) numbers.delete(text);
    },
  };
}
