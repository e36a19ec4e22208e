import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '../../../base/index.ts';
import { startPgBouncer } from '../../../../test/support/pgbouncer.ts';
import { startPostgres } from '../../../../test/support/postgres.ts';
import type { PostgresServer } from '../../../../test/support/postgres.ts';
import { until } from '../../../../test/support/wait.ts';
import { sessionId, testChain, testTime } from '../../testing/chains.ts';
import { blockOf } from '../testing/store-suite.ts';
import { openDatabase } from './connection.ts';
import { openPostgresStore } from './postgres.ts';
import { deleteOld } from '../testing/delete-old.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
  // What a statement has that is told nothing: neither our tables nor our durability.
  await server.query(`ALTER ROLE sidegate SET synchronous_commit = off`);
});
afterAll(() => server?.stop());

test.each(['transaction', 'session'] as const)(
  'behind PgBouncer that pools by %s, each transaction and each statement has its own settings',
  async (mode) => {
    const pooler = await startPgBouncer(server, mode);
    const schema = server.schema();
    const options = { dsn: pooler.dsn, schema, clock: systemClock };
    const stores = await Promise.all([openPostgresStore(options), openPostgresStore(options)]);
    const chains = [testChain('a'), testChain('b')] as const;
    const sources = ['spiffe://one', 'spiffe://two'] as const;
    // Both at once, so that connections of the server change hands.
    await Promise.all(
      ([0, 1] as const).map(async (at) => {
        for (let n = 0; n < 6; n++) {
          await stores[at]?.append([
            blockOf(chains[at], [{ id: sessionId(`${at} ${n}`), ask: 'falcon' }], testTime, sources[at]),
          ]);
          await stores[at]?.index();
        }
      }),
    );
    for (const store of stores) {
      await until(async () => (await store.search({ limit: 100, text: 'falcon' })).sessions.length === 12, 'all words');
      // What keeps its plan on a connection elsewhere.
      for (let n = 0; n < 3; n++) expect(await store.entries(0, 100)).toHaveLength(12);
      expect(await store.stats()).toMatchObject({ entries: 12, sessions: 12 });
      expect(await deleteOld(store, { before: testTime - 1, of: { allBut: [] } }, testTime, 10)).toBe(0);
    }
    const database = openDatabase({ dsn: pooler.dsn, schema, stallMs: 4_000 });
    const told = Object.fromEntries(
      ['search_path', 'synchronous_commit', 'statement_timeout', 'idle_in_transaction_session_timeout'].map((name) => [
        name,
        '',
      ]),
    );
    for (const name of Object.keys(told)) {
      const [row] = await database.transaction((run) => run(`SHOW ${name}`));
      told[name] = String(row?.[name]);
      expect((await database.write(`SHOW ${name}`))[0]?.[name]).toBe(told[name]);
    }
    expect(told).toEqual({
      search_path: schema,
      synchronous_commit: 'on',
      statement_timeout: '15s',
      idle_in_transaction_session_timeout: '4s',
    });
    await database.vacuum('posting');
    await Promise.all([database.close(), ...stores.map((store) => store.close())]);
    await pooler.stop();
  },
);
