import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Clock, Logger } from '../../base/index.ts';
import { createAuthenticator } from './authenticate.ts';
import { createCertificates, podText } from './certificates.ts';
import { openConnections } from './connections.ts';
import type { Connections } from './connections.ts';
import { createRevocationFrames, createSnapshotFrames } from './encoded.ts';
import { streamLimits } from './limits.ts';
import type { StreamLimits } from './limits.ts';
import { noObserver } from './observer.ts';
import type { StreamObserver } from './observer.ts';
import { createPodStream } from './pod-stream.ts';
import type { PodStream } from './pod-stream.ts';
import type {
  ApprovalDesk,
  CertificateOpener,
  FigureTaker,
  GrantFeed,
  RevocationFeed,
  LimitStoreAddress,
  PodDirectory,
  PodRecord,
  StreamAuthority,
  TokenReviewer,
} from './ports.ts';
import { keepServingCertificate } from './serving-certificate.ts';

/**
 * The controller's side of the streams: lets in the sidecars of live governed pods and nobody else (authenticate.ts), gives
 * each its own state as it changes (pod-stream.ts), and keeps account of what each has in force (`PodDirectory.report`).
 *
 * Every replica serves it. One stream a pod: a new one takes the place of the old.
 */
export interface StreamServerOptions {
  /** Default: all addresses. */
  readonly host?: string;
  readonly port: number;
  /** DNS names of the controller's certificate: `sidegate-controller.NAMESPACE.svc` first. */
  readonly names: readonly string[];
  /** Of the SPIFFE ids. */
  readonly trustDomain: string;
  /** Of the pods' own DNS names, `cluster.local`. */
  readonly clusterDomain: string;
  readonly directory: PodDirectory;
  readonly reviewer: TokenReviewer;
  readonly authority: StreamAuthority;
  readonly opener: CertificateOpener;
  /** The server that counts limits over all pods. The same object while nothing in it changed. */
  readonly limitStore?: () => LimitStoreAddress | undefined;
  /** `https://HOST:PORT` to which sidecars bring their records. */
  readonly recorder?: string;
  /** Undefined: whatever needs an approval is refused. */
  readonly approvals?: ApprovalDesk;
  /** Undefined: nothing is said of grants. */
  readonly grants?: GrantFeed;
  /** Undefined: nothing is said of revocations. */
  readonly revocations?: RevocationFeed;
  /** Undefined: nobody looks at them. */
  readonly figures?: FigureTaker;
  /** Milliseconds since this replica heard from the API server, of the copy that has heard nothing for longest. Default: all are fresh. */
  readonly copiesAgeMs?: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer?: StreamObserver;
  readonly limits?: Partial<StreamLimits>;
  /** For jitter, 0 to 1; default the system's generator. */
  readonly random?: () => number;
}

export interface StreamServer {
  readonly port: number;
  /** Streams that stand. */
  streams(): number;
  /** Connections that wait for their turn. */
  waiting(): number;
  /**
   * Takes no more connections and sends each sidecar elsewhere, spread over `spreadMs`; policy goes on to flow to those that
   * are still here. Resolves when all are gone, at the latest 3 s after that.
   */
  drain(spreadMs: number): Promise<void>;
  /** At once. */
  close(): Promise<void>;
}

const systemRandom = (): number => randomInt(2 ** 32) / 2 ** 32;

