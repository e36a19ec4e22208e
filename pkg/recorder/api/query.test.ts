import { expect, test } from '@jest/globals';
import type { JsonValue } from '../../base/index.ts';
import { readQuery, readTerms } from './query.ts';

test.each([[0], [404], [999]])('a question may ask for status %i', (status) => {
  expect(readQuery({ status })).toMatchObject({ status });
});

test.each([[-1], [1_000], [3e9]])('a question for status %d is refused: no store has it', (status) => {
  expect(() => readQuery({ status })).toThrow(expect.objectContaining({ code: 'query' }));
});

test('sessions that have not ended are asked for by an outcome of their own', () => {
  expect(readQuery({ outcome: 'open', label: 'personal', maxBytes: 4 })).toEqual({
    open: true,
    label: 'personal',
    maxBytes: 4,
    limit: 100,
  });
  expect(readQuery({ outcome: 'refused' })).toEqual({ outcome: 'refused', limit: 100 });
});

test('what is asked for is cut as what sessions are found by is', () => {
  const long = 'x'.repeat(1_000);
  expect(
    readQuery({ user: `CN=${'y'.repeat(16_000)}`, model: long, tags: [`rule:${long.slice(5)}`, 'act:masked'] }),
  ).toEqual({
    user: `CN=${'y'.repeat(253)}`,
    model: 'x'.repeat(256),
    tags: [`rule:${'x'.repeat(251)}`, 'act:masked'],
    limit: 100,
  });
  expect(() => readQuery({ user: 'y'.repeat(16_385) })).toThrow(expect.objectContaining({ code: 'query' }));
  expect(() => readQuery({ model: 'y'.repeat(1_001) })).toThrow(expect.objectContaining({ code: 'query' }));
});

test.each<[string, JsonValue, string]>([
  [
    'an outcome',
    { outcome: 'finished' },
    'there is no outcome "finished": there are completed, refused, aborted, failed, ended, open',
  ],
  ['an operation', { operation: 'chat' }, 'there is no operation "chat": there are Chat, Completions'],
  ['an act', { tags: ['rule:a/b', 'act:mask'] }, 'there is no act "mask": there are allowed, denied, masked'],
])('%s that there is not is refused, with those that there are', (_, question, words) => {
  expect(() => readQuery(question)).toThrow(
    expect.objectContaining({ code: 'query', message: expect.stringContaining(words) }),
  );
});

test.each(['Chat', 'Other', 'Approval', 'Process'])('operation %s may be asked for', (operation) => {
  expect(readQuery({ operation })).toEqual({ operation, limit: 100 });
});

test.each(['source', 'chain'])('a %s with a character that none has is refused before a store is asked', (key) => {
  expect(() => readQuery({ [key]: 'a\u0000b' })).toThrow(expect.objectContaining({ code: 'query' }));
});

test('what a hold is about is kept whole', () => {
  const user = `CN=${'y'.repeat(16_000)}`;
  expect(readTerms({ user })).toEqual({ user });
});
