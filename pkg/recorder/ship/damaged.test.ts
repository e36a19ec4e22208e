import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync } from 'node:zlib';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { RecordStore } from '../store/index.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { blockOf } from '../store/testing/store-suite.ts';
import { sessionId, testChain, testTime } from '../testing/chains.ts';
import { createEventSource } from './source.ts';

// A disk, or somebody who can write the store, has changed what stands in it: receivers are told, and get all the rest.

let folder: string;
let store: RecordStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-damaged-'));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: fakeClock({ now: testTime }) });
  const chain = testChain();
  for (let n = 0; n < 4; n++) await store.append([blockOf(chain, [{ id: sessionId(n) }])]);
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const write = (sql: string, ...values: readonly (string | number | Uint8Array)[]): void => {
  const db = new DatabaseSync(join(folder, 'record.db'));
  expect(db.prepare(sql).run(...values).changes).toBe(1);
  db.close();
};
const told = async (): Promise<readonly string[]> => {
  const { events, next } = await createEventSource(store, () => false).read({ entry: 0, events: 0 }, 100);
  expect(next).toMatchObject({ entry: 4, events: 0 });
  const names = new Map([0, 1, 2, 3].map((n) => [sessionId(n), `session ${n}`]));
  return events.map(({ id, action, severity }) => names.get(id) ?? `${action} ${id} ${severity}`);
};

test('lines that cannot be unpacked, or are none, and an entry that is none, are told, each where it stands', async () => {
  const lines = Buffer.from((await store.blockLines(1)) ?? []).toString();
  write("UPDATE block SET data = x'00' WHERE id = 0");
  const broken = Buffer.from(lines.replace('"outcome":', '"outcome"'));
  write('UPDATE block SET data = ?, size = ? WHERE id = 1', zstdCompressSync(broken), broken.length);
  write('UPDATE entry SET text = substr(text, 2) WHERE id = 2');
  expect(await told()).toEqual([
    'record.damaged entry-0 alert',
    'record.damaged entry-1 alert',
    'record.damaged entry-2 alert',
    'session 3',
  ]);
});

test('what an entry does not say of itself any more is told at the time of its neighbours, which a receiver looks at', async () => {
  write('UPDATE entry SET text = substr(text, 2) WHERE id = 0');
  write('UPDATE entry SET text = substr(text, 2) WHERE id = 2');
  write("UPDATE entry SET text = '{}' WHERE id = 3");
  const { events } = await createEventSource(store, () => false).read({ entry: 0, events: 0 }, 100);
  const damaged = events.filter(({ action }) => action === 'record.damaged');
  expect(damaged.map(({ id, at, logged }) => [id, at, logged])).toEqual(
    [0, 2, 3].map((entry) => [`entry-${entry}`, testTime, testTime]),
  );
});
