/** What admission asks of the cluster, from the API server. */
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { containers, controlPlane, governedLabel, inferenceLabel } from '../contract/index.ts';
import { createCache, createEventRecorder, objectKey, resources } from '../kube/index.ts';
import type { KubeClient, KubeObject } from '../kube/index.ts';
import { readBundle } from '../pki/index.ts';
import { overlapMs } from './options.ts';
import type { ClusterLookup, EventSink } from './ports.ts';

interface PodObject extends KubeObject {
  readonly spec?: {
    readonly containers?: readonly { readonly name: string }[];
    readonly initContainers?: readonly { readonly name: string }[];
  };
}
interface ServiceObject extends KubeObject {
  readonly spec?: { readonly selector?: Readonly<Record<string, string>> };
}
interface ConfigMapObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const ownNames: readonly string[] = Object.values(containers);

export interface AdmissionCluster {
  readonly lookup: ClusterLookup;
  readonly trust: () => string | undefined;
  /** Bundles that were given until a short while ago. */
  readonly earlierTrust: () => readonly string[];
  readonly events: EventSink;
  /** Why decisions cannot be taken yet; fixed words. */
  problems(): readonly ('caches_not_synced' | 'no_authority')[];
  /** The Secret that the serving certificate rests on was changed by somebody. */
  onAuthority(listener: () => void): void;
  close(): Promise<void>;
}

export interface AdmissionClusterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly namespace: string;
  /** This replica, for Events. */
  readonly instance: string;
  /** Secret that the serving certificate rests on; default the webhook's own authority. */
  readonly certificateSecret?: string;
  /** For a metric. */
  readonly onEventDropped: (why: 'limit' | 'failed') => void;
}

function isBundle(pem: string): boolean {
  try {
    return readBundle(pem).length > 0;
  } catch {
    return false;
  }
}

/** Pods and Services are looked up when they are asked about: CONNECT is rare, and a copy of all pods is not small. */
function createLookup(client: KubeClient, governed: (namespace: string) => boolean | undefined): ClusterLookup {
  return {
    async namespaceGoverned(name) {
      const known = governed(name);
      if (known !== undefined) return known;
      // One that was made a moment ago.
      const found = await client.find<KubeObject>(resources.namespaces, { name });
      return found === undefined ? undefined : found.metadata.labels?.[governedLabel] !== undefined;
    },
    async pod(namespace, name) {
      const found = await client.find<PodObject>(resources.pods, { namespace, name });
      if (found === undefined) return undefined;
      const { initContainers = [], containers: plain = [] } = found.spec ?? {};
      return {
        uid: found.metadata.uid ?? '',
        governed:
          found.metadata.labels?.[inferenceLabel] !== undefined ||
          [...initContainers, ...plain].some((one) => ownNames.includes(one.name)),
      };
    },
    async service(namespace, name) {
      const found = await client.find<ServiceObject>(resources.services, { namespace, name });
      return found === undefined ? undefined : { selector: found.spec?.selector ?? {} };
    },
    async governedPods(namespace) {
      const pods = await client.list<KubeObject>(resources.pods, { namespace, labelSelector: inferenceLabel });
      return pods.map(({ metadata }) => metadata.labels ?? {});
    },
  };
}

export function createAdmissionCluster(options: AdmissionClusterOptions): AdmissionCluster {
  const { client, clock, logger, namespace, instance } = options;
  const common = { client, clock, logger };
  const fact = ({ metadata }: KubeObject) => ({ governed: metadata.labels?.[governedLabel] !== undefined });
  const namespaces = createCache({
    ...common,
    resource: resources.namespaces,
    transform: fact,
    oversized: fact,
  });
  const trustKey = objectKey({ namespace, name: controlPlane.trust });
  const trust = createCache({
    ...common,
    resource: resources.configMaps,
    namespace,
    fieldSelector: `metadata.name=${controlPlane.trust}`,
    transform: (raw) => {
      const pem = (raw as ConfigMapObject).data?.[controlPlane.caKey];
      return { pem: pem !== undefined && isBundle(pem) ? pem : undefined };
    },
  });
  // Only that it changed: the keys in it are not kept here.
  const authority = createCache({
    ...common,
    resource: resources.secrets,
    namespace,
    fieldSelector: `metadata.name=${options.certificateSecret ?? controlPlane.webhookAuthority}`,
    transform: ({ metadata }) => ({ version: metadata.resourceVersion }),
  });
  let earlier: readonly { readonly pem: string; readonly until: number }[] = [];
  trust.subscribe(({ before, after }) => {
    if (after !== undefined && after.pem === undefined) logger.error('the published authority cannot be read');
    if (before?.pem === undefined || before.pem === after?.pem) return;
    earlier = [{ pem: before.pem, until: clock.monotonic() + overlapMs }, ...earlier].slice(0, 3);
  });
  const recorderOf = (level: 'debug' | 'warn') =>
    createEventRecorder({
      client,
      clock,
      controller: 'sidegate.dev/webhook',
      instance,
      onDropped(why) {
        logger[level]('an Event was not written', { why });
        options.onEventDropped(why);
      },
    });
  const notes = recorderOf('debug');
  /** What people did; whoever makes many pods to be refused does not use its budget up. */
  const deeds = recorderOf('warn');

  return {
    lookup: createLookup(client, (name) => namespaces.get(name)?.governed),
    trust: () => trust.get(trustKey)?.pem,
    earlierTrust: () => earlier.filter(({ until }) => until > clock.monotonic()).map(({ pem }) => pem),
    events({ apiVersion, kind, name, namespace: at, uid }, { reason, action, note, by }) {
      (by === undefined ? notes : deeds).record(
        {
          apiVersion,
          kind,
          metadata: { name, ...(at === undefined ? {} : { namespace: at }), ...(uid === undefined ? {} : { uid }) },
        },
        {
          type: reason === 'InjectionNote' || reason === 'InjectionSkipped' ? 'Normal' : 'Warning',
          reason,
          action,
          note,
          ...(by === undefined ? {} : { by }),
        },
      );
    },
    problems: () => [
      ...([namespaces, trust].every((cache) => cache.synced()) ? [] : (['caches_not_synced'] as const)),
      ...(trust.get(trustKey)?.pem === undefined ? (['no_authority'] as const) : []),
    ],
    onAuthority: (listener) => void authority.subscribe(() => listener()),
    async close() {
      await Promise.all([namespaces.stop(), trust.stop(), authority.stop(), notes.close(), deeds.close()]).catch(
        (error: unknown) => logger.debug('caches did not stop', { error: describeError(error) }),
      );
    },
  };
}
