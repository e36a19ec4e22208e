import { Roster } from '../base/index.ts';
import type { Listed } from '../base/index.ts';
import type { CompiledProvider, ReasonCode, ResponsePlan } from '../core/index.ts';
import { accessOf } from './loopback.ts';
import type { Asked } from './loopback.ts';
import type { Runtime } from './runtime.ts';
import { provesTheSame } from './same-provider.ts';

/** A request that policy let through and that is not over. */
export interface LiveRequest extends Listed {
  readonly runtime: Runtime;
  readonly facts: Asked;
  readonly plan: ResponsePlan;
  /** True: any edit of policy ends it, because people were asked under this one. */
  readonly bound?: boolean;
  /** How it is read a policy says. */
  readonly described?: boolean;
  /** Of what passes unread: whether it would have to be read under this policy, which ends it. Absent: it is read. */
  mustBeRead?(next: Runtime): boolean;
  /** Ends it: an error event on a stream, a refusal where nothing left yet. */
  end(code: ReasonCode): void;
}

/** What was decided about a request, and under which policy. */
export type Decided = Pick<LiveRequest, 'runtime' | 'facts' | 'plan' | 'described' | 'mustBeRead'>;

/**
 * All requests under way. When policy is swapped each is decided again on access with the facts stored, and its
 * answer's plan is compared: if the new one hides anything more, the answer ends. Guards on what went to the model do not run again; what passes unread
 * ends where one would have to read it.
 */
export class LiveRequests {
  readonly #live = new Roster<LiveRequest>();

  add(request: LiveRequest): void {
    this.#live.add(request);
  }

  remove(request: LiveRequest): void {
    this.#live.delete(request);
  }

  get size(): number {
    return this.#live.size;
  }

  swap(next: Runtime): void {
    for (const request of this.#live.members()) {
      const held = request.bound === true && request.runtime.snapshot.terms !== next.snapshot.terms;
      if (held || !stillAllowed(request, next)) request.end('policy_changed');
    }
  }

  /** Access for a time has ended: so does whatever rests on it. */
  grantsEnded(): void {
    for (const request of this.#live.members()) {
      if (accessOf(request.runtime.snapshot, request.facts).kind === 'deny') request.end('grant_ended');
    }
  }

  /** Tokens were taken back: so is what is under way with them. */
  revoked(): void {
    for (const request of this.#live.members()) if (isRevoked(request)) request.end('token_revoked');
  }

  /** Those that wait for people: nobody waits for minutes for a sidecar that stops. */
  endHeld(code: ReasonCode): void {
    for (const request of this.#live.members()) if (request.bound === true) request.end(code);
  }

  endAll(code: ReasonCode): void {
    for (const request of this.#live.members()) request.end(code);
  }
}

/**
 * Before it goes into this set, which hears of changes from then on alone: policy may have been swapped, access for a time have
 * ended, and the token been taken back, since it was decided. Undefined: it may go on.
 */
export function endedMeanwhile(
  request: Decided,
  current: Runtime | undefined,
): Extract<ReasonCode, 'policy_changed' | 'grant_ended' | 'token_revoked'> | undefined {
  if (isRevoked(request)) return 'token_revoked';
  if (current === undefined || !stillAllowed(request, current)) return 'policy_changed';
  if (!judgesAlike(request.runtime, current, request.facts)) return 'policy_changed';
  const { facts } = request;
  // Without grants the same policy says the same.
  if (facts.grants !== undefined && accessOf(current.snapshot, facts).kind === 'deny') return 'grant_ended';
  return undefined;
}

/** Policies that only observe end nothing. */
function isRevoked({ runtime, facts }: Pick<LiveRequest, 'runtime' | 'facts'>): boolean {
  const { caller, revocations } = facts;
  return caller !== undefined && runtime.snapshot.enforcing && revocations?.revokes(caller) === true;
}

/** Also what was decided under a policy that is no longer the current one, before it went into this set. */
export function stillAllowed(request: Decided, next: Runtime): boolean {
  if (request.runtime === next) return true;
  const { caller } = request.facts;
  // A provider that changed no longer proves whom it proved: the verifier is another one.
  if (
    caller !== undefined &&
    next.verifier !== request.runtime.verifier &&
    !provesTheSame(providerOf(request.runtime, caller.provider), providerOf(next, caller.provider))
  )
    return false;
  if (accessOf(next.snapshot, request.facts).kind === 'deny') return false;
  if (request.mustBeRead?.(next) === true || isReadOtherwise(request, next)) return false;
  return request.plan.coveredBy(next.snapshot.responsePlan(caller));
}

/** What a policy describes, and what nobody knows, may be another operation with other texts where the descriptions are others. */
function isReadOtherwise({ runtime, facts, described }: Decided, next: Runtime): boolean {
  if (described !== true && facts.operation !== 'Other') return false;
  return descriptionsOf(runtime) !== descriptionsOf(next);
}

/** As text, made once for each policy that is compared. */
const descriptions = new WeakMap<Runtime['snapshot'], string>();

function descriptionsOf({ snapshot }: Runtime): string {
  const { grpcServices, routes } = snapshot;
  if (grpcServices.length + routes.length === 0) return '';
  const known = descriptions.get(snapshot);
  if (known !== undefined) return known;
  const made = JSON.stringify([grpcServices, routes]);
  descriptions.set(snapshot, made);
  return made;
}

const providerOf = ({ snapshot }: Runtime, id: string): CompiledProvider | undefined =>
  snapshot.providers.find((provider) => provider.id === id);

/** Whether a request that one policy let through would meet the same guards and analyzers, and the same model, under the other. */
function judgesAlike(one: Runtime, other: Runtime, { caller }: Asked): boolean {
  if (one.snapshot === other.snapshot) return true;
  const judging = ({ snapshot }: Runtime): string => {
    const { enforcing, scanRules, analyzers, upstream } = snapshot;
    const guards = snapshot
      .requestPlan(caller)
      .outcomes.flatMap((outcome, at) => (outcome === undefined ? [] : [outcome, { ...scanRules[at], index: 0 }]));
    return JSON.stringify([enforcing, guards, analyzers, upstream ?? null]);
  };
  return judging(one) === judging(other);
}
