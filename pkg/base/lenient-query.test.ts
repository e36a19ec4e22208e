import { expect, test } from '@jest/globals';
import { lenientParameters } from './lenient-query.ts';

test.each([
  ['model=big', 'model', 'big'],
  ['%6dODEL=big', 'model', 'big'],
  ['+model+=+big', 'model', 'big'],
  ['model[]=big', 'model', 'big'],
  ['model%5B0%5D=big', 'model', 'big'],
  ['model', 'model', ''],
  ['model=a%3Db=c', 'model', 'a=b=c'],
  ['%ff=%ff', '%ff', '%ff'],
])('%s', (raw, name, value) => {
  expect(lenientParameters(raw)).toEqual([{ raw, name, value }]);
});

test('a semicolon ends a parameter as well', () => {
  expect(lenientParameters('a=1;model=big&&b').map(({ name }) => name)).toEqual(['a', 'model', 'b']);
  expect(lenientParameters('')).toEqual([]);
});
