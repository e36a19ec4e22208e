import { StoreError } from '../store-error.ts';

/** Where a page ended: time and number of its last session. @throws StoreError query */
export function readCursor(cursor: string): readonly [at: number, id: number] {
  const [, at, id] = /^(-?[0-9]{1,15})\.([0-9]{1,15})$/.exec(cursor) ?? [];
  if (at === undefined || id === undefined) throw new StoreError('query', 'that is no cursor of a page before');
  return [Number(at), Number(id)];
}

export const writeCursor = (row: Readonly<Record<string, unknown>>): string =>
  `${String(row['at'])}.${String(row['id'])}`;

/** Of a page that begins with the session behind which the page of this cursor would go on. @throws StoreError query */
export function cursorBefore(cursor: string): string {
  const [at, id] = readCursor(cursor);
  return writeCursor({ at, id: id + 1 });
}
