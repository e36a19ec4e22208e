export { startPodReporter } from './pod-reporter.ts';
export type { PodReporter, PodReporterOptions, ReportedPod } from './pod-reporter.ts';
export { createRecorderClient } from './recorder-client.ts';
export type { RecorderClient, RecorderClientOptions } from './recorder-client.ts';
