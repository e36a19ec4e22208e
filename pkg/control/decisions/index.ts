// For the rest of pkg/control.
export { approvalList } from './approval-list.ts';
export { createTokenDecider } from './decide-by-token.ts';
export type { TokenDecider } from './decide-by-token.ts';
export { createDecisionServer, decisionResults } from './decision-server.ts';
export type { DecisionResult, DecisionServer, RouteAnswer, RouteGroup, Routes } from './decision-server.ts';
