import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import { readWorkloadId, writeWorkloadId } from '../../pki/index.ts';
import type { WorkloadId } from '../../pki/index.ts';
import { mostInReport } from '../../wire/index.ts';
import type { AuditHead, PodHead } from '../../wire/index.ts';
import type { RecorderClient } from './recorder-client.ts';
import type { LeftReport, UnreportedBook } from './unreported.ts';

/**
 * Tells the recorder how far the record of each pod has come, and which pods are gone, so that nothing is lost silently with a pod.
 * Each replica tells of its own sidecars, before it forgets them. The leader compares: pods that the recorder still counts with and
 * the API server does not have went while nobody looked. What could not be told when its pod was gone, or when this replica ends, is
 * kept in the cluster, and told by the leader.
 */
export interface PodReporter {
  head(pod: ReportedPod, head: AuditHead): void;
  gone(pod: ReportedPod): void;
  /** Sends what has not been sent, once, or keeps it in the cluster. */
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
  /** Where it is kept that could not be told; absent: in memory alone. */
  readonly book?: UnreportedBook;
  readonly onSent?: (result: 'done' | 'failed') => void;
  /** Heads are gathered for so long; default 5 s. */
  readonly gatherMs?: number;
  /** Between two comparisons of the leader; default 60 s. A pod must be missing in two. */
  readonly compareMs?: number;
}

/** What is known of a pod and was not sent. */
interface Unsent {
  /** By chain. */
  heads: Map<string, PodHead>;
  goneAt: number | undefined;
}

/** Chains of one pod that are told of: a new one begins where the one before cannot be continued. */
const mostChains = 8;
/** A pod that is gone is told soon: its neighbours in a rollout go along. */
const soonMs = 500;

/** Up to which of these pods one report can tell. */
function endOfReport(all: readonly (readonly [string, Unsent])[], from: number): number {
  let heads = 0;
  let to = from;
  while (to < all.length && to - from < mostInReport) {
    heads += all[to]?.[1].heads.size ?? 0;
    if (heads > mostInReport) break;
    to++;
  }
  // One at least, whatever it has: none would be told for ever.
  return Math.max(to, from + 1);
}

