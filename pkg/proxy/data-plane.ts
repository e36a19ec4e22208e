import { setImmediate } from 'node:timers/promises';
import type { Clock, Logger } from '../base/index.ts';
import { randomId } from '../base/index.ts';
import type {
  ApprovalGate,
  AuditSink,
  CredentialSource,
  GrantSource,
  IdentityVerifierFactory,
  LimitStore,
  PolicySource,
  RevocationSource,
  Snapshot,
} from '../core/index.ts';
import { reasons } from '../core/index.ts';
import { dialects } from '../dialect/index.ts';
import type {
  Exchange,
  Listener,
  ListenerLimits,
  ProxyAddress,
  TlsMaterialSource,
  UpgradeRequest,
} from '../http/index.ts';
import { BodyBudget, createListener } from '../http/index.ts';
import type { Metrics } from '../telemetry/index.ts';
import type { ByteBudget } from './answer.ts';
import { createAccessTokens } from './access-tokens.ts';
import { LiveGrants } from './grants.ts';
import { HoldBook } from './hold.ts';
import { Limiter } from './limits.ts';
import { LiveRequests } from './live.ts';
import { isInside } from './loopback.ts';
import type { Entrance } from './loopback.ts';
import { noteModelFaults } from './model-faults.ts';
import { ModelPlaces } from './model-places.ts';
import type { ModelTargets } from './model-target.ts';
import type { PipelineOptions } from './pipeline.ts';
import { govern } from './pipeline.ts';
import { RecordWriter } from './record-writer.ts';
import { Questions } from './questions.ts';
import { LiveRevocations } from './revocations.ts';
import { RuntimeHolder } from './runtime.ts';
import { governUpgrade } from './upgrade.ts';

/** What all listeners of a sidecar share: ports and adapters; the same for the process, the demo and the tests. */
export interface DataPlaneOptions {
  readonly policy: PolicySource;
  readonly verifiers: IdentityVerifierFactory;
  readonly credentials: CredentialSource;
  /** The proxy on the way to a token endpoint, where the environment says it and not the policy. */
  readonly proxyOf?: (url: URL) => ProxyAddress | undefined;
  readonly approvals: ApprovalGate;
  /** Access for a time. Absent: nobody gives any here. */
  readonly grants?: GrantSource;
  /** Tokens that were taken back. Absent: nobody takes any back here. */
  readonly revocations?: RevocationSource;
  readonly audit: AuditSink;
  readonly tls: TlsMaterialSource;
  /** PEM bundle of authorities whose client certificates are asked for, beside those that the policy's providers name. */
  readonly clientCa: string | undefined;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Key of replacements of style Hash. */
  readonly hashKey: Uint8Array;
  /** Counts limits of scope `Policy` over all pods. Absent: as if it were down. */
  readonly limitStore?: LimitStore;
  /** Of the pod: part of the name of each shared count. */
  readonly namespace?: string;
  readonly limits?: ListenerLimits;
  /** Requests at the model at once; of one caller half of it. Default 4,096. */
  readonly modelRequests?: number;
  /** Told of each change of {@link DataPlane.inFlight}. */
  readonly onInFlight?: (count: number) => void;
  /** Bytes of bodies that are held from now on: requests' and answers'. */
  readonly onHeld?: (bytes: number) => void;
}

/** One listener: where it listens, who comes there, and where it leads. */
export interface DoorOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly entrance: Entrance;
  readonly model: ModelTargets;
}

export interface Door {
  readonly port: number;
}

/** One policy, one limiter and one record, behind any number of listeners. */
export interface DataPlane {
  /** @throws Error of node:net when it cannot listen. */
  open(door: DoorOptions): Promise<Door>;
  /** Requests that policy let through and that are not over. */
  readonly live: number;
  /** Requests of any kind that are not over, and WebSockets. */
  readonly inFlight: number;
  /** When the last request, or WebSocket, came over the network, by the clock's monotonic time; undefined before the first. */
  readonly lastArrival: number | undefined;
  /** Whether a connection that has this `address port` on the dialling side has arrived at a listener of ours. Said once. */
  arrivedFrom(peer: string): boolean;
  /** Ready when a policy is in force; else `policy_invalid` or `no_policy_yet`. */
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /**
   * False: nothing can be recorded, and policy refuses what is not. Asking tries again, since whoever is not ready gets no requests that
   * would.
   */
  records(): boolean;
  /** Writes the ends of sessions that wait for company. */
  flushRecord(): void;
  /** See {@link Listener.leave}. */
  leave(on: boolean): void;
  /** Refuses new work, lets what is under way end for at most `graceMs`, then ends it; answers are ended a little before, so that their callers hear why. */
  drain(graceMs: number): Promise<void>;
}

