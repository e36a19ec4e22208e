import { jsonValue, parseJson } from '../../base/index.ts';
import {
  isInPlace,
  isOfOlder,
  isSealedType,
  isSignedHead,
  keyName,
  readHead,
  sealerOf,
  sealingOf,
} from '../../record/index.ts';
import type { LogKeys, Sealing } from '../../record/index.ts';
import type { RecordStore } from '../store/index.ts';

const pageSize = 2_000;

/** Where the look at the log stands. */
interface Place {
  /** The entry that is looked at next. */
  next: number;
  /** What is sealed there; undefined: nothing, older recorders wrote it. */
  sealing: Sealing | undefined;
  /** The oldest key that counts. */
  oldest: number;
}

/**
 * Looks for entries that have to be sealed (pkg/record/sealed-entry.ts) and that no key of this log has sealed for their place, and for such as
 * cannot be read: whoever can write the store put them there. From the newest head on that was there at the start; what is older was signed.
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
  let at: Place | undefined;
  let foreign: number | undefined;
  const look = (index: number, text: string, from: Place): void => {
    const fields = fieldsOf(text);
    if (fields === undefined) return void (foreign ??= index);
    if (!isSealedType(fields['type'])) return;
    const rank = names.indexOf(sealerOf(text, keys) ?? '');
    const sealed = rank >= from.oldest && isInPlace(fields, index, from.sealing);
    if (!sealed && !isOfOlder(fields, from.sealing)) foreign ??= index;
    if (sealed) from.oldest = rank;
    if (fields['type'] === 'retention') from.sealing = from.sealing === 'all' ? 'all' : sealingOf(fields);
  };
  return async () => {
    if (at === undefined) {
      const head = await store.lastHead();
      const isSigned = head !== undefined && isSignedHead(head, keys);
      const next = isSigned ? head.size : 0;
      const signer = isSigned ? readHead(head.text, keys)?.key : undefined;
      const rule = await store.lastOf('retention', next);
      at = {
        next,
        sealing: rule === undefined ? undefined : sealingOf(fieldsOf(rule.text) ?? {}),
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

/** Undefined: it is no entry. */
function fieldsOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = jsonValue(parseJson(text));
    const is =
      typeof value === 'object' && value !== null && !Array.isArray(value) && typeof value['type'] === 'string';
    return is ? value : undefined;
  } catch {
    return undefined;
  }
}
