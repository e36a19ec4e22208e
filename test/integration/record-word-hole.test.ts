import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Cluster } from '../../pkg/cli/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import {
  controllersOf,
  createAuditServer,
  createCommitter,
  keepHeads,
  openPostgresStore,
  openSqliteStore,
} from '../../pkg/recorder/index.ts';
import type { AuditServer, RecordStore } from '../../pkg/recorder/index.ts';
import { shardTable } from '../../pkg/recorder/store/search/shards.ts';
import { blockOf } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { startPostgres } from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';

// Who can write the store takes a session out of the index of words, and leaves its lines, its entry and all else that it is found by: who searches for
// what was said does not find it. `audit verify` asks a running recorder as people do, and says so.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const words = ['anchor', 'breeze', 'candle', 'dragon', 'ember'] as const;
let postgres: PostgresServer;
let folder: string;
let store: RecordStore;
let server: AuditServer;
let ca: string;
/** Has the index forget the words of a session, by its row: 1 is the first; in Postgres, where words are packed, of all. */
let hide: (row: number) => Promise<void>;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
afterEach(async () => {
  await server.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

async function start(kind: 'embedded' | 'postgres'): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-words-'));
  if (kind === 'embedded') {
    const path = join(folder, 'record.db');
    store = openSqliteStore({ path, clock: systemClock });
    hide = async (row) => {
      const index = new DatabaseSync(`${path}-words`, { timeout: 5_000 });
      expect(index.prepare(`DELETE FROM ${shardTable(0)} WHERE rowid = ?`).run(row).changes).toBe(1);
      index.close();
    };
  } else {
    const schema = postgres.schema();
    store = await openPostgresStore({ dsn: postgres.dsn, schema, clock: systemClock });
    hide = async () => void (await postgres.query(`TRUNCATE ${schema}.posting, ${schema}.segment`));
  }
  const chain = testChain();
  // A block for each, so that the sample has them all.
  for (const [n, word] of words.entries())
    await store.append([blockOf(chain, [{ id: sessionId(n), ask: `the ${word} is there` }], systemClock.now())]);
  while (await store.index());
  const heads = keepHeads({ store, key: privateKey, clock: systemClock, logger: silentLogger });
  await heads.sign();
  heads.close();
  const files = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const [cert, key] = [readFileSync(files.certFile, 'utf8'), readFileSync(files.keyFile, 'utf8')];
  ca = readFileSync(files.caFile, 'utf8');
  server = await createAuditServer({
    host: '127.0.0.1',
    port: 0,
    serving: { current: () => ({ cert, key }), subscribe: () => () => undefined },
    store,
    committer: createCommitter({ store, clock: systemClock, logger: silentLogger }),
    authorizer: {
      knows: () => true,
      authenticate: async () => ({ username: 'ana', groups: [] }),
      mayRead: async () => true,
      mayChange: async () => false,
    },
    clock: systemClock,
    logger: silentLogger,
    isController: controllersOf('sidegate-system'),
    shipping: { receivers: [], again: async () => undefined },
  });
}

/** The recorder, as the API server's proxy asks it. */
const client = {
  create: async () => ({ status: { token: 't' } }),
  request: ({ method, path, body }: { readonly method: string; readonly path: string; readonly body?: unknown }) =>
    path.includes('/proxy/')
      ? new Promise((resolve, reject) => {
          const asked = httpsRequest(
            {
              host: '127.0.0.1',
              port: server.port,
              servername: 'localhost',
              ca,
              agent: false,
              method,
              path: path.slice(path.indexOf('/proxy/') + '/proxy'.length),
              headers: { authorization: 'Bearer t' },
            },
            (response) => {
              let text = '';
              response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
              response.on('end', () => resolve(JSON.parse(text)));
              response.on('error', reject);
            },
          );
          asked.on('error', reject);
          asked.end(body === undefined ? undefined : JSON.stringify(body));
        })
      : Promise.resolve({}),
  close: () => undefined,
} as unknown as Cluster['client'];

const verify = async (): Promise<readonly [number, string]> => {
  const { code, out, err } = await sidegateCommand(['audit', 'verify', '--key', 'public.pem'], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    readFile: () => pem,
  });
  return [code, `${out}${err}`];
};
const finds = async (word: string): Promise<number> => (await store.search({ text: word, limit: 9 })).sessions.length;

describe.each(['embedded', 'postgres'] as const)('a recorder with a store of kind %s', (kind) => {
  test('whose index finds all is proven; one that lacks the words of a session is not, and the session is named', async () => {
    await start(kind);
    expect(await verify()).toEqual([0, expect.stringMatching(/^proven: 5 entries/)]);
    expect(await finds('candle')).toBe(1);
    await hide(3);
    expect(await finds('candle')).toBe(0);
    const hidden = kind === 'embedded' ? [2] : [...words.keys()];
    expect(await finds('dragon')).toBe(kind === 'embedded' ? 1 : 0);
    const [code, out] = await verify();
    expect(code).toBe(1);
    const found = out.split('\n').filter((line) => line.startsWith('index_differs'));
    expect(found).toEqual(
      hidden.map(
        (n) => `index_differs: entry ${n}: the index does not find session ${sessionId(n)} by a word that stands in it`,
      ),
    );
    expect(out).toContain('NOT PROVEN');
  });
});
