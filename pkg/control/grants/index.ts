// For the rest of pkg/control.
export { createGrantCache } from './grant-fact.ts';
export type { GrantFact } from './grant-fact.ts';
export { createGrantFeed } from './grant-feed.ts';
export { startGrantKeeper } from './grant-keeper.ts';
export type { GrantKeeper } from './grant-keeper.ts';
export { recordGrants } from './grant-record.ts';
export { grantSteps } from './grant-step.ts';
export type { GrantStep } from './grant-step.ts';
