import type { Duplex } from 'node:stream';
import { describeError, createBucket } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import {
  WireError,
  createFrameReader,
  encodeFrame,
  isTaken,
  maxUpBytes,
  missedBeats,
  protocolVersion,
  readUpMessage,
} from '../../wire/index.ts';
import type { CertificateRequest, DownMessage, GoodbyeReason, Hello, PodName, UpMessage } from '../../wire/index.ts';
import { podText } from './certificates.ts';
import type { Certificates } from './certificates.ts';
import type { StreamLimits } from './limits.ts';
import type { StreamObserver } from './observer.ts';
import type {
  ApprovalDesk,
  DeskPlace,
  FigureTaker,
  GrantFeed,
  LimitStoreAddress,
  PodDirectory,
  PodRecord,
  PodSnapshot,
  RevocationFeed,
  StreamAuthority,
} from './ports.ts';

/**
 * One sidecar's stream.
 *
 * What goes down is state, not a queue: `flush` sends of each kind what is newer than what was sent, and stops while the
 * socket is full. So a slow reader costs at most one message of memory, skips what was replaced meanwhile, and is closed
 * when it reads nothing for `stallMs`.
 */
export interface PodStream {
  readonly pod: PodName;
  /** Something of this pod may have changed. */
  flush(): void;
  /** Each second: heartbeat, silence, stall, age. */
  tick(): void;
  /** Says goodbye, and closes; with `afterMs` the sidecar closes, after that time. */
  end(reason: GoodbyeReason, afterMs?: number): void;
  destroy(): void;
}

export interface PodStreamOptions {
  readonly socket: Duplex;
  readonly pod: PodRecord;
  /** What it showed. */
  readonly by: 'token' | 'certificate';
  readonly directory: PodDirectory;
  readonly authority: StreamAuthority;
  readonly certificates: Certificates;
  /** The same object while nothing in it changed. */
  readonly limitStore: () => LimitStoreAddress | undefined;
  /** `https://HOST:PORT` of the recorder. */
  readonly recorder: string | undefined;
  /** Undefined: nobody keeps approvals. */
  readonly approvals: ApprovalDesk | undefined;
  readonly grants: GrantFeed | undefined;
  readonly revocations: RevocationFeed | undefined;
  readonly figures: Pick<FigureTaker, 'take'> | undefined;
  readonly revocationsFrame: (feed: RevocationFeed) => Buffer | undefined;
  readonly frameOf: (snapshot: PodSnapshot) => Buffer | undefined;
  readonly limits: StreamLimits;
  /** Age of this connection, milliseconds. */
  readonly maxAgeMs: number;
  /** The same from when the replica's copies were first seen to be stale, or from its opening where they were then. */
  readonly staleAgeMs: number;
  /** Milliseconds since the replica heard from the API server. */
  readonly copiesAgeMs: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: StreamObserver;
  /** The first message has come and is the pod's own. */
  readonly onHello: () => void;
  readonly onClosed: (reason: GoodbyeReason | 'peer' | 'error') => void;
}

/** What was sent last, compared by identity. */
interface Sent {
  trust?: string;
  secrets?: unknown;
  /** `null` stands for "Sidegate's own". */
  imported?: unknown;
  limitStore?: unknown;
  recorder?: true;
  answer?: unknown;
  grants?: unknown;
  revocations?: unknown;
  grantsSeen?: string;
  /** That the copies are stale. */
  stale?: true;
  /** Names that the pod's certificate has, or was asked to have. */
  names?: string | undefined;
}

const countsTogether = ({ policies }: PodSnapshot): boolean =>
  policies.some(({ spec }) => spec.access.some(({ limits }) => limits?.scope === 'Policy'));

type ApprovalMessage = Parameters<DeskPlace['take']>[0];
const isApproval = (message: UpMessage): message is ApprovalMessage => message.type.startsWith('approval-');

