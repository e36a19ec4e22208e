// For the rest of pkg/control.
export { createApprovalCache } from './approval-fact.ts';
export type { ApprovalFact } from './approval-fact.ts';
export { recordApprovals } from './approval-record.ts';
export { approverResources, providerId, shortProvider, termsOf } from './approval-spec.ts';
export { approvalSteps } from './approval-step.ts';
export type { ApprovalStep } from './approval-step.ts';
export { createApprovalDesk } from './desk.ts';
export type { ApprovalKeeper } from './desk.ts';
export { approvalLimits } from './limits.ts';
export type { ApprovalLimits } from './limits.ts';
export { sealWith } from './seal.ts';
export { createTurns } from './turns.ts';
