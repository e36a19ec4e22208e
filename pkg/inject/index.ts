// Public: the webhook, the CLI, and whoever renders admission policies.
export { parseChartOptions } from './chart-options.ts';
export type { ChartOptions } from './chart-options.ts';
export { mayChangeUser } from './confinement.ts';
export { draw, drawnBytes } from './drawn.ts';
export { inject, injectedAnnotation, templateHash } from './inject.ts';
export type { InjectResult } from './inject.ts';
export { defaultOptions, istio, knativeQueueProxy, kserveAgent, linkerd } from './options.ts';
export type {
  Drawn,
  InjectOptions,
  KnownContainer,
  KnownHelper,
  KnownMesh,
  KnownWrapper,
  NamespaceFacts,
} from './options.ts';
export type { PatchOperation } from './patch.ts';
export type { ProbeMap, ProbeTarget } from './previous.ts';
export { reasonCodes } from './reasons.ts';
export type { Reason, ReasonCode, RefusalCode, SkipCode, NoteCode } from './reasons.ts';
export { checkFinalState, finalStateRules } from './final-state.ts';
export type { FinalStateParams, FinalStateRule, Violation } from './final-state.ts';
export { checkUpdate } from './update-rule.ts';
export type { UpdateParams, UpdateRule, UpdateViolation } from './update-rule.ts';
