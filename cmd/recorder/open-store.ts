import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Secret, describeError } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import type { Seal } from '../../pkg/record/index.ts';
import { StoreError, fileBook, openPostgresStore, openSqliteStore, sharedBook } from '../../pkg/recorder/index.ts';
import type { RecordStore, SharedStore, ShipBook, StreamTable } from '../../pkg/recorder/index.ts';
import type { Settings } from './settings.ts';

/** In the image the thread that searches is a bundle of its own, and this file a chunk in the folder beside it. */
const thread = import.meta.url.endsWith('.ts') ? {} : { thread: new URL('../recorder-search.js', import.meta.url) };

export interface OpenedStore {
  readonly store: RecordStore;
  /** Where recorders that share it say which sidecars have a stream there; absent: one recorder has it for itself. */
  readonly streams?: StreamTable;
  /** What is kept with it of a receiver of the log. */
  bookOf(receiver: string): ShipBook;
  close(): Promise<void>;
}

export interface OpenStoreOptions {
  readonly settings: Pick<Settings, 'store'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly seal?: Seal | undefined;
  /** How long it waits for a database that is away, default 10 min: the recorder is not ready meanwhile. */
  readonly waitMs?: number;
}

/** What deletion by age needs of a volume that is full, at the most. */
const reserveBytes = 64 * 1024 * 1024;
const waitMs = 600_000;
const againMs = 2_000;
const pollMs = 5_000;

/** @throws StoreError, or when a file cannot be read */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { clock } = options;
  const { store } = options.settings;
  if ('database' in store) return openShared(options, store);
  const { data } = store;
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const own = openSqliteStore({
    path: join(data, 'record.db'),
    clock,
    reserveBytes,
    ...(options.seal === undefined ? {} : { seal: options.seal }),
    ...thread,
  });
  return {
    store: own,
    bookOf: (receiver) => fileBook(join(data, `ship-${receiver}`)),
    close: () => own.close(),
  };
}

interface Address {
  readonly dsn: Secret;
  readonly ca?: string;
}

const isSame = (one: Address, other: Address): boolean =>
  one.dsn.reveal() === other.dsn.reveal() && one.ca === other.ca;

type Shared = Extract<Settings['store'], { readonly database: string }>;

async function openShared(options: OpenStoreOptions, { database, databaseCa }: Shared): Promise<OpenedStore> {
  const { clock, logger } = options;
  const read = (): Address => ({
    dsn: new Secret(readFileSync(database, 'utf8').trim()),
    ...(databaseCa === undefined ? {} : { ca: readFileSync(databaseCa, 'utf8') }),
  });
  let address = read();
  const shared = await patiently(options, () => {
    address = read();
    return openPostgresStore({
      ...address,
      ...{ clock, use: 'recorder' },
      ...(options.seal === undefined ? {} : { seal: options.seal }),
    });
  });
  let problem = '';
  let moving: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    try {
      const now = read();
      if (!isSame(now, address)) {
        await shared.moveTo(now);
        address = now;
        logger.info('the address of the database has changed');
      }
      problem = '';
    } catch (error) {
      const why = describeError(error);
      if (why !== problem) logger.error('the new address of the database cannot be used', { error: why });
      problem = why;
    }
  };
  const timer = clock.every(pollMs, () => {
    moving ??= look().finally(() => {
      moving = undefined;
    });
  });
  return {
    store: shared,
    streams: shared.streams,
    bookOf: (receiver) => sharedBook(shared.shipping, receiver, clock),
    async close() {
      timer.cancel();
      await moving;
      await shared.close();
    },
  };
}

/** Tries again while the database is away, for some time. */
async function patiently(
  { clock, logger, waitMs: most = waitMs }: OpenStoreOptions,
  open: () => Promise<SharedStore>,
): Promise<SharedStore> {
  const until = clock.now() + most;
  for (let told = ''; ;) {
    try {
      return await open();
    } catch (error) {
      // An address that is none has no cause in the database, and does not become one.
      const away = error instanceof StoreError && error.code === 'unavailable' && error.cause !== undefined;
      if (!away || clock.now() >= until) throw error;
      const why = describeError(error);
      if (why !== told) logger.warn('the recorder waits for its database', { error: why, seconds: most / 1_000 });
      told = why;
      // Nothing else keeps the process alive yet.
      await pause(againMs);
    }
  }
}
