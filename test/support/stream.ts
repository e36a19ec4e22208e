import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { Secret, jsonValue, silentLogger } from '../../pkg/base/index.ts';
import type { JsonValue, Logger } from '../../pkg/base/index.ts';
import { controllerAudience } from '../../pkg/contract/index.ts';
import { createOpenedCertificates } from '../../pkg/control/secrets/opened-certificates.ts';
import { createStreamServer } from '../../pkg/control/stream/index.ts';
import type {
  ApprovalDesk,
  CertificateOpener,
  FigureTaker,
  GrantFeed,
  ImportedCertificate,
  LimitStoreAddress,
  PodAnswer,
  PodDirectory,
  PodRecord,
  PodReport,
  PodSecrets,
  PodSnapshot,
  RefusalCause,
  ReviewedToken,
  StreamLimits,
  StreamServer,
} from '../../pkg/control/stream/index.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import type { Policy, Revocation } from '../../pkg/core/index.ts';
import { createAuthority, createAuthorityPair, createPkcs12Opener } from '../../pkg/pki/index.ts';
import type { Authority } from '../../pkg/pki/index.ts';
import { connectController } from '../../pkg/remote/index.ts';
import type { Remote, RemoteEvent, RemoteOptions } from '../../pkg/remote/index.ts';
import { createFrameReader, encodeFrame, maxDownBytes, streamPath, streamProtocol } from '../../pkg/wire/index.ts';
import type { AuditHead, UpMessage } from '../../pkg/wire/index.ts';
import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';

export const controllerName = 'sidegate-controller.sidegate-system.svc';

/** Waits in real time for what happens on real sockets. */
export { until } from './wait.ts';

/** A snapshot of these policies, as the controller makes it. */
export function snapshotOf(policies: readonly Policy[], seen: Readonly<Record<string, string>> = {}): PodSnapshot {
  const { hash, sources } = compileSnapshot(policies, { revision: 1 });
  return { hash, sources, policies, seen: { inferencepolicies: '1', ...seen } };
}

/** The cluster as a stream server sees it, in memory. */
export interface FakeDirectory extends PodDirectory {
  readonly pods: Map<string, PodRecord>;
  readonly answers: Map<string, PodAnswer>;
  readonly names: Map<string, readonly string[]>;
  readonly secretsOf: Map<string, PodSecrets>;
  readonly importedOf: Map<string, ImportedCertificate>;
  readonly reports: PodReport[];
  readonly gone: string[];
  readonly heads: AuditHead[];
  /** Adds or replaces a pod, by uid. */
  put(pod: PodRecord): PodRecord;
  remove(pod: PodRecord): void;
  /** Tells the server that something of the pod changed. */
  changed(pod: { readonly namespace: string; readonly name: string }): void;
  filled: boolean;
}

const noSecrets: PodSecrets = { values: [], missing: [] };

export function fakeDirectory(): FakeDirectory {
  const listeners = new Set<(pod: { readonly namespace: string; readonly name: string }) => void>();
  const directory: FakeDirectory = {
    pods: new Map(),
    answers: new Map(),
    names: new Map(),
    secretsOf: new Map(),
    importedOf: new Map(),
    reports: [],
    gone: [],
    heads: [],
    filled: true,
    put(pod) {
      directory.pods.set(pod.uid, pod);
      return pod;
    },
    remove(pod) {
      directory.pods.delete(pod.uid);
    },
    changed(pod) {
      for (const listener of listeners) listener(pod);
    },
    synced: () => directory.filled,
    pod: (namespace, name) =>
      [...directory.pods.values()].find((one) => one.namespace === namespace && one.name === name),
    podByUid: (uid) => directory.pods.get(uid),
    hasAddress: (address) => [...directory.pods.values()].some((one) => one.addresses.includes(address)),
    answer: (pod) => directory.answers.get(pod.uid) ?? { kind: 'pending' },
    servingNames: (pod) => directory.names.get(pod.uid) ?? [],
    secrets: (pod) => directory.secretsOf.get(pod.uid) ?? noSecrets,
    imported: (pod) => directory.importedOf.get(pod.uid),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    report: (report) => void directory.reports.push(report),
    disconnected: (pod) => void directory.gone.push(pod.uid),
    auditHead: (_pod, head) => void directory.heads.push(head),
  };
  return directory;
}

