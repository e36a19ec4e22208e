import type { KeyObject } from 'node:crypto';
import { isSealed } from '../../record/index.ts';
import type { RecordStore } from '../store/index.ts';

const sealedType = /"type":"(deleted|hold|retention)"/;
const pageSize = 2_000;

/**
 * Looks for entries of a type that is sealed (pkg/record/sealed-entry.ts) and that this log's key has not: whoever can write the store put them
 * there. From the newest head on that was there at the start; what is older was signed.
 *
 * @returns the first of them; undefined: there is none
 */
export function createForeignEntries(
  store: Pick<RecordStore, 'entries' | 'lastHead' | 'lastOf'>,
  key: KeyObject,
): () => Promise<number | undefined> {
  /** The entry that is looked at next, and whether entries are sealed there: those of older recorders are not. */
  let at: { next: number; sealed: boolean } | undefined;
  let foreign: number | undefined;
  const look = (index: number, text: string, from: { sealed: boolean }): void => {
    const [, type] = sealedType.exec(text) ?? [];
    if (type === undefined) return;
    const sealed = isSealed(text, key);
    if (!sealed && (from.sealed || type === 'retention' || text.includes(',"signature":'))) foreign ??= index;
    if (type === 'retention') from.sealed = true;
  };
  return async () => {
    if (at === undefined) {
      const next = (await store.lastHead())?.size ?? 0;
      at = { next, sealed: ((await store.lastOf('retention'))?.index ?? next) < next };
    }
    for (let full = true; full;) {
      const page = await store.entries(at.next, pageSize);
      for (const { index, text } of page) {
        look(index, text, at);
        at.next = index + 1;
      }
      full = page.length === pageSize;
    }
    return foreign;
  };
}
