export { createDataPlane } from './data-plane.ts';
export type { DataPlane, DataPlaneOptions, Door, DoorOptions } from './data-plane.ts';
export { outer } from './loopback.ts';
export type { Entrance } from './loopback.ts';
export { createPortTargets, fixedTarget } from './model-target.ts';
export type { ModelTarget, ModelTargets, PortTargetsOptions } from './model-target.ts';
export { startSidecar } from './sidecar.ts';
export type { Sidecar, SidecarOptions } from './sidecar.ts';
