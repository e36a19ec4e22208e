// Ships what is recorded to systems that watch over many things.
export { fileCursor } from './cursor.ts';
export { deadLetters } from './dead-letters.ts';
export { openReceivers, parseReceivers } from './settings.ts';
export type { ReceiverSettings } from './settings.ts';
export { startShipper } from './shipper.ts';
export type { Shipper, ShipperOptions } from './shipper.ts';
export { createEventSource } from './source.ts';
