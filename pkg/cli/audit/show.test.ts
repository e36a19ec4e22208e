import { describe, expect, test } from '@jest/globals';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Ran } from '../../../test/support/sidegate-command.ts';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';
import type { Cluster } from '../command.ts';

// Commands about one session, whose lines come in pages, of a recorder that is a list of pages.

const id = sessionId(1);
const lines = testChain()
  .lines(sessionEvents({ id, ask: 'what is asked' }))
  .toString()
  .trimEnd()
  .split('\n');
const of = (chain: string) => ({ source: 'spiffe://a', chain });

/** @param pages The `next` of each is the number of the page behind it. */
async function audit(
  line: string,
  pages: readonly { readonly sessions: readonly object[]; readonly lines: readonly string[] }[],
): Promise<Ran & { readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request({ path }: { readonly path: string }) {
      const url = new URL(path, 'https://api');
      if (!url.pathname.includes('/v1/sessions/')) return Promise.resolve({});
      asked.push(`${url.pathname.slice(url.pathname.lastIndexOf('/v1/'))}${url.search}`);
      const at = Number(url.searchParams.get('from') ?? 0);
      return Promise.resolve({ ...pages[at], next: at + 1 < pages.length ? String(at + 1) : null });
    },
    close: () => undefined,
  } as unknown as Cluster['client'];
  const ran = await sidegateCommand(['audit', ...line.split(' ')], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
  });
  return { ...ran, asked };
}

describe('a session that is several pages', () => {
  const pages = lines.map((one) => ({ sessions: [of('a')], lines: [one] }));

  test.each(['show', 'replay', 'explain'])('is read to its end by audit %s', async (name) => {
    const { code, err, out, asked } = await audit(`${name} ${id}`, pages);
    expect([code, err, asked]).toEqual([
      0,
      '',
      [0, 1, 2].map((at) => `/v1/sessions/${id}${at === 0 ? '' : `?from=${at}`}`),
    ]);
    expect(out).toContain(name === 'explain' ? 'support/allow: allowed' : 'completed 200');
  });

  test('is byte for byte what was recorded', async () => {
    const { out } = await audit(`show ${id} -o jsonl`, pages);
    expect(out).toBe(`${lines.join('\n')}\n`);
  });
});

describe('a session that is not there whole', () => {
  test.each(['show', 'replay', 'explain'])('is said to be so by audit %s', async (name) => {
    const { code, err } = await audit(`${name} ${id}`, [
      { sessions: [of('a')], lines: lines.filter((_, at) => at !== 1) },
    ]);
    expect(err).toBe('INCOMPLETE: 2 of 3 lines are there: others were deleted, or are kept back\n');
    expect(code).toBe(1);
  });

  test.each(['show', 'replay'])('cannot be told by audit %s where its sidecar did not count', async (name) => {
    const older = lines.map((line) => line.replace(',"lines":3', ''));
    const { code, err } = await audit(`${name} ${id}`, [{ sessions: [of('a')], lines: older }]);
    expect([code, err]).toEqual([0, expect.stringContaining('did not say how many lines it has')]);
  });
});

describe('an id under which several sidecars recorded', () => {
  test('is said to be one, on whichever page they come', async () => {
    const { code, err, out } = await audit(`show ${id} -o jsonl`, [
      { sessions: [of('a')], lines },
      { sessions: [of('a'), of('b')], lines },
    ]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^2 chains have lines under this id, .*--chain and --namespace name one\n {2}a of spiffe:\/\/a\n {2}b of spiffe:\/\/a\n$/,
    );
    expect(out.split('\n')).toHaveLength(2 * lines.length + 1);
  });

  test.each(['explain', 'replay', 'replay --speed 0 -o jsonl', 'show'])(
    'is not decided by what the newest of them says, where one is missing lines of the other: audit %s',
    async (name) => {
      const [verb, ...flags] = name.split(' ');
      const lie = testChain('liar').lines(sessionEvents({ id, user: 'bob', outcome: 'refused' }));
      const { code, err, out } = await audit([verb, id, ...flags].join(' '), [
        { sessions: [of('b')], lines: lie.toString().trimEnd().split('\n') },
        { sessions: [of('b'), of('a')], lines: lines.filter((_, at) => at !== 1) },
      ]);
      expect([code, err]).toEqual([1, expect.stringContaining('  b of spiffe://a\n  a of spiffe://a\n')]);
      if (name !== 'show') expect(out).toBe('');
    },
  );

  test('names no more of them than people read', async () => {
    const sessions = Array.from({ length: 25 }, (_, n) => of(`chain-${n}`));
    const { code, err } = await audit(`explain ${id}`, [{ sessions, lines }]);
    expect([code, err.split('\n')[21], err.includes('chain-20')]).toEqual([1, '  and 5 more', false]);
  });

  test('is asked for by its chain and its namespace', async () => {
    for (const name of ['show', 'replay', 'explain']) {
      const { asked } = await audit(`${name} ${id} --chain c&d -n ml`, [{ sessions: [of('a')], lines }]);
      expect(asked).toEqual([`/v1/sessions/${id}?namespace=ml&chain=c%26d`]);
    }
  });

  test('verify is refused a chain alone', async () => {
    const ran = await audit('verify --chain a', []);
    expect([ran.code, ran.err]).toEqual([2, expect.stringContaining('--chain goes with --session or --receipt')]);
  });
});
