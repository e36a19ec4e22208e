import type { Clock, Logger } from '../../base/index.ts';
import { annotations } from '../../contract/index.ts';
import type { ApprovalPhase } from '../../core/index.ts';
import type { ApprovalSpecResource } from '../../crd/index.ts';
import { isConflict, isNotFound, refOfKey, resources } from '../../kube/index.ts';
import type { EventRecorder, KubeClient, KubeObject } from '../../kube/index.ts';
import { phaseByBoth } from '../two-clocks.ts';
import type { TwoClocks } from '../two-clocks.ts';
import { approvalFact, isOpen } from './approval-fact.ts';
import type { ApprovalFact } from './approval-fact.ts';
import { stepOf } from './approval-step.ts';
import type { ApprovalStep } from './approval-step.ts';

export interface ApprovalWriterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** By which phases are written. */
  readonly clocks: TwoClocks;
  readonly logger: Logger;
  readonly events: Pick<EventRecorder, 'record'>;
  /** This replica. */
  readonly replica: string;
  readonly onStep: (step: ApprovalStep) => void;
  /** What was read or written, at once: the watch tells of it later. */
  readonly onFact: (fact: ApprovalFact) => void;
  readonly onGone: (key: string) => void;
}

/**
 * All that the controller writes of approvals. Each change of a phase names the version that it was decided on, so that of two
 * replicas, or of a decision and an expiry, one wins and the other looks again.
 *
 * All may throw KubeError.
 */
export interface ApprovalWriter {
  read(key: string): Promise<ApprovalFact | undefined>;
  /** Undefined: there is one of that name already. */
  create(namespace: string, name: string, spec: ApprovalSpecResource): Promise<ApprovalFact | undefined>;
  /** Writes the phase that follows from votes and time. Gives what it is then; undefined: it is gone. */
  settle(fact: ApprovalFact): Promise<ApprovalFact | undefined>;
  /** Spends it for this session, or tells what it is instead. Spending it twice for one session is once. */
  use(key: string, by: { readonly pod: string; readonly session: string }): Promise<ApprovalFact | undefined>;
  /** Ends one that waits at this replica, that nobody waits for, and that nobody comes back for. */
  cancel(key: string): Promise<void>;
  /** Its callers wait here now. */
  adopt(fact: ApprovalFact): Promise<void>;
  /** Its callers come back for it: no replica cancels it. */
  keep(fact: ApprovalFact): Promise<void>;
  remove(fact: ApprovalFact): Promise<void>;
}

const resource = resources.inferenceApprovals;
/** Others write the same object at the same time at most as often as people and replicas do. */
const mostConflicts = 12;

