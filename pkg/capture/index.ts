export { formatRanges, joinRanges, onePort, parseRanges } from './port-range.ts';
export type { PortRange } from './port-range.ts';
export { captureRules, tableName } from './rules.ts';
export type { CaptureSpec, CapturedHelper, CapturedPort, Chain } from './rules.ts';
export { rulesetText } from './ruleset-text.ts';
export { listingFaults } from './listing.ts';
