import { entryType, isSealedType, keyName, readHead, sealerOf } from '../../record/index.ts';
import type { LogKeys } from '../../record/index.ts';
import type { RecordStore } from '../store/index.ts';

const pageSize = 2_000;

/**
 * Looks for entries of a type that is sealed (pkg/record/sealed-entry.ts) and that no key of this log has, and for such as cannot be read:
 * whoever can write the store put them there. From the newest head on that was there at the start; what is older was signed.
 *
 * @param keys Those of the log, in their order; the last is the recorder's own. What an older one sealed and no head has signed yet counts only
 * where it was there at the start, before anything of a newer one: a key that was given up seals nothing more.
 * @returns the first of them; undefined: there is none
 */
export function createForeignEntries(
  store: Pick<RecordStore, 'entries' | 'lastHead' | 'lastOf'>,
  keys: LogKeys,
): () => Promise<number | undefined> {
  const names = [keys].flat().map(keyName);
  /** The entry that is looked at next, whether entries are sealed there (those of older recorders are not), and the oldest key that counts. */
  let at: { next: number; sealed: boolean; oldest: number } | undefined;
  let foreign: number | undefined;
  const look = (index: number, text: string, from: { sealed: boolean; oldest: number }): void => {
    const type = entryType(text);
    if (type === undefined) foreign ??= index;
    if (!isSealedType(type)) return;
    const rank = names.indexOf(sealerOf(text, keys) ?? '');
    const sealed = rank >= from.oldest;
    if (!sealed && (from.sealed || type === 'retention' || text.includes('"signature"'))) foreign ??= index;
    if (sealed) from.oldest = rank;
    if (type === 'retention') from.sealed = true;
  };
  return async () => {
    if (at === undefined) {
      const head = await store.lastHead();
      const next = head?.size ?? 0;
      const signer = head === undefined ? undefined : readHead(head.text, keys)?.key;
      at = {
        next,
        sealed: ((await store.lastOf('retention'))?.index ?? next) < next,
        oldest: Math.max(0, names.indexOf(signer ?? '')),
      };
    }
    for (let full = true; full;) {
      const page = await store.entries(at.next, pageSize);
      for (const { index, text } of page) {
        look(index, text, at);
        at.next = index + 1;
      }
      full = page.length === pageSize;
    }
    // From here on this recorder adds to the log, and who has an older key does not.
    at.oldest = names.length - 1;
    return foreign;
  };
}