export function createApprovalWriter(options: ApprovalWriterOptions): ApprovalWriter {
  const { client, clock, clocks, logger, events, onFact } = options;

  const known = (raw: KubeObject): ApprovalFact => {
    const fact = approvalFact(raw);
    onFact(fact);
    return fact;
  };
  const read = async (key: string): Promise<ApprovalFact | undefined> => {
    const raw = await client.find<KubeObject>(resource, refOfKey(key));
    if (raw !== undefined) return known(raw);
    options.onGone(key);
    return undefined;
  };
  /** A metric, a line of the log, an Event: whoever is killed before this tells none. The record comes of the watch. */
  const tell = (fact: ApprovalFact): void => {
    const step = stepOf[fact.phase];
    options.onStep(step);
    logger.info(`approval ${step}`, {
      approval: fact.key,
      uid: fact.uid,
      rule: fact.rules[0] ?? '',
      votes: fact.votes.length,
    });
    events.record(
      {
        apiVersion: 'sidegate.dev/v1alpha1',
        kind: resource.kind,
        metadata: { namespace: fact.namespace, name: fact.name, uid: fact.uid },
      },
      {
        type: fact.phase === 'Denied' || fact.phase === 'Expired' ? 'Warning' : 'Normal',
        reason: fact.phase === 'Pending' ? 'ApprovalAsked' : `Approval${fact.phase}`,
        action: 'Decide',
        note: `${fact.rules.join(', ')}: ${fact.phase} with ${fact.votes.length} of ${fact.required} decisions`,
      },
    );
  };
  /** Undefined: the object is no longer the one that was decided on. */
  const write = async (fact: ApprovalFact, status: object): Promise<ApprovalFact | undefined> => {
    try {
      const raw = await client.patch<KubeObject>(
        resource,
        fact,
        { type: 'merge', body: { metadata: { resourceVersion: fact.resourceVersion, uid: fact.uid }, status } },
        'status',
      );
      const next = known(raw);
      tell(next);
      return next;
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  };
  /** Decides on the newest state until the write counts. `decide` gives the status to write, or nothing to leave it. */
  const decide = async (
    key: string,
    first: ApprovalFact | undefined,
    status: (fact: ApprovalFact) => object | undefined,
  ): Promise<ApprovalFact | undefined> => {
    let fact = first;
    for (let tries = 0; tries < mostConflicts; tries++) {
      fact ??= await read(key);
      const next = fact === undefined ? undefined : status(fact);
      if (fact === undefined || next === undefined) return fact;
      try {
        const written = await write(fact, next);
        if (written !== undefined) return written;
      } catch (error) {
        if (!isNotFound(error)) throw error;
        options.onGone(key);
        return undefined;
      }
      fact = undefined;
    }
    return read(key);
  };
  const note = async (fact: ApprovalFact, notes: Readonly<Record<string, string>>): Promise<void> => {
    const body = { metadata: { uid: fact.uid, annotations: notes } };
    known(await client.patch<KubeObject>(resource, fact, { type: 'merge', body }));
  };
  const due = (fact: ApprovalFact): ApprovalPhase => phaseByBoth(fact, clocks);
  /** It lets somebody through: by neither clock it is over. */
  const stands = (fact: ApprovalFact): boolean => fact.phase === 'Approved' && clocks.latest() < fact.expiresAt;

  return {
    read,
    async create(namespace, name, spec) {
      try {
        const raw = await client.create<KubeObject>(
          resource,
          {
            apiVersion: 'sidegate.dev/v1alpha1',
            kind: resource.kind,
            metadata: { namespace, name, annotations: { [annotations.waiting]: options.replica } },
            spec,
          },
          { namespace },
        );
        const fact = known(raw);
        tell(fact);
        return fact;
      } catch (error) {
        if (isConflict(error)) return undefined;
        throw error;
      }
    },
    settle: (fact) =>
      decide(fact.key, fact, (now) => {
        const phase = due(now);
        return phase === now.phase ? undefined : { phase };
      }),
    async use(key, by) {
      // What the copies say may be old: the decision may just have come.
      await decide(key, undefined, (now) => {
        const phase = due(now);
        return phase === now.phase ? undefined : { phase };
      });
      return decide(key, undefined, (now) =>
        stands(now) ? { phase: 'Used', usedBy: by, usedAt: new Date(clock.now()).toISOString() } : undefined,
      );
    },
    async cancel(key) {
      await decide(key, undefined, (now) =>
        isOpen(now) && !now.kept && now.waiting === options.replica
          ? { phase: due(now) === 'Expired' ? 'Expired' : 'Cancelled' }
          : undefined,
      );
    },
    async adopt(fact) {
      if (fact.waiting !== options.replica && isOpen(fact))
        await note(fact, { [annotations.waiting]: options.replica });
    },
    async keep(fact) {
      if (!fact.kept && isOpen(fact)) await note(fact, { [annotations.kept]: 'true' });
    },
    async remove(fact) {
      await client.delete(resource, fact, { uid: fact.uid, resourceVersion: fact.resourceVersion });
      options.onStep('removed');
    },
  };
}
