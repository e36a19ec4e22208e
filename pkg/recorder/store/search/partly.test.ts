import { expect, test } from '@jest/globals';
import type { SessionPage, SessionQuery, SessionSummary } from '../port.ts';
import { lookForPartly } from './partly.ts';

const session = (id: string, groups: readonly string[]): SessionSummary => ({
  session: id,
  source: 's',
  namespace: 'ml',
  pod: 'p',
  chain: 'c',
  sequence: 1,
  at: 1,
  provider: null,
  issuer: null,
  subject: null,
  groups,
  peer: '',
  method: '',
  path: '',
  dialect: '',
  operation: 'Chat',
  model: null,
  end: undefined,
});

/** What it comes to where each question is answered so. */
function look(query: SessionQuery, answer: (asked: SessionQuery) => SessionPage) {
  const asked: SessionQuery[] = [];
  const looking = lookForPartly(query);
  let step = looking.next();
  while (step.done !== true) {
    asked.push(step.value);
    step = looking.next(answer(step.value));
  }
  return { asked, found: step.value };
}

test('a search without conditions on what may be cut asks nothing more', () => {
  const none = (): SessionPage => ({ sessions: [], cursors: [], cursor: undefined });
  expect(look({ user: 'eve', namespace: 'ml', limit: 10 }, none).asked).toEqual([]);
  expect(look({ block: 7, group: 'ops', limit: 10 }, none).asked).toEqual([]);
});

test('of any number of sessions that a sidecar has had cut a thousand are looked at, and it is said that there are more', () => {
  let n = 0;
  const page = (): SessionPage => ({
    sessions: Array.from({ length: 100 }, () => session(`${++n}`, ['ops', '…'])),
    cursors: [],
    cursor: `${n}`,
  });
  // None of them is in question: all are in that group.
  const { asked, found } = look({ group: 'ops', limit: 10 }, page);
  expect(asked).toHaveLength(10);
  expect(found).toEqual({ partlyMore: true });
});
