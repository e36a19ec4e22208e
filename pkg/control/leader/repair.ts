import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { isKubeError, resourcePath, resources } from '../../kube/index.ts';
import type { EventRecorder, KubeClient } from '../../kube/index.ts';
import type { ClusterState } from '../cluster-state.ts';
import { exemptNamespaces } from '../directory.ts';
import { counts } from '../facts/pod-fact.ts';
import type { PodFact } from '../facts/pod-fact.ts';
import { closedPods, closedReasons } from './closed-pods.ts';
import type { Closed, ClosedReason, ClosedSources } from './closed-pods.ts';

export interface RepairOptions extends ClosedSources {
  readonly client: Pick<KubeClient, 'request'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly state: ClusterState;
  readonly events: EventRecorder;
  readonly ownNamespace: string;
  readonly leading: () => boolean;
  /**
   * Evict what has no sidecar, or one that crashes again and again and has not become ready in `unreadyMs`, so that its workload makes it
   * again.
   */
  readonly evict: boolean;
  /** A sidecar may be unready so long before it is told of; default 5 min. */
  readonly unreadyMs?: number;
  /** Between two looks; default 30 s. */
  readonly lookMs?: number;
  /** Evictions in one look; default 3. */
  readonly evictions?: number;
  readonly onEvicted?: (result: 'done' | 'refused') => void;
  /** Of each look: pods that are closed for this reason. */
  readonly onClosed?: (reason: ClosedReason, pods: number) => void;
}

/** Labelled pods that are not really governed: older than Sidegate, or admitted around it. */
export interface Repair {
  /** As of the last look. */
  readonly withoutSidecar: number;
  readonly unhealthySidecar: number;
  close(): Promise<void>;
}

interface Found {
  readonly bare: readonly PodFact[];
  readonly unready: readonly PodFact[];
  /** Of those: they crash again and again. */
  readonly crashing: readonly PodFact[];
  readonly closed: readonly (Closed & { readonly pod: PodFact })[];
}

/** So many restarts in {@link crashWindowMs}, of which the last is not older than {@link lastCrashMs}, are crashing again and again. */
const crashes = 3;
/** The kubelet waits 5 min at most before it starts a container again. */
const crashWindowMs = 1_200_000;
const lastCrashMs = 360_000;

/** Of a sidecar that is not ready. Times are monotonic. */
interface Unready {
  readonly from: number;
  readonly restarts: number;
  /** When the last {@link crashes} of them were seen; those from before it was not ready count as none. */
  readonly restartedAt: readonly number[];
}

function seenNow(before: Unready | undefined, restarts: number, now: number): Unready {
  if (before === undefined) return { from: now, restarts, restartedAt: [] };
  const more = Math.min(Math.max(0, restarts - before.restarts), crashes);
  const restartedAt = [...before.restartedAt, ...Array<number>(more).fill(now)].slice(-crashes);
  return { from: before.from, restarts, restartedAt };
}

const isCrashing = ({ restartedAt }: Unready, now: number): boolean =>
  restartedAt.length === crashes &&
  restartedAt.every((at) => now - at <= crashWindowMs) &&
  restartedAt.some((at) => now - at <= lastCrashMs);

