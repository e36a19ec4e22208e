import type { ApprovalGate } from '../core/index.ts';

/** Nobody to ask: whatever needs an approval is refused with `approval_unavailable`. */
export const noApprovals: ApprovalGate = { request: () => Promise.resolve('unavailable') };