export interface StreamWorld {
  /** What the server of shared limits is said to be; may be set. */
  limitStore: LimitStoreAddress | undefined;
  /** How old the copies of the replicas are, milliseconds; may be set. */
  copiesAgeMs: number;
  /** What is revoked; may be set, before a sidecar comes. */
  revocations: readonly Revocation[] | undefined;
  readonly clock: FakeClock;
  readonly authority: Authority;
  readonly directory: FakeDirectory;
  readonly server: StreamServer;
  /** By token; a function may throw. */
  readonly tokens: Map<string, ReviewedToken | (() => never)>;
  readonly reviews: string[];
  readonly refusals: RefusalCause[];
  /** Types of messages that were not sent. */
  readonly unsent: string[];
  readonly closed: string[];
  readonly openedBy: string[];
  readonly log: string[];
  /** A pod with its token, in the directory. */
  pod(more?: Partial<PodRecord>): PodRecord & { readonly token: string };
  /** A folder for a sidecar, with its token in it. */
  folder(token: string): { readonly tokenFile: string; readonly stateFolder: string };
  sidecar(pod: PodRecord & { readonly token: string }, more?: Partial<RemoteOptions>): Sidecar;
  /** Another replica on the same cluster. */
  replica(
    limits?: Partial<StreamLimits>,
    directory?: PodDirectory,
    grants?: GrantFeed,
    trustDomain?: string,
  ): Promise<StreamServer>;
  close(): Promise<void>;
}

export interface Sidecar extends Remote {
  readonly events: RemoteEvent[];
  readonly options: RemoteOptions;
}

/** Real TLS on loopback, both sides real; only the cluster behind the controller is not. */
export async function streamWorld(
  options: {
    readonly limits?: Partial<StreamLimits>;
    readonly agoMs?: number;
    /** Asked for each replica: its desk. */
    readonly approvals?: () => ApprovalDesk;
    readonly grants?: GrantFeed;
    readonly figures?: FigureTaker;
    /** Default: as the controller's. */
    readonly opener?: CertificateOpener;
  } = {},
): Promise<StreamWorld> {
  // TLS itself knows only the real time.
  const clock = fakeClock({ now: Date.now() - (options.agoMs ?? 0) });
  const current = await createAuthorityPair(clock);
  const authority = createAuthority({ state: { current, since: clock.now() }, clock });
  const directory = fakeDirectory();
  const tokens: StreamWorld['tokens'] = new Map();
  const [reviews, refusals, closed, openedBy, log]: [string[], RefusalCause[], string[], string[], string[]] = [
    [],
    [],
    [],
    [],
    [],
  ];
  const unsent: string[] = [];
  const sidecars: Remote[] = [];
  const servers: StreamServer[] = [];
  const root = mkdtempSync(join(tmpdir(), 'sidegate-stream-'));
  const logger = recording(log);
  let count = 0;

  const replica = async (
    limits?: Partial<StreamLimits>,
    other?: PodDirectory,
    feed?: GrantFeed,
    trustDomain = 'cluster.local',
  ): Promise<StreamServer> => {
    const server = await createStreamServer({
      host: '127.0.0.1',
      port: 0,
      names: [controllerName],
      trustDomain,
      clusterDomain: 'cluster.local',
      directory: other ?? directory,
      authority,
      opener:
        options.opener ??
        createOpenedCertificates({ pkcs12: createPkcs12Opener(clock), clock, onOpened: () => undefined }),
      limitStore: () => world.limitStore,
      copiesAgeMs: () => world.copiesAgeMs,
      revocations: {
        revocations: () => world.revocations,
        seen: () => ({ revocations: '1' }),
        subscribe: () => () => undefined,
      },
      ...((feed ?? options.grants) === undefined ? {} : { grants: feed ?? options.grants }),
      ...(options.approvals === undefined ? {} : { approvals: options.approvals() }),
      ...(options.figures === undefined ? {} : { figures: options.figures }),
      clock,
      logger,
      random: () => 0.5,
      ...(limits === undefined ? {} : { limits }),
      reviewer: {
        async review(token, audience) {
          reviews.push(audience);
          const known = tokens.get(token.reveal());
          return typeof known === 'function' ? known() : known;
        },
      },
      observer: {
        opened: (by) => void openedBy.push(by),
        closed: (reason) => void closed.push(reason),
        refused: (cause) => void refusals.push(cause),
        pushed: () => undefined,
        acked: () => undefined,
        unsent: (type) => void unsent.push(type),
        nacked: () => undefined,
        signed: () => undefined,
      },
    });
    servers.push(server);
    return server;
  };
  const server = await replica(options.limits);

  const world: StreamWorld = {
    limitStore: undefined,
    copiesAgeMs: 0,
    revocations: undefined,
    clock,
    authority,
    directory,
    server,
    tokens,
    reviews,
    refusals,
    unsent,
    closed,
    openedBy,
    log,
    replica,
    pod(more = {}) {
      count++;
      const record: PodRecord = {
        namespace: 'ml',
        name: `llama-${count}`,
        uid: `uid-${count}`,
        serviceAccount: 'llama',
        governed: true,
        sidecar: true,
        terminating: false,
        finished: false,
        addresses: [`127.0.1.${count}`],
        ...more,
      };
      const token = `token.of-${record.name}.${count}`;
      tokens.set(token, {
        username: `system:serviceaccount:${record.namespace}:${record.serviceAccount}`,
        audiences: [controllerAudience],
        podName: record.name,
        podUid: record.uid,
      });
      directory.put(record);
      return { ...record, token };
    },
    folder(token) {
      const folder = mkdtempSync(join(root, 'pod-'));
      const tokenFile = join(folder, 'token');
      writeFileSync(tokenFile, `${token}\n`);
      return { tokenFile, stateFolder: join(folder, 'state') };
    },
    sidecar(pod, more = {}) {
      const events: RemoteEvent[] = [];
      const settings: RemoteOptions = {
        url: `https://127.0.0.1:${server.port}`,
        name: controllerName,
        ca: authority.bundle(),
        pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid },
        portMap: { '8000': 17_400 },
        capture: 'Redirect',
        software: '0.1.0',
        ...world.folder(pod.token),
        clock,
        logger,
        compile: (policies, revision) => compileSnapshot(policies, { revision }),
        onEvent: (event) => void events.push(event),
        random: () => 0.5,
        localAddress: pod.addresses[0] ?? '127.0.0.1',
        ...more,
      };
      const remote = connectController(settings);
      sidecars.push(remote);
      return Object.assign(remote, { events, options: settings });
    },
    async close() {
      for (const one of sidecars) await one.close();
      for (const one of servers) await one.close();
      rmSync(root, { recursive: true });
    },
  };
  return world;
}

