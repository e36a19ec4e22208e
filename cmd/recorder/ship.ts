import type { Clock, Logger } from '../../pkg/base/index.ts';
import { controllersOf, createEventSource, openReceivers, startShipper } from '../../pkg/recorder/index.ts';
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
  const receiver = { name: 'receiver', values: settings.ship.map(({ name }) => name) };
  const results = ['taken', 'dead'];
  const shipped = meters.counter('sidegate_recorder_shipped_total', 'Events that receivers took, or never will.', [
    receiver,
    { name: 'result', values: results },
  ]);
  const failures = meters.counter('sidegate_recorder_ship_failures_total', 'Batches that have to be tried again.', [
    receiver,
  ]);
  const rewinds = meters.counter(
    'sidegate_recorder_ship_rewinds_total',
    'Times that the log was shorter than what was shipped of it, and was shipped from its beginning.',
    [receiver],
  );
  const shippers = openReceivers(settings.ship, settings.shipSecrets, clock).map((one) =>
    startShipper({
      receiver: one,
      source: createEventSource(opened.store, controllersOf(settings.namespace)),
      book: opened.bookOf(one.name),
      clock,
      logger,
      onDead: (events) => shipped.add([one.name, 'dead'], events),
      onSent: (events) => shipped.add([one.name, 'taken'], events),
      onFailure: () => failures.add([one.name]),
      onRewind: () => rewinds.add([one.name]),
    }),
  );
  meters.reading(
    'sidegate_recorder_ship_behind',
    'Entries of the log that the slowest receiver has not come to.',
    () => {
      const behind = shippers.map((one) => one.behind()).filter((one) => one !== undefined);
      return behind.length === 0 ? undefined : Math.max(...behind);
    },
  );
  return async () => {
    await Promise.all(shippers.map((one) => one.close()));
  };
}
