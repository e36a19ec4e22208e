export { startSidecar } from './sidecar.ts';
export type { Sidecar, SidecarOptions } from './sidecar.ts';