export function startRepair(options: RepairOptions): Repair {
  const { client, clock, logger, state, events, ownNamespace, leading } = options;
  const { unreadyMs = 300_000, lookMs = 30_000, evictions = 3 } = options;
  /** Sidecars that are not ready, by pod uid. */
  let unreadySince: ReadonlyMap<string, Unready> = new Map();
  /** When it was last asked to evict a pod, by its uid; monotonic. */
  const triedAt = new Map<string, number>();
  let found: Found = { bare: [], unready: [], crashing: [], closed: [] };
  let running: Promise<void> | undefined;

  const look = (): Found => {
    const now = clock.monotonic();
    const since = new Map<string, Unready>();
    const bare: PodFact[] = [];
    const unready: PodFact[] = [];
    const crashing: PodFact[] = [];
    const closed: Found['closed'][number][] = [];
    const closedBy = closedPods(options);
    for (const pod of state.pods.values()) {
      if (!counts(pod) || pod.namespace === ownNamespace) continue;
      const why = closedBy(pod);
      // One that has just started is not ready yet, whatever else is so.
      if (why !== undefined && (pod.sidecarReady || clock.now() - pod.createdAt >= lookMs))
        closed.push({ ...why, pod });
      if (!pod.sidecar) bare.push(pod);
      // Also before the model runs: a sidecar that started and crashes, not one that waits for init containers before it.
      else if ((pod.running || pod.sidecarRestarts > 0) && !pod.sidecarReady) {
        const seen = seenNow(unreadySince.get(pod.uid), pod.sidecarRestarts, now);
        since.set(pod.uid, seen);
        if (now - seen.from < unreadyMs) continue;
        unready.push(pod);
        // What waits for a policy, a label or the recorder waits in a new pod as well, and what it has not sent would go with it.
        if (isCrashing(seen, now)) crashing.push(pod);
      }
    }
    unreadySince = since;
    return { bare, unready, crashing, closed };
  };
  const tell = ({ bare, unready, closed }: Found): void => {
    const about = (pod: PodFact) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: pod.namespace, name: pod.name, uid: pod.uid },
    });
    for (const pod of bare) {
      events.record(about(pod), {
        type: 'Warning',
        reason: 'SidecarMissing',
        action: 'Check',
        note: pod.static
          ? 'A static pod has the inference label: admission does not reach it, and it is not governed. Run the model from a Deployment.'
          : 'The pod has the inference label and no sidecar: it is not governed. Delete it, so that it is created again with one.',
      });
    }
    for (const { pod, event, note } of closed)
      events.record(about(pod), { type: 'Warning', reason: event, action: 'Check', note });
    for (const pod of unready) {
      events.record(about(pod), {
        type: 'Warning',
        reason: 'SidecarNotReady',
        action: 'Check',
        note: `The sidecar has not been ready for ${Math.round(unreadyMs / 60_000)} min: nothing reaches the model. See kubectl logs -c sidegate.`,
      });
    }
  };
  const evict = async (pods: readonly PodFact[]): Promise<void> => {
    // The kubelet draws the picture of a static pod anew, and the pod runs on.
    const allowed = pods.filter((pod) => !pod.static && !exemptNamespaces.includes(pod.namespace));
    const present = new Set(allowed.map(({ uid }) => uid));
    for (const uid of triedAt.keys()) if (!present.has(uid)) triedAt.delete(uid);
    // Those that a disruption budget keeps do not stand before the others for ever.
    const longest = allowed.toSorted((a, b) => (triedAt.get(a.uid) ?? -1) - (triedAt.get(b.uid) ?? -1));
    for (const { namespace, name, uid } of longest.slice(0, evictions)) {
      if (!leading()) return;
      triedAt.set(uid, clock.monotonic());
      try {
        await client.request({
          method: 'POST',
          path: resourcePath(resources.pods, { namespace, name }, 'eviction'),
          body: {
            apiVersion: 'policy/v1',
            kind: 'Eviction',
            metadata: { namespace, name },
            // Another pod of that name is another pod.
            deleteOptions: { preconditions: { uid } },
          },
        });
        options.onEvicted?.('done');
        logger.info('a pod without a healthy sidecar was evicted', { namespace, pod: name });
      } catch (error) {
        // Gone already, or its disruption budget says not now: the next look will tell.
        options.onEvicted?.('refused');
        const status = isKubeError(error) ? error.status : 0;
        logger.info('a pod without a healthy sidecar was not evicted', {
          namespace,
          pod: name,
          status,
          error: describeError(error),
        });
      }
    }
  };
  const round = async (): Promise<void> => {
    if (!leading() || !state.synced()) return;
    found = look();
    for (const reason of closedReasons)
      options.onClosed?.(reason, found.closed.filter((one) => one.pod.sidecar && one.reason === reason).length);
    tell(found);
    if (options.evict) await evict([...found.bare, ...found.crashing]);
  };
  const begin = (): void => {
    running ??= round().finally(() => {
      running = undefined;
    });
  };
  // Soon after a start, when what runs has been seen: figures of a new leader are not 0 for long.
  const first = clock.after(Math.min(lookMs, 5_000), begin);
  const timer = clock.every(lookMs, begin);

  return {
    get withoutSidecar() {
      return found.bare.length;
    },
    get unhealthySidecar() {
      return found.unready.length;
    },
    async close() {
      first.cancel();
      timer.cancel();
      await running;
    },
  };
}
