import { randomInt } from 'node:crypto';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { createKeyedBuckets } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { TlsMaterial, TlsMaterialSource } from '../../pki/index.ts';
import { controlPlane } from '../../contract/index.ts';
import {
  refuseSocket,
  maxRecordBytes,
  missedBeats,
  podsPath,
  recordHeartbeatMs,
  recordPath,
  recordProtocol,
} from '../../wire/index.ts';
import { createPodReports } from '../pods/pod-reports.ts';
import type { RecordStore } from '../store/index.ts';
import { createSidecarAuthenticator, namesSource } from './authenticate.ts';
import type { Sidecar } from './authenticate.ts';
import type { Committer } from './committer.ts';
import { createEvidenceBook } from './evidence.ts';
import { createFrameBudget } from './frame-budget.ts';
import { createNewChains } from './new-chains.ts';
import type { IngestObserver, IngestRefusal } from './observer.ts';
import type { Shares } from './shares.ts';
import { createSigners } from './signers.ts';
import { createSidecarStream } from './sidecar-stream.ts';
import type { SidecarStream } from './sidecar-stream.ts';

/**
 * Where sidecars bring their records: TLS 1.3, by their identity certificate and nothing else, one stream a pod (a new one
 * takes the place of the old).
 */
export interface IngestServerOptions {
  /** Default: all addresses. */
  readonly host?: string;
  readonly port: number;
  /** The recorder's own certificate; new ones are taken as they come. */
  readonly serving: Pick<TlsMaterialSource, 'current' | 'subscribe'>;
  /** PEM of the authorities of sidecars. */
  readonly bundle: () => string;
  readonly trustDomain: string;
  /** Of Sidegate itself: its controller's certificate alone may report pods, and say who decided what. */
  readonly namespace: string;
  readonly store: Pick<
    RecordStore,
    'position' | 'lineHash' | 'learn' | 'presentSources' | 'returned' | 'latest' | 'allOf'
  >;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: IngestObserver;
  readonly limits?: Partial<IngestLimits>;
  /** What namespaces may hold of the store; default: there are no shares. */
  readonly shares?: Pick<Shares, 'mayTake'> | undefined;
  /** For jitter, 0 to 1. */
  readonly random?: () => number;
}

/** What one recorder takes on. */
export interface IngestLimits {
  /** Streams; more are refused, and come again later. */
  readonly streams: number;
  /** Handshakes at once: of the address that has most, the oldest makes room for one more. */
  readonly handshakes: number;
  /** Connections of one address that are no streams yet: who has shown a certificate counts no more, since many pods may come from one address. */
  readonly perAddress: number;
  /** Streams of one sidecar: a new one takes the place of the one before it. */
  readonly perSource: number;
  /** Chains that one sidecar begins in an hour. */
  readonly newChains: number;
  /** Holes of one sidecar that are an entry each at once; each minute there is one more. */
  readonly holes: number;
  /** Small batches of one sidecar (less than 16 KiB) that are an entry each, a second, and ten times as many at once: those beyond wait. */
  readonly smallBatches: number;
  /**
   * Signatures of one sidecar that are verified in a second, and ten times as many at once: lines behind them wait. An honest one signs a thousand
   * lines, or what a minute brought.
   */
  readonly signatures: number;
  /** Of these, in a second and ten times as many at once, such as name a line that did not come with them: honest ones name the line before theirs. */
  readonly lookUps: number;
  /** Bytes that frames of all streams hold which are not whole yet, or not dealt with: others wait (frame-budget.ts). */
  readonly frameBytes: number;
  /** Within which a frame is whole, while its stream is read; where others wait, it holds its room no longer than `holdMs`. */
  readonly frameMs: number;
  /** How long a frame may hold its room where others wait for it. */
  readonly holdMs: number;
  readonly handshakeMs: number;
  readonly heartbeatMs: number;
  readonly maxAgeMs: number;
}

export const ingestLimits: IngestLimits = {
  streams: 10_000,
  handshakes: 256,
  perAddress: 32,
  perSource: 4,
  newChains: 256,
  holes: 256,
  smallBatches: 10,
  signatures: 50,
  lookUps: 2,
  frameBytes: 32 * 1024 * 1024,
  frameMs: 5 * 60_000,
  holdMs: 60_000,
  handshakeMs: 10_000,
  heartbeatMs: recordHeartbeatMs,
  maxAgeMs: 60 * 60_000,
};

export interface IngestServer {
  readonly port: number;
  streams(): number;
  /** All that are open, those that are no streams yet too. */
  connections(): number;
  /** What their frames hold. */
  frameBytes(): number;
  /** Whether this sidecar (SPIFFE id) has a stream, or one whose end is not settled. */
  connected(source: string): boolean;
  /** All of these. */
  sources(): readonly string[];
  /** Says goodbye to all, and resolves when what they had sent is decided. */
  close(): Promise<void>;
}

