import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { Addition, StoreSpace } from '../store/index.ts';
import { createShares, overShare, shortage } from './shares.ts';
import type { ShareSettings } from './shares.ts';

const mib = 1024 ** 2;
const gib = 1024 ** 3;
const settings: ShareSettings = { belowPercent: 5, parts: {}, databaseBytes: undefined };
const volume = (freeBytes: number, sizeBytes = 20 * gib): StoreSpace => ({
  usedBytes: 1,
  volume: { freeBytes, sizeBytes },
});

describe('room', () => {
  test.each<[string, StoreSpace, Partial<ShareSettings>, number | undefined]>([
    ['there is, as long as a twentieth is free', volume(gib), {}, undefined],
    ['is short below that', volume(0.75 * gib), {}, 0.5],
    ['is shorter with half of that', volume(0.5 * gib), {}, 1],
    ['is as short as can be where none is left', volume(0), {}, 2],
    ['is not short where shares never count', volume(0), { belowPercent: 0 }, undefined],
    ['of a small volume is short with less than a quarter', volume(90 * mib, 400 * mib), {}, 0.2],
    ['of a small volume is not, with more', volume(101 * mib, 400 * mib), {}, undefined],
    ['of a database that has no size is never short', { usedBytes: gib }, {}, undefined],
    ['of a database is what its tables leave', { usedBytes: 9.75 * gib }, { databaseBytes: 10 * gib }, 1],
    ['of a database is there', { usedBytes: 9 * gib }, { databaseBytes: 10 * gib }, undefined],
    ['of a database that has grown larger is none', { usedBytes: 11 * gib }, { databaseBytes: 10 * gib }, 2],
  ])('%s', (_, space, more, short) => {
    expect(shortage(space, { ...settings, ...more })).toBe(short);
  });
});

describe('a namespace', () => {
  const over = (held: Record<string, number>, short: number, parts: Record<string, number> = {}): readonly string[] => [
    ...overShare(new Map(Object.entries(held)), parts, short).keys(),
  ];

  test('that holds most of all is the first that waits', () => {
    const held = { hog: 900, a: 40, b: 30, c: 20, d: 10 };
    expect(over(held, 0.25)).toEqual(['hog']);
    expect(over(held, 1)).toEqual(['hog']);
    // Shares are 220; four times as much is what one may hold at first.
    expect(over({ hog: 900, large: 100, a: 40, b: 30, c: 30 }, 0)).toEqual(['hog']);
    expect(over({ hog: 700, large: 300, a: 40, b: 30, c: 30 }, 0)).toEqual([]);
    expect(over({ hog: 700, large: 300, a: 40, b: 30, c: 30 }, 0.5)).toEqual(['hog']);
    expect(over({ hog: 700, large: 300, a: 40, b: 30, c: 30 }, 1)).toEqual(['hog', 'large']);
  });

  test('that is alone, or that holds nothing, waits for nobody', () => {
    expect(over({ alone: 1_000 }, 1)).toEqual([]);
    expect(over({ hog: 1_000, nothing: 0 }, 1)).toEqual([]);
    expect(over({ one: 500, other: 500 }, 1)).toEqual([]);
    expect(over({}, 1)).toEqual([]);
  });

  test.each(['constructor', 'valueof', 'toString', '__proto__'])('may have any name, also %s', (name) => {
    const held = new Map([
      ['hog', 900],
      ['a', 50],
      [name, 10],
    ]);
    expect([...overShare(held, { finance: 4 }, 1)]).toEqual([['hog', 480]]);
  });

  test('has no smaller share by namespaces that hold next to nothing, however many there are', () => {
    const crowd = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`made-${n}`, 4_000]));
    const shares = (held: Record<string, number>): ReadonlyMap<string, number> =>
      overShare(new Map(Object.entries(held)), {}, 1);
    const share = (held: Record<string, number>): number => shares(held).get('hog') ?? 0;
    const held = { hog: 900 * gib, ml: 300 * gib, web: 200 * gib };
    expect(share({ ...held, ...crowd })).toBeGreaterThan(0.999 * share(held));
    // Neither one that nobody else would have wait, nor one that is alone.
    expect(over({ ml: 500 * gib, web: 480 * gib, ...crowd }, 1)).toEqual([]);
    expect(over({ ml: 500 * gib, ...crowd }, 1)).toEqual([]);
    // They have to hold what they take: a sixteenth of all is half of the share of each.
    const costly = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`made-${n}`, gib]));
    expect(share({ hog: 1_000 * gib, ml: 500 * gib, ...costly })).toBeCloseTo((1_600 * gib) / 4, -9);
  });

  test('that is small has the last quarter of the room, whatever larger ones and however many hold', () => {
    for (const held of [
      { hog: 1_000, tiny: 1 },
      { hog: 500, large: 500, tiny: 1 },
    ]) {
      expect(over(held, 1.499)).toEqual([]);
      expect(over(held, 1.5)).toEqual(Object.keys(held).filter((name) => name !== 'tiny'));
    }
    expect(over({ alone: 1_000 }, 2)).toEqual([]);
    expect(over({ one: 520, other: 500 }, 2)).toEqual([]);
    // With its parts.
    expect(over({ finance: 700, small: 100 }, 2, { finance: 7 })).toEqual([]);
  });

  test('has a share with those that have begun a while ago, and is not kept out by being a little larger', () => {
    expect(over({ one: 520, other: 500 }, 1)).toEqual([]);
    expect(over({ one: 700, other: 300 }, 1)).toEqual(['one']);
    // An eighth of a share is a whole part.
    expect(over({ hog: 900, small: 60 }, 0.9)).toEqual(['hog']);
  });

  test('has as many parts as it was given', () => {
    expect(over({ finance: 700, ml: 300 }, 1)).toEqual(['finance']);
    expect(over({ finance: 700, ml: 300 }, 1, { finance: 4 })).toEqual(['ml']);
    expect(over({ finance: 800, ml: 200 }, 1, { finance: 4 })).toEqual([]);
  });
});

