import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../../pkg/base/index.ts';
import type { Clock } from '../../pkg/base/index.ts';
import type { Seal } from '../../pkg/record/index.ts';
import { fileBook, openPostgresStore, openSqliteStore, sharedBook } from '../../pkg/recorder/index.ts';
import type { RecordStore, ShipBook } from '../../pkg/recorder/index.ts';
import type { Settings } from './settings.ts';

/** In the image the thread that searches is a bundle of its own, and this file a chunk in the folder beside it. */
const thread = import.meta.url.endsWith('.ts') ? {} : { thread: new URL('../recorder-search.js', import.meta.url) };

export interface OpenedStore {
  readonly store: RecordStore;
  /** What is kept with it of a receiver of the log. */
  bookOf(receiver: string): ShipBook;
}

/** @throws StoreError, or when a file cannot be read */
export async function openStore({ store }: Pick<Settings, 'store'>, clock: Clock, seal?: Seal): Promise<OpenedStore> {
  const sealing = seal === undefined ? {} : { seal };
  if ('data' in store) {
    const { data } = store;
    mkdirSync(data, { recursive: true, mode: 0o700 });
    return {
      store: openSqliteStore({ path: join(data, 'record.db'), clock, ...sealing, ...thread }),
      bookOf: (receiver) => fileBook(join(data, `ship-${receiver}`)),
    };
  }
  const { database, databaseCa } = store;
  const dsn = new Secret(readFileSync(database, 'utf8').trim());
  const shared = await openPostgresStore({
    dsn,
    clock,
    ...sealing,
    ...(databaseCa === undefined ? {} : { ca: readFileSync(databaseCa, 'utf8') }),
  });
  return { store: shared, bookOf: (receiver) => sharedBook(shared.shipping, receiver, clock) };
}
