import { describe, expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Ran } from '../../../test/support/sidegate-command.ts';
import { entryText } from '../../record/index.ts';
import type { LogEntry } from '../../record/index.ts';
import { conflictPage } from '../../recorder/api/conflict-page.ts';
import type { Cluster } from '../command.ts';

// What a recorder keeps of sidecars that lie, as a person sees it.

const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const chain = 'c'.repeat(32);
interface Stored {
  readonly text: string;
  readonly data?: Buffer;
}
const conflict = (n: number, line: string, more = 0): Stored => {
  const [at, data] = [Date.UTC(2026, 10, 26) + n * 3_600_000, Buffer.from(line)];
  const evidence = hash('sha256', data, 'hex');
  const entry: LogEntry = { type: 'conflict', at, source, chain, sequence: n, what: 'changed', evidence };
  return { text: entryText({ ...entry, ...(more > 0 && { more }) }), data };
};
const other = (at: number): Stored => ({
  text: entryText({ type: 'read', at, who: 'ana', what: 'search', question: '{}' }),
});

/** The command, on a recorder with this log. */
async function evidence(log: readonly Stored[], ...flags: readonly string[]): Promise<Ran & { asked: string[] }> {
  const asked: string[] = [];
  const store = {
    entries: (from: number, atMost: number) =>
      Promise.resolve(log.slice(from, from + atMost).map(({ text }, at) => ({ index: from + at, text }))),
    archivable: (from: number) => Promise.resolve(log.slice(from, from + 1).map((one) => ({ index: from, ...one }))),
  };
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request({ path }: { readonly path: string }) {
      const url = new URL(path, 'https://api');
      if (!url.pathname.endsWith('/v1/log/conflicts')) return Promise.resolve({});
      asked.push(url.search);
      return conflictPage(store, Number(url.searchParams.get('from')), 2_000);
    },
    close: () => undefined,
  } as unknown as Cluster['client'];
  const ran = await sidegateCommand(['audit', 'evidence', ...flags], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    now: () => Date.UTC(2026, 10, 26, 12),
  });
  return { ...ran, asked };
}

test('is shown with its sidecar, its time and the line as it came, which moves no cursor', async () => {
  const { code, out } = await evidence([other(1), conflict(1, '{"v":1,"x":"\u001b[2J"}'), conflict(2, 'two', 7)]);
  expect(code).toBe(0);
  expect(out.split('\n')).toEqual([
    `2026-11-26T01:00:00.000Z entry 1: changed: line 1 of chain ${chain} of ${source}`,
    '  {"v":1,"x":" [2J"}',
    `2026-11-26T02:00:00.000Z entry 2: changed: line 2 of chain ${chain} of ${source}`,
    '  7 more of it since the entry before, of which nothing is kept',
    '  two',
    '',
  ]);
});

test('is byte for byte in JSON', async () => {
  const { out } = await evidence([conflict(1, '\u001b[2J'), conflict(2, 'two', 7)], '-o', 'jsonl');
  const [one, two] = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(one).toMatchObject({ entry: 0, source, line: 1, more: 0, asItsEntrySays: true });
  expect(Buffer.from(String(one?.['evidence']), 'base64').toString()).toBe('\u001b[2J');
  expect(two).toMatchObject({ entry: 1, more: 7 });
});

describe('that', () => {
  test('was changed is said to be', async () => {
    const { code, out } = await evidence([{ ...conflict(1, 'one'), data: Buffer.from('ein') }]);
    expect([code, out]).toEqual([1, expect.stringContaining('NOT WHAT ITS ENTRY SAYS: ein')]);
  });
  test('is not there is said not to be', async () => {
    const { code, out } = await evidence([{ text: conflict(1, 'one').text }]);
    expect([code, out]).toEqual([1, expect.stringContaining('NOT THERE')]);
  });
});

test('is chosen by time and by sidecar', async () => {
  const log = [conflict(1, 'early'), conflict(11, 'late')];
  expect((await evidence(log, '--since', '6h')).out).not.toContain('early');
  expect((await evidence(log, '--since', '6h')).out).toContain('late');
  expect(await evidence(log, '--source', 'spiffe://other')).toMatchObject({ code: 0, out: '', err: 'no conflict\n' });
  expect((await evidence(log, '-n', 'ml')).out).toContain('late');
  expect((await evidence(log, '-n', 'm')).out).toBe('');
  expect(await evidence(log, '--since', 'soon')).toMatchObject({ code: 2, err: expect.stringContaining('no time') });
});

test('comes in pages of a long log, and of long lines', async () => {
  const log = [
    ...Array.from({ length: 70 }, (_, n) => conflict(n, `${n} ${'x'.repeat(60_000)}`)),
    ...Array.from({ length: 45_000 }, (_, n) => other(n)),
    conflict(3, 'last'),
  ];
  const { code, out, asked } = await evidence(log);
  expect(code).toBe(0);
  expect(out.match(/entry [0-9]+:/g)).toHaveLength(71);
  expect(out).toContain('  last\n');
  expect(asked).toEqual(['?from=0', '?from=53', '?from=20053', '?from=40053']);
});
