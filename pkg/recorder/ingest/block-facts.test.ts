import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { threadCpuMs } from '../../../test/support/cost.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { AuditEvent } from '../../core/index.ts';
import { openSqliteStore } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import type { TestChain } from '../testing/chains.ts';
import { readLines } from './read-lines.ts';
import type { ReadLines } from './read-lines.ts';

type Start = Extract<AuditEvent, { readonly type: 'start' }>;
type End = Extract<AuditEvent, { readonly type: 'end' }>;

const read = (chain: TestChain, events: readonly AuditEvent[]): ReadLines => {
  const from = chain.point();
  return readLines(chain.lines(events), from, 'sidecar');
};
const withRules = (id: string, rules: End['rules']): readonly AuditEvent[] =>
  sessionEvents({ id }).map((event) => (event.type === 'end' ? { ...event, rules } : event));
const flagged = (rules: readonly string[]): End['rules'] => rules.map((rule) => ({ rule, act: 'flagged' }));
const range = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);

describe('what sessions of a block are found by', () => {
  test.each<[string, (n: number) => readonly AuditEvent[]]>([
    [
      'each with a caller of its own in twenty groups',
      (n) =>
        sessionEvents({
          id: sessionId(n),
          user: `user-${n}@example.com`,
          groups: range(20).map((one) => `team-${one}`),
        }),
    ],
    [
      'each with a path, a model and an address that its caller made up',
      (n) =>
        sessionEvents({ id: sessionId(n), user: `user-${n}`, model: `${n} ${'m'.repeat(250)}` }).map((event) =>
          event.type === 'start'
            ? { ...event, path: `/${n}${'x'.repeat(250)}`, peer: `10.1.${n >> 8}.${n & 255}` }
            : event,
        ),
    ],
    [
      'in each of which eighty rules acted',
      (n) => withRules(sessionId(n), flagged(range(80).map((one) => `support/customer-data/label-${one}`))),
    ],
  ])('is all that the lines say of 1,000 honest ones, %s', (_, session) => {
    const { block, cut, heavy } = read(testChain(), range(1_000).flatMap(session));
    expect({ cut, heavy }).toEqual({ cut: 0, heavy: false });
    expect(block.starts).toHaveLength(1_000);
  });

  test('is all of one session in which 250 rules acted, which needs what each block has', () => {
    const rules = range(250).map((n) => `a/b/r${n}`);
    const { block, cut, heavy } = read(testChain(), withRules(sessionId(1), flagged(rules)));
    expect({ cut, heavy }).toEqual({ cut: 0, heavy: true });
    expect(block.ends[0]?.tags).toEqual(expect.arrayContaining(rules.map((rule) => `rule:${rule}`)));
  });

  test('is cut where it is longer than its lines, and says so; who it was stays', () => {
    const chain = testChain();
    const many = range(60).flatMap((n) => withRules(sessionId(n), flagged(range(1_024).map((one) => `a/${n}-${one}`))));
    const { block, cut, heavy } = read(chain, many);
    const cutEnds = block.ends.filter(({ tags }) => tags.includes('cut'));
    const cutStarts = block.starts.filter(({ groups }) => groups.includes('…'));
    expect({ heavy, cut }).toEqual({ heavy: true, cut: cutEnds.length + cutStarts.length });
    expect(cutEnds.length).toBeGreaterThan(30);
    expect(block.ends.every(({ tags }) => tags.length > 0 && tags.length <= 1_026)).toBe(true);

    const starts = range(4_000).map((n): AuditEvent => {
      const start = sessionEvents({ id: sessionId(n), user: `user-${n}` })[0] as Start;
      return { ...start, path: `p${n}`, model: `m${n}`, method: `x${n}`, dialect: `d${n}`, peer: `q${n}`, request: [] };
    });
    const named = read(testChain('b'), starts);
    expect(named.cut).toBeGreaterThan(100);
    expect(named.block.starts.map(({ subject }) => subject)).toEqual(range(4_000).map((n) => `user-${n}`));
    expect(named.block.starts.at(-1)).toMatchObject({ path: '…', model: '…', operation: 'Chat' });
  });

  test.each([
    [3, 200],
    [40, 100],
    [10, 1_000],
  ])('is all but groups beside %i callers of %i groups each, and of one with few all', (callers, count) => {
    const refused = { outcome: 'refused', rule: 'p/secrets', model: 'claims-model' } as const;
    const crowd = range(callers).map((n) => ({
      ...refused,
      id: sessionId(n),
      user: `user-${n}`,
      groups: range(count).map((one) => `cn=team-${n}-${one},ou=groups,dc=example,dc=com`),
    }));
    const last = { ...refused, id: sessionId('last'), user: 'eve', groups: ['ml'] };
    const { block, cut } = read(testChain(), [...crowd, last].flatMap(sessionEvents));
    expect(cut).toBeGreaterThan(0);
    expect(block.starts.at(-1)).toMatchObject({ subject: 'eve', model: 'claims-model', groups: ['ml'] });
    expect(block.starts.flatMap(({ model, path, peer, method }) => [model, path, peer, method])).not.toContain('…');
    expect(block.ends.map(({ outcome }) => outcome)).toEqual([...crowd, last].map(() => 'refused'));
    for (const { tags } of block.ends) expect(tags).toEqual(['rule:p/secrets', expect.stringMatching(/^act:/)]);
    // What was left out is said.
    const whole = block.starts.filter(({ groups }) => groups.length === count || groups.length === 1);
    expect(block.starts.filter(({ groups }) => groups.at(-1) === '…')).toHaveLength(cut);
    expect(whole.length + cut).toBeGreaterThanOrEqual(callers + 1);
  });

  test('is the same whoever reads the lines, and when', () => {
    const many = range(60).flatMap((n) => withRules(sessionId(n), flagged(range(1_024).map((one) => `a/${n}-${one}`))));
    const chain = testChain();
    const lines = chain.lines(many);
    const from = testChain().point();
    expect(readLines(lines, from).block).toEqual(readLines(lines, from, 'sidecar').block);
  });
});

