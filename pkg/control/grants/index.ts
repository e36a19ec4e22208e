// For the rest of pkg/control.
export { createGrantCache } from './grant-fact.ts';
export type { GrantFact } from './grant-fact.ts';
export { createGrantFeed } from './grant-feed.ts';
export { grantSteps, startGrantKeeper } from './grant-keeper.ts';
export type { GrantKeeper, GrantStep } from './grant-keeper.ts';
