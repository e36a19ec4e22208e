import { expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { decisionOf, longestVoter } from '../core/index.ts';
import { readDownMessage } from './index.ts';

const decision = { decision: 'Approve', at: '2026-01-01T00:00:00Z', by: 'https://idp bob', breakGlass: false };
const state = (one: object): object => ({
  type: 'approval-state',
  id: 'a',
  state: { name: 'n-1', phase: 'Pending', yours: false, leftMs: 1, decisions: [one] },
  problem: null,
});
const read = (message: object): unknown => readDownMessage(parseJson(JSON.stringify(message)));

test('a decision says from where it came, or, as of older controllers and by Kubernetes, does not', () => {
  for (const one of [decision, { ...decision, from: '192.0.2.7' }]) expect(read(state(one))).toEqual(state(one));
  expect(() => read(state({ ...decision, from: 'x'.repeat(65) }))).toThrow('from');
});

test('the longest names of whose vote is taken are told to sidecars', () => {
  const at = '2026-01-01T00:00:00Z';
  const caller = { issuer: 'i'.repeat(longestVoter.issuer), subject: 's'.repeat(longestVoter.subject) };
  // By Kubernetes the definition counts code points: 256, each of two UTF-16 units.
  for (const vote of [{ caller }, { user: '😀'.repeat(256) }]) {
    const one = decisionOf({ decision: 'Approve', at, ...vote });
    expect(read(state(one))).toEqual(state(one));
  }
  expect(() => read(state({ ...decision, by: 'x'.repeat(1_101) }))).toThrow('by');
});