describe('a sidecar that lies costs its recorder', () => {
  let folder: string;
  const stores: RecordStore[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sidegate-facts-'));
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    rmSync(folder, { recursive: true });
  });

  const frameBytes = 2 * 1024 * 1024;
  /** About as much as a frame holds. */
  const frameOf = (chain: TestChain, session: (n: number) => readonly AuditEvent[], from: number): ReadLines => {
    const at = chain.point();
    const parts: Buffer[] = [];
    let bytes = 0;
    for (let n = from; bytes < frameBytes - 64 * 1024; n++) {
      const part = chain.lines(session(n));
      parts.push(part);
      bytes += part.length;
    }
    return readLines(Buffer.concat(parts), at, 'sidecar');
  };
  const text = 'The quarter went as planned, and the numbers follow in the table below, by region and month. ';
  const honest = (n: number): readonly AuditEvent[] =>
    sessionEvents({ id: sessionId(n), user: `user-${n % 200}`, ask: `${n} ${text.repeat(6)}`, answer: text.repeat(5) });

  const opened = (name: string) => {
    const path = join(folder, `${name}.db`);
    const store = openSqliteStore({ path, clock: fakeClock() });
    stores.push(store);
    const chain = testChain(name);
    const source = `spiffe://cluster.local/ns/ml/sa/default/pod/${name}`;
    const rows = (): number => {
      const db = new DatabaseSync(path, { readOnly: true });
      const count = (table: string): number => Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
      const all = count('name') + count('tag');
      db.close();
      return all;
    };
    return {
      chain,
      rows,
      bytes: () => statSync(path).size + statSync(`${path}-wal`).size,
      append: ({ block, first, last, prev, hash }: ReadLines) =>
        store.append([
          {
            entry: { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash },
            block: { ...block, pod: { namespace: 'ml', name } },
          },
        ]),
    };
  };

  test.each<[string, (n: number) => readonly AuditEvent[]]>([
    [
      'by rules that no policy has',
      (n) => withRules(sessionId(n), flagged(range(1_024).map((one) => `a/${n}-${one}`))).slice(-1),
    ],
    [
      'by the same thousand rules in each session',
      (n) => withRules(sessionId(n), flagged(range(1_024).map((one) => `a/${one}`))).slice(-1),
    ],
    [
      'by starts that name new paths, models and addresses',
      (n) => {
        const start = sessionEvents({ id: sessionId(n), user: `u${n}` })[0] as Start;
        return [
          { ...start, path: `p${n}`, model: `m${n}`, method: `x${n}`, dialect: `d${n}`, peer: `q${n}`, request: [] },
        ];
      },
    ],
  ])('no more than some times what an honest one does, %s', async (_, session) => {
    const [liar, other] = [opened('liar'), opened('honest')];
    const frames = [liar, other].map(({ chain }, at) =>
      range(3).map((n) => frameOf(chain, at === 0 ? session : honest, n * 100_000)),
    );
    const spent = [0, 0];
    // In turns, so that what else the machine does is in both.
    for (const n of range(3))
      for (const [at, one] of [liar, other].entries()) {
        const frame = frames[at]?.[n];
        if (frame === undefined) throw new Error('no frame');
        const before = threadCpuMs();
        await one.append(frame);
        spent[at] = (spent[at] ?? 0) + threadCpuMs() - before;
      }
    // A row for each 32 bytes at most, beside what each block has. Uncut it would be one for each 8 bytes, and 25 to 50 times the time.
    expect(liar.rows()).toBeLessThan((3 * frameBytes) / 32 + 3 * 2_048);
    expect(liar.bytes()).toBeLessThan(10 * other.bytes());
    expect((spent[0] ?? 0) / (spent[1] ?? 1)).toBeLessThan(14);
  });
});
