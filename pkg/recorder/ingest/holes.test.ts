import { expect, test } from '@jest/globals';
import { createHoles } from './holes.ts';
import type { Hole } from './holes.ts';

const hole = (from: number, to = from, why: Hole['why'] = 'missing'): Hole => ({ from, to, hash: `${to}`, why });

function some(turns: number) {
  const written: Hole[] = [];
  const left = { turns };
  const holes = createHoles(
    () => left.turns-- > 0,
    (one) => void written.push(one),
  );
  return { holes, written, left };
}

test('each has an entry, while its sidecar has turns', async () => {
  const { holes, written } = some(2);
  holes.add(hole(1));
  holes.add(hole(2, 5, 'unreadable'));
  expect(await holes.settled()).toBe(true);
  expect(written).toEqual([hole(1), hole(2, 5, 'unreadable')]);
});

test('those behind them are one entry, which has all of them, when there is a turn again', async () => {
  const { holes, written, left } = some(0);
  for (let at = 1; at <= 20_000; at++) holes.add(hole(at));
  holes.tick();
  expect(written).toEqual([]);
  const settled = holes.settled();
  left.turns = 1;
  holes.tick();
  expect([await settled, written]).toEqual([true, [hole(1, 20_000)]]);
  holes.add(hole(20_001, 20_002, 'too_long'));
  holes.add(hole(20_003, 20_003, 'unreadable'));
  left.turns = 1;
  holes.tick();
  expect(written).toEqual([hole(1, 20_000), hole(20_001, 20_003, 'missing')]);
});

test('what waits when the stream ends is not written: it comes again', async () => {
  const { holes, written, left } = some(0);
  holes.add(hole(1));
  const settled = holes.settled();
  holes.close();
  left.turns = 1;
  holes.tick();
  expect([await settled, await holes.settled(), written]).toEqual([false, false, []]);
});
