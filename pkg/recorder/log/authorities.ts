import { describeError, parseJson } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { RecordStore } from '../store/index.ts';

/**
 * Writes the authorities of sidecars into the log, at the start and when they change: who issued a certificate that signed a chain can
 * so be told when the authority is long gone.
 *
 * @param bundle PEM; the same text while nothing changed.
 * @returns how to stop
 * @throws StoreError when the first cannot be written
 */
export async function keepAuthorities(options: {
  readonly store: Pick<RecordStore, 'append' | 'lastOf'>;
  readonly bundle: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
}): Promise<() => Promise<void>> {
  const { store, bundle, clock, logger } = options;
  const last = await store.lastOf('authorities');
  let written = last === undefined ? undefined : parseJson(last.text).get('bundle')?.string;
  const look = async (): Promise<void> => {
    const now = bundle();
    if (now === written) return;
    await store.append([{ entry: { type: 'authorities', at: clock.now(), bundle: now } }]);
    written = now;
  };
  await look();
  let working: Promise<void> | undefined;
  const timer = clock.every(lookMs, () => {
    working ??= look()
      .catch((error: unknown) => {
        logger.error('the authorities of sidecars were not written into the log', { error: describeError(error) });
      })
      .finally(() => {
        working = undefined;
      });
  });
  return async () => {
    timer.cancel();
    await working;
  };
}

const lookMs = 5_000;
