import { expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { joinLanes } from './joined-lanes.ts';

test('lanes of one id are one text, and others stay by themselves', () => {
  const [first, second, third] = parseJson('["x","y","z"]').items.map((node) => ({ kind: 'text' as const, node }));
  const joined = joinLanes([
    { id: 'a', ...first! },
    { id: 'b', ...second! },
    { id: 'a', ...third! },
  ]);
  expect(joined.map(({ id, nodes }) => [id, nodes.map(({ text }) => text)])).toEqual([
    ['a', ['x', 'z']],
    ['b', ['y']],
  ]);
});
