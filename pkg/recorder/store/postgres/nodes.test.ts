import { expect, test } from '@jest/globals';
import { inclusionProof } from '../../../record/index.ts';
import type { Run } from './connection.ts';
import { createNodeReader } from './nodes.ts';

test('what a proof needs of the tree is one statement; what is not there fails alone; an error is told to all', async () => {
  const statements: (readonly unknown[])[] = [];
  const run: Run = (_text, values = []) => {
    statements.push(values);
    const [levels = []] = values as readonly (readonly number[])[];
    if (levels.includes(41)) return Promise.reject(new Error('away'));
    return Promise.resolve(levels.map((level) => ({ hash: level === 40 ? null : Buffer.alloc(32, level) })));
  };
  const node = createNodeReader(run);
  expect(await inclusionProof(5, 1_001, node)).toHaveLength(10);
  expect(statements).toHaveLength(1);
  const [there, missing] = await Promise.allSettled([node(1, 0), node(40, 0)]);
  expect(there).toEqual({ status: 'fulfilled', value: Buffer.alloc(32, 1) });
  expect(missing).toMatchObject({ status: 'rejected', reason: { code: 'not_found' } });
  expect((await Promise.allSettled([node(41, 0), node(1, 0)])).map(({ status }) => status)).toEqual([
    'rejected',
    'rejected',
  ]);
  expect(statements).toHaveLength(3);
});
