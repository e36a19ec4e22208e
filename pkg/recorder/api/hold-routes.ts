import type { JsonValue } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import type { HoldTerms, RecordStore } from '../store/index.ts';
import { readTerms } from './query.ts';
import { Refusal, badQuestion, wholeNumber } from './question.ts';
import type { Question, Route } from './question.ts';

const longestReason = 500;
const mostHolds = 2 ** 31 - 1;

/** Legal hold: what goes with it is kept whatever its age. Placing and releasing is a right of its own. */
export function holdRoutes(
  store: Pick<RecordStore, 'placeHold' | 'releaseHold' | 'holds'>,
  clock: Clock,
): readonly Route[] {
  /** The body without its reason. */
  const read = (body: JsonValue | undefined): { reason: string; terms: HoldTerms } => {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) throw badQuestion('a hold is an object');
    const { reason, ...terms } = body as Readonly<Record<string, JsonValue>>;
    if (typeof reason !== 'string' || reason.trim() === '' || reason.length > longestReason)
      throw badQuestion(`reason is a text of 1 to ${longestReason} characters`);
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
        return { holds: (await store.holds()) as unknown as JsonValue };
      },
    },
    {
      method: 'POST',
      path: '/v1/holds',
      async answer(question) {
        await question.allowHolds();
        return { id: await store.placeHold({ ...by(question), ...read(question.body) }) };
      },
    },
    {
      method: 'POST',
      path: '/v1/holds/{hold}/release',
      async answer(question) {
        await question.allowHolds();
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
