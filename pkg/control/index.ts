// Public: cmd/controller.
export { rotateAnnotation } from './authority/authority-keeper.ts';
export { startController } from './controller.ts';
export type { Controller, ControllerOptions, TokenSettings } from './controller.ts';
export { createControlMetrics } from './metrics.ts';
export type { ControlMetrics } from './metrics.ts';
export { openChannels, parseNoticeSettings } from './notices/index.ts';
export { checkServedDefinitions, DefinitionsOutdatedError } from './served-definitions.ts';
export type { LimitStoreAddress } from './stream/index.ts';
export { ackLabel, ackLabelValue } from './status/ack-publisher.ts';
