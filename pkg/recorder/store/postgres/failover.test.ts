import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Secret, systemClock } from '../../../base/index.ts';
import { fixedPorts } from '../../../../test/support/ports.ts';
import { startPostgres } from '../../../../test/support/postgres.ts';
import type { PostgresServer } from '../../../../test/support/postgres.ts';
import { until } from '../../../../test/support/wait.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../../pki/index.ts';
import { sessionId, testChain, testTime } from '../../testing/chains.ts';
import { blockOf, source } from '../testing/store-suite.ts';
import { targetsOf } from './address.ts';
import { openPostgresStore } from './postgres.ts';

// A primary that waits for its standby, which takes over when the primary is killed.

let servers: PostgresServer[] = [];
let ports: readonly number[];
let ca: string;
beforeAll(async () => {
  const state = { current: await createAuthorityPair(systemClock), since: systemClock.now() };
  const authority = createAuthority({ state, clock: systemClock });
  ca = authority.bundle();
  const { key, csr } = createKeyRequest();
  const cert = await authority.sign({ purpose: 'server', csr, dnsNames: ['localhost'] });
  ports = await fixedPorts(2);
  const [first = 0, second = 0] = ports;
  const primary = await startPostgres({ tls: { port: first, cert, key } });
  servers = [primary];
  const standby = await startPostgres({ standbyOf: primary, tls: { port: second, cert, key } });
  servers.push(standby);
  await primary.query(`ALTER SYSTEM SET synchronous_standby_names = '*'`);
  await primary.query('SELECT pg_reload_conf()');
  await until(
    async () => (await primary.query(`SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'`)).length === 1,
    'the standby follows',
  );
});
afterAll(() => Promise.all(servers.map((server) => server.stop())));

test('a standby that takes over has all that was acknowledged, and is found among the hosts of the address', async () => {
  const [primary, standby] = servers;
  if (primary === undefined || standby === undefined) throw new Error('two servers');
  // The standby first, which is passed over.
  const [first = 0, second = 0] = ports;
  const dsn = new Secret(`postgres://sidegate@localhost:${second},localhost:${first}/postgres`);
  const store = await openPostgresStore({ dsn, ca, clock: systemClock });
  const chain = testChain();
  for (let n = 0; n < 5; n++) await store.append([blockOf(chain, [{ id: sessionId(n) }])]);
  const acknowledged = chain.point();
  const next = blockOf(chain, [{ id: sessionId(5) }]);
  await primary.kill();
  await expect(store.append([next])).rejects.toMatchObject({ code: 'unavailable' });
  await standby.query('SELECT pg_promote()');
  await until(() => store.position(source, chain.name).then((at) => at !== undefined), 'the other host');
  expect(await store.position(source, chain.name)).toMatchObject(acknowledged);
  await store.append([next]);
  expect(await store.position(source, chain.name)).toMatchObject(chain.point());
  expect((await store.search({ limit: 10 })).sessions).toHaveLength(6);
  await store.close();
});

test('a host that lacks what a recorder has seen is not written to, as long as that recorder runs', async () => {
  const [, one] = servers;
  if (one === undefined) throw new Error('two servers');
  // As a standby would stand that was not waited for: with fewer entries, and then with others.
  const schema = one.schema();
  const store = await openPostgresStore({ dsn: one.dsn, clock: systemClock, schema });
  const chain = testChain();
  await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
  const tables = ['log', 'entry', 'node', 'chain', 'block', 'session', 'part', 'name'].map(
    (table) => `${schema}.${table}`,
  );
  for (const table of tables) await one.query(`CREATE TABLE ${table}_then AS SELECT * FROM ${table}`);
  const after = [blockOf(chain, [{ id: sessionId(2) }]), blockOf(chain, [{ id: sessionId(3) }])];
  await store.append(after);
  const next = blockOf(chain, [{ id: sessionId(4) }]);
  await one.query(`UPDATE ${schema}.log SET (size, sealed_root) = (SELECT size, sealed_root FROM ${schema}.log_then)`);
  const lacks = { code: 'unavailable', message: expect.stringContaining('lacks entries') };
  await expect(store.append([next])).rejects.toMatchObject(lacks);
  // Whatever it asks in between.
  expect((await store.log()).size).toBe(1);
  await expect(store.append([next])).rejects.toMatchObject(lacks);
  await one.query(`DELETE FROM ${schema}.entry WHERE id > 0`);
  await one.query(`DELETE FROM ${schema}.node WHERE (level, idx) NOT IN (SELECT level, idx FROM ${schema}.node_then)`);
  // Another recorder, which has seen nothing of it, goes on there.
  const other = await openPostgresStore({ dsn: one.dsn, clock: systemClock, schema });
  const elsewhere = testChain('elsewhere');
  for (let n = 0; n < 5; n++) await other.append([blockOf(elsewhere, [{ id: sessionId(10 + n) }], testTime + 1)]);
  expect((await store.log()).size).toBe(6);
  await expect(store.append([next])).rejects.toMatchObject(lacks);
  await other.append([blockOf(elsewhere, [{ id: sessionId(20) }], testTime + 1)]);
  await other.close();
  await store.close();
});

test('a standby alone is told from a database', async () => {
  const [, standby] = servers;
  if (standby === undefined) throw new Error('two servers');
  await standby.query(`ALTER SYSTEM SET default_transaction_read_only = on`);
  await standby.query('SELECT pg_reload_conf()');
  await until(
    async () =>
      (await standby.query('SHOW default_transaction_read_only'))[0]?.['default_transaction_read_only'] === 'on',
    'it takes nothing',
  );
  await expect(openPostgresStore({ dsn: standby.dsn, clock: systemClock })).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the database is a standby',
  });
});

test('an address of several hosts is one target each, with what stands beside them', () => {
  const targets = (text: string) =>
    targetsOf({ dsn: new Secret(text) }).map(({ host, port, database }) => [host, port, database]);
  expect(targets('postgres://u:p%2C@a,b:6000,[::1]:7000/r?target_session_attrs=read-write')).toEqual([
    ['a', 5432, 'r'],
    ['b', 6000, 'r'],
    ['::1', 7000, 'r'],
  ]);
  for (const text of [
    'postgres://a,/r',
    'postgres://a,b:x/r',
    `postgres://${'a,'.repeat(8)}a/r`,
    'postgres://a/r?target_session_attrs=any',
  ])
    expect(() => targets(text)).toThrow('the address of the database');
});