export function startPodReporter(options: PodReporterOptions): PodReporter {
  const { client, trustDomain, clock, logger, leading, exists, gatherMs = 5_000, compareMs = 60_000 } = options;
  let unsent = new Map<string, Unsent>();
  let suspects = new Set<string>();
  /** Hash of the head that each pod was last heard with, and whether it ends its chain: most heartbeats bring nothing new. */
  const heard = new Map<string, string>();
  let timer: { readonly due: number; readonly timer: Timer } | undefined;
  let working: Promise<void> = Promise.resolve();
  let closed = false;
  let told = '';
  /** Pods that are gone, as they were last kept in the cluster. */
  let kept = 0;
  /** What other replicas have left, and this one is telling. */
  const adopted = new Map<string, LeftReport>();

  const sourceOf = (pod: ReportedPod): string => writeWorkloadId(trustDomain, pod);
  const of = (source: string): Unsent => {
    const known = unsent.get(source) ?? { heads: new Map<string, PodHead>(), goneAt: undefined };
    unsent.set(source, known);
    return known;
  };
  /** The newest chains are kept. */
  const learn = (head: PodHead): void => {
    const { heads } = of(head.source);
    heads.delete(head.chain);
    for (const oldest of [...heads.keys()].slice(0, Math.max(0, heads.size + 1 - mostChains))) heads.delete(oldest);
    heads.set(head.chain, head);
  };
  const failed = (error: unknown): void => {
    options.onSent?.('failed');
    const why = describeError(error);
    if (why !== told) logger.warn('the recorder was not told of pods: tried again', { error: why });
    told = why;
  };
  const send = async (): Promise<void> => {
    const recorder = client();
    if (recorder === undefined) return keep();
    const sending = unsent;
    unsent = new Map();
    const all = [...sending];
    for (let from = 0; from < all.length;) {
      const to = endOfReport(all, from);
      const part = all.slice(from, to);
      try {
        await recorder.report({
          v: 1,
          heads: part.flatMap(([, { heads }]) => [...heads.values()]),
          gone: part.flatMap(([source, { goneAt }]) => (goneAt === undefined ? [] : [{ source, at: goneAt }])),
        });
        options.onSent?.('done');
        told = '';
      } catch (error) {
        // What was heard meanwhile is newer.
        for (const [source, { heads, goneAt }] of all.slice(from)) {
          const now = of(source);
          now.heads = new Map([...heads, ...now.heads]);
          now.goneAt ??= goneAt;
        }
        failed(error);
        return keep();
      }
      from = to;
    }
    await toldAll();
  };
  /** Of pods that are there their sidecars tell whoever is asked next; of others nobody does. */
  const keep = async (): Promise<void> => {
    const { book } = options;
    const all = [...unsent].filter(([, { goneAt }]) => closed || goneAt !== undefined);
    const gone = all.flatMap(([source, { goneAt }]) => (goneAt === undefined ? [] : [{ source, at: goneAt }]));
    if (book === undefined || all.length === 0 || (!closed && gone.length === kept)) return;
    try {
      await book.save({ v: 1, heads: all.flatMap(([, { heads }]) => [...heads.values()]), gone });
      kept = gone.length;
    } catch (error) {
      logger.error('what the recorder was not told of pods could not be kept', { error: describeError(error) });
    }
  };
  /** All that waited was told: what was kept of it goes. */
  const toldAll = async (): Promise<void> => {
    try {
      if (kept > 0) await options.book?.save({ v: 1, heads: [], gone: [] });
      kept = 0;
      for (const [replica, { forget }] of [...adopted]) {
        await forget();
        adopted.delete(replica);
      }
    } catch (error) {
      logger.warn('what the recorder was told of pods is kept still, and told again', { error: describeError(error) });
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
  /** Tells of what replicas knew that are gone. */
  const adopt = async (): Promise<void> => {
    if (!leading() || client() === undefined) return;
    try {
      for (const left of (await options.book?.left()) ?? []) {
        if (adopted.has(left.replica)) continue;
        const { heads, gone } = left.report;
        const there: PodHead[] = [];
        for (const head of heads) {
          const id = readWorkloadId(head.source, undefined);
          const departed = gone.some(({ source }) => source === head.source);
          // Of one that is there, its sidecar has told another replica.
          const found = departed || id === undefined ? false : await exists(id);
          if (found === undefined) return;
          if (!found) there.push(head);
        }
        for (const head of there) {
          learn(head);
          leave(head.source);
        }
        for (const { source, at } of gone) {
          of(source).goneAt = at;
          schedule(soonMs);
        }
        adopted.set(left.replica, left);
      }
      if (unsent.size === 0) await toldAll();
    } catch (error) {
      failed(error);
    }
  };
  const comparing = clock.every(compareMs, () => {
    working = working.then(compare).then(adopt);
  });

  return {
    head(pod, { chain, sequence, hash, ended = false }) {
      // An older sidecar names no chain.
      if (chain === undefined) return;
      const source = sourceOf(pod);
      const what = `${hash} ${String(ended)}`;
      if (heard.get(source) === what) return;
      heard.set(source, what);
      const point = { chain, sequence, hash, ...(ended && { ended }) };
      learn({ source, namespace: pod.namespace, pod: pod.name, ...point });
      schedule(gatherMs);
    },
    gone: (pod) => leave(sourceOf(pod)),
    async close() {
      closed = true;
      timer?.timer.cancel();
      comparing.cancel();
      await working;
      if (unsent.size === 0) return;
      await send();
      // Also where there is nobody to tell.
      if (unsent.size > 0) await keep();
    },
  };
}
