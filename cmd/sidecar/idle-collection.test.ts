import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { collectWhenIdle } from './idle-collection.ts';

/** A young generation that says how full it is and counts its collections. */
function generation(): { full: number; collections: number; used(): number; collect(): void } {
  return {
    full: 1,
    collections: 0,
    used() {
      return this.full;
    },
    collect() {
      this.collections += 1;
    },
  };
}

function requests(tell: (inFlight: number) => void, count: number): void {
  for (let n = 0; n < count; n++) {
    tell(1);
    tell(0);
  }
}

describe('the young generation', () => {
  test('is collected once no request has been under way for a moment, and again only after as many requests', () => {
    const [clock, young] = [fakeClock(), generation()];
    const tell = collectWhenIdle(clock, young);
    requests(tell, 15);
    clock.advance(1_000);
    expect(young.collections).toBe(0);
    requests(tell, 1);
    clock.advance(2);
    expect(young.collections).toBe(0);
    clock.advance(1);
    expect(young.collections).toBe(1);
    requests(tell, 15);
    clock.advance(1_000);
    expect(young.collections).toBe(1);
    requests(tell, 20);
    clock.advance(3);
    expect(young.collections).toBe(2);
    expect(clock.pending).toBe(0);
  });

  test('is left alone while a request is under way, until that has ended', () => {
    const [clock, young] = [fakeClock(), generation()];
    const tell = collectWhenIdle(clock, young);
    requests(tell, 16);
    tell(1);
    clock.advance(1_000);
    expect(young.collections).toBe(0);
    tell(0);
    clock.advance(3);
    expect(young.collections).toBe(1);
  });

  test('is left alone while it is less than half full', () => {
    const [clock, young] = [fakeClock(), generation()];
    const tell = collectWhenIdle(clock, young);
    young.full = 0.49;
    requests(tell, 16);
    clock.advance(3);
    expect(young.collections).toBe(0);
    young.full = 0.5;
    requests(tell, 16);
    clock.advance(3);
    expect(young.collections).toBe(1);
  });

  test('of V8 fills, says so, and is emptied', () => {
    const text = execFileSync(
      process.execPath,
      [
        '--expose-gc',
        '--min-semi-space-size=8',
        '--max-semi-space-size=8',
        '--input-type=module',
        '--eval',
        `import { youngGeneration } from ${JSON.stringify(resolve(import.meta.dirname, 'idle-collection.ts'))};
        let most = 0;
        for (let n = 0; n < 100_000 && most < 0.5; n++) {
          Array.from({ length: 100 }, (_, at) => ({ at }));
          if (n % 10 === 0) most = Math.max(most, youngGeneration.used());
        }
        youngGeneration.collect();
        console.log(JSON.stringify([most, youngGeneration.used()]));`,
      ],
      { encoding: 'utf8' },
    );
    const [most, after] = JSON.parse(text) as [number, number];
    expect(most).toBeGreaterThanOrEqual(0.5);
    expect(after).toBeLessThan(0.25);
  });
});
