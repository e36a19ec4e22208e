import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createQueue } from './queue.ts';
import type { QueueOptions } from './queue.ts';

const make = (handle: QueueOptions['handle'], more: Partial<QueueOptions> = {}) => {
  const clock = fakeClock();
  return { clock, queue: createQueue({ name: 'test', clock, logger: silentLogger, handle, random: () => 1, ...more }) };
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a queue', () => {
  test('handles no key twice at once, and once more for what changed meanwhile', async () => {
    let running = 0;
    let most = 0;
    const gates: (() => void)[] = [];
    const { queue } = make(async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
    });
    queue.add('a');
    for (let at = 0; at < 5; at++) queue.add('a');
    await turn();
    expect(gates).toHaveLength(1);
    gates[0]?.();
    await turn();
    expect(gates).toHaveLength(2);
    gates[1]?.();
    await queue.idle();
    expect([most, gates.length]).toEqual([1, 2]);
    expect(queue.depth).toBe(0);
  });

  test('a failing key is tried again with growing waits and holds up no other', async () => {
    const { clock, queue } = make(
      async (key) => {
        handled.push(`${key}@${clock.monotonic() - 1000}`);
        if (key === 'bad') throw new Error('no');
      },
      { firstBackoffMs: 100, mostBackoffMs: 400, concurrency: 1 },
    );
    const handled: string[] = [];
    queue.add('bad');
    queue.add('good');
    await clock.advanceAsync(1_500);
    expect(handled).toEqual(['bad@0', 'good@0', 'bad@100', 'bad@300', 'bad@700', 'bad@1100', 'bad@1500']);
    await queue.close();
  });

  test('a change is looked at without waiting for the retry of a failure', async () => {
    let good = false;
    let calls = 0;
    const { clock, queue } = make(
      async () => {
        calls++;
        if (!good) throw new Error('no');
      },
      { firstBackoffMs: 60_000 },
    );
    queue.add('a');
    await clock.advanceAsync(10);
    good = true;
    queue.add('a');
    await clock.advanceAsync(10);
    expect(calls).toBe(2);
    await clock.advanceAsync(600_000);
    expect(calls).toBe(2);
  });

  test('a handler whose own changes come back while it fails is not called without a pause', async () => {
    let calls = 0;
    const { clock, queue } = make(async (key) => {
      calls++;
      queue.add(key);
      throw new Error('no');
    });
    queue.add('a');
    await clock.advanceAsync(10_000);
    expect(calls).toBeLessThan(20);
    await queue.close();
  });

  test('changes within the debounce are one call, and a stream of changes cannot put it off for ever', async () => {
    let calls = 0;
    const { clock, queue } = make(async () => void calls++, { debounceMs: 100, maxDebounceMs: 500 });
    for (let at = 0; at < 20; at++) {
      queue.add('a');
      await clock.advanceAsync(50);
    }
    expect(calls).toBe(2);
    await clock.advanceAsync(1_000);
    await queue.idle();
    expect(calls).toBeLessThanOrEqual(3);
  });

  test('groups take turns: one with thousands of keys holds up no other', async () => {
    const order: string[] = [];
    const { queue } = make(
      async (key) => {
        order.push(key);
        await turn();
      },
      { concurrency: 2, groupOf: (key) => key.slice(0, key.indexOf('/')) },
    );
    for (let at = 0; at < 1_000; at++) queue.add(`many/${at}`);
    for (const key of ['a/0', 'b/0', 'a/1']) queue.add(key);
    await queue.idle();
    expect(order.slice(0, 8)).toEqual(['many/0', 'many/1', 'many/2', 'a/0', 'b/0', 'many/3', 'a/1', 'many/4']);
    expect(order).toHaveLength(1_003);
    expect(queue.depth).toBe(0);
  });

  test('a key may ask to be looked at again', async () => {
    let calls = 0;
    const { clock, queue } = make(async () => (++calls < 3 ? 1_000 : undefined));
    queue.add('a');
    await clock.advanceAsync(10_000);
    expect([calls, queue.depth]).toEqual([3, 0]);
  });

  test('close waits for what runs, tells it, and handles nothing more', async () => {
    let told = false;
    let calls = 0;
    const { clock, queue } = make(
      async (_key, signal) => {
        calls++;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        told = true;
      },
      { concurrency: 1 },
    );
    queue.add('a');
    queue.add('b');
    await turn();
    await queue.close();
    queue.add('c');
    await clock.advanceAsync(100_000);
    expect([told, calls, clock.pending]).toEqual([true, 1, 0]);
  });
});