describe('shares', () => {
  const world = () => {
    const clock = fakeClock();
    const lines: string[] = [];
    const added: Addition[] = [];
    const store = {
      free: 2 * gib,
      fails: false,
      takes: true,
      held: new Map([
        ['hog', 900],
        ['ml', 90],
        ['sidegate-system', 10],
      ]),
      read: 0,
    };
    const note = (message: string, fields?: object): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
    const shares = createShares({
      ...settings,
      namespace: 'sidegate-system',
      store: {
        space: () => (store.fails ? Promise.reject(new Error('away')) : Promise.resolve(volume(store.free))),
        held: () => {
          store.read++;
          return Promise.resolve(store.held);
        },
        append: (additions) =>
          store.takes ? Promise.resolve(void added.push(...additions)) : Promise.reject(new Error('full')),
      },
      clock,
      logger: { ...silentLogger, warn: note, info: note, error: note },
    });
    const step = (ms = 2_000): Promise<void> => clock.advanceAsync(ms);
    const entries = (): readonly object[] => added.map(({ entry }) => entry);
    return { store, shares, step, lines, entries };
  };

  test('have no part for evidence that is of no namespace: nobody could wait for it', async () => {
    const { shares, step, store } = world();
    store.free = 0;
    store.held = new Map([
      ['', 900],
      ['ml', 50],
      ['other', 50],
    ]);
    await step();
    expect([shares.deferred(), [...shares.held().keys()]]).toEqual([[], ['ml', 'other']]);
    await shares.close();
  });

  test('are asked for by nobody while there is room', async () => {
    const { shares, step, store, lines, entries } = world();
    await step(120_000);
    expect(['hog', 'ml', 'new'].map(shares.mayTake)).toEqual([true, true, true]);
    expect(shares.held().get('hog')).toBe(900);
    // For the metric, once a minute.
    expect(store.read).toBeLessThanOrEqual(3);
    expect([lines, entries()]).toEqual([[], []]);
    await shares.close();
  });

  test('keep the one out that holds too much, and say so once, in the log of the process and in that of the record', async () => {
    const { shares, step, store, lines, entries } = world();
    store.free = 0.6 * gib;
    await step(10_000);
    expect(['hog', 'ml', 'new'].map(shares.mayTake)).toEqual([false, true, true]);
    expect(shares.deferred()).toEqual(['hog']);
    expect(lines).toEqual([expect.stringMatching(/^lines of a namespace are not taken.*"hog".*900.*495/)]);
    expect(entries()).toEqual([
      expect.objectContaining({ type: 'share', namespace: 'hog', what: 'deferred', held: 900, share: 495 }),
    ]);
    // Again and again within ten minutes: one entry.
    for (let turn = 0; turn < 5; turn++) {
      store.free = 2 * gib;
      await step();
      expect(shares.mayTake('hog')).toBe(true);
      store.free = 0.6 * gib;
      await step();
      expect(shares.mayTake('hog')).toBe(false);
    }
    expect(entries()).toHaveLength(1);
    store.free = 2 * gib;
    await step(600_000);
    expect(entries().at(-1)).toMatchObject({ type: 'share', namespace: 'hog', what: 'resumed' });
    expect(entries()).toHaveLength(2);
    await shares.close();
  });

  test('take what Sidegate’s own namespace has, however much it holds', async () => {
    const { shares, step, store } = world();
    store.held = new Map([
      ['sidegate-system', 900],
      ['ml', 100],
    ]);
    store.free = 0;
    await step();
    expect(shares.mayTake('sidegate-system')).toBe(true);
    await shares.close();
  });

  test('let the only namespace beside Sidegate’s own go on, and count what that holds for nobody', async () => {
    const { shares, step, store } = world();
    store.held = new Map([
      ['sidegate-system', 100],
      ['ml', 900],
    ]);
    store.free = 0;
    await step();
    expect(shares.mayTake('ml')).toBe(true);
    expect(shares.deferred()).toEqual([]);
    await shares.close();
  });

  test('say in the log of the record what that did not take at first', async () => {
    const { shares, step, store, entries } = world();
    store.free = 0;
    store.takes = false;
    await step(10_000);
    expect([shares.mayTake('hog'), entries()]).toEqual([false, []]);
    store.takes = true;
    await step(10_000);
    expect(entries()).toEqual([expect.objectContaining({ type: 'share', namespace: 'hog', what: 'deferred' })]);
    await shares.close();
  });

  test('of a store that does not answer stay as they were, and the log says why once', async () => {
    const { shares, step, store, lines } = world();
    store.free = 0;
    await step();
    store.fails = true;
    store.free = 2 * gib;
    await step(10_000);
    expect(shares.mayTake('hog')).toBe(false);
    expect(lines.filter((line) => line.startsWith('what namespaces hold'))).toHaveLength(1);
    store.fails = false;
    await step();
    expect(shares.mayTake('hog')).toBe(true);
    await shares.close();
  });
});
