import { parseJson } from '../../base/index.ts';
import { createClockMarks } from '../../record/index.ts';
import type { ClockMarks } from '../../record/index.ts';
import type { RecordStore } from './port.ts';

/** The marks of a log that say when its entries came, where its time is ahead of the clock (pkg/record/clock-marks.ts). */
export interface LogMarks extends Pick<ClockMarks, 'olderThan'> {
  /**
   * Reads what other recorders have marked, and marks what came within the last hour: not where another recorder of the store is further in time,
   * since then it is this clock that is behind, and not the log ahead.
   *
   * @param now The time by which lines are old
   * @param ahead The log's time is ahead of the clock, and `now` is the clock's
   * @throws StoreError
   */
  keep(now: number, ahead: boolean): Promise<void>;
}

/** Between two marks, an entry each: by so much lines may be deleted late. */
const everyMs = 3_600_000;
/** What is added to the log between a look at the clock and the mark: one that waits for the disk says no less than it must. */
const marginMs = 5 * 60_000;
const page = 1_000;

export function createLogMarks(store: Pick<RecordStore, 'allOf' | 'append' | 'log' | 'retentionReached'>): LogMarks {
  const marks = createClockMarks();
  let next = 0;
  let last = -Infinity;
  const learn = async (): Promise<void> => {
    for (let found; (found = await store.allOf('clock', next, page)).length > 0;)
      for (const { index, text } of found) {
        next = index + 1;
        last = parseJson(text).get('clock')?.number ?? Infinity;
        marks.note(index, last);
      }
  };
  return {
    olderThan: marks.olderThan,
    async keep(now, ahead) {
      await learn();
      // Of a log to which nothing was added since the last one there is nothing to say.
      if (!ahead || now - last < everyMs || (await store.log()).size === next) return;
      if (now + marginMs < (await store.retentionReached())) return;
      await store.append([{ entry: { type: 'clock', at: now, clock: now + marginMs } }]);
      await learn();
    },
  };
}
