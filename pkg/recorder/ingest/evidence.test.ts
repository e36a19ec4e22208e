import { beforeEach, describe, expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { ConflictEntry } from '../../record/index.ts';
import type { Addition } from '../store/index.ts';
import { createEvidenceBook } from './evidence.ts';
import type { EvidenceBook } from './evidence.ts';

// Of a sidecar that lies for ever: each conflict is on record, by itself or by number, and the store does not fill.

const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
let clock = fakeClock();
let kept: { readonly entry: ConflictEntry; readonly evidence: Buffer }[];
let failing: boolean;
let book: EvidenceBook;
beforeEach(() => {
  clock = fakeClock();
  [kept, failing] = [[], false];
  const add = (addition: Addition): Promise<void> => {
    if (failing) return Promise.reject(new Error('full'));
    if (!('evidence' in addition)) throw new Error('no evidence');
    kept.push({ entry: addition.entry, evidence: Buffer.from(addition.evidence) });
    return Promise.resolve();
  };
  book = createEvidenceBook({ committer: { add }, clock, logger: silentLogger });
});
const conflict = (n: number, line = `line ${n}`, of = source) =>
  book.take({ source: of, chain: 'a'.repeat(32), sequence: n, what: 'changed', line: Buffer.from(line) });
const conflicts = async (from: number, to: number): Promise<void> => {
  for (let n = from; n <= to; n++) await conflict(n);
};
/** How many conflicts the entries say there were. */
const counted = (): number => kept.reduce((sum, { entry }) => sum + 1 + (entry.more ?? 0), 0);

test('of the first 32 conflicts each has its line kept, once', async () => {
  await conflicts(1, 32);
  await conflicts(1, 32);
  expect(kept.map(({ evidence }) => evidence.toString())).toEqual(
    Array.from({ length: 32 }, (_, n) => `line ${n + 1}`),
  );
  for (const { entry, evidence } of kept) {
    expect(entry.evidence).toBe(hash('sha256', evidence, 'hex'));
    expect(entry).not.toHaveProperty('more');
  }
});

test('equal lines of two chains are two conflicts', async () => {
  for (const chain of ['a', 'b', 'a', 'b'])
    await book.take({
      source,
      chain: chain.repeat(32),
      sequence: 1,
      what: 'not_linked',
      line: Buffer.from('the same'),
    });
  expect(kept.map(({ entry }) => entry.chain)).toEqual(['a'.repeat(32), 'b'.repeat(32)]);
});

describe('those behind them', () => {
  beforeEach(() => conflicts(1, 32));

  test('are counted: at once, each ten minutes, and at the end', async () => {
    await conflicts(33, 40);
    expect([kept.length, counted()]).toEqual([33, 33]);
    clock.advance(9 * 60_000);
    book.tick();
    expect(kept).toHaveLength(33);
    clock.advance(60_000);
    book.tick();
    expect([kept.length, counted()]).toEqual([34, 40]);
    expect(kept[33]).toMatchObject({ entry: { sequence: 40, more: 6 }, evidence: Buffer.from('line 40') });
    await conflicts(41, 50);
    await book.close();
    expect([kept.length, counted()]).toEqual([35, 50]);
    clock.advance(60 * 60_000);
    book.tick();
    expect(kept).toHaveLength(35);
  });

  test('are no more than the beginning of a line in ten minutes, however many and long they are', async () => {
    for (let n = 0; n < 1_000; n++) await conflict(n, `${n} ${'x'.repeat(60_000)}`);
    await book.close();
    expect(kept.slice(32).map(({ evidence }) => evidence.length)).toEqual([1_024, 1_024]);
    expect(counted()).toBe(32 + 1_000);
    for (const { entry, evidence } of kept) expect(entry.evidence).toBe(hash('sha256', evidence, 'hex'));
  });

  test('that the store did not take are counted by the next entry', async () => {
    failing = true;
    await conflicts(33, 36);
    await Promise.resolve();
    failing = false;
    await conflicts(37, 40);
    await book.close();
    expect(counted()).toBe(40);
  });

  test('do not keep another sidecar from its own', async () => {
    await conflict(1, 'of another', 'spiffe://other');
    expect(kept.at(-1)).toMatchObject({ entry: { source: 'spiffe://other' }, evidence: Buffer.from('of another') });
  });
});

test('of more sidecars than are remembered none is forgotten without its count', async () => {
  await conflicts(1, 40);
  for (let n = 0; n < 10_000; n++) await conflict(1, 'x', `spiffe://${n}`);
  expect(
    kept.filter(({ entry }) => entry.source === source).reduce((sum, { entry }) => sum + 1 + (entry.more ?? 0), 0),
  ).toBe(40);
});

test('what the store did not take is kept when it comes again', async () => {
  failing = true;
  await expect(conflict(1)).rejects.toThrow('full');
  failing = false;
  await conflict(1);
  expect(kept).toHaveLength(1);
});
