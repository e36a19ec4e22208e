import type { Clock, JsonValue } from '../../base/index.ts';
import { parseJson } from '../../base/index.ts';
import type { RecordStore } from '../store/index.ts';
import { Refusal, badQuestion, readReason } from './question.ts';
import type { Route } from './question.ts';

/** Where the log is shipped to. */
export interface Shipping {
  /** Names of receivers. */
  readonly receivers: readonly string[];
  /** Ships to it once more from this entry of the log on. @throws where that cannot be kept */
  again(receiver: string, entry: number): Promise<void>;
}

type ShippedLog = Pick<RecordStore, 'append' | 'entries' | 'log'>;

/** Sends receivers again what they had taken, since they have lost it: a right of its own, and on record before it is done. */
export function shipRoutes(store: ShippedLog, clock: Clock, shipping: Shipping): readonly Route[] {
  const { receivers } = shipping;
  return [
    {
      method: 'POST',
      path: '/v1/ship/{receiver}/again',
      async answer({ who, part, body, allowChanges }) {
        await allowChanges('have events sent again');
        const { reason, ...from } = readReason(body);
        const { size } = await store.log();
        const entry = await readFrom(from, store, size);
        if (!receivers.includes(part))
          throw new Refusal(
            404,
            'not_found',
            receivers.length === 0 ? 'the log is shipped to no receiver' : `the receivers are ${receivers.join(', ')}`,
          );
        await store.append([{ entry: { type: 'ship', at: clock.now(), who, receiver: part, entry, reason } }]);
        await shipping.again(part, entry);
        return { receiver: part, entry, entries: size - entry };
      },
    },
  ];
}

/** The first entry that is sent again. @throws Refusal */
async function readFrom(from: Readonly<Record<string, JsonValue>>, store: ShippedLog, size: number): Promise<number> {
  const [[name, value] = [], ...others] = Object.entries(from);
  const isWhole = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  if ((name !== 'entry' && name !== 'since') || !isWhole || others.length > 0)
    throw badQuestion('where to begin is either `entry`, the number of an entry, or `since`, epoch milliseconds');
  if (name === 'since') return firstSince(store, size, value);
  if (value > size) throw badQuestion(`the log has ${String(size)} entries`);
  return value;
}

/** Times of the log do not go back. */
async function firstSince(store: ShippedLog, size: number, time: number): Promise<number> {
  let [low, high] = [0, size];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [found] = await store.entries(middle, 1);
    const at = found === undefined ? Infinity : (parseJson(found.text).get('at')?.number ?? 0);
    if (at < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
