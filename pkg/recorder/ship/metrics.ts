import type { Meters } from '../../telemetry/index.ts';
import type { ShipperOptions } from './shipper.ts';

/** What is counted of each receiver. docs/siem.md says what each is for. */
export interface ShipMetrics {
  /** How the shipper of a receiver counts. */
  of(receiver: string): Required<Pick<ShipperOptions, 'onDead' | 'onSent' | 'onFailure' | 'onRewind'>>;
  /** Entries of the log that receivers have not come to, by their names; of one to which another recorder ships there is none. */
  behind(read: () => readonly (readonly [receiver: string, entries: number])[]): void;
}

/** @param names Of the receivers: each counter is there before it counts, since alerts look at its increase. */
export function shipMetrics(meters: Meters, names: readonly string[]): ShipMetrics {
  const receiver = { name: 'receiver', values: names };
  const shipped = meters.counter('sidegate_recorder_shipped_total', 'Events that receivers took, or never will.', [
    receiver,
    { name: 'result', values: ['taken', 'dead'] },
  ]);
  const failures = meters.counter('sidegate_recorder_ship_failures_total', 'Batches that have to be tried again.', [
    receiver,
  ]);
  const rewinds = meters.counter(
    'sidegate_recorder_ship_rewinds_total',
    'Times that the log was shorter than what was shipped of it, and was shipped from its beginning.',
    [receiver],
  );
  return {
    of: (name) => ({
      onDead: (events) => shipped.add([name, 'dead'], events),
      onSent: (events) => shipped.add([name, 'taken'], events),
      onFailure: () => failures.add([name]),
      onRewind: () => rewinds.add([name]),
    }),
    behind(read) {
      const help = 'Entries of the log that the receiver has not come to.';
      meters.readings('sidegate_recorder_ship_behind', help, 'receiver', read);
    },
  };
}
