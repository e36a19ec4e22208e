import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { LogFields, Logger } from '../../pkg/base/index.ts';
import { openPostgresStore } from '../../pkg/recorder/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import type { PostgresServer } from '../../test/support/postgres.ts';
import { until } from '../../test/support/wait.ts';
import { openStore } from './open-store.ts';

let server: PostgresServer;
let folder: string;
let database: string;
beforeAll(async () => {
  server = await startPostgres();
  folder = mkdtempSync(join(tmpdir(), 'sidegate-open-'));
  database = join(folder, 'dsn');
});
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

function told(): { readonly lines: string[]; readonly logger: Logger } {
  const lines: string[] = [];
  const note = (message: string, fields?: LogFields): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { lines, logger: { ...silentLogger, info: note, warn: note, error: note } };
}
const store = {
  get database() {
    return database;
  },
  databaseCa: undefined,
};

test('a recorder that starts while its database is away says so once, and waits until it is there', async () => {
  writeFileSync(database, `${server.dsn.reveal()}\n`);
  await server.kill();
  const { lines, logger } = told();
  const opening = openStore({ settings: { store }, clock: systemClock, logger });
  await until(() => lines.length > 0, 'it says that it waits');
  await server.start();
  const opened = await opening;
  expect(lines.filter((line) => line.includes('the recorder waits for its database'))).toHaveLength(1);
  expect((await opened.store.log()).size).toBe(0);
  await opened.close();
});

test('it does not wait longer than it may, nor for an address that is none', async () => {
  writeFileSync(database, 'postgres:///postgres?host=/nowhere&user=sidegate');
  const { lines, logger } = told();
  const opening = (waitMs?: number) =>
    openStore({ settings: { store }, clock: systemClock, logger, ...(waitMs !== undefined && { waitMs }) });
  await expect(opening(3_000)).rejects.toMatchObject({ code: 'unavailable' });
  expect(lines).toHaveLength(1);
  writeFileSync(database, 'no url');
  await expect(opening()).rejects.toThrow('the address of the database is no URL');
});

test('it has the database from restorations of an archive, and does not start while one goes on, nor wait for it', async () => {
  writeFileSync(database, server.dsn.reveal());
  const restoration = () => openPostgresStore({ dsn: server.dsn, clock: systemClock, use: 'restoration' });
  const opened = await openStore({ settings: { store }, clock: systemClock, logger: silentLogger });
  await expect(restoration()).rejects.toMatchObject({ code: 'in_use' });
  await opened.close();
  const restored = await restoration();
  await expect(openStore({ settings: { store }, clock: systemClock, logger: silentLogger })).rejects.toMatchObject({
    code: 'in_use',
    message: 'audit restore writes into the database, or was broken off less than a minute ago',
  });
  await restored.close();
});

test('a new address is used when its file changes, and one that does not answer is told and not used', async () => {
  writeFileSync(database, server.dsn.reveal());
  await server.query('CREATE ROLE next SUPERUSER LOGIN');
  const users = async (): Promise<unknown[]> =>
    (
      await server.query(
        `SELECT DISTINCT usename::text AS name FROM pg_stat_activity WHERE application_name = 'sidegate-recorder'`,
      )
    ).map((row) => row['name']);
  const { lines, logger } = told();
  const clock = fakeClock();
  const opened = await openStore({ settings: { store }, clock, logger });
  await opened.store.log();
  expect(await users()).toEqual(['sidegate']);
  writeFileSync(database, server.dsn.reveal().replace('user=sidegate', 'user=nobody'));
  clock.advance(5_000);
  await until(() => lines.length === 1, 'it is told');
  expect(lines[0]).toContain('the new address of the database cannot be used');
  expect((await opened.store.log()).size).toBe(0);
  writeFileSync(database, server.dsn.reveal().replace('user=sidegate', 'user=next'));
  await until(() => {
    clock.advance(5_000);
    return lines.length === 2;
  }, 'it is used');
  expect(lines[1]).toContain('the address of the database has changed');
  expect((await opened.store.log()).size).toBe(0);
  expect(await opened.store.position('nobody', 'none')).toBeUndefined();
  await until(async () => (await users()).join() === 'next', 'the old connections end');
  await opened.close();
});