/** Connections that were accepted last, kept for {@link DataPlane.arrivedFrom}. */
const rememberedPeers = 256;

/** Of the grace, at most half: in which callers whose answers are ended hear why, before their connections close. */
const lastWordsMs = 1_000;

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const { policy, metrics, clock, logger } = options;
  const audit = counted(options.audit, metrics);
  const live = new LiveRequests();
  const tokens = createAccessTokens({ clock, logger });
  const runtime = new RuntimeHolder({
    source: policy,
    credentials: options.credentials,
    tokens,
    proxyOf: options.proxyOf,
    verifiers: options.verifiers,
    hashKey: options.hashKey,
    clock,
    logger,
    onFault() {
      metrics.reload('refused');
      metrics.policy(undefined);
      live.endAll('policy_changed');
    },
  });
  const announce = (snapshot: Snapshot): void => {
    metrics.policy({ generation: snapshot.generation, hash: snapshot.hash, revision: snapshot.revision });
    logger.info('policy in force', {
      generation: snapshot.generation,
      hash: snapshot.hash,
      notices: snapshot.notices.length,
    });
    for (const { policy: name, field, message } of snapshot.notices)
      logger.warn('policy notice', { policy: name, field, notice: message });
    try {
      audit.append([
        {
          type: 'process',
          what: 'policy',
          generation: snapshot.generation,
          hash: snapshot.hash,
          sources: snapshot.sources,
        },
      ]);
    } catch {
      // Counted and told by the sink: a record that cannot be written does not hold a policy back.
    }
  };
  if (runtime.current !== undefined) announce(runtime.current.snapshot);
  runtime.onSwap((next) => {
    metrics.reload('accepted');
    announce(next.snapshot);
    live.swap(next);
  });
  metrics.policyAge(() => policy.ageMs());

  const clientAuthorities = (): string | undefined =>
    [options.clientCa, runtime.current?.verifier.clientAuthorities()].filter((one) => one !== undefined).join('\n') ||
    undefined;

  const record = new RecordWriter(audit, clock, () => {
    metrics.failedOpen();
  });
  // No namespace's observing policy may wear out the shared count: it counts in the pod.
  const observedLimiter = new Limiter(clock);
  const limiter = new Limiter(clock, {
    ...(options.limitStore === undefined ? {} : { store: options.limitStore }),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    onStoreFault: () => metrics.limitStoreFailed(),
  });
  const holds = new HoldBook();
  const questions = new Questions(clock);
  metrics.approvalsWaiting(() => holds.count);
  const places = new ModelPlaces(options.modelRequests);
  metrics.atModel(() => places.taken);
  const grants =
    options.grants === undefined ? undefined : new LiveGrants(options.grants, clock, () => live.grantsEnded());
  const revocations =
    options.revocations === undefined
      ? undefined
      : new LiveRevocations(options.revocations, clock, () => live.revoked());
  const bodies = new BodyBudget(undefined, options.onHeld);
  const shared: Omit<PipelineOptions, 'entrance' | 'model'> = {
    runtime,
    record,
    approvals: options.approvals,
    holds,
    questions,
    ...(grants !== undefined && { grants }),
    ...(revocations !== undefined && { revocations }),
    limiter,
    observedLimiter,
    live,
    metrics,
    clock,
    logger,
    noteModelFault: noteModelFaults(metrics, logger, clock),
    bodies,
    places,
    buffers: heldBytes(new BodyBudget(undefined, options.onHeld), metrics),
    newId: randomId,
    turn: async () => {
      await setImmediate();
    },
  };
  const listeners = new Set<Listener>();
  const arrived = new Set<string>();
  let inFlight = 0;
  const count = (change: number): void => {
    inFlight += change;
    options.onInFlight?.(inFlight);
  };
  let lastArrival: number | undefined;
  const begun = (one: Pick<Exchange | UpgradeRequest, 'onClose'>, entrance: Entrance): void => {
    if (!isInside(entrance)) lastArrival = clock.monotonic();
    count(1);
    one.onClose(() => count(-1));
  };
  let leaving = false;
  let draining: Promise<void> | undefined;
  let askedFor = clientAuthorities();
  // Whoever connects from now on must speak what the policy of now asks for.
  runtime.onSwap((next) => {
    askedFor = clientAuthorities();
    const { tls, requestLimits } = next.snapshot;
    for (const listener of listeners) {
      listener.setTls({ minVersion: tls.minVersion, clientCa: askedFor });
      listener.setBodyTimeout(requestLimits.bodyTimeoutMs);
    }
  });
  // Files of authorities change without the policy.
  const authoritiesPoll = clock.every(1_000, () => {
    const now = clientAuthorities();
    if (now === askedFor) return;
    askedFor = now;
    for (const listener of listeners) listener.setTls({ clientCa: now });
  });

  const records = (): boolean => {
    if (runtime.current?.snapshot.audit.onFailure !== 'Deny') return true;
    try {
      options.audit.append([]);
      return true;
    } catch {
      // The sink has logged why.
      return false;
    }
  };

  return {
    async open({ host, port, entrance, model }) {
      const pipeline: PipelineOptions = { ...shared, entrance, model };
      const required = () => runtime.current?.snapshot.tls.inbound ?? 'Required';
      const listener = await createListener({
        host,
        port,
        tls: options.tls,
        // Nothing that came over the network arrives inside: what is plain there never was on a wire.
        inbound: isInside(entrance) ? () => 'Optional' : required,
        minVersion: runtime.current?.snapshot.tls.minVersion ?? 'TLSv1.3',
        clientCa: askedFor,
        ...(options.limits === undefined ? {} : { limits: options.limits }),
        budget: bodies,
        clock,
        logger,
        onAccept(peer) {
          arrived.add(peer);
          const [oldest] = arrived;
          if (arrived.size > rememberedPeers && oldest !== undefined) arrived.delete(oldest);
        },
        onExchange(exchange) {
          begun(exchange, entrance);
          void govern(exchange, pipeline);
        },
        onUpgrade(upgrade) {
          begun(upgrade, entrance);
          void governUpgrade(upgrade, pipeline);
        },
        onRefused: (code) => metrics.refusedBeforeExchange(code),
        onConnection: (protocol) => metrics.connectionOpened(protocol),
        onConnectionClosed: (protocol) => metrics.connectionClosed(protocol),
        refusalBody: (code) =>
          dialects[0]?.refusal({
            status: reasons[code].status,
            code,
            message: reasons[code].message,
            rule: undefined,
            requestId: randomId(),
            detail: undefined,
          }) ?? '{}',
      });
      const inForce = runtime.current?.snapshot;
      if (inForce !== undefined) listener.setBodyTimeout(inForce.requestLimits.bodyTimeoutMs);
      listeners.add(listener);
      if (leaving) listener.leave(true);
      return listener;
    },
    get live() {
      return live.size;
    },
    get inFlight() {
      return inFlight;
    },
    get lastArrival() {
      return lastArrival;
    },
    arrivedFrom: (peer) => arrived.delete(peer),
    ready() {
      const why = runtime.absence === 'policy_invalid' ? 'policy_invalid' : 'no_policy_yet';
      const reasons = [...(runtime.current === undefined ? [why] : []), ...(records() ? [] : ['record_unwritable'])];
      return { ready: reasons.length === 0, reasons };
    },
    records,
    flushRecord: () => record.flush(),
    leave(on) {
      leaving = on;
      for (const listener of listeners) listener.leave(on);
    },
    drain(graceMs) {
      draining ??= (async () => {
        authoritiesPoll.cancel();
        live.endHeld('shutting_down');
        const overdue = clock.after(graceMs - Math.min(lastWordsMs, graceMs / 2), () => live.endAll('shutting_down'));
        await Promise.all([...listeners].map((listener) => listener.close(graceMs)));
        overdue.cancel();
        live.endAll('shutting_down');
        record.flush();
        grants?.close();
        revocations?.close();
        limiter.close();
        observedLimiter.close();
        runtime.close();
        tokens.close();
      })();
      return draining;
    },
  };
}

/** Counts what the record takes and what it does not. */
function counted(sink: AuditSink, metrics: Metrics): AuditSink {
  return {
    append(events) {
      try {
        sink.append(events);
      } catch (error) {
        metrics.auditFailed();
        throw error;
      }
      metrics.auditWritten(events.length);
    },
    close: () => sink.close(),
  };
}

/** Shows how much of whole answers waits to be inspected. */
function heldBytes(budget: BodyBudget, metrics: Metrics): ByteBudget {
  return {
    take(bytes, owner, most, room, own) {
      const noRoom = budget.take(bytes, owner, most, room, own);
      if (noRoom === undefined) metrics.held(bytes);
      return noRoom;
    },
    give(bytes, owner) {
      budget.give(bytes, owner);
      metrics.held(-bytes);
    },
  };
}
