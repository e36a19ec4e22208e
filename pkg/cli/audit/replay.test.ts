import { expect, test } from '@jest/globals';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';
import { explanationOf } from './explain.ts';
import { stepsOf } from './replay.ts';

const linesOf = (session: Parameters<typeof sessionEvents>[0]): readonly string[] =>
  testChain().lines(sessionEvents(session)).toString().trimEnd().split('\n');

test('a session is replayed in its own steps, with their times', () => {
  expect(stepsOf(linesOf({ id: sessionId(1), ask: 'where?', answer: 'here' }))).toEqual([
    { at: 0, direction: 'request', lane: 'messages[0].content', text: 'where?' },
    { at: 5, direction: 'response', lane: 'choices[0].message.content', text: 'here' },
    { at: 12, direction: 'end', lane: '', text: 'completed 200' },
  ]);
});

test('a session is explained rule by rule', () => {
  const lines = linesOf({ id: sessionId(1), outcome: 'refused', rule: 'support/no-secrets', by: ['Secrets', 'word'] });
  expect(explanationOf(lines)).toEqual([
    'ana asked for Chat of llama-3',
    '  by provider corp, groups: ml',
    '  under g1',
    '1. support/no-secrets: blocked by Secrets, word',
    'so: refused, 403 guard_blocked (docs/errors.md)',
  ]);
});

test('a session that has not ended, of nobody known, is said to be that', () => {
  expect(explanationOf(linesOf({ id: sessionId(1), user: null }).slice(0, 1))).toEqual([
    'nobody known asked for Chat of llama-3',
    '  under g1',
    'it has not ended, or its end has not come',
  ]);
});
