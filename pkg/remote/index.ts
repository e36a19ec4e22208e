export { connectController } from './connect.ts';
export type { NotAnswered, Remote, RemoteEvent, RemoteOptions, ServingSource } from './types.ts';
