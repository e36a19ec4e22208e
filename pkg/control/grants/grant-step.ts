import type { ApprovalPhase } from '../../core/index.ts';

/** What became of grants, for a metric. A closed set. */
export const grantSteps = ['opened', 'approved', 'denied', 'expired', 'cancelled', 'removed'] as const;
export type GrantStep = (typeof grantSteps)[number];

/** Grants are not used up: none becomes `Used`. */
export const stepOf: Readonly<Record<ApprovalPhase, GrantStep>> = {
  Pending: 'opened',
  Approved: 'approved',
  Denied: 'denied',
  Expired: 'expired',
  Used: 'expired',
  Cancelled: 'cancelled',
};
