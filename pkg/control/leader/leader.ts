import type { Clock, Logger } from '../../base/index.ts';
import type { CacheTimings, EventRecorder, KubeClient } from '../../kube/index.ts';
import type { AuthorityKeeper } from '../authority/authority-keeper.ts';
import type { ClusterState } from '../cluster-state.ts';
import type { Directory } from '../directory.ts';
import type { ControlMetrics } from '../metrics.ts';
import type { PolicyIndex } from '../policies/policy-index.ts';
import type { OpenedCertificates } from '../secrets/opened-certificates.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { startAckTotals } from '../status/ack-totals.ts';
import { startStatusWriter } from '../status/status-writer.ts';
import { startNamespaceKeeper } from './namespace-keeper.ts';
import { startRecorderKeeper } from './recorder-keeper.ts';
import { startRepair } from './repair.ts';
import { startTrustKeeper } from './trust-keeper.ts';
import { startUpgrade } from './upgrade.ts';

export interface LeaderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly state: ClusterState;
  readonly index: PolicyIndex;
  readonly directory: Directory;
  readonly secrets: SecretStore;
  readonly certificates: OpenedCertificates;
  readonly authority: AuthorityKeeper;
  readonly events: EventRecorder;
  readonly metrics: ControlMetrics;
  readonly leading: () => boolean;
  readonly namespace: string;
  readonly governNamespaces: 'Auto' | 'Required';
  readonly networkPolicies: boolean;
  readonly evict: boolean;
  /** Image that sidecars of a namespace have in this release; undefined: not known, and none counts as old. */
  readonly sidecarImage?: (namespace: string) => string;
  /** Exchange the image of running sidecars that have another. */
  readonly upgradeSidecars?: boolean;
  readonly clusterDomain: string;
  /** Address of the recorder; undefined: there is none, and nothing is kept for it. */
  readonly recorder?: string;
  readonly timings?: Partial<CacheTimings>;
}

/** All that only the leader writes; each write asks `leading` first. */
export interface Leader {
  readonly withoutSidecar: number;
  readonly unhealthySidecar: number;
  /** Undefined where the image of this release is not known. */
  readonly oldSidecars: number | undefined;
  close(): Promise<void>;
}

export function startLeader(options: LeaderOptions): Leader {
  const { authority, metrics, namespace, secrets, timings } = options;
  const bundle = (): string | undefined => authority.authority()?.bundle();
  const common = { ...options, ownNamespace: namespace };
  const totals = startAckTotals({ ...options, ...(timings !== undefined && { timings }) });
  const status = startStatusWriter({ ...common, secrets, totals, onWritten: metrics.statusHandled });
  const namespaces = startNamespaceKeeper({ ...common, bundle, onWritten: metrics.written });
  const trust = startTrustKeeper({ ...options, bundle, onWritten: () => metrics.written('trust') });
  const recorder =
    options.recorder === undefined
      ? undefined
      : startRecorderKeeper({
          ...options,
          authority: () => authority.authority(),
          onWritten: () => metrics.written('recorder'),
        });
  const repair = startRepair({ ...common, onEvicted: metrics.evicted, onClosed: metrics.closed });
  const upgrade =
    options.sidecarImage === undefined
      ? undefined
      : startUpgrade({
          ...common,
          image: options.sidecarImage,
          upgrade: options.upgradeSidecars === true,
          onUpgraded: metrics.upgraded,
        });
  authority.kick();
  let stopped = false;
  let stopBundle: (() => void) | undefined;
  void authority.whenReady().then((known) => {
    if (stopped) return;
    const publish = (): void => {
      trust.kick();
      recorder?.kick();
      namespaces.all();
    };
    stopBundle = known.subscribe(publish);
    publish();
  });

  return {
    get withoutSidecar() {
      return repair.withoutSidecar;
    },
    get unhealthySidecar() {
      return repair.unhealthySidecar;
    },
    get oldSidecars() {
      return upgrade?.old;
    },
    async close() {
      stopped = true;
      stopBundle?.();
      await Promise.all([
        status.close(),
        namespaces.close(),
        trust.close(),
        recorder?.close(),
        repair.close(),
        upgrade?.close(),
        totals.stop(),
      ]);
    },
  };
}
