import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { systemClock } from './clock.ts';
import { pause, until } from '../../test/support/wait.ts';

describe('the system clock', () => {
  test('tells the time of the wall and a time that does not go back', () => {
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000);
    const before = systemClock.monotonic();
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(before);
  });

  test('runs a timer once and a period again and again, until they are taken back', async () => {
    let once = 0;
    let often = 0;
    systemClock.after(5, () => once++);
    systemClock.after(5, () => (once += 100)).cancel();
    const period = systemClock.every(5, () => often++);
    await until(() => often >= 3);
    period.cancel();
    const seen = often;
    await pause(30);
    expect([once, often]).toEqual([1, seen]);
  });

  test('does not keep the process alive', () => {
    const file = join(import.meta.dirname, 'clock.ts');
    const code = `import { systemClock } from '${file}'; systemClock.after(60000, () => 0); systemClock.every(60000, () => 0);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { timeout: 20_000 });
    expect(child.status).toBe(0);
  });
});

describe('the fake clock of the tests', () => {
  test('runs timers in the order of their time, each at its own time', () => {
    const clock = fakeClock({ now: 0 });
    const seen: string[] = [];
    clock.after(30, () => seen.push(`c@${clock.now()}`));
    clock.after(10, () => {
      seen.push(`a@${clock.now()}`);
      clock.after(5, () => seen.push(`b@${clock.now()}`));
    });
    const period = clock.every(20, () => seen.push(`p@${clock.now()}`));
    clock.advance(40);
    period.cancel();
    clock.advance(100);
    expect(seen).toEqual(['a@10', 'b@15', 'p@20', 'c@30', 'p@40']);
    expect(clock.pending).toBe(0);
  });

  test('can step the wall clock alone', () => {
    const clock = fakeClock({ now: 0 });
    const before = clock.monotonic();
    clock.step(-5000);
    expect([clock.now(), clock.monotonic() - before]).toEqual([-5000, 0]);
  });
});
