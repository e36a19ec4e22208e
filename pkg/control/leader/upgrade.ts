import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { containers } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { EventRecorder, KubeClient, KubeObject } from '../../kube/index.ts';
import type { ClusterState } from '../cluster-state.ts';
import { exemptNamespaces } from '../directory.ts';
import { counts } from '../facts/pod-fact.ts';
import type { PodFact } from '../facts/pod-fact.ts';

export interface UpgradeOptions {
  readonly client: Pick<KubeClient, 'get' | 'patch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly state: Pick<ClusterState, 'pods' | 'synced'>;
  readonly events: EventRecorder;
  readonly ownNamespace: string;
  readonly leading: () => boolean;
  /** Image that sidecars of a namespace are to have. */
  readonly image: (namespace: string) => string;
  /** False: old ones are counted and left. */
  readonly upgrade: boolean;
  /** Between two looks; default 10 s. */
  readonly lookMs?: number;
  /** Pods at one time, of which no two are in one namespace; default 3. Until the first has come back with that image it is one. */
  readonly atOnce?: number;
  /** A sidecar that is not ready so long after its upgrade has failed; default 5 min. */
  readonly patienceMs?: number;
  readonly onUpgraded?: (result: 'done' | 'failed' | 'refused') => void;
}

/**
 * Brings running sidecars to the image of this release in place: the kubelet swaps the container, the model runs on. While its
 * sidecar is exchanged a pod is not ready and refuses, so that few are at one time.
 *
 * Promise: where one does not come back it gets its former image again, and no other is touched by this process.
 */
export interface Upgrade {
  /** Sidecars with another image, as of the last look. */
  readonly old: number;
  /** One did not come back: nothing is upgraded any more. */
  readonly halted: boolean;
  close(): Promise<void>;
}

interface Flight {
  readonly pod: PodFact;
  readonly before: string;
  readonly restarts: number;
  readonly since: number;
}

export function startUpgrade(options: UpgradeOptions): Upgrade {
  const { client, clock, logger, state, events, ownNamespace, leading, image } = options;
  const { lookMs = 10_000, atOnce = 3, patienceMs = 300_000 } = options;
  /** By pod uid. */
  const flights = new Map<string, Flight>();
  let old: readonly PodFact[] = [];
  /** Images with which a sidecar has come back. */
  const proven = new Set<string>();
  let halted = false;
  let running: Promise<void> | undefined;

  const event = (pod: PodFact, type: 'Normal' | 'Warning', reason: string, note: string): void =>
    events.record(
      { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: pod.namespace, name: pod.name, uid: pod.uid } },
      { type, reason, action: 'Upgrade', note },
    );
  /** Only if it is still this pod with this image. */
  const setImage = async (pod: PodFact, from: string, to: string): Promise<void> => {
    const found = await client.get<KubeObject & { spec: Lists }>(resources.pods, pod);
    const [path] = (['initContainers', 'containers'] as const).flatMap((list) => {
      const at = (found.spec[list] ?? []).findIndex(({ name }) => name === containers.sidecar);
      return at === -1 ? [] : [`/spec/${list}/${at}`];
    });
    if (path === undefined) throw new Error('the pod has no sidecar any more');
    await client.patch(resources.pods, pod, {
      type: 'json',
      body: [
        { op: 'test', path: '/metadata/uid', value: pod.uid },
        { op: 'test', path: `${path}/name`, value: containers.sidecar },
        { op: 'test', path: `${path}/image`, value: from },
        { op: 'replace', path: `${path}/image`, value: to },
      ],
    });
  };
  const begin = async (pod: PodFact): Promise<void> => {
    const before = pod.sidecarImage;
    const wanted = image(pod.namespace);
    try {
      await setImage(pod, before, wanted);
    } catch (error) {
      // Gone, changed meanwhile, or not allowed: the next look tells.
      options.onUpgraded?.('refused');
      logger.warn('a sidecar could not be upgraded', {
        namespace: pod.namespace,
        pod: pod.name,
        error: describeError(error),
      });
      return;
    }
    flights.set(pod.uid, { pod, before, restarts: pod.sidecarRestarts, since: clock.monotonic() });
    logger.info('a sidecar is upgraded', { namespace: pod.namespace, pod: pod.name, from: before, to: wanted });
    event(pod, 'Normal', 'SidecarUpgrading', `The sidecar's image becomes ${wanted}; the model runs on.`);
  };
  const fail = async ({ pod, before }: Flight): Promise<void> => {
    // Whoever leads now sees an old image in the pod, or one that is not ready.
    if (!leading()) return;
    const wanted = image(pod.namespace);
    halted = true;
    options.onUpgraded?.('failed');
    logger.error('a sidecar did not come back from its upgrade: no other is upgraded', {
      namespace: pod.namespace,
      pod: pod.name,
      image: wanted,
    });
    const note = `The sidecar was not ready ${Math.round(patienceMs / 60_000)} min after its image became ${wanted}: it gets ${before} again, and no other sidecar is upgraded until the controller starts anew.`;
    event(pod, 'Warning', 'SidecarUpgradeFailed', note);
    try {
      await setImage(pod, wanted, before);
    } catch (error) {
      logger.error('the former image could not be restored', {
        namespace: pod.namespace,
        pod: pod.name,
        error: describeError(error),
      });
    }
  };
  const settle = async (pods: ReadonlyMap<string, PodFact>): Promise<void> => {
    for (const [uid, flight] of flights) {
      const now = pods.get(uid);
      if (now === undefined) flights.delete(uid);
      else if (now.sidecarReady && now.sidecarRestarts > flight.restarts && now.sidecarImage === image(now.namespace)) {
        flights.delete(uid);
        proven.add(now.sidecarImage);
        options.onUpgraded?.('done');
      } else if (clock.monotonic() - flight.since >= patienceMs) {
        flights.delete(uid);
        await fail(flight);
      }
    }
  };
  const round = async (): Promise<void> => {
    if (!leading() || !state.synced()) return;
    const pods = new Map<string, PodFact>();
    for (const pod of state.pods.values())
      if (counts(pod) && pod.sidecar && pod.namespace !== ownNamespace) pods.set(pod.uid, pod);
    old = [...pods.values()].filter((pod) => pod.sidecarImage !== image(pod.namespace));
    if (!options.upgrade) return;
    await settle(pods);
    const busy = new Set([...flights.values()].map(({ pod }) => pod.namespace));
    for (const pod of old) {
      if (halted || flights.size >= (proven.has(image(pod.namespace)) ? atOnce : 1) || !leading()) return;
      // One that is not well is not helped by a restart, and would not tell whether the new image is good.
      if (busy.has(pod.namespace) || !pod.running || !pod.sidecarReady || exemptNamespaces.includes(pod.namespace))
        continue;
      busy.add(pod.namespace);
      await begin(pod);
    }
  };
  const look = (): void => {
    running ??= round()
      .catch((error: unknown) => logger.error('sidecars were not looked at', { error: describeError(error) }))
      .finally(() => {
        running = undefined;
      });
  };
  const first = clock.after(Math.min(lookMs, 5_000), look);
  const timer = clock.every(lookMs, look);

  return {
    get old() {
      return old.length;
    },
    get halted() {
      return halted;
    },
    async close() {
      first.cancel();
      timer.cancel();
      await running;
    },
  };
}

interface Lists {
  readonly initContainers?: readonly { readonly name: string }[];
  readonly containers: readonly { readonly name: string }[];
}
