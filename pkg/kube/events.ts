import { createBucket, randomId } from '../base/index.ts';
import type { Bucket, Clock } from '../base/index.ts';
import type { KubeClient } from './client.ts';
import { resources } from './objects.ts';
import type { ObjectMeta } from './objects.ts';

/** What an Event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid'>;
}

export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  /** One word, such as `SidecarMissing`. */
  readonly reason: string;
  /** What was done or tried, one word such as `Reconcile`. */
  readonly action: string;
  /** For people; cut at 1,024. Never a secret, and nothing that a caller sent. */
  readonly note: string;
  /** Who did it, where that matters: what each of them does is written. */
  readonly by?: string;
}

export interface EventRecorder {
  /** Best effort: never throws, never waits. The same reason about the same object, by the same person, is written once in ten minutes. */
  record(about: EventSubject, event: EventNote): void;
  /** Resolves when what was begun has ended. */
  close(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** `sidegate.dev/controller` */
  readonly controller: string;
  /** This replica. */
  readonly instance: string;
  /** Namespace of Events about what has none; default `default`, where Kubernetes keeps them. */
  readonly clusterNamespace?: string;
  /** Events at once, refilled by one each second; default 30. */
  readonly burst?: number;
  /**
   * Of those, at once about objects of one namespace, refilled as much slower: it does not keep others from theirs. What somebody
   * did (`by`) has no such limit. Default a third.
   */
  readonly share?: number;
  readonly onDropped?: (why: 'limit' | 'failed') => void;
}

const repeatMs = 600_000;
/** Reasons remembered: the oldest are forgotten, and would be written again. */
const mostRemembered = 4_096;
/** Namespaces whose share is counted: the one that waited longest for an Event is forgotten, and has a whole share again. */
const mostShares = 1_024;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock, controller, instance, burst = 30, share = Math.ceil(burst / 3), onDropped } = options;
  const written = new Map<string, number>();
  const running = new Set<Promise<void>>();
  const all = createBucket(clock, 1, burst);
  const shares = new Map<string, Bucket>();

  /** @param namespace whose share it is of; undefined: of none */
  const allowed = (namespace: string | undefined): boolean => {
    if (namespace === undefined) return all.take();
    const own = shares.get(namespace) ?? createBucket(clock, share / burst, share);
    shares.delete(namespace);
    shares.set(namespace, own);
    const [oldest] = shares.keys();
    if (shares.size > mostShares && oldest !== undefined) shares.delete(oldest);
    return own.waitMs() === 0 && all.take() && own.take();
  };

  return {
    record(about, { type, reason, action, note, by = '' }) {
      const { name, uid } = about.metadata;
      const namespace = about.metadata.namespace ?? options.clusterNamespace ?? 'default';
      const key = `${about.kind}/${about.metadata.namespace ?? ''}/${name}/${uid ?? ''}/${reason}/${by}`;
      const now = clock.monotonic();
      const last = written.get(key);
      if (last !== undefined && now - last < repeatMs) return;
      if (!allowed(by === '' ? about.metadata.namespace : undefined)) return onDropped?.('limit');
      written.delete(key);
      written.set(key, now);
      const [oldest] = written.keys();
      if (written.size > mostRemembered && oldest !== undefined) written.delete(oldest);
      const body = {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: {
          name: `${name.slice(0, 200)}.${randomId()
            .toLowerCase()
            .replace(/[^a-z0-9]/g, '')}`,
          namespace,
        },
        eventTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
        reportingController: controller,
        reportingInstance: instance.slice(0, 128),
        action,
        reason,
        type,
        note: note.slice(0, 1_024),
        regarding: { apiVersion: about.apiVersion, kind: about.kind, ...about.metadata },
      };
      const writing: Promise<void> = client.create(resources.events, body, { namespace }).then(
        () => void running.delete(writing),
        () => {
          running.delete(writing);
          onDropped?.('failed');
        },
      );
      running.add(writing);
    },
    async close() {
      await Promise.all(running);
    },
  };
}