export function createPodStream(options: PodStreamOptions): PodStream {
  const { socket, directory, authority, certificates, limits, clock, observer } = options;
  const pod: PodName = { namespace: options.pod.namespace, name: options.pod.name, uid: options.pod.uid };
  const logger = options.logger.with({ pod: podText(pod), uid: pod.uid });
  const openedAt = clock.monotonic();
  const messages = createBucket(clock, limits.messageBurst / 10, limits.messageBurst);
  const held = createBucket(clock, limits.approvalBurst / 10, limits.approvalBurst);
  const requests = createBucket(clock, 0.1, limits.certificateBurst);
  const sent: Sent = {};
  let hello: Hello | undefined;
  let heardAt = openedAt;
  let beatAt = openedAt;
  let stalledAt: number | undefined;
  /** Since when the replica's copies are stale; undefined: they are not. */
  let staleAt: number | undefined;
  let closing: GoodbyeReason | 'peer' | 'error' | undefined;
  let closingAt = Number.POSITIVE_INFINITY;
  let closed = false;
  /** The snapshot that waits for its ACK, and since when. */
  let pushed: { readonly snapshot: PodSnapshot; readonly at: number } | undefined;
  let signing: Promise<void> = Promise.resolve();
  /** Requests for a serving certificate that are not answered yet. */
  let answering = 0;

  const writeFrame = (type: DownMessage['type'], frame: Buffer): void => {
    if (closed || socket.destroyed) return;
    observer.pushed(type, frame.length);
    if (!socket.write(frame)) stalledAt ??= clock.monotonic();
  };
  /** One that the sidecar would not take would end this stream, and each after it. @returns whether it was sent */
  const tryWrite = (message: DownMessage): boolean => {
    const frame = encodeFrame(message);
    if (!isTaken(frame)) {
      observer.unsent(message.type);
      logger.error('a message is more than a sidecar takes: not sent', { type: message.type, bytes: frame.length });
      return false;
    }
    writeFrame(message.type, frame);
    return true;
  };
  const write = (message: DownMessage): void => void tryWrite(message);
  const full = (): boolean => stalledAt !== undefined;
  const place = options.approvals?.connect({
    pod,
    snapshot() {
      const answer = directory.answer(pod);
      return answer.kind === 'snapshot' ? answer.snapshot : undefined;
    },
    send(message) {
      if (closing === undefined) write(message);
    },
  });

  const end = (reason: GoodbyeReason, afterMs?: number): void => {
    if (closing !== undefined) return;
    write({ type: 'goodbye', reason, ...(afterMs === undefined ? {} : { afterMs }) });
    // With a time to go the sidecar leaves by itself, and hears what is new until then.
    closingAt = clock.monotonic() + (afterMs ?? 0) + 2_000;
    if (afterMs !== undefined) return;
    closing = reason;
    socket.end();
  };

  /** Sends what is newer, until the socket is full; then 'drain' goes on. */
  const flush = (): void => {
    if (hello === undefined || closing !== undefined || closed || full()) return;
    for (const send of [
      () => sendCopies(),
      sendTrust,
      sendRevocations,
      sendSecrets,
      sendImported,
      sendLimitStore,
      sendRecorder,
      sendAnswer,
      sendGrants,
      askNames,
    ]) {
      send();
      if (full()) return;
    }
  };
  /** Before what it is about. */
  const sendCopies = (again = false): void => {
    const ageMs = options.copiesAgeMs();
    const stale = ageMs >= limits.staleMs;
    staleAt = stale ? (staleAt ?? clock.monotonic()) : undefined;
    if (stale ? sent.stale === true && !again : sent.stale === undefined) return;
    if (stale) sent.stale = true;
    else delete sent.stale;
    write({ type: 'copies', optional: true, ageMs: stale ? Math.round(ageMs) : 0 });
  };
  const sendTrust = (): void => {
    const bundle = authority.bundle();
    if (sent.trust === bundle) return;
    sent.trust = bundle;
    write({ type: 'trust', bundle });
  };
  const sendSecrets = (): void => {
    const secrets = directory.secrets(pod);
    // What a sidecar holds stays until it is known what is there: a controller that has just begun takes nothing away.
    if (secrets === 'pending' || sent.secrets === secrets) return;
    sent.secrets = secrets;
    const values = secrets.values.map((one) => ({ ...one, value: one.value.reveal() }));
    write({ type: 'secrets', values, missing: secrets.missing });
  };
  const sendImported = (): void => {
    const imported = directory.imported(pod);
    if (imported === 'pending') return;
    const mark = imported ?? null;
    if (sent.imported === mark) return;
    sent.imported = mark;
    void certificates.imported(pod, imported).then(({ message, retryMs }) => {
      // A newer one is on its way where the mark has changed.
      const stands = (): boolean => sent.imported === mark && closing === undefined;
      if (stands()) write(message);
      if (retryMs === undefined) return;
      clock.after(retryMs, () => {
        if (!stands()) return;
        delete sent.imported;
        sendImported();
      });
    });
  };
  /** Before the policy that needs it. A pod without such a limit has no business with the server's password. */
  const sendLimitStore = (): void => {
    const answer = directory.answer(pod);
    if (answer.kind !== 'snapshot') return;
    const store = countsTogether(answer.snapshot) ? (options.limitStore() ?? null) : null;
    if (sent.limitStore === store) return;
    sent.limitStore = store;
    const { url, username = null, password, ca = null } = store ?? {};
    write({
      type: 'limit-store',
      store: url === undefined ? null : { url, username, password: password?.reveal() ?? null, ca },
    });
  };
  const sendRecorder = (): void => {
    if (sent.recorder === true) return;
    sent.recorder = true;
    const url = options.recorder;
    write({ type: 'recorder', optional: true, recorder: url === undefined ? null : { url } });
  };
  /** Before all else, so that nobody is let in whose token was taken back. */
  const sendRevocations = (): void => {
    const feed = options.revocations;
    const revocations = feed?.revocations();
    if (feed === undefined || revocations === undefined || sent.revocations === revocations) return;
    sent.revocations = revocations;
    const frame = options.revocationsFrame(feed);
    if (frame !== undefined) return writeFrame('revocations', frame);
    observer.unsent('revocations');
    logger.error('the revocations are more than a sidecar takes: not sent', { entries: revocations.length });
  };
  const sendAnswer = (): void => {
    const answer = directory.answer(pod);
    if (answer.kind === 'pending') return;
    if (answer.kind === 'invalid') {
      if (sent.answer === answer.message) return;
      sent.answer = answer.message;
      return write({ type: 'invalid', message: answer.message.slice(0, 4_000), seen: answer.seen });
    }
    const { snapshot } = answer;
    if (sent.answer === snapshot) return;
    const first = sent.answer === undefined;
    sent.answer = snapshot;
    pushed = { snapshot, at: clock.monotonic() };
    if (first && hello?.holds === snapshot.hash)
      return write({ type: 'confirm', hash: snapshot.hash, seen: snapshot.seen });
    const frame = options.frameOf(snapshot);
    if (frame !== undefined) return writeFrame('snapshot', frame);
    logger.error('the policies of a pod are larger than a sidecar takes', { hash: snapshot.hash });
    write({ type: 'invalid', message: 'the policies of this pod are too large together', seen: snapshot.seen });
  };
  /** Also an empty list is said: that there is none is what makes old ones end. */
  const sendGrants = (): void => {
    const grants = options.grants?.grants(pod);
    if (grants === undefined || sent.grants === grants) return;
    sent.grants = grants;
    const seen = options.grants?.seen() ?? {};
    sent.grantsSeen = JSON.stringify(seen);
    // Without any is the stricter of the two mistakes: old ones end.
    if (!tryWrite({ type: 'grants', grants, seen })) write({ type: 'grants', grants: [], seen });
  };
  /** A sidecar that has seen more elsewhere takes nothing from here until this replica has caught up: then it is said again. */
  const repeatGrants = (): void => {
    if (sent.grants !== undefined && sent.grantsSeen !== JSON.stringify(options.grants?.seen())) delete sent.grants;
    sendGrants();
  };
  const askNames = (): void => {
    // The answer to an open question has the names of its own moment: they are compared when it is given.
    if (answering > 0) return;
    if (directory.imported(pod) !== undefined) return;
    const names = certificates.names(pod)?.join() ?? '';
    if (names === '' || sent.names === undefined || sent.names === names) return;
    sent.names = names;
    write({ type: 'renew', purpose: 'serving' });
  };

  const report = (hash: string | undefined, problem: Parameters<PodDirectory['report']>[0]['problem']): void => {
    if (hello === undefined) return;
    const { portMap, capture, software } = hello;
    const known = pushed?.snapshot;
    const sources = known !== undefined && known.hash === hash ? known.sources : undefined;
    directory.report({ pod, hash, sources, problem, portMap, capture, software });
  };

  let inForce: string | undefined;
  const onHello = (message: Hello): void => {
    if (hello !== undefined) throw new WireError('message_unknown', 'a second hello');
    if (message.version !== protocolVersion) return end('protocol');
    const { namespace, name, uid } = message.pod;
    if (namespace !== pod.namespace || name !== pod.name || uid !== pod.uid) {
      logger.warn('a sidecar says that it is another pod');
      return end('identity');
    }
    hello = message;
    inForce = message.holds ?? undefined;
    sent.names = message.serving?.join();
    options.onHello();
    report(inForce, undefined);
    if (message.audit !== null) directory.auditHead(pod, message.audit);
    write({
      type: 'welcome',
      version: protocolVersion,
      heartbeatMs: limits.heartbeatMs,
      maxAgeMs: Math.round(options.maxAgeMs),
    });
    flush();
  };
  const onAnswer = (message: Extract<UpMessage, { type: 'ack' | 'nack' }>): void => {
    if (message.type === 'ack') {
      inForce = message.hash;
      if (pushed?.snapshot.hash === message.hash) observer.acked(clock.monotonic() - pushed.at);
      return report(inForce, undefined);
    }
    observer.nacked(message.reason);
    logger.warn('a sidecar did not take its policy', { hash: message.hash, reason: message.reason });
    if (message.reason === 'unusable') inForce = undefined;
    report(inForce, { reason: message.reason, message: message.message });
  };
  const onRequest = (request: CertificateRequest): void => {
    const { purpose } = request;
    if (!requests.take()) {
      observer.signed(purpose, 'refused');
      return write({ type: 'certificate-refused', purpose, reason: 'failed' });
    }
    if (purpose === 'serving') answering++;
    // One after the other: a pod cannot take more of the signing than its turn.
    signing = signing.then(async () => {
      if (closed) return;
      if (purpose === 'serving') sent.names = certificates.names(pod)?.join();
      const answer = await certificates.answer(pod, options.by, request);
      if (closing === undefined) write(answer);
      if (purpose !== 'serving') return;
      answering--;
      flush();
    });
  };
  const onApproval = (message: ApprovalMessage): void => {
    if (place !== undefined) place.take(message);
    else if (message.type !== 'approval-leave')
      write({ type: 'approval-state', id: message.id, state: null, problem: 'unavailable' });
  };
  const onMessage = (message: UpMessage | undefined): void => {
    const approval = message !== undefined && isApproval(message);
    if (!(approval ? held : messages).take())
      throw new WireError('message_unknown', 'more messages than a sidecar has to say');
    if (message === undefined || closing !== undefined) return;
    if (hello === undefined && message.type !== 'hello')
      throw new WireError('message_unknown', 'a message before hello');
    if (approval) return onApproval(message);
    switch (message.type) {
      case 'hello':
        return onHello(message);
      case 'ack':
      case 'nack':
        return onAnswer(message);
      case 'csr':
        return onRequest(message);
      case 'beat':
        if (message.audit !== undefined && message.audit !== null) directory.auditHead(pod, message.audit);
        return;
      case 'figures':
        return options.figures?.take(pod, message);
      case 'goodbye':
        closing = 'peer';
        closingAt = clock.monotonic() + 2_000;
        socket.end();
        return;
      default:
        throw new WireError('message_unknown', 'unexpected message');
    }
  };

  // A hello with 300 long names is the largest message; numbers of values are far below this.
  const reader = createFrameReader({
    maxBytes: maxUpBytes,
    maxNodes: 2_000,
    onFrame: (root) => onMessage(readUpMessage(root)),
  });
  socket.on('data', (chunk: Buffer) => {
    if (closed) return;
    heardAt = clock.monotonic();
    try {
      reader.push(chunk);
    } catch (error) {
      logger.warn('a sidecar broke the protocol', { error: describeError(error) });
      end(error instanceof WireError ? 'protocol' : 'internal');
      // What follows cannot be read.
      socket.removeAllListeners('data');
      socket.resume();
    }
  });
  socket.on('drain', () => {
    stalledAt = undefined;
    flush();
  });
  socket.on('end', () => {
    closing ??= 'peer';
    socket.end();
  });
  socket.on('error', () => {
    closing ??= 'error';
  });
  socket.on('close', () => {
    if (closed) return;
    closed = true;
    place?.closed();
    options.onClosed(closing ?? 'peer');
  });

  return {
    pod,
    flush,
    end,
    destroy: () => void socket.destroy(),
    tick() {
      const now = clock.monotonic();
      if (now >= closingAt) return void socket.destroy();
      if (closing !== undefined) return;
      if (hello === undefined) {
        if (now - openedAt >= limits.handshakeMs) end('silent');
        return;
      }
      if (now - heardAt >= missedBeats * limits.heartbeatMs) return end('silent');
      if (stalledAt !== undefined && now - stalledAt >= limits.stallMs) {
        // Nothing that is written now would be read: no goodbye.
        closing = 'slow';
        return void socket.destroy();
      }
      if (now - openedAt >= options.maxAgeMs) return end('age');
      if (!full()) sendCopies();
      if (staleAt !== undefined && now - staleAt >= options.staleAgeMs) return end('age');
      if (now - beatAt >= limits.heartbeatMs && !full()) {
        beatAt = now;
        sendCopies(true);
        write({ type: 'beat' });
        // Its file may have changed, which nothing else tells.
        sendLimitStore();
        repeatGrants();
      }
    },
  };
}
