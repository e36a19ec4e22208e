import { jsonValue, parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import type { RecordStore } from '../store/index.ts';
import type { RetentionDays } from '../store/retention-rules.ts';

/**
 * Writes into the log how long lines are kept, and that all but blocks is sealed from there on, where that is not what it says: before any are
 * deleted by it.
 *
 * @throws StoreError
 */
export async function writeRetention(options: {
  readonly store: Pick<RecordStore, 'append' | 'lastOf'>;
  readonly retention: RetentionDays;
  readonly clock: Clock;
}): Promise<void> {
  const { store, clock } = options;
  const { all, namespaces, policies } = options.retention;
  const days = { all, namespaces: sorted(namespaces), policies: sorted(policies) };
  const last = await store.lastOf('retention');
  const known = last === undefined ? undefined : parseJson(last.text);
  const before = known?.get('days');
  const same = before !== undefined && JSON.stringify(jsonValue(before)) === JSON.stringify(days);
  if (same && known?.get('seals')?.text === 'all') return;
  await store.append([{ entry: { type: 'retention', at: clock.now(), days, seals: 'all' } }]);
}

const sorted = (days: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(days).sort(([one], [other]) => (one < other ? -1 : 1)));