function recording(log: string[]): Logger {
  const at =
    (level: string) =>
    (message: string, fields?: unknown): void =>
      void log.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  return {
    ...silentLogger,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: () => recording(log),
  };
}

/** A connection that speaks the protocol by hand, as rightly or wrongly as a test wants. */
export interface RawPeer {
  readonly socket: TLSSocket;
  /** Status of the answer, once it is there. */
  readonly status: Promise<number>;
  readonly received: { readonly [key: string]: JsonValue }[];
  send(message: UpMessage): void;
  /** Whether the connection is closed. */
  closed(): boolean;
}

export function rawPeer(
  world: StreamWorld,
  how: {
    readonly from: string;
    readonly port?: number;
    readonly authorization?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly request?: string;
    readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  },
): RawPeer {
  const received: { readonly [key: string]: JsonValue }[] = [];
  let closed = false;
  const socket = connect({
    host: '127.0.0.1',
    port: how.port ?? world.server.port,
    ...{ localAddress: how.from }, // which Node takes and its types do not know
    servername: controllerName,
    // These peers attack the controller and need not know it.
    rejectUnauthorized: false,
    ca: world.authority.bundle(),
    ...(how.cert === undefined ? {} : { cert: how.cert }),
    ...(how.key === undefined ? {} : { key: how.key }),
    ...(how.maxVersion === undefined ? {} : { maxVersion: how.maxVersion, minVersion: 'TLSv1.2' }),
  });
  socket.once('secureConnect', () =>
    socket.write(
      how.request ??
        `GET ${streamPath} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${streamProtocol}\r\n${
          how.authorization === undefined ? '' : `Authorization: ${how.authorization}\r\n`
        }\r\n`,
    ),
  );
  const reader = createFrameReader({
    maxBytes: maxDownBytes,
    onFrame: (root) => received.push(jsonValue(root) as { readonly [key: string]: JsonValue }),
  });
  let head = '';
  const status = new Promise<number>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      if (head === 'read') return reader.push(chunk);
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      const rest = Buffer.from(head.slice(end + 4), 'latin1');
      const code = Number(head.slice(9, 12));
      head = 'read';
      resolve(code);
      if (rest.length > 0 && code === 101) reader.push(rest);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      closed = true;
      resolve(0);
    });
  });
  return {
    socket,
    status,
    received,
    send: (message) => void socket.write(encodeFrame(message)),
    closed: () => closed,
  };
}

/** Value of a Secret of the cluster. */
export const secretValue = (name: string, key: string, value: string): PodSecrets['values'][number] => ({
  name,
  key,
  value: new Secret(value),
});
