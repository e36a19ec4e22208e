import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { StoreError } from '../store/index.ts';
import type { Addition } from '../store/index.ts';
import { createCommitter } from './committer.ts';

const addition = (question: string, bytes = 0): Addition => {
  const entry = { type: 'read', at: 0, who: 'ana', what: 'search', question } as const;
  if (bytes === 0) return { entry };
  const block = {
    lines: Buffer.alloc(bytes),
    count: 1,
    pod: { namespace: 'ml', name: 'p' },
    starts: [],
    ends: [],
    sessions: [],
  };
  return { entry: { type: 'block', at: 0, source: 's', chain: 'c', first: 1, last: 1, prev: '', hash: '' }, block };
};
const questionOf = ({ entry }: Addition): string => (entry.type === 'read' ? entry.question : entry.type);

function make(append: (additions: readonly Addition[]) => Promise<void>, maxWaiting = 1_000_000) {
  const commits: number[] = [];
  const committer = createCommitter({
    store: { append },
    clock: fakeClock(),
    logger: silentLogger,
    maxWaiting,
    onCommit: ({ additions }) => commits.push(additions),
  });
  return { committer, commits };
}

describe('the committer', () => {
  test('puts what is there at one moment into one transaction, in order', async () => {
    const stored: string[] = [];
    const { committer, commits } = make(async (additions) => void stored.push(...additions.map(questionOf)));
    await Promise.all(['a', 'b', 'c'].map((one) => committer.add(addition(one))));
    expect(stored).toEqual(['a', 'b', 'c']);
    expect(commits).toEqual([3]);
    await committer.settled();
    expect(committer.waiting).toBe(0);
  });

  test('resolves only when the store has it, and keeps the order of what comes meanwhile', async () => {
    const gate = Promise.withResolvers<void>();
    const stored: string[] = [];
    const { committer } = make(async (additions) => {
      await gate.promise;
      stored.push(...additions.map(questionOf));
    });
    let acknowledged = false;
    const first = committer.add(addition('a')).then(() => {
      acknowledged = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    const second = committer.add(addition('b'));
    expect(acknowledged).toBe(false);
    gate.resolve();
    await Promise.all([first, second]);
    expect(stored).toEqual(['a', 'b']);
  });

  test('fails them all when the disk is full, and takes them when it is not', async () => {
    let full = true;
    const { committer } = make(async () => {
      if (full) throw new StoreError('unavailable', 'full');
    });
    const both = await Promise.allSettled([committer.add(addition('a')), committer.add(addition('b'))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    full = false;
    await committer.add(addition('c'));
  });

  test('lets one bad addition fail alone', async () => {
    const stored: string[] = [];
    const { committer } = make(async (additions) => {
      if (additions.some((one) => questionOf(one) === 'bad')) throw new Error('UNIQUE constraint');
      stored.push(...additions.map(questionOf));
    });
    const all = await Promise.allSettled(['a', 'bad', 'c'].map((one) => committer.add(addition(one))));
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(stored).toEqual(['a', 'c']);
  });

  test('is settled once what was given until then is decided, whatever goes on coming', async () => {
    let commits = 0;
    const next = (): void => void committer.add(addition('more')).catch(() => undefined);
    const { committer } = make(async () => {
      commits++;
      if (commits < 200) next();
    });
    next();
    const last = committer.add(addition('last'));
    await committer.settled();
    expect(commits).toBeLessThan(10);
    await last;
    await committer.settled();
  });

  test('says when more waits than should, and when there is room again', async () => {
    const gate = Promise.withResolvers<void>();
    const { committer } = make(() => gate.promise, 10_000);
    expect(committer.full).toBe(false);
    const first = committer.add(addition('', 20_000));
    expect(committer.full).toBe(true);
    let room = false;
    const waited = committer.whenRoom().then(() => {
      room = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(room).toBe(false);
    gate.resolve();
    await Promise.all([first, waited]);
    expect(committer.full).toBe(false);
  });
});
