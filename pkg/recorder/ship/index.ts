// Ships what is recorded to systems that watch over many things.
export type { ShipBook } from './book.ts';
export { fileBook } from './file-book.ts';
export { shipMetrics } from './metrics.ts';
export { openReceivers, parseReceivers } from './settings.ts';
export type { ReceiverSettings } from './settings.ts';
export { sharedBook } from './shared-book.ts';
export { startShipper } from './shipper.ts';
export type { Shipper, ShipperOptions } from './shipper.ts';
export { createEventSource } from './source.ts';
