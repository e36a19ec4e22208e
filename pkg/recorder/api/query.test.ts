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

test('a hold may name what sessions are, and what acted in them', () => {
  const terms = { model: 'llama', group: 'ml', label: 'pii', policy: 'ml/support.v2', rule: 'support/no pii' };
  expect(readTerms(terms)).toEqual(terms);
  expect(readTerms({ policy: 'cluster/base' })).toEqual({ policy: 'cluster/base' });
  for (const rule of ['default', 'cluster/base/see', 'grant/night']) expect(readTerms({ rule })).toEqual({ rule });
});

test.each<[string, { readonly [key: string]: JsonValue }, string]>([
  ['a policy without its namespace', { policy: 'support' }, 'NAMESPACE/POLICY'],
  ['a policy with more than that', { policy: 'ml/support/rule' }, 'NAMESPACE/POLICY'],
  ['a policy of characters that none has', { policy: "ml/a' OR 1=1" }, 'NAMESPACE/POLICY'],
  ['a policy that is no text', { policy: 7 }, 'NAMESPACE/POLICY'],
  ['an empty rule', { rule: '' }, '1 to 1000 characters'],
  ['a rule that is too long', { rule: 'x'.repeat(1_001) }, '1 to 1000 characters'],
  ['a rule that is no text', { rule: ['x'] }, '1 to 1000 characters'],
  ['a rule without its policy', { rule: 'no-secrets' }, 'POLICY/RULE'],
  ['a rule with a namespace', { rule: 'ml/support/no-secrets' }, 'POLICY/RULE'],
  ['a rule of the platform with more', { rule: 'cluster/base/see/that' }, 'POLICY/RULE'],
  ['a rule that ends in nothing', { rule: 'support/' }, 'POLICY/RULE'],
  ['what no hold is about', { text: 'x' }, 'there is no "text"'],
])('a hold of %s is refused', (_, terms, words) => {
  expect(() => readTerms(terms)).toThrow(
    expect.objectContaining({ code: 'query', message: expect.stringContaining(words) }),
  );
});
