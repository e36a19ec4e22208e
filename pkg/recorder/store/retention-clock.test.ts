import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createRetentionClock } from './retention-clock.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;
const fresh = { reached: 0, logEndsAt: 0 };
/** Its time alone. */
const timeOf = (...given: Parameters<typeof createRetentionClock>): (() => number) => {
  const read = createRetentionClock(...given);
  return () => read().now;
};

describe('the time by which lines are old', () => {
  test('is the wall clock’s, where that goes as time does', () => {
    const clock = fakeClock();
    const time = timeOf(clock, fresh);
    for (let n = 0; n < 5; n++) {
      expect(time()).toBe(clock.now());
      clock.advance(minuteMs);
    }
  });

  test('is ahead by no more than as long as the wall clock was, and not for the next time', () => {
    const clock = fakeClock();
    const time = timeOf(clock, fresh);
    const ahead = (): number => time() - (clock.now() - stepped);
    let stepped = 0;
    const step = (ms: number): void => {
      clock.step(ms);
      stepped += ms;
    };
    for (let n = 0; n < 3; n++) {
      time();
      step(dayMs);
      expect(ahead()).toBe(0);
      clock.advance(10 * minuteMs);
      expect(ahead()).toBe(10 * minuteMs);
      step(-dayMs);
      expect(ahead()).toBe(0);
      clock.advance(10 * minuteMs);
    }
  });

  test('waits where the wall clock goes back, and has caught up within as long as it waited', () => {
    const clock = fakeClock();
    const time = timeOf(clock, fresh);
    time();
    clock.step(-365 * dayMs);
    expect(time()).toBe(clock.now());
    clock.advance(minuteMs);
    time();
    clock.step(365 * dayMs);
    expect(clock.now() - time()).toBe(minuteMs);
    clock.advance(minuteMs);
    expect(time()).toBe(clock.now());
  });

  test('begins where the log ends, and has caught up within as long as nobody wrote it', () => {
    const clock = fakeClock();
    const time = timeOf(clock, { reached: 0, logEndsAt: clock.now() - dayMs });
    expect(clock.now() - time()).toBe(dayMs);
    clock.advance(dayMs / 2);
    expect(clock.now() - time()).toBe(dayMs / 2);
    clock.advance(dayMs / 2);
    expect(time()).toBe(clock.now());
    // The log may be ahead.
    const other = fakeClock();
    expect(timeOf(other, { reached: 0, logEndsAt: other.now() + dayMs })()).toBe(other.now());
  });

  test('goes on where it was left, where the recorder begins again while its clock is ahead and the log was written by it', () => {
    const clock = fakeClock();
    const reached = timeOf(clock, fresh)();
    clock.step(30 * dayMs);
    const logEndsAt = clock.now();
    const again = timeOf(clock, { reached, logEndsAt });
    expect(again()).toBe(reached);
    clock.advance(minuteMs);
    expect(again()).toBe(reached + 2 * minuteMs);
  });

  test('has not to catch up with the years by which a clock was behind when the recorder began', () => {
    const clock = fakeClock();
    const reached = timeOf(clock, fresh)();
    clock.step(-50 * 365 * dayMs);
    const again = timeOf(clock, { reached, logEndsAt: reached });
    expect(again()).toBe(clock.now());
    clock.advance(minuteMs);
    clock.step(50 * 365 * dayMs);
    again();
    clock.advance(minuteMs);
    expect(again()).toBe(clock.now());
  });

  test('agrees with the wall clock unless that is ahead of it, or was for a while and has not been right for as long', () => {
    const clock = fakeClock();
    const read = createRetentionClock(clock, fresh);
    expect(read().agrees).toBe(true);
    clock.step(10 * 365 * dayMs);
    clock.advance(minuteMs);
    expect(read().agrees).toBe(false);
    clock.step(-10 * 365 * dayMs);
    expect(read().agrees).toBe(false);
    clock.advance(minuteMs);
    expect(read()).toEqual({ now: clock.now(), agrees: true });
    // Behind what it was.
    clock.step(-dayMs);
    clock.advance(minuteMs);
    expect(read().agrees).toBe(false);
  });

  test('does not agree with a wall clock that is behind the log of a store in which nothing is kept, until it is there', () => {
    const clock = fakeClock();
    const read = createRetentionClock(clock, { reached: 0, logEndsAt: clock.now() + dayMs });
    expect(read()).toEqual({ now: clock.now(), agrees: false });
    clock.advance(dayMs - minuteMs);
    expect(read()).toEqual({ now: clock.now(), agrees: false });
    clock.advance(minuteMs);
    expect(read()).toEqual({ now: clock.now(), agrees: true });
  });
});