/** @throws when the port cannot be had, or the controller's own certificate cannot be issued. */
export async function createStreamServer(options: StreamServerOptions): Promise<StreamServer> {
  const { directory, authority, opener, clock, logger, trustDomain, clusterDomain } = options;
  const { observer = noObserver, random = systemRandom } = options;
  const limits: StreamLimits = { ...streamLimits, ...options.limits };
  const certificates = createCertificates({
    ...{ directory, authority, opener, trustDomain, clusterDomain, logger, observer },
  });
  const frameOf = createSnapshotFrames();
  const revocationsFrame = createRevocationFrames();
  /** All connections that passed, also those that have not said hello. */
  const all = new Set<PodStream>();
  /** By uid; those that have said hello. */
  const byPod = new Map<string, PodStream>();
  /** By namespace and name. */
  const byName = new Map<string, PodStream>();
  /** Called when the last stream is gone; undefined: not draining. */
  let emptied: (() => void) | undefined;

  /** As of the last second: thousands of streams ask. */
  let copiesAgeMs = 0;

  const onStream = (socket: Duplex, pod: PodRecord, by: 'token' | 'certificate'): void => {
    const stream = createPodStream({
      socket,
      pod,
      by,
      directory,
      authority,
      certificates,
      limitStore: options.limitStore ?? (() => undefined),
      recorder: options.recorder,
      approvals: options.approvals,
      grants: options.grants,
      revocations: options.revocations,
      figures: options.figures,
      revocationsFrame,
      frameOf,
      limits,
      maxAgeMs: limits.maxAgeMs * (0.8 + 0.4 * random()),
      staleAgeMs: 2 * limits.staleMs * random(),
      copiesAgeMs: () => copiesAgeMs,
      clock,
      logger,
      observer,
      onHello() {
        const old = byPod.get(pod.uid);
        byPod.set(pod.uid, stream);
        byName.set(podText(pod), stream);
        old?.end('replaced');
      },
      onClosed(reason) {
        all.delete(stream);
        observer.closed(reason);
        if (byPod.get(pod.uid) === stream) {
          byPod.delete(pod.uid);
          if (byName.get(podText(pod)) === stream) byName.delete(podText(pod));
          directory.disconnected(stream.pod);
          options.figures?.forget(stream.pod);
        }
        if (all.size === 0) emptied?.();
      },
    });
    all.add(stream);
    if (emptied !== undefined) stream.end('shutdown', 0);
  };

  /** Open once the certificate is there. */
  const open: { connections?: Connections } = {};
  const serving = await keepServingCertificate({
    authority,
    names: options.names,
    clock,
    logger,
    onChange: (certificate) => open.connections?.renew(certificate, authority.bundle()),
  });
  const opened = await openConnections({
    host: options.host,
    port: options.port,
    serving: serving.current(),
    bundle: authority.bundle(),
    directory,
    authenticate: createAuthenticator({
      directory,
      reviewer: options.reviewer,
      authority,
      trustDomain,
      clock,
      logger,
    }),
    limits,
    clock,
    logger,
    observer,
    onStream,
  });

  open.connections = opened;
  // What changed while the port was opened.
  opened.renew(serving.current(), authority.bundle());
  const stopDirectory = directory.subscribe(({ namespace, name }) => {
    const stream = byName.get(`${namespace}/${name}`);
    if (stream === undefined) return;
    const now = directory.pod(namespace, name);
    if (now === undefined || now.uid !== stream.pod.uid || !now.governed) return stream.end('gone');
    stream.flush();
  });
  const stopAuthority = authority.subscribe(() => {
    opened.renew(serving.current(), authority.bundle());
    for (const stream of byPod.values()) stream.flush();
  });
  const stopRevocations = options.revocations?.subscribe(() => {
    for (const stream of byPod.values()) stream.flush();
  });
  const stopGrants = options.grants?.subscribe((namespace) => {
    for (const stream of byPod.values()) if (stream.pod.namespace === namespace) stream.flush();
  });
  const tick = clock.every(1_000, () => {
    copiesAgeMs = options.copiesAgeMs?.() ?? 0;
    for (const stream of [...all]) stream.tick();
  });

  const stop = (): void => {
    tick.cancel();
    stopDirectory();
    stopAuthority();
    stopGrants?.();
    stopRevocations?.();
    serving.close();
    for (const stream of all) stream.destroy();
  };
  return {
    port: opened.port,
    streams: () => byPod.size,
    waiting: () => opened.waiting,
    async drain(spreadMs) {
      const closed = opened.close();
      await new Promise<void>((resolve) => {
        const late = clock.after(spreadMs + 3_000, resolve);
        emptied = () => {
          late.cancel();
          resolve();
        };
        for (const stream of all) stream.end('shutdown', Math.floor(random() * spreadMs));
        if (all.size === 0) emptied();
      });
      stop();
      await closed;
    },
    async close() {
      const closed = opened.close();
      stop();
      await closed;
    },
  };
}
