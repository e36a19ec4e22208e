import { expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { createTimeOrder } from './time-order.ts';

const minute = 60_000;
const segment = { type: 'segment' };
const process = (what: string) => ({ type: 'process', what });

/** @param lines Each with its minute. @returns places of those that are back-dated */
function backOf(lines: readonly (readonly [object, number])[]): readonly number[] {
  const order = createTimeOrder();
  return lines.flatMap(([line, at], place) =>
    order.isBack(parseJson(JSON.stringify(line)), at * minute) ? [place] : [],
  );
}

test.each<[string, readonly (readonly [object, number])[], readonly number[]]>([
  [
    'that goes on',
    [
      [segment, 0],
      [segment, 0],
      [segment, 9],
    ],
    [],
  ],
  [
    'that steps by less than clocks of one node may differ',
    [
      [segment, 10],
      [segment, 5],
    ],
    [],
  ],
  [
    'that is back by more',
    [
      [segment, 10],
      [segment, 4],
    ],
    [1],
  ],
  [
    'that is no time, which nothing goes on from',
    [
      [segment, 10],
      [segment, NaN],
      [segment, 4],
      [process('start'), NaN],
      [segment, 1],
      [segment, 11],
    ],
    [1, 2, 3],
  ],
  [
    'that is back in steps',
    [
      [segment, 10],
      [segment, 7],
      [segment, 4],
    ],
    [2],
  ],
  [
    'that stays back, once',
    [
      [segment, 10],
      [segment, 1],
      [segment, 2],
      [segment, 3],
    ],
    [1],
  ],
  [
    'that is back again',
    [
      [segment, 10],
      [segment, 1],
      [segment, 20],
      [segment, 1],
    ],
    [1, 3],
  ],
  [
    'whose clock stepped',
    [
      [segment, 10],
      [process('clock_step'), 1],
      [segment, 2],
    ],
    [],
  ],
  [
    'whose clock stepped, after lines were lost',
    [
      [segment, 10],
      [process('gap'), 1],
      [process('clock_step'), 1],
    ],
    [],
  ],
  [
    'whose sidecar began anew',
    [
      [segment, 10],
      [process('start'), 1],
      [segment, 2],
    ],
    [],
  ],
  [
    'whose policy alone changed',
    [
      [segment, 10],
      [process('policy'), 1],
    ],
    [1],
  ],
])('a chain %s', (_, lines, back) => {
  expect(backOf(lines)).toEqual(back);
});
