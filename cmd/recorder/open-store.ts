import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../../pkg/base/index.ts';
import type { Clock } from '../../pkg/base/index.ts';
import { openPostgresStore, openSqliteStore } from '../../pkg/recorder/index.ts';
import type { RecordStore } from '../../pkg/recorder/index.ts';
import type { Settings } from './settings.ts';

/** In the image the thread that searches is a bundle of its own, and this file a chunk in the folder beside it. */
const thread = import.meta.url.endsWith('.ts') ? {} : { thread: new URL('../recorder-search.js', import.meta.url) };

/** @throws StoreError, or when a file cannot be read */
export async function openStore({ store }: Pick<Settings, 'store'>, clock: Clock): Promise<RecordStore> {
  if ('data' in store) {
    mkdirSync(store.data, { recursive: true, mode: 0o700 });
    return openSqliteStore({ path: join(store.data, 'record.db'), clock, ...thread });
  }
  const { database, databaseCa } = store;
  const dsn = new Secret(readFileSync(database, 'utf8').trim());
  return openPostgresStore({
    dsn,
    clock,
    ...(databaseCa === undefined ? {} : { ca: readFileSync(databaseCa, 'utf8') }),
  });
}
