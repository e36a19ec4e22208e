import { expect, test } from '@jest/globals';
import { readQuery } from './query.ts';

test.each([[0], [404], [999]])('a question may ask for status %i', (status) => {
  expect(readQuery({ status })).toMatchObject({ status });
});

test.each([[-1], [1_000], [3e9]])('a question for status %d is refused: no store has it', (status) => {
  expect(() => readQuery({ status })).toThrow(expect.objectContaining({ code: 'query' }));
});
