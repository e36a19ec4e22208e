import { expect, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { EndFacts } from '../store/index.ts';
import { factsOf } from './facts.ts';

const endOf = (more: object): EndFacts | undefined =>
  factsOf(parseJson(JSON.stringify({ type: 'end', ...more })), { session: 'a'.repeat(32), sequence: 1, at: 1 }).end;

test('a session is found by each rule that acted, however many patterns one of them found', () => {
  const by = Array.from({ length: 62 }, (_, n) => `pattern-${n}`);
  const end = endOf({
    rules: [
      { rule: 'a/mask', act: 'masked', by },
      { rule: 'legal/keep', act: 'flagged', by: ['x'] },
    ],
    observed: [{ rule: 'legal/watch', act: 'masked', by: ['y'] }],
    failedOpen: ['analyzer'],
  });
  expect(end?.tags).toHaveLength(64);
  expect(end?.tags.slice(0, 6)).toEqual([
    'rule:a/mask',
    'rule:legal/keep',
    'observed:legal/watch',
    'act:masked',
    'act:flagged',
    'open:analyzer',
  ]);
});

test('a status is one of HTTP, whatever a sidecar says', () => {
  expect([200, 3e9, -1, 'x'].map((status) => endOf({ status })?.status)).toEqual([200, 999, 0, 0]);
});

test('groups of a caller are cut, and so many characters together', () => {
  const groups = Array.from({ length: 1_000 }, (_, n) => `${n} ${'x'.repeat(2_000)}`);
  const root = parseJson(JSON.stringify({ type: 'start', caller: { groups } }));
  const found = factsOf(root, { session: 'a'.repeat(32), sequence: 1, at: 1 }).start?.groups ?? [];
  expect(found).toHaveLength(16);
  expect(found.every((group) => group.length === 256)).toBe(true);
});
