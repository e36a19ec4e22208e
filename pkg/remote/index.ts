export { connectController } from './connect.ts';
export type { LimitStoreTarget, NotAnswered, Remote, RemoteEvent, RemoteOptions, ServingSource } from './types.ts';
