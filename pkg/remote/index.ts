export { createBackoff } from './backoff.ts';
export type { Backoff } from './backoff.ts';
export { connectController } from './connect.ts';
export { openPodRecord } from './record.ts';
export type { PodRecord, PodRecordOptions, RecorderFacts } from './record.ts';
export { ConnectError, connectStream } from './transport.ts';
export type { ConnectErrorCode, Connected, ConnectOptions } from './transport.ts';
export type { LimitStoreTarget, NotAnswered, Remote, RemoteEvent, RemoteOptions, ServingSource } from './types.ts';
