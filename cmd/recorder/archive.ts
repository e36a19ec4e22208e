import type { KeyObject } from 'node:crypto';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import { openArchive, startArchiver, startHoldKeeper } from '../../pkg/recorder/index.ts';
import type { Archiver, HoldKeeperOptions, RecordStore } from '../../pkg/recorder/index.ts';
import type { Meters } from '../../pkg/telemetry/index.ts';
import type { ArchiveSettings } from './settings.ts';

/** Archives the log where the settings say so, and counts. @param options.key Undefined: nothing is signed, and so nothing archived. */
export async function archiveLog(options: {
  readonly settings: ArchiveSettings | undefined;
  readonly store: RecordStore;
  readonly key: KeyObject | undefined;
  readonly olderKeys: readonly KeyObject[];
  readonly meters: Meters;
  readonly clock: Clock;
  readonly logger: Logger;
}): Promise<Archiver | undefined> {
  const { settings, store, key, olderKeys, meters, clock, logger } = options;
  if (settings === undefined || key === undefined) return undefined;
  const what = { name: 'what', values: ['segment', 'head'] };
  const written = meters.counter('sidegate_recorder_archived_total', 'Objects written into the archive.', [what]);
  const bytes = meters.counter('sidegate_recorder_archived_bytes_total', 'Bytes of those objects.');
  const failures = meters.counter(
    'sidegate_recorder_archive_failures_total',
    'Times that the log could not be archived, and was tried again.',
  );
  const objects = await openArchive(settings.location);
  const archiver = startArchiver({
    store,
    objects,
    key,
    olderKeys,
    lock: settings.lock,
    clock,
    logger,
    onWritten(kind, size) {
      written.add([kind]);
      bytes.add([], size);
    },
    onFailure: () => failures.add([]),
  });
  meters.reading(
    'sidegate_recorder_archive_behind',
    'Entries of the log that are not archived.',
    () => archiver.lag()?.entries,
  );
  meters.reading(
    'sidegate_recorder_archive_behind_seconds',
    'How long the oldest of them has waited.',
    () => archiver.lag()?.seconds,
  );
  meters.reading(
    'sidegate_recorder_archive_foreign',
    '1: the archive has entries of this log that the store does not have, or others; nothing is archived.',
    () => Number(archiver.foreign),
  );
  const keeper = startHoldKeeper({
    store,
    objects,
    keys: [...olderKeys, key],
    clock,
    logger,
    ...holdMetrics(meters),
  });
  meters.reading(
    'sidegate_recorder_archive_holds_waiting',
    'Segments that do not carry yet what holds want of them, or still what released ones wanted.',
    () => keeper.waiting,
  );
  meters.reading(
    'sidegate_recorder_archive_holds_unread',
    'Entries of the archive, ten minutes old, that were not looked at for every hold.',
    () => keeper.unread,
  );
  return {
    lag: () => archiver.lag(),
    kick: () => archiver.kick(),
    get foreign() {
      return archiver.foreign;
    },
    async close() {
      // It uses what the other closes.
      await keeper.close();
      await archiver.close();
    },
  };
}

/** What is counted of holds in the archive, each from 0 on. */
export function holdMetrics(
  meters: Meters,
): Required<Pick<HoldKeeperOptions, 'onDone' | 'onFailure' | 'onUnreadable'>> {
  const holds = meters.counter(
    'sidegate_recorder_archive_holds_total',
    'Segments on which a legal hold was placed, or from which it was taken off.',
    [{ name: 'what', values: ['placed', 'taken_off'] }],
  );
  const failures = meters.counter(
    'sidegate_recorder_archive_hold_failures_total',
    'Times that holds could not be brought into the archive, and were tried again.',
  );
  const unreadable = meters.counter(
    'sidegate_recorder_archive_holds_unreadable_total',
    'Segments that were looked at for holds and could not be read, or are not signed; they are held for every hold.',
  );
  return {
    onDone: (done) => holds.add([done]),
    onFailure: () => failures.add([]),
    onUnreadable: () => unreadable.add([]),
  };
}
