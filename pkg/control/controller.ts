import { isIP } from 'node:net';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { controlPlane, topAudience } from '../contract/index.ts';
import { selectorMatches } from '../core/index.ts';
import type { AuditSink } from '../core/index.ts';
import type { TrustedProxies } from '../http/index.ts';
import { createHttpGet, createTokenWitness } from '../identity/index.ts';
import type { SamlIdp } from '../identity/index.ts';
import {
  createAccessReviewer,
  createEventRecorder,
  createLease,
  createMayBecome,
  objectKey,
  resources,
} from '../kube/index.ts';
import type { CacheTimings, KubeClient } from '../kube/index.ts';
import { createPkcs12Opener } from '../pki/index.ts';
import type { TlsMaterial, WorkloadId } from '../pki/index.ts';
import type { AuditHead } from '../wire/index.ts';
import { createApprovalCache, createApprovalDesk, recordApprovals, sealWith } from './approvals/index.ts';
import { startAuthorityKeeper } from './authority/authority-keeper.ts';
import { createClusterState, namespaceIndex, uidIndex } from './cluster-state.ts';
import { createDirectory } from './directory.ts';
import type { Directory } from './directory.ts';
import {
  approvalList,
  createApprovalLister,
  createDecisionServer,
  createKnownProviders,
  createProofLimits,
  createProver,
  createRecorderProof,
  createTokenDecider,
  decisionRates,
  listRates,
} from './decisions/index.ts';
import type { DecisionServer } from './decisions/index.ts';
import { createGrantCache, createGrantFeed, recordGrants, startGrantKeeper } from './grants/index.ts';
import { counts } from './facts/pod-fact.ts';
import { startLeader } from './leader/leader.ts';
import type { Leader } from './leader/leader.ts';
import type { ControlMetrics } from './metrics.ts';
import { startNotifier } from './notices/index.ts';
import type { Channel } from './notices/index.ts';
import { followClusterIssuer } from './policies/cluster-issuer.ts';
import type { CheckPattern } from './policies/policy-entry.ts';
import { issues } from './policies/issues.ts';
import { createPolicyIndex } from './policies/policy-index.ts';
import {
  createChangers,
  createChangeLog,
  createOwnIdentity,
  createRecorderClient,
  noChangeLog,
  revocationChange,
  createUnreportedBook,
  startPodReporter,
  tokenChange,
} from './record/index.ts';
import type { OwnIdentity, RecorderClient } from './record/index.ts';
import { createOpenedCertificates } from './secrets/opened-certificates.ts';
import { createSecretStore } from './secrets/secret-store.ts';
import type { SecretStore } from './secrets/secret-store.ts';
import { checkServedDefinitions, DefinitionsOutdatedError } from './served-definitions.ts';
import { createAckBook } from './status/ack-book.ts';
import { startAckPublisher } from './status/ack-publisher.ts';
import { createHealthRoutes } from './status/health-routes.ts';
import { createStreamServer, keepServingCertificate } from './stream/index.ts';
import type { StreamAuthority, LimitStoreAddress, StreamServer } from './stream/index.ts';
import { createFigureBook, createTopRoutes } from './top/index.ts';
import { createRevocations, issuerOf } from './tokens/index.ts';
import { startTokenService } from './tokens/token-service.ts';
import type { TokenService } from './tokens/token-service.ts';
import { createTokenReviewer } from './token-reviewer.ts';
import { createClockWatch, createTwoClocks } from './two-clocks.ts';

