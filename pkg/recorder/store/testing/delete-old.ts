import type { DeletionRule, RecordStore } from '../port.ts';

/** For tests: takes as many steps of deletion as it needs. @returns how many blocks were deleted, at most so many */
export async function deleteOld(
  store: Pick<RecordStore, 'deleteOld'>,
  rule: DeletionRule,
  now: number,
  atMost: number,
): Promise<number> {
  let { after } = rule;
  let deleted = 0;
  for (let more = true; more && deleted < atMost;) {
    const step = await store.deleteOld({ ...rule, ...(after === undefined ? {} : { after }) }, now, atMost - deleted);
    deleted += step.deleted;
    after = step.reached;
    ({ more } = step);
  }
  return deleted;
}
