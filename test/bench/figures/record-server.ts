// The recorder's ingest and store in a process of their own, as cmd/recorder wires them but for the API server: record.ts talks to it.
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { Secret, silentLogger, systemClock } from '../../../pkg/base/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest, writeWorkloadId } from '../../../pkg/pki/index.ts';
import { inclusionProof, verifySession } from '../../../pkg/record/index.ts';
import {
  createCommitter,
  createIngestServer,
  keepHeads,
  keepUp,
  openPostgresStore,
  openSqliteStore,
  silentObserver,
} from '../../../pkg/recorder/index.ts';
import type { SessionQuery, StoreStats } from '../../../pkg/recorder/index.ts';

export type Ask =
  | { readonly ask: 'open'; readonly folder: string; readonly sidecars: number; readonly dsn?: string }
  /** Milliseconds of each, one after the other. */
  | { readonly ask: 'search'; readonly queries: readonly SessionQuery[] }
  | { readonly ask: 'prove'; readonly sessions: readonly string[] }
  | { readonly ask: 'stats' }
  /** Ends as the recorder does. */
  | { readonly ask: 'close' };
export type Tell =
  | {
      readonly tell: 'open';
      readonly port: number;
      readonly ca: string;
      readonly identities: readonly { readonly uid: string; readonly cert: string; readonly key: string }[];
    }
  | { readonly tell: 'took'; readonly ms: readonly number[]; readonly found: number }
  | { readonly tell: 'stats'; readonly stats: StoreStats }
  | { readonly tell: 'closed' };

const tell = (message: Tell): void => void process.send?.(message);
const clock = systemClock;
const logger = silentLogger;
const { privateKey, publicKey } = generateKeyPairSync('ed25519');

/** @param dsn Of a database; undefined: the store is a file in the folder. */
async function open(folder: string, sidecars: number, dsn: string | undefined) {
  // Beside the bundle; record.ts makes both.
  const thread = import.meta.url.endsWith('.ts') ? {} : { thread: new URL('./reader.js', import.meta.url) };
  const store =
    dsn === undefined
      ? openSqliteStore({ path: join(folder, 'record.db'), clock, ...thread })
      : await openPostgresStore({ dsn: new Secret(dsn), clock });
  const authority = createAuthority({
    state: { current: await createAuthorityPair(clock), since: clock.now() },
    clock,
  });
  const { key, csr } = createKeyRequest();
  const cert = await authority.sign({ purpose: 'server', csr, dnsNames: ['localhost'] });
  const server = await createIngestServer({
    host: '127.0.0.1',
    port: 0,
    serving: { current: () => ({ cert, key }), subscribe: () => () => undefined },
    bundle: () => authority.bundle(),
    trustDomain: 'cluster.local',
    namespace: 'sidegate-system',
    store,
    committer: createCommitter({ store, clock, logger }),
    clock,
    logger,
    observer: silentObserver,
    limits: { perAddress: 1_000 },
  });
  const upkeep = keepUp({
    controlNamespace: 'sidegate-system',
    store,
    clock,
    logger,
    retention: { all: 0, namespaces: {}, policies: {} },
    logEndsAt: 0,
    latest: () => store.latest(),
  });
  const heads = keepHeads({ store, key: privateKey, clock, logger });
  const identities = [];
  for (let at = 0; at < sidecars; at++) {
    const uid = `uid-${at}`;
    const request = createKeyRequest();
    const uri = writeWorkloadId('cluster.local', { namespace: 'ml', serviceAccount: 'default', uid });
    identities.push({
      uid,
      key: request.key,
      cert: await authority.sign({ purpose: 'client', csr: request.csr, uri }),
    });
  }
  tell({ tell: 'open', port: server.port, ca: authority.bundle(), identities });
  return { store, heads, server, upkeep };
}

let opened: Awaited<ReturnType<typeof open>> | undefined;
const handle = async (message: Ask): Promise<void> => {
  if (message.ask === 'open') {
    opened = await open(message.folder, message.sidecars, message.dsn);
    return;
  }
  if (opened === undefined) throw new Error('not open');
  const { store, heads, server, upkeep } = opened;
  const ms: number[] = [];
  let found = 0;
  switch (message.ask) {
    case 'search':
      for (const query of message.queries) {
        const from = performance.now();
        found += (await store.search(query)).sessions.length;
        ms.push(performance.now() - from);
      }
      return tell({ tell: 'took', ms, found });
    case 'prove': {
      await heads.sign();
      for (const session of message.sessions) {
        const from = performance.now();
        if (await proves(session)) found++;
        ms.push(performance.now() - from);
      }
      return tell({ tell: 'took', ms, found });
    }
    case 'stats':
      return tell({ tell: 'stats', stats: await store.stats() });
    case 'close':
      await server.close();
      await upkeep.close();
      heads.close();
      await store.close();
      return tell({ tell: 'closed' });
  }
};

/** What `/v1/sessions/ID/proof` gathers, and what `audit verify --session` makes of it. */
async function proves(session: string): Promise<boolean> {
  if (opened === undefined) return false;
  const { store } = opened;
  const head = await store.lastHead();
  if (head === undefined) return false;
  const { sessions } = await store.search({ session, limit: 1 });
  const indices = sessions[0] === undefined ? [] : await store.sessionBlocks(session, sessions[0], 64);
  const blocks = await Promise.all(
    indices.map(async (index) => {
      const [[entry], lines, path] = await Promise.all([
        store.entries(index, 1),
        store.blockLines(index),
        inclusionProof(index, head.size, (level, at) => store.node(level, at)),
      ]);
      return {
        index,
        entry: entry?.text ?? '',
        lines: Buffer.from(lines ?? []).toString(),
        path: path.map((one) => Buffer.from(one).toString('hex')),
      };
    }),
  );
  return verifySession({ head: head.text, blocks, unsigned: 0 }, { session, publicKey }).ok;
}

process.on('message', (message: Ask) => {
  handle(message).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
