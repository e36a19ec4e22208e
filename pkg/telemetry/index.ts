export { createAdminServer } from './admin-server.ts';
export type { AdminServer, AdminServerOptions } from './admin-server.ts';
export { abortCauses, createMetrics, decisions, ruleActs, stages, wireProtocols } from './metrics.ts';
export type {
  AbortCause,
  Decision,
  Metrics,
  MetricsOptions,
  PolicyInfo,
  RuleActName,
  Stage,
  WireProtocol,
} from './metrics.ts';
export { createMeters } from './meters.ts';
export type { Meter, Meters, Timer } from './meters.ts';
