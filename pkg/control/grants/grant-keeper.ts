import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { ApprovalPhase } from '../../core/index.ts';
import type { GrantStatusResource } from '../../crd/index.ts';
import { createQueue, isConflict, isNotFound, resources } from '../../kube/index.ts';
import type { Cache, EventRecorder, KubeClient } from '../../kube/index.ts';
import type { PolicySet } from '../policies/policy-index.ts';
import { createTwoClocks, mostApartMs, phaseByBoth } from '../two-clocks.ts';
import type { TwoClocks } from '../two-clocks.ts';
import { askerOf, finishedIndex, isOver, openIndex, ownIndex, ownKey } from './grant-fact.ts';
import type { GrantFact } from './grant-fact.ts';
import { grantLimits } from './grant-limits.ts';
import type { GrantLimits } from './grant-limits.ts';
import { grantReach, holds, notTaken } from './grant-reach.ts';
import { stepOf } from './grant-step.ts';
import type { GrantStep } from './grant-step.ts';
import { decidable, grantTerms, lasts } from './grant-terms.ts';
import type { GrantProblem } from './grant-terms.ts';

/**
 * The leader's part of grants: says who decides, and brings each to the phase that votes and time make of it. Every write names the
 * version that it was decided on.
 */
export interface GrantKeeper {
  /** This replica leads now. */
  lead(): void;
  close(): Promise<void>;
}

export interface GrantKeeperOptions {
  readonly client: Pick<KubeClient, 'patch' | 'delete'>;
  readonly cache: Cache<GrantFact>;
  readonly clock: Clock;
  /** By which it ends and is removed; default this machine's alone. */
  readonly clocks?: TwoClocks;
  readonly logger: Logger;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly leading: () => boolean;
  /** Of the governed pods that it selects; undefined: that cannot be said yet. */
  readonly setsOf: (fact: GrantFact) => readonly PolicySet[] | undefined;
  readonly onStep?: (step: GrantStep) => void;
  /** Those that are over are kept so long after they ended; default a day. */
  readonly keepMs?: number;
  /** Default {@link grantLimits}. */
  readonly limits?: GrantLimits;
}

const resource = resources.inferenceGrants;
/** The wall clock may step: no end is slept through for longer. */
const mostSleepMs = 2_000;
/** One clock may say that it is over, and the other not yet. */
const leastSleepMs = 100;
/** Pods and policies may come that make it decidable. */
const lookAgainMs = 5_000;
const mostRestMs = 600_000;

const clocksDiffer =
  'whether it would last too long cannot be said: the clock of the controller’s node is not that of the API server. Run NTP there';

const objectOf = ({ namespace, name, uid }: GrantFact) => ({
  apiVersion: 'sidegate.dev/v1alpha1',
  kind: resource.kind,
  metadata: { namespace, name, uid },
});

