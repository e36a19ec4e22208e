import type { ApprovalPhase } from '../../core/index.ts';

/** What became of approvals, for a metric. A closed set. */
export const approvalSteps = ['created', 'approved', 'denied', 'expired', 'used', 'cancelled', 'removed'] as const;
export type ApprovalStep = (typeof approvalSteps)[number];

export const stepOf: Readonly<Record<ApprovalPhase, ApprovalStep>> = {
  Pending: 'created',
  Approved: 'approved',
  Denied: 'denied',
  Expired: 'expired',
  Used: 'used',
  Cancelled: 'cancelled',
};
