import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { startPostgres } from '../../../test/support/postgres.ts';
import type { PostgresServer } from '../../../test/support/postgres.ts';
import { silentLogger } from '../../base/index.ts';
import { openPostgresStore } from '../store/index.ts';
import type { SharedStore } from '../store/index.ts';
import { blockOf, source } from '../store/testing/store-suite.ts';
import { sessionId, testChain } from '../testing/chains.ts';
import { shareStreams } from './shared-streams.ts';
import { watchVanished } from './vanished.ts';

let server: PostgresServer;
let stores: readonly [SharedStore, SharedStore];
let schema: string;
const clock = fakeClock();
beforeAll(async () => {
  server = await startPostgres();
  schema = server.schema();
  const open = () => openPostgresStore({ dsn: server.dsn, schema, clock });
  stores = [await open(), await open()];
});
afterAll(async () => {
  await Promise.all((stores ?? []).map((store) => store.close()));
  await server?.stop();
});

test('a pod whose sidecar has a stream at another recorder is not gone, however long no line came, until that recorder has it no more', async () => {
  const [one, other] = stores;
  const chain = testChain();
  await one.append([blockOf(chain, [{ id: sessionId(1) }], clock.now())]);
  let here: string[] = [source];
  const at = shareStreams({ table: one.streams, sources: () => here, clock, logger: silentLogger });
  const beside = shareStreams({ table: other.streams, sources: () => [], clock, logger: silentLogger });
  await Promise.all([at.tell(), beside.tell()]);
  await one.learn({ heads: [], gone: [{ source, at: clock.now() }] }, clock.now());
  clock.advance(600_000);
  await Promise.all([at.tell(), beside.tell()]);
  let vanished = 0;
  const watch = watchVanished({
    store: other,
    connected: () => false,
    elsewhere: beside.held,
    clock,
    logger: silentLogger,
    onVanished: () => vanished++,
  });
  expect(await other.departed(clock.now() - 10_000, 10)).toHaveLength(1);
  await watch.look();
  expect([vanished, (await other.log()).size]).toEqual([0, 1]);
  // What a recorder that was killed has told counts no more after some time.
  await server.query(`UPDATE ${schema}.stream SET until = until - interval '16 s'`);
  expect(await beside.held(source)).toBe(false);
  await at.tell();
  expect(await beside.held(source)).toBe(true);
  here = [];
  await at.tell();
  await watch.look();
  expect([vanished, (await other.log()).size]).toEqual([1, 2]);
  here = [source];
  await at.tell();
  await at.close();
  expect(await beside.held(source)).toBe(false);
  await Promise.all([watch.close(), beside.close()]);
});
