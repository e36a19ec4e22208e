import type { Clock } from '../../base/index.ts';
import { selectorMatches } from '../../core/index.ts';
import type { Grant } from '../../core/index.ts';
import { resources } from '../../kube/index.ts';
import type { Cache } from '../../kube/index.ts';
import { maxDownBytes } from '../../wire/index.ts';
import type { PodName } from '../../wire/index.ts';
import type { PolicySet } from '../policies/policy-index.ts';
import type { GrantFeed } from '../stream/index.ts';
import { grantNamespaceIndex } from './grant-fact.ts';
import type { GrantFact } from './grant-fact.ts';
import { whyNotHeld } from './grant-terms.ts';

/** As many as a message holds, in number and in bytes; those that end last are left out: what is not said is not allowed. */
const mostGrants = 1_000;
/** Beside what else stands in it. */
const mostBytes = maxDownBytes - 65_536;

/** As many of the first as fit into a message. */
function fitting(facts: readonly GrantFact[]): readonly GrantFact[] {
  let left = mostBytes;
  const end = facts.findIndex(({ bytes = Infinity }) => (left -= bytes) < 0);
  return facts.slice(0, Math.min(mostGrants, end === -1 ? facts.length : end));
}

/**
 * The grants of each pod, from the watched copy of this replica: approved ones that have not ended, and that the pod's policies would
 * have had decided in the same way. Equal lists are one object, so that a stream sends what is new to it.
 */
export function createGrantFeed(options: {
  readonly cache: Cache<GrantFact>;
  readonly clock: Pick<Clock, 'now'>;
  /** Undefined: there is no such pod. Its policies may not be known yet. */
  readonly podOf: (
    pod: PodName,
  ) => { readonly labels: Readonly<Record<string, string>>; readonly set: PolicySet | undefined } | undefined;
}): GrantFeed {
  const { cache, clock, podOf } = options;
  const lists = new Map<string, readonly Grant[]>();
  const none: readonly Grant[] = [];
  /** Of all pods with a set, asked once. */
  const judged = new WeakMap<PolicySet, WeakMap<GrantFact, boolean>>();
  const holds = (fact: GrantFact, set: PolicySet): boolean => {
    const known = judged.get(set) ?? new WeakMap<GrantFact, boolean>();
    judged.set(set, known);
    const before = known.get(fact);
    if (before !== undefined) return before;
    const now = whyNotHeld(fact, set) === undefined;
    known.set(fact, now);
    return now;
  };
  const shared = (facts: readonly GrantFact[]): readonly Grant[] => {
    if (facts.length === 0) return none;
    const id = facts.map(({ uid, resourceVersion }) => `${uid}@${resourceVersion}`).join();
    const known = lists.get(id);
    if (known !== undefined) return known;
    // Old ones are of no use to anybody; whoever has one of them gets an equal one at the worst.
    if (lists.size >= 256) lists.clear();
    const list = facts.map(({ grant }) => grant);
    lists.set(id, list);
    return list;
  };

  return {
    grants(pod) {
      if (!cache.synced()) return undefined;
      const { labels, set } = podOf(pod) ?? {};
      if (labels === undefined || set === undefined) return undefined;
      const now = clock.now();
      const facts = cache
        .by(grantNamespaceIndex, pod.namespace)
        .filter(
          (fact) =>
            fact.phase === 'Approved' &&
            fact.bytes !== undefined &&
            now < fact.grant.until &&
            selectorMatches(fact.selector, labels) &&
            holds(fact, set),
        )
        .sort((a, b) => a.grant.until - b.grant.until || (a.uid < b.uid ? -1 : 1));
      return shared(fitting(facts));
    },
    seen: () => ({ [resources.inferenceGrants.plural]: cache.resourceVersion() ?? '0' }),
    subscribe: (listener) =>
      cache.subscribe(({ before, after }) => {
        // Only what sidecars are told of.
        if (before?.phase !== 'Approved' && after?.phase !== 'Approved') return;
        const { namespace = '' } = after ?? before ?? {};
        // The copy knows how far it is when all have been told: a list without the grant must not say the version before.
        queueMicrotask(() => listener(namespace));
      }),
  };
}
