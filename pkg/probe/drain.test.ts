import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createDrain } from './drain.ts';

const world = (graceMs: number) => {
  const clock = fakeClock();
  const state = { inFlight: 0, lastArrival: undefined as number | undefined, leaving: [] as boolean[] };
  const drain = createDrain({
    graceMs,
    inFlight: () => state.inFlight,
    lastArrival: () => state.lastArrival,
    leave: (on) => void state.leaving.push(on),
    clock,
  });
  const wait = (signal = new AbortController().signal): { how: string | undefined; after: number | undefined } => {
    const began = clock.monotonic();
    const result: { how: string | undefined; after: number | undefined } = { how: undefined, after: undefined };
    void drain.wait(signal).then((how) => Object.assign(result, { how, after: clock.monotonic() - began }));
    return result;
  };
  return { clock, state, drain, wait };
};

describe('draining', () => {
  test('waits for what is in flight, and not less than callers need to hear of it', async () => {
    const { clock, state, wait } = world(30_000);
    const idle = wait();
    await clock.advanceAsync(4_900);
    expect(idle.how).toBeUndefined();
    await clock.advanceAsync(200);
    expect(idle).toEqual({ how: 'idle', after: 5_000 });

    state.inFlight = 1;
    const busy = wait();
    await clock.advanceAsync(12_000);
    expect(busy.how).toBeUndefined();
    state.inFlight = 0;
    await clock.advanceAsync(100);
    expect(busy.how).toBe('idle');
  });

  test('goes on while callers still come, and for 3 s after the last', async () => {
    const { clock, state, wait } = world(30_000);
    const waiting = wait();
    for (let second = 0; second < 12; second++) {
      state.lastArrival = clock.monotonic();
      await clock.advanceAsync(1_000);
    }
    await clock.advanceAsync(1_900);
    expect(waiting.how).toBeUndefined();
    await clock.advanceAsync(200);
    expect(waiting).toEqual({ how: 'idle', after: 14_000 });
  });

  test('ends in time for who never ceases to come', async () => {
    const { clock, state, wait } = world(30_000);
    const waiting = wait();
    for (let second = 0; second < 25; second++) {
      expect(waiting.how).toBeUndefined();
      state.lastArrival = clock.monotonic();
      await clock.advanceAsync(1_000);
    }
    expect(waiting).toEqual({ how: 'deadline', after: 25_000 });
  });

  test('answers 5 s before the grace period ends, whatever is in flight', async () => {
    const { clock, state, wait } = world(30_000);
    state.inFlight = 3;
    const waiting = wait();
    await clock.advanceAsync(24_900);
    expect(waiting.how).toBeUndefined();
    await clock.advanceAsync(100);
    expect(waiting).toEqual({ how: 'deadline', after: 25_000 });
  });

  test.each([
    [0, 0],
    [5_000, 0],
    [7_000, 1_000],
    [10_000, 2_500],
  ])('with a grace period of %i ms an idle pod waits %i ms', async (grace, settle) => {
    const { clock, wait } = world(grace);
    const waiting = wait();
    await clock.advanceAsync(settle === 0 ? 0 : settle - 1);
    expect(waiting.how === undefined).toBe(settle !== 0);
    await clock.advanceAsync(101);
    expect(waiting.how).toBeDefined();
  });

  test('whoever asked before takes nothing from whoever asks at the end', async () => {
    const { clock, state, wait } = world(30_000);
    state.inFlight = 1;
    wait();
    await clock.advanceAsync(20_000);
    const atTheEnd = wait();
    await clock.advanceAsync(24_900);
    expect(atTheEnd.how).toBeUndefined();
    await clock.advanceAsync(100);
    expect(atTheEnd.after).toBe(25_000);
  });

  test('peers are asked to leave until the grace period of the last question is over, and no longer', async () => {
    const { clock, state, wait } = world(10_000);
    wait();
    expect(state.leaving.at(-1)).toBe(true);
    await clock.advanceAsync(6_000);
    wait();
    await clock.advanceAsync(9_900);
    expect(state.leaving.at(-1)).toBe(true);
    await clock.advanceAsync(200);
    expect(state.leaving.at(-1)).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('who has left costs nothing any more', async () => {
    const { clock, state, wait } = world(30_000);
    state.inFlight = 1;
    const gone = new AbortController();
    const waiting = wait(gone.signal);
    gone.abort();
    await clock.advanceAsync(0);
    expect(waiting.how).toBe('gone');
    await clock.advanceAsync(31_000);
    expect(clock.pending).toBe(0);
  });

  test('ends with the process', async () => {
    const { clock, state, drain, wait } = world(30_000);
    state.inFlight = 1;
    const waiting = wait();
    drain.close();
    await clock.advanceAsync(0);
    expect(waiting.how).toBe('deadline');
    expect(clock.pending).toBe(0);
  });
});
