import type { Clock, Logger } from '../../pkg/base/index.ts';
import {
  controllersOf,
  createEventSource,
  openReceivers,
  shipMetrics,
  startShipper,
} from '../../pkg/recorder/index.ts';
import type { Meters } from '../../pkg/telemetry/index.ts';
import type { OpenedStore } from './open-store.ts';
import type { Settings } from './settings.ts';

/** Ships the log to all receivers, each at its own pace, and counts. @returns how to stop */
export function shipLog(options: {
  readonly settings: Pick<Settings, 'ship' | 'shipSecrets' | 'namespace'>;
  readonly opened: OpenedStore;
  readonly meters: Meters;
  readonly clock: Clock;
  readonly logger: Logger;
}): () => Promise<void> {
  const { settings, opened, meters, clock, logger } = options;
  if (settings.ship.length === 0) return () => Promise.resolve();
  const metrics = shipMetrics(
    meters,
    settings.ship.map(({ name }) => name),
  );
  const shippers = openReceivers(settings.ship, settings.shipSecrets, clock).map((receiver) => ({
    name: receiver.name,
    shipper: startShipper({
      receiver,
      source: createEventSource(opened.store, controllersOf(settings.namespace)),
      book: opened.bookOf(receiver.name),
      clock,
      logger,
      ...metrics.of(receiver.name),
    }),
  }));
  metrics.behind(() =>
    shippers.flatMap(({ name, shipper }) => {
      const behind = shipper.behind();
      return behind === undefined ? [] : [[name, behind] as const];
    }),
  );
  return async () => {
    await Promise.all(shippers.map(({ shipper }) => shipper.close()));
  };
}
