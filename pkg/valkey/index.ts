// Public: whoever wires a sidecar. Load it only where limits are shared: the client costs memory.
export { createLimitStore } from './limit-store.ts';
export type { LimitStoreOptions } from './limit-store.ts';
