import { randomInt } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Secret, describeError } from '../base/index.ts';
import type { Timer } from '../base/index.ts';
import { checkLeaf } from '../pki/index.ts';
import { missedBeats, heartbeatMs, protocolVersion } from '../wire/index.ts';
import type { Ack, DownMessage, Nack } from '../wire/index.ts';
import { createRemoteApprovals } from './approvals.ts';
import { createBackoff } from './backoff.ts';
import { createCertificates } from './certificates.ts';
import { reportFigures } from './figures.ts';
import { createRemoteGrants } from './grants.ts';
import { createRemotePolicy } from './policy.ts';
import { createLimitStoreTargets } from './limit-store.ts';
import { createRecorderAddress } from './recorder-address.ts';
import { createRemoteRevocations } from './revocations.ts';
import { createQuestions } from './questions.ts';
import { createSecrets } from './secrets.ts';
import { createSession } from './session.ts';
import type { Session, SessionEnd } from './session.ts';
import { openStateFolder } from './state-file.ts';
import { ConnectError, connectStream } from './transport.ts';
import type { Connected, ConnectOptions } from './transport.ts';
import { createTrust } from './trust.ts';
import type { NotAnswered, Remote, RemoteEvent, RemoteOptions } from './types.ts';

const minute = 60_000;
/** A controller that starts lets connections wait for their turn. */
const connectTimeoutMs = 45_000;
const longestToken = 8_192;

const systemRandom = (): number => randomInt(2 ** 32) / 2 ** 32;

/**
 * The sidecar's side of the stream: stays connected to some controller, and gives what it says to the rest of the process.
 *
 * Guarantee: whatever a controller, or something in its place, says or fails to say, nothing that was in force becomes
 * weaker by it; what was never had is denied.
 *
 * @throws PkiError when `ca` holds no authority, RangeError when `url` is no https URL: there is nothing to start with.
 */
