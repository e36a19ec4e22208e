// Public: cmd/webhook.
export { createBreakGlass, createConnect } from './connect.ts';
export type { ConnectOptions } from './connect.ts';
export { createHandler } from './handler.ts';
export type { Decide, Handler, HandlerOptions } from './handler.ts';
export { admissionMetrics } from './metrics.ts';
export type { AdmissionMetrics, Hook } from './metrics.ts';
export { createMutate } from './mutate.ts';
export type { PodHookOptions } from './mutate.ts';
export { overlapMs, parseChartOptions, watchChartOptions } from './options.ts';
export type { ChartOptions, OptionsSource } from './options.ts';
export type { ClusterLookup, EventSink, EventSubjectRef, PodFacts, ServiceFacts, TrustSource } from './ports.ts';
export { createValidatePod } from './validate-pod.ts';
export { createValidatePolicy } from './validate-policy.ts';
