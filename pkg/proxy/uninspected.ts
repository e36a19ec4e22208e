import type { Identity, ResponsePlan } from '../core/index.ts';
import type { Runtime } from './runtime.ts';
import { isEmpty } from './selection.ts';

/** What nobody reads passes only where nothing has to look into it: under the policy that lets it through, and under each that follows. */

type Reads = Pick<Runtime, 'snapshot' | 'credentialRule'>;

/**
 * Whether something of this caller's holds inside of a WebSocket: frames would have to be read for it.
 *
 * @param credential whether a key of the sidecar's own goes with the handshake
 */
export function framesMustBeRead(
  { snapshot, credentialRule }: Reads,
  credential: boolean,
  caller: Identity | undefined,
  plan: ResponsePlan = snapshot.responsePlan(caller),
): boolean {
  return (
    (credentialRule >= 0 && (snapshot.enforcing || credential)) || // a key that is sent could come back unseen
    snapshot.requestPlan(caller).inspects ||
    ![plan.mask, plan.block, plan.approve].every(isEmpty) ||
    isLimited(plan) // nobody would keep them
  );
}

/**
 * Whether all that holds for answers to this caller can be kept where a WebSocket is read message by message: an approval cannot wait for what has no
 * end, and messages are not filled up.
 */
export const socketMayBeRead = ({ approve, limits }: ResponsePlan): boolean =>
  isEmpty(approve) && limits.padToMultipleOf === undefined;

/** The same of a body that no dialect knows, and of its answer. */
export function bodyMustBeRead(
  { snapshot, credentialRule }: Reads,
  caller: Identity | undefined,
  plan: ResponsePlan = snapshot.responsePlan(caller),
): boolean {
  return credentialRule >= 0 || snapshot.requestPlan(caller).inspects || !isEmpty(plan.scan) || isLimited(plan);
}

function isLimited({ limits }: ResponsePlan): boolean {
  return Object.values(limits).some((limit) => limit !== undefined);
}
