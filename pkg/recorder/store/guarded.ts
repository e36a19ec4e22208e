import { errorCode } from '../../base/index.ts';
import { StoreError } from './store-error.ts';

/** SQLite's errors as ours; its wording may hold what was asked for. */
export function guarded<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const code = errorCode(error);
    if (code !== 'ERR_SQLITE_ERROR' && code !== 'ERR_INVALID_STATE') throw error;
    const number = (error as { readonly errcode?: number }).errcode ?? 0;
    // SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FULL
    if ((number & 0xff) === 11) throw new StoreError('corrupt', 'the file of the store is damaged', { cause: error });
    if ((number & 0xff) === 26)
      throw new StoreError('not_a_store', 'the file is not a store of records', { cause: error });
    if ((number & 0xff) === 13)
      throw new StoreError('unavailable', 'the volume of the store is full', { cause: error });
    throw new StoreError('unavailable', 'the store cannot be read or written', { cause: error });
  }
}