const systemRandom = (): number => randomInt(2 ** 32) / 2 ** 32;

/** @throws when the port cannot be had. */
export async function createIngestServer(options: IngestServerOptions): Promise<IngestServer> {
  const { serving, committer, clock, logger, observer, random = systemRandom } = options;
  const limits: IngestLimits = { ...ingestLimits, ...options.limits };
  // Where this clock goes back, the log's last entry still says how late it was; where it was ahead for a moment, the log's time stays ahead.
  // Good certificates stay good in both. The time of a log that rests lies in the past, where what has expired since counted.
  const times = (): readonly number[] => {
    const [now, latest] = [clock.now(), options.store.latest()];
    return latest > now ? [now, latest] : [now];
  };
  const authenticator = createSidecarAuthenticator(options.bundle, options.trustDomain, times);
  const all = new Set<SidecarStream>();
  const bySource = new Map<string, SidecarStream>();
  const raw = new Set<Socket>();
  const addresses = new Map<string, number>();
  const sources = new Map<string, number>();
  const newChains = createNewChains(clock, limits.newChains);
  const holes = createKeyedBuckets(clock, 1 / 60, limits.holes, limits.streams);
  const smallBatches = createKeyedBuckets(clock, limits.smallBatches, 10 * limits.smallBatches, limits.streams);
  const signatures = createKeyedBuckets(clock, limits.signatures, 10 * limits.signatures, limits.streams);
  const lookUps = createKeyedBuckets(clock, limits.lookUps, 10 * limits.lookUps, limits.streams);
  const signers = createSigners({ store: options.store, committer, bundle: options.bundle, clock });
  const frames = createFrameBudget({
    clock,
    bytes: Math.max(limits.frameBytes, 2 * maxRecordBytes),
    perSource: 2 * maxRecordBytes,
    holdMs: limits.holdMs,
    behind: () => committer.full,
  });
  const evidence = createEvidenceBook({ committer, clock, logger });
  let handshakes = 0;
  let closing = false;

  const contextOf = ({ cert, key }: TlsMaterial): { cert: string; key: string; ca: string; minVersion: 'TLSv1.3' } => ({
    cert,
    key,
    ca: options.bundle(),
    minVersion: 'TLSv1.3',
  });
  const server = createServer({
    ...contextOf(serving.current()),
    requestCert: true,
    // Judged below, by purpose and name too.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: limits.handshakeMs,
    headersTimeout: limits.handshakeMs,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 16_384,
    keepAlive: false,
    noDelay: true,
  });
  const stopServing = serving.subscribe((material) => server.setSecureContext(contextOf(material)));

  /** Connections that have shown no certificate, in the order in which they came. */
  const unproven = new Map<Socket, { readonly address: string; shaking: boolean; leave(): void }>();
  /** The oldest of an address makes room for one more. @param shaking Of those whose handshake goes on. @returns false: there is none */
  const giveWay = (address: string, shaking = false): boolean => {
    for (const [socket, one] of unproven) {
      if (one.address !== address || (shaking && !one.shaking)) continue;
      observer.refused('overloaded');
      one.leave();
      socket.destroy();
      return true;
    }
    return false;
  };
  /** The address with most handshakes that go on. */
  const mostShaking = (): string => {
    const counts = new Map<string, number>();
    for (const { address, shaking } of unproven.values())
      if (shaking) counts.set(address, (counts.get(address) ?? 0) + 1);
    return [...counts].reduce((one, other) => (other[1] > one[1] ? other : one), ['', 0] as const)[0];
  };
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    socket.on('error', () => undefined);
    const hasRoom = (): boolean =>
      ((addresses.get(address) ?? 0) < limits.perAddress || giveWay(address)) &&
      (handshakes < limits.handshakes || giveWay(mostShaking(), true)) &&
      raw.size < limits.streams;
    if (closing || !hasRoom()) {
      observer.refused('overloaded');
      socket.destroy();
      return;
    }
    raw.add(socket);
    addresses.set(address, (addresses.get(address) ?? 0) + 1);
    handshakes++;
    const one = { address, shaking: true, leave: (): void => leave() };
    unproven.set(socket, one);
    const shaken = (): void => {
      if (one.shaking) handshakes--;
      one.shaking = false;
    };
    const proven = (): void => {
      if (unproven.delete(socket)) release(addresses, address);
    };
    const deadline = clock.after(limits.handshakeMs, shaken);
    const leave = (): void => {
      deadline.cancel();
      shaken();
      raw.delete(socket);
      proven();
    };
    socket.once('close', leave);
    // Of one that is closed not all of it can be asked any more.
    const key = connectionKey(socket);
    turns.set(key, { shaken, proven });
    socket.once('close', () => turns.delete(key));
  });
  const turns = new Map<string, { shaken(): void; proven(): void }>();
  server.on('secureConnection', (socket: TLSSocket) => turns.get(connectionKey(socket))?.shaken());
  server.on('tlsClientError', () => observer.refused('tls'));
  server.on('clientError', (_error, socket) => {
    observer.refused('http');
    socket.destroy();
  });
  const peerOf = ({ socket }: IncomingMessage): Sidecar | undefined =>
    socket instanceof TLSSocket ? authenticator.identify(socket.getPeerX509Certificate()) : undefined;
  const isController = ({ namespace, serviceAccount }: Sidecar): boolean =>
    namespace === options.namespace && serviceAccount === controlPlane.controller;
  const reports = createPodReports({ ...options, onUnheard: () => observer.refused('chains') });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    response.on('error', () => undefined);
    const refuse = (status: number, why: IngestRefusal): void => {
      observer.refused(why);
      response.writeHead(status, { connection: 'close' }).end();
    };
    if (request.url !== podsPath) return refuse(404, 'http');
    const peer = peerOf(request);
    if (peer === undefined || !isController(peer)) return refuse(401, 'certificate');
    turns.get(connectionKey(request.socket))?.proven();
    void reports(request, response);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    const refuse = (status: string, why: IngestRefusal): void => {
      observer.refused(why);
      logger.info('a connection was refused', { why, address: request.socket.remoteAddress ?? 'unknown' });
      refuseSocket(socket, `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`, clock);
    };
    if (request.method !== 'GET' || request.url !== recordPath || head.length > 0)
      return refuse('404 Not Found', 'http');
    if (request.headers.upgrade !== recordProtocol) return refuse('426 Upgrade Required', 'http');
    const sidecar = peerOf(request);
    if (sidecar === undefined) return refuse('401 Unauthorized', 'certificate');
    const ofSource = (sources.get(sidecar.source) ?? 0) + 1;
    if (closing || all.size >= limits.streams || ofSource > limits.perSource)
      return refuse('503 Service Unavailable', 'overloaded');
    sources.set(sidecar.source, ofSource);
    turns.get(connectionKey(request.socket))?.proven();
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${recordProtocol}\r\nConnection: Upgrade\r\n\r\n`);
    observer.opened();
    const { source } = sidecar;
    const stream = createSidecarStream({
      socket,
      source,
      namespace: sidecar.namespace,
      uid: sidecar.uid,
      isController: isController(sidecar),
      store: options.store,
      committer,
      clock,
      logger,
      observer,
      isOwn: (certificate) => namesSource(certificate, source),
      mayTake: () => options.shares?.mayTake(sidecar.namespace) ?? true,
      mayBegin: (chain) => newChains.mayBegin(source, chain),
      mayHole: () => holes.take(source),
      maySmall: () => smallBatches.take(source),
      mayVerify: () => signatures.take(source),
      mayLookUp: () => lookUps.take(source),
      signers,
      keepEvidence: evidence.take,
      frames,
      limits: { ...limits, missedBeats, maxAgeMs: limits.maxAgeMs * (0.8 + 0.4 * random()) },
      async onHello() {
        const old = bySource.get(source);
        bySource.set(source, stream);
        old?.end('replaced');
        await old?.done;
        await options.store.returned(source);
      },
      onClosed(reason) {
        all.delete(stream);
        release(sources, source);
        observer.closed(reason);
        // Kept while it settles: a new stream must wait for it.
        void stream.done.then(() => {
          if (bySource.get(source) === stream) bySource.delete(source);
        });
      },
    });
    all.add(stream);
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      { port: options.port, ...(options.host === undefined ? {} : { host: options.host }), backlog: 4_096 },
      resolve,
    );
  });
  server.on('error', (error) => logger.error('the port for sidecars failed', { error: error.message }));
  const tick = clock.every(1_000, () => {
    for (const stream of [...all]) stream.tick();
    frames.tick();
    evidence.tick();
  });

  return {
    port: (server.address() as AddressInfo).port,
    streams: () => all.size,
    connections: () => turns.size,
    frameBytes: () => frames.held,
    connected: (source) => bySource.has(source),
    sources: () => [...bySource.keys()],
    async close() {
      closing = true;
      const streams = [...all];
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const stream of streams) stream.end('shutdown');
      const late = clock.after(3_000, () => {
        for (const socket of raw) socket.destroy();
      });
      for (const socket of raw) if (streams.length === 0) socket.destroy();
      await Promise.all(streams.map((stream) => stream.done));
      for (const socket of raw) socket.destroy();
      late.cancel();
      tick.cancel();
      stopServing();
      await closed;
      await evidence.close();
      await committer.settled();
    },
  };
}

/** One less. */
function release(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 1) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}

function connectionKey({ remoteAddress, remotePort, localPort }: Socket): string {
  return [remoteAddress, remotePort, localPort].join('|');
}
