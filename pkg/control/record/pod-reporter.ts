import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { readWorkloadId, writeWorkloadId } from '../../pki/index.ts';
import type { WorkloadId } from '../../pki/index.ts';
import { maxReported } from '../../wire/index.ts';
import type { AuditHead, PodHead } from '../../wire/index.ts';
import type { RecorderClient } from './recorder-client.ts';

/**
 * Tells the recorder how far the record of each pod has come, and which pods are gone, so that nothing is lost silently with a pod.
 * Each replica tells of its own sidecars, before it forgets them. The leader compares: pods that the recorder still counts with and
 * the API server does not have went while nobody looked.
 */
export interface PodReporter {
  head(pod: ReportedPod, head: AuditHead): void;
  gone(pod: ReportedPod): void;
  /** Sends what has not been sent, once. */
  close(): Promise<void>;
}

export interface ReportedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccount: string;
}

export interface PodReporterOptions {
  /** Undefined: not yet (there is no authority). */
  readonly client: () => RecorderClient | undefined;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leading: () => boolean;
  /** Whether this pod is there; undefined: that is not known yet. */
  readonly exists: (id: WorkloadId) => Promise<boolean | undefined> | boolean | undefined;
  readonly onSent?: (result: 'done' | 'failed') => void;
  /** Heads are gathered for so long; default 5 s. */
  readonly gatherMs?: number;
  /** Between two comparisons of the leader; default 60 s. A pod must be missing in two. */
  readonly compareMs?: number;
}

/** What is known of a pod and was not sent. */
interface Unsent {
  head: PodHead | undefined;
  goneAt: number | undefined;
}

/** A pod that is gone is told soon: its neighbours in a rollout go along. */
const soonMs = 500;

export function startPodReporter(options: PodReporterOptions): PodReporter {
  const { client, trustDomain, clock, logger, leading, exists, gatherMs = 5_000, compareMs = 60_000 } = options;
  let unsent = new Map<string, Unsent>();
  let suspects = new Set<string>();
  /** Hash of the head that each pod was last heard with: most heartbeats bring nothing new. */
  const heard = new Map<string, string>();
  let timer: { readonly due: number; readonly timer: Timer } | undefined;
  let working: Promise<void> = Promise.resolve();
  let closed = false;
  let told = '';

  const sourceOf = (pod: ReportedPod): string => writeWorkloadId(trustDomain, pod);
  const of = (source: string): Unsent => {
    const known = unsent.get(source) ?? { head: undefined, goneAt: undefined };
    unsent.set(source, known);
    return known;
  };
  const failed = (error: unknown): void => {
    options.onSent?.('failed');
    const why = describeError(error);
    if (why !== told) logger.warn('the recorder was not told of pods: tried again', { error: why });
    told = why;
  };
  const send = async (): Promise<void> => {
    const recorder = client();
    if (recorder === undefined) return;
    const sending = unsent;
    unsent = new Map();
    const all = [...sending];
    for (let from = 0; from < all.length; from += maxReported) {
      const part = all.slice(from, from + maxReported);
      try {
        await recorder.report({
          v: 1,
          heads: part.flatMap(([, { head }]) => head ?? []),
          gone: part.flatMap(([source, { goneAt }]) => (goneAt === undefined ? [] : [{ source, at: goneAt }])),
        });
        options.onSent?.('done');
        told = '';
      } catch (error) {
        // What was heard meanwhile is newer.
        for (const [source, { head, goneAt }] of all.slice(from)) {
          const now = of(source);
          now.head ??= head;
          now.goneAt ??= goneAt;
        }
        return failed(error);
      }
    }
  };
  const schedule = (delayMs: number): void => {
    const due = clock.monotonic() + delayMs;
    if (closed || (timer !== undefined && timer.due <= due)) return;
    timer?.timer.cancel();
    const run = (): void => {
      timer = undefined;
      working = working.then(send).finally(() => {
        if (unsent.size > 0) schedule(gatherMs);
      });
    };
    timer = { due, timer: clock.after(delayMs, run) };
  };
  const leave = (source: string): void => {
    heard.delete(source);
    of(source).goneAt ??= clock.now();
    schedule(soonMs);
  };

  const compare = async (): Promise<void> => {
    const recorder = client();
    if (recorder === undefined || !leading()) return;
    try {
      const missing: string[] = [];
      for (const source of await recorder.present()) {
        // Also by the trust domain that was before.
        const id = readWorkloadId(source, undefined);
        if (id !== undefined && (await exists(id)) === false) missing.push(source);
      }
      for (const source of missing) if (suspects.has(source)) leave(source);
      suspects = new Set(missing);
    } catch (error) {
      failed(error);
    }
  };
  const comparing = clock.every(compareMs, () => {
    working = working.then(compare);
  });

  return {
    head(pod, { chain, sequence, hash }) {
      // An older sidecar names no chain.
      if (chain === undefined) return;
      const source = sourceOf(pod);
      if (heard.get(source) === hash) return;
      heard.set(source, hash);
      of(source).head = { source, namespace: pod.namespace, pod: pod.name, chain, sequence, hash };
      schedule(gatherMs);
    },
    gone: (pod) => leave(sourceOf(pod)),
    async close() {
      closed = true;
      timer?.timer.cancel();
      comparing.cancel();
      await working;
      if (unsent.size > 0) await send();
    },
  };
}
