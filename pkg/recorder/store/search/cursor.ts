import { StoreError } from '../store-error.ts';

const form = /^(-?[0-9]{1,15})\.([0-9]{1,15})(\.t)?$/;

/** Where a page ended: time and number of its last session. @throws StoreError query */
export function readCursor(cursor: string): readonly [at: number, id: number] {
  const [, at, id] = form.exec(cursor) ?? [];
  if (at === undefined || id === undefined) throw notOne();
  return [Number(at), Number(id)];
}

/** Whether the page before was read by a tag: then sessions come by their numbers, and the next page must be, too. */
export const isByTag = (cursor: string): boolean => form.exec(cursor)?.[3] !== undefined;

export const notOne = (): StoreError => new StoreError('query', 'that is no cursor of a page before');

/** @param byTag As {@link isByTag} is told. */
export const writeCursor = (row: Readonly<Record<string, unknown>>, byTag = false): string =>
  `${String(row['at'])}.${String(row['id'])}${byTag ? '.t' : ''}`;

/** Of a page that begins with the session behind which the page of this cursor would go on. @throws StoreError query */
export function cursorBefore(cursor: string): string {
  const [at, id] = readCursor(cursor);
  return writeCursor({ at, id: id + 1 }, isByTag(cursor));
}
