import { describe, expect, test } from '@jest/globals';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Cluster } from '../command.ts';
import { run } from '../run.ts';
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

test.each([
  ['m;=HYPERLINK(1)', `"m;'=HYPERLINK(1)"`],
  ['m; "=1', `"m; ""'=1"`],
  ['m|\uff1d1;-2', `"m|'\uff1d1;'-2"`],
])('nor one that another spreadsheet takes for two: %j', (text, cell) => {
  expect(csvCell(text)).toBe(cell);
});

test('other cells stay as they are', () => {
  const cells = ['ana', 'a=b', 'say "hi"', '', 'a; b', 'x|y'].map(csvCell);
  expect(cells).toEqual(['"ana"', '"a=b"', '"say ""hi"""', '""', '"a; b"', '"x|y"']);
});

test.each([
  ['--text falcon', false, '2 sessions have'],
  ['--group ops', true, '2 or more sessions have'],
])('sessions that a search may not find are named: %s', async (flags, partlyMore, beginning) => {
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: () => Promise.resolve({ sessions: [], cursor: null, unsearched: 0, partly: ['a1', 'b2'], partlyMore }),
    close: () => undefined,
  } as unknown as Cluster['client'];
  const { code, out, err } = await sidegateCommand(['audit', 'search', ...flags.split(' ')], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
  });
  expect([code, out]).toEqual([0, 'no session\n']);
  expect(err).toContain(
    `${beginning} more words, rules, groups or other texts than the index takes, and may be among what was asked for all the same: a1 b2`,
  );
});

test.each([
  [{ sessions: 3, more: false }, '3 sessions have sealed texts, and may hold these words all the same'],
  [{ sessions: 1_000, more: true }, '1000 or more sessions have sealed texts'],
])('of how many sessions nobody knows the words is said', async (sealed, words) => {
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: () => Promise.resolve({ sessions: [], cursor: null, unsearched: 0, partly: [], sealed }),
    close: () => undefined,
  } as unknown as Cluster['client'];
  const { code, err } = await sidegateCommand(['audit', 'search', '--text', 'falcon'], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
  });
  expect([code, err]).toEqual([0, expect.stringContaining(words)]);
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

test('a file of CSV has all that a session can be found by', async () => {
  const tags = ['rule:support/personal', 'rule:support/cards', 'act:masked', 'by:Email', 'by:CreditCard'];
  const session = {
    ...{ session: 'f'.repeat(32), at: Date.UTC(2026, 10, 26, 12), namespace: 'ml', pod: 'llama-0', subject: 'ana' },
    ...{
      operation: 'Chat',
      model: 'llama-3',
      issuer: 'https://idp.test',
      groups: ['ops', 'ml'],
      source: 's',
      chain: 'c',
    },
    end: {
      ...{ outcome: 'completed', status: 200, code: null, durationMs: 12, bytesIn: 34, bytesOut: 56 },
      tags: [...tags, 'observed:legal/watch', 'open:analyzer'],
    },
  };
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: () => Promise.resolve({ sessions: [session], cursor: null, unsearched: 0 }),
    close: () => undefined,
  } as unknown as Cluster['client'];
  const { out } = await sidegateCommand(['audit', 'search', '-o', 'csv'], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
  });
  const [names, cells] = out
    .trimEnd()
    .split('\n')
    .map((row) => JSON.parse(`[${row}]`) as readonly string[]);
  expect(Object.fromEntries((names ?? []).map((name, at) => [name, cells?.[at]]))).toEqual({
    ...{ TIME: '2026-11-26T12:00:00.000Z', SESSION: 'f'.repeat(32), NAMESPACE: 'ml', POD: 'llama-0', USER: 'ana' },
    ...{ OPERATION: 'Chat', MODEL: 'llama-3', OUTCOME: 'completed', STATUS: '200', CODE: '', MS: '12' },
    ...{ RULES: 'support/personal support/cards', ACTS: 'masked', DETECTORS: 'Email CreditCard' },
    ...{ OBSERVED: 'legal/watch', FAILED_OPEN: 'analyzer', BYTES_IN: '34', BYTES_OUT: '56' },
    ...{ ISSUER: 'https://idp.test', GROUPS: 'ops ml', CHAIN: 'c', SOURCE: 's' },
  });
});

describe('of more sessions than one page holds', () => {
  const sessions = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => ({ session: `s${from + at}`, subject: 'ana' }));
  /** The command on a recorder with so many; page by page, what was printed by then. */
  const search = async (size: number, ...flags: readonly string[]) => {
    const printed: number[] = [];
    let out = 0;
    const client = {
      create: () => Promise.resolve({ status: { token: 't' } }),
      request({ path, body }: { readonly path: string; readonly body: { limit: number; cursor?: string } }) {
        if (!path.endsWith('/v1/search')) return Promise.resolve({});
        printed.push(out);
        if (body.limit > 1_000) throw new Error('limit is a whole number from 1 to 1,000');
        const from = Number(body.cursor ?? 0);
        const next = Math.min(size, from + body.limit);
        return Promise.resolve({ sessions: sessions(from, next - from), cursor: next < size ? String(next) : null });
      },
      close: () => undefined,
    } as unknown as Cluster['client'];
    const lines: string[] = [];
    const said: string[] = [];
    const code = await run(['audit', 'search', ...flags], {
      openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
      stdout(text: string) {
        out++;
        lines.push(text);
      },
      stderr: (text: string) => void said.push(text),
      now: () => 0,
      env: {},
    } as unknown as Parameters<typeof run>[1]);
    return { code, lines: lines.join('').trimEnd().split('\n'), err: said.join(''), printed };
  };

  test.each(['table', 'csv', 'jsonl'])(
    'the newest are given as %s, and that there are more is said',
    async (output) => {
      const heading = output === 'jsonl' ? 0 : 1;
      const { code, lines, err } = await search(250, '-o', output);
      expect([code, lines.length - heading]).toEqual([0, 100]);
      expect(err).toContain('there may be more sessions, which --all');
      const all = await search(250, '--all', '-o', output);
      expect([all.code, all.lines.length - heading, all.err]).toEqual([0, 250, '']);
      const few = await search(100, '-o', output);
      expect([few.lines.length - heading, few.err]).toEqual([100, '']);
    },
  );

  test.each(['csv', 'jsonl'])('each is printed before the next page is asked for: %s', async (output) => {
    const { printed } = await search(2_500, '--all', '-o', output);
    const heading = output === 'csv' ? 1 : 0;
    // As few questions as can be: each is on record.
    expect(printed).toEqual([0, 1_000, 2_000].map((lines) => lines + heading));
  });

  test('a larger limit than a page is asked for page by page', async () => {
    const { code, lines, printed, err } = await search(3_000, '--limit', '2500', '-o', 'jsonl');
    expect([code, lines.length, printed.length]).toEqual([0, 2_500, 3]);
    expect(err).toContain('there may be more sessions');
  });

  test('a table has rows for very many', async () => {
    const { code, lines } = await search(150_000, '--all', '--limit', '1000');
    expect([code, lines.length]).toEqual([0, 150_001]);
  });
});
