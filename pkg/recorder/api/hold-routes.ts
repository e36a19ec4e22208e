import type { JsonValue } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import type { HoldTerms, RecordStore } from '../store/index.ts';
import { readTerms } from './query.ts';
import { Refusal, readReason, wholeNumber } from './question.ts';
import type { Question, Route } from './question.ts';

const mostHolds = 2 ** 31 - 1;

/** Legal hold: what goes with it is kept whatever its age. Placing and releasing is a right of its own. */
export function holdRoutes(
  store: Pick<RecordStore, 'placeHold' | 'releaseHold' | 'holds' | 'countHeld' | 'archiveHolds' | 'archived'>,
  clock: Clock,
): readonly Route[] {
  /** The body without its reason. */
  const read = (body: JsonValue | undefined): { reason: string; terms: HoldTerms } => {
    const { reason, ...terms } = readReason(body);
    return { reason, terms: readTerms(terms) };
  };
  const by = ({ who }: Question) => ({ at: clock.now(), who });
  return [
    {
      method: 'GET',
      path: '/v1/holds',
      async answer({ allow, note }) {
        await allow(undefined);
        await note('holds', 'all');
        const holds = await store.holds();
        const { entries } = await store.archived();
        if (entries === 0) return { holds: holds as unknown as JsonValue };
        const { holds: counts, toFree } = await store.archiveHolds.counts();
        const all = holds.map((hold) => {
          const count = counts.find(({ id }) => id === hold.id);
          if (count === undefined) return hold;
          const { segments, waiting, lookedTo } = count;
          return { ...hold, archive: { segments, waiting, unread: Math.max(0, entries - lookedTo) } };
        });
        return { holds: all as unknown as JsonValue, toFree };
      },
    },
    {
      method: 'POST',
      path: '/v1/holds',
      async answer(question) {
        await question.allowChanges('place or release holds');
        const id = await store.placeHold({ ...by(question), ...read(question.body) });
        // It stands, also where nobody can say of how much.
        const held = await store.countHeld(id).catch(() => undefined);
        return { id, ...(held === undefined ? {} : { held: { ...held } }) };
      },
    },
    {
      method: 'POST',
      path: '/v1/holds/{hold}/release',
      async answer(question) {
        await question.allowChanges('place or release holds');
        const { reason } = read(question.body);
        const id = wholeNumber(question.part, 'the number of a hold');
        // No store has given a higher number.
        if (id > mostHolds || !(await store.releaseHold({ ...by(question), id, reason })))
          throw new Refusal(404, 'not_found', 'there is no such hold');
        return { released: id };
      },
    },
  ];
}
