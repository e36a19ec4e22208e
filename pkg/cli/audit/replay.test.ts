import { expect, test } from '@jest/globals';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';
import { parseJson } from '../../base/index.ts';
import { recordedSession } from '../backtest/recorded-session.ts';
import { explanationOf } from './explain.ts';
import { stepsOf } from './replay.ts';
import { lineText } from './show.ts';

const linesOf = (session: Parameters<typeof sessionEvents>[0]): readonly string[] =>
  testChain().lines(sessionEvents(session)).toString().trimEnd().split('\n');

test('a session is replayed in its own steps, with their times', () => {
  expect(stepsOf(linesOf({ id: sessionId(1), ask: 'where?', answer: 'here' }))).toEqual([
    { at: 0, direction: 'request', lane: 'messages[0].content', text: 'where?' },
    { at: 5, direction: 'response', lane: 'choices[0].message.content', text: 'here' },
    { at: 12, direction: 'end', lane: '', text: 'completed 200' },
  ]);
});

test('many short texts of a request are replayed one by one, and shown so', () => {
  const [start, ...rest] = sessionEvents({ id: sessionId(1) });
  const request = ['a', 'b'].map((text, at) => ({ lane: `input[${at}]`, text }));
  const texts = { type: 'texts', session: sessionId(1), request, at: 2 } as const;
  const lines = testChain()
    .lines([...(start === undefined ? [] : [start]), texts, ...rest])
    .toString()
    .trimEnd()
    .split('\n');
  expect(stepsOf(lines).slice(1, 3)).toEqual([
    { at: 2, direction: 'request', lane: 'input[0]', text: 'a' },
    { at: 2, direction: 'request', lane: 'input[1]', text: 'b' },
  ]);
  expect(lineText(parseJson(lines[1] ?? ''))).toBe('  asked    input[0]: a\n  asked    input[1]: b');
  expect(recordedSession(lines, false)?.request).toEqual(['hello there', 'a', 'b']);
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
