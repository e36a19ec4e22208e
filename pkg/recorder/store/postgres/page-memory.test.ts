import { expect, test } from '@jest/globals';
import type { Run } from './connection.ts';
import type { Names } from './names.ts';
import { createSearch } from './search.ts';

const groupsOfEach = 1_000;
const row = (id: number) => ({
  ...{ at: String(id), id: String(id), request: '0'.repeat(32), source: 1, chain_name: 'c', sequence: '1', said: null },
  ...{ end_sequence: null, groups: Array.from({ length: groupsOfEach }, (_, at) => id * groupsOfEach + at), tags: [] },
  ...{ namespace: 1, pod: 1, provider: null, issuer: null, subject: null, peer: 1, method: 1, path: 1, dialect: 1 },
  ...{ operation: 1, model: null, outcome: null, code: null },
});

test('of sessions that a page has no room for the texts are not read', async () => {
  let texts = 0;
  const names = {
    find: () => Promise.resolve(() => undefined),
    forget: () => undefined,
    texts(_run: Run, numbers: Iterable<number>) {
      texts += [...numbers].length;
      return Promise.resolve((number: number) => `group:${number} ${'x'.repeat(50)}`);
    },
  } as unknown as Names;
  const rows = Array.from({ length: 1_001 }, (_, at) => row(1_001 - at));
  const run = ((statement: string) =>
    Promise.resolve(statement.startsWith('SELECT names_removed') ? [{ names_removed: '0' }] : rows)) as unknown as Run;
  const page = await createSearch(run, names)({ limit: 1_000 });
  // Some 60 KB each, and a page of 1 MB.
  expect(page.sessions.length).toBeGreaterThan(10);
  expect(page.sessions.length).toBeLessThan(30);
  expect(page.cursor).toBe(page.cursors.at(-1));
  expect(texts).toBeLessThan(60 * groupsOfEach);
});
