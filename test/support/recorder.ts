// A recorder for tests: the real server and store on loopback, with an authority that makes identities of sidecars.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest, writeWorkloadId } from '../../pkg/pki/index.ts';
import type { Authority, TlsMaterial } from '../../pkg/pki/index.ts';
import {
  createCommitter,
  createIngestServer,
  openSqliteStore,
  silentObserver,
  watchVanished,
} from '../../pkg/recorder/index.ts';
import type {
  IngestLimits,
  IngestObserver,
  IngestServer,
  RecordStore,
  Shares,
  VanishedWatch,
} from '../../pkg/recorder/index.ts';
import { connectStream } from '../../pkg/remote/index.ts';
import { recordPath, recordProtocol } from '../../pkg/wire/index.ts';

export interface TestRecorder {
  readonly authority: Authority;
  readonly folder: string;
  readonly path: string;
  readonly store: RecordStore;
  /** Conflicts, refusals and ends, as they happened. */
  readonly told: string[];
  /** Duplicates and holes. */
  readonly counts: { duplicates: number; holes: number; gaps: number; events: number };
  port(): number;
  /** To the port of sidecars. */
  connections(): number;
  /** What frames of sidecars hold. */
  frameBytes(): number;
  identity(
    uid: string,
    more?: {
      readonly namespace?: string;
      readonly serviceAccount?: string;
      readonly purpose?: 'client' | 'server';
      readonly trustDomain?: string;
    },
  ): Promise<TlsMaterial>;
  connect(material: TlsMaterial, signal?: AbortSignal): Promise<Duplex>;
  /** Ends it, and begins again on the same file and port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export const recorderName = 'sidegate-recorder.sidegate-system.svc';

export async function startRecorder(
  options: {
    readonly limits?: Partial<IngestLimits>;
    readonly clock?: Clock;
    readonly logger?: Logger;
    /** What ingest writes by, in place of the store. */
    readonly append?: (store: RecordStore) => RecordStore['append'];
    /** What is kept in place of a SQLite store. */
    readonly open?: () => Promise<RecordStore>;
    /** What namespaces may hold of it. */
    readonly shares?: (store: RecordStore) => Pick<Shares, 'mayTake'>;
    /** Grace of pods that are gone; default 10 s. */
    readonly graceMs?: number;
  } = {},
): Promise<TestRecorder> {
  const { clock = systemClock, logger = silentLogger, limits } = options;
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-recorder-'));
  const path = join(folder, 'record.db');
  const current = await createAuthorityPair(clock);
  const authority = createAuthority({ state: { current, since: clock.now() }, clock });
  const { key, csr } = createKeyRequest();
  const cert = await authority.sign({ purpose: 'server', csr, dnsNames: [recorderName, 'localhost'] });
  const told: string[] = [];
  const counts = { duplicates: 0, holes: 0, gaps: 0, events: 0 };
  const observer: IngestObserver = {
    ...silentObserver,
    refused: (why) => void told.push(`refused ${why}`),
    closed: (reason) => void told.push(`closed ${reason}`),
    conflict: (kind) => void told.push(`conflict ${kind}`),
    duplicate: (events) => void (counts.duplicates += events),
    hole: (events) => void (counts.holes += events),
    gap: (events) => void (counts.gaps += events),
    received: (events) => void (counts.events += events),
  };
  const open = options.open ?? (() => Promise.resolve(openSqliteStore({ path, clock })));
  let store = await open();
  let server: IngestServer | undefined;
  let vanished: VanishedWatch | undefined;
  let port = 0;
  const start = async (): Promise<void> => {
    server = await createIngestServer({
      host: '127.0.0.1',
      port,
      serving: { current: () => ({ cert, key }), subscribe: () => () => undefined },
      bundle: () => authority.bundle(),
      trustDomain: 'cluster.local',
      namespace: 'sidegate-system',
      store,
      committer: createCommitter({ store: { append: options.append?.(store) ?? store.append }, clock, logger }),
      clock,
      logger,
      observer,
      shares: options.shares?.(store),
      ...(limits === undefined ? {} : { limits }),
    });
    port = server.port;
    vanished = watchVanished({
      store,
      connected: server.connected,
      clock,
      logger,
      ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    });
  };
  const stop = async (): Promise<void> => {
    await server?.close();
    await vanished?.close();
    server = undefined;
  };
  await start();
  return {
    authority,
    folder,
    path,
    get store() {
      return store;
    },
    told,
    counts,
    port: () => port,
    connections: () => server?.connections() ?? 0,
    frameBytes: () => server?.frameBytes() ?? 0,
    async identity(uid, more = {}) {
      const { namespace = 'ml', serviceAccount = 'default', purpose = 'client', trustDomain = 'cluster.local' } = more;
      const request = createKeyRequest();
      const uri = writeWorkloadId(trustDomain, { namespace, serviceAccount, uid });
      const signed = await authority.sign(
        purpose === 'client'
          ? { purpose, csr: request.csr, uri }
          : { purpose, csr: request.csr, dnsNames: ['llama.ml.svc'] },
      );
      return { cert: signed, key: request.key };
    },
    async connect(material, signal = new AbortController().signal) {
      const { socket, head } = await connectStream({
        host: '127.0.0.1',
        port,
        name: recorderName,
        trust: authority.bundle(),
        proof: { kind: 'certificate', material },
        localAddress: undefined,
        endpoint: { path: recordPath, protocol: recordProtocol },
        clock,
        timeoutMs: 10_000,
        signal,
      });
      if (head.length > 0) socket.unshift(head);
      return socket;
    },
    async restart() {
      await stop();
      await store.close();
      store = await open();
      await start();
    },
    stop,
    start,
    async close() {
      await stop();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
