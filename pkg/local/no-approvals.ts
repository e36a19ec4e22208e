import type { ApprovalGate, ApprovalState } from '../core/index.ts';

const nobody: ApprovalState = { kind: 'problem', problem: 'unavailable' };
const ticket = { claim: () => Promise.resolve(false), leave: () => undefined };

/** Nobody to ask: whatever needs an approval is refused with `approval_unavailable`. */
export const noApprovals: ApprovalGate = {
  ask(_ask, listener) {
    listener(nobody);
    return ticket;
  },
  watch(_name, _requester, listener) {
    listener(nobody);
    return ticket;
  },
};
