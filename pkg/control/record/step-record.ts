import type { Cache, ObjectMeta } from '../../kube/index.ts';
import type { Change, ChangeLog } from './changes.ts';

/** What became of an object, and when, by the API server's clock; epoch milliseconds. */
export interface Step {
  readonly step: string;
  readonly at: number;
}

export interface StepRecordOptions<T extends { readonly uid: string }> {
  readonly cache: Pick<Cache<T>, 'subscribe' | 'whenSynced'>;
  readonly changes: Pick<ChangeLog, 'seen'>;
  /** By the API server's clock, epoch milliseconds. */
  readonly now: () => number;
  /** What became of it since it was `before`, oldest first, also what no watch told of in between. Undefined: nothing is known of it. */
  readonly steps: (after: T, before: T | undefined) => readonly Step[];
  readonly changeOf: (fact: T, step: string) => Change;
  /** What is asked for of a step when it is told; called as the watch brings it. Default nothing. */
  readonly more?: (after: T, before: T | undefined) => (() => Promise<Partial<Change>>) | undefined;
  /** It is no longer there. */
  readonly onGone: (last: T) => void;
}

/** Longer than all replicas take to begin anew. */
export const recentMs = 120_000;

/**
 * Has each step of the objects of a copy recorded as the watch brings it: whoever wrote it may be killed before it can tell, or never
 * hear that it has. Every replica does this, and the one that leads tells.
 *
 * Promise: a step that the API server holds is told at least once, also over a new list and a change of the leader; over a restart of all
 * replicas those of the two minutes before their first list are, perhaps again.
 */
export function startStepRecord<T extends { readonly uid: string }>(options: StepRecordOptions<T>): () => void {
  const { cache, changes, now, steps, changeOf, onGone } = options;
  let first = true;
  cache.whenSynced().then(
    () => (first = false),
    () => undefined,
  );
  return cache.subscribe(({ before, after }) => {
    const same = before !== undefined && before.uid === after?.uid;
    if (before !== undefined && !same) onGone(before);
    if (after === undefined) return;
    const since = first ? now() - recentMs : -Infinity;
    const known = same ? before : undefined;
    for (const { step, at } of steps(after, known)) {
      // Written so that what has no time is told.
      if (!(at < since)) changes.seen(changeOf(after, step), options.more?.(after, known));
    }
  });
}

/**
 * When its status was last written by the API server's own account, or the latest of these times, RFC 3339, whichever is later; epoch
 * milliseconds, 0 where nothing says.
 */
export function changedAt({ managedFields = [] }: ObjectMeta, ...others: readonly (string | undefined)[]): number {
  const written = managedFields.flatMap(({ subresource, time }) => (subresource === 'status' ? [time] : []));
  const times = [...written, ...others].map((time) => Date.parse(time ?? ''));
  return Math.max(0, ...times.filter((time) => !Number.isNaN(time)));
}