interface Said {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** The conditions with this one; undefined: it says so already. @param now wall clock, milliseconds */
function withCondition(
  { conditions, generation }: GrantFact,
  said: Said,
  now: number,
): GrantFact['conditions'] | undefined {
  const known = conditions.find(({ type }) => type === said.type);
  if (known?.status === said.status && known.reason === said.reason && known.message === said.message) return undefined;
  const lastTransitionTime =
    known !== undefined && known.status === said.status ? known.lastTransitionTime : new Date(now).toISOString();
  const others = conditions.filter(({ type }) => type !== said.type);
  return [...others, { ...said, lastTransitionTime, observedGeneration: generation }];
}

/** When it ended: what was denied or cancelled did not wait for the end that was asked for. */
function overSince({ grant, phase, votes, conditions }: GrantFact): number {
  const ended =
    phase === 'Denied' ? votes.at(-1)?.at : conditions.find(({ type }) => type === decidable)?.lastTransitionTime;
  const at = phase === 'Denied' || phase === 'Cancelled' ? Date.parse(ended ?? '') : NaN;
  return Number.isNaN(at) ? grant.until : Math.min(at, grant.until);
}

export function startGrantKeeper(options: GrantKeeperOptions): GrantKeeper {
  const { cache, client, clock, logger, keepMs = 86_400_000, limits = grantLimits } = options;
  const { clocks = createTwoClocks(clock) } = options;

  /** A metric, a line of the log, an Event: whoever is killed before this tells none. The record comes of the watch. */
  const tell = (fact: GrantFact, phase: ApprovalPhase, why: string): void => {
    options.onStep?.(stepOf[phase]);
    logger.info(`grant ${stepOf[phase]}`, { grant: fact.key, uid: fact.uid, why });
    options.events.record(objectOf(fact), {
      type: phase === 'Denied' || phase === 'Cancelled' ? 'Warning' : 'Normal',
      reason: `Grant${phase === 'Pending' ? 'Opened' : phase}`,
      action: 'Decide',
      note: `${phase}: ${why}`,
    });
  };
  /** False: somebody was quicker, the watch will tell. */
  const write = async (fact: GrantFact, status: Partial<GrantStatusResource>): Promise<boolean> => {
    try {
      await client.patch(
        resource,
        fact,
        { type: 'merge', body: { metadata: { resourceVersion: fact.resourceVersion, uid: fact.uid }, status } },
        'status',
      );
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  };
  const complain = async (
    fact: GrantFact,
    { reason, message }: Pick<GrantProblem, 'message'> & { readonly reason: GrantProblem['reason'] | 'ClocksDiffer' },
  ): Promise<void> => {
    const conditions = withCondition(fact, { type: decidable, status: 'False', reason, message }, clock.now());
    if (conditions !== undefined) await write(fact, { phase: 'Pending', conditions });
  };
  const cancel = async (
    fact: GrantFact,
    reason: 'TooLong' | 'NotBound' | 'NotTaken' | 'TooMany',
    message: string,
  ): Promise<void> => {
    const said = { type: decidable, status: 'False', reason, message } as const;
    const conditions = withCondition(fact, said, clock.now()) ?? fact.conditions;
    if (await write(fact, { phase: 'Cancelled', conditions })) tell(fact, 'Cancelled', reason);
  };
  const before = (one: GrantFact, other: GrantFact): boolean =>
    one.createdAt === other.createdAt ? one.uid < other.uid : one.createdAt < other.createdAt;
  /** Why it is more than there may be, by those that were asked for before it; undefined: it is not. */
  const tooMany = (fact: GrantFact): string | undefined => {
    const ahead = (index: string, key: string): number =>
      cache.by(index, key).filter((one) => before(one, fact)).length;
    if (ahead(ownIndex, ownKey(fact)) >= limits.perRequester)
      return `${fact.requestedBy} has ${limits.perRequester} grants here that are undecided or hold: take some back, then ask again`;
    return ahead(openIndex, fact.namespace) >= limits.perNamespace
      ? `there are ${limits.perNamespace} grants in the namespace that are undecided or hold: take some back, then ask again`
      : undefined;
  };
  /** By key: those that are being removed. */
  const removing = new Set<string>();
  const remove = async (fact: GrantFact): Promise<void> => {
    removing.add(fact.key);
    try {
      await client.delete(resource, fact, { uid: fact.uid, resourceVersion: fact.resourceVersion });
    } catch (error) {
      removing.delete(fact.key);
      throw error;
    }
    options.onStep?.('removed');
  };
  /** Each that ends has the oldest of its namespace removed, where they are too many. */
  const removeOldest = async (namespace: string): Promise<void> => {
    const finished = cache.by(finishedIndex, namespace).filter(({ key }) => !removing.has(key));
    if (finished.length <= limits.finishedPerNamespace) return;
    await remove(finished.reduce((oldest, one) => (overSince(one) < overSince(oldest) ? one : oldest)));
  };
  /** Says who decides, once: what people have begun to decide on does not change. */
  const open = async (fact: GrantFact): Promise<number | undefined> => {
    const sets = options.setsOf(fact);
    if (sets === undefined) return lookAgainMs;
    const terms = grantTerms(fact, sets);
    if (terms.kind === 'problem') {
      await complain(fact, terms);
      return lookAgainMs;
    }
    // The later a clock, the less of it is left.
    if (lasts(fact, clocks.latest()) > terms.maxGrantMs) {
      const message = `it would last longer than ${Math.floor(terms.maxGrantMs / 60_000)} minutes, the longest that the policies allow (spec.approvals.maxGrant): ask for a shorter time`;
      await cancel(fact, 'TooLong', message);
      return undefined;
    }
    if (lasts(fact, clocks.earliest()) > terms.maxGrantMs + mostApartMs) {
      await complain(fact, { reason: 'ClocksDiffer', message: clocksDiffer });
      return lookAgainMs;
    }
    const { approvers, required, kubernetesUser, naming } = terms;
    const unsaid =
      'the policies do not say who the caller is to Kubernetes (identity.providers.kubernetesUser with the claim of the subject; where the platform names the approvers, its own providers say it alone)';
    const message =
      kubernetesUser !== undefined
        ? 'by those who are named in status.approvers'
        : naming !== undefined
          ? `by token alone: ${unsaid}, so that no Kubernetes user can decide`
          : `by service accounts alone: ${unsaid}, and sub of a token may be another for each client, so that nobody else can be told from the caller: name people by a claim that stays (oidc.subjectClaim)`;
    const said = { type: decidable, status: 'True', reason: 'Asked', message } as const;
    const written = await write(fact, {
      phase: 'Pending',
      approvers,
      required,
      ...(kubernetesUser !== undefined && { kubernetesUser }),
      ...(naming !== undefined && { naming }),
      // By the clock that says more: how long it lasts counts from here wherever it is looked at.
      conditions: withCondition(fact, said, clocks.latest()) ?? fact.conditions,
    });
    if (written) tell(fact, 'Pending', `${required} must approve`);
    return undefined;
  };
  /** By key: when it was last asked on which pods it holds, monotonic milliseconds. */
  const asked = new Map<string, number>();
  /** Says of an approved one when policies of its pods have gone beyond what was approved, and when they are back. */
  const sayReach = async (fact: GrantFact): Promise<void> => {
    const now = clock.monotonic();
    if (now - (asked.get(fact.key) ?? -Infinity) < lookAgainMs) return;
    const sets = options.setsOf(fact);
    if (sets === undefined) return;
    asked.set(fact.key, now);
    const reach = grantReach(fact, sets);
    const known = fact.conditions.find(({ type }) => type === holds);
    if (known === undefined && reach.status === 'True') return;
    const conditions = withCondition(fact, { type: holds, ...reach }, clock.now());
    if (conditions === undefined || !(await write(fact, { phase: 'Approved', conditions }))) return;
    if (known?.status === reach.status) return;
    logger.info('grant holds', { grant: fact.key, uid: fact.uid, on: reach.reason });
    options.events.record(objectOf(fact), {
      type: reach.status === 'True' ? 'Normal' : 'Warning',
      reason: `GrantHolds${reach.reason}`,
      action: 'Decide',
      note: reach.message,
    });
  };

  const handle = async (key: string): Promise<number | undefined> => {
    const fact = cache.get(key);
    if (fact === undefined || !options.leading()) return undefined;
    const now = clocks.earliest();
    const { until } = fact.grant;
    if (fact.withdrawn) {
      if (await write(fact, { phase: 'Cancelled' })) tell(fact, 'Cancelled', 'deleted');
      return undefined;
    }
    if (isOver(fact)) {
      const left = overSince(fact) + keepMs - now;
      if (left > 0) {
        await removeOldest(fact.namespace);
        return Math.min(left, mostRestMs);
      }
      await remove(fact);
      return undefined;
    }
    if (fact.phase === 'Pending' && !fact.bound) {
      await cancel(
        fact,
        'NotBound',
        'its name is not made of its spec, so that it may not be what people read: ask again',
      );
      return undefined;
    }
    if (fact.phase === 'Pending' && fact.bytes === undefined) {
      await cancel(fact, 'NotTaken', notTaken);
      return undefined;
    }
    const phase = phaseByBoth(
      { phase: fact.phase, votes: fact.votes, required: fact.required, expiresAt: until, asker: askerOf(fact) },
      clocks,
    );
    if (phase !== fact.phase) {
      if (await write(fact, { phase: phase === 'Used' ? 'Expired' : phase })) tell(fact, phase, 'decided');
      return undefined;
    }
    if (fact.phase === 'Pending' && fact.required === undefined) {
      const many = tooMany(fact);
      if (many !== undefined) {
        await cancel(fact, 'TooMany', many);
        return undefined;
      }
      const again = await open(fact);
      if (again !== undefined) return Math.min(again, Math.max(leastSleepMs, until - now));
    }
    if (fact.phase === 'Approved') await sayReach(fact);
    return Math.min(mostSleepMs, Math.max(leastSleepMs, until - now));
  };
  const queue = createQueue({ name: 'grants', clock, logger, concurrency: 8, handle });
  const stop = cache.subscribe(({ key, before, after }) => {
    if (after === undefined) {
      asked.delete(key);
      removing.delete(key);
    }
    if (after === undefined && before !== undefined && !isOver(before) && options.leading()) {
      logger.info('grant taken back', { grant: key, uid: before.uid, phase: before.phase });
      options.onStep?.('cancelled');
    }
    queue.add(key);
  });
  const lead = (): void => {
    for (const { key } of cache.values()) queue.add(key);
  };
  let closed = false;
  cache
    .whenSynced()
    .then(() => {
      if (!closed && options.leading()) lead();
    })
    .catch((error: unknown) => logger.error('grants are not looked after', { error: describeError(error) }));

  return {
    lead,
    async close() {
      closed = true;
      stop();
      await queue.close();
    },
  };
}
