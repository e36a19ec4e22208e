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
  expect(end?.tags.length).toBeLessThan(100);
  expect(end?.tags.slice(0, 6)).toEqual([
    'rule:a/mask',
    'rule:legal/keep',
    'observed:legal/watch',
    'act:masked',
    'act:flagged',
    'open:analyzer',
  ]);
});

test.each([
  ['Chat', 'Chat'],
  ['', ''],
  ['Approval\u0000', 'Other'],
  ['approval', 'Other'],
  ['Approval' + ' '.repeat(300), 'Other'],
  ['Аpproval', 'Other'],
])(
  'a session that says it is %j is found as %j: what is no operation of a session looks like no change',
  (operation, as) => {
    const line = parseJson(JSON.stringify({ type: 'start', operation }));
    expect(factsOf(line, { session: 'a'.repeat(32), sequence: 1, at: 1 }).start?.operation).toBe(as);
  },
);

test('each rule that acted is found, however many there are, and where not, that is said', () => {
  const rules = (count: number) => Array.from({ length: count }, (_, n) => ({ rule: `a/r${n}`, act: 'flagged' }));
  const some = endOf({ rules: [...rules(300), { rule: 'legal/keep', act: 'masked' }] })?.tags ?? [];
  expect(some).toEqual(expect.arrayContaining(['rule:legal/keep', 'act:masked', 'act:flagged']));
  expect(some).not.toContain('cut');
  const many = endOf({ rules: [...rules(2_000), { rule: 'legal/keep', act: 'masked' }] })?.tags ?? [];
  expect(many).toEqual(expect.arrayContaining(['cut', 'act:masked']));
  expect(many.length).toBeLessThan(1_100);
});

test('every group of a caller is kept that a token holds', () => {
  const groups = Array.from({ length: 300 }, (_, n) => `group-${n}`);
  const root = parseJson(JSON.stringify({ type: 'start', caller: { groups } }));
  expect(factsOf(root, { session: 'a'.repeat(32), sequence: 1, at: 1 }).start?.groups).toEqual(groups);
});

test('a status is one of HTTP, whatever a sidecar says', () => {
  expect([200, 3e9, -1, 'x'].map((status) => endOf({ status })?.status)).toEqual([200, 999, 0, 0]);
});

test('groups of a caller are cut, and so many characters together', () => {
  const groups = Array.from({ length: 1_000 }, (_, n) => `${n} ${'x'.repeat(2_000)}`);
  const root = parseJson(JSON.stringify({ type: 'start', caller: { groups } }));
  const found = factsOf(root, { session: 'a'.repeat(32), sequence: 1, at: 1 }).start?.groups ?? [];
  expect(found).toHaveLength(257);
  expect(found.slice(0, -1).every((group) => group.length === 256)).toBe(true);
  expect(found.at(-1)).toBe('…');
});
