import type { Clock } from '../../base/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { createTurns } from '../approvals/index.ts';
import { faultOf, judgedOf, namedAs, viewOf } from './decidable.ts';
import type { Decidable, Judged, Place } from './decidable.ts';
import { fairRoom, fairShare } from './fair-share.ts';
import type { ProofLimits } from './decision-limits.ts';
import type { Bearer, Limited, Person, Prover } from './prover.ts';

export interface ApprovalLister {
  /** Approvals that wait and that the token may decide, those that end soonest first. Who is not proven has none. */
  list(bearer: Bearer): Promise<ApprovalListing | Limited | 'identity_unavailable' | 'try_again'>;
}

export interface ApprovalListing {
  readonly approvals: readonly Readonly<Record<string, unknown>>[];
  /** False: there may be more, where an issuer does not answer, or beyond the bounds of a list. */
  readonly complete: boolean;
}

/** An approval that waits, as the watch tells of it. */
export interface Waiting extends Judged {
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
}

/** Approvals in one list. */
const mostListed = 100;
/** Bytes of one list, as JSON, but for one approval that has more: whoever asks reads so much whole (pkg/recorder/console/fetch.ts). */
const mostBytes = 900_000;
/** Of all lists together. */
const mostReadAtOnce = 16;
const mostKept = 2_000;

/** Whom an approval names is known by the watch: what is read of the API server is what is shown, and no more. */
export function createApprovalLister(options: {
  readonly client: Pick<KubeClient, 'find'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly prover: Prover;
  readonly limits: ProofLimits;
  /** All approvals that nobody has decided; undefined: they are not known yet. */
  readonly waiting: () => readonly Waiting[] | undefined;
}): ApprovalLister {
  const { client, clock, prover, limits } = options;
  const turns = createTurns(mostReadAtOnce);
  const mayDecide = (judged: Judged, namespace: string, person: Person | readonly []): boolean => {
    const who = namedAs(judged, namespace, person);
    return who !== undefined && faultOf(judged, who, person, clock.now()) === undefined;
  };

  /** By place, as last read: whoever asks again reads only what has changed. */
  const read = new Map<string, { readonly resourceVersion: string; readonly object: Promise<Decidable | undefined> }>();
  const readWaiting = ({ namespace, name, resourceVersion }: Waiting): Promise<Decidable | undefined> => {
    const key = `${namespace}/${name}`;
    const known = read.get(key);
    if (known?.resourceVersion === resourceVersion) return known.object;
    if (read.size >= mostKept) read.clear();
    const object = turns.take(() => client.find<Decidable>(resources.inferenceApprovals, { namespace, name }));
    read.set(key, { resourceVersion, object });
    object.catch(() => read.delete(key));
    return object;
  };

  return {
    async list(bearer) {
      const seen: { byNamespace?: ReadonlyMap<string, readonly Waiting[]> } = {};
      const namespaces = (): readonly string[] => {
        const waiting = options.waiting();
        if (waiting === undefined) return [];
        seen.byNamespace = Map.groupBy(waiting, (one) => one.namespace);
        return [...seen.byNamespace.keys()];
      };
      const proven = await prover.prove(namespaces, bearer, limits, { anywhere: true });
      if (typeof proven === 'string') return proven;
      const { byNamespace } = seen;
      if (byNamespace === undefined) return 'try_again';
      const people = new Map<string, Person>();
      const mine: Waiting[] = [];
      let away = false;
      for (const [namespace, those] of byNamespace) {
        const person = proven.get(namespace) ?? 'unauthenticated';
        away ||= person === 'identity_unavailable';
        if (typeof person === 'string') continue;
        people.set(namespace, person);
        for (const one of those) if (mayDecide(one, namespace, person)) mine.push(one);
      }
      const shown = fairShare(mine, mostListed);
      const objects = await Promise.all(shown.map(readWaiting));
      // What was read may be newer than what the watch has told.
      const found = objects.flatMap((object, at) => {
        const waits = shown[at];
        if (object === undefined || waits === undefined) return [];
        const { namespace, name } = waits;
        const place: Place = { namespace, kind: 'approvals', name };
        if (!mayDecide(judgedOf(object, place), namespace, people.get(namespace) ?? [])) return [];
        const view = viewOf(object, place);
        return [{ ...waits, view, bytes: Buffer.byteLength(JSON.stringify(view)) }];
      });
      const approvals = fairRoom(found, mostBytes);
      if (away && approvals.length === 0) return 'identity_unavailable';
      return {
        approvals: approvals.map(({ view }) => view),
        complete: !away && mine.length <= mostListed && approvals.length === found.length,
      };
    },
  };
}
