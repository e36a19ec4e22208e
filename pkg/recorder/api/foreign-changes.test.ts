import { expect, test } from '@jest/globals';
import { controllersOf } from '../ingest/controllers.ts';
import type { RecordStore, SessionQuery, SessionSummary } from '../store/index.ts';
import { withoutForeignChanges } from './foreign-changes.ts';

const controller = 'spiffe://cluster.local/ns/sidegate-system/sa/sidegate-controller/pod/1';
const sidecar = 'spiffe://cluster.local/ns/ml/sa/default/pod/2';
const all = ['Approval', 'Grant', 'Token', 'Revocation', 'Process', 'Chat'].flatMap((operation) =>
  [controller, sidecar].map((source) => ({ operation, source }) as SessionSummary),
);
const stored = {
  search: () => Promise.resolve({ sessions: all, cursors: all.map((_, at) => `c${at}`), cursor: 'next' }),
} as unknown as RecordStore;
const store = withoutForeignChanges(stored, controllersOf('sidegate-system'));
const found = async (query: Partial<SessionQuery>): Promise<readonly string[]> => {
  const { sessions, cursors, cursor } = await store.search({ limit: 100, ...query });
  expect([cursors.length, cursor]).toEqual([sessions.length, 'next']);
  return sessions.map(({ operation, source }) => `${operation} ${source === controller ? 'controller' : 'sidecar'}`);
};

test('what a sidecar said that people decided is not found as what they decided', async () => {
  for (const query of [{}, { user: 'ana' }])
    expect(await found(query)).toEqual([
      ...['Approval', 'Grant', 'Token', 'Revocation'].map((operation) => `${operation} controller`),
      ...['Process', 'Chat'].flatMap((operation) => [`${operation} controller`, `${operation} sidecar`]),
    ]);
  expect((await store.search({ limit: 100 })).cursors).toEqual(['c0', 'c2', 'c4', 'c6', 'c8', 'c9', 'c10', 'c11']);
});

test('who names a session, or a block to prove it, is told all that is there', async () => {
  expect(await found({ session: '1'.repeat(32) })).toHaveLength(12);
  expect(await found({ block: 7 })).toHaveLength(12);
});
