import { expect, test } from '@jest/globals';
import { createMeters } from './index.ts';

test('what a process declares is rendered, with values outside a label set as other', async () => {
  const meters = createMeters({ process: false });
  const plain = meters.counter('a_total', 'A.');
  const labelled = meters.counter('b_total', 'B.', [{ name: 'kind', values: ['x'] }]);
  const timer = meters.timer('c_seconds', 'C.', [{ name: 'kind', values: ['x'] }]);
  meters.reading('d', 'D.', () => 7);
  meters.reading('e', 'E.', () => undefined);
  meters.readings('f', 'F.', 'kind', () => [
    ['x', 1],
    ['y', 2],
  ]);
  plain.add([], 2);
  labelled.add(['x']);
  labelled.add(['made up']);
  timer.observe(['x'], 0.003);
  const text = await meters.render();
  expect(text).toContain('a_total 2\n');
  expect(text).toContain('b_total{kind="x"} 1\n');
  expect(text).toContain('b_total{kind="other"} 1\n');
  expect(text).toContain('c_seconds_bucket{kind="x",le="0.005"} 1\n');
  expect(text).toContain('c_seconds_bucket{kind="x",le="0.002"} 0\n');
  expect(text).toContain('d 7\n');
  expect(text).toContain('f{kind="x"} 1\nf{kind="y"} 2\n');
  expect(text).not.toContain('e 7');
  expect(() => labelled.add([])).toThrow(RangeError);
});

test('a counter is there before it counts, but for labels whose values are not known', async () => {
  const meters = createMeters({ process: false });
  meters.counter('a_total', 'A.');
  meters.counter('b_total', 'B.', [
    { name: 'kind', values: ['x', 'y'] },
    { name: 'result', values: ['done', 'failed'] },
  ]);
  meters.counter('c_total', 'C.', [
    { name: 'kind', values: ['x'] },
    { name: 'name', values: { atMost: 2 } },
  ]);
  meters.gauge('d', 'D.', [{ name: 'kind', values: ['x'] }]);
  const lines = (await meters.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines).toEqual([
    'a_total 0',
    ...['x', 'y'].flatMap((kind) => ['done', 'failed'].map((one) => `b_total{kind="${kind}",result="${one}"} 0`)),
  ]);
});