export function connectController(options: RemoteOptions): Remote {
  const { pod, clock, random = systemRandom, auditHead = () => undefined } = options;
  const url = new URL(options.url);
  if (url.protocol !== 'https:') throw new RangeError('the controller has an https URL');
  const logger = options.logger.with({ controller: url.host });
  const onEvent = (event: RemoteEvent): void => options.onEvent?.(event);
  const state = openStateFolder(options.stateFolder, pod.uid);
  const trust = createTrust(options.ca, state, onEvent);
  const certificates = createCertificates({ pod, trust, state, clock, logger, onEvent });
  const questions = createQuestions(certificates);
  const policy = createRemotePolicy({
    state,
    compile: options.compile,
    clock,
    logger,
    onEvent,
    onSettled: (said) => session?.send(said),
  });
  const secrets = createSecrets(logger, options.onCredentialRefused);
  const limitStores = createLimitStoreTargets();
  const approvals = createRemoteApprovals({ clock, logger });
  const grants = createRemoteGrants({
    state,
    clock,
    logger,
    onUnwritable: () => onEvent('state_unwritable'),
    onStale: () => onEvent('grants_stale'),
  });
  const revocations = createRemoteRevocations({
    state,
    logger,
    onUnwritable: () => onEvent('state_unwritable'),
    onRefused: () => onEvent('state_refused'),
    onStale: () => onEvent('revocations_stale'),
  });
  const recorder = createRecorderAddress();
  const backoff = createBackoff(random);
  const stopped = new AbortController();
  let session: Session | undefined;
  let retry: Timer | undefined;
  /** The controller did not take the certificate: the token decides next time. */
  let certificateRefused = false;
  let heardAt: number | undefined;
  /** When the controller of this stream last heard from the API server; undefined: as far as it says, now. */
  let copiesAt: number | undefined;
  /** On this connection the controller has said what is in force. */
  let answered = false;

  const proof = async (): Promise<ConnectOptions['proof']> => {
    const material = certificateRefused ? undefined : certificates.identity();
    if (material !== undefined) return { kind: 'certificate', material };
    let token: string;
    try {
      token = (await readFile(options.tokenFile, 'utf8')).trim();
    } catch (cause) {
      throw new ConnectError('unauthenticated', 'the token cannot be read', { cause });
    }
    if (!/^[A-Za-z0-9._~+/=-]+$/.test(token) || token.length > longestToken)
      throw new ConnectError('unauthenticated', 'the token file holds no token');
    return { kind: 'token', token: new Secret(token) };
  };
  const schedule = (delayMs: number): void => {
    if (stopped.signal.aborted) return;
    retry?.cancel();
    retry = clock.after(delayMs, () => void attempt());
  };
  const attempt = async (): Promise<void> => {
    let shown: ConnectOptions['proof']['kind'] = 'token';
    try {
      const shows = await proof();
      shown = shows.kind;
      const connected = await connectStream({
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port === '' ? 443 : Number(url.port),
        name: options.name,
        trust: trust.pem(),
        proof: shows,
        localAddress: options.localAddress,
        clock,
        timeoutMs: connectTimeoutMs,
        signal: stopped.signal,
      });
      // It is for a name that no longer counts, say: the recorder takes no token, so another is asked for on this stream.
      if (certificateRefused && shown === 'token') certificates.expire('identity');
      certificateRefused = false;
      begin(connected);
    } catch (error) {
      if (stopped.signal.aborted) return;
      const code = error instanceof ConnectError ? error.code : 'unknown';
      // Either proof may be what is wrong: the next attempt shows the other.
      if (code === 'unauthenticated' || code === 'not_allowed') certificateRefused = shown === 'certificate';
      onEvent('connect_failed');
      const delayMs = backoff.next();
      logger.warn('no stream from the controller', { code, error: describeError(error), retryMs: Math.round(delayMs) });
      schedule(delayMs);
    }
  };
  const begin = ({ socket, head, peer }: Connected): void => {
    if (stopped.signal.aborted) return void socket.destroy();
    onEvent('connected');
    answered = false;
    copiesAt = undefined;
    policy.dated(0);
    grants.begin();
    // What came with the answer is read as what comes after it.
    if (head.length > 0) socket.unshift(head);
    session = createSession({
      socket,
      clock,
      logger,
      auditHead,
      onMessage: (message, on) => handle(message, on, peer),
      onHeard: heard,
      onEnd: ended,
    });
    session.send({
      type: 'hello',
      version: protocolVersion,
      pod,
      portMap: options.portMap,
      capture: options.capture,
      software: options.software,
      holds: policy.holds(),
      seen: policy.seen(),
      audit: auditHead() ?? null,
      serving: certificates.servingNames(),
    });
    figures?.begin();
    questions.begin((request) => session?.send(request));
  };
  const heard = (): void => {
    heardAt = clock.monotonic();
    const oldMs = copiesAt === undefined ? 0 : heardAt - copiesAt;
    if (answered) policy.heard(oldMs);
    else policy.dated(oldMs);
    grants.heard(oldMs);
  };
  const ended = (end: SessionEnd): void => {
    session = undefined;
    questions.end();
    onEvent('disconnected');
    if (end.kind === 'protocol') onEvent('protocol_fault');
    const goodbye = end.kind === 'goodbye' ? end.goodbye : undefined;
    if (goodbye?.reason === 'identity' || goodbye?.reason === 'gone') certificateRefused = true;
    // The controllers are well, they only want to share the load: no waiting.
    const sent = goodbye?.reason === 'age' || goodbye?.reason === 'shutdown';
    const delayMs = sent ? random() * 1_000 : backoff.next();
    logger.info('the stream ended', { how: goodbye?.reason ?? end.kind, retryMs: Math.round(delayMs) });
    schedule(delayMs);
  };

  const reply = (said: Ack | Nack, on: Session): void => {
    answered = !(said.type === 'nack' && said.reason === 'stale');
    if (answered) backoff.reset();
    on.send(said);
    // Another replica may be further on.
    if (!answered) on.end('stale');
    else approvals.connected(on.send);
  };
  const handle = (message: DownMessage, on: Session, peer: X509Certificate): void => {
    switch (message.type) {
      case 'welcome':
        return;
      case 'snapshot':
        return reply(policy.take(message), on);
      case 'confirm':
        return reply(policy.confirm(message), on);
      case 'invalid':
        answered = true;
        backoff.reset();
        policy.invalid(message);
        return approvals.connected(on.send);
      case 'approval-state':
        return approvals.take(message);
      case 'grants':
        // One that lags says them again when it has caught up; its policy may be as new as any.
        grants.take(message);
        return;
      case 'revocations':
        revocations.take(message);
        return;
      case 'copies':
        copiesAt = message.ageMs === 0 ? undefined : clock.monotonic() - message.ageMs;
        return heard();
      case 'secrets':
        return secrets.take(message);
      case 'limit-store':
        return limitStores.take(message);
      case 'recorder':
        return recorder.take(message);
      case 'certificate':
        certificates.take(message.purpose, message.certificate);
        return questions.answered(message.purpose);
      case 'certificate-refused':
        // The next minute asks again, or the controller says `renew` when there is something to certify.
        logger.warn('no certificate', { purpose: message.purpose, reason: message.reason });
        return questions.answered(message.purpose);
      case 'renew':
        return questions.renew(message.purpose);
      case 'imported':
        return certificates.takeImported(message);
      case 'trust': {
        const vouches = (authorities: readonly X509Certificate[]): boolean => {
          checkLeaf(peer, authorities, 'server', clock.now());
          return true;
        };
        if (trust.take(message.bundle, vouches)) return;
        onEvent('trust_refused');
        return logger.error('authorities that do not know the controller that sent them: not taken');
      }
      default:
        return;
    }
  };

  const minutely = clock.every(minute, () => {
    certificates.look();
    policy.look();
    questions.ask();
  });
  const figures =
    options.figures === undefined
      ? undefined
      : reportFigures({ read: options.figures, clock, send: (message) => session?.send(message) });
  void attempt();

  return {
    policy: policy.source,
    approvals: approvals.gate,
    grants: grants.source,
    revocations: revocations.source,
    credentials: secrets.credentials,
    secret: (ref) => secrets.read(ref),
    onSecrets: (listener) => secrets.subscribe(listener),
    serving: certificates.serving,
    limitStore: () => limitStores.current(),
    onLimitStore: (listener) => limitStores.subscribe(listener),
    recorder: () => recorder.current(),
    onRecorder: (listener) => recorder.subscribe(listener),
    identity: () => certificates.identity(),
    trust: () => trust.pem(),
    answered() {
      const reasons: NotAnswered[] = [];
      if (certificates.serving.current() === undefined) reasons.push('no_certificate');
      if (policy.source.current() === undefined)
        reasons.push(policy.source.problem() === undefined ? 'no_policy_yet' : 'policy_invalid');
      else if (policy.fault() !== undefined) reasons.push('policy_invalid');
      else if (policy.expired()) reasons.push('policy_expired');
      return { ready: reasons.length === 0, reasons };
    },
    connected: () =>
      session !== undefined && heardAt !== undefined && clock.monotonic() - heardAt < missedBeats * heartbeatMs,
    silentMs: () => (heardAt === undefined ? undefined : clock.monotonic() - heardAt),
    async close() {
      stopped.abort();
      retry?.cancel();
      minutely.cancel();
      figures?.stop();
      const last = session;
      last?.end('shutdown');
      approvals.close();
      secrets.clear();
      await policy.source.close();
      await last?.closed;
    },
  };
}
