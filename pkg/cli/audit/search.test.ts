import { expect, test } from '@jest/globals';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Cluster } from '../command.ts';
import { csvCell } from './search.ts';

test.each([
  '=cmd|x',
  '+1',
  '-1',
  '@SUM(A1)',
  '\t=cmd',
  '\r=cmd',
  '\n=cmd',
  ' =cmd',
  '\u200b=cmd',
  '\ufeff=cmd',
  '\u2028=cmd',
  '\u00a0=cmd',
  '\uff1dcmd',
  '\uff0b1',
  '\uff0d1',
  '\uff20SUM(A1)',
])('a cell of CSV that a spreadsheet may take for a formula is none: %j', (text) => {
  const cell = csvCell(text);
  expect(cell.startsWith(`"'`)).toBe(true);
  expect(cell).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test('other cells stay as they are', () => {
  expect(['ana', 'a=b', 'say "hi"', ''].map(csvCell)).toEqual(['"ana"', '"a=b"', '"say ""hi"""', '""']);
});

test('sessions that a search by text may not find are named', async () => {
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: () => Promise.resolve({ sessions: [], cursor: null, unsearched: 0, partly: ['a1', 'b2'] }),
    close: () => undefined,
  } as unknown as Cluster['client'];
  const { code, out, err } = await sidegateCommand(['audit', 'search', '--text', 'falcon'], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
  });
  expect([code, out]).toEqual([0, 'no session\n']);
  expect(err).toContain('2 sessions have more words than the index takes, and may hold these all the same: a1 b2');
});

test('all that a session can be found by has a flag', async () => {
  const asked: unknown[] = [];
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request({ path, body }: { readonly path: string; readonly body: unknown }) {
      if (path.endsWith('/v1/search')) asked.push(body);
      return Promise.resolve({ sessions: [], cursor: null, unsearched: 0 });
    },
    close: () => undefined,
  } as unknown as Cluster['client'];
  const flags =
    '--label personal --observed legal/watch --failed-open analyzer --act approved --outcome open --min-duration 1 --max-duration 2 --min-bytes 3 --max-bytes 4';
  const { code } = await sidegateCommand(['audit', 'search', ...flags.split(' ')], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
  });
  expect(code).toBe(0);
  expect(asked).toEqual([
    {
      label: 'personal',
      outcome: 'open',
      tags: ['observed:legal/watch', 'open:analyzer', 'act:approved'],
      minDurationMs: 1,
      maxDurationMs: 2,
      minBytes: 3,
      maxBytes: 4,
      limit: 100,
    },
  ]);
});
