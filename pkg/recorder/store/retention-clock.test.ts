import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createRetentionClock } from './retention-clock.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;
const fresh = { reached: 0, logEndsAt: 0 };

describe('the time by which lines are old', () => {
  test('is the wall clock’s, where that goes as time does', () => {
    const clock = fakeClock();
    const time = createRetentionClock(clock, fresh);
    for (let n = 0; n < 5; n++) {
      expect(time()).toBe(clock.now());
      clock.advance(minuteMs);
    }
  });

  test('is ahead by no more than as long as the wall clock was, and not for the next time', () => {
    const clock = fakeClock();
    const time = createRetentionClock(clock, fresh);
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
    const time = createRetentionClock(clock, fresh);
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
    const time = createRetentionClock(clock, { reached: 0, logEndsAt: clock.now() - dayMs });
    expect(clock.now() - time()).toBe(dayMs);
    clock.advance(dayMs / 2);
    expect(clock.now() - time()).toBe(dayMs / 2);
    clock.advance(dayMs / 2);
    expect(time()).toBe(clock.now());
    // The log may be ahead.
    const other = fakeClock();
    expect(createRetentionClock(other, { reached: 0, logEndsAt: other.now() + dayMs })()).toBe(other.now());
  });

  test('goes on where it was left, where the recorder begins again while its clock is ahead and the log was written by it', () => {
    const clock = fakeClock();
    const reached = createRetentionClock(clock, fresh)();
    clock.step(30 * dayMs);
    const logEndsAt = clock.now();
    const again = createRetentionClock(clock, { reached, logEndsAt });
    expect(again()).toBe(reached);
    clock.advance(minuteMs);
    expect(again()).toBe(reached + 2 * minuteMs);
  });

  test('has not to catch up with the years by which a clock was behind when the recorder began', () => {
    const clock = fakeClock();
    const reached = createRetentionClock(clock, fresh)();
    clock.step(-50 * 365 * dayMs);
    const again = createRetentionClock(clock, { reached, logEndsAt: reached });
    expect(again()).toBe(clock.now());
    clock.advance(minuteMs);
    clock.step(50 * 365 * dayMs);
    again();
    clock.advance(minuteMs);
    expect(again()).toBe(clock.now());
  });
});
