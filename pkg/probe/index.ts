export { startProbeAgent } from './agent.ts';
export type { ProbeAgent, ProbeAgentOptions } from './agent.ts';
export type { ProbeResult } from './dial.ts';
export { createDrain } from './drain.ts';
export type { Drain, DrainOptions } from './drain.ts';
export { ProbeMapError, readProbeTargets } from './target.ts';
export type { ProbeTarget, ProbeTargets } from './target.ts';
