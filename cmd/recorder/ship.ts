import type { Clock, Logger } from '../../pkg/base/index.ts';
import {
  controllersOf,
  createEventSource,
  openReceivers,
  shipMetrics,
  startShipper,
} from '../../pkg/recorder/index.ts';
import type { Shipping } from '../../pkg/recorder/index.ts';
import type { Meters } from '../../pkg/telemetry/index.ts';
import type { OpenedStore } from './open-store.ts';
import type { Settings } from './settings.ts';

/** The log on its way to all receivers. */
export interface ShippedLog extends Shipping {
  close(): Promise<void>;
}

/** Ships the log to all receivers, each at its own pace, and counts. */
export function shipLog(options: {
  readonly settings: Pick<Settings, 'ship' | 'shipSecrets' | 'namespace'>;
  readonly opened: OpenedStore;
  readonly meters: Meters;
  readonly clock: Clock;
  readonly logger: Logger;
}): ShippedLog {
  const { settings, opened, meters, clock, logger } = options;
  if (settings.ship.length === 0)
    return {
      receivers: [],
      again: (receiver) => Promise.reject(new Error(`there is no receiver ${receiver}`)),
      close: () => Promise.resolve(),
    };
  const metrics = shipMetrics(
    meters,
    settings.ship.map(({ name }) => name),
  );
  const shippers = openReceivers(settings.ship, settings.shipSecrets, clock).map((receiver) => {
    const book = opened.bookOf(receiver.name);
    const shipper = startShipper({
      receiver,
      source: createEventSource(opened.store, controllersOf(settings.namespace)),
      book,
      clock,
      logger,
      ...metrics.of(receiver.name),
    });
    return { name: receiver.name, book, shipper };
  });
  metrics.behind(() =>
    shippers.flatMap(({ name, shipper }) => {
      const behind = shipper.behind();
      return behind === undefined ? [] : [[name, behind] as const];
    }),
  );
  return {
    receivers: shippers.map(({ name }) => name),
    async again(receiver, entry) {
      const found = shippers.find(({ name }) => name === receiver);
      await found?.book.again(entry);
      logger.info('a receiver is sent again what it had taken', { receiver, entry });
      found?.shipper.kick();
    },
    async close() {
      await Promise.all(shippers.map(({ shipper }) => shipper.close()));
    },
  };
}
