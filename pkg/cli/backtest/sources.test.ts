import { expect, test } from '@jest/globals';
import { entryText } from '../../record/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../recorder/testing/chains.ts';
import { KubeError } from '../../kube/index.ts';
import type { AuditClient } from '../audit/client.ts';
import { sessionsOfFile, sessionsOfRecorder } from './sources.ts';
import type { SourceSession } from './sources.ts';

// A recorder finds what befell a process as it finds sessions, and an export has their lines: a backtest decides on sessions alone.

const [ended, going] = [sessionEvents({ id: sessionId(1) }), sessionEvents({ id: sessionId(2) }).slice(0, 2)];
const idOf = async (sessions: AsyncIterable<SourceSession>): Promise<readonly string[]> => {
  const ids: string[] = [];
  for await (const { id } of sessions) ids.push(id);
  return ids;
};

test('of a file: sessions that ended, then those that did not, and no process', async () => {
  const chain = testChain();
  const { hash: prev } = chain.point();
  const lines = chain.lines([
    { type: 'process', session: sessionId('start'), what: 'start' },
    ...going,
    ...ended,
    { type: 'process', session: sessionId('stop'), what: 'stop' },
  ]);
  const { sequence: last, hash } = chain.point();
  const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
  const text = entryText({ type: 'block', at: testTime, source, chain: chain.name, first: 1, last, prev, hash });
  const file = [JSON.stringify({ kind: 'entry', index: 0, text, lines: lines.toString() })];
  expect(await idOf(sessionsOfFile(() => file))).toEqual([sessionId(1), sessionId(2)]);
});

test('of a recorder: what it finds, but for processes', async () => {
  const found = (id: string, events: Parameters<ReturnType<typeof testChain>['lines']>[0]) => ({
    session: { session: id, namespace: 'ml' },
    lines: testChain(id).lines(events).toString().trimEnd().split('\n'),
  });
  const sessions = [
    found(sessionId('gap'), [{ type: 'process', session: sessionId('gap'), what: 'gap', amount: 3 }]),
    found(sessionId(1), ended),
    found(sessionId(2), going),
  ];
  const audit: Pick<AuditClient, 'post'> = { post: async () => ({ sessions, cursor: null }) };
  const nothing = (): void => undefined;
  expect(await idOf(sessionsOfRecorder(audit as AuditClient, {}, nothing, nothing, nothing))).toEqual([
    sessionId(1),
    sessionId(2),
  ]);
});

test('of a recorder: one that is longer than an answer may be is passed over, and named', async () => {
  const asked: string[] = [];
  const found = {
    session: { session: sessionId(2), namespace: 'ml' },
    lines: testChain().lines(ended).toString().split('\n'),
  };
  const audit: Pick<AuditClient, 'post'> = {
    post: async (path, body) => {
      const { cursor, limit } = body as { readonly cursor?: string; readonly limit: number };
      asked.push(`${path} ${cursor ?? ''} ${limit}`);
      if (cursor === 'b') return { sessions: [found], cursor: null } as never;
      if (path === '/v1/sessions') throw new KubeError('too_large', 'an answer of the API server is too long');
      return { sessions: [{ session: sessionId(1), namespace: 'ml' }], cursor: 'b' };
    },
  };
  const nothing = (): void => undefined;
  const sessions: (readonly [string, boolean])[] = [];
  for await (const { id, isTooLong = false } of sessionsOfRecorder(audit as AuditClient, {}, nothing, nothing, nothing))
    sessions.push([id, isTooLong]);
  expect(sessions).toEqual([
    [sessionId(1), true],
    [sessionId(2), false],
  ]);
  expect(asked).toEqual(['/v1/sessions  50', '/v1/search  1', '/v1/sessions b 50']);
});
