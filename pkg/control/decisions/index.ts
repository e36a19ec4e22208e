// For the rest of pkg/control.
export { approvalList } from './approval-list.ts';
export { createApprovalLister } from './approval-lister.ts';
export { createTokenDecider } from './decide-by-token.ts';
export type { TokenDecider } from './decide-by-token.ts';
export { createDecisionServer, decisionResults } from './decision-server.ts';
export type { Asking, DecisionResult, DecisionServer, RouteAnswer, RouteGroup, Routes } from './decision-server.ts';
export { createProofLimits, decisionRates, listRates } from './decision-limits.ts';
export type { ProofLimits } from './decision-limits.ts';
export { createKnownProviders } from './known-providers.ts';
export { createProver } from './prover.ts';
export { createRecorderProof } from './recorder-proof.ts';
export { createUnproven } from './unproven.ts';
export type { Unproven } from './unproven.ts';