export interface ControllerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ControlMetrics;
  readonly checkPattern: CheckPattern;
  /** Of Sidegate itself. */
  readonly namespace: string;
  /** Name of this replica, its pod's. */
  readonly replica: string;
  /** Unlike every other and every earlier process: who holds the lease. */
  readonly identity: string;
  /** Of the SPIFFE ids. */
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly governNamespaces: 'Auto' | 'Required';
  readonly networkPolicies: boolean;
  readonly evict: boolean;
  /** Image that sidecars of a namespace have in this release; undefined: not known, and none counts as old. */
  readonly sidecarImage?: (namespace: string) => string;
  /** The leader exchanges the image of running sidecars that have another; default false. */
  readonly upgradeSidecars?: boolean;
  /** Finished approvals are kept so long after their expiry, milliseconds; default a day. */
  readonly keepApprovalsMs?: number;
  /** The server that counts limits of scope `Policy` over all pods; asked often, the same object while nothing changed. */
  readonly limitStore?: () => LimitStoreAddress | undefined;
  /** `https://HOST:PORT` of the recorder; undefined: there is none. */
  readonly recorder?: string;
  /** Its own record: what became of approvals, grants, tokens and revocations; undefined: they go on no record. It closes it. */
  readonly record?: ControllerRecord;
  /** Where sidecars connect. */
  readonly stream: { readonly host?: string; readonly port: number };
  /** Where people decide by token; undefined: nowhere. */
  readonly decisions?:
    { readonly host?: string; readonly port: number; readonly trustedProxies?: TrustedProxies | undefined } | undefined;
  /** People who are told of what waits for them; undefined: they look for themselves. */
  readonly notices?: { readonly endpoint: string; readonly channels: readonly Channel[] } | undefined;
  /** Needs `decisions`. Undefined: nobody. */
  readonly tokens?: TokenSettings | undefined;
  /** Program of the thread that opens PKCS#12 files; default its source. */
  readonly pkcs12Thread?: URL;
  /** It cannot go on (leadership is lost, definitions are outdated): the process is to close it and end. Called once. */
  readonly onFatal: (why: string) => void;
  /** Shorter times for tests. */
  readonly timings?: Partial<CacheTimings>;
  readonly lease?: { readonly leaseMs: number; readonly renewMs: number; readonly retryMs: number };
}

export interface Controller {
  /** What the stream server is asked with: for tests. */
  readonly directory: Directory;
  /** Port of the stream; undefined until it listens. */
  streamPort(): number | undefined;
  /** Port of the decision endpoint; undefined: there is none, or it does not listen yet. */
  decisionPort(): number | undefined;
  leading(): boolean;
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** Resolves when the stream listens; rejects when it cannot. */
  whenServing(): Promise<void>;
  /**
   * Gives up the lease, sends sidecars elsewhere over `spreadMs`, and stops. From its call on it is not ready.
   */
  close(spreadMs: number): Promise<void>;
}

/** How people reach the decision endpoint where TLS is passed through to it. An address needs a certificate of its own in front. */
function publicNames({ notices, tokens }: Pick<ControllerOptions, 'notices' | 'tokens'>): readonly string[] {
  const hosts = [notices?.endpoint, tokens?.url].flatMap((url) => (url === undefined ? [] : [new URL(url).hostname]));
  return [...new Set(hosts)].filter((host) => !host.startsWith('[') && isIP(host) === 0);
}

/** Where people exchange SAML assertions for short tokens. */
export interface TokenSettings {
  /** How callers reach the endpoint: `https://…`, without a slash at its end. It is our SAML entity id, and part of each token's issuer. */
  readonly url: string;
  /** Longest life of a token, milliseconds. */
  readonly lifeMs: number;
  /** Each with the audiences that its people may ask for; the first is the default. Names and entity ids differ. */
  readonly idps: readonly (SamlIdp & { readonly audiences: readonly string[] })[];
  /** Program of the thread that proves signatures; default its source. */
  readonly thread?: URL;
}

/** Lines on this replica's disk, on their way to the recorder: pkg/remote makes it. */
export interface ControllerRecord {
  readonly audit: Pick<AuditSink, 'append'>;
  head(): AuditHead;
  sendBy(facts: {
    identity(): TlsMaterial | undefined;
    trust(): string;
    recorder(): string | undefined;
    onRecorder(listener: () => void): () => void;
  }): { kick(): void; pending(): number };
  finish(timeoutMs: number): Promise<void>;
}

/** What SIGTERM leaves for lines of the record that are not sent. */
const lastRecordMs = 5_000;
/** Without a word from the API server for so long, others are better asked. */
const staleMs = 300_000;
const definitionsMs = 300_000;
/** What holds no longer is removed so often. */
const sweepMs = 60_000;

