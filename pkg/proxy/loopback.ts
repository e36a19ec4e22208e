import type { AccessDecision, AccessRequest, Operation, RuleId, Snapshot } from '../core/index.ts';
import type { LiveGrants } from './grants.ts';
import type { LiveRevocations } from './revocations.ts';

/**
 * By which kind of listener a request came. `outer`: over the network. `loopback`: from inside the pod, which is exec probes, other
 * containers, and whoever may port-forward or exec. `helper`: from the one container of the pod that runs as this uid.
 */
export type Entrance =
  { readonly kind: 'outer' } | { readonly kind: 'loopback' } | { readonly kind: 'helper'; readonly uid: number };

export const outer: Entrance = { kind: 'outer' };

/** What access is decided on, and where it was asked. */
export interface Asked extends AccessRequest {
  /** Absent: `outer`. */
  readonly entrance?: Entrance;
  /** Access for a time. Absent: there is none. */
  readonly grants?: Pick<LiveGrants, 'covering'>;
  /** Whose tokens were taken back. Absent: nobody's. */
  readonly revocations?: LiveRevocations;
}

/** The name in records of what lets a request through that only came from inside the pod. */
export const loopbackRule = 'sidegate/loopback';

/** What exec probes and tools in the pod need before anybody can prove who they are; it tells no prompt and runs no model. */
const openInside: ReadonlySet<Operation> = new Set(['Health', 'ListModels']);

export const isInside = (entrance: Entrance | undefined): boolean =>
  entrance !== undefined && entrance.kind !== 'outer';

interface Opening {
  readonly id: RuleId;
  readonly credential: boolean;
}

/** What opens it to whoever came by this entrance, beside the policy's access rules. */
function openedBy(snapshot: Snapshot, { entrance, operation }: Asked): Opening | undefined {
  if (entrance?.kind === 'helper') {
    const rule = snapshot.loopback.find((one) => one.runAsUser === entrance.uid && one.operations.has(operation));
    if (rule !== undefined) return { id: rule.id, credential: true };
  }
  return isInside(entrance) && openInside.has(operation) ? { id: loopbackRule, credential: false } : undefined;
}

/**
 * Access as the policy decides it; where nothing allows and a grant covers it, as with the grant; from inside the pod `Health` and `ListModels` also where nothing allows them, and for a
 * known helper what the policy's `loopback` rules open. A rule that denies them holds there too. The model's own credential is
 * used for what a policy opens, and not for what is open without one.
 */
export function accessOf(snapshot: Snapshot, asked: Asked): AccessDecision {
  const decision = snapshot.access(asked);
  if (decision.kind === 'allow' || decision.refusal.rule !== 'default') return decision;
  const grant = asked.grants?.covering(asked);
  if (grant !== undefined) {
    const granted = snapshot.accessGranted(asked, grant);
    if (granted.kind === 'allow') return granted;
  }
  const opening = openedBy(snapshot, asked);
  if (opening === undefined) return decision;
  return {
    kind: 'allow',
    rules: [{ id: opening.id, limits: undefined, tokenInput: false }],
    credential: opening.credential,
    observed: decision.observed,
  };
}

/** Whether any rule could allow this caller the operation on some model. */
export function couldAllow(snapshot: Snapshot, asked: Asked): boolean {
  const { caller, operation, entrance } = asked;
  if (snapshot.couldAllow(caller, operation) || asked.grants?.covering(asked, true) !== undefined) return true;
  return accessOf(snapshot, { caller, operation, model: undefined, ...(entrance && { entrance }) }).kind === 'allow';
}
