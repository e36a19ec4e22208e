import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { openSqliteStore } from './sqlite.ts';
import { storeSuite } from './testing/store-suite.ts';

const place = () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-store-'));
  const path = join(folder, 'record.db');
  return {
    folder,
    path,
    open: () => openSqliteStore({ path, clock: fakeClock() }),
    remove: async () => rmSync(folder, { recursive: true }),
  };
};

storeSuite('sqlite', place);

describe('the file of the store', () => {
  test('that is another program’s is refused, and not touched', async () => {
    const { path, open, remove } = place();
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE mine (x)');
    other.close();
    expect(open).toThrow(expect.objectContaining({ code: 'not_a_store' }));
    const again = new DatabaseSync(path);
    expect(
      again
        .prepare('SELECT name FROM sqlite_schema')
        .all()
        .map(({ name }) => name),
    ).toEqual(['mine']);
    again.close();
    await remove();
  });

  test('that is no database is refused', async () => {
    const { path, open, remove } = place();
    writeFileSync(path, 'some text that is longer than the header of a database file: '.repeat(40));
    expect(open).toThrow(expect.objectContaining({ code: 'not_a_store' }));
    await remove();
  });

  test('of a newer version is refused', async () => {
    const { path, open, remove } = place();
    await open().close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 999');
    newer.close();
    expect(open).toThrow(expect.objectContaining({ code: 'not_a_store' }));
    await remove();
  });
});