/**
 * A replica: everything that the parts of this package do, wired.
 *
 * @throws DefinitionsOutdatedError where the API server would drop fields of a policy; KubeError where it cannot be asked.
 */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { client, clock, logger, metrics, namespace, replica, timings } = options;
  const differing = await checkServedDefinitions(client);
  if (differing.length > 0) logger.warn('served definitions are not those of this release', { definitions: differing });

  let fatal = false;
  const stopFor = (why: string): void => {
    if (fatal) return;
    fatal = true;
    options.onFatal(why);
  };
  const state = createClusterState({
    client,
    clock,
    logger,
    checkPattern: options.checkPattern,
    ...(timings !== undefined && { timings }),
    onFault: metrics.watchFault,
    onMissed: metrics.watchMissed,
  });
  const index = createPolicyIndex();
  const acks = createAckBook(logger);
  const secrets: SecretStore = createSecretStore({
    client,
    clock,
    logger,
    onChange: (key) => directory.secretChanged(key),
    alwaysRead: { namespace, name: controlPlane.authority },
  });
  let identity: OwnIdentity | undefined;
  const identityOf = (): OwnIdentity | undefined => {
    const known = authority.authority();
    if (known !== undefined) identity ??= createOwnIdentity({ ...options, authority: known });
    return identity;
  };
  const pkcs12 = createPkcs12Opener(clock, options.pkcs12Thread);
  const certificates = createOpenedCertificates({ pkcs12, clock, onOpened: () => directory.policiesChanged() });
  let recorder: RecorderClient | undefined;
  const recorderOf = (url: string): RecorderClient | undefined => {
    const own = identityOf();
    if (own !== undefined) recorder ??= createRecorderClient({ url, identity: own });
    return recorder;
  };
  const { recorder: recorderUrl, record } = options;
  /** Whether a pod is there, of which the recorder has a chain: a sidecar's, or a controller's own. */
  const exists = async ({ namespace: at, serviceAccount, uid }: WorkloadId): Promise<boolean | undefined> => {
    if (at === namespace && serviceAccount === controlPlane.controller)
      return (await client.find(resources.pods, { namespace, name: uid })) !== undefined;
    return state.pods.synced() ? state.pods.by(uidIndex, uid).length > 0 : undefined;
  };
  const clocks = createTwoClocks(clock, () => client.serverTime());
  const watchClocks = createClockWatch(clocks, logger);
  const reporter =
    recorderUrl === undefined
      ? undefined
      : startPodReporter({
          client: () => recorderOf(recorderUrl),
          trustDomain: options.trustDomain,
          clock,
          logger,
          leading: () => lease.leading(),
          exists,
          book: createUnreportedBook({ client, namespace, replica, logger }),
          onSent: metrics.podsReported,
        });
  const changes =
    record === undefined
      ? noChangeLog
      : createChangeLog({
          sink: {
            append(events) {
              record.audit.append(events);
              const own = { namespace, name: replica, uid: replica, serviceAccount: controlPlane.controller };
              reporter?.head(own, record.head());
            },
          },
          clock,
          logger,
          leading: () => lease.leading(),
          onResult: metrics.changeRecorded,
        });
  /** How a chain that ends with its process is told from one whose end is lost. */
  const mark = (what: 'start' | 'stop'): void => {
    try {
      record?.audit.append([{ type: 'process', what }]);
    } catch (error) {
      logger.error('the record cannot be written', { error: describeError(error) });
    }
  };
  mark('start');
  const directory: Directory = createDirectory({
    state,
    index,
    secrets,
    acks,
    reporter,
    clock,
    logger,
    ownNamespace: namespace,
    clusterDomain: options.clusterDomain,
  });
  const events = createEventRecorder({
    client,
    clock,
    controller: 'sidegate.dev/controller',
    instance: replica,
    onDropped: metrics.eventDropped,
  });
  const issuer = followClusterIssuer({
    client,
    clock,
    logger,
    onChange(keys) {
      if (index.setClusterIssuer(keys)) directory.policiesChanged();
    },
  });
  const approvals = createApprovalCache({
    client,
    clock,
    logger,
    ...(timings !== undefined && { timings }),
    onFault: metrics.watchFault,
    onMissed: metrics.watchMissed,
  });
  const desk = createApprovalDesk({
    client,
    cache: approvals,
    clock,
    clocks,
    logger,
    events,
    replica,
    seal: sealWith(() => authority.authority()),
    leading: () => lease.leading(),
    onStep: metrics.approval,
    onProblem: metrics.approvalProblem,
    ...(options.keepApprovalsMs !== undefined && { limits: { keepMs: options.keepApprovalsMs } }),
  });
  const stopApprovalRecord = recordApprovals({ cache: approvals, changes, now: clocks.earliest });
  const grants = createGrantCache({
    client,
    clock,
    logger,
    ...(timings !== undefined && { timings }),
    onFault: metrics.watchFault,
    onMissed: metrics.watchMissed,
  });
  const changers = createChangers({ client, namespace, clock, serverTime: () => client.serverTime() });
  const stopGrantRecord = recordGrants({ cache: grants, changes, now: clocks.earliest, changers, logger });
  const granting = startGrantKeeper({
    client,
    cache: grants,
    clock,
    clocks,
    logger,
    events,
    leading: () => lease.leading(),
    setsOf(fact) {
      if (!directory.synced()) return undefined;
      const pods = state.pods.by(namespaceIndex, fact.namespace).filter(counts);
      const sets = pods.filter((pod) => selectorMatches(fact.selector, pod.labels)).map((pod) => directory.setOf(pod));
      return sets.every((set) => set !== undefined) ? sets : undefined;
    },
    onStep: metrics.grant,
    ...(options.keepApprovalsMs !== undefined && { keepMs: options.keepApprovalsMs }),
  });
  const notifier =
    options.notices === undefined
      ? undefined
      : startNotifier({
          client,
          approvals,
          grants,
          ...options.notices,
          namespace,
          clock,
          logger,
          leading: () => lease.leading(),
          onResult: metrics.notice,
        });
  const providers = createKnownProviders(clock, (at) =>
    [...(at === undefined ? state.pods.values() : state.pods.by(namespaceIndex, at))]
      .filter(counts)
      .flatMap((pod) => directory.setOf(pod) ?? []),
  );
  const revocations = createRevocations({
    client,
    clock,
    clocks,
    logger,
    namespace,
    knowsIssuer(named) {
      if (!directory.synced()) return undefined;
      // Nobody whom it names is given a token here either, whether or not a policy takes these.
      const { url, idps = [] } = options.tokens ?? {};
      if (url !== undefined && idps.some(({ name }) => issuerOf(url, name) === named)) return true;
      return providers.all().some((provider) => issues(provider, named));
    },
    ...(timings !== undefined && { timings }),
    onFault: metrics.watchFault,
    onChange: (step, key, revocation) => changes.seen(revocationChange(step, key, revocation)),
    onMissed: metrics.watchMissed,
  });
  const tokens: TokenService | undefined =
    options.tokens === undefined
      ? undefined
      : await startTokenService({
          ...options.tokens,
          client,
          clock,
          clocks,
          logger,
          namespace,
          revocations,
          leading: () => lease.leading(),
          get: createHttpGet(clock),
          onGiven: (note) => changes.made(tokenChange(note)),
          onKeys(keys) {
            if (index.setTokenIssuer(keys)) directory.policiesChanged();
          },
        });
  const sweep = (): void => {
    watchClocks();
    if (!lease.leading()) return;
    revocations.sweep().catch((error: unknown) => {
      logger.warn('revocations could not be swept', { error: describeError(error) });
    });
    changers.sweep().catch((error: unknown) => {
      logger.warn('the list of who took grants back could not be swept', { error: describeError(error) });
    });
    void tokens?.sweep();
  };
  const sweeping = clock.every(sweepMs, sweep);
  let leader: Leader | undefined;
  const lease = createLease({
    client,
    namespace,
    name: controlPlane.controller,
    identity: options.identity,
    clock,
    logger,
    ...options.lease,
    onLeading() {
      leader = startLeader({
        ...options,
        state,
        index,
        directory,
        secrets,
        certificates,
        authority,
        events,
        leading: lease.leading,
      });
      desk.lead();
      granting.lead();
      notifier?.lead();
      tokens?.lead();
      changes.lead();
      sweep();
    },
    onLost: () => stopFor('leadership is lost'),
  });
  const authority = startAuthorityKeeper({
    client,
    clock,
    logger,
    namespace,
    leading: () => lease.leading(),
    onStep: metrics.authorityStep,
  });
  const publisher = startAckPublisher({
    client,
    clock,
    logger,
    namespace,
    replica,
    acks,
    onWritten: metrics.acksWritten,
  });
  const definitions = clock.every(definitionsMs, () => {
    checkServedDefinitions(client).catch((error: unknown) => {
      if (error instanceof DefinitionsOutdatedError) {
        logger.error('definitions are outdated', { error: error.message });
        stopFor(error.message);
      } else logger.warn('served definitions could not be looked at', { error: describeError(error) });
    });
  });

  const figures = createFigureBook(clock);
  const top = createTopRoutes({
    book: figures,
    pods: (at) => [...(at === undefined ? state.pods.values() : state.pods.by(namespaceIndex, at))].filter(counts),
    reviewer: createAccessReviewer(client, clock, topAudience),
    replica,
    clock,
  });
  let server: StreamServer | undefined;
  let closing = false;
  let endpoint: { readonly server: DecisionServer; close(): void } | undefined;
  const serveDecisions = async (known: StreamAuthority, names: readonly string[]): Promise<void> => {
    if (options.decisions === undefined) return;
    const prover = createProver({
      witness: createTokenWitness({ clock, logger }),
      revokes: (who) => revocations.revokes(who),
      providers,
    });
    const decider = createTokenDecider({
      client,
      mayBecome: createMayBecome(client),
      clock,
      logger,
      prover,
      limits: createProofLimits(clock, decisionRates),
    });
    const lister = createApprovalLister({
      client,
      clock,
      prover,
      limits: createProofLimits(clock, listRates),
      waiting: () =>
        approvals.synced() ? [...approvals.values()].filter(({ phase }) => phase === 'Pending') : undefined,
    });
    const open: { server?: DecisionServer } = {};
    const onChange = (material: { readonly cert: string; readonly key: string }): void => open.server?.renew(material);
    const serving = await keepServingCertificate({ authority: known, names, clock, logger, onChange });
    const made = await createDecisionServer({
      ...options.decisions,
      recorder: createRecorderProof({ bundle: () => known.bundle(), namespace, clock }),
      material: serving.current(),
      decider,
      clock,
      logger,
      more: [
        approvalList(lister, metrics.decision),
        { routes: top, ownLimit: true, onResult: metrics.topRequest },
        { routes: createHealthRoutes({ index }), ownLimit: true },
        ...(tokens === undefined ? [] : [{ routes: tokens.routes, onResult: metrics.tokenRequest }]),
      ],
      onResult: metrics.decision,
    });
    open.server = made;
    endpoint = { server: made, close: () => serving.close() };
  };
  const sendRecord = (known: StreamAuthority): void => {
    const own = identityOf();
    if (record === undefined || recorderUrl === undefined || own === undefined) return;
    const sender = record.sendBy({
      identity: () => own.current(),
      trust: () => known.bundle(),
      recorder: () => recorderUrl,
      onRecorder: () => () => undefined,
    });
    // Without its certificate it cannot come in: as soon as there is one.
    own.get().then(
      () => sender.kick(),
      () => undefined,
    );
    metrics.reading('sidegate_record_pending', 'Lines of its own record that the recorder has not acknowledged.', () =>
      sender.pending(),
    );
  };
  const serve = async (): Promise<void> => {
    const [known] = await Promise.all([
      authority.whenReady(),
      state.whenSynced(),
      issuer.settled,
      tokens?.settled,
      // Nobody is sent a policy before it is known whom it no longer lets in.
      revocations.whenSynced(),
    ]);
    if (closing) return;
    sendRecord(known);
    const name = `${controlPlane.controller}.${namespace}`;
    const opened = await createStreamServer({
      ...options.stream,
      names: [`${name}.svc`, `${name}.svc.${options.clusterDomain}`, name],
      trustDomain: options.trustDomain,
      clusterDomain: options.clusterDomain,
      directory,
      reviewer: createTokenReviewer(client),
      authority: known,
      opener: certificates,
      ...(options.limitStore === undefined ? {} : { limitStore: options.limitStore }),
      ...(options.recorder === undefined ? {} : { recorder: options.recorder }),
      approvals: desk,
      revocations,
      figures,
      copiesAgeMs: () => ageMs(),
      grants: createGrantFeed({
        cache: grants,
        clock,
        podOf: ({ namespace: at, name: pod, uid }) => {
          const found = state.pods.get(objectKey({ namespace: at, name: pod }));
          return found?.uid === uid ? { labels: found.labels, set: directory.setOf(found) } : undefined;
        },
      }),
      clock,
      logger,
      observer: metrics.stream,
    });
    await serveDecisions(known, [`${name}.svc`, `${name}.svc.${options.clusterDomain}`, name, ...publicNames(options)]);
    // `close` may have been called while the port was opened: it waits for this.
    server = opened;
    logger.info('serving', { port: opened.port, decisions: endpoint?.server.port ?? 0 });
  };
  const serving = serve();
  serving.catch((error: unknown) => {
    logger.error('the stream cannot be served', { error: describeError(error) });
    stopFor('the stream cannot be served');
  });

  /** Of the copy that has heard nothing for longest: an edit, a grant's end or a revocation that is not heard of must not go unnoticed. */
  const ageMs = (): number => Math.max(...[state, approvals, grants, revocations].map((copy) => copy.ageMs()));

  metrics.reading('sidegate_leader', 'Whether this replica leads.', () => (lease.leading() ? 1 : 0));
  metrics.reading(
    'sidegate_cache_age_seconds',
    'Since the copy that has heard nothing for longest heard from the API server.',
    () => ageMs() / 1_000,
  );
  metrics.reading(
    'sidegate_clock_ahead_seconds',
    'How far the clock of this replica’s node is ahead of the API server’s; below 0 behind.',
    () => {
      const ms = clocks.aheadMs();
      return ms === undefined ? undefined : ms / 1_000;
    },
  );
  metrics.reading(
    'sidegate_authority_age_seconds',
    'Since the authority was read and was good.',
    () => authority.ageMs() / 1_000,
  );
  metrics.reading('sidegate_pods', 'Pods with the inference label.', () => state.pods.size);
  metrics.reading(
    'sidegate_policies',
    'Policies of all kinds.',
    () => state.policies.size + state.clusterPolicies.size,
  );
  metrics.reading('sidegate_policy_compilations', 'Sets of policies compiled so far.', () => index.compilations);
  metrics.reading('sidegate_streams', 'Sidecars connected to this replica.', () => server?.streams());
  metrics.reading('sidegate_streams_waiting', 'Connections that wait for their turn.', () => server?.waiting());
  metrics.reading('sidegate_approvals_waiting', 'Asks and watches of sidecars at this replica.', () => desk.waiting);
  metrics.reading('sidegate_revocations', 'Entries of the list of revocations.', () => revocations.fill()?.entries);
  metrics.reading(
    'sidegate_revocations_unusable',
    'Entries of the list of revocations that revoke nothing, since they cannot be understood.',
    () => revocations.fill()?.unusable,
  );
  metrics.reading(
    'sidegate_revocations_unmatched',
    'Entries of the list of revocations that revoke nothing, since no provider of a policy has their issuer.',
    () => revocations.fill()?.unmatched,
  );
  metrics.reading(
    'sidegate_revocations_bytes',
    'Bytes of the list of revocations; the API server takes 1 MiB.',
    () => revocations.fill()?.bytes,
  );
  metrics.reading('sidegate_grants', 'Grants that are kept.', () => grants.size);
  metrics.reading('sidegate_approvals', 'Approvals that are kept.', () => approvals.size);
  metrics.reading(
    'sidegate_sidecars_refusing',
    'Connected sidecars that did not take their newest policy.',
    () => acks.refusing,
  );
  metrics.reading(
    'sidegate_pods_without_sidecar',
    'Labelled pods without a sidecar (leader).',
    () => leader?.withoutSidecar,
  );
  metrics.reading(
    'sidegate_pods_sidecar_unready',
    'Pods whose sidecar has not been ready for 5 min (leader).',
    () => leader?.unhealthySidecar,
  );

  metrics.reading(
    'sidegate_sidecars_old',
    'Sidecars that have not the image of this release (leader).',
    () => leader?.oldSidecars,
  );

  return {
    directory,
    streamPort: () => server?.port,
    decisionPort: () => endpoint?.server.port,
    leading: () => lease.leading(),
    ready() {
      const reasons = [
        ...(closing || fatal ? ['closing'] : []),
        ...(directory.synced() ? [] : ['caches_not_filled']),
        ...(authority.authority() === undefined ? ['no_authority'] : []),
        ...(server === undefined ? ['stream_not_open'] : []),
        ...(ageMs() > staleMs ? ['api_server_silent'] : []),
      ];
      return { ready: reasons.length === 0, reasons };
    },
    whenServing: () => serving,
    async close(spreadMs) {
      if (closing) return;
      closing = true;
      definitions.cancel();
      sweeping.cancel();
      issuer.stop();
      await leader?.close();
      // Another may lead while our sidecars go.
      await lease.close();
      if (authority.authority() !== undefined && state.synced()) await serving.catch(() => undefined);
      endpoint?.close();
      await Promise.all([server?.drain(spreadMs), endpoint?.server.close()]);
      await Promise.all([desk.close(), granting.close(), notifier?.close()]);
      await publisher.close();
      stopApprovalRecord();
      stopGrantRecord();
      mark('stop');
      await record?.finish(lastRecordMs);
      await reporter?.close();
      await authority.close();
      directory.stop();
      await secrets.close();
      pkcs12.close();
      await events.close();
      await Promise.all([state.stop(), approvals.stop(), grants.stop(), revocations.stop(), tokens?.close()]);
    },
  };
}
